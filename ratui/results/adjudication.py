"""A study as the adjudicator sees it: only the disputed cases, each with a consensus reading of the adjudicator's own.

The raters' readings are not changed. The answers on which they agree are entered when a case is first opened. The
adjudicator sees the disputed answers without names, in an order drawn at random for each joint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from ratui.errors import StudyError
from ratui.reading import Entry, Field, GradeEntry, adopt, apply_regions
from ratui.results.disputes import CaseDispute, find_agreed_entries
from ratui.study import CONSENSUS, CaseState, LockHolder, ReadingSession, Study
from ratui.study.accounts import check_account, find_account_rater
from ratui.study.model_results.predictions import load_expected_grades
from ratui.study.worklist import Progress

__all__ = ["Adjudication", "build_queue"]


class Adjudication(Study):
    """A study restricted to the cases of a queue, for the rater CONSENSUS only.

    Parameters
    ----------
    study
        The study to adjudicate.
    queue
        The cases in dispute.
    model
        Name of a training run whose predictions are shown among the raters' answers; empty for none.

    Raises
    ------
    StudyError
        If this account does not manage the study or is a rater of a shared study, or if a rater has the name of the
        consensus.
    """

    reveals = "raters"

    def __init__(self, study: Study, queue: Sequence[CaseDispute], *, model: str = "") -> None:
        super().__init__(study.path, study.config, study.scheme)
        study.check_manager("adjudicate it")
        if CONSENSUS in study.config.raters:
            raise StudyError(f"a rater is called {CONSENSUS}", study.path, "The adjudicator needs that name")
        if self.config.group and (rater := find_account_rater(self.folder, self.config.raters)):
            raise StudyError(f"this account belongs to the rater {rater}", self.path, "Another person must adjudicate")
        self.queue = {each.case: each for each in queue}
        self._model = model

    def cases(self) -> tuple[str, ...]:
        """Return the IDs of the cases in dispute, sorted."""
        return tuple(case for case in super().cases() if case in self.queue)

    def as_rater(self, rater: str) -> Study:
        """Return this study itself, whatever `rater` is.

        An adjudicator may see the time points and the answers of all raters.
        """
        return self

    def check_rater(self, rater: str) -> str:
        """Return `rater` if it is CONSENSUS and this account may write its readings; raise StudyError otherwise."""
        if rater != CONSENSUS:
            raise StudyError(
                "an adjudication can only change the consensus", self.path, "To read as a rater: ratui read"
            )
        check_account(self.folder, CONSENSUS, "the adjudicator")
        return rater

    def states(self, rater: str, *, progress: Progress | None = None) -> tuple[CaseState, ...]:
        """Return the progress of `rater` in the disputed cases."""
        return tuple(state for state in super().states(rater, progress=progress) if state.case in self.queue)

    @contextmanager
    def open_reading(self, rater: str, case: str, *, take_over: LockHolder | None = None) -> Iterator[ReadingSession]:
        """Open a reading as `Study.open_reading` does; fill a new consensus with the raters' common answers.

        Raises StudyError if a rater has reopened the case in the meantime.
        """
        with super().open_reading(rater, case, take_over=take_over) as session:
            if not session.reading.log and case in self.queue:
                readings = self.signed_readings(case)
                if len(readings) < len(self.raters_of(case)):
                    raise StudyError("a rater has reopened this case", case, "Wait until every rater has signed it")
                at = datetime.now(UTC)
                begun = apply_regions(session.reading, self.absent_slots(self.case(case)), timestamp=at)
                entries = find_agreed_entries(readings, self.queue[case].joints)
                session.save(adopt(begun, {f: e for f, e in entries.items() if f in begun.fields}, timestamp=at))
            yield session

    def load_other_answers(self, case: str, site: str) -> tuple[Mapping[Field, Entry], ...]:
        """Return the answers of the raters and of the model at `site`, in an order drawn for this joint.

        The order is the same each time the joint is opened.
        """
        readings = self.signed_readings(case)
        answers = [
            (reading.rater, {field: reading.values[field] for field in reading.joint_fields(site)})
            for reading in readings
        ]
        if self._model and readings:
            predicted = load_expected_grades(self, self._model, case)
            rounded: dict[Field, Entry] = {
                field: GradeEntry(round(predicted[field]))
                for field in readings[0].joint_fields(site)
                if field in predicted
            }
            if rounded:
                # No rater's ID contains a NUL, so a run with the name of a rater gets another place in the order.
                answers.append((f"\0{self._model}", rounded))
        return tuple(entries for _, entries in sorted(answers, key=lambda each: self._shuffle_key(case, site, each[0])))

    def list_review_sites(self, case: str) -> frozenset[str] | None:
        """Return the keys of the joints in dispute. The raters agree on all others, so the review leaves these out."""
        return frozenset(joint.site for joint in self.queue[case].joints) if case in self.queue else None

    def _shuffle_key(self, case: str, site: str, who: str) -> bytes:
        """Return a sort key that orders answers at random but reproducibly."""
        return hashlib.sha256(f"{self.config.id}\0{case}\0{site}\0{who}".encode()).digest()


def build_queue(found: Sequence[CaseDispute]) -> tuple[CaseDispute, ...]:
    """Return the cases to adjudicate.

    These are the cases over the limit, those doubted by a model, those with a field that one rater has scored and another
    has not, and those with a consensus already begun.
    """
    return tuple(
        each
        for each in found
        if each.is_over_limit or each.is_doubted_by_model or each.unscored or each.consensus_stage
    )

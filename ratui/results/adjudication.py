"""A study as its adjudicator sees it: the cases in dispute, and a reading of their own in each, the consensus.

The raters' readings are only looked at. What they agreed on is taken over when a case is first opened; what they disputed is
asked, and who said what stays hidden: answers come without names, in an order drawn for each joint.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from ratui.errors import StudyError
from ratui.reading import Entry, Field, GradeEntry, adopt, apply_regions
from ratui.results.disputes import CaseDispute, agreed_entries
from ratui.study import CONSENSUS, CaseState, ReadingSession, Study
from ratui.study.predictions import load_expected_grades
from ratui.study.worklist import Progress

__all__ = ["Adjudication", "build_queue"]


class Adjudication(Study):
    """`study` with the cases of `queue` alone, to be read as CONSENSUS and as nobody else. `model` is the run whose
    answers stand among those of the raters, empty for none.

    Raises StudyError where this account reads in a study that it shares with others, or where a rater has that name.
    """

    def __init__(self, study: Study, queue: Sequence[CaseDispute], *, model: str = "") -> None:
        super().__init__(study.path, study.config, study.scheme)
        if CONSENSUS in study.config.raters:
            raise StudyError(f"a rater is called {CONSENSUS}", study.path, "The adjudicator needs that name")
        if self.config.group and (rater := self.account_rater()):
            raise StudyError(f"this account reads as {rater}", self.path, "Let somebody else adjudicate")
        self.queue = {each.case: each for each in queue}
        self._model = model

    def cases(self) -> tuple[str, ...]:
        """The cases in dispute, by name."""
        return tuple(case for case in super().cases() if case in self.queue)

    def check_rater(self, rater: str) -> str:
        """CONSENSUS, where this account may write its readings. Raises StudyError otherwise."""
        if rater != CONSENSUS:
            raise StudyError("an adjudication writes nobody's readings but its own", self.path, "See: ratui read")
        self._check_account(CONSENSUS, "the adjudicator")
        return rater

    def states(self, rater: str, *, progress: Progress | None = None) -> tuple[CaseState, ...]:
        return tuple(state for state in super().states(rater, progress=progress) if state.case in self.queue)

    @contextmanager
    def open_reading(self, rater: str, case: str, *, take_over: bool = False) -> Iterator[ReadingSession]:
        """As a study's; a consensus that isn't begun starts with what the raters agreed on."""
        with super().open_reading(rater, case, take_over=take_over) as session:
            if not session.reading.log and case in self.queue:
                readings = self.signed_readings(case)
                if len(readings) < len(self.config.raters):
                    raise StudyError("a rater has opened it again", case, "Wait until everybody has signed")
                at = datetime.now(UTC)
                begun = apply_regions(session.reading, self.absent_slots(self.case(case)), timestamp=at)
                entries = agreed_entries(readings, self.queue[case].joints)
                session.save(adopt(begun, {f: e for f, e in entries.items() if f in begun.fields}, timestamp=at))
            yield session

    def other_answers(self, case: str, site: str) -> tuple[Mapping[Field, Entry], ...]:
        """The raters' answers at `site`, and the model's where there is one, in an order drawn for this joint."""
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
                answers.append((f"\0{self._model}", rounded))
        return tuple(entries for _, entries in sorted(answers, key=lambda each: self._shuffle_key(case, site, each[0])))

    def _shuffle_key(self, case: str, site: str, who: str) -> bytes:
        return hmac.new(self.config.secret.encode(), f"{case}\0{site}\0{who}".encode(), hashlib.sha256).digest()


def build_queue(found: Sequence[CaseDispute]) -> tuple[CaseDispute, ...]:
    """The queue: what is over the limit, what a model doubts, and what was begun."""
    return tuple(each for each in found if each.is_over_limit or each.is_doubted_by_model or each.consensus_stage)

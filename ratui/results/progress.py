"""Progress of a study: for each rater and case the stage, the time spent reading, and the work that is left.

It contains amounts only and no scores, so every rater may see it at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import groupby
from statistics import median
from typing import Any

from ratui.results.html import paragraph, section, table
from ratui.results.text_table import format_count
from ratui.results.visit_deviations import PatientVisit, find_deviations, make_deviation_table
from ratui.study import CONSENSUS, CaseState, Study
from ratui.study.campaign.repeat_updates import find_incomplete_repeats
from ratui.study.campaign.repeats import load_repeats
from ratui.study.readings.late_changes import LateChanges, changes_after_release
from ratui.study.readings.restored import has_readings

__all__ = [
    "ProgressRow",
    "RaterProgress",
    "StudyProgress",
    "describe_incomplete_repeats",
    "describe_late_changes",
    "measure_progress",
    "render_case_progress",
    "render_progress",
    "render_rater_progress",
]


@dataclass(frozen=True)
class ProgressRow:
    """Progress of one rater in one case. `missing` describes the work that is left; it is empty if there is none."""

    rater: str
    state: CaseState
    missing: str

    @property
    def minutes(self) -> float:
        """Time spent reading the case, in minutes, without idle time."""
        return self.state.seconds / 60

    def to_record(self) -> dict[str, Any]:
        """Return the progress as plain values for JSON and CSV."""
        state = self.state
        return {
            "case": state.case,
            "rater": self.rater,
            "stage": state.stage,
            "fields": state.done,
            "fields_total": state.total,
            "joints": state.joints,
            "joints_total": state.joints_total,
            "minutes": round(self.minutes, 2),
            "flags": state.flags,
            "missing": self.missing,
        }


@dataclass(frozen=True)
class RaterProgress:
    """Progress of one rater.

    `signed`, `started` and `untouched` count the cases that can be read. `median_minutes` is the median time of a
    signed case, None before the first; `minutes` is the time of all cases together. `repeats` is the number of hidden
    repeats, which count in the minutes but among none of these cases, and `repeats_signed` that of those signed; both are 0
    unless the account manages the study.
    """

    rater: str
    signed: int
    started: int
    untouched: int
    median_minutes: float | None
    minutes: float
    repeats: int = 0
    repeats_signed: int = 0

    @property
    def cases(self) -> int:
        """Number of cases that the rater can read."""
        return self.signed + self.started + self.untouched


@dataclass(frozen=True)
class StudyProgress:
    """Progress of a study.

    `rows` are sorted by case, then by rater. `consensus_signed` is the number of cases with a signed consensus. `departed`
    are the raters who have left the study; they have rows for the cases that they signed before. `late` are the readings
    that were reopened after all raters had signed. `repeats` are the hidden repeats, which are not among `cases` but have
    rows like them, and `incomplete_repeats` is the number of those that lack films of their case. For an account that does
    not manage the study they are cases like the others. `deviations` are the visits that are not as planned, None if
    they were not asked for.
    """

    title: str
    scheme: str
    cases: tuple[str, ...]
    raters: tuple[RaterProgress, ...]
    rows: tuple[ProgressRow, ...]
    consensus_signed: int = 0
    departed: tuple[str, ...] = ()
    late: LateChanges = field(default_factory=LateChanges)
    repeats: frozenset[str] = frozenset()
    incomplete_repeats: int = 0
    deviations: tuple[PatientVisit, ...] | None = None

    def count_cases(self) -> str:
        """Return the number of cases in words, and that of hidden repeats if there are any that this account knows."""
        hidden = f" and {format_count(len(self.repeats), 'hidden repeat')}" if self.repeats else ""
        return f"{format_count(len(self.cases), 'case')}{hidden}"

    def by_case(self) -> Iterator[tuple[ProgressRow, ...]]:
        """Yield the rows of each case, in the order of the raters who read it."""
        return (tuple(rows) for _, rows in groupby(self.rows, key=lambda row: row.state.case))

    def to_document(self) -> dict[str, Any]:
        """Return the progress as plain values for JSON."""
        return {
            "study": self.title,
            "scheme": self.scheme,
            "raters": [
                {
                    "rater": each.rater,
                    "has_left": each.rater in self.departed,
                    "signed": each.signed,
                    "begun": each.started,
                    "untouched": each.untouched,
                    "median_minutes": None if each.median_minutes is None else round(each.median_minutes, 2),
                    "minutes": round(each.minutes, 2),
                }
                | ({"repeats": each.repeats, "repeats_signed": each.repeats_signed} if self.repeats else {})
                for each in self.raters
            ],
            "cases": [row.to_record() for row in self.rows],
            "settled": self.consensus_signed,
            "reopened_after_release": [
                {
                    "case": each.case,
                    "rater": each.rater,
                    "released": each.released_at.isoformat(timespec="seconds"),
                    "reopened": each.reopened_at.isoformat(timespec="seconds"),
                    "signed": each.signed_at.isoformat(timespec="seconds") if each.signed_at else None,
                }
                for late in self.late.readings.values()
                for each in late
            ],
            "consensus_before_changes": {case: list(raters) for case, raters in self.late.consensus.items()},
        } | ({} if self.deviations is None else {"visit_deviations": [each.to_record() for each in self.deviations]})


def measure_progress(
    study: Study, *, on_progress: Callable[[int, int], None] | None = None, with_visits: bool = False
) -> StudyProgress:
    """Return the progress of `study`.

    A case whose files are damaged counts as unreadable, with the reason. `on_progress` is called with (done, total)
    while cases are read from disk. `with_visits` compares the visits with the charter, which opens the files of all cases.
    Raises StudyError if the study itself cannot be read, or if the account may not see the visits.
    """
    if with_visits:
        study.check_manager("compare visits with the charter")
    states = study.all_states(progress=on_progress)
    cases = study.cases()
    by_rater = {rater: {state.case: state for state in found} for rater, found in states.items()}
    describe_regions = cache(partial(_describe_missing_regions, study))  # the same for every rater of a case
    rows = [
        ProgressRow(rater, state, _describe_missing(state, describe_regions))
        for case in cases
        for rater, by_case in by_rater.items()
        if (state := by_case.get(case)) is not None
    ]
    repeats = frozenset(load_repeats(study)) if study.is_manager else frozenset()
    raters = tuple(
        _rater_progress(rater, [row.state for row in rows if row.rater == rater], repeats) for rater in states
    )
    return StudyProgress(
        study.config.title,
        study.scheme.title,
        tuple(case for case in cases if case not in repeats),
        raters,
        tuple(rows),
        _count_signed_consensus(study),
        study.config.departed,
        changes_after_release(study, states),
        repeats & {*cases},
        len(find_incomplete_repeats(study)),
        find_deviations(study) if with_visits else None,
    )


def _rater_progress(rater: str, states: Sequence[CaseState], repeats: Collection[str]) -> RaterProgress:
    all_readable = [state for state in states if state.stage != "unreadable"]
    hidden = [state for state in all_readable if state.case in repeats]
    readable = [state for state in all_readable if state.case not in repeats]
    signed = [state for state in readable if state.stage == "signed"]
    begun = sum(1 for state in readable if state.stage != "signed" and state.done)
    times = [state.seconds / 60 for state in signed if state.seconds > 0]
    return RaterProgress(
        rater,
        len(signed),
        begun,
        len(readable) - len(signed) - begun,
        median(times) if times else None,
        sum(state.seconds for state in all_readable) / 60,
        len(hidden),
        sum(state.stage == "signed" for state in hidden),
    )


def _describe_missing(state: CaseState, describe_regions: Callable[[str], str]) -> str:
    """Return the work that is left for a rater in a case, in a few words."""
    match state.stage:
        case "unreadable":
            return state.note
        case "signed" | "unassigned":
            return ""
        case "changed":
            return "films changed after the signature: reopen"
        case "regions":
            return describe_regions(state.case)
        case "review":
            return "review and signature"
        case "reading":
            return _describe_missing_fields(state)


def _describe_missing_fields(state: CaseState) -> str:
    fields, joints = state.total - state.done, state.joints_total - state.joints
    return f"{format_count(fields, 'field')} in {format_count(joints, 'joint')}"


def _describe_missing_regions(study: Study, case: str) -> str:
    """Return the number of unconfirmed regions, in words."""
    waiting = len(study.unordered_case(case).unconfirmed_shown_slots(study.scheme, study.regions(case)))
    return f"{format_count(waiting, 'region')} to confirm"


def _count_signed_consensus(study: Study) -> int:
    """Return the number of cases with a signed consensus."""
    if not has_readings(study.folder, CONSENSUS):
        return 0
    return sum(1 for state in study.states(CONSENSUS) if state.stage == "signed")


def render_progress(found: StudyProgress) -> list[str]:
    """Return the progress as HTML: a summary by rater, all cases, and visits that are not as planned."""
    parts = [*render_rater_progress(found), section("Cases", [render_case_progress(found)], 3)]
    if found.deviations:
        shown = make_deviation_table(found.deviations)
        listed = table(shown.headers, shown.rows, text_columns=shown.text_columns)
        parts.append(section(shown.title, [listed, paragraph(shown.note, quiet=True)], 3))
    return parts


def render_rater_progress(found: StudyProgress) -> list[str]:
    """Return the progress of each rater as HTML."""
    repeats = ["repeats signed"] if found.repeats else []
    rows = [
        (
            f"{each.rater} (left)" if each.rater in found.departed else each.rater,
            each.signed,
            each.started,
            each.untouched,
            *([f"{each.repeats_signed} of {each.repeats}"] if found.repeats else []),
            _format_minutes(each.median_minutes),
            f"{each.minutes / 60:.1f}",
        )
        for each in found.raters
    ]
    said = f"{found.count_cases()}; a consensus is signed for {found.consensus_signed}."
    return [
        *(paragraph(line) for line in describe_late_changes(found.late)),
        paragraph(f"{found.scheme}; {said}"),
        *([paragraph(describe_incomplete_repeats(found.incomplete_repeats))] if found.incomplete_repeats else []),
        table(["rater", "signed", "begun", "untouched", *repeats, "median minutes a case", "hours"], rows),
        paragraph("Minutes count the time spent reading. Only the first minute of a pause counts.", quiet=True),
    ]


def describe_incomplete_repeats(count: int) -> str:
    """Return the sentence about the number of hidden repeats that lack films of their case."""
    lack = "hidden repeat lacks" if count == 1 else "hidden repeats lack"
    return f"{count} {lack} films that were imported later; to copy them: ratui repeats STUDY --update"


def describe_late_changes(late: LateChanges, *, with_raters: bool = True) -> list[str]:
    """Return a sentence for each reading that was reopened after its case was released, and for each older consensus.

    Without `with_raters` the sentences name no rater, for an adjudicator.
    """
    lines = [
        f"{each.case} {each.rater if with_raters else 'a reading'}: {each}"
        for found in late.readings.values()
        for each in found
    ]
    for case, raters in late.consensus.items():
        names = ", ".join(raters) if with_raters else "a rater"
        lines.append(f"{case}: the consensus was signed before {names} reopened the case")
    return lines


def render_case_progress(found: StudyProgress) -> str:
    """Return a table of each rater's progress in each case, one row per case, so that it prints on few pages."""
    raters = [each.rater for each in found.raters]
    cells = [{row.rater: _describe_row(row) for row in rows} for rows in found.by_case()]
    rows = [
        (rows[0].state.case, *(by_rater.get(rater, "–") for rater in raters))
        for rows, by_rater in zip(found.by_case(), cells, strict=True)
    ]
    return f'<div class="columns">{table(["case", *raters], rows, text_columns=1 + len(raters))}</div>'


def _describe_row(row: ProgressRow) -> str:
    fields = f" {row.state.done}/{row.state.total}" if row.state.total else ""
    minutes = f", {row.minutes:.1f} min" if row.state.seconds else ""
    missing = f": {row.missing}" if row.missing and row.missing != row.state.note else ""
    return f"{row.state.note if row.state.stage == 'unreadable' else row.state.stage}{fields}{minutes}{missing}"


def _format_minutes(minutes: float | None) -> str:
    return "–" if minutes is None else f"{minutes:.1f}"

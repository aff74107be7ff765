"""Tables of what limits the results: fields without a score by reason, readings opened again, and adjudicated joints."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from ratui.reading import Field, GradeEntry, NotAssessableEntry, Reading
from ratui.reading.log import find_origins
from ratui.results.quantities import name_visits
from ratui.results.released import ReleasedReadings
from ratui.results.text_table import TextTable
from ratui.study import Study
from ratui.study.readings.late_changes import LateChanges, changes_after_release

__all__ = [
    "find_unscored_reason",
    "list_settled_sites",
    "make_missing_table",
    "make_reopened_table",
]

NOT_FILMED = "not filmed"
"""Reason of a field whose joint no film shows at this visit, although films of other visits do."""
LEFT_OUT = "left out"
"""Reason of a field whose entry was left out because the films were displayed too coarsely."""


def find_unscored_reason(reading: Reading, site: str, scale: str, time: int) -> str:
    """Return the id of the reason why a field has no score: of the scheme, or one of this module; empty if it has one."""
    field = Field(site, scale, time)
    match reading.values.get(field):
        case GradeEntry():
            return ""
        case NotAssessableEntry(reason):
            return reason
        case None:
            return LEFT_OUT if field in reading.joint_fields(site) else NOT_FILMED
    return "" if reading.score(field) is not None else LEFT_OUT


def _without_grade(reading: Reading, count: int) -> Iterator[Field]:
    """Yield the fields of a reading without a grade, also those without a film; there are `count` fields in all."""
    values = reading.values
    yield from (field for field, entry in values.items() if not isinstance(entry, GradeEntry))
    if len(values) < count:  # few readings: those with fields that have no film, or were left out
        yield from (
            field
            for site in reading.sites
            for scale in site.joint.scales
            for time in reading.order
            if (field := Field(site.key, scale, time)) not in values
        )


def make_missing_table(study: Study, released: ReleasedReadings) -> TextTable:
    """Return the number of fields without a score by reason and visit, of all readings of the raters."""
    visits = released.all_visits()
    counts: defaultdict[str, Counter[int]] = defaultdict(Counter)
    readings: Counter[str] = Counter()
    fields: Counter[int] = Counter()
    for case, of_case in released.readings.items():
        numbers = released.visit_numbers[case]
        for reading in of_case.values():
            asked = sum(len(site.joint.scales) for site in reading.sites)  # at each visit
            fields.update({numbers[time]: asked for time in reading.order})
            reasons = set()
            for site, scale, time in _without_grade(reading, asked * len(reading.order)):
                if reason := find_unscored_reason(reading, site, scale, time):
                    counts[reason][numbers[time]] += 1
                    reasons.add(reason)
            readings.update(reasons)
    labels = {reason.id: reason.label for reason in study.scheme.reasons}
    ordered = [name for name in (*labels, NOT_FILMED, LEFT_OUT) if name in counts]
    every = sum(len(of_case) for of_case in released.readings.values())
    rows = [
        [
            labels.get(reason, reason),
            *(f"{counts[reason][visit]} of {fields[visit]}" for visit in visits),
            f"{readings[reason]} of {every}",
        ]
        for reason in ordered
    ]
    headers = ["reason", *name_visits(study, visits), "readings"]
    note = (
        "Fields of all raters' readings that have no score in the scheme. Not filmed: no film of that visit shows the "
        "joint, and films of other visits do."
    )
    if released.excluded is not None:
        note += " Left out: the films were displayed too coarsely."
    return TextTable("Fields without a score", headers, rows, note=note)


def list_settled_sites(consensus: Reading) -> tuple[str, ...]:
    """Return the sites of which the adjudicator entered an answer, in reading order; the others were taken over."""
    entered = {field.site for field, entry in find_origins(consensus).items() if entry.kind not in ("adopt", "regions")}
    return tuple(site.key for site in consensus.sites if site.key in entered)


def make_reopened_table(study: Study, released: ReleasedReadings, late_changes: LateChanges | None = None) -> TextTable:
    """Return the readings that were signed more than once, with the reasons, and the adjudicated joints by case.

    `late_changes` are those of the study, if they are known already.
    """
    changes = changes_after_release(study) if late_changes is None else late_changes
    late = {(case, each.rater) for case, found in changes.readings.items() for each in found}
    rows: list[list[object]] = []
    for case, of_case in released.readings.items():
        for reading in of_case.values():
            reasons = [entry.note for entry in reading.log if entry.kind == "reopen"]
            if reasons:
                signed = f"{reading.signed_at:%Y-%m-%d}" if reading.signed_at else "–"
                what = "opened again after release" if (case, reading.rater) in late else "opened again"
                rows.append([case, reading.rater, what, "; ".join(filter(None, reasons)) or "–", signed])
        if case in released.consensus:
            consensus = released.consensus[case]
            sites = list_settled_sites(consensus)
            signed = f"{consensus.signed_at:%Y-%m-%d}" if consensus.signed_at else "–"
            what = "adjudicated; a rater has reopened since" if case in changes.consensus else "adjudicated"
            rows.append([case, consensus.rater, what, ", ".join(sites) or "no joint", signed])
    note = (
        "Opened again: the reading was signed, opened and signed again; the log keeps all answers. After release: every "
        "rater of the case had signed before, so that the rater could know the others' scores. Signed: the last date."
    )
    return TextTable(
        "Reopened readings and adjudicated joints",
        ["case", "by", "what", "reason, or joints", "signed"],
        rows,
        text_columns=5,
        note=note,
    )

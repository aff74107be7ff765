"""Import of a simulated hospital into a study, in the way of a data manager, and the outcome of each file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ratui.study import Study
from ratui.study.importing import FilmConverter
from ratui.study.importing.import_report import ImportReport
from ratui.study.importing.importer import open_import
from ratui.study.importing.planning.import_plan import Decision, ImportPlan
from tests.support.hospital.judge import Decided, Placement

__all__ = ["HospitalImport", "import_hospital"]


@dataclass(frozen=True)
class HospitalImport:
    """The outcome of an import.

    Attributes
    ----------
    placements, decisions, awaited
        Arguments of `judge`, by source file.
    reasons
        Reason of each file that was not taken.
    report
        The report of the import.
    """

    placements: dict[Path, Placement]
    decisions: dict[Path, Decided]
    awaited: frozenset[Path]
    reasons: dict[Path, str]
    report: ImportReport


def import_hospital(
    study: Study, paths: Iterable[Path], key: Path, converter: FilmConverter | None = None
) -> HospitalImport:
    """Import `paths` into `study` and return the outcome of each file.

    If the plan asks which two dates of a patient to compare, the first and the last are chosen, as a person would in a study
    of the whole course. Nothing else is decided by a person.
    """
    with open_import(study, paths, key=key, converter=converter) as current:
        plan = current.plan()
        waiting = {row.path: row.patient for row in plan.rows if row.awaits_dates}
        chosen = _choose_dates(plan, set(waiting.values()))
        report = current.execute(chosen)
    views = {row.path: row.view for row in chosen.taken}
    placements = {}
    for film in report.imported:
        view = views[film.path]
        placements[film.path] = Placement(film.case, film.time, film.side, study.scheme.views[view].part, view)
    decisions, reasons = {}, {item.path: item.reason for item in report.rejected}
    for row in chosen.rows:
        if row.path in placements:
            continue
        if row.path in waiting:
            decisions[row.path] = Decided.OTHER_DATES if not row.awaits_dates else Decided.ASKED_DATES
        else:
            decisions[row.path] = Decided.ASKED if row.decision is Decision.DOUBTFUL else Decided.LEFT_OUT
    for item in report.skipped:
        decisions.setdefault(item.origin, Decided.LEFT_OUT)
        reasons.setdefault(item.origin, item.reason)
    return HospitalImport(placements, decisions, frozenset(placements) & frozenset(waiting), reasons, report)


def _choose_dates(plan: ImportPlan, patients: set[str]) -> ImportPlan:
    for patient in sorted(patients):
        dates = sorted(
            {row.exam_date for row in plan.rows if row.patient == patient and row.awaits_dates and row.exam_date}
        )
        plan = plan.with_dates(patient, dates[0], dates[-1])
    return plan

"""The films of a plan that are to be imported, with the days that the study stores. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ratui.study.importing.film_days import count_days
from ratui.study.importing.persons.pseudonyms import KeyFile
from ratui.study.importing.planning.import_plan import ImportPlan

__all__ = ["ImportCandidate", "list_candidates"]


@dataclass(frozen=True)
class ImportCandidate:
    """A film to import: its file, its person in the key file, and what the plan says about it."""

    path: Path
    patient: str
    side: str
    view: str
    time: int
    day: int | None
    spacing: tuple[float, float] | None
    note: str = ""
    is_override: bool = False


def list_candidates(plan: ImportPlan, keys: KeyFile) -> list[ImportCandidate]:
    """Return the films to import, in an order that does not depend on that of the files."""
    days = count_days(plan, keys)
    return [
        ImportCandidate(
            row.path,
            row.patient,
            row.side,
            row.view,
            row.time or 0,
            days[row.path],
            row.spacing,
            row.note,
            row.is_override,
        )
        for row in sorted(plan.taken, key=lambda row: (row.patient, row.time or 0, row.view, row.side, row.path))
    ]

"""The plan of an import: the decision on each source file, before any film is converted. Values only.

A screen or a program changes a plan with `ImportPlan.with_decision` and `ImportPlan.with_dates`, which return a new plan and
keep its rules: one film for each side and part of a time point.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from pathlib import Path

from ratui.errors import StudyError
from ratui.scheme import Scheme
from ratui.study.case import MOST_VISITS
from ratui.study.importing.files.archives import SkippedItem
from ratui.study.importing.persons.patient_record import PatientRecord
from ratui.study.importing.planning.manifest import ManifestRow, write_manifest

__all__ = ["Decision", "ImportPlan", "PlanRow", "number_persons"]

_BY_HAND = "left out by decision of a person"
_REPLACED = "a person chose another film of that side and day"
_OTHER_DATE = "a person chose other dates of its patient"


class Decision(StrEnum):
    """The decision on one file of an import."""

    TAKE = "take"
    LEAVE_OUT = "leave out"
    DOUBTFUL = "doubtful"


@dataclass(frozen=True)
class PlanRow:
    """The decision on one source file.

    Attributes
    ----------
    path
        The file. Its name may contain a patient's name.
    decision
        `Decision.TAKE`, `Decision.LEAVE_OUT` or `Decision.DOUBTFUL`. Only films to take are imported.
    reason
        Reason for a film that is not taken; it repeats no text of the file.
    patient
        Name of the person in the key file, or empty if unknown. It identifies a patient: do not display it.
    person
        Number of the person in this plan, from 1, or None. Its order has no meaning.
    time
        Time point, 0 or 1, or None if it is not decided.
    side
        ``L``, ``R`` or ``B``, or empty if unknown.
    view
        View in the scheme, or empty if unknown.
    exam_date
        Date of the examination, or None if it is unknown or doubtful. Do not display it to raters.
    day
        Day of the examination that a manifest states, counted from any day, or None.
    spacing
        Size of a pixel in millimetres that a manifest states, or None.
    projection
        Projection that the header states, one of `PROJECTIONS`, or empty if it states none or it is not read.
    is_override
        True if a person decided against what the film's header says.
    is_listed
        True if a row of a manifest names the film.
    has_other_id
        True if the film states another patient ID of the person than `patient`.
    awaits_dates
        True if the film is doubtful only because its patient has more examinations than visits.
    content
        Digest of samples of the stored picture, or empty. Two files with the same digest probably show the same picture.
    note
        Remark about the header, such as an element that another one contradicts, or empty.
    """

    path: Path
    decision: Decision
    reason: str = ""
    patient: str = ""
    person: int | None = None
    time: int | None = None
    side: str = ""
    view: str = ""
    exam_date: date | None = None
    day: int | None = None
    spacing: tuple[float, float] | None = None
    projection: str = ""
    is_override: bool = False
    is_listed: bool = False
    has_other_id: bool = False
    awaits_dates: bool = False
    content: str = ""
    note: str = ""

    @property
    def sides(self) -> tuple[str, ...]:
        """Sides that the film shows: ``L``, ``R`` or both."""
        return ("L", "R") if self.side == "B" else tuple(self.side)


@dataclass(frozen=True)
class ImportPlan:
    """The decisions on all source files, in the order of the input.

    Attributes
    ----------
    scheme
        Scheme of the study.
    rows
        One row for each source file.
    dates
        Dates of the time points of each person, in order, by name in the key file.
    records
        Statements of the films about each person, by name in the key file. They identify patients.
    skipped
        Files, folders, links and entries of archives that are not read, each with a reason.
    visit_names
        Names of the visits that a patient has at most, by number.
    """

    scheme: Scheme
    rows: tuple[PlanRow, ...]
    dates: Mapping[str, tuple[date, ...]] = field(default_factory=dict, hash=False)
    records: Mapping[str, PatientRecord] = field(default_factory=dict, hash=False)
    skipped: tuple[SkippedItem, ...] = ()
    visit_names: tuple[str, ...] = ("baseline", "visit 2")

    @property
    def taken(self) -> tuple[PlanRow, ...]:
        """Rows of the films to import."""
        return tuple(row for row in self.rows if row.decision is Decision.TAKE)

    @property
    def rows_to_review(self) -> tuple[PlanRow, ...]:
        """All rows: first the doubtful ones, then those to take, then those to leave out; by person within each group."""
        order = (Decision.DOUBTFUL, Decision.TAKE, Decision.LEAVE_OUT)
        places = {row.path: place for place, row in enumerate(self.rows)}

        def key(row: PlanRow) -> tuple[int, int, int, str, str, int]:
            person, time = row.person or len(self.rows) + 1, 9 if row.time is None else row.time
            return (order.index(row.decision), person, time, row.view, row.side, places[row.path])

        return tuple(sorted(self.rows, key=key))

    def row(self, path: Path) -> PlanRow:
        """Return the row of a file. Raises KeyError if the plan has none."""
        try:
            return next(row for row in self.rows if row.path == path)
        except StopIteration:
            raise KeyError(path) from None

    def count(self) -> dict[Decision, int]:
        """Return the number of files for each decision."""
        counted = Counter(row.decision for row in self.rows)
        return {decision: counted[decision] for decision in Decision}

    def find_exam_dates(self, patient: str) -> tuple[date, ...]:
        """Return the certain dates of a person's films that were not left out, in order."""
        rows = [row for row in self.rows if row.patient == patient and row.decision is not Decision.LEAVE_OUT]
        return tuple(sorted({row.exam_date for row in rows if row.exam_date}))

    def find_choosable_dates(self, patient: str) -> tuple[date, ...]:
        """Return the dates of which `with_dates` takes some, in order; empty unless the person has more than visits."""
        rows = [row for row in self.rows if row.patient == patient and row.awaits_dates]
        return tuple(sorted({row.exam_date for row in rows if row.exam_date}))

    def find_competitors(self, path: Path) -> tuple[PlanRow, ...]:
        """Return the other films of the same person, examination, part and side. Raises KeyError if the file is unknown."""
        row = self.row(path)
        return tuple(other for other in self.rows_to_review if other.path != path and self._compete(row, other))

    def _compete(self, one: PlanRow, other: PlanRow) -> bool:
        if not one.patient or one.patient != other.patient or not (one.view and other.view):
            return False
        is_same_part = self.scheme.views[one.view].part == self.scheme.views[other.view].part
        times, dates = (one.time, other.time), (one.exam_date, other.exam_date)
        is_same_visit = times[0] == times[1] if None not in times else None not in dates and dates[0] == dates[1]
        return is_same_part and is_same_visit and bool(set(one.sides) & set(other.sides))

    def with_decision(
        self,
        path: Path,
        *,
        take: bool,
        patient: str | None = None,
        time: int | None = None,
        side: str | None = None,
        view: str | None = None,
    ) -> ImportPlan:
        """Return the plan with a person's decision on one film.

        If the film is taken, other films of the same side and part of that time point are left out. Values that are None
        keep what the row has.

        Parameters
        ----------
        path
            The film's file.
        take
            True to import the film, False to leave it out.
        patient
            Name of the person in the key file; the `PlanRow.patient` of another row, or a patient ID.
        time, side, view
            Number of the visit from 0 to 7, side ``L``, ``R`` or ``B``, and view of the scheme.

        Raises
        ------
        KeyError
            If the plan has no such file.
        StudyError
            If the film is taken and a value is missing or invalid.
        """
        row = self.row(path)
        if not take:
            return self._with_rows({path: replace(row, decision=Decision.LEAVE_OUT, reason=_BY_HAND)})
        new = replace(
            row,
            decision=Decision.TAKE,
            reason="",
            patient=row.patient if patient is None else patient,
            time=row.time if time is None else time,
            side=row.side if side is None else side,
            view=row.view if view is None else view,
            awaits_dates=False,
        )
        self._check_complete(new)
        new = replace(new, person=self._number(new.patient))
        if row.decision is not Decision.TAKE or new != replace(row, reason=""):
            new = replace(new, is_override=True)
        return self._with_rows({path: new, **self._leave_out_for(new)})

    def name_visit(self, number: int) -> str:
        """Return the name of the visit with `number`, counted from 0, also of one that is not planned."""
        return self.visit_names[number] if number < len(self.visit_names) else f"visit {number + 1}"

    def with_dates(self, patient: str, *chosen: date) -> ImportPlan:
        """Return the plan with the dates of a person that are read, two or as many as there are visits, if there are more.

        Films of other dates are left out. Raises StudyError if the person has no such dates to choose from.
        """
        dates = tuple(sorted({*chosen}))
        waiting = {row.path: row for row in self.rows if row.patient == patient and row.awaits_dates}
        most = len(self.visit_names)
        is_possible = min(2, most) <= len(dates) == len(chosen) <= most
        if not is_possible or not set(dates) <= {row.exam_date for row in waiting.values()}:
            raise StudyError("the patient has no films of these dates to choose from")
        rows = {}
        for path, row in waiting.items():
            if row.exam_date in dates:
                time = dates.index(row.exam_date)
                rows[path] = replace(row, decision=Decision.TAKE, reason="", time=time, awaits_dates=False)
            else:
                rows[path] = replace(row, decision=Decision.LEAVE_OUT, reason=_OTHER_DATE, awaits_dates=False)
        return replace(self._with_rows(rows), dates={**self.dates, patient: dates})

    def save_manifest(self, path: Path) -> None:
        """Write the decisions as a manifest, with which the same import can be repeated. It identifies patients.

        A doubtful film is written as one that is not taken. What is not read follows, for the reader only. Raises StudyError
        if a film is outside the folder of `path`, or the file can't be written.
        """
        rows = ((_make_manifest_row(row), row.reason) for row in self.rows)
        write_manifest(path, rows, ((item.origin, item.reason) for item in self.skipped))

    def _check_complete(self, row: PlanRow) -> None:
        missing = [name for name in ("patient", "side", "view") if not getattr(row, name)]
        missing += ["time"] if row.time is None else []
        if missing:
            raise StudyError(f"the film can't be taken: unknown {', '.join(missing)}", remedy="Enter the values")
        if row.side not in ("L", "R", "B") or row.view not in self.scheme.views or row.time not in range(MOST_VISITS):
            raise StudyError("a value of the decision is not valid", remedy="Choose another one")

    def _number(self, patient: str) -> int:
        known = {row.patient: row.person for row in self.rows if row.person is not None}
        return known.get(patient) or max(known.values(), default=0) + 1

    def _leave_out_for(self, new: PlanRow) -> dict[Path, PlanRow]:
        """Return the rows that are no longer taken, because `new` shows the same."""
        part = self.scheme.views[new.view].part
        return {
            row.path: replace(row, decision=Decision.LEAVE_OUT, reason=_REPLACED)
            for row in self.taken
            if row.path != new.path
            and (row.patient, row.time) == (new.patient, new.time)
            and self.scheme.views[row.view].part == part
            and set(row.sides) & set(new.sides)
        }

    def _with_rows(self, rows: Mapping[Path, PlanRow]) -> ImportPlan:
        return replace(self, rows=tuple(rows.get(row.path, row) for row in self.rows))


def _make_manifest_row(row: PlanRow) -> ManifestRow:
    patient, _, issuer = row.patient.partition("^^^")
    return ManifestRow(
        path=row.path,
        patient=patient,
        time=row.time,
        side=row.side,
        view=row.view,
        day=row.day,
        spacing=row.spacing,
        issuer=issuer,
        is_taken=row.decision is Decision.TAKE,
        is_override=row.is_override or (row.has_other_id and row.decision is Decision.TAKE),
    )


def number_persons(patients: Iterable[str]) -> dict[str, int]:
    """Return numbers of persons from 1, in the alphabetical order of their names in the key file."""
    return {patient: number for number, patient in enumerate(sorted(set(patients) - {""}), start=1)}

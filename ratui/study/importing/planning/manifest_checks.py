"""Find rows of a manifest that contradict the header of their film, or each other. Values only; see ``docs/intake.md``.

A row with ``override`` states what is true: it is compared with nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import combinations
from pathlib import Path

from ratui.study.importing.headers.dates import DatedFilm
from ratui.study.importing.persons.patient_record import PatientRecord, is_placeholder, normalize_issuer
from ratui.study.importing.planning.manifest import ManifestRow
from ratui.study.importing.planning.visits import group_examinations, split_visits

__all__ = ["ListedFilm", "find_contradictions"]

_MOST_DAYS_APART = 2
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class ListedFilm:
    """A row of a manifest, and the statements of its film's header.

    Attributes
    ----------
    row
        The row.
    refusal
        Reason why a film without a row would be left out, or empty.
    side, view
        Side and view that the header states without a contradiction, or empty.
    record
        Statements about the patient.
    dated
        Date of the film.
    """

    row: ManifestRow
    refusal: str
    side: str
    view: str
    record: PatientRecord
    dated: DatedFilm

    @property
    def patient(self) -> tuple[str, str]:
        """Patient and issuer of the row."""
        return self.row.patient, normalize_issuer(self.row.issuer)

    @property
    def exam_date(self) -> date | None:
        """Date of the film, if there is no doubt about it."""
        return None if self.dated.doubt else self.dated.day


def find_contradictions(films: Mapping[Path, ListedFilm]) -> dict[Path, str]:
    """Return the reason for each row that contradicts its film or another row; others are left out."""
    films = {path: film for path, film in films.items() if film.row.is_taken and not film.row.is_override}
    found: dict[Path, str] = {}
    for path, reason in (*_compare_headers(films), *_compare_patients(films), *_compare_times(films)):
        found.setdefault(path, reason)
    return found


def _compare_headers(films: Mapping[Path, ListedFilm]) -> Iterator[tuple[Path, str]]:
    for path, film in films.items():
        if film.refusal:
            yield path, f"its header contradicts its row: {film.refusal}"
        elif film.side and film.side != film.row.side:
            yield path, f"its header states the side {film.side}, its row {film.row.side}"
        elif film.view and film.row.view and film.view != film.row.view:
            yield path, f"its header states the view {film.view}, its row {film.row.view}"


def _compare_patients(films: Mapping[Path, ListedFilm]) -> Iterator[tuple[Path, str]]:
    spellings: dict[tuple[str, str], set[str]] = defaultdict(set)
    for film in films.values():
        spellings[_simplify_patient(film)].add(film.row.patient)
    for path, film in films.items():
        if len(spellings[_simplify_patient(film)]) > 1:
            yield path, "patients of the manifest differ in capital letters or leading zeros only"
    ids: dict[tuple[str, str], set[str]] = defaultdict(set)
    patients: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    stated = {
        path: (film.record.id, film.record.issuer or film.record.universal)
        for path, film in films.items()
        if not is_placeholder(film.record.id)
    }
    for path, (patient_id, issuer) in stated.items():
        ids[films[path].patient].add(patient_id)
        patients[patient_id, issuer].add(films[path].patient)
    for path, name in stated.items():
        if len(ids[films[path].patient]) > 1:
            yield path, "the headers of its patient's films have different patient IDs"
        elif len(patients[name]) > 1:
            yield path, "its patient ID belongs to films of two patients in the manifest"


def _simplify_patient(film: ListedFilm) -> tuple[str, str]:
    """Return the patient of a row without the differences that spreadsheets and typing make."""
    return film.row.patient.casefold().lstrip("0"), film.patient[1]


def _compare_times(films: Mapping[Path, ListedFilm]) -> Iterator[tuple[Path, str]]:
    by_patient: dict[tuple[str, str], dict[Path, ListedFilm]] = defaultdict(dict)
    for path, film in films.items():
        by_patient[film.patient][path] = film
    for group in by_patient.values():
        times = {path: film.row.time or 0 for path, film in group.items()}
        days = {path: film.row.day for path, film in group.items() if film.row.day is not None}
        dates = {path: film.exam_date for path, film in group.items() if film.exam_date is not None}
        counted = _count_days(days, dates)
        for path in _find_reversed(times, counted):
            yield path, "the days of its patient's rows are not in the order of the visits"
        for path in _find_reversed(times, {path: day.toordinal() for path, day in dates.items()}):
            yield path, "the dates of its patient's films are not in the order of the visits"
        both = {path: (days[path], dates[path]) for path in days if path in dates}
        wrong = set(_find_different(both.values()))
        for path, pair in both.items():
            if pair in wrong:
                yield path, "the days of its patient's rows do not agree with the dates of the films"
        yield from _compare_visits(times, counted, counted)
        if not dates.keys() <= days.keys():  # else all dates may be one that an archive gave to every film
            exams = group_examinations({path: group[path].dated for path in dates})
            first = {path: exam.days[0].toordinal() for path, exam in exams.items()}
            yield from _compare_visits(times, first, {path: day.toordinal() for path, day in dates.items()})


def _count_days(days: Mapping[Path, int], dates: Mapping[Path, date]) -> dict[Path, int]:
    """Return the day of each row; without one, that of the film's date, if rows with both state how days are counted."""
    offsets = {dates[path].toordinal() - day for path, day in days.items() if path in dates}
    if len(offsets) != 1:
        return dict(days)
    (offset,) = offsets
    return {path: day.toordinal() - offset for path, day in dates.items()} | dict(days)


def _compare_visits(
    times: Mapping[Path, int], visits: Mapping[Path, int], days: Mapping[Path, int]
) -> Iterator[tuple[Path, str]]:
    """Yield films of one visit at two time points, and films of one time point whose days are no single visit.

    Parameters
    ----------
    times
        Time point of each row.
    visits
        First day of the visit of each film whose day is known.
    days
        Day of each of these films.
    """
    at_visit: dict[int, set[int]] = defaultdict(set)
    for path, visit in visits.items():
        at_visit[visit].add(times[path])
    for path, visit in visits.items():
        if len(at_visit[visit]) > 1:
            yield path, "films of one day or examination of its patient are named as two visits"
    by_time: dict[int, dict[Path, int]] = defaultdict(dict)
    for path, day in days.items():
        by_time[times[path]][path] = day
    for group in by_time.values():
        if len(split_visits(group.values())) > 1:
            for path in group:
                yield path, "the days of its patient's films of one visit are too far apart for one examination"


def _find_reversed(times: Mapping[Path, int], days: Mapping[Path, int]) -> Iterator[Path]:
    """Yield the files whose day is after one of a later time point, or before one of an earlier time point."""
    ends: dict[int, int] = {}
    starts: dict[int, int] = {}
    for path, day in days.items():
        ends[times[path]] = max(day, ends.get(times[path], day))
        starts[times[path]] = min(day, starts.get(times[path], day))
    for path, day in days.items():
        later = (start for time, start in starts.items() if time > times[path])
        earlier = (end for time, end in ends.items() if time < times[path])
        if any(day > start for start in later) or any(day < end for end in earlier):
            yield path


def _find_different(pairs: Iterable[tuple[int, date]]) -> Iterator[tuple[int, date]]:
    """Yield the days whose difference is not that of their dates. Films that all have one date state no difference."""
    for one, other in combinations(sorted(set(pairs)), 2):
        apart = one[1] - other[1]
        if abs(apart) > _ONE_DAY and abs(apart.days - (one[0] - other[0])) > _MOST_DAYS_APART:
            yield one
            yield other

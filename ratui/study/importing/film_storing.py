"""Convert the films that a plan takes, and store them case by case, with days in place of dates.

A bad file never stops an import. Of a patient, only the pseudonym, the time point and the side are stored in the study.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import ChainMap, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from ratui.errors import FilmError, RatuiError
from ratui.study.accounts import act_as_owner
from ratui.study.case import MOST_DAYS, Case, FilmRecord
from ratui.study.film_files import write_films
from ratui.study.importing import FilmConverter, FilmRequest
from ratui.study.importing.import_report import ImportedFilm
from ratui.study.importing.persons.pseudonyms import KeyFile
from ratui.study.importing.planning.import_plan import ImportPlan, PlanRow
from ratui.study.importing.planning.known_study import find_pixel_digests, find_withdrawn_digests
from ratui.study.importing.planning.visits import split_visits
from ratui.study.study import Study
from ratui.study.withdrawal import list_dependent_readings

__all__ = ["Progress", "TakenFilm", "count_days", "explain_rejection", "list_taken_films", "store_films"]

Progress = Callable[[int, int], None]
_IMPORT_AGAIN = "To import it again, name it in a manifest with yes in the column override"
_ONE_VISIT = (
    "this study is blinded and shared: raters would see which films came first. "
    "Import the films of two or more visits together"
)
_LATE_VISIT = (
    "this study is blinded and shared, and its reading has begun: raters would see that this visit is the last. "
    "Import all visits before the case is read"
)


@dataclass(frozen=True)
class TakenFilm:
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


def list_taken_films(plan: ImportPlan, keys: KeyFile) -> list[TakenFilm]:
    """Return the films to import, in an order that does not depend on that of the files."""
    days = count_days(plan, keys)
    return [
        TakenFilm(
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


def count_days(plan: ImportPlan, keys: KeyFile) -> dict[Path, int | None]:
    """Return the day of each film to take, None if it is unknown, and record the first days in `keys`.

    A day that a manifest states is counted in the manifest's own way. Otherwise the day is that of the film's date, unless
    the dates of the patient's films contradict the time points.
    """
    rows: dict[str, list[PlanRow]] = defaultdict(list)
    for row in plan.taken:
        rows[row.patient].append(row)
    days: dict[Path, int | None] = {}
    for patient, group in rows.items():
        if keys.has_day_count(patient) or (
            keys.find_first_date(patient) is None and any(r.day is not None for r in group)
        ):
            days |= _count_as_manifest(patient, group, keys)
        else:
            days |= _count_from_dates(patient, group, plan, keys)
    return days


def store_films(
    study: Study,
    films: list[TakenFilm],
    converter: FilmConverter,
    keys: KeyFile,
    rejected: dict[Path, str],
    progress: Progress | None,
) -> list[ImportedFilm]:
    """Import the films case by case and return them; add what is not imported to `rejected`."""
    by_case: dict[str, list[TakenFilm]] = defaultdict(list)
    for film in films:
        by_case[keys.assign_case(film.patient)].append(film)
    imported: list[ImportedFilm] = []
    known, done = set(study.cases()), 0
    stored_pixels = find_pixel_digests(study, known)

    def report_progress() -> None:
        nonlocal done
        if progress:
            progress(done, len(films))
        done += 1

    for case_id, group in by_case.items():
        try:
            case = study.case(case_id) if case_id in known else Case(case_id, ())
            imported += _store_case(study, case, group, converter, keys, stored_pixels, rejected, report_progress)
        except RatuiError as error:
            rejected.update((film.path, explain_rejection(error)) for film in group)
    if progress:
        progress(len(films), len(films))
    return imported


def _store_case(
    study: Study,
    case: Case,
    films: list[TakenFilm],
    converter: FilmConverter,
    keys: KeyFile,
    stored_pixels: dict[str, str],
    rejected: dict[Path, str],
    on_film: Callable[[], None],
) -> list[ImportedFilm]:
    """Convert the films of one case, store them together, and return them; add what is not imported to `rejected`.

    `stored_pixels` are the cases of the study's films by digest; those of the new films are added.

    Raises RatuiError if they can't be stored. They are stored at once, so that neither their names, their times nor their
    places on the disk reveal which film was read first.
    """
    imported: list[ImportedFilm] = []
    withdrawn = find_withdrawn_digests(study, case)
    is_closed = bool(case.withdrawn) and not case.films
    files: dict[str, bytes] = {}
    new_pixels: dict[str, str] = {}
    stored, days = case, defaultdict(set)
    for film in films:
        days[film.time].add(film.day)
    for film in films:
        on_film()
        try:
            if is_closed and not film.is_override:  # the patient may have withdrawn the consent
                raise FilmError("all films of its case were withdrawn from the study", film.path, _IMPORT_AGAIN)
            others = days[film.time]
            _check_day(stored, film.time, film.day, others, film.path, is_override=film.is_override)
            known_pixels: Mapping[str, str] = ChainMap(new_pixels, stored_pixels)
            if film.is_override:  # a person stated that an equal picture of another patient is right
                known_pixels = {digest: there for digest, there in known_pixels.items() if there == case.id}
            record, data = _convert_film(study, case, known_pixels, film, converter, keys)
            if record.digest in withdrawn and not film.is_override:
                raise FilmError("it was withdrawn from the study", film.path, _IMPORT_AGAIN)
        except RatuiError as error:
            rejected[film.path] = explain_rejection(error)
            continue
        case = replace(case, films=(*case.films, record))
        new_pixels[record.digest] = case.id
        files[record.id] = data
        note = "; ".join(filter(None, (record.note, film.note)))
        visit = study.config.charter.visit_name(record.time)
        imported.append(ImportedFilm(film.path, case.id, record.time, film.side, note, record.id, visit))
    is_alone = len({film.number for film in case.films}) < 2 and len(study.config.charter.visits) != 1
    why = _ONE_VISIT if is_alone else _LATE_VISIT if _is_late_visit(study, stored, case) else ""
    if files and why and study.config.blinded and study.config.group:
        rejected.update((film.path, why) for film in films if film.path not in rejected)
        return []
    if files:
        with act_as_owner(study.folder, "films"):
            write_films(study.folder, case, files, rewrite=study.config.blinded)
            study.save_case(case)
        stored_pixels.update(new_pixels)
    return imported


def _is_late_visit(study: Study, before: Case, after: Case) -> bool:
    """Return whether `after` has a visit that `before` lacks, although a reading of the case has begun."""
    if {film.number for film in after.films} <= {film.number for film in before.films} or not before.films:
        return False
    return bool(list_dependent_readings(study, before.id, [film.id for film in before.films])[0])


def _convert_film(
    study: Study,
    case: Case,
    stored_pixels: Mapping[str, str],
    film: TakenFilm,
    converter: FilmConverter,
    keys: KeyFile,
) -> tuple[FilmRecord, bytes]:
    """Convert one film; return its record and the bytes of its file. Raises RatuiError."""
    part = study.scheme.views[film.view].part
    converted = converter.convert(film.path, FilmRequest(case.id, film.side, keys.uid_key.hex(), film.spacing))
    there = stored_pixels.get(converted.digest) or stored_pixels.get(converted.plain_digest)
    if there == case.id:
        raise FilmError("the same film is in the study already", film.path, "Nothing to do")
    if there:
        raise FilmError(
            f"the same film is in the study already, as one of another patient, case {there}",
            film.path,
            "Check the patient ID of both files",
        )
    if case.has_film(film.time, film.side, part, study.scheme):
        problem = f"{study.config.charter.visit_name(film.time)} of this case has a film of that side already"
        raise FilmError(problem, film.path, "Choose one of the two in a manifest")
    record = FilmRecord(
        id=secrets.token_hex(6),
        time=film.time,
        side=film.side,
        view=film.view,
        rows=converted.rows,
        columns=converted.columns,
        day=film.day,
        spacing=converted.spacing,
        spacing_source=converted.spacing_source,
        digest=converted.digest,
        file=hashlib.sha256(converted.data).hexdigest(),
        note=converted.note,
        aspect=converted.aspect,
    )
    return record, converted.data


def _check_day(
    case: Case, time: int, day: int | None, others: Collection[int | None], path: Path, *, is_override: bool
) -> None:
    """Raise FilmError if the day of a new film contradicts the films of its case that are in the study.

    A day that a film list can't contain is an error in any case.

    Parameters
    ----------
    case
        The case in the study.
    time, day
        Time point and day of the new film.
    others
        Days of all new films of that time point.
    path
        The film's file, for the error.
    is_override
        True if a person stated that the day is right in spite of a contradiction.
    """
    if day is None:
        return
    if abs(day) > MOST_DAYS:
        problem = f"its day is more than {MOST_DAYS} days from the first film of its patient"
        raise FilmError(problem, path, "Correct its row in the manifest")
    stored = [(film.number, film.day) for film in case.films if film.day is not None]
    same = {there for number, there in stored if number == time}
    visit = next(
        days for days in split_visits(each for each in (*same, *others, day) if each is not None) if day in days
    )
    is_reversed = any(there == day or (number < time) != (there < day) for number, there in stored if number != time)
    if not is_override and (is_reversed or (same and same.isdisjoint(visit))):
        remedy = "Correct its row in the manifest, or write yes in its column override"
        raise FilmError("its day contradicts the visits of its case", path, remedy)


def _count_as_manifest(patient: str, rows: list[PlanRow], keys: KeyFile) -> dict[Path, int | None]:
    """Return the days as a manifest counts them; dates are counted likewise if one film has both."""
    offsets = {row.exam_date.toordinal() - row.day for row in rows if row.exam_date and row.day is not None}
    counted: dict[Path, int | None] = {}
    for row in rows:
        counted[row.path] = row.day
        if row.day is None and row.exam_date and len(offsets) == 1:
            counted[row.path] = row.exam_date.toordinal() - next(iter(offsets))
    return {
        path: None if day is None else keys.count_days(patient, day)
        for path, day in sorted(counted.items(), key=lambda item: item[1] or 0)
    }


def _count_from_dates(patient: str, rows: list[PlanRow], plan: ImportPlan, keys: KeyFile) -> dict[Path, int | None]:
    """Return the days between the dates of the films and the first date of the patient."""
    dates = _find_dates(rows)
    if not dates or not _are_in_order(dates.values()):
        return dict.fromkeys((row.path for row in rows), None)
    planned = plan.dates.get(patient, ())
    if planned and all(time < len(planned) and planned[time] == day for time, day in dates.items()):
        keys.record_days(patient, planned)
    elif not keys.list_days(patient) and set(dates) == set(range(len(dates))):
        keys.record_days(patient, dates.values())
    first = keys.find_first_date(patient) or min(dates.values())
    keys.record_first_date(patient, first)
    return {row.path: (row.exam_date - first).days if row.exam_date else None for row in rows}


def _find_dates(rows: Iterable[PlanRow]) -> dict[int, date]:
    """Return the first date of each time point, in the order of the time points."""
    dates: dict[int, date] = {}
    for row in rows:
        if row.exam_date and row.time is not None:
            dates[row.time] = min(row.exam_date, dates.get(row.time, row.exam_date))
    return dict(sorted(dates.items()))


def _are_in_order(dates: Iterable[date]) -> bool:
    dates = list(dates)
    return dates == sorted(set(dates))


def explain_rejection(error: RatuiError) -> str:
    """Return the reason for a file that is not imported: problem and remedy of an error."""
    return f"{error.problem}. {error.remedy}" if error.remedy else error.problem

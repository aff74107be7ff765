"""Read from the study and its key what an import compares its films with: persons, dates, pictures and rejected films."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from ratui.errors import RatuiError
from ratui.imaging import read_stored_film
from ratui.imaging.dicom_reader import read_stored_dataset
from ratui.study.campaign.charter import PlannedVisit
from ratui.study.case import Case, FilmRecord
from ratui.study.film_files import read_film_data
from ratui.study.importing.persons.assignment import KnownPerson
from ratui.study.importing.persons.pseudonyms import KeyFile
from ratui.study.importing.planning.import_plan import ImportPlan
from ratui.study.importing.planning.rejections import list_rejected_images
from ratui.study.importing.reader.deidentification import hash_uids
from ratui.study.importing.reader.film_header import FilmHeader
from ratui.study.study import Study

__all__ = [
    "KnownStudy",
    "find_pixel_digests",
    "find_withdrawn_digests",
    "name_late_rejections",
    "read_known_study",
]


@dataclass(frozen=True)
class KnownStudy:
    """The persons and dates of earlier imports, from the key file and the study.

    Attributes
    ----------
    persons
        The persons, with digests of what their films state.
    digest
        Keyed digest of a text.
    dates
        Dates of the time points, by name in the key file.
    in_study
        Names in the key file of the persons whose cases are in the study.
    known_only
        Those of them of whom the study has films of exactly the visits of these dates, the first ones.
    withdrawn
        Digests of pictures that were withdrawn from the study, by name in the key file of the person.
    visits
        The visits that a patient has at most, by number.
    """

    persons: tuple[KnownPerson, ...] = ()
    digest: Callable[[str], str] = str
    dates: Mapping[str, tuple[date, ...]] = field(default_factory=dict)
    in_study: frozenset[str] = frozenset()
    known_only: frozenset[str] = frozenset()
    withdrawn: Mapping[str, frozenset[str]] = field(default_factory=dict)
    visits: tuple[PlannedVisit, ...] = (PlannedVisit("earlier"), PlannedVisit("later"))


def read_known_study(study: Study, keys: KeyFile, visits: tuple[PlannedVisit, ...]) -> KnownStudy:
    """Return the persons and dates of earlier imports into `study`, whose key is `keys`. `visits` are those of a patient."""
    cases, persons = set(study.cases()), keys.persons
    in_study = frozenset(person.key for person in persons if keys.find_case(person.key) in cases)
    known_only = frozenset(
        person
        for person in in_study
        if (count := len(keys.list_days(person))) and _has_first_visits_only(study, keys.find_case(person), count)
    )
    withdrawn = _list_withdrawn_digests(study, {person: keys.find_case(person) for person in in_study})
    return KnownStudy(persons, keys.digest, keys.dates, in_study, known_only, withdrawn, visits)


def find_pixel_digests(study: Study, cases: Iterable[str]) -> dict[str, str]:
    """Return the case of each digest of pixels in the study.

    Films of damaged lists are left out, and those that were withdrawn.
    """
    found: dict[str, str] = {}
    for case in sorted(cases):
        with contextlib.suppress(RatuiError):  # a film of a damaged case is refused when it is saved
            # Up to format 2 of a study, the film list itself contains the digests.
            films = {film.id: film.digest for film in study.case(case).films}
            found.update({digest: case for digest in films.values() if digest})
            found.update({visit.pixels: case for film, visit in study.visits(case).items() if film in films})
    found.pop("", None)
    return found


def find_withdrawn_digests(study: Study, case: Case) -> frozenset[str]:
    """Return the digests of the films that were withdrawn from `case`. Raises StoreError."""
    if not case.withdrawn:
        return frozenset()
    visits = study.visits(case.id)
    return frozenset(visits[film].pixels for film, _ in case.withdrawn if film in visits)


def name_late_rejections(
    plan: ImportPlan, headers: Mapping[Path, FilmHeader], study: Study, keys: KeyFile
) -> ImportPlan:
    """Return `plan` with the rejected films of the study in the reasons of the key object notes.

    Parameters
    ----------
    plan
        The plan of an import into `study`.
    headers
        Headers of its files.
    study, keys
        The study and its key. Films of which a repair changed the UID are not found.
    """
    rows = {row.path: row for row in plan.rows}
    for path, header in headers.items():
        images = list_rejected_images(header)
        case = keys.find_case(rows[path].patient) if images else ""
        films = _find_rejected_films(study, case, images, keys.uid_key) if case else []
        if films:
            named = f"{', '.join(film.id for film in films)} of case {case}"
            reason = f"{rows[path].reason}. It rejects film {named} in the study, too: see ratui withdraw"
            rows[path] = replace(rows[path], reason=reason)
    return replace(plan, rows=tuple(rows.values()))


def _find_rejected_films(study: Study, case: str, images: Collection[tuple[str, str]], key: bytes) -> list[FilmRecord]:
    found = []
    with contextlib.suppress(RatuiError):  # a damaged case is reported by `ratui check`
        for film in study.case(case).films:
            with contextlib.suppress(RatuiError):
                if _is_among(study, case, film, images, key):
                    found.append(film)
    return found


def _is_among(study: Study, case: str, film: FilmRecord, images: Collection[tuple[str, str]], key: bytes) -> bool:
    """Return whether a film was made from one of `images`: its UIDs are computed from theirs again."""
    path, data = study.film_path(case, film.id), read_film_data(study.folder, case, film.id)
    dataset, pixels = read_stored_dataset(data, path), read_stored_film(data, path).pixels
    own = {keyword: str(dataset.get(keyword, "")) for keyword in ("StudyInstanceUID", "SOPInstanceUID")}
    for study_uid, uid in images:
        old = {"StudyInstanceUID": study_uid, "SOPInstanceUID": uid}
        if hash_uids(old, pixels, case=case, key=key).items() >= own.items():
            return True
    return False


def _has_first_visits_only(study: Study, case_id: str, count: int) -> bool:
    """Return whether a case has films of each of its first `count` visits and of no other one, also no withdrawn ones."""
    try:
        case = study.case(case_id)
    except RatuiError:  # a damaged case gets no further visit; its own films report the damage
        return False
    first = {*range(count)}
    return {film.number for film in case.films} == first and all(time in first for _, time in case.withdrawn)


def _list_withdrawn_digests(study: Study, cases: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """Return the digests of `find_withdrawn_digests` for each person, whose case `cases` names.

    Damaged cases are left out: their films are refused when they are saved.
    """
    found: dict[str, frozenset[str]] = {}
    for person, case in sorted(cases.items()):
        with contextlib.suppress(RatuiError):
            found[person] = find_withdrawn_digests(study, study.case(case))
    return {person: digests for person, digests in found.items() if digests}

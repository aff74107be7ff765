"""Take over films from another copy of a study, through the checks that an import makes.

Each file is read in the reader process and must be exactly what an import writes. So it contains no name, no private
element, and no byte before or after the film. Its record is made anew: no text of the other copy is taken over.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ratui.errors import FilmError, RatuiError, StoreError, StudyError, clean_text
from ratui.files import check_name
from ratui.study.accounts import act_as_owner
from ratui.study.case import MOST_VISITS, Case, FilmRecord
from ratui.study.copies.foreign_copy import ForeignCopy, checked_values
from ratui.study.copies.merge_result import MergeResult
from ratui.study.film_files import read_film_data, write_films
from ratui.study.importing.planning.known_study import find_pixel_digests
from ratui.study.importing.reader.reader_process import ReaderProcess
from ratui.study.store import FileLock
from ratui.study.store.locking import check_free
from ratui.study.study import Study

__all__ = ["merge_films"]

_MOST_CASES = 200_000
_MOST_FILMS = 64
"""Limit of the number of films of one case."""
_LONGEST = 40_000  # days
_DIGEST = re.compile(r"[0-9a-f]{64}")


def merge_films(copy: ForeignCopy, raters: Sequence[str], *, dry_run: bool) -> Iterator[MergeResult]:
    """Add the films that `copy` has and the study lacks; the parameters are those of `merge`.

    Raises
    ------
    StudyError
        If this account does not manage the study, or the copy is a package without time points.
    """
    study = copy.study
    study.check_manager("take over films")
    other = Study(copy.folder.path, copy.config, study.scheme, folder=copy.folder)
    pixels = find_pixel_digests(study, study.cases())
    with ReaderProcess() as reader:
        for name in copy.folder.folders("films", most=_MOST_CASES):
            item = f"films of {clean_text(name, 40)}"
            try:
                yield from _merge_case(copy, other, name, raters, pixels, reader, dry_run)
            except RatuiError as error:
                yield MergeResult("conflict", item, f"{error.problem}; nothing was changed")


def _merge_case(
    copy: ForeignCopy,
    other: Study,
    name: str,
    raters: Sequence[str],
    pixels: dict[str, str],
    reader: ReaderProcess,
    dry_run: bool,
) -> Iterator[MergeResult]:
    study = copy.study
    with checked_values("its films are not those of a study", name):
        theirs, visits = other.case(check_name(name, "case")).as_stored(), other.visits(name)
    if len(theirs.films) > _MOST_FILMS:
        raise StoreError("it has too many films", name, "Ask the other site")
    ours = _films_here(study, name)
    films, files = list(ours.films), dict[str, bytes]()
    added: list[MergeResult] = []
    for film in theirs.films:
        item = f"film {clean_text(film.id, 40)} of {name}"
        known = next((each for each in ours.films if each.id == film.id), None)
        if known is not None:
            if (known.file, known.side, known.view, known.number) != (film.file, film.side, film.view, film.number):
                yield MergeResult("conflict", item, "its record differs")
            continue
        try:
            digest = visits[film.id].pixels if film.id in visits else film.digest
            record, data = _take_film(study, copy, name, replace(film, digest=digest), films, pixels, reader)
        except RatuiError as error:
            yield MergeResult("conflict", item, error.problem)
            continue
        films.append(record)
        files[record.id] = data
        added.append(MergeResult("added", item, case=name))
    if files and dry_run:
        check_free(study.folder.file("import.lock"))
    elif files:
        positions = _positions(study, other, ours, raters)
        case = replace(ours, films=tuple(films))
        with act_as_owner(study.folder, "films"), FileLock(study.folder.file("import.lock")):
            if _films_here(study, name) != ours:
                raise StoreError("an import has changed it meanwhile", name, "Merge again")
            write_films(study.folder, case, files, rewrite=study.config.blinded)
            study.save_case(case, positions=positions)
    pixels.update({film.digest: name for film in films if film.digest})
    yield from added  # after the write, which may fail


def _films_here(study: Study, case: str) -> Case:
    return study.case(case) if case in study.cases() else Case(case, ())


def _take_film(
    study: Study,
    copy: ForeignCopy,
    case: str,
    film: FilmRecord,
    others: Sequence[FilmRecord],
    pixels: Mapping[str, str],
    reader: ReaderProcess,
) -> tuple[FilmRecord, bytes]:
    """Return a new record of a film of the other copy, and the bytes of its file. Raises RatuiError."""
    path = copy.folder.path / "films" / case / f"{check_name(film.id, 'film')}.dcm"
    with checked_values("its record is not that of a film", path):
        visit = film.number
        if film.view not in study.scheme.views or film.side not in ("L", "R", "B") or not 0 <= visit < MOST_VISITS:
            raise ValueError("a record of another study")
        if film.day is not None and not 0 <= film.day <= _LONGEST:
            raise ValueError("an impossible day")
        if not (_DIGEST.fullmatch(film.file) and (not film.digest or _DIGEST.fullmatch(film.digest))):
            raise ValueError("no digest")
    if any(_is_same_view(study, film, each) for each in others):
        raise StudyError(f"{study.config.charter.visit_name(visit)} has another film of that side here", path)
    there = pixels.get(film.digest)
    if film.digest and there:
        raise StudyError(f"the same film is in the study already, in case {there}", path)
    size = reader.verify(path, case, film.side)
    data = read_film_data(copy.folder, case, film.id)  # of these bytes the digest is compared with the verified one
    if not hashlib.sha256(data).hexdigest() == size.file == film.file:
        raise FilmError("its file there is damaged, or changes", path)
    if (film.rows, film.columns) != (size.rows, size.columns):
        raise FilmError("its record states another size", path)
    measured = film if _is_plausible(film) else size
    record = FilmRecord(
        id=film.id,
        time=visit,
        side=film.side,
        view=film.view,
        rows=size.rows,
        columns=size.columns,
        day=film.day,
        spacing=measured.spacing,
        spacing_source=measured.spacing_source,
        digest=film.digest,
        file=film.file,
        note=size.note,
        aspect=measured.aspect,
    )
    return record, data


def _is_plausible(film: FilmRecord) -> bool:
    """Return whether the size of a pixel, which a manifest may have given instead of the file, is possible."""
    return all(0.001 < value < 1000 for value in (film.aspect, *(film.spacing or ())))


def _is_same_view(study: Study, one: FilmRecord, other: FilmRecord) -> bool:
    views = study.scheme.views
    here = one.number == other.number and views[one.view].part == views[other.view].part
    return here and bool(set(one.sides) & set(other.sides))


def _positions(study: Study, other: Study, ours: Case, raters: Sequence[str]) -> dict[str, tuple[tuple[str, ...], ...]]:
    """Return the positions before the new films: those there for the named raters who have not begun here."""
    there = other.positions(ours.id)
    if not ours.films:
        return {} if study.config.raters_per_case else {rater: there[rater] for rater in raters if rater in there}
    found = dict(study.positions(ours.id))
    for rater in raters:
        if rater in found and rater in there and study.as_rater(rater).reading(rater, ours.id) is None:
            found[rater] = there[rater]
    return found

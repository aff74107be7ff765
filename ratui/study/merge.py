"""Merge a copy of a study that was read at another site: take over what is missing here and report what differs.

Existing files are never replaced, with one exception: a reading is replaced by one that continues it. The log of the new
reading then begins with the complete log of the old one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from ratui.errors import DamagedError, FilmError, StoreError, StudyError
from ratui.study.case import Case, FilmRecord, Region
from ratui.study.check.copies import check_tables
from ratui.study.config import CONSENSUS, write_settings
from ratui.study.film_files import read_film_data
from ratui.study.store import FileLock, StudyFile
from ratui.study.store.seal import read_log_chain
from ratui.study.study import Study

__all__ = ["MergeResult", "merge"]

MergeOutcome: TypeAlias = Literal["added", "continued", "conflict"]


@dataclass(frozen=True)
class MergeResult:
    """The outcome for one thing of the other study.

    Attributes
    ----------
    outcome
        ``added``, ``continued`` (a reading with more entries) or ``conflict`` (nothing was changed).
    item
        Description of the thing, such as ``reading of C-1 by anna``.
    reason
        What differs, in a conflict.
    """

    outcome: MergeOutcome
    item: str
    reason: str = ""


def merge(study: Study, other: Study, *, dry_run: bool = False) -> list[MergeResult]:
    """Add to `study` what `other` contains and `study` lacks.

    Parameters
    ----------
    study
        The study to extend.
    other
        A copy of the same study in which raters went on elsewhere.
    dry_run
        Write nothing; only return what would be done.

    Returns
    -------
    list of MergeResult
        One result for each thing that is new or in conflict.

    Raises
    ------
    StudyError
        If `other` is another study, has another scheme, format or order, or is damaged.
    """
    if other.config.id != study.config.id:
        raise StudyError("it is another study", other.path, "Only copies of one study can be merged")
    if other.config.scheme != study.config.scheme or other.config.stored_format != study.config.stored_format:
        raise StudyError("it has another scheme or format", other.path, "Convert both with: ratui check STUDY --repair")
    if other.config.blinded != study.config.blinded or other.config.secret != study.config.secret:
        raise StudyError(
            "it shows the time points in another order", other.path, "Only copies of one study can be merged"
        )
    if study.config.stored_format < 2:
        raise StudyError("it has no checksums yet", study.path, "Convert both with: ratui check STUDY --repair")
    done = list(_raters(study, other, dry_run))
    for case in other.cases():
        done += _films(study, other, case, dry_run)
    for case in other.cases():
        done += _regions(study, other, case, dry_run)
        for rater in (*other.config.raters, CONSENSUS):
            done += _reading(study, other, rater, case, dry_run)
    done += _proposals(study, other, dry_run)
    return done


def _raters(study: Study, other: Study, dry_run: bool) -> Iterator[MergeResult]:
    new = [rater for rater in other.config.raters if rater not in study.config.raters]
    if new and not dry_run:
        study.config = replace(study.config, raters=(*study.config.raters, *new))
        write_settings(study.folder, study.config)
    for rater in new:
        yield MergeResult("added", f"rater {rater}")


def _films(study: Study, other: Study, case: str, dry_run: bool) -> Iterator[MergeResult]:
    theirs = other.case(case)
    ours = study.case(case) if case in study.cases() else Case(case, ())
    known = {film.id: film for film in ours.films}
    films = list(ours.films)
    for film in theirs.films:
        item = f"film {film.id} of {case}"
        if film.id in known:
            if known[film.id] != film:
                yield MergeResult("conflict", item, "its record differs")
            continue
        if any(_is_same_view(study, film, each) for each in films):
            yield MergeResult("conflict", item, f"time point {film.time} has another film of that side here")
            continue
        try:
            data = read_film_data(other.folder, case, film.id)
        except FilmError:
            data = b""
        if hashlib.sha256(data).hexdigest() != film.file:
            yield MergeResult("conflict", item, "its file there is damaged or missing")
            continue
        if not dry_run:
            study.folder.make_folder(f"films/{case}")
            study.folder.write(f"films/{case}/{film.id}.dcm", data, copy=False)
        films.append(film)
        yield MergeResult("added", item)
    if len(films) > len(ours.films) and not dry_run:
        study.save_case(Case(case, tuple(films)))


def _is_same_view(study: Study, one: FilmRecord, other: FilmRecord) -> bool:
    views = study.scheme.views
    here = one.time == other.time and views[one.view].part == views[other.view].part
    return here and bool(set(one.sides) & set(other.sides))


def _regions(study: Study, other: Study, case: str, dry_run: bool) -> Iterator[MergeResult]:
    ours, theirs = study.regions(case), other.regions(case)
    for film in sorted({region.film for region in theirs}):
        here = sorted((r for r in ours if r.film == film), key=lambda r: r.site)
        there = sorted((r for r in theirs if r.film == film), key=lambda r: r.site)
        item = f"regions on film {film} of {case}"
        if not here:
            if not dry_run:
                study.save_regions(case, there, films={film})
            yield MergeResult("added", item)
        elif count := _count_differing_boxes(here, there):
            boxes = "1 box differs" if count == 1 else f"{count} boxes differ"
            yield MergeResult("conflict", item, f"{boxes}; those here stay")


def _count_differing_boxes(here: Sequence[Region], there: Sequence[Region]) -> int:
    """Return the number of sites at which two lists differ for a rater: in the box, or in whether it is confirmed.

    The rater who confirmed a box and the source of the box do not count: the raters of two copies each confirm the same box.
    """
    ours, theirs = ({region.site: (region.box, bool(region.confirmed_by)) for region in each} for each in (here, there))
    return sum(ours.get(site) != theirs.get(site) for site in ours.keys() | theirs.keys())


def _reading(study: Study, other: Study, rater: str, case: str, dry_run: bool) -> Iterator[MergeResult]:
    inside = f"readings/{rater}/{case}.json"
    source, target = other.folder.file(inside), study.folder.file(inside)
    item = f"reading of {case} by {rater}"
    try:
        if other.reading(rater, case) is None:
            return
        theirs = _read_intact(source)
        study.folder.make_folder(target.parent, group=0o050)
        with FileLock(target.with_suffix(".lock")):
            ours = None if study.reading(rater, case) is None else _read_intact(target)
            yield from _merge_reading(item, target, ours, theirs, dry_run)
    except StoreError as error:  # a file is damaged, or the reading is open
        yield MergeResult("conflict", item, f"{error.problem}; nothing was changed")


def _merge_reading(
    item: str, target: StudyFile, ours: bytes | None, theirs: bytes, dry_run: bool
) -> Iterator[MergeResult]:
    if ours is None:
        if not dry_run:
            target.folder.write(target.inside, theirs)
        yield MergeResult("added", item)
        return
    here, there = read_log_chain(ours), read_log_chain(theirs)
    same = sum(
        one == other for one, other in zip(here, there, strict=False)
    )  # chains that differ once differ from there on
    if same < min(len(here), len(there)):
        yield MergeResult("conflict", item, f"both went on after entry {same}; the one here stays")
    elif len(there) > len(here):
        if not dry_run:
            target.folder.write(target.inside, theirs)
        yield MergeResult("continued", item, f"{len(there) - same} entries more")


def _read_intact(file: StudyFile) -> bytes:
    """Return the bytes of a table file, or of its second copy. Raises DamagedError."""
    stored = file.folder.read_intact(file.inside, check_tables(file.path, unsealed=False))
    if stored is None:
        raise DamagedError("it is missing", file.path)
    return stored[0]


def _proposals(study: Study, other: Study, dry_run: bool) -> Iterator[MergeResult]:
    for model in other.proposal_models():
        for name in other.folder.files(f"proposals/{model}", ".json"):
            source, target = (each.folder.file(f"proposals/{model}/{name}") for each in (other, study))
            item = f"proposals of {model} for {source.stem}"
            try:
                data = _read_intact(source)
                if not study.folder.exists(target.inside):
                    if not dry_run:
                        study.folder.make_folder(target.parent)
                        study.folder.write(target.inside, data)
                    yield MergeResult("added", item)
                elif _read_intact(target) != data:
                    yield MergeResult("conflict", item, "they differ; those here stay")
            except StoreError as error:
                yield MergeResult("conflict", item, f"{error.problem}; nothing was changed")

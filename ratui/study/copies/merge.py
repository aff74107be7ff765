"""Merge a copy of a study that was used at another site: take over readings of named raters, and report what differs.

The other copy is foreign data, and counts only for the raters who are named. Their readings and display tests are
taken over, and the boxes that they confirmed where none is confirmed here. A reading is replaced only by one that continues
it, and never after it was signed here. Settings, raters, consensus, proposals, predictions, measurements and journals of the
other copy are not taken over.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from ratui.errors import RatuiError, StudyError, clean_text
from ratui.reading import to_positions
from ratui.study.accounts import account_name, act_as_owner, check_account
from ratui.study.campaign.display_tests import load_display_tests, write_display_tests
from ratui.study.campaign.qualifications import check_qualified
from ratui.study.case import Case, Region
from ratui.study.config_files import CONSENSUS
from ratui.study.copies.foreign_copy import ForeignCopy, ForeignReading
from ratui.study.copies.merge_films import merge_films
from ratui.study.copies.merge_result import MergeOutcome, MergeResult
from ratui.study.readings.reading_session import ReadingEvidence
from ratui.study.readings.restored import RESTORED, find_reading, take_over_restored
from ratui.study.readings.stored_reading import stored_evidence
from ratui.study.region_store import FilmOrientation
from ratui.study.store import FileLock, StudyLock, read_intact
from ratui.study.store.locking import check_free
from ratui.study.study import Study

__all__ = ["MergeResult", "merge"]

_MOST_NAMES = 5
"""Number of unknown names in a message; the others are counted."""


def merge(
    study: Study, other: Path, raters: Sequence[str], *, films: bool = False, dry_run: bool = False
) -> list[MergeResult]:
    """Take over from the copy in the folder `other` what `raters` have read there.

    Parameters
    ----------
    study
        The study to extend.
    other
        A copy of the same study in which raters went on elsewhere. It is read only, and nothing in it is trusted.
    raters
        Names of the raters whose readings, display tests and confirmed boxes are taken over.
    films
        Also take over films that this study lacks, from a copy that contains their time points. Only managers can do this.
    dry_run
        Write nothing; only return what would be done.

    Returns
    -------
    list of MergeResult
        One result for each thing that is new or in conflict.

    Raises
    ------
    StudyError
        If `other` is no copy of the study, a rater is unknown, or this account may not write a rater's readings.
    """
    study.check_unlocked()
    for rater in raters:
        _check_rater(study, rater)
    copy = ForeignCopy(study, other)
    done: list[MergeResult] = []
    if films:
        done += merge_films(copy, raters, dry_run=dry_run)
    # What depends on films that only a real merge would add can't be compared in a dry run.
    waiting = frozenset(result.case for result in done if result.outcome == "added") if dry_run else frozenset[str]()
    for case in study.cases():
        if case not in waiting:
            done += _regions(copy, case, raters, dry_run)
    for rater in dict.fromkeys(raters):
        done += _readings(copy, study.as_rater(rater), dry_run, waiting)
        done += _display_tests(copy, study.as_rater(rater), dry_run)
    done += _skipped(copy, raters)
    return done


def _check_rater(study: Study, rater: str) -> None:
    """Raise StudyError unless `rater` is one of the study, qualified, and this account may write their readings.

    Only managers merge what a rater who has left had read before.
    """
    if rater == CONSENSUS:
        problem = "the consensus is never merged"
        raise StudyError(problem, study.path, "Adjudicate in this study, after all raters have signed")
    if rater not in study.config.raters:
        known = ", ".join(study.config.raters)
        raise StudyError(f"{clean_text(rater)} is not a rater of this study", study.path, f"Its raters are: {known}")
    check_qualified(study.folder, study.config, rater)
    if rater in study.config.departed and not study.is_manager:
        raise StudyError(f"{rater} has left the study", study.path, "Ask a manager of the study")
    folder = study.folder.find(f"readings/{rater}")
    if folder is not None and os.geteuid() not in (0, folder.st_uid):
        owner = account_name(folder.st_uid)
        raise StudyError(f"the readings of {rater} here belong to the account {owner}", study.path, "Merge as root")
    if folder is None and os.geteuid() not in (0, study.folder.owner):
        check_account(study.folder, rater)


# Readings.


def _readings(copy: ForeignCopy, study: Study, dry_run: bool, waiting: Collection[str]) -> Iterator[MergeResult]:
    """Merge the readings of the rater whose view `study` is. A view needs no private file.

    In a dry run, `waiting` are the cases whose films would be added first.
    """
    rater, known, unknown = study.view, set(study.cases()), []
    try:
        names = copy.cases_of(rater)
    except RatuiError as error:
        yield MergeResult("conflict", f"readings by {rater}", f"{error.problem}; nothing was changed")
        return
    for name in names:
        if name in waiting:
            reason = "its films come first, so it was not compared; a merge may find a conflict"
            yield MergeResult("added", f"reading of {name} by {rater}", reason)
        elif name in known:
            yield from _reading(copy, study, name, dry_run)
        else:
            unknown.append(name)
    if unknown:
        yield MergeResult("conflict", f"readings by {rater}", f"this study has no case {_list_names(unknown)}")


def _reading(copy: ForeignCopy, study: Study, id: str, dry_run: bool) -> Iterator[MergeResult]:
    item = f"reading of {id} by {study.view}"
    try:
        case = study.case(id)
        why = case.unreadable_reason(study.scheme)
        if why:
            raise StudyError(f"it can't be read: {why}", id, "Import its other films")
        theirs = copy.reading(study.view, case)
        if theirs is None:
            return
        outcome, reason = _compare(study, case, theirs)
        if outcome in ("added", "continued"):
            if dry_run:
                check_free(study.folder.file(f"{_target_folder(study, dry_run=True)}/{case.id}.lock"))
            else:
                outcome, reason = _store(study, case, theirs)
        if outcome is not None:
            yield MergeResult(outcome, item, reason)
    except RatuiError as error:  # a file is damaged or not what it should be, or the reading is open
        yield MergeResult("conflict", item, f"{error.problem}; nothing was changed")


def _compare(study: Study, case: Case, theirs: ForeignReading) -> tuple[MergeOutcome | None, str]:
    """Return what a merge of `theirs` into the reading here does, and the details; None for nothing. Raises RatuiError."""
    ours = study.reading(study.view, case.id)
    if ours is None:
        return "added", ""
    here, there = to_positions(ours).log, theirs.reading.log  # visits may have come that are at other positions here
    same = next((n for n, (one, other) in enumerate(zip(here, there, strict=False)) if one != other), None)
    if same is not None:
        return "conflict", f"both went on after entry {same}; the one here stays"
    if len(there) <= len(here):
        return None, ""
    if ours.signed_at:
        return "conflict", "it is signed here, and went on there; the one here stays"
    if not _continues(study, case, theirs.evidence):
        return "conflict", "its films or the time of its entries are others than here; the one here stays"
    more = len(there) - len(here)
    return "continued", "1 entry more" if more == 1 else f"{more} entries more"


def _continues(study: Study, case: Case, there: ReadingEvidence) -> bool:
    """Return whether the evidence of a reading that goes on begins with that of the reading here."""
    stored = read_intact(find_reading(study.folder, study.view, case.id))
    here = stored_evidence(stored, (), case, study.config.id)
    return (
        list(here.films) in ([], list(there.films))
        and here.seconds == there.seconds[: len(here.seconds)]
        and list(here.times) == list(there.times[: len(here.times)])
    )


def _store(study: Study, case: Case, theirs: ForeignReading) -> tuple[MergeOutcome | None, str]:
    """Write the reading `theirs`, if that is still right when nobody else can write it. Raises RatuiError."""
    folder = _target_folder(study)
    target = study.folder.file(f"{folder}/{case.id}.json")
    with act_as_owner(study.folder, folder):
        study.folder.make_folder(folder.partition("/")[0], group=0o050)
        study.folder.make_folder(folder, group=0o050)
        with FileLock(target.with_suffix(".lock")):
            outcome, reason = _compare(study, case, theirs)
            if outcome in ("added", "continued"):
                with StudyLock(study.folder).shared():
                    study.folder.write(target.inside, theirs.data)
    return outcome, reason


def _target_folder(study: Study, *, dry_run: bool = False) -> str:
    """Return the folder for the readings of the rater whose view `study` is. Raises StoreError.

    In a shared study the owner must not create a rater's folder, because it belongs to the rater's account. Until that
    account opens a reading, its readings wait as those of a restored study do.
    """
    own = f"readings/{study.view}"
    if study.folder.exists(own):
        return own
    if study.config.group and os.geteuid() in (0, study.folder.owner):
        return f"{RESTORED}/{study.view}"
    if not dry_run:
        take_over_restored(study.folder, study.view)
    return own


def _display_tests(copy: ForeignCopy, study: Study, dry_run: bool) -> Iterator[MergeResult]:
    """Add the display tests of the rater whose view `study` is to those here."""
    rater = study.view
    item = f"display tests by {rater}"
    try:
        offered = copy.display_tests(rater)
        known = {test.id for test in load_display_tests(study.folder, rater)} if offered else set()
        new = [test for test in offered if test.id not in known]
        if new and not dry_run:
            folder = _target_folder(study)
            with act_as_owner(study.folder, folder):
                study.folder.make_folder(folder.partition("/")[0], group=0o050)
                write_display_tests(study.folder, folder, rater, new)
        if new:
            yield MergeResult("added", item, "1 test" if len(new) == 1 else f"{len(new)} tests")
    except RatuiError as error:
        yield MergeResult("conflict", item, f"{error.problem}; nothing was changed")


# Regions.


def _regions(copy: ForeignCopy, id: str, raters: Sequence[str], dry_run: bool) -> Iterator[MergeResult]:
    """Add the regions that `raters` confirmed there to those of the case `id`; those confirmed here stay."""
    study = copy.study
    try:
        readers = [rater for rater in study.raters_of(id) if rater in raters]
        if not readers:
            return
        case = study.shown_case(readers[0], id).as_stored()
        theirs, turned = copy.confirmed_regions(case, readers), copy.orientations(case, readers)
        new, differing = _divide(study.stored_regions(id), theirs)
        turns = _new_orientations(study.orientations(id), turned)
        if (new or turns) and dry_run:
            check_free(study.folder.file(f"regions/{case.id}.lock"))
        elif new or turns:
            with act_as_owner(study.folder, "regions"), study.regions_lock(id):
                stored, here = study.stored_regions(id), study.orientations(id)
                new, differing = _divide(stored, theirs)
                turns = _new_orientations(here, turned)
                added = {(region.site, region.film) for region in new}
                kept = [region for region in stored if (region.site, region.film) not in added]
                study.write_regions(id, (*kept, *new), (*here.values(), *turns))
        yield from _region_results(case, new, differing)
        yield from _orientation_results(case, turns, study.orientations(id), turned)
    except RatuiError as error:
        yield MergeResult("conflict", f"regions of {id}", f"{error.problem}; nothing was changed")


def _divide(ours: Sequence[Region], theirs: Sequence[Region]) -> tuple[list[Region], list[Region]]:
    """Return the regions of `theirs` that are new here, and those that differ from ours.

    The rater who confirmed a box and the source of the box do not count: the raters of two copies each confirm the same box.
    A box that is here and not confirmed can only be confirmed by the other copy, not moved.
    """
    here = {(region.site, region.film): region for region in ours}
    new, differing = [], []
    for region in theirs:
        known = here.get((region.site, region.film))
        if known is None or (known.box == region.box and not known.confirmed_by):
            new.append(region)
        elif known.box != region.box:
            differing.append(region)
    return new, differing


def _new_orientations(
    here: Mapping[str, FilmOrientation], there: Sequence[FilmOrientation]
) -> list[FilmOrientation]:  # fmt: skip
    """Return the orientations that raters set there for films whose orientation was never set here."""
    return [each for each in there if each.film not in here]


def _orientation_results(
    case: Case, new: Sequence[FilmOrientation], here: Mapping[str, FilmOrientation], there: Sequence[FilmOrientation]
) -> Iterator[MergeResult]:
    for each in sorted(there, key=lambda each: each.film):
        item = f"orientation of film {each.film} of {case.id}"
        if each in new:
            yield MergeResult("added", item)
        elif here[each.film].orientation is not each.orientation:
            yield MergeResult("conflict", item, "it is turned in another way there; the orientation here stays")


def _region_results(case: Case, new: Sequence[Region], differing: Sequence[Region]) -> Iterator[MergeResult]:
    for film in sorted(film.id for film in case.films):
        item = f"regions on film {film} of {case.id}"
        if any(region.film == film for region in new):
            yield MergeResult("added", item)
        count = sum(region.film == film for region in differing)
        if count:
            boxes = "1 box differs" if count == 1 else f"{count} boxes differ"
            yield MergeResult("conflict", item, f"{boxes}; those here stay")


# The rest.


def _skipped(copy: ForeignCopy, raters: Sequence[str]) -> Iterator[MergeResult]:
    try:
        others = [name for name in copy.raters() if name not in raters]
    except RatuiError as error:
        yield MergeResult("conflict", "readings", f"{error.problem}; nothing was changed")
        return
    if others:
        yield MergeResult("skipped", f"readings by {_list_names(others)}", "not named, so nothing was taken over")


def _list_names(names: Sequence[str]) -> str:
    """Return some names of the other copy, which may be anything, as a short printable text."""
    shown = ", ".join(clean_text(name, 40) for name in names[:_MOST_NAMES])
    more = len(names) - _MOST_NAMES
    return f"{shown} and {more} more" if more > 0 else shown

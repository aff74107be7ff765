"""Films that were imported after their case was repeated: which repeats lack them, and their copies.

A manager has them copied to all repeats at once. Copies that are made after each import would reveal, by the times of the
files, which case a repeat shows.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import replace

from ratui.errors import FilmError, RatuiError
from ratui.study.accounts import act_as_owner
from ratui.study.campaign.repeats import copy_case, load_repeats, save_repeats
from ratui.study.store import FileLock
from ratui.study.study import Study
from ratui.study.withdrawal import list_dependent_readings

__all__ = ["find_incomplete_repeats", "update_repeats"]


def find_incomplete_repeats(study: Study, cases: Collection[str] | None = None) -> Mapping[str, tuple[str, ...]]:
    """Return the IDs of the films of the original that each hidden repeat lacks, by the repeat.

    With `cases`, only the repeats of these cases. Empty for an account that may not know the repeats, and without repeats. A
    case whose list of films is damaged is left out: the check reports it.
    """
    if not study.is_manager:
        return {}
    present = {*study.cases()}
    found = {}
    for repeat in load_repeats(study).values():
        if repeat.case not in present or repeat.original not in present:
            continue
        if cases is not None and repeat.original not in cases:
            continue
        try:
            films, here = study.case(repeat.original).films, study.case(repeat.case)
        except RatuiError:
            continue
        # A recorded copy is missing if the copying was interrupted; one that was withdrawn is not.
        there = {film.id for film in here.films} | {film for film, _ in here.withdrawn}
        copied = {old for new, old in repeat.films.items() if new in there}
        if missing := tuple(film.id for film in films if film.id not in copied):
            found[repeat.case] = missing
    return found


def update_repeats(study: Study) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Copy the films that hidden repeats lack, for all repeats in an order drawn at random.

    A repeat whose reading has begun gets no new visit in a blinded study that a group shares, as no other case does: its
    raters would see that the new visit is the last.

    Returns
    -------
    tuple of str
        The repeats that got films.
    tuple of str
        The repeats that lack films because their reading has begun.

    Raises
    ------
    StudyError
        If this account does not manage the study, or the study is locked.
    StoreError, FilmError
        If the disk refuses, or a film is damaged; all repeats that can be are copied before. Repeat the call then: it
        continues where it stopped.
    """
    study.check_manager("copy films to repeats")
    study.check_unlocked()
    done, refused = [], []
    failure: FilmError | None = None
    with act_as_owner(study.folder, "films"), FileLock(study.folder.file("import.lock")):
        incomplete = find_incomplete_repeats(study)
        known = dict(load_repeats(study))
        for name in secrets.SystemRandom().sample(sorted(incomplete), len(incomplete)):
            repeat = known[name]
            case, present = study.case(repeat.original), study.case(name).films
            of_case = {film.id: film for film in case.films}
            before = {film.number for film in present}
            is_late = bool(before) and not {of_case[film].number for film in incomplete[name]} <= before
            shows_order = is_late and study.config.blinded and bool(study.config.group)
            if shows_order and list_dependent_readings(study, name, [film.id for film in present])[0]:
                refused.append(name)
                continue
            recorded = {*repeat.films.values()}
            new = {secrets.token_hex(6): film for film in incomplete[name] if film not in recorded}
            known[name] = replace(repeat, films={**repeat.films, **new})
            save_repeats(study, known.values())  # first: a withdrawal must find each copy
            try:
                copy_case(study, case, known[name])
            except FilmError as error:  # one damaged film keeps no other repeat from its films
                failure = failure or error
            else:
                done.append(name)
    if failure is not None:
        raise failure
    return tuple(done), tuple(refused)

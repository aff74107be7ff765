"""Withdraw films that were imported by mistake, or all films of a case, such as after a patient's withdrawal of consent.

The films leave the list of their case, and their files move to the private folder, where managers can still inspect them,
or are erased. A withdrawn film keeps its place on the screen, so that the right film of the same visit comes to the same
place. Readings are not changed: a signed one no longer counts until its rater reopens it, see `film_changes`. The table
``private/withdrawals.json`` records each withdrawal with its reason.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ratui.errors import RatuiError, StudyError, clean_text
from ratui.study.accounts import account_name, act_as_owner
from ratui.study.campaign.repeats import load_repeats
from ratui.study.case import Case
from ratui.study.config_files import CONSENSUS, SPLIT_FORMAT
from ratui.study.film_files import read_film_data
from ratui.study.store import FileLock, StudyLock, write_tables
from ratui.study.store.tables import read_tables
from ratui.study.study import Study
from ratui.study.study_config import format_present_time

__all__ = ["Withdrawal", "list_dependent_readings", "list_withdrawals", "withdraw_films"]

_FILE = "private/withdrawals.json"
_LONGEST_REASON = 300


@dataclass(frozen=True)
class Withdrawal:
    """The withdrawal of one film.

    Attributes
    ----------
    case, film
        ID of the case and of the film.
    at
        Time in UTC, ISO 8601.
    by
        Account of the manager.
    reason
        The manager's reason.
    erased
        True if the film's file was erased.
    readings
        Raters whose readings were made on the film.
    signed
        Those of them who had signed.
    """

    case: str
    film: str
    at: str
    by: str
    reason: str
    erased: bool
    readings: tuple[str, ...]
    signed: tuple[str, ...]

    def to_record(self) -> dict[str, Any]:
        """Return the withdrawal as stored in a file."""
        return {**asdict(self), "readings": list(self.readings), "signed": list(self.signed)}


def list_dependent_readings(study: Study, case: str, films: Collection[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the raters whose reading of `case` was made on one of `films`, and those of them who have signed it.

    A reading that can't be read counts as signed: whether it depends on the films is unknown.
    """
    readings, signed = [], []
    for rater in (*study.config.raters, CONSENSUS):
        try:
            reading = study.as_rater(rater).reading(rater, case) if rater in study.positions(case) else None
        except RatuiError:
            readings.append(rater)
            signed.append(rater)
            continue
        if reading is None or not reading.log:
            continue
        shown = {film for at in reading.positions for film in at}
        if not shown or shown.intersection(films):
            readings.append(rater)
            if reading.signed_at:
                signed.append(rater)
    return tuple(readings), tuple(signed)


def list_withdrawals(study: Study) -> tuple[Withdrawal, ...]:
    """Return all withdrawals, the oldest first. Raises StudyError for accounts that don't manage the study, StoreError."""
    study.check_manager("see the withdrawals")
    tables = read_tables(study.folder.file(_FILE)) or {}
    return tuple(
        Withdrawal(**{**record, "readings": tuple(record["readings"]), "signed": tuple(record["signed"])})
        for record in tables.get("withdrawals", [])
    )


def withdraw_films(
    study: Study, case: str, films: Sequence[str] = (), *, reason: str, confirmed: bool = False, erase: bool = False
) -> tuple[Withdrawal, ...]:
    """Withdraw films of a case from the study.

    Parameters
    ----------
    study
        The study. This account must manage it and be able to write its films.
    case
        ID of the case.
    films
        IDs of the films; all films of the case if empty.
    reason
        Reason for the record, one line.
    confirmed
        True if readings that are signed and depend on the films may lose their validity.
    erase
        Erase the files instead of moving them to the private folder. Backups are not changed.

    Returns
    -------
    tuple of Withdrawal
        One for each film, also for its copies in hidden repeats of the case, which are withdrawn with it.

    Raises
    ------
    StudyError
        If this account may not do it, the reason is empty, the case or a film does not exist, signed readings depend on
        the films and `confirmed` is false, or the study has an earlier format.
    StoreError, FilmError
        If the disk refuses. Repeat the call then: it continues where it stopped.
    """
    study.check_manager("withdraw films")
    study.check_unlocked()
    line = clean_text(" ".join(reason.split()), _LONGEST_REASON)
    if not line:
        raise StudyError("a withdrawal needs a reason", study.path, "Give it with --reason")
    if study.config.stored_format < SPLIT_FORMAT:
        problem = "films can't be withdrawn from a study of an earlier format"
        raise StudyError(problem, study.path, "Convert it with: ratui check STUDY --repair")
    account = account_name(os.geteuid())
    # An import lists the same films. What root writes belongs to the study's owner.
    with act_as_owner(study.folder, "films"), FileLock(study.folder.file("import.lock")):
        found = study.case(case)
        chosen = _choose(found, films)
        chosen_films = {case: chosen, **_find_repeats(study, case, chosen)}
        dependent = {each: list_dependent_readings(study, each, of_case) for each, of_case in chosen_films.items()}
        all_signed = dict.fromkeys(rater for _, signed in dependent.values() for rater in signed)
        if all_signed and not confirmed:
            problem = f"the signed readings of {', '.join(all_signed)} depend on it and would no longer count"
            raise StudyError(problem, case, f"Repeat with --confirm {case} if that is intended")
        at, by = format_present_time(), account
        new: list[Withdrawal] = []
        for each, of_case in chosen_films.items():
            readings, signed = dependent[each]
            done = tuple(Withdrawal(each, film, at, by, line, erase, readings, signed) for film in of_case)
            _withdraw(study, found if each == case else study.case(each), of_case, done, erase)
            new += done
    return tuple(new)


def _find_repeats(study: Study, case: str, films: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return the copies of `films` in the hidden repeats of `case`, by the name of the repeat."""
    found = {}
    present = study.cases()  # without a repeat whose drawing was interrupted, which has no films yet
    for repeat in load_repeats(study).values():
        if repeat.original == case and repeat.case in present:
            here = {film.id for film in study.case(repeat.case).films}
            copies = tuple(new for new, old in repeat.films.items() if old in films and new in here)
            if copies:
                found[repeat.case] = copies
    return found


def _choose(case: Case, films: Sequence[str]) -> tuple[str, ...]:
    known = [film.id for film in case.films]
    chosen = tuple(dict.fromkeys(films)) or tuple(known)
    missing = [film for film in chosen if film not in known]
    if missing or not chosen:
        names = ", ".join(f"{film.id} ({film.side}, {film.view})" for film in sorted(case.films, key=lambda f: f.id))
        problem = f"it has no film {clean_text(missing[0])}" if missing else "it has no film"
        raise StudyError(problem, case.id, f"Its films are: {names}" if names else "Its films were withdrawn already")
    return chosen


def _withdraw(study: Study, case: Case, films: Sequence[str], new: Sequence[Withdrawal], erase: bool) -> None:
    """Move or erase the files after the record and the list are on the disk: a repeated call can complete each step."""
    folder = study.folder
    if not erase:
        folder.make_folder("private/withdrawn")
        folder.make_folder(f"private/withdrawn/{case.id}")
        for film in films:
            data = read_film_data(folder, case.id, film)
            folder.write(f"private/withdrawn/{case.id}/{film}.dcm", data, copy=False)
    before = [
        each for each in list_withdrawals(study) if (each.case, each.film) not in {(case.id, film) for film in films}
    ]
    with StudyLock(folder).shared():
        write_tables(folder.file(_FILE), {"withdrawals": [each.to_record() for each in (*before, *new)]})
    left = tuple(film for film in case.films if film.id not in films)
    study.save_case(replace(case, films=left, withdrawn=(*case.withdrawn, *((film, None) for film in films))))
    study.remove_film_regions(case.id, films)
    for film in films:
        folder.remove(f"films/{case.id}/{film}.dcm")

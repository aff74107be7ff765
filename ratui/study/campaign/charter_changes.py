"""Set and amend the charter of a study, and count the readings that were made under each of its versions."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from ratui.errors import RatuiError, StudyError, clean_text
from ratui.stored_values import ODD_VALUE_ERRORS, as_integer, as_time
from ratui.study.accounts import account_name, act_as_owner
from ratui.study.campaign.charter import (
    COPIED,
    Charter,
    CharterVersion,
    PlannedVisit,
    charter_from_table,
    charter_to_table,
    to_toml,
)
from ratui.study.campaign.display_tests import DISPLAY_TESTS
from ratui.study.case import MOST_VISITS
from ratui.study.config_files import (
    CHARTER_FORMAT,
    CONSENSUS,
    LARGEST_SETTINGS,
    SPLIT_FORMAT,
    StudyConfig,
    read_settings,
    settings_bytes,
    write_settings,
)
from ratui.study.readings.restored import RESTORED
from ratui.study.store import StudyFolder, read_intact
from ratui.study.study import Study
from ratui.study.study_config import check_reason, format_present_time

__all__ = [
    "add_amendment",
    "change_settings",
    "count_by_version",
    "count_readings_by_version",
    "has_reading_begun",
    "set_charter",
]

_RESERVE = 32_000
"""Bytes of the settings that only records of the lock may use, so that a study can always be locked."""
_LONGEST_VALUE = 600
"""Length up to which a changed value is recorded as a whole."""
_CONTEXT, _LONGEST_CHANGE = 40, 4000
"""Characters around the differences of longer values, and the most that are recorded of one."""


def has_reading_begun(folder: StudyFolder) -> bool:
    """Return whether a reading is stored in the study. Raises StoreError if a folder can't be listed."""
    for above in ("readings", RESTORED):
        for rater in folder.folders(above):
            if any(
                name != DISPLAY_TESTS and not name.startswith(".") for name in folder.files(f"{above}/{rater}", ".json")
            ):
                return True
    return False


def change_settings(study: Study, config: StudyConfig) -> None:
    """Store `config`, which has a charter or events, as the settings of `study`, and use it from now on.

    Raises StudyError if this account is not the study's owner, if the study is older than format 3, if the settings would be
    larger than can be read again, or if somebody has changed them since `study` was opened. Nothing is written then.
    """
    found = study.folder.find("")
    if found is not None and os.geteuid() not in (0, found.st_uid):
        problem = "only the study's owner can change its settings"
        raise StudyError(problem, study.path, f"Ask {account_name(found.st_uid)}")
    if config.stored_format < SPLIT_FORMAT:
        raise StudyError("the study has an older format", study.path, "Convert it with: ratui check STUDY --repair")
    is_lock = study.config.events != config.events and not config.events[-1].rater
    config = replace(config, stored_format=max(config.stored_format, CHARTER_FORMAT))
    largest = LARGEST_SETTINGS if is_lock else LARGEST_SETTINGS - _RESERVE
    if len(settings_bytes(config)) > largest:
        problem = f"its settings would have more than {largest} bytes with all earlier changes"
        raise StudyError(problem, study.path, "Give shorter values or a shorter reason")
    with act_as_owner(study.folder, ""), study.exclusive():
        if not is_lock:
            study.check_unlocked()
        if read_settings(study.folder)[0] != study.config:
            problem = "its settings have been changed meanwhile"
            raise StudyError(problem, study.path, "Look at them, and repeat the command")
        write_settings(study.folder, config)
    study.config = config


def set_charter(study: Study, table: Mapping[str, Any], reason: str, where: object = "") -> Charter:
    """Set the values of a TOML table in the charter of `study`; other values stay. Return the new charter.

    Before the first reading the charter is replaced, as version 1. Afterwards the change is an amendment, a new version with
    the values before and after.

    Parameters
    ----------
    study
        The study.
    table
        New values, by name. ``raters_per_case`` is one of them; it counts for cases that are imported later.
    reason
        Reason of the change.
    where
        The file that contains `table`, for errors.

    Raises
    ------
    StudyError
        If a value is not valid, the name of a visit could be taken for another visit, nothing changes, there is no reason,
        or this account is not the study's owner. Nothing is written then.
    """
    reason = check_reason(reason, "change the charter")
    table = dict(table.get("charter", table) if set(table) == {"charter"} else table)
    config = _with_copies(study.config, table, where)
    if "history" in table:
        raise StudyError("ratui itself writes the history of the charter", where, "Remove this value")
    before = study.config.charter
    charter = charter_from_table(table, where, config.charter)
    if "visits" in table:
        _check_visits(charter.visits, where)
    changes = _list_changes(before, charter)
    if not changes and (before.history or not table):
        raise StudyError("these are the values of the charter already", where, "Nothing is to be done")
    if has_reading_begun(study.folder):
        charter = _amend(charter, reason, changes)
    else:
        charter = replace(
            charter, history=(CharterVersion(1, format_present_time(), account_name(os.geteuid()), reason),)
        )
    change_settings(study, replace(config, charter=charter))
    return study.config.charter


def _check_visits(visits: Sequence[PlannedVisit], where: object) -> None:
    """Raise StudyError for a plan that a manifest or a reader of the charter could misunderstand."""
    numbers = {visit.name.casefold(): number for number, visit in enumerate(visits)}
    for number, visit in enumerate(visits):
        if numbers[visit.name.casefold()] != number:
            problem = f"charter, visits: two names differ only in case: {clean_text(visit.name)}"
            raise StudyError(problem, where, "Give the visits other names")
        if visit.name in map(str, range(MOST_VISITS)) and visit.name != str(number):
            problem = (
                f"charter, visits: the name {visit.name} is the number of another visit; the first one has the number 0"
            )
            raise StudyError(problem, where, f"Give it another name, such as visit {visit.name}")
        if visit.day is None and (visit.before or visit.after):
            problem = f"charter, visits: {clean_text(visit.name)} has days before or after, but no planned day"
            raise StudyError(problem, where, "State its day, or leave out before and after")


def add_amendment(study: Study, reason: str, change: str) -> None:
    """Record `change`, which is not one of a value, as a new version of the charter of `study`.

    Raises StudyError if there is no reason, or as `change_settings` does.
    """
    reason = check_reason(reason, "amend the charter")
    change_settings(study, replace(study.config, charter=_amend(study.config.charter, reason, (change,))))


def _amend(charter: Charter, reason: str, changes: tuple[str, ...]) -> Charter:
    """Return `charter` with the record of its next version."""
    record = CharterVersion(charter.version + 1, format_present_time(), account_name(os.geteuid()), reason, changes)
    history = charter.history
    if not history:  # until now the study was read by the defaults
        history = (replace(record, version=1, reason="the values of a study without a charter", changes=()),)
    return replace(charter, history=(*history, record))


def _with_copies(config: StudyConfig, table: dict[str, Any], where: object) -> StudyConfig:
    """Take the values that are stored beside the charter out of `table`, and return the settings with them."""
    given = {name: table.pop(name) for name in COPIED if name in table}
    if given.get("blinded", config.blinded) is not config.blinded:
        problem = "whether raters are blinded to the order can't be changed in a study that exists"
        raise StudyError(problem, where, "Create another study: ratui new FOLDER --blinded")
    if "raters_per_case" not in given:
        return config
    most = len(config.active_raters)
    try:
        count = as_integer(given["raters_per_case"], 0, most)
    except ValueError as error:
        problem = f"charter, raters_per_case: it must be a whole number from 0 to {most}"
        raise StudyError(problem, where, "Correct this value") from error
    return replace(config, raters_per_case=count)


def _list_changes(before: Charter, after: Charter) -> tuple[str, ...]:
    """Return a line for each value that differs, such as ``missing: "" -> "observed"``."""
    tables = [
        {name: value for name, value in charter_to_table(each).items() if name != "history"}
        | {name: getattr(each, name) for name in COPIED}
        for each in (before, after)
    ]
    defaults = {**vars(Charter()), "qualification": {}}
    names = list(dict.fromkeys((*tables[0], *tables[1])))
    pairs = [(name, *(to_toml(table.get(name, defaults[name])) for table in tables)) for name in names]
    return tuple(f"{name}: {_around_change(old, new)}" for name, old, new in pairs if old != new)


def _around_change(old: str, new: str) -> str:
    """Return both texts; of long ones the part from the first to the last difference."""
    if max(len(old), len(new)) > _LONGEST_VALUE:
        same = _count_same(old, new)
        same_end = _count_same(old[same:][::-1], new[same:][::-1])
        begin = max(same - _CONTEXT, 0)
        old, new = (f"…{text[begin : len(text) - max(same_end - _CONTEXT, 0)]}…" for text in (old, new))
    return f"{clean_text(old, _LONGEST_CHANGE)} -> {clean_text(new, _LONGEST_CHANGE)}"


def _count_same(one: str, other: str) -> int:
    """Return the number of characters with which both texts begin."""
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


def count_readings_by_version(study: Study) -> dict[tuple[int, int], int]:
    """Return the number of signed readings by the versions of the charter in force at their first and last entry.

    The time of the last entry is that of the signature. Readings that can't be read are left out: the check reports them.
    """
    times = []
    for rater in (*study.config.raters, CONSENSUS):
        for above in ("readings", RESTORED):
            for name in study.folder.files(f"{above}/{rater}", ".json"):
                try:
                    stored = None if name.startswith(".") else read_intact(study.folder.file(f"{above}/{rater}/{name}"))
                except RatuiError:
                    continue
                log = stored.tables.get("log", ()) if stored else ()
                meta = next(iter(stored.tables.get("meta", ())), {}) if stored else {}
                if log and meta.get("signed"):
                    try:
                        times.append((as_time(log[0]["at"]), as_time(meta["signed"])))
                    except ODD_VALUE_ERRORS:
                        continue
    return count_by_version(study.config.charter, times)


def count_by_version(charter: Charter, times: Iterable[tuple[datetime, datetime]]) -> dict[tuple[int, int], int]:
    """Return the number of readings by the versions in force at their first entry and their signature, given in `times`."""
    starts = [as_time(each.at) for each in charter.history if each.version > 1]
    counts = Counter(
        (1 + sum(start <= begun for start in starts), 1 + sum(start <= signed for start in starts))
        for begun, signed in times
    )
    return dict(sorted(counts.items()))

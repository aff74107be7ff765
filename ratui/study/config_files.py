"""The settings of a study and its scheme: create, read and seal ``study.toml`` and ``scheme.toml``.

``study.toml`` ends with a seal, the SHA-256 of all lines above it, so that damage is noticed. A manager may change the
file by hand and then seal it again with ``ratui seal``. This module opens no film and no reading.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ratui.bounded_parsing import parse_toml
from ratui.errors import DamagedError, SchemeError, StoreError, StudyError, clean_text
from ratui.files import check_name
from ratui.scheme import Scheme, load_scheme, parse_scheme
from ratui.stored_values import ODD_VALUE_ERRORS
from ratui.study.campaign.charter import charter_from_table, charter_to_table
from ratui.study.layout import make_study_folder
from ratui.study.store.folder import StudyFolder, as_folder
from ratui.study.store.study_lock import StudyLock
from ratui.study.study_config import (
    CHARTER_FORMAT,
    CONSENSUS,
    FORMAT,
    SEALED_FORMAT,
    SPLIT_FORMAT,
    StudyConfig,
    StudyEvent,
    events_from_list,
    settings_bytes,
)

__all__ = [
    "CHARTER_FORMAT",
    "CONSENSUS",
    "FORMAT",
    "LARGEST_SETTINGS",
    "SEALED_FORMAT",
    "SPLIT_FORMAT",
    "StudyConfig",
    "check_settings_seal",
    "create_study",
    "load_study",
    "migrate_settings",
    "read_settings",
    "reseal_settings",
    "settings_bytes",
    "write_settings",
]

LARGEST_SETTINGS = 256_000  # bytes
_LARGEST_SCHEME = 256_000  # bytes
_SEAL = re.compile(rb'^seal = "([0-9a-f]{64})"\n\Z', re.MULTILINE)

_MUST_BE = {
    bool: "must be true or false",
    list: "must be a list",
    int: "must be a whole number",
    str: "must be a text",
}
_MIGRATIONS: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: lambda settings: {"group": "", "scheme": "", **settings},
    2: lambda settings: {"managers": "", "raters_per_case": 0, **settings},
    3: lambda settings: {**settings, "charter": {}, "events": []},
}
"""For each earlier format, the function that returns settings of this format in the next one."""


def create_study(
    path: Path,
    scheme: Scheme | str,
    raters: Sequence[str],
    *,
    blinded: bool,
    title: str,
    group: str,
    managers: str = "",
    raters_per_case: int = 0,
) -> tuple[StudyConfig, Scheme]:
    """Create the folder of a new study; its arguments are those of `Study.create`.

    Raises
    ------
    StudyError
        If `path` is not empty, or a rater's name or the group is not valid.
    SchemeError
        If there is no such scheme, or it is not valid.
    """
    chosen = load_scheme(scheme) if isinstance(scheme, str) else scheme
    names = [check_name(rater, "rater") for rater in raters]
    if not names:
        raise StudyError("a study needs at least one rater", path, "Give --rater ID, once for each")
    if CONSENSUS in map(str.lower, names):
        raise StudyError(f"{CONSENSUS} is the adjudicator's name", path, "Give that rater another ID")
    if len(set(names)) < len(names):
        raise StudyError("a rater is named twice", path, "Give each rater a different ID")
    if not 0 <= raters_per_case <= len(names):
        raise StudyError(f"{raters_per_case} raters can't read each case", path, f"Give a number up to {len(names)}")
    if managers and not group:
        raise StudyError("only a shared study has a group of managers", path, "Give --group NAME as well")
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise StudyError("a file or folder of this name exists already", path, "Choose a new folder")
    source = chosen.toml_text.encode()
    config = StudyConfig(
        id=secrets.token_hex(8),
        title=clean_text(title or path.name),
        raters=tuple(names),
        blinded=blinded,
        group=group,
        managers=managers,
        raters_per_case=raters_per_case,
        scheme=hashlib.sha256(source).hexdigest(),
    )
    make_study_folder(path, group, managers)
    folder = StudyFolder(path)
    folder.write("scheme.toml", source)
    write_settings(folder, config)  # last: an interrupted creation leaves no study that can be opened
    return config, chosen


def load_study(folder: StudyFolder | Path) -> tuple[StudyConfig, Scheme, dict[Path, str]]:
    """Return the settings and the scheme of the study in `folder`, and a notice by file, empty for an intact file.

    A notice says that the file is damaged and that its second copy was read.

    Raises
    ------
    StudyError
        If there is no study, or none that this version can open.
    """
    folder = as_folder(folder)
    config, notice = read_settings(folder)
    path, file = folder.path, folder.path / "scheme.toml"

    def check(data: bytes) -> None:
        if config.scheme and hashlib.sha256(data).hexdigest() != config.scheme:
            raise DamagedError("the scheme has changed since the study was created", file, "See: ratui check STUDY")

    stored = folder.read_intact("scheme.toml", check, largest=_LARGEST_SCHEME)
    if stored is None:
        raise SchemeError("scheme.toml is missing", path, "Restore it from a backup")
    try:
        scheme = parse_scheme(stored[0].decode(), str(file))
    except UnicodeDecodeError as error:
        raise SchemeError(f"scheme.toml can't be read: {error}", path, "Restore it from a backup") from error
    return config, scheme, {path / "study.toml": notice, file: stored[1]}


def write_settings(folder: StudyFolder | Path, config: StudyConfig) -> None:
    """Write ``study.toml`` with its seal in `folder`, in the format that the study has. Raises StoreError."""
    as_folder(folder).write("study.toml", settings_bytes(config))


def read_settings(folder: StudyFolder | Path) -> tuple[StudyConfig, str]:
    """Return the settings in `folder`, and a notice if ``study.toml`` is damaged and its second copy was read.

    Raises
    ------
    StudyError
        If there is no study, or none that this version can open.
    """
    folder = as_folder(folder)
    file = folder.path / "study.toml"
    stored = folder.read_intact(file.name, lambda data: check_settings_seal(data, file), largest=LARGEST_SETTINGS)
    if stored is None:
        raise StudyError("there is no study here", folder.path, "Create one with: ratui new FOLDER --rater ID")
    data, notice = stored
    if notice:
        notice += ". If you changed it by hand: ratui seal STUDY"
    return _to_config(_parse(data, file), file), notice


def check_settings_seal(data: bytes, file: Path) -> None:
    """Raise DamagedError if `data` is neither a ``study.toml`` with an intact seal nor one of format 1."""
    found = _SEAL.search(data)
    if found:
        if hashlib.sha256(data[: found.start()]).hexdigest().encode() != found[1]:
            raise DamagedError(
                "its content does not match its seal", file, "If you changed it by hand: ratui seal STUDY"
            )
        return
    raw = _parse(data, file)
    if raw.get("format") in range(SEALED_FORMAT, FORMAT + 1) or "seal" in raw or "scheme" in raw:
        raise DamagedError("its seal is missing", file, "If you changed it by hand: ratui seal STUDY")
    try:
        _to_config(raw, file)
    except StudyError as error:
        raise DamagedError(error.problem, file, error.remedy) from error


def _parse(data: bytes, file: Path) -> dict[str, Any]:
    try:
        return parse_toml(data.decode())
    except ValueError as error:
        raise DamagedError(f"it can't be read: {clean_text(error, 200)}", file, "Restore it from a backup") from error


def migrate_settings(raw: Mapping[str, Any], file: object = "") -> dict[str, Any]:
    """Return settings in the newest format, converted step by step; the argument is not changed.

    Raises StoreError, naming `file`, for a newer or unknown format.
    """
    found = raw.get("format")
    if isinstance(found, int) and not isinstance(found, bool) and found > FORMAT:
        problem = f"the study has format {found}, this version reads up to {FORMAT}"
        raise StoreError(problem, file, "Update ratui; nothing was changed")
    if found != FORMAT and found not in _MIGRATIONS:
        raise StoreError(f"the study has no known format: {clean_text(found)}", file, "Restore it from a backup")
    settings = dict(raw)
    for number in range(int(str(found)), FORMAT):
        settings = {**_MIGRATIONS[number](settings), "format": number + 1}
    return settings


def _to_config(raw: dict[str, Any], file: Path) -> StudyConfig:
    settings = migrate_settings(raw, file)
    kinds = {"blinded": bool, "raters": list, "raters_per_case": int, "group": str, "managers": str}
    for name, kind in kinds.items():
        if name in settings and type(settings[name]) is not kind:
            raise StoreError(f"{name} " + _MUST_BE[kind], file, "Correct that line, then: ratui seal STUDY")
    try:
        config = StudyConfig(
            id=check_name(settings["id"], "study"),
            title=clean_text(settings["title"]),
            raters=tuple(check_name(rater, "rater") for rater in settings["raters"]),
            blinded=settings["blinded"],
            group=settings["group"],
            managers=settings["managers"],
            raters_per_case=settings["raters_per_case"],
            scheme=str(settings["scheme"]),
            charter=charter_from_table(_table(settings["charter"], file), file),
            events=_to_events(settings["events"], file),
            secret=str(settings["secret"]) if raw["format"] < SPLIT_FORMAT else "",
            stored_format=int(raw["format"]),
        )
    except (KeyError, TypeError) as error:
        raise StoreError(f"it lacks {clean_text(error)}", file, "Restore it from a backup") from error
    if not 0 <= config.raters_per_case <= len(config.raters):
        problem = "raters_per_case must be from 0 to the number of raters"
        raise StoreError(problem, file, "Correct that line, then: ratui seal STUDY")
    return config


def _table(value: Any, file: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise StoreError("charter must be a table", file, "Correct that line, then: ratui seal STUDY")
    return value


def _to_events(value: Any, file: Path) -> tuple[StudyEvent, ...]:
    try:
        return events_from_list(value)
    except (*ODD_VALUE_ERRORS, StudyError) as error:
        problem = "events must be a list of the records that ratui writes"
        raise StoreError(problem, file, "Restore it from a backup") from error


def reseal_settings(folder: StudyFolder | Path) -> StudyConfig:
    """Seal ``study.toml`` with the content that it has, and return the settings.

    Use it after a change by hand. The scheme of a study cannot be changed in this way.

    Parameters
    ----------
    folder
        The study's folder.

    Returns
    -------
    StudyConfig
        The settings that are sealed now.

    Raises
    ------
    StudyError
        If there is no study, the raters are invalid, the format is an older one, or the digest of the scheme is not
        that of ``scheme.toml``. Nothing is written then.
    """
    folder = as_folder(folder)
    file = folder.path / "study.toml"
    StudyLock(folder).check_unlocked()
    try:
        data = folder.read(file.name, LARGEST_SETTINGS)
    except FileNotFoundError as error:
        raise StudyError(
            "there is no study here", folder.path, "Create one with: ratui new FOLDER --rater ID"
        ) from error
    config = _to_config(_parse(data, file), file)
    if not config.raters or len(set(config.raters)) < len(config.raters):
        raise StudyError("each rater must be named exactly once", file, "Correct that line")
    if config.stored_format < SEALED_FORMAT:
        raise StudyError("the study has an older format", folder.path, "Convert it with: ratui check STUDY --repair")
    try:
        digest = folder.digest("scheme.toml", _LARGEST_SCHEME)
    except FileNotFoundError as error:
        raise StudyError("scheme.toml is missing", folder.path, "Restore it from a backup") from error
    _check_not_by_hand(folder, config)
    if config.scheme != digest:
        raise StudyError("the checksum of the scheme does not match scheme.toml", file, "Restore both from a backup")
    write_settings(folder, config)
    return config


def _check_not_by_hand(folder: StudyFolder, config: StudyConfig) -> None:
    """Raise StudyError if charter or events differ from those of the second copy, which ratui wrote last."""
    file = folder.path / "study.toml"
    try:
        data = folder.read(f"{file.name}.bak", LARGEST_SETTINGS)
        check_settings_seal(data, file)
        before = _to_config(_parse(data, file), file)
    except (FileNotFoundError, StudyError):
        return  # nothing is known of the state before
    stored = [(charter_to_table(each.charter), each.events) for each in (before, config)]
    copied = [(each.raters_per_case, each.blinded) for each in (before, config)]
    if stored[0] != stored[1] or (config.charter.history and copied[0] != copied[1]):
        problem = "the charter and the records of raters and of the lock can't be changed by hand"
        raise StudyError(problem, file, "Undo that change, and use: ratui charter, ratui raters, ratui lock")

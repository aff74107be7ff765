"""The settings of a study and its scheme: create, read and seal ``study.toml`` and ``scheme.toml``.

``study.toml`` ends with a seal, the SHA-256 of all lines above it, so that damage is noticed. A manager may change the
file by hand and then seal it again with ``ratui seal``. This module opens no film and no reading.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ratui.bounded_parsing import parse_toml
from ratui.errors import DamagedError, SchemeError, StoreError, StudyError, clean_text
from ratui.files import check_name
from ratui.scheme import Scheme, load_scheme, parse_scheme
from ratui.study.layout import make_study_folder
from ratui.study.migrations import Migrations
from ratui.study.store.folder import StudyFolder, as_folder

__all__ = [
    "CONSENSUS",
    "FORMAT",
    "SEALED_FORMAT",
    "SPLIT_FORMAT",
    "StudyConfig",
    "check_settings_seal",
    "create_study",
    "load_study",
    "read_settings",
    "reseal_settings",
    "settings_bytes",
    "write_settings",
]

FORMAT = 3
"""Format of a study's folder that this version writes."""
SEALED_FORMAT = 2
"""First format with seals. Format 1 named no group and did not contain the digest of the scheme."""
SPLIT_FORMAT = 3
"""First format with the visits of films in a private folder. Format 2 had them in the film lists, and a secret instead."""
CONSENSUS = "consensus"
"""Name under which the adjudicator's readings are stored; no rater can have it."""
_LARGEST_SETTINGS = 256_000  # bytes
_LARGEST_SCHEME = 256_000  # bytes
_SEAL = re.compile(rb'^seal = "([0-9a-f]{64})"\n\Z', re.MULTILINE)

_MUST_BE = {
    bool: "must be true or false",
    list: "must be a list",
    int: "must be a whole number",
    str: "must be a text",
}
_MIGRATIONS = Migrations(
    "study",
    FORMAT,
    {
        1: lambda settings: {"group": "", "scheme": "", **settings},
        2: lambda settings: {"managers": "", "raters_per_case": 0, **settings},
    },
)


@dataclass(frozen=True)
class StudyConfig:
    """The settings of a study.

    Attributes
    ----------
    id
        Random identifier; the study's key file is named after it.
    title
        Title for people.
    raters
        Names of the raters.
    blinded
        Raters do not know which time point is earlier.
    group
        Name of the Unix group that shares the study, or empty.
    managers
        Name of the Unix group whose members may read the private folder, or empty for the owner alone.
    raters_per_case
        Number of raters who read each case; 0 for all of them.
    scheme
        SHA-256 of ``scheme.toml``, or empty in a study of format 1.
    secret
        Up to format 2, random text from which the order of the time points was drawn for each rater and case; else empty.
    stored_format
        Format of the files on the disk.
    """

    id: str
    title: str
    raters: tuple[str, ...]
    blinded: bool
    group: str = ""
    managers: str = ""
    raters_per_case: int = 0
    scheme: str = ""
    secret: str = field(default="", repr=False)
    stored_format: int = FORMAT


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
    if CONSENSUS in names:
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


def settings_bytes(config: StudyConfig) -> bytes:
    """Return the content of ``study.toml`` with its seal, in the format that the study has."""
    secret = (
        "# Determines the time point shown on the left, for each rater and case. Do not change it.\n"
        f"secret = {_toml_string(config.secret)}\n"
    )
    additions = (
        "# The Unix group whose members manage the study, beside its owner; empty for the owner alone.\n"
        f"managers = {_toml_string(config.managers)}\n"
        "# Number of raters who read each case; 0: all of them.\n"
        f"raters_per_case = {config.raters_per_case}\n"
    )
    text = (
        "# A ratui study. The films, regions and readings beside this file belong to it.\n"
        f"format = {config.stored_format}\n"
        f"id = {_toml_string(config.id)}\n"
        f"title = {_toml_string(config.title)}\n"
        f"raters = [{', '.join(_toml_string(rater) for rater in config.raters)}]\n"
        "# The Unix group that shares the study; empty if only its owner uses it.\n"
        f"group = {_toml_string(config.group)}\n"
        "# true: raters do not know which time point is earlier.\n"
        f"blinded = {'true' if config.blinded else 'false'}\n"
        f"{additions if config.stored_format >= SPLIT_FORMAT else secret}"
        "# SHA-256 of scheme.toml.\n"
        f"scheme = {_toml_string(config.scheme)}\n"
    )
    return _append_seal(text.encode())


def _append_seal(text: bytes) -> bytes:
    text += b"# SHA-256 of all lines above. After a change by hand, run: ratui seal STUDY\n"
    return text + b'seal = "' + hashlib.sha256(text).hexdigest().encode() + b'"\n'


def read_settings(folder: StudyFolder | Path) -> tuple[StudyConfig, str]:
    """Return the settings in `folder`, and a notice if ``study.toml`` is damaged and its second copy was read.

    Raises
    ------
    StudyError
        If there is no study, or none that this version can open.
    """
    folder = as_folder(folder)
    file = folder.path / "study.toml"
    stored = folder.read_intact(file.name, lambda data: check_settings_seal(data, file), largest=_LARGEST_SETTINGS)
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


def _to_config(raw: dict[str, Any], file: Path) -> StudyConfig:
    settings = _MIGRATIONS.migrate(raw, file)
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
            secret=str(settings["secret"]) if raw["format"] < SPLIT_FORMAT else "",
            stored_format=int(raw["format"]),
        )
    except (KeyError, TypeError) as error:
        raise StoreError(f"it lacks {clean_text(error)}", file, "Restore it from a backup") from error
    if not 0 <= config.raters_per_case <= len(config.raters):
        problem = "raters_per_case must be from 0 to the number of raters"
        raise StoreError(problem, file, "Correct that line, then: ratui seal STUDY")
    return config


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
    try:
        data = folder.read(file.name, _LARGEST_SETTINGS)
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
    if config.scheme != digest:
        raise StudyError("the checksum of the scheme does not match scheme.toml", file, "Restore both from a backup")
    write_settings(folder, config)
    return config


def _toml_string(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

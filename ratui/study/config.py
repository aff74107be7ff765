"""The settings of a study, and ``study.toml`` that holds them: sealed, so that a changed letter is told.

It may be changed by hand; whoever means that seals it anew. Nothing here opens films or readings.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ratui.errors import DamagedError, StoreError, StudyError, clean_text
from ratui.study.migrations import Migrations
from ratui.study.store import read_intact_bytes, write_bytes
from ratui.study.store.tables import read_file

__all__ = [
    "CONSENSUS",
    "FORMAT",
    "StudyConfig",
    "check_name",
    "check_settings_seal",
    "read_settings",
    "reseal_settings",
    "write_settings",
]

FORMAT = 2
CONSENSUS = "consensus"
"""Whose readings an adjudicator's are: stored as a rater's, yet no rater's."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_LARGEST = 256_000
_SEAL = re.compile(rb'^seal = "([0-9a-f]{64})"\n\Z', re.MULTILINE)

# Format 1 had no seal, named no group and did not hold the digest of the scheme.
_MIGRATIONS = Migrations("study", FORMAT, {1: lambda settings: {"group": "", "scheme": "", **settings}})


@dataclass(frozen=True)
class StudyConfig:
    """The settings of a study.

    `secret` seeds the order drawn for blinded readers; `id` names its key file; `group` is the Unix group that shares
    it, or empty; `scheme` is the SHA-256 of ``scheme.toml``. `stored_format` is the format that the files on disk have.
    """

    id: str
    title: str
    raters: tuple[str, ...]
    blinded: bool
    secret: str = field(repr=False)
    group: str = ""
    scheme: str = ""
    stored_format: int = FORMAT


def check_name(name: object, kind: str) -> str:
    """`name` if it can safely be a file's name. Raises StudyError otherwise."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise StudyError(
            f"{clean_text(name)!r} can't be the name of a {kind}", "", "Use letters, digits, dot, - and _, at most 40"
        )
    return name


def write_settings(folder: Path, config: StudyConfig) -> None:
    """Writes ``study.toml`` in `folder`, sealed. Raises StoreError."""
    text = (
        "# A ratui study. The films, regions and readings beside this file belong to it.\n"
        f"format = {FORMAT}\n"
        f"id = {_toml_string(config.id)}\n"
        f"title = {_toml_string(config.title)}\n"
        f"raters = [{', '.join(_toml_string(rater) for rater in config.raters)}]\n"
        "# The Unix group that shares the study; empty where it is its owner's alone.\n"
        f"group = {_toml_string(config.group)}\n"
        "# Readers of a blinded study don't learn which time point came first.\n"
        f"blinded = {'true' if config.blinded else 'false'}\n"
        "# Draws which time point stands left for whom. Change it and the order of unread cases changes.\n"
        f"secret = {_toml_string(config.secret)}\n"
        "# The SHA-256 of scheme.toml.\n"
        f"scheme = {_toml_string(config.scheme)}\n"
    )
    write_bytes(folder / "study.toml", _append_seal(text.encode()))


def _append_seal(text: bytes) -> bytes:
    text += b"# Of every line above. After a change by hand: ratui seal STUDY\n"
    return text + b'seal = "' + hashlib.sha256(text).hexdigest().encode() + b'"\n'


def read_settings(folder: Path) -> tuple[StudyConfig, str]:
    """The settings of the study in `folder`, and a notice where ``study.toml`` is damaged and its copy was read.

    Raises StudyError where there is no study, or none that this version can open.
    """
    file = folder / "study.toml"
    if folder.exists() and not folder.is_dir():
        raise StudyError("this is a file, not a study folder", folder, "Give the study's folder")
    stored = read_intact_bytes(file, lambda data: check_settings_seal(data, file), largest=_LARGEST)
    if stored is None:
        raise StudyError("there is no study here", folder, "Make one with: ratui new FOLDER --rater ID")
    data, notice = stored
    if notice:
        notice += ". If you changed it by hand: ratui seal STUDY"
    return _to_config(_parse(data, file), file), notice


def check_settings_seal(data: bytes, file: Path) -> None:
    """Raises DamagedError where `data` is not a ``study.toml`` as it was sealed, or one of format 1."""
    found = _SEAL.search(data)
    if found:
        if hashlib.sha256(data[: found.start()]).hexdigest().encode() != found[1]:
            raise DamagedError("it is not as it was sealed", file, "If you changed it by hand: ratui seal STUDY")
        return
    raw = _parse(data, file)
    if raw.get("format") == FORMAT or "seal" in raw or "scheme" in raw:
        raise DamagedError("its seal is missing", file, "If you changed it by hand: ratui seal STUDY")
    try:
        _to_config(raw, file)
    except StudyError as error:
        raise DamagedError(error.problem, file, error.remedy) from error


def _parse(data: bytes, file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(data.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise DamagedError(f"it can't be read: {error}", file, "Restore it from a backup") from error


def _to_config(raw: dict[str, Any], file: Path) -> StudyConfig:
    settings = _MIGRATIONS.migrate(raw, file)
    try:
        return StudyConfig(
            id=check_name(settings["id"], "study"),
            title=clean_text(settings["title"]),
            raters=tuple(check_name(rater, "rater") for rater in settings["raters"]),
            blinded=settings["blinded"] is True,
            secret=str(settings["secret"]),
            group=str(settings["group"]),
            scheme=str(settings["scheme"]),
            stored_format=int(raw["format"]),
        )
    except (KeyError, TypeError) as error:
        raise StoreError(f"it lacks {clean_text(error)}", file, "Restore it from a backup") from error


def reseal_settings(folder: Path) -> StudyConfig:
    """Seals ``study.toml`` as it stands and returns what it says; the scheme can't be changed. Raises StudyError."""
    file = folder / "study.toml"
    try:
        data = read_file(file, _LARGEST)
    except FileNotFoundError as error:
        raise StudyError("there is no study here", folder, "Make one with: ratui new FOLDER --rater ID") from error
    config = _to_config(_parse(data, file), file)
    if not config.raters or len(set(config.raters)) < len(config.raters):
        raise StudyError("the raters must be named, each once", file, "Correct that line")
    if config.stored_format < FORMAT:
        raise StudyError("the study has an older format", folder, "Bring it up with: ratui check STUDY --repair")
    write_settings(folder, config)
    return config


def _toml_string(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

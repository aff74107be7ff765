"""One archive of a whole study, verified before it counts, and a study made of one again.

The archive is a ZIP file with a list of SHA-256 sums; it holds no key to the pseudonyms. Nothing is ever overwritten.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ratui.errors import DamagedError, StoreError, StudyError
from ratui.files import make_folder, sync_folder, write_bytes
from ratui.study.layout import account_name, make_study_folder
from ratui.study.snapshot import list_study_files, snapshot
from ratui.study.store.seal import read_log_chain
from ratui.study.store.tables import read_file
from ratui.study.study import Study

__all__ = ["Archive", "back_up", "find_rewritten_readings", "open_archive", "restore"]

_LIST = "CONTENTS.json"
_FORMAT = 1
_LARGEST_LIST = 200_000_000
_LARGEST_FILE = 4_000_000_000
_NAME = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Archive:
    """A verified archive: its file, the study's id, when it was made, and the SHA-256 of each file in it."""

    path: Path
    study: str
    created: str
    checksums: dict[str, str]


def back_up(study: Study, target: Path, *, progress: Progress | None = None) -> Archive:
    """Makes the archive `target` of the study as it is at this moment and reads it again to verify it.

    Raters may go on saving. It holds what no rater may see of another, so that only the study's owner can make one.
    Raises StoreError; there is then no file of that name.
    """
    target = Path(target)
    owner = study.path.stat().st_uid
    if os.geteuid() not in (0, owner):
        what = "a backup holds every rater's readings: only the study's owner makes one"
        raise StoreError(what, study.path, f"Ask {account_name(owner)}")
    if target.exists():
        raise StoreError("there is a file of that name already", target, "Choose another")
    if target.resolve().is_relative_to(study.path.resolve()):
        raise StoreError("a backup must not lie in the study", target, "Choose another folder")
    make_folder(target.parent)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    try:
        with snapshot(study) as frozen:
            _pack(frozen, study.config.id, temporary, progress or (lambda done, of: None))
        archive = open_archive(temporary)
        os.link(temporary, target)  # unlike a rename, it never replaces
        sync_folder(target.parent)
    except OSError as error:
        raise StoreError(f"the backup can't be made: {error.strerror or error}", target, "Make room there") from error
    finally:
        temporary.unlink(missing_ok=True)
    return Archive(target, archive.study, archive.created, archive.checksums)


def _pack(frozen: Study, id: str, file: Path, progress: Progress) -> None:
    names = list(list_study_files(frozen.path))
    checksums: dict[str, str] = {}
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w+b") as raw:
        with zipfile.ZipFile(raw, "w", allowZip64=True) as packed:
            for number, name in enumerate(names):
                progress(number, len(names))
                data = (frozen.path / name).read_bytes()
                checksums[name.as_posix()] = hashlib.sha256(data).hexdigest()
                kind = zipfile.ZIP_DEFLATED if name.suffix in (".json", ".toml") else zipfile.ZIP_STORED
                packed.writestr(_entry(name.as_posix(), kind), data)
            made = datetime.now(UTC).isoformat(timespec="seconds")
            head = {"format": _FORMAT, "study": id, "made": made, "sums": checksums}
            packed.writestr(_entry(_LIST, zipfile.ZIP_DEFLATED), json.dumps(head))
        progress(len(names), len(names))
        raw.flush()
        os.fsync(raw.fileno())


def _entry(name: str, kind: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.compress_type = kind
    entry.external_attr = 0o600 << 16
    return entry


def open_archive(path: Path) -> Archive:
    """The archive at `path`, every file of it compared with its sum. Raises DamagedError or StoreError."""
    with _open_zip(path) as packed:
        archive = _read_contents(packed, path)
        for name in archive.checksums:
            _read_verified(packed, archive, name)
    return archive


@contextmanager
def _open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as packed:
            yield packed
    except FileNotFoundError as error:
        raise StoreError("there is no such archive", path, "Check the path") from error
    except (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise DamagedError("the archive is damaged", path, "Take another backup") from error


def _read_contents(packed: zipfile.ZipFile, path: Path) -> Archive:
    """What the archive says it holds. Raises DamagedError where that isn't what is in it."""
    try:
        head = json.loads(_read_limited(packed, _LIST, _LARGEST_LIST))
        if head["format"] > _FORMAT:
            raise StoreError("a newer ratui made it", path, "Update ratui")
        checksums = {str(name): str(total) for name, total in head["sums"].items()}
        study, made = str(head["study"]), str(head["made"])
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise DamagedError("it is no backup of a study, or is damaged", path, "Take another") from error
    if sorted([*checksums, _LIST]) != sorted(packed.namelist()):
        raise DamagedError("the archive doesn't hold what it lists", path, "Take another backup")
    for name in checksums:
        if not _NAME.fullmatch(name) or {".", ".."} & set(name.split("/")):
            raise DamagedError("the archive names a file outside of the study", path, "Take another backup")
    return Archive(path, study, made, checksums)


def _read_verified(packed: zipfile.ZipFile, archive: Archive, name: str) -> bytes:
    data = _read_limited(packed, name, _LARGEST_FILE)
    if hashlib.sha256(data).hexdigest() != archive.checksums[name]:
        raise DamagedError(f"{name} in the archive is not what was packed", archive.path, "Take another backup")
    return data


def _read_limited(packed: zipfile.ZipFile, name: str, most: int) -> bytes:
    with packed.open(name) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise DamagedError(
            "the archive holds a file larger than any of a study", packed.filename, "Take another backup"
        )
    return data


def restore(path: Path, folder: Path, *, progress: Progress | None = None) -> Study:
    """Makes a study of the archive at `path` in the new folder `folder`, for its owner alone.

    Raises StudyError where there is something already; DamagedError before anything is made.
    """
    folder = Path(folder)
    archive = open_archive(path)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StudyError("there is something already", folder, "Choose a new folder")
    make_study_folder(folder, "")
    with _open_zip(path) as packed:
        # The settings come last: before that there is no study that a person could take for whole.
        names = sorted(archive.checksums, key=lambda name: (name == "study.toml", name))
        for number, name in enumerate(names):
            if progress:
                progress(number, len(names))
            target = folder / name
            make_folder(target.parent)
            write_bytes(target, _read_verified(packed, archive, name), copy=target.suffix in (".json", ".toml"))
        if progress:
            progress(len(names), len(names))
    return Study.open(folder)


def find_rewritten_readings(study: Study, path: Path) -> list[str]:
    """The readings of `study` whose log does not begin with what the archive at `path` holds of it, or that are gone.

    A log only ever grows: this shows a change that somebody made in hindsight, however well it was sealed.
    """
    archive = open_archive(path)
    if archive.study != study.config.id:
        raise StudyError("it is the backup of another study", path, "Give one of this study")
    changed = []
    with _open_zip(path) as packed:
        for name in archive.checksums:
            if name.startswith("readings/") and name.endswith(".json"):
                file = study.path / name
                before = read_log_chain(_read_verified(packed, archive, name))
                try:
                    now = read_log_chain(read_file(file)) if file.exists() else ()
                except (ValueError, AttributeError, RecursionError):
                    continue  # damaged, which a check says by itself
                if now[: len(before)] != before:
                    changed.append(name)
    return changed

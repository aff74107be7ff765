"""TinyDB files that are written whole or not at all, and the lock that gives each file one writer.

Nothing here knows what is stored. A file is read whole or set aside with a message, never half.
"""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import json
import os
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from tinydb import TinyDB
from tinydb.storages import Storage

from ratui.errors import StoreError, clean

__all__ = ["AtomicStorage", "Lock", "read_tables", "write_bytes", "write_tables"]

_LARGEST_FILE = 64_000_000


def write_bytes(path: Path, data: bytes, *, keep: bool = True) -> None:
    """Writes `path` so that after a crash it holds the old bytes or the new, and the new once this returns.

    A temporary file is written and fsynced; with `keep` the last good copy stays as ``.bak``; then the file is
    renamed into place and the folder fsynced. Raises StoreError where any step fails; the old file is then untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if keep and path.exists():
            backup = path.with_name(path.name + ".bak")
            with contextlib.suppress(FileNotFoundError):
                backup.unlink()
            os.link(path, backup)
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise StoreError(
            f"not saved: {error.strerror or error}", path, "What was saved before is intact; mend this and try again"
        ) from error


class AtomicStorage(Storage):
    """A TinyDB storage whose every write is `write_bytes`."""

    def __init__(self, path: Path) -> None:
        self._path = Path(path)

    def read(self) -> dict[str, dict[str, Any]] | None:
        """The tables in the file, or None where there is none. Raises StoreError for a damaged file."""
        try:
            if self._path.stat().st_size > _LARGEST_FILE:
                raise StoreError("the file is larger than any that ratui writes", self._path, "Restore it from backup")
            text = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"can't be read: {error.strerror}", self._path, "Check its permissions") from error
        try:
            tables = json.loads(text)
            if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
                raise ValueError("no tables")
        except (ValueError, RecursionError) as error:
            aside = self._path.with_name(f"{self._path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S}")
            backup = self._path.with_name(self._path.name + ".bak")
            remedy = f"Its last good copy is {backup.name}: rename that into its place" if backup.exists() else ""
            with contextlib.suppress(OSError):
                os.link(self._path, aside)
            raise StoreError(f"the file is damaged; a copy is kept as {aside.name}", self._path, remedy) from error
        return tables

    def write(self, data: Mapping[str, Mapping[str, Any]]) -> None:
        write_bytes(self._path, json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode())


class _Batch(Storage):
    """Holds the tables in memory, so that several changes become one write."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Any]] | None = None

    def read(self) -> dict[str, dict[str, Any]] | None:
        return self.tables

    def write(self, data: dict[str, dict[str, Any]]) -> None:
        self.tables = data


def read_tables(path: Path) -> dict[str, list[dict[str, Any]]] | None:
    """The records of the TinyDB file at `path` by table, or None where there is no file. Raises StoreError."""
    if not path.exists():
        return None
    with TinyDB(path, storage=AtomicStorage) as database:
        return {name: [dict(record) for record in database.table(name)] for name in database.tables()}


def write_tables(path: Path, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Replaces the TinyDB file at `path` by `tables`, in one atomic write. Raises StoreError."""
    with TinyDB(storage=_Batch) as database:
        for name, records in tables.items():
            database.table(name).insert_multiple(records)
        batch = database.storage
        assert isinstance(batch, _Batch)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        AtomicStorage(path).write(batch.tables or {})


class Lock:
    """One writer for one file: a lock that ends with its process, with the holder's name for whoever comes second."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def __enter__(self) -> Lock:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        file = os.fdopen(descriptor, "r+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = clean(file.read(200)) or "another session"
            file.close()
            raise StoreError(
                f"it is open already: {holder}", self._path.stem, "Close it there; nothing was changed"
            ) from error
        file.truncate(0)
        file.write(f"{getpass.getuser()} on {socket.gethostname()}, process {os.getpid()}, since {_now()}")
        file.flush()
        self._file = file
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file:
            self._file.close()
            self._file = None


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")

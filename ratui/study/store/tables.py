"""Table files (TinyDB): sealed and written in two copies, verified when read, read from the copy if damaged.

This module does not know what the tables mean. A file is read completely or refused; reading changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import is_
from pathlib import Path
from typing import Any, TypeAlias

from tinydb import TinyDB
from tinydb.storages import Storage
from tinydb.table import Document

from ratui.errors import DamagedError, StoreError
from ratui.study.store.folder import LARGEST_FILE, StudyFile, as_file
from ratui.study.store.journaling import find_other_content
from ratui.study.store.salvage import find_contradiction
from ratui.study.store.seal import BrokenSealError, NewerFormatError, SealedRecords, UnsealedError, open_seal, seal

__all__ = [
    "LARGEST_FILE",
    "TAIL_BYTES",
    "DamagedError",
    "SealedStorage",
    "StoredTables",
    "TableRows",
    "TableWriter",
    "Tables",
    "check_second_copy",
    "read_intact",
    "read_intact_bytes",
    "read_tables",
    "read_tail",
    "restore_from_copy",
    "sealed_name",
    "write_tables",
]

Tables: TypeAlias = dict[str, list[dict[str, Any]]]
"""Records by the name of their table."""


TAIL_BYTES = 80
"""Number of bytes at the end of a sealed file that contain its digest."""


def sealed_name(file: StudyFile | Path) -> str:
    """Return the name in the seal of `file`, ``<folder>/<stem>``: it reveals a file in a wrong place."""
    path = file.path if isinstance(file, StudyFile) else file
    return f"{path.parent.name}/{path.stem}"


def _unpack(path: Path, data: bytes, of: str, unsealed: bool) -> dict[str, dict[str, Any]]:
    """Return the tables in `data`, sealed as `of` or, if allowed, `unsealed`; report faults as errors of `path`."""
    try:
        return open_seal(data, of).tables
    except UnsealedError as error:
        if unsealed:
            tables: dict[str, dict[str, Any]] = error.args[0]
            return tables
        raise DamagedError("the file is damaged: it has no seal", path, "See: ratui check STUDY") from error
    except NewerFormatError as error:
        raise StoreError(
            f"it was written by a newer version of ratui: {error}", path, "Update ratui; nothing was changed"
        ) from error
    except BrokenSealError as error:
        raise DamagedError(f"the file is damaged: {error}", path, "See: ratui check STUDY") from error


class SealedStorage(Storage):
    """A TinyDB storage that seals every write and makes it atomic, in two copies.

    Parameters
    ----------
    file
        The file. The folder of a path counts as the top folder, see `StudyFolder`.
    unsealed
        Also read files of format 1, which have no checksums.
    kept
        The tables as sealed by the last write, for `seal`; only for records that nobody changes in place.
    """

    def __init__(
        self, file: StudyFile | Path, *, unsealed: bool = False, kept: dict[str, SealedRecords] | None = None
    ) -> None:
        self._file = file if isinstance(file, StudyFile) else as_file(file)
        self._kept = kept
        self._unsealed = unsealed
        self.tail = b""
        """Last bytes of the file as last read or written by this object."""

    def read(self) -> dict[str, dict[str, Any]] | None:
        """Return the tables, or None without a file. Raises DamagedError, or StoreError for a newer format."""
        try:
            data = self._file.folder.read(self._file.inside)
        except FileNotFoundError:
            return None
        self.tail = data[-TAIL_BYTES:]
        return _unpack(self._file.path, data, sealed_name(self._file), self._unsealed)

    def write(self, data: Mapping[str, Mapping[str, Any]]) -> None:
        """Replace the tables. Raises StoreError if the disk refuses or JSON can't represent a value."""
        try:
            sealed = seal(data, sealed_name(self._file), self._kept)
        except (ValueError, TypeError, RecursionError) as error:
            raise StoreError(f"not saved: {error}", self._file.path, "What was saved before is intact") from error
        self._file.folder.write(self._file.inside, sealed)
        self.tail = sealed[-TAIL_BYTES:]


class _MemoryStorage(Storage):
    """A storage in memory, which turns several changes into one write."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Any]] | None = None

    def read(self) -> dict[str, dict[str, Any]] | None:
        return self.tables

    def write(self, data: dict[str, dict[str, Any]]) -> None:
        self.tables = data


def _records(tables: Mapping[str, Mapping[str, Any]]) -> Tables:
    return {name: list(records.values()) for name, records in tables.items()}


def read_tables(file: StudyFile | Path, *, unsealed: bool = False) -> Tables | None:
    """Return the records of the table file `file`, or None without a file; the second copy is not read.

    Raises
    ------
    DamagedError
        If the file is not what was written.
    StoreError
        If it has a newer format or can't be read.
    """
    tables = SealedStorage(file, unsealed=unsealed).read()
    return None if tables is None else _records(tables)


@dataclass(frozen=True)
class StoredTables:
    """The records of a file.

    Attributes
    ----------
    tables
        The records.
    notice
        Empty, or the statement that the file is damaged and its second copy was read.
    tail
        Last bytes of the copy that was read. They contain the digest of its seal, so they differ between two saves.
    """

    tables: Tables
    notice: str = ""
    tail: bytes = b""


def read_intact_bytes(
    file: StudyFile | Path, check: Callable[[bytes], object], *, largest: int = LARGEST_FILE
) -> tuple[bytes, str] | None:
    """Read `file`, or its second copy if the file is missing or damaged; see `StudyFolder.read_intact`.

    This is for files with a format of their own, such as ``study.toml``. `read_intact` reads table files.
    """
    file = as_file(file)
    return file.folder.read_intact(file.inside, check, largest=largest)


def read_intact(file: StudyFile | Path, *, unsealed: bool = False) -> StoredTables | None:
    """Return the records of the first intact copy of the table file `file`, or None if neither copy exists.

    A copy of format 1 has no checksum, so it is not accepted in place of a damaged file. Raises DamagedError if neither
    copy is intact.
    """
    file = as_file(file)
    damaged: DamagedError
    try:
        storage = SealedStorage(file, unsealed=unsealed)
        tables = storage.read()
        if tables is not None:
            return StoredTables(_records(tables), tail=storage.tail)
        if not file.folder.exists(file.second_copy.inside):
            return None
        damaged = DamagedError("the file is missing, but its second copy exists", file.path, "See: ratui check STUDY")
    except DamagedError as error:
        damaged = error
    copy = file.second_copy
    try:
        data = file.folder.read(copy.inside)
        found = _unpack(copy.path, data, sealed_name(file), unsealed=False)
    except (FileNotFoundError, DamagedError):
        raise damaged from None
    check_second_copy(file, data, damaged)
    return StoredTables(
        _records(found), f"{damaged.problem}; its second copy is intact and was read", data[-TAIL_BYTES:]
    )


def check_second_copy(file: StudyFile | Path, copy: bytes, damaged: DamagedError) -> None:
    """Raise DamagedError if the bytes of an intact second `copy` contradict the intact records of the `damaged` file."""
    file = as_file(file)
    try:
        why = find_contradiction(file.folder.read(file.inside), copy)
    except FileNotFoundError:
        why = ""
    why = why or find_other_content(file.folder, file.inside, copy)
    if why:
        problem = f"{damaged.problem}; its second copy has another history: {why}"
        raise DamagedError(problem, file.path, "Restore it from a backup") from damaged


def write_tables(file: StudyFile | Path, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> bytes:
    """Replace the table file `file` by `tables` in one atomic write of two copies, and create its folder if necessary.

    Return the last bytes of the new file, see `StoredTables`. Raises StoreError.
    """
    writer = TableWriter(as_file(file, make_folder=True))
    return writer.write({name: TableRows([(record,) for record in records], dict) for name, records in tables.items()})


@dataclass(frozen=True)
class TableRows:
    """The content of a table before its conversion to records.

    Attributes
    ----------
    rows
        The values of each record, which nobody changes in place.
    to_record
        Function that takes the values of a row and returns its record.
    """

    rows: Sequence[tuple[Any, ...]]
    to_record: Callable[..., Mapping[str, Any]]

    def count_same(self, before: Sequence[tuple[Any, ...]]) -> int:
        """Return the number of first rows that consist of the same objects as those of `before`."""
        pairs = enumerate(zip(before, self.rows, strict=False))
        different = (number for number, (old, new) in pairs if not all(map(is_, old, new)))
        return next(different, min(len(before), len(self.rows)))

    def to_records(self) -> list[Mapping[str, Any]]:
        """Return all records."""
        return [self.to_record(*row) for row in self.rows]


class TableWriter:
    """The writer of one table file, whose folder exists. It can write the file many times, and converts only new rows.

    TinyDB keeps the records in memory from one write to the next, and `seal` their texts. If other rows than the last ones
    have changed, their table is converted anew.
    """

    def __init__(self, file: StudyFile) -> None:
        self._database = TinyDB(storage=_MemoryStorage)  # TinyDB writes at every insert: collect the inserts in memory
        self._rows: dict[str, Sequence[tuple[Any, ...]]] = {}
        """Rows whose records are in memory, by table."""
        self._storage = SealedStorage(file, kept={})

    def write(self, tables: Mapping[str, TableRows]) -> bytes:
        """Replace the file by `tables`; return its last bytes and raise errors as `write_tables` does."""
        for name, table in tables.items():
            stored = self._database.table(name)
            # The rows are known again at the end only, so that after an interruption the next write converts all of them.
            count = table.count_same(self._rows.pop(name, ()))
            if count < len(stored):
                count = 0
                stored.truncate()
            # The IDs are stated: after an interruption TinyDB would go on after the IDs of records that were not inserted.
            new = enumerate(table.rows[count:], count + 1)
            stored.insert_multiple([Document(table.to_record(*row), doc_id=id) for id, row in new])
            self._rows[name] = table.rows
        memory = self._database.storage
        assert isinstance(memory, _MemoryStorage)
        self._storage.write({name: (memory.tables or {}).get(name, {}) for name in tables})
        return self._storage.tail


def read_tail(file: StudyFile) -> bytes:
    """Return the last bytes of `file`, opened anew, or nothing without a file; see `StoredTables`. Raises StoreError."""
    try:
        return file.folder.tail(file.inside, TAIL_BYTES)
    except FileNotFoundError:
        return b""


def restore_from_copy(file: StudyFile | Path) -> None:
    """Set the damaged `file` aside and write its intact second copy in its place. Raises StoreError.

    Only the holder of the file's lock may call this. Nothing is lost: an intact copy is never older than the last save
    that succeeded.
    """
    file = as_file(file)
    data = file.folder.read(file.second_copy.inside)
    if file.folder.exists(file.inside):
        file.folder.set_aside(file.inside)
    file.folder.write(file.inside, data)

"""Read and compare the two copies of a stored file, and restore a damaged one from the other.

This module knows bytes only; `table_files` decides what an intact file may contain. Nothing is deleted: damaged files are
set aside. Reading takes a moment, and comparing, which may take seconds for a file that was made on purpose, needs no lock.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ratui.errors import DamagedError, StoreError
from ratui.study.store import StudyFile, restore_from_copy
from ratui.study.store.journaling import find_other_content
from ratui.study.store.salvage import find_contradiction
from ratui.study.store.seal import BrokenSealError, NewerFormatError, UnsealedError, open_seal, seal
from ratui.study.store.tables import sealed_name

__all__ = [
    "CopyBytes",
    "FileCopies",
    "check_tables",
    "compare_copies",
    "is_interrupted_save",
    "read_copies",
    "replace_damaged",
    "restore_copies",
    "set_both_aside",
]


@dataclass(frozen=True)
class CopyBytes:
    """The bytes of both copies of a file at one moment; None for a missing copy."""

    file: StudyFile
    first: bytes | None
    second: bytes | None

    @property
    def present(self) -> tuple[bytes, ...]:
        """The bytes of the copies that exist."""
        return tuple(data for data in (self.first, self.second) if data is not None)


@dataclass(frozen=True)
class FileCopies:
    """The state of a file and its second copy.

    Attributes
    ----------
    file
        The file.
    data
        Intact bytes; None if both copies are damaged.
    problem
        Description of the fault; empty if both copies are intact and equal.
    remedy
        Repair from the intact copy; empty if there is none.
    has_only_intact
        No copy is damaged; one is missing, or they are of different saves.
    """

    file: StudyFile
    data: bytes | None
    problem: str = ""
    remedy: str = ""
    has_only_intact: bool = False


def check_tables(file: StudyFile | Path, *, unsealed: bool) -> Callable[[bytes], None]:
    """Return a check that raises DamagedError for bytes that are not an intact table file for `file`.

    Stricter than reading: the checksums of the records and the chain of the log are computed again. With `unsealed`, tables
    of format 1 are accepted.
    """
    path = file.path if isinstance(file, StudyFile) else file

    def check(data: bytes) -> None:
        try:
            sealed = open_seal(data, sealed_name(file))
            try:
                again = seal(sealed.tables, sealed.sealed_as)
            except (ValueError, RecursionError):  # a record with a value of a name that the seal itself uses
                again = b""
            if again != data:
                raise DamagedError("its checksums do not fit its records", path)
        except UnsealedError as error:
            if not unsealed:
                raise DamagedError("it has no seal", path) from error
        except NewerFormatError as error:
            raise StoreError(f"it was written by a newer version of ratui: {error}", path, "Update ratui") from error
        except BrokenSealError as error:
            raise DamagedError(str(error), path) from error

    return check


def read_copies(file: StudyFile) -> CopyBytes:
    """Return the bytes of both copies of `file`. Raises StoreError if a copy can't be read or is no regular file."""
    return CopyBytes(file, _read(file), _read(file.second_copy))


def _read(file: StudyFile) -> bytes | None:
    try:
        return file.folder.read(file.inside)
    except FileNotFoundError:
        return None


def compare_copies(copies: CopyBytes, check: Callable[[bytes], None], *, twins: bool = True) -> FileCopies:
    """Compare both copies of a file. The journals show whether an intact second copy is what was saved.

    Parameters
    ----------
    copies
        The bytes of both copies.
    check
        Raises DamagedError for bytes that are not intact.
    twins
        False if a second copy is not required, as for a file of format 1.

    Raises
    ------
    StoreError
        If a copy has a newer format.
    """
    file = copies.file
    wrong = _find_damage(copies.first, check)
    if not wrong and not twins:
        return FileCopies(file, copies.first)
    if not wrong and copies.first == copies.second:
        return FileCopies(file, copies.first)
    other = _find_damage(copies.second, check)
    if wrong and other:
        return FileCopies(file, None, wrong)
    if wrong:
        assert copies.second is not None
        why = find_contradiction(copies.first, copies.second) if copies.first is not None else ""
        why = why or find_other_content(file.folder, file.inside, copies.second)
        if why:
            return FileCopies(file, None, f"{wrong}; its second copy has another history: {why}")
        return FileCopies(file, copies.second, wrong, "restored from its second copy", copies.first is None)
    if other:
        return FileCopies(file, copies.first, f"its second copy: {other}", "second copy written anew")
    return FileCopies(file, copies.first, "its second copy is of another save", "second copy written anew", True)


def _find_damage(data: bytes | None, check: Callable[[bytes], None]) -> str:
    """Return why `data` is not intact, or an empty text."""
    if data is None:
        return "it is missing"
    try:
        check(data)
    except DamagedError as error:
        return error.problem
    return ""


def is_interrupted_save(copies: CopyBytes) -> bool:
    """Return whether the copies differ only because a save was killed between the renames of the two.

    The second copy is renamed first. Until the file itself is renamed, its new bytes are in a temporary file beside it.
    """
    file = copies.file
    if copies.second is None or copies.first == copies.second:
        return False
    for name in file.folder.files(file.parent, ".tmp"):
        if name.startswith(f".{file.name}."):
            with contextlib.suppress(OSError, StoreError):
                if file.folder.read(f"{file.parent}/{name}".lstrip("/")) == copies.second:
                    return True
    return False


def restore_copies(copies: FileCopies) -> None:
    """Do the repair `copies.remedy`. Only the holder of the file's lock may call this. Raises StoreError."""
    assert copies.data is not None
    file = copies.file
    if _read(file) == copies.data:
        file.folder.write(file.inside, copies.data)
    else:
        restore_from_copy(file)


def replace_damaged(file: StudyFile, data: bytes) -> None:
    """Write `data` in place of two damaged copies, which are set aside. Raises StoreError."""
    set_both_aside(file)
    file.folder.write(file.inside, data)


def set_both_aside(file: StudyFile) -> None:
    """Set aside the existing copies of `file`. Raises StoreError."""
    for each in (file, file.second_copy):
        if each.folder.exists(each.inside):
            each.folder.set_aside(each.inside)

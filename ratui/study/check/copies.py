"""Compare the two copies of a stored file and restore a damaged one from the other.

This module knows bytes only; `checker` decides what an intact file may contain. Nothing is deleted: damaged files are set
aside. Files are read and written relative to an open folder, so that no link is followed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ratui.errors import DamagedError, StoreError
from ratui.files import second_copy_path, write_bytes
from ratui.study.store import restore_from_copy
from ratui.study.store.descriptors import is_missing
from ratui.study.store.folder import StudyFolder
from ratui.study.store.journaling import find_other_content
from ratui.study.store.salvage import find_contradiction
from ratui.study.store.seal import BrokenSealError, NewerFormatError, UnsealedError, open_seal, seal
from ratui.study.store.tables import read_file, sealed_name, set_aside

__all__ = ["FileCopies", "check_tables", "compare_copies", "replace_damaged", "restore_copies", "set_both_aside"]


@dataclass(frozen=True)
class FileCopies:
    """The state of a file and its second copy.

    Attributes
    ----------
    path
        The file.
    data
        Intact bytes; None if both copies are damaged.
    problem
        Description of the fault; empty if both copies are intact and equal.
    remedy
        Repair from the intact copy; empty if there is none.
    """

    path: Path
    data: bytes | None
    problem: str = ""
    remedy: str = ""


def check_tables(path: Path, *, unsealed: bool) -> Callable[[bytes], None]:
    """Return a check that raises DamagedError for bytes that are not an intact table file for `path`.

    Stricter than reading: the checksums of the records and the chain of the log are computed again. With `unsealed`, tables
    of format 1 are accepted.
    """

    def check(data: bytes) -> None:
        try:
            sealed = open_seal(data, sealed_name(path))
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


def compare_copies(
    path: Path,
    check: Callable[[bytes], None],
    folder: int,
    study: Path,
    *,
    twins: bool = True,
) -> FileCopies:
    """Read and compare both copies of `path`.

    Parameters
    ----------
    path
        The file.
    check
        Raises DamagedError for bytes that are not intact.
    folder
        Open descriptor of the file's folder.
    study
        The study's folder. Its journals show whether an intact second copy is what was saved.
    twins
        False if a second copy is not required, as for a file of format 1.

    Raises
    ------
    StoreError
        If a copy can't be read.
    """
    first, wrong = _read_checked(path, check, folder)
    if first is not None and not twins:
        return FileCopies(path, first)
    second, other = _read_checked(second_copy_path(path), check, folder)
    if first is None and second is None:
        return FileCopies(path, None, wrong)
    if first is None and second is not None:
        why = _contradiction(path, second, folder, study)
        if why:
            return FileCopies(path, None, f"{wrong}; its second copy has another history: {why}")
        return FileCopies(path, second, wrong, "restored from its second copy")
    if second is None:
        return FileCopies(path, first, f"its second copy: {other}", "second copy written anew")
    if first != second:
        return FileCopies(path, first, "its second copy is of another save", "second copy written anew")
    return FileCopies(path, first)


def _contradiction(path: Path, copy: bytes, folder: int, study: Path) -> str:
    """Return why `copy` can't be the second copy of the damaged file at `path`, or an empty text."""
    try:
        why = find_contradiction(read_file(path, folder=folder), copy)
    except FileNotFoundError:
        why = ""
    return why or find_other_content(StudyFolder(study), path.relative_to(study).as_posix(), copy)


def _read_checked(path: Path, check: Callable[[bytes], None], folder: int) -> tuple[bytes | None, str]:
    try:
        data = read_file(path, folder=folder)
        check(data)
    except FileNotFoundError:
        return None, "it is missing"
    except DamagedError as error:
        return None, error.problem
    return data, ""


def restore_copies(copies: FileCopies, folder: int) -> None:
    """Do the repair `copies.remedy`. Only the holder of the file's lock may call this. Raises StoreError."""
    assert copies.data is not None
    try:
        first = read_file(copies.path, folder=folder)
    except FileNotFoundError:
        first = b""
    if first == copies.data:
        write_bytes(copies.path, copies.data, folder=folder)
    else:
        restore_from_copy(copies.path, folder=folder)


def replace_damaged(path: Path, data: bytes, folder: int) -> None:
    """Write `data` in place of two damaged copies, which are set aside. Raises StoreError."""
    set_both_aside(path, folder)
    write_bytes(path, data, folder=folder)


def set_both_aside(path: Path, folder: int) -> None:
    """Set aside the existing copies of `path`. Raises StoreError."""
    for each in (path, second_copy_path(path)):
        if not is_missing(each.name, folder):
            set_aside(each, folder=folder)

"""Limits of archives and of the files in them, checked before memory or disk space is used.

A ZIP file of 10 MB can declare files of gigabytes, millions of entries, or many entries that share the same bytes. A file
of a study can be sparse: it has a huge size but takes no space.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import zipfile
from collections.abc import Collection
from pathlib import Path

from ratui.errors import DamagedError, StoreError
from ratui.imaging import MAX_FILE_BYTES
from ratui.study.store.folder import LARGEST_FILE

__all__ = ["check_directory", "check_entries", "check_free_space", "find_unexpected", "is_file_name", "largest_size"]

_NAME = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")
_TEXT = (".json", ".jsonl", ".toml")
_LARGEST_MODEL = 4_000_000_000
_SIGNATURE = ".json.sig"
_LARGEST_SIGNATURE = 100_000  # bytes; those of RSA keys with 16384 bits have 6,000
_MAX_ENTRIES = 300_000  # a study of 10,000 cases has 100,000 files
_MAX_DIRECTORY_BYTES = 100_000_000
_MAX_RATIO = 100  # of the sizes before and after compression; stored tables reach 10
_SLACK = 1_000_000  # bytes that a small file may have at any ratio
_END = struct.Struct("<4s4H2LH")  # end of central directory (APPNOTE.TXT 4.3.16)
_END_64 = struct.Struct("<4sQ2H2L4Q")  # its 64-bit form (4.3.14)
_LOCATOR = struct.Struct("<4sLQL")  # of the 64-bit form (4.3.15)
_BLOCK_BYTES = 512  # unit of st_blocks
_SPARSE_FROM = 16_000_000  # bytes; file systems with compression store small files in few blocks, too
_SPARSE_RATIO = 16


def largest_size(name: str) -> int:
    """Return the largest size in bytes of the file of a study with the relative path `name`; 0 if none has such a name."""
    if name.endswith(_TEXT):
        return LARGEST_FILE
    if name.startswith("films/"):
        return MAX_FILE_BYTES if name.endswith(".dcm") else 0
    if name.startswith("seals/"):
        return _LARGEST_SIGNATURE if name.endswith(_SIGNATURE) else 0
    return _LARGEST_MODEL if name.startswith("models/") else 0


def is_file_name(name: str) -> bool:
    """Return whether `name` can be the relative path of a file in a study."""
    return _NAME.fullmatch(name) is not None and not {".", ".."} & set(name.split("/"))


def find_unexpected(name: str, found: os.stat_result) -> str:
    """Return the reason why the file `name` is none that ratui wrote, or an empty text; `found` is its status."""
    largest = largest_size(name)
    if not largest or not is_file_name(name):
        return "it is of no kind that a study contains"
    if found.st_size > largest:
        return "it is larger than any file of its kind"
    if found.st_size > _SPARSE_FROM and found.st_blocks * _BLOCK_BYTES < found.st_size // _SPARSE_RATIO:
        return "it is sparse: most of its content does not exist"
    return ""


def check_free_space(folder: Path, needed: int) -> None:
    """Raise StoreError if the file system of the existing `folder` has less than `needed` bytes left."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        problem = f"it needs up to {needed // 10**6 + 1} MB and {free // 10**6} MB are free"
        raise StoreError(problem, folder, "Free some disk space, or choose another disk")


def check_directory(path: Path) -> None:
    """Raise DamagedError if the ZIP file at `path` has another list of entries than an archive of ratui.

    zipfile reads the whole list at once. Its length is at the end of the file. Raises OSError if the file can't be read.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size - _END.size - _LOCATOR.size - _END_64.size))
        tail = file.read()
    problem = "it is not an archive of ratui, or it is damaged"
    if len(tail) < _END.size:
        raise DamagedError(problem, path, "Use another backup")
    mark, _, _, _, entries, length, offset, comment = _END.unpack(tail[-_END.size :])
    before_end = size - _END.size
    if mark != b"PK\5\6" or comment:
        raise DamagedError(problem, path, "Use another backup")
    if entries == 0xFFFF or length == 0xFFFFFFFF or offset == 0xFFFFFFFF:
        if len(tail) < _END.size + _LOCATOR.size + _END_64.size:
            raise DamagedError(problem, path, "Use another backup")
        mark, *_, entries, length, offset = _END_64.unpack(tail[: _END_64.size])
        before_end -= _LOCATOR.size + _END_64.size
        if mark != b"PK\6\6":
            raise DamagedError(problem, path, "Use another backup")
    if entries > _MAX_ENTRIES or length > _MAX_DIRECTORY_BYTES or offset + length != before_end:
        raise DamagedError("its list of files is larger than that of any study, or damaged", path, "Use another backup")


def check_entries(entries: Collection[zipfile.ZipInfo], path: Path) -> int:
    """Return the bytes that the files of an archive need on the disk, after a check of what its entries declare.

    Raises DamagedError if an entry is larger than a file of its kind, compressed more than tables are, or uses another
    method, or if entries share bytes.
    """
    needed = stored = 0
    for entry in entries:
        is_text = entry.filename.endswith(_TEXT)
        methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) if is_text else (zipfile.ZIP_STORED,)
        if entry.compress_type not in methods or entry.flag_bits & 0x1:
            raise DamagedError(
                "a file in the archive is compressed by another method, or encrypted", path, "Use another backup"
            )
        largest = largest_size(entry.filename)
        if entry.file_size and not largest:
            problem = "the archive contains a file of no kind that a study contains"
            raise DamagedError(problem, path, "Use another backup")
        if entry.file_size > largest:
            raise DamagedError("the archive contains a file larger than any of a study", path, "Use another backup")
        if entry.file_size > _MAX_RATIO * entry.compress_size + _SLACK:
            raise DamagedError("a file in the archive is compressed too much", path, "Use another backup")
        stored += entry.compress_size
        needed += (2 if is_text else 1) * (entry.file_size + 4096)  # tables get a second copy
    if stored > path.stat().st_size:
        raise DamagedError("files in the archive share their bytes", path, "Use another backup")
    return needed

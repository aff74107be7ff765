"""Read a DICOMDIR: the list of the files on a disc or in an export. It runs in the reader's process."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pydicom

from ratui.errors import FilmError

__all__ = ["FileId", "is_file_id", "read_file_set"]

FileId = tuple[str, ...]
"""Names of folders and of a file, from the folder of the DICOMDIR on."""

_DIRECTORY_CLASS = "1.2.840.10008.1.3.10"  # Media Storage Directory Storage
_OFFSETS = (
    "OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity",
    "OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity",
    "OffsetOfTheNextDirectoryRecord",
    "OffsetOfReferencedLowerLevelDirectoryEntity",
)
_MAX_BYTES = 100_000_000
_MAX_FILES = 300_000
_MAX_DEPTH = 8  # components of a File ID (PS3.10 8.2)
_COMPONENT = re.compile(r"[^/\\\0]{1,64}")  # 16 characters by the standard; longer ones occur


def read_file_set(path: Path) -> tuple[FileId, ...]:
    """Return the IDs of the files that the DICOMDIR at `path` lists, in its order.

    Raises FilmError if it is no DICOMDIR, or damaged.
    """
    remedy = "Give the folder without it"
    try:
        size = path.stat().st_size
        if size > _MAX_BYTES:
            raise FilmError("the DICOMDIR is too large", path, remedy)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            directory = pydicom.dcmread(path)
            if directory.file_meta.get("MediaStorageSOPClassUID") != _DIRECTORY_CLASS:
                raise FilmError("it is not a DICOMDIR", path, remedy)
            records = directory.get("DirectoryRecordSequence") or ()
            offsets = [int(each.get(keyword) or 0) for each in (directory, *records) for keyword in _OFFSETS]
            if max(offsets) > size:  # the parser ends a sequence where the file ends
                raise FilmError("the DICOMDIR is incomplete", path, remedy)
            found = [_read_id(record) for record in records]
    except FilmError:
        raise
    except Exception as error:  # a damaged element makes its parser raise almost anything
        raise FilmError(f"the DICOMDIR is damaged ({type(error).__name__})", path, remedy) from error
    ids = tuple(dict.fromkeys(file_id for file_id in found if file_id))
    if not ids:
        raise FilmError("the DICOMDIR lists no file", path, remedy)
    if len(ids) > _MAX_FILES or not all(map(is_file_id, ids)):
        raise FilmError("the DICOMDIR is damaged: it contains an impossible file name", path, remedy)
    return ids


def is_file_id(file_id: FileId) -> bool:
    """Return whether these names lead to a file below the folder of a DICOMDIR."""
    return 0 < len(file_id) <= _MAX_DEPTH and all(
        _COMPONENT.fullmatch(name) and name not in (".", "..") for name in file_id
    )


def _read_id(record: pydicom.Dataset) -> FileId:
    """Return the file of a record, or nothing if it has none or was deleted from the list."""
    if record.get("RecordInUseFlag", 0xFFFF) == 0:
        return ()
    value = record.get("ReferencedFileID")
    names = [value] if isinstance(value, str) else list(value or ())
    return tuple(str(name).strip() for name in names)

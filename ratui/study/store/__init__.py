"""Sealed table files in two copies, read and written as a whole, and the locks that give each file one writer."""

from ratui.errors import DamagedError
from ratui.study.store.folder import LARGEST_FILE, StudyFile, StudyFolder
from ratui.study.store.locking import FileLock, LockedByOther, LockHolder, TakenOver
from ratui.study.store.seal import FORMAT, BrokenSealError, open_seal, seal
from ratui.study.store.study_lock import StudyLock, StudyLocked
from ratui.study.store.tables import (
    SealedStorage,
    StoredTables,
    Tables,
    read_intact,
    read_intact_bytes,
    read_tables,
    restore_from_copy,
    write_tables,
)

__all__ = [
    "FORMAT",
    "LARGEST_FILE",
    "BrokenSealError",
    "DamagedError",
    "FileLock",
    "LockHolder",
    "LockedByOther",
    "SealedStorage",
    "StoredTables",
    "StudyFile",
    "StudyFolder",
    "StudyLock",
    "StudyLocked",
    "Tables",
    "TakenOver",
    "open_seal",
    "read_intact",
    "read_intact_bytes",
    "read_tables",
    "restore_from_copy",
    "seal",
    "write_tables",
]

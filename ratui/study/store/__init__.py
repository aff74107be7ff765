"""Files that are written whole or not at all, that tell when they were changed, and one writer for each."""

from ratui.study.store.access import file_mode, make_folder, share_folder, umask_for
from ratui.study.store.atomic_write import remove_leftovers, write_bytes
from ratui.study.store.file_lock import FileLock, HeldByOther, LockHolder
from ratui.study.store.seal import FORMAT, BrokenSealError, open_seal, seal
from ratui.study.store.tables import (
    DamagedError,
    SealedStorage,
    StoredTables,
    Tables,
    read_intact,
    read_intact_bytes,
    read_tables,
    restore_from_copy,
    set_aside,
    write_tables,
)

__all__ = [
    "FORMAT",
    "BrokenSealError",
    "DamagedError",
    "FileLock",
    "HeldByOther",
    "LockHolder",
    "SealedStorage",
    "StoredTables",
    "Tables",
    "file_mode",
    "make_folder",
    "open_seal",
    "read_intact",
    "read_intact_bytes",
    "read_tables",
    "remove_leftovers",
    "restore_from_copy",
    "seal",
    "set_aside",
    "share_folder",
    "umask_for",
    "write_bytes",
    "write_tables",
]

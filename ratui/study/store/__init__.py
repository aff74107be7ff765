"""Files that are written whole or not at all, that tell when they were changed, and one writer for each."""

from ratui.study.store.access import file_mode, make_folder, open_as, share_folder
from ratui.study.store.atomic_write import remove_leftovers, write_bytes
from ratui.study.store.file_lock import Held, Holder, Lock
from ratui.study.store.seal import FORMAT, Broken, open_seal, seal
from ratui.study.store.tables import (
    DamagedError,
    SealedStorage,
    Stored,
    Tables,
    read_sound,
    read_tables,
    restore_from_copy,
    set_aside,
    sound_bytes,
    write_tables,
)

__all__ = [
    "FORMAT",
    "Broken",
    "DamagedError",
    "Held",
    "Holder",
    "Lock",
    "SealedStorage",
    "Stored",
    "Tables",
    "file_mode",
    "make_folder",
    "open_as",
    "open_seal",
    "read_sound",
    "read_tables",
    "remove_leftovers",
    "restore_from_copy",
    "seal",
    "set_aside",
    "share_folder",
    "sound_bytes",
    "write_bytes",
    "write_tables",
]

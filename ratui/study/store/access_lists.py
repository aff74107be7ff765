"""POSIX access control lists, which give single accounts and groups access beyond the permission bits of a file.

A folder's default list is inherited by everything that is made in it. Lists are read and removed through a descriptor, as
the extended attributes in which Linux keeps them (acl(5)); other systems have no such attributes, and no list is found.
"""

from __future__ import annotations

import errno
import os
import struct
from dataclasses import dataclass

__all__ = ["AccessList", "read_access_list", "remove_access_lists"]

_ACCESS, _DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
_NONE = (errno.ENODATA, errno.EOPNOTSUPP, errno.ENOENT, errno.ENOSYS)
_VERSION = 2
# Tags of acl(5) in the kernel's form.
_USER, _OWNING_GROUP, _GROUP, _MASK = 0x02, 0x04, 0x08, 0x10


@dataclass(frozen=True)
class AccessList:
    """The access list of a file or folder.

    Attributes
    ----------
    grants
        It gives a named account or group access, or a default list lets new files inherit one.
    group
        Permission bits of the owning group, from 0 to 7, which the file's mode does not show.
    """

    grants: bool
    group: int


def read_access_list(folder: int, name: str) -> AccessList | None:
    """Return the access list of `name` in the open folder `folder`, or of the folder itself for an empty name.

    None if there is no list. Raises OSError. A symbolic link is not followed.
    """
    place = f"/proc/self/fd/{folder}/{name}" if name else folder
    access, default = (_read(place, each) for each in (_ACCESS, _DEFAULT))
    if access is None and default is None:
        return None
    entries = _parse(access or b"")
    mask = next((bits for tag, bits in entries if tag == _MASK), 7)
    named = any(tag in (_USER, _GROUP) and bits & mask for tag, bits in entries)
    group = next((bits & mask for tag, bits in entries if tag == _OWNING_GROUP), 7)
    return AccessList(named or default is not None, group)


def remove_access_lists(descriptor: int) -> None:
    """Remove all lists from an open file or folder. The group bits of its mode are then those of the list's mask.

    Raises OSError.
    """
    for name in (_ACCESS, _DEFAULT):
        if _read(descriptor, name) is not None:
            os.removexattr(descriptor, name)


def _read(place: str | int, name: str) -> bytes | None:
    if not hasattr(os, "getxattr"):
        return None
    try:
        if isinstance(place, int):
            return os.getxattr(place, name)
        return os.getxattr(place, name, follow_symlinks=False)
    except OSError as error:
        if error.errno in _NONE:
            return None
        raise


def _parse(data: bytes) -> list[tuple[int, int]]:
    """Return the tag and the permission bits of each entry; an unknown form counts as a named entry with all bits."""
    if not data:
        return []
    if len(data) % 8 != 4 or struct.unpack_from("<I", data)[0] != _VERSION:
        return [(_USER, 7)]
    return [(tag, bits) for tag, bits, _ in struct.iter_unpack("<HHI", data[4:])]

"""The mounted file systems, as the kernel lists them: the kind of one, and mounts inside a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

__all__ = ["file_system_type", "is_network_type", "mounts_below"]

_MOUNTS = Path("/proc/self/mountinfo")
_NETWORK = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "coda", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4"}
    | {"ocfs2", "orangefs", "smb2", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs"}
)
_LOCAL_FUSE = frozenset(["fuse.ntfs", "fuse.ntfs-3g", "fuse.exfat", "fuse.bindfs", "fuse.encfs", "fuse.gocryptfs"])


@dataclass(frozen=True)
class _Mount:
    """A mounted file system: its device as ``major:minor``, its type, and the place at which it is mounted."""

    device: str
    type: str
    place: PurePath


def _list_mounts() -> Iterator[_Mount]:
    """Yield the mounts in ``/proc/self/mountinfo``, see proc(5); none on systems without that file."""
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
    except OSError:
        return
    for line in lines:
        fields, _, after = line.partition(" - ")
        parts = fields.split(" ")
        if len(parts) > 4:
            # Spaces and the like are written as octal numbers.
            place = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), parts[4])
            yield _Mount(parts[2], after.split(" ")[0], PurePath(place))


def file_system_type(device: int) -> str:
    """Return the type of the mounted file system with the number `device` (``st_dev``), such as ``ext4``, or "".

    The result is empty where the system does not tell.
    """
    wanted = f"{os.major(device)}:{os.minor(device)}"
    return next((mount.type for mount in _list_mounts() if mount.device == wanted), "")


def mounts_below(top: Path) -> list[PurePath]:
    """Return the places inside the folder `top` at which something is mounted; none where the system does not tell."""
    real = top.resolve()
    places = {mount.place for mount in _list_mounts()}
    return sorted(place.relative_to(real) for place in places if place != real and place.is_relative_to(real))


def is_network_type(type: str) -> bool:
    """Return whether a file system of this type may be used by several machines at once.

    A FUSE file system counts as one, such as sshfs, unless it is known to be local.
    """
    return type in _NETWORK or (type.startswith("fuse.") and type not in _LOCAL_FUSE)

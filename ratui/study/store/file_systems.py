"""The kind of file system that contains a folder."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["file_system_type", "is_network_type"]

_MOUNTS = Path("/proc/self/mountinfo")
_NETWORK = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "coda", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4"}
    | {"ocfs2", "orangefs", "smb2", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs"}
)
_LOCAL_FUSE = frozenset(["fuse.ntfs", "fuse.ntfs-3g", "fuse.exfat", "fuse.bindfs", "fuse.encfs", "fuse.gocryptfs"])


def file_system_type(device: int) -> str:
    """Return the type of the mounted file system with the number `device` (``st_dev``), such as ``ext4``, or "".

    It is read from ``/proc/self/mountinfo``, see proc(5). The result is empty on systems without that file.
    """
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        fields, _, after = line.partition(" - ")
        if fields.split(" ")[2:3] == [wanted]:
            return after.split(" ")[0]
    return ""


def is_network_type(type: str) -> bool:
    """Return whether a file system of this type may be used by several machines at once.

    A FUSE file system counts as one, such as sshfs, unless it is known to be local.
    """
    return type in _NETWORK or (type.startswith("fuse.") and type not in _LOCAL_FUSE)

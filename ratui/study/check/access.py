"""Find and close files and folders of a study that others than its owner and its group could open.

Every change goes through the descriptor of the object that was inspected: see `ratui.study.store.descriptors`.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ratui.study.check.report import CheckFault
from ratui.study.layout import FOLDERS, PRIVATE, SNAPSHOT_PREFIX, folder_mode, group_id
from ratui.study.store.access_lists import AccessList, read_access_list, remove_access_lists
from ratui.study.store.descriptors import Entry, open_entry, walk_no_links
from ratui.study.store.study_lock import LOCK_FILES

__all__ = ["check_access", "close_to_others"]

_LINK = "it is a symbolic link; studies contain none; not followed"
_SEVERAL_NAMES = "It has several names (hard links), as during a backup: try again when no backup runs; not changed"
_MOMENT = 0.05
"""Seconds after which a file that was being created at the first look has its final mode."""


@dataclass(frozen=True)
class _Groups:
    """The Unix groups of a study: name and number of the raters' and of the managers' group."""

    study: tuple[str, int | None]
    managers: tuple[str, int | None]

    def of(self, entry: Entry) -> tuple[str, int | None]:
        """Return the group that shares `entry`; its number is None if only the owner has access."""
        return self.managers if entry.inside.parts[:1] == (PRIVATE,) else self.study


def check_access(study: Path, group: str, repair: bool, managers: str = "") -> Iterator[CheckFault]:
    """Find what in the folder `study` is no file or folder, is too open, or belongs to another group than `group`.

    The private folder must belong to the group `managers`, or to the owner alone if that is empty.

    With `repair` access is taken away from each object that this account may change: the kernel lets an account change
    its own only, root any. Access is given only where nobody but the study's owner could have put the object there. A
    file with several names is left as it is: another name of it may lie outside the study. Raises StudyError.
    """
    groups = _Groups((group, group_id(group)), (managers, group_id(managers)))
    suspects = {
        _key(entry.found)
        for entry in walk_no_links(study, skip=SNAPSHOT_PREFIX)
        if _find_fault(entry, *groups.of(entry))
    }
    if not suspects:
        return
    time.sleep(_MOMENT)
    found = [
        fault
        for entry in walk_no_links(study, skip=SNAPSHOT_PREFIX)
        if _key(entry.found) in suspects and (fault := _report_fault(entry, *groups.of(entry), repair))
    ]
    yield from sorted(found, key=lambda fault: fault.file)


def _key(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _find_fault(entry: Entry, group: str, gid: int | None) -> str:
    """Say what is wrong with `entry`; empty where nothing is."""
    kind = entry.found.st_mode
    if stat.S_ISLNK(kind):
        return _LINK
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        return "it is neither a file nor a folder; not opened"
    if entry.foreign:
        return f"{entry.foreign}; not looked at"
    granted = _access_list(entry)
    if granted is not None and granted.grants:
        return "an access list (ACL) opens it, or files created in it, to other accounts"
    return _wrong_access(entry, entry.found.st_mode, entry.found.st_gid, group, gid)


def _access_list(entry: Entry) -> AccessList | None:
    """Return the access list of `entry`; None without one, and for an object that has just been removed."""
    try:
        if entry.descriptor is not None:
            return read_access_list(entry.descriptor, "")
        return None if entry.folder is None else read_access_list(entry.folder, entry.inside.name)
    except OSError:
        return None


def _wrong_access(entry: Entry, mode: int, owner_group: int, group: str, gid: int | None) -> str:
    wanted = _expected_mode(entry, gid)
    if mode & ~wanted & 0o007:
        return "everybody on this machine could open it"
    if mode & ~wanted & 0o020 and _is_lock_of_study(entry):
        return "a member of the group could block all saves with it"
    if mode & ~wanted & 0o070:
        return "a group could open it that the study is not shared with"
    if gid is not None and owner_group != gid:
        return f"it does not belong to the group {group}"
    if gid is None or (_needs_no_group(entry) and not _is_lock_of_study(entry)):
        return ""
    return f"the group {group} can't open it" if wanted & ~mode & 0o050 else ""


def _is_lock_of_study(entry: Entry) -> bool:
    return len(entry.inside.parts) == 1 and entry.inside.name in LOCK_FILES


def _needs_no_group(entry: Entry) -> bool:
    """Return whether `entry` is a lock file, or a file that a killed writer has left before it set the mode."""
    return entry.inside.suffix in (".lock", ".takeover", ".saving", ".tmp")


def _expected_mode(entry: Entry, gid: int | None) -> int:
    """Return the mode that `entry` should have."""
    parts = entry.inside.parts
    if stat.S_ISDIR(entry.found.st_mode):
        return _wanted_folder(parts, gid)
    if parts[:-1] == ("journal",):  # only its account may write a journal, or open its lock
        return 0o600 if parts[-1].endswith(".lock") or gid is None else 0o640
    return 0o600 | (_wanted_folder(parts[:-1], gid) & 0o060)


def _wanted_folder(parts: tuple[str, ...], gid: int | None) -> int:
    name = parts[0] if parts else ""
    if name == PRIVATE:
        return 0o700 if gid is None else 0o2750
    if len(parts) <= 1 and name in FOLDERS:
        return folder_mode(name, gid is not None)
    if gid is None:
        return 0o700
    return 0o2750 if name in ("readings", "films") else 0o2700 | FOLDERS.get(name, 0o050)


def _is_owners_alone(entry: Entry) -> bool:
    """Return whether nobody but the study's owner can have put `entry` where it is.

    Elsewhere a rater may have moved a private file of the owner there, for the repair to open it to the group.
    """
    owner = (*entry.above, entry.found)[0].st_uid
    return entry.found.st_uid == owner and all(
        folder.st_uid == owner and not folder.st_mode & 0o022 for folder in entry.above
    )


def _target(entry: Entry, mode: int, owner_group: int, gid: int | None) -> tuple[int, int]:
    """Return the mode and the group that a repair gives to `entry`, which has `mode` and `owner_group`."""
    wanted = _expected_mode(entry, gid)
    if _is_owners_alone(entry):
        return wanted, owner_group if gid is None else gid
    kept = mode & 0o070 if gid in (None, owner_group) else 0
    return wanted & (0o7700 | kept), owner_group


def _report_fault(entry: Entry, group: str, gid: int | None, repair: bool) -> CheckFault | None:
    wrong, name = _find_fault(entry, group, gid), str(entry.inside)
    if not wrong:
        return None
    regular = stat.S_ISREG(entry.found.st_mode)
    if entry.foreign or not (regular or stat.S_ISDIR(entry.found.st_mode)):
        return CheckFault(name, wrong, advice="Look where it leads and who made it; remove it")
    if regular and entry.found.st_nlink > 1:
        return CheckFault(name, wrong, advice=_SEVERAL_NAMES)
    mode = _mode_without_list(entry.found.st_mode, _access_list(entry))
    left = _wrong_access(entry, *_target(entry, mode, entry.found.st_gid, gid), group, gid)
    advice = "If it belongs to the study, its owner can open it to the group: chgrp, chmod" if left else ""
    repaired = False
    if repair:
        try:
            _set_access(entry, gid)
            repaired = not left
        except OSError as error:
            advice = f"{error.strerror}: ask its owner, user {entry.found.st_uid}"
    return CheckFault(name, wrong, "" if left else "permissions set", repaired, advice)


def _set_access(entry: Entry, gid: int | None) -> None:
    """Change the very object that was inspected. Raises OSError, also where another has taken its name."""
    with open_entry(entry) as descriptor:
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
            raise OSError(errno.ESTALE, "it was renamed just now")
        granted = read_access_list(descriptor, "")
        if granted is not None:
            remove_access_lists(descriptor)
        mode, group = _target(entry, _mode_without_list(found.st_mode, granted), found.st_gid, gid)
        if group != found.st_gid:
            os.fchown(descriptor, -1, group)
        os.fchmod(descriptor, mode)


def _mode_without_list(mode: int, granted: AccessList | None) -> int:
    """Return `mode` with the bits of the owning group, in place of the list's mask that the kernel shows there."""
    return mode if granted is None else (mode & ~0o070) | (mode & granted.group << 3)


def close_to_others(study: Path, group: str = "", managers: str = "") -> None:
    """Give every file and folder of `study` the access it should have, as far as this account may.

    Raises StudyError for an unknown group and where the folder can't be opened.
    """
    for _ in check_access(study, group, repair=True, managers=managers):
        pass

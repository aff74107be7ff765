"""Whether anybody but the study's owner and its group could open its files: found, and closed where asked."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from ratui.study.check.report import Finding
from ratui.study.layout import FOLDERS, LOCKS, SNAPSHOT_PREFIX, folder_mode, group_id
from ratui.study.store import file_mode

__all__ = ["check_access", "close_to_others"]

_LINK = "it is a link, which no study holds"
_MOMENT = 0.05
"""Seconds after which a file that was being made at the first look has the mode that it keeps."""


def check_access(study: Path, group: str, repair: bool) -> Iterator[Finding]:
    """What in the folder `study` is more open than it may be, or belongs to another group. Mends it with `repair`."""
    gid = group_id(group)
    suspects = [path for path in _walk(study) if _find_fault(study, path, group, gid)]
    if suspects:
        time.sleep(_MOMENT)
    for path in suspects:
        wrong = _find_fault(study, path, group, gid)
        if wrong == _LINK:
            yield Finding(_relative_name(study, path), wrong, advice="Look where it leads; remove it")
        elif wrong:
            yield _restrict_access(study, path, _expected_mode(study, path, path.lstat(), gid), gid, wrong, repair)


def _find_fault(study: Path, path: Path, group: str, gid: int | None) -> str:
    """What is wrong with the access of `path`, empty where nothing is, or where it has gone meanwhile."""
    try:
        found = path.lstat()
        mode, wanted = stat.S_IMODE(found.st_mode), _expected_mode(study, path, found, gid)
    except FileNotFoundError:  # a save was done just now
        return ""
    if stat.S_ISLNK(found.st_mode):
        return _LINK
    if mode & ~wanted & 0o007:
        return "everybody on this machine could open it"
    if mode & ~wanted & 0o070:
        return "a group could open it that the study is not shared with"
    if gid is not None and found.st_gid != gid:
        return f"it does not belong to the group {group}"
    return f"the group {group} can't open it" if gid is not None and wanted & ~mode & 0o050 else ""


def _restrict_access(study: Path, path: Path, wanted: int, gid: int | None, wrong: str, repair: bool) -> Finding:
    remedy, repaired, advice = "permissions set", False, ""
    if repair:
        try:
            if gid is not None:
                os.chown(path, -1, gid)
            path.chmod(wanted)
            repaired = True
        except OSError as error:
            advice = f"{error.strerror}: ask its owner, user {path.lstat().st_uid}"
    return Finding(_relative_name(study, path), wrong, remedy, repaired, advice)


def _expected_mode(study: Path, path: Path, found: os.stat_result, gid: int | None) -> int:
    """The mode that `path` should have; never more than it has, where it is closed to the group on purpose."""
    parts = path.relative_to(study).parts
    if stat.S_ISDIR(found.st_mode):
        name = parts[0] if parts else ""
        if len(parts) <= 1 and name in FOLDERS:
            return folder_mode(name, gid is not None)
        if gid is None:
            return 0o700
        return 0o2750 if name in ("readings", "films") else 0o2700 | FOLDERS.get(name, 0o050)
    if gid is None:
        return 0o600
    if len(parts) == 1 and parts[0] in LOCKS:
        return 0o660
    return file_mode(path.parent)


def _walk(study: Path) -> Iterator[Path]:
    yield study
    for folder, names, files in os.walk(study):
        names[:] = [name for name in names if not name.startswith(SNAPSHOT_PREFIX)]
        for name in sorted((*names, *files)):
            yield Path(folder) / name


def _relative_name(study: Path, path: Path) -> str:
    return str(path.relative_to(study))


def close_to_others(study: Path, group: str = "") -> None:
    """Gives every file and folder of `study` the access it should have, as far as this account may. Raises StudyError."""
    for _ in check_access(study, group, repair=True):
        pass

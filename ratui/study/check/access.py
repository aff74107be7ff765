"""Whether anybody but the study's owner and its group could open its files: found, and closed where asked."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ratui.study.check.report import Finding
from ratui.study.folder import FOLDERS, LOCKS, SNAPSHOT, folder_mode, group_id
from ratui.study.store import file_mode

__all__ = ["check_access", "close_to_others"]


def check_access(study: Path, group: str, repair: bool) -> Iterator[Finding]:
    """What in the folder `study` is more open than it may be, or belongs to another group. Mends it with `repair`."""
    gid = group_id(group)
    for path in _all(study):
        found = path.lstat()
        mode, wanted = stat.S_IMODE(found.st_mode), _wanted(study, path, found, gid)
        wrong = ""
        if stat.S_ISLNK(found.st_mode):
            yield Finding(
                _name(study, path), "it is a link, which no study holds", advice="Look where it leads; remove it"
            )
            continue
        if mode & ~wanted & 0o007:
            wrong = "everybody on this machine could open it"
        elif mode & ~wanted & 0o070:
            wrong = "a group could open it that the study is not shared with"
        elif gid is not None and found.st_gid != gid:
            wrong = f"it does not belong to the group {group}"
        elif gid is not None and wanted & ~mode & 0o050:
            wrong = f"the group {group} can't open it"
        if wrong:
            yield _closed(study, path, wanted, gid, wrong, repair)


def _closed(study: Path, path: Path, wanted: int, gid: int | None, wrong: str, repair: bool) -> Finding:
    remedy, mended, advice = "permissions set", False, ""
    if repair:
        try:
            if gid is not None:
                os.chown(path, -1, gid)
            path.chmod(wanted)
            mended = True
        except OSError as error:
            advice = f"{error.strerror}: ask its owner, user {path.lstat().st_uid}"
    return Finding(_name(study, path), wrong, remedy, mended, advice)


def _wanted(study: Path, path: Path, found: os.stat_result, gid: int | None) -> int:
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


def _all(study: Path) -> Iterator[Path]:
    yield study
    for folder, names, files in os.walk(study):
        names[:] = [name for name in names if not name.startswith(SNAPSHOT)]
        for name in sorted((*names, *files)):
            yield Path(folder) / name


def _name(study: Path, path: Path) -> str:
    return str(path.relative_to(study))


def close_to_others(study: Path, group: str = "") -> None:
    """Gives every file and folder of `study` the access it should have, as far as this account may. Raises StudyError."""
    for _ in check_access(study, group, repair=True):
        pass

"""The studies that the user opened last, in a private file beside the settings.

The file is a convenience: if it is missing or damaged, the list is empty, and if it cannot be written, it stays as it was.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ratui.bounded_parsing import read_bounded
from ratui.errors import StudyError
from ratui.files import write_bytes
from ratui.tui.user_settings import settings_file

__all__ = ["MOST_RECENT", "RecentStudy", "forget_study", "read_recent_studies", "recent_file", "remember_study"]

MOST_RECENT = 10
"""Number of studies that are remembered."""
_MAX_BYTES = 100_000
_LONGEST_PATH = 4096
_LONGEST_RATER = 100


@dataclass(frozen=True)
class RecentStudy:
    """A study that the user has opened."""

    folder: Path
    """Absolute path of the study, which may no longer exist."""
    rater: str
    """ID of the rater who opened it; empty if it was created and not opened yet."""


def recent_file() -> Path:
    """Return the path of the list, which may not exist."""
    return settings_file().with_name("recent.json")


def read_recent_studies(file: Path | None = None) -> tuple[RecentStudy, ...]:
    """Return the remembered studies, the one that was opened last first. Leave out entries that are not valid.

    `file` is the list; without it, `recent_file()`.
    """
    try:
        raw = json.loads(read_bounded(file or recent_file(), _MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return ()
    found: dict[Path, RecentStudy] = {}
    for row in raw if isinstance(raw, list) else ():
        study = _parse(row)
        if study is not None:
            found.setdefault(study.folder, study)
    return tuple(found.values())[:MOST_RECENT]


def _parse(row: object) -> RecentStudy | None:
    folder, rater = (row.get("folder"), row.get("rater")) if isinstance(row, dict) else (None, None)
    if not isinstance(folder, str) or not isinstance(rater, str):
        return None
    valid = 0 < len(folder) <= _LONGEST_PATH and len(rater) <= _LONGEST_RATER and "\0" not in folder
    return RecentStudy(Path(folder), rater) if valid and Path(folder).is_absolute() else None


def remember_study(folder: Path, rater: str = "", file: Path | None = None) -> None:
    """Put the study in `folder`, opened by `rater`, at the head of the list.

    Without a rater, the one who opened the study before is kept.
    """
    folder = folder.absolute()
    before = read_recent_studies(file)
    earlier = next((study for study in before if study.folder == folder), None)
    study = RecentStudy(folder, rater or (earlier.rater if earlier else ""))
    if before[:1] != (study,):
        _write([study, *(other for other in before if other.folder != folder)], file)


def forget_study(folder: Path, file: Path | None = None) -> None:
    """Remove the study in `folder` from the list. The study itself is not touched."""
    _write([study for study in read_recent_studies(file) if study.folder != folder], file)


def _write(studies: Sequence[RecentStudy], file: Path | None) -> None:
    file = file or recent_file()
    rows = [{"folder": str(study.folder), "rater": study.rater} for study in studies[:MOST_RECENT]]
    # A folder that cannot be written, such as a home directory on a full disk, is no reason to stop a reading.
    with contextlib.suppress(OSError, StudyError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(file, json.dumps(rows, indent=1).encode(), copy=False, private=True)

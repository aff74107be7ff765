"""A study as it stands at one moment, to read in peace while raters go on saving.

Stored files are never changed in place, so a hard link to each is a picture of it that costs nothing.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ratui.errors import StoreError
from ratui.study.folder import SNAPSHOT
from ratui.study.study import Study

__all__ = ["snapshot", "stored_files"]

_PASSING = (".lock", ".takeover", ".tmp")


def stored_files(study: Path) -> Iterator[Path]:
    """Every file that belongs to the study in the folder `study`, as a path inside it, sorted.

    Not locks, caches, unfinished and damaged files, nor second copies, which are made anew where they are needed.
    """
    for folder, names, files in os.walk(study):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in sorted(files):
            passing = name.startswith(".") or name.endswith((*_PASSING, ".bak")) or ".damaged-" in name
            if not passing and not (Path(folder) / name).is_symlink():
                yield (Path(folder) / name).relative_to(study)


@contextmanager
def snapshot(study: Study) -> Iterator[Study]:
    """The study as it is now, as a study of its own that nobody changes; gone when the block ends. Raises StoreError.

    Readings, regions and films all stem from one moment; what is saved meanwhile waits for some thousandths of a second.
    """
    folder = _folder(study.path)
    try:
        with study.still():
            for file in stored_files(study.path):
                _link(study.path / file, folder / file)
        still = Study(folder, study.config, study.scheme)
        yield still
    except OSError as error:
        raise StoreError(f"no picture of the study can be taken: {error.strerror}", study.path, "Make room") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _folder(study: Path) -> Path:
    """A new folder beside the study's files, so that links are possible; elsewhere where this account can't write."""
    with contextlib.suppress(OSError):
        return Path(tempfile.mkdtemp(prefix=SNAPSHOT, dir=study))
    return Path(tempfile.mkdtemp(prefix="ratui-snapshot-"))


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links, or a file of somebody else: a copy shows the same
        shutil.copyfile(source, target)

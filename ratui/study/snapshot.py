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

from ratui.errors import RatuiError, StoreError
from ratui.study.layout import SNAPSHOT_PREFIX
from ratui.study.study import Study

__all__ = ["LinkedCopy", "list_study_files", "snapshot"]

_TRANSIENT = (".lock", ".takeover", ".tmp", ".bak")


def list_study_files(study: Path) -> Iterator[Path]:
    """Every file that belongs to the study in the folder `study`, as a path inside it, sorted.

    Not locks, caches, unfinished and damaged files, nor second copies, which are made anew where they are needed.
    """
    for name, _ in sorted(_entries(str(study), "")):
        yield Path(name)


def _entries(folder: str, within: str) -> Iterator[tuple[str, int]]:
    """(path inside the study, inode) of each file that belongs to it."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if name.startswith(".") or name.endswith(_TRANSIENT) or ".damaged-" in name or entry.is_symlink():
                continue
            if entry.is_dir():
                yield from _entries(entry.path, f"{within}{name}/")
            else:
                yield f"{within}{name}", entry.inode()


@contextmanager
def snapshot(study: Study) -> Iterator[Study]:
    """The study as it is now, as a study of its own that nobody changes; gone when the block ends. Raises StoreError.

    Readings, regions and films all stem from one moment. Most of it is taken while raters go on; then they wait for the
    time that a look at the names takes, and only what has changed meanwhile is taken again.
    """
    folder = _folder(study.path)
    try:
        (folder / "films").mkdir()  # a study that has none yet is one, too
        copy = LinkedCopy(study.path, folder)
        copy.update()
        with study.exclusive():
            copy.update()
        yield Study(folder, study.config, study.scheme)
    except OSError as error:
        raise StoreError(f"no picture of the study can be taken: {error.strerror}", study.path, "Make room") from error
    except RatuiError as error:
        # The picture is gone when the message is read: it names the study's own file instead.
        error.location = error.location.replace(str(folder), str(study.path))
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _folder(study: Path) -> Path:
    """A new folder beside the study's files, so that links are possible; elsewhere where this account can't write."""
    with contextlib.suppress(OSError):
        return Path(tempfile.mkdtemp(prefix=SNAPSHOT_PREFIX, dir=study))
    return Path(tempfile.mkdtemp(prefix="ratui-snapshot-"))


class LinkedCopy:
    """Links to the files of `study` in `folder`. Each save makes a new inode, so an inode tells what has changed.

    A link keeps its inode from being used again; a copy doesn't, so of a copied file the time counts too.
    """

    def __init__(self, study: Path, folder: Path) -> None:
        self._study = str(study)
        self._folder = str(folder)
        self._linked: dict[str, tuple[int, int]] = {}
        self._created_folders: set[str] = set()

    def update(self) -> None:
        """Takes what is new or has changed since the last time, and drops what is gone. Raises OSError."""
        found = dict(_entries(self._study, ""))
        for name, inode in found.items():
            before = self._linked.get(name)
            if before is None or before[0] != inode or (before[1] and before[1] != self._modified_ns(name)):
                with contextlib.suppress(FileNotFoundError):  # replaced just now; the next time finds the new one
                    self._linked[name] = self._link(name, inode)
        for name in self._linked.keys() - found.keys():
            Path(self._folder, name).unlink(missing_ok=True)
            del self._linked[name]

    def _modified_ns(self, name: str) -> int:
        return Path(self._study, name).stat().st_mtime_ns

    def _link(self, name: str, inode: int) -> tuple[int, int]:
        source, target = f"{self._study}/{name}", f"{self._folder}/{name}"
        within = target.rpartition("/")[0]
        if within not in self._created_folders:
            Path(within).mkdir(parents=True, exist_ok=True)
            self._created_folders.add(within)
        if name in self._linked:
            Path(target).unlink(missing_ok=True)
        try:
            os.link(source, target)
        except FileNotFoundError:
            raise
        except OSError:  # another file system, or one without links, or a file of somebody else: a copy shows the same
            seen = self._modified_ns(name)
            shutil.copyfile(source, target)
            return inode, seen
        return Path(target).stat().st_ino, 0  # what was linked, should the file have been replaced just now

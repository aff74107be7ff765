"""An unchanging copy of a study at one moment, while raters go on saving.

Stored files are replaced, never changed in place, so a hard link to a file keeps its content at no cost.
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
from ratui.study.layout import PRIVATE, SNAPSHOT_PREFIX
from ratui.study.store.journal import JOURNAL_SUFFIX
from ratui.study.study import Study

__all__ = ["LinkedCopy", "list_study_files", "snapshot"]

_TRANSIENT = (".lock", ".takeover", ".tmp", ".bak")


def list_study_files(study: Path) -> Iterator[Path]:
    """Yield every file that belongs to the study in the folder `study`, as a relative path, sorted.

    Left out are locks, caches, unfinished and damaged files, and second copies, which are created again where needed. So
    are the private files if this account must not read them.
    """
    for name, _ in sorted(_entries(str(study), "")):
        yield Path(name)


def _entries(folder: str, within: str) -> Iterator[tuple[str, int]]:
    """Yield the path inside the study and the inode of each file that belongs to it."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if name.startswith(".") or name.endswith(_TRANSIENT) or ".damaged-" in name or entry.is_symlink():
                continue
            if entry.is_dir():
                if not within and name == PRIVATE and not os.access(entry.path, os.R_OK | os.X_OK):
                    continue
                yield from _entries(entry.path, f"{within}{name}/")
            else:
                yield f"{within}{name}", entry.inode()


@contextmanager
def snapshot(study: Study) -> Iterator[Study]:
    """Yield a study whose files are those of `study` at one moment; it is removed when the block ends. Raises StoreError.

    Readings, regions and films are of the same moment. Most files are linked while raters go on saving; then saves wait for
    the time of one directory scan, and only files that changed meanwhile are linked again.
    """
    folder = _folder(study.path)
    try:
        (folder / "films").mkdir()  # needed to open a study that has no film yet
        copy = LinkedCopy(study.path, folder)
        copy.update()
        with study.exclusive():
            copy.update()
        yield Study(folder, study.config, study.scheme)
    except OSError as error:
        raise StoreError(
            f"no snapshot of the study can be made: {error.strerror}", study.path, "Free some disk space"
        ) from error
    except RatuiError as error:
        # The snapshot is gone when the message is read: name the study's own file instead.
        error.location = error.location.replace(str(folder), str(study.path))
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _folder(study: Path) -> Path:
    """Create a folder inside the study, where hard links are possible, or elsewhere if this account can't write there."""
    with contextlib.suppress(OSError):
        return Path(tempfile.mkdtemp(prefix=SNAPSHOT_PREFIX, dir=study))
    return Path(tempfile.mkdtemp(prefix="ratui-snapshot-"))


class LinkedCopy:
    """Hard links in `folder` to the files of `study`.

    Each save creates a new inode, so the inode shows whether a file changed. A link also keeps its inode from being reused;
    a copy does not, so for a copied file the modification time counts too.
    """

    def __init__(self, study: Path, folder: Path) -> None:
        self._study = str(study)
        self._folder = str(folder)
        self._linked: dict[str, tuple[int, int]] = {}
        self._created_folders: set[str] = set()

    def update(self) -> None:
        """Link what is new or changed since the last call, and remove what is gone. Raises OSError."""
        found = dict(_entries(self._study, ""))
        for name, inode in found.items():
            before = self._linked.get(name)
            if before is None or before[0] != inode or (before[1] and before[1] != self._modified_ns(name)):
                with contextlib.suppress(FileNotFoundError):  # replaced just now; the next update finds the new one
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
            if name.endswith(JOURNAL_SUFFIX):
                raise OSError("a journal is continued in place")
            os.link(source, target)
        except FileNotFoundError:
            raise
        except OSError:  # another file system, one without links, or another account's file (fs.protected_hardlinks)
            seen = self._modified_ns(name)
            shutil.copyfile(source, target)
            return inode, seen
        return Path(
            target
        ).stat().st_ino, 0  # the inode that was linked: the file may have been replaced since the scan

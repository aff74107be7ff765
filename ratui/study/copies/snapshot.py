"""An unchanging view of a study at one moment, while raters go on saving."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from ratui.errors import StoreError
from ratui.study.layout import PRIVATE
from ratui.study.store.frozen_folder import FrozenFolder
from ratui.study.study import Study

__all__ = ["list_closed_folders", "list_study_files", "snapshot"]

_TIMEOUT = 30.0  # seconds for a pause between saves, if they can't be prevented


@contextmanager
def snapshot(study: Study) -> Iterator[Study]:
    """Yield a study whose files are those of `study` at one moment; it can only be read, and until the block ends.

    Readings, regions and lists of films are of the same moment. Most files are opened while raters go on saving. Then an
    account that may lock the study prevents saves for the time of one directory scan. Any other account repeats the scan
    until nothing has changed since the last; so does every account while somebody keeps the lock, and on a network file
    system, where locks may bind one machine only.

    Raises
    ------
    StoreError
        If no snapshot can be made, because a folder can't be read, or saves do not pause for 30 seconds.
    """
    frozen = FrozenFolder(study.folder, PRIVATE)
    try:
        try:
            _fill(study, frozen)
        except OSError as error:
            problem = f"no snapshot of the study can be made: {error.strerror}"
            raise StoreError(problem, study.path, "Check its permissions, and free some disk space") from error
        yield Study(study.path, study.config, study.scheme, view=study.view, folder=frozen)
    finally:
        frozen.close()


def list_study_files(frozen: Study) -> list[str]:
    """Return the paths of all files in a snapshot, sorted.

    Left out are locks, unfinished and damaged files, and second copies, which are created again where needed. So are the
    private files if this account must not read them.
    """
    assert isinstance(frozen.folder, FrozenFolder), "not a snapshot"
    return frozen.folder.study_files()


def list_closed_folders(frozen: Study) -> list[str]:
    """Return the paths of the folders in a snapshot that this account can't open, sorted, without the private one."""
    assert isinstance(frozen.folder, FrozenFolder), "not a snapshot"
    return sorted(frozen.folder.closed)


def _fill(study: Study, frozen: FrozenFolder) -> None:
    frozen.update()
    if not (study.folder.is_read_only or study.folder.is_on_network):
        try:
            with study.exclusive():
                frozen.update()
        except StoreError:  # this account may not lock the study, or another keeps the lock
            pass
        else:
            return
    until = time.monotonic() + _TIMEOUT
    while frozen.update():
        if time.monotonic() > until:
            raise StoreError("no snapshot can be made, because saves do not pause", study.path, "Try again in a moment")

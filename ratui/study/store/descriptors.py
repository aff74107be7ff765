"""Folders opened by descriptor, so that no symbolic link is followed.

A name can be replaced by a link between a look and an action on it. A descriptor stays on the object that was opened.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath

from ratui.errors import StoreError
from ratui.files import remove_leftovers
from ratui.study.store.open_folder import NO_LINK, open_directory

__all__ = [
    "DEEPEST",
    "Entry",
    "list_names",
    "open_entry",
    "remove_leftovers",
    "remove_tree",
    "reopen",
    "walk_no_links",
]

DEEPEST = 20
"""Limit of nested folders that a walk enters; studies have four. Each level needs an open descriptor."""


@contextmanager
def open_entry(entry: Entry) -> Iterator[int]:
    """Yield a descriptor of the very object that a walk has found.

    Raises OSError, also if another object has taken its name, or if something is mounted over it.
    """
    if entry.descriptor is not None:
        yield entry.descriptor
        return
    descriptor = os.open(entry.inside.name, NO_LINK, dir_fd=entry.folder)
    try:
        found = os.fstat(descriptor)
        assert entry.folder is not None
        if (found.st_dev, found.st_ino) != (entry.found.st_dev, entry.found.st_ino):
            raise OSError(errno.ESTALE, "it was replaced just now")
        if _mount(descriptor) != _mount(entry.folder):
            raise OSError(errno.EXDEV, "another file is mounted over it")
        yield descriptor
    finally:
        os.close(descriptor)


def _mount(descriptor: int) -> bytes:
    """Return the number of the mount that an open object is on; empty where the system does not tell."""
    try:
        about = os.open(f"/proc/self/fdinfo/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        lines = os.read(about, 4096).splitlines()
    finally:
        os.close(about)
    return next((line for line in lines if line.startswith(b"mnt_id:")), b"")


def list_names(folder: int) -> list[str]:
    """Return the names of everything in the open folder `folder`. Raises OSError."""
    return os.listdir(folder)


def remove_tree(name: str, *, folder: int) -> None:
    """Remove the folder `name` in the open folder `folder` with all its contents; follow no link. Raises OSError."""
    shutil.rmtree(name, dir_fd=folder)


@dataclass(frozen=True)
class Entry:
    """An object found by a walk; its descriptors are open until the walk goes on.

    Attributes
    ----------
    inside
        Path relative to the top of the walk.
    found
        Result of ``stat`` for the object.
    above
        Results of ``stat`` for the folders around it, the top first.
    folder
        Descriptor of the folder that contains it; None for the top.
    descriptor
        Descriptor of a folder itself; None for other objects and for a folder that was not entered.
    foreign
        Reason why a folder was not entered that is not a part of the study, else empty.
    """

    inside: PurePath
    found: os.stat_result
    above: tuple[os.stat_result, ...] = ()
    folder: int | None = None
    descriptor: int | None = None
    foreign: str = ""


def walk_no_links(top: Path, *, skip: str = "") -> Iterator[Entry]:
    """Yield everything in the folder `top`, each folder after its contents, and `top` itself last.

    Links are listed, not followed. Folders directly inside `top` whose names begin with `skip` are left out. Raises
    StoreError if `top` can't be opened.
    """
    try:
        descriptor = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise StoreError(f"the folder can't be opened: {error.strerror}", top, "Check its permissions") from error
    try:
        found = os.fstat(descriptor)
        yield from _contents(PurePath(), descriptor, (found,), skip)
        yield Entry(PurePath(), found, descriptor=descriptor)
    finally:
        os.close(descriptor)


def _contents(inside: PurePath, folder: int, above: tuple[os.stat_result, ...], skip: str) -> Iterator[Entry]:
    for name in sorted(os.listdir(folder)):
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except OSError:  # removed since the listing
            continue
        if not stat.S_ISDIR(found.st_mode):
            yield Entry(inside / name, found, above, folder)
        elif not (skip and name.startswith(skip)):
            yield from _folder(inside / name, folder, found, above)


def _folder(inside: PurePath, folder: int, seen: os.stat_result, above: tuple[os.stat_result, ...]) -> Iterator[Entry]:
    if len(above) > DEEPEST:
        yield Entry(inside, seen, above, folder, foreign="it is nested too deep")
        return
    try:
        descriptor = open_directory(inside.name, folder=folder)
    except OSError:  # another account's, or replaced since the listing
        yield Entry(inside, seen, above, folder)
        return
    try:
        found = os.fstat(descriptor)
        if found.st_dev != above[0].st_dev:
            yield Entry(inside, found, above, folder, foreign="it is on another file system")
            return
        if _mount(descriptor) != _mount(folder):
            yield Entry(inside, found, above, folder, foreign="another folder is mounted here")
            return
        yield from _contents(inside, descriptor, (*above, found), "")
        yield Entry(inside, found, above, folder, descriptor)
    finally:
        os.close(descriptor)


def reopen(descriptor: int) -> int:
    """Return a new descriptor at the start of an open file, which does not share the place with the first, if possible."""
    with contextlib.suppress(OSError):
        return os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    other = os.dup(descriptor)
    os.lseek(other, 0, os.SEEK_SET)
    return other

"""Folders opened by descriptor, so that no symbolic link is followed.

A name can be replaced by a link between a look and an action on it. A descriptor stays on the object that was opened.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath

from ratui.errors import StoreError

__all__ = [
    "DEEPEST",
    "Entry",
    "is_folder",
    "is_missing",
    "is_regular",
    "open_directory",
    "open_inside",
    "walk_no_links",
]

DEEPEST = 20
"""Limit of nested folders that a walk enters; studies have four. Each level needs an open descriptor."""
# Without O_NONBLOCK, opening a FIFO waits for a writer.
NO_LINK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def open_directory(path: str | Path, *, folder: int | None = None) -> int:
    """Open a directory that is not a link, relative to the descriptor `folder` if given. Raises OSError."""
    return os.open(path, NO_LINK | os.O_DIRECTORY, dir_fd=folder)


@contextmanager
def open_inside(top: Path, inside: PurePath) -> Iterator[int]:
    """Open the folder at the relative path `inside` of the folder `top`; follow no link and enter no other device.

    Parameters
    ----------
    top
        A folder that the user named. It may be reached through links.
    inside
        A path without ``..``.

    Yields
    ------
    int
        The folder's descriptor, open until the block ends.

    Raises
    ------
    StoreError
        A part of the path is a link, no folder, or on another device.
    """
    try:
        descriptor = _descend(top, inside)
    except OSError as error:
        remedy = "Check its target; a study must not contain links"
        raise StoreError(f"its folder can't be opened: {error.strerror}", top / inside, remedy) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _descend(top: Path, inside: PurePath) -> int:
    descriptor = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        device = os.fstat(descriptor).st_dev
        for part in inside.parts:
            below = open_directory(part, folder=descriptor)
            os.close(descriptor)
            descriptor = below
            if os.fstat(descriptor).st_dev != device:
                raise OSError(0, "it is on another file system")
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def is_folder(path: Path) -> bool:
    """Return whether `path` is a folder, not a link to one."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def is_regular(name: str, folder: int) -> bool:
    """Return whether `name` in `folder` is a regular file, not a link to one. Raises OSError."""
    try:
        return stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def is_missing(name: str, folder: int) -> bool:
    """Return whether `folder` has no entry `name`; a link without a target is an entry. Raises OSError."""
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return True
    return False


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
        descriptor = _descend(top, PurePath())
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
        yield from _contents(inside, descriptor, (*above, found), "")
        yield Entry(inside, found, above, folder, descriptor)
    finally:
        os.close(descriptor)

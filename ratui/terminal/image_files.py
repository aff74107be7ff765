"""Images for a terminal on the same machine, through shared memory or a temporary file instead of control sequences.

With Kitty's protocol a terminal can read an image from POSIX shared memory or from a file, and delete it afterwards. A query
with an image of one pixel tests this: the terminal must answer `OK`, and it must have deleted the image.
A terminal on another machine can do neither, because the image does not exist there.

The images show films of patients. Only this account can read them, their names are random, and nothing that exists is opened
or replaced. Images that no terminal has taken are deleted when they are not needed any more and at the end of the program.
Those of a killed program are deleted at a later start, once they are old.
https://sw.kovidgoyal.net/kitty/graphics-protocol/#the-transmission-medium
"""

from __future__ import annotations

import atexit
import base64
import os
import re
import secrets
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Literal, TypeAlias

__all__ = [
    "LEFTOVER_SECONDS",
    "MEDIA",
    "ImageFile",
    "Medium",
    "list_media",
    "offer_pixel",
    "remove_image_files",
    "remove_leftovers",
]

Medium: TypeAlias = Literal["", "s", "t"]
"""Medium of images, by its letter in Kitty's protocol: ``s`` for shared memory, ``t`` for a temporary file.
Empty if the pixels are sent in control sequences."""
MEDIA: Mapping[Medium, str] = {"": "", "s": "shared memory", "t": "temporary files"}
"""Names of the media."""
LEFTOVER_SECONDS = 300.0
"""Age in seconds from which an image of this account was left behind. A terminal takes an image within milliseconds."""
_SHARED_MEMORY = Path("/dev/shm")  # where Linux keeps the objects of shm_open
# Kitty deletes temporary files only if their path contains this text.
_PREFIX = "tty-graphics-protocol-ratui-"
_NAME = re.compile(re.escape(_PREFIX) + r"(\d{1,10})-[0-9a-f]{32}")
"""Names with the number of the process that wrote the image, and 128 random bits."""
_MAX_OPEN = 32  # images that no terminal has taken yet

_untaken: dict[Path, None] = {}
"""Files that this process has written and not seen deleted, the oldest first."""
_lock = Lock()


def _folder(medium: Medium) -> Path:
    return _SHARED_MEMORY if medium == "s" else Path(tempfile.gettempdir())


def list_media() -> tuple[Medium, ...]:
    """Return the media that this system has, the fastest first."""
    return ("s", "t") if _SHARED_MEMORY.is_dir() and os.access(_SHARED_MEMORY, os.W_OK) else ("t",)


@dataclass(frozen=True)
class ImageFile:
    """An image that waits for the terminal, which reads and deletes it."""

    path: Path
    """The file, which on Linux may be an object in shared memory."""
    medium: Medium
    """The medium."""
    _is_taken: list[bool] = field(default_factory=list, repr=False, compare=False)

    @classmethod
    def write(cls, medium: Medium, data: bytes | memoryview) -> ImageFile:
        """Write `data` for the terminal, to a new file that only this account can read.

        Raises
        ------
        OSError
            If there is no room, or if the terminal has not taken many earlier images.
        """
        with _lock:
            for path in [each for each in _untaken if not os.path.lexists(each)]:
                del _untaken[path]
            if len(_untaken) >= _MAX_OPEN:
                raise OSError("the terminal takes no images")
            path = _folder(medium) / f"{_PREFIX}{os.getpid()}-{secrets.token_hex(16)}"
            # O_EXCL opens nothing that exists, and follows no link.
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            _untaken[path] = None
        try:
            try:
                left = memoryview(data)
                while left:
                    left = left[os.write(descriptor, left) :]
            finally:
                os.close(descriptor)
        except BaseException:
            _delete(path)
            raise
        return cls(path, medium)

    @property
    def name(self) -> str:
        """The name by which the terminal finds the image, in base64: of the shared memory, or the path of the file."""
        name = f"/{self.path.name}" if self.medium == "s" else str(self.path)
        return base64.b64encode(os.fsencode(name)).decode()

    def is_taken(self) -> bool:
        """Return True if the terminal has deleted the image, which it does after it has read it."""
        if not self._is_taken and not os.path.lexists(self.path):
            self._is_taken.append(True)
            with _lock:
                _untaken.pop(self.path, None)
        return bool(self._is_taken)

    def delete(self) -> None:
        """Delete the image if the terminal has not."""
        if not self._is_taken:
            _delete(self.path)


def _delete(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
    with _lock:
        _untaken.pop(path, None)


def remove_image_files() -> None:
    """Delete all images that this process has written and no terminal has taken."""
    while _untaken:
        with suppress(StopIteration, RuntimeError):  # another thread may be changing what this reads
            _delete(next(iter(_untaken)))


def remove_leftovers(now: float | None = None) -> None:
    """Delete images that killed programs of this account have left behind in any medium, once they are old.

    Parameters
    ----------
    now
        The present time in seconds since the epoch; None to ask the clock.
    """
    now = time.time() if now is None else now
    for medium in list_media():
        # Without a folder for temporary files, because all disks are full, Python raises an OSError too.
        with suppress(OSError), os.scandir(_folder(medium)) as entries:
            for entry in entries:
                if (found := _NAME.fullmatch(entry.name)) and not _is_running(int(found[1])):
                    _remove_leftover(entry, now)


def _is_running(process: int) -> bool:
    """Return whether a process of this number runs. Its images may wait for a terminal that takes no output."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def _remove_leftover(entry: os.DirEntry[str], now: float) -> None:
    with suppress(OSError):
        state = entry.stat(follow_symlinks=False)
        is_own = stat.S_ISREG(state.st_mode) and state.st_uid == os.geteuid()
        if is_own and now - state.st_mtime > LEFTOVER_SECONDS:
            Path(entry.path).unlink()


@contextmanager
def offer_pixel(medium: Medium) -> Iterator[ImageFile | None]:
    """Write an image of one pixel for a query, and delete it at the end; yield None if it cannot be written."""
    try:
        image = ImageFile.write(medium, b"\0\0\0")
    except OSError:
        image = None
    try:
        yield image
    finally:
        if image is not None:
            image.delete()


atexit.register(remove_image_files)

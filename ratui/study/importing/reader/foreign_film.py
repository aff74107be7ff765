"""Read single foreign films in a process that is started once and then kept for the next film.

A decoder of a compressed film may crash, and a header may need any amount of memory. The process contains both.
"""

from __future__ import annotations

import atexit
import os
import threading
from pathlib import Path

from ratui.imaging import Film
from ratui.study.importing.reader.reader_process import ReaderProcess

__all__ = ["read_foreign_film", "read_foreign_image"]

_LOCK = threading.Lock()
# By process ID: a forked process must not share the pipes of its parent.
_READERS: dict[int, ReaderProcess] = {}


def read_foreign_film(path: Path) -> Film:
    """Return the film in the DICOM file at `path`, decoded in another process. Raises FilmError."""
    with _LOCK:
        return _reader().read(path)


def read_foreign_image(path: Path) -> Film:
    """Return the PNG, JPEG or TIFF picture at `path` as a film, decoded in another process. Raises FilmError."""
    with _LOCK:
        return _reader().read_image(path)


def _reader() -> ReaderProcess:
    reader = _READERS.get(os.getpid())
    if reader is None:
        reader = _READERS[os.getpid()] = ReaderProcess()
    return reader


@atexit.register
def _close_reader() -> None:
    reader = _READERS.pop(os.getpid(), None)
    if reader is not None:
        reader.close()

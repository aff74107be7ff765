"""Images made once and kept in memory-mapped files, named by what they were made from.

A file is whole or not there: it is filled under another name and renamed. What is kept is never trusted to be what its
name says of other films or boxes, since these are part of the name.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from ratui.errors import TrainError
from ratui.files import move_into_place

__all__ = ["ImageCache"]


class ImageCache:
    """Images of `shape` made from `content`, kept in `folder` under `name`.

    If `is_complete` is false, fill `images` and call `finish`. Raises TrainError if the file can't be read or written.
    """

    def __init__(self, folder: Path, name: str, shape: tuple[int, ...], content: object) -> None:
        digest = hashlib.sha256(repr((shape, content)).encode()).hexdigest()[:20]
        self._path = folder / f"{name}-{digest}.npy"
        self._partial = self._path.with_suffix(f".partial-{os.getpid()}")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.is_complete = self._path.exists()
            mode: Literal["r", "w+"] = "r" if self.is_complete else "w+"
            path = self._path if self.is_complete else self._partial
            self.images: npt.NDArray[np.uint8] = np.lib.format.open_memmap(path, mode, np.uint8, shape)
            if self.images.shape != shape:
                raise ValueError("its shape is another one")
        except (OSError, ValueError) as error:
            with contextlib.suppress(OSError):
                self._partial.unlink(missing_ok=True)
            raise TrainError(f"the samples can't be kept: {error}", self._path, "Delete it, or make room") from error

    def finish(self) -> None:
        """Gives the filled file its name. Raises TrainError."""
        if self.is_complete:
            return
        try:
            if isinstance(self.images, np.memmap):
                self.images.flush()
            move_into_place(self._partial, self._path)
        except OSError as error:
            raise TrainError(f"the samples can't be kept: {error.strerror}", self._path, "Make room there") from error
        self.is_complete = True

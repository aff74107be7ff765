"""A cache of prepared images in memory-mapped files.

The file name contains a digest of the sources, so that other films or boxes never match a cached file. A file is filled
under another name and renamed when it is complete.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ratui.errors import TrainError
from ratui.files import move_into_place

__all__ = ["ImageCache", "ImageRows", "take_images"]


class ImageCache:
    """Cached uint8 images of one set of samples.

    If `is_complete` is False, fill `images` and call `finish`. `path` is the file.

    Parameters
    ----------
    folder
        Folder of the cache.
    name
        First part of the file name.
    shape
        Shape of `images`.
    content
        Description of the sources. Its ``repr`` must differ if an image differs.

    Raises
    ------
    TrainError
        If the file cannot be read or written.
    """

    def __init__(self, folder: Path, name: str, shape: tuple[int, ...], content: object) -> None:
        digest = hashlib.sha256(repr((shape, content)).encode()).hexdigest()[:20]
        self.path = folder / f"{name}-{digest}.npy"
        self._partial = self.path.with_suffix(f".partial-{secrets.token_hex(6)}")
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # the order of the crops is that of the time points
            self.is_complete = self.path.exists()
            mode: Literal["r", "w+"] = "r" if self.is_complete else "w+"
            path = self.path if self.is_complete else self._partial
            self.images: npt.NDArray[np.uint8] = np.lib.format.open_memmap(path, mode, np.uint8, shape)
            if self.images.shape != shape:
                raise ValueError("the file has another shape")
        except (OSError, ValueError) as error:
            with contextlib.suppress(OSError):
                self._partial.unlink(missing_ok=True)
            raise TrainError(
                f"the samples can't be saved: {error}", self.path, "Delete it, or free some disk space"
            ) from error

    def finish(self) -> None:
        """Complete the filled file by renaming it. Raises TrainError."""
        if self.is_complete:
            return
        try:
            if isinstance(self.images, np.memmap):
                self.images.flush()
            move_into_place(self._partial, self.path)
            self.images = np.lib.format.open_memmap(self.path, "r", np.uint8, self.images.shape)
        except OSError as error:
            raise TrainError(
                f"the samples can't be saved: {error.strerror}", self.path, "Free some disk space there"
            ) from error
        self.is_complete = True


class ImageRows:
    """Some rows of an array of images, read from it when they are needed: a copy of all might not fit into memory."""

    def __init__(self, images: npt.NDArray[np.uint8] | ImageRows, rows: Sequence[int]) -> None:
        chosen = np.asarray(rows, np.int64)
        self._images: npt.NDArray[np.uint8] = images._images if isinstance(images, ImageRows) else images
        self._rows: npt.NDArray[np.int64] = images._rows[chosen] if isinstance(images, ImageRows) else chosen

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array that these rows would be."""
        return (len(self._rows), *self._images.shape[1:])

    @property
    def nbytes(self) -> int:
        """Size of that array in bytes."""
        return int(np.prod(self.shape, dtype=np.int64)) * self._images.dtype.itemsize

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, where: Any) -> npt.NDArray[np.uint8]:
        return np.asarray(self._images[self._rows[where]])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.asarray(self._images[self._rows], dtype)


def take_images(
    sources: Sequence[npt.NDArray[np.uint8] | ImageRows], rows: npt.NDArray[np.int64]
) -> list[npt.NDArray[np.uint8]]:
    """Return the images of `rows`, which count the images of all `sources` one after the other."""
    starts = np.cumsum([0, *map(len, sources)])
    which = np.searchsorted(starts, rows, side="right") - 1
    return [sources[source][int(row - starts[source])] for source, row in zip(which, rows, strict=True)]

"""Pictures of films that are not in a study, decoded in the process that reads foreign files."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from threading import Lock

from PIL import Image

from ratui.errors import FilmError
from ratui.imaging import DEFAULT_DISPLAY, Box, Film, render
from ratui.study.importing import ReaderProcess
from ratui.study.importing.reader.picture_reader import find_picture_kind
from ratui.terminal import Display

__all__ = ["FilmPictures", "fit_picture"]

_SIDE = 1000
"""Longest side of a picture in pixels: that of a film on half of a large terminal."""
_CAPACITY = 48


class FilmPictures:
    """The pictures of films by the path that the plan names, at most 48 of them. Any thread may use it.

    Parameters
    ----------
    files
        The file to read for each path.
    """

    def __init__(self, files: Mapping[Path, Path]) -> None:
        self._files = files
        self._reader = ReaderProcess()
        self._lock = Lock()
        self._pictures: OrderedDict[Path, Image.Image | FilmError] = OrderedDict()
        self._is_closed = False

    def find(self, path: Path) -> Image.Image | FilmError | None:
        """Return the picture of a film, or the reason why there is none, or None if it has not been decoded."""
        return self._pictures.get(path)

    def load(self, path: Path) -> Image.Image | FilmError:
        """Return the picture of a film in mode ``L`` with square pixels, or the reason why it can't be read."""
        with self._lock:
            found = self._pictures.get(path)
            if found is None:
                found = self._read(path)
                self._pictures[path] = found
                while len(self._pictures) > _CAPACITY:
                    self._pictures.popitem(last=False)
            return found

    def close(self) -> None:
        """End the process; a thread that waits for a picture gets an error."""
        self._is_closed = True
        self._reader.close()

    def _read(self, path: Path) -> Image.Image | FilmError:
        file = self._files.get(path, path)
        try:
            if self._is_closed:
                raise FilmError("reading it took too long", path)
            film = self._reader.read_image(file) if find_picture_kind(file) else self._reader.read(file)
            return _draw(film)
        except FilmError as error:
            return error


def fit_picture(picture: Image.Image, size: tuple[int, int], display: Display) -> Image.Image:
    """Return `picture` as large as it fits into an image of `size` (width, height), in the centre on black."""
    width, height = picture.width / display.pixel_aspect, float(picture.height)
    scale = min(size[0] / width, size[1] / height)
    inner = (max(round(scale * width), 1), max(round(scale * height), 1))
    image = Image.new("L", size)
    image.paste(
        picture.resize(inner, Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR),
        ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2),
    )
    return image


def _draw(film: Film) -> Image.Image:
    width, height = float(film.columns), film.rows * film.aspect
    scale = min(_SIDE / max(width, height), 1.0)
    size = (max(round(scale * width), 1), max(round(scale * height), 1))
    return render(film, Box(0, 0, film.columns, film.rows), size, DEFAULT_DISPLAY)

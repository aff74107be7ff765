"""Films of the open case in memory, and views of them: decoded once, cropped when asked, from any thread.

It looks at films only; what may be shown of a blinded study is the screens' business.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from threading import Lock

from PIL import Image

from ratui.imaging import Box, Film, Look, read_film, render
from ratui.study import FilmRecord, Study
from ratui.terminal import Display

__all__ = ["WINDOWS", "Library", "View", "joint_box", "whole_box"]

WINDOWS = ("joint", "film", "file")
"""Ways to choose the grey window, in the order of the key."""


@dataclass(frozen=True)
class View:
    """A part of a film as it is to be seen: `box` in film pixels, `size` in image pixels, `window` of WINDOWS."""

    case: str
    film: str
    box: Box
    size: tuple[int, int]
    window: str = "joint"

    @property
    def key(self) -> Hashable:
        return self


class Library:
    """The films of a study, the last few kept decoded."""

    def __init__(self, study: Study, keep: int = 8) -> None:
        self._study = study
        self._keep = keep
        self._films: OrderedDict[tuple[str, str], Film] = OrderedDict()
        self._lock = Lock()
        self._locks: dict[tuple[str, str], Lock] = {}

    def film(self, case: str, id: str) -> Film:
        """The decoded film; the first call takes a moment. Raises FilmError."""
        key = (case, id)
        with self._lock:
            own = self._locks.setdefault(key, Lock())
        with own:
            with self._lock:
                if key in self._films:
                    self._films.move_to_end(key)
                    return self._films[key]
            film = read_film(self._study.film_path(case, id))
            with self._lock:
                self._films[key] = film
                while len(self._films) > self._keep:
                    self._films.popitem(last=False)
            return film

    def image(self, view: View) -> Image.Image:
        """`view` as grey levels, mode ``L``. Raises FilmError."""
        film = self.film(view.case, view.film)
        return render(film, view.box, view.size, Look("file1" if view.window == "file" else view.window))


def whole_box(record: FilmRecord, size: tuple[int, int], display: Display) -> Box:
    """The box that shows all of a film, centred, in an image of `size`, without stretching it."""
    width, height = max(size[0], 1) * display.pixel_aspect, float(max(size[1], 1))
    scale = max(record.columns / width, record.rows / height)
    x, y = record.columns / 2, record.rows / 2
    return (x - scale * width / 2, y - scale * height / 2, x + scale * width / 2, y + scale * height / 2)


def joint_box(box: Box, side: float, size: tuple[int, int], display: Display) -> Box:
    """The box around the centre of `box` whose shorter side is `side` film pixels, in the shape of an image of `size`."""
    width, height = max(size[0], 1) * display.pixel_aspect, float(max(size[1], 1))
    scale = side / min(width, height)
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return (x - scale * width / 2, y - scale * height / 2, x + scale * width / 2, y + scale * height / 2)

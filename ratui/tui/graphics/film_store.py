"""Films of the open case in memory, and views of them: decoded once, cropped when asked, from any thread.

It looks at films only; what may be shown of a blinded study is the screens' business.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from threading import Lock

from PIL import Image, ImageDraw

from ratui.imaging import (
    DEFAULT_DISPLAY,
    AlignmentFailure,
    Box,
    DisplaySettings,
    Film,
    Matrix,
    align_centres,
    align_joints,
    compute_difference,
    list_presets,
    render,
    warp_onto,
)
from ratui.study import FilmRecord, Study
from ratui.terminal import Display

__all__ = ["LENS_MAGNIFICATION", "AlignedView", "FilmStore", "ViewRequest", "make_joint_box", "make_whole_film_box"]

LENS_MAGNIFICATION = 3.0
"""How many times larger the lens shows its middle."""
_LENS_SIDE = 0.45  # of the image's shorter side


@dataclass(frozen=True)
class ViewRequest:
    """A part of a film as it is to be seen: `box` in film pixels, `size` in image pixels, under `settings`.

    `joint` is the box that the look's preset ``joint`` takes its greys from, the view's own where None. `lens` is the
    middle of a magnifying lens on the image, as parts of its width and height; None without one.
    """

    case: str
    film: str
    box: Box
    size: tuple[int, int]
    display_settings: DisplaySettings = DEFAULT_DISPLAY
    joint: Box | None = None
    lens: tuple[float, float] | None = None

    @property
    def key(self) -> Hashable:
        return self


@dataclass(frozen=True)
class AlignedView:
    """Another film of the same joint, as it lies on `view`, or what differs between the two.

    `joint` is the joint's box on that `film`; the one on the view's film is the view's `joint`.
    """

    view: ViewRequest
    film: str
    joint: Box
    is_difference: bool = False

    @property
    def key(self) -> Hashable:
        return self


class FilmStore:
    """The films of a study, the last few kept decoded."""

    def __init__(self, study: Study, capacity: int = 8) -> None:
        self._study = study
        self._capacity = capacity
        self._films: OrderedDict[tuple[str, str], Film] = OrderedDict()
        self._lock = Lock()
        self._locks: dict[tuple[str, str], Lock] = {}
        self._aligned: dict[Hashable, Matrix | AlignmentFailure] = {}

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
            film = self._study.film(case, id)
            with self._lock:
                self._films[key] = film
                while len(self._films) > self._capacity:
                    self._films.popitem(last=False)
            return film

    def presets(self, case: str, *films: str) -> tuple[str, ...]:
        """The grey presets that those of `films` offer that are decoded by now."""
        with self._lock:
            found = [film for id in films if (film := self._films.get((case, id)))]
        return list_presets(*found)

    def render(self, view: ViewRequest) -> Image.Image:
        """`view` as grey levels, mode ``L``. Raises FilmError."""
        film = self.film(view.case, view.film)
        image = render(film, view.box, view.size, view.display_settings, joint=view.joint)
        return image if view.lens is None else self._draw_lens(image, film, view)

    def alignment(self, aligned: AlignedView) -> Matrix | AlignmentFailure:
        """How the two films of `aligned` lie on each other, worked out once for each joint. Raises FilmError."""
        view = aligned.view
        here = view.joint or view.box
        key = (view.case, view.film, here, aligned.film, aligned.joint)
        found = self._aligned.get(key)
        if found is None:
            first, second = self.film(view.case, view.film), self.film(view.case, aligned.film)
            found = self._aligned[key] = align_joints(first, here, second, aligned.joint)
        return found

    def render_aligned(self, aligned: AlignedView) -> Image.Image | None:
        """`aligned` as grey levels, mode ``L``. Where the films can't be aligned the other one is shown with only the middle
        of the joint in place, and of a difference there is None. Raises FilmError."""
        view = aligned.view
        first, second = self.film(view.case, view.film), self.film(view.case, aligned.film)
        matrix = self.alignment(aligned)
        if isinstance(matrix, AlignmentFailure):
            if aligned.is_difference:
                return None
            matrix = align_centres(first, view.joint or view.box, second, aligned.joint)
        if not aligned.is_difference:
            return warp_onto(second, matrix, view.box, view.size, view.display_settings, joint=aligned.joint)
        settings = DisplaySettings(view.display_settings.preset)
        here = render(first, view.box, view.size, settings, joint=view.joint)
        return compute_difference(here, warp_onto(second, matrix, view.box, view.size, settings, joint=aligned.joint))

    def _draw_lens(self, image: Image.Image, film: Film, view: ViewRequest) -> Image.Image:
        assert view.lens is not None
        width, height = view.size
        across = view.box.width / width
        down = view.box.height / height
        # Square on the film, whatever the shape of the image's pixels.
        side = _LENS_SIDE * min(width * across, height * down)
        inner = (max(round(side / across), 4), max(round(side / down), 4))
        x, y = (view.box.x0 + view.lens[0] * width * across, view.box.y0 + view.lens[1] * height * down)
        part = Box.from_centre(x, y, side / LENS_MAGNIFICATION)
        near = render(film, part, inner, view.display_settings, joint=view.joint or view.box)
        left, top = (round(view.lens[0] * width - inner[0] / 2), round(view.lens[1] * height - inner[1] / 2))
        image.paste(near, (left, top))
        ImageDraw.Draw(image).rectangle((left - 1, top - 1, left + inner[0], top + inner[1]), outline=255)
        return image


def make_whole_film_box(record: FilmRecord, size: tuple[int, int], display: Display) -> Box:
    """The box that shows all of a film, centred, in an image of `size`, without stretching it."""
    width, height = max(size[0], 1) * display.pixel_aspect, float(max(size[1], 1))
    scale = max(record.columns / width, record.rows * record.aspect / height)
    return Box.from_centre(record.columns / 2, record.rows / 2, scale * width, scale * height / record.aspect)


def make_joint_box(box: Box, side: float, size: tuple[int, int], display: Display, aspect: float = 1.0) -> Box:
    """The box around the centre of `box` whose shorter side is `side` film pixels across, in the shape of an image of
    `size`. `aspect` is a film pixel's height divided by its width."""
    width, height = max(size[0], 1) * display.pixel_aspect, float(max(size[1], 1))
    scale = side / min(width, height)
    return Box.from_centre(*box.centre, scale * width, scale * height / aspect)

"""Decoded films in memory, pictures of parts of them, and the marks on these pictures.

All functions may be called from any thread. The screens decide which film may be shown in a blinded study.

A joint is marked by a frame on the whole film, and by corner marks in a view of the joint. Both are white with a black
border, so that they are visible on bone and on soft tissue. Pictures of less than 150 pixels, as in half-cells, have no room
for the border.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from math import ceil, floor
from threading import Lock
from typing import TypeAlias

from PIL import Image, ImageDraw

from ratui.imaging import (
    DEFAULT_DISPLAY,
    AlignmentFailure,
    Box,
    DisplaySettings,
    Film,
    Matrix,
    Orientation,
    align_centres,
    align_joints,
    compute_difference,
    list_presets,
    render,
    warp_onto,
)
from ratui.study import FilmRecord, Study
from ratui.terminal import Display

__all__ = [
    "LENS_MAGNIFICATION",
    "AlignedView",
    "FilmStore",
    "ViewRequest",
    "draw_corner_marks",
    "draw_outline",
    "make_joint_box",
    "make_whole_film_box",
]

LENS_MAGNIFICATION = 3.0
"""Magnification of the lens, relative to the picture around it."""
_LENS_SIDE = 0.45  # of the image's shorter side
_MIN_PIXELS_FOR_BORDER = 150
_ARM = 0.12
"""Length of an arm of a corner mark, in sides of the joint's box."""
_MIN_ARM_PIXELS = 3


@dataclass(frozen=True)
class ViewRequest:
    """A request for a picture of a part of a film."""

    case: str
    """ID of the case."""
    film: str
    """ID of the film."""
    box: Box
    """The part of the film, in pixels of the film."""
    size: tuple[int, int]
    """Width and height of the picture in pixels."""
    display_settings: DisplaySettings = DEFAULT_DISPLAY
    """Contrast and brightness."""
    joint: Box | None = None
    """Box from whose greys the preset ``joint`` takes the contrast; None for `box`."""
    lens: tuple[float, float] | None = None
    """Centre of a magnifying lens, as fractions of the picture's width and height; None for no lens."""
    is_marked: bool = False
    """True to mark the corners of `joint`."""
    orientation: Orientation = Orientation.UPRIGHT
    """Orientation of the displayed film, in whose pixels the boxes are."""

    @property
    def key(self) -> Hashable:
        """Key of the picture in a cache of frames."""
        return self


@dataclass(frozen=True)
class AlignedView:
    """A request for a picture of the other film of a joint, registered onto `view`."""

    view: ViewRequest
    """The view of the first film, whose `joint` is the joint's box there."""
    film: str
    """ID of the other film."""
    joint: Box
    """The joint's box on the other film."""
    is_difference: bool = False
    """True for a picture of the difference between the films instead of the other film."""
    orientation: Orientation = Orientation.UPRIGHT
    """Orientation of the other film, in whose pixels `joint` is."""

    @property
    def key(self) -> Hashable:
        """Key of the picture in a cache of frames."""
        return self


_FilmKey: TypeAlias = tuple[str, str, Orientation]


class FilmStore:
    """A cache of the decoded films of a study.

    Parameters
    ----------
    study
        The study.
    capacity
        Number of films to keep in memory. The least recently used one is dropped.
    """

    def __init__(self, study: Study, capacity: int = 8) -> None:
        self._study = study
        self._capacity = capacity
        self._films: OrderedDict[_FilmKey, Film] = OrderedDict()
        self._lock = Lock()
        self._locks: dict[_FilmKey, Lock] = {}
        self._aligned: dict[Hashable, Matrix | AlignmentFailure] = {}

    def film(self, case: str, id: str, orientation: Orientation = Orientation.UPRIGHT) -> Film:
        """Return the film `id` of `case` in `orientation`, decoded; the first call takes up to a few seconds.

        The orientation is that of the caller's record of the film, and not the present one of the study: another session may
        have turned the film, and the boxes of this one are those of its own orientation. Raise FilmError if it fails.
        """
        key = (case, id, orientation)
        # A lock per film: two threads never decode the same film, but may decode different ones at the same time.
        with self._lock:
            own = self._locks.setdefault(key, Lock())
        with own:
            with self._lock:
                if key in self._films:
                    self._films.move_to_end(key)
                    return self._films[key]
            film = self._study.film(case, id, orientation)
            with self._lock:
                self._films[key] = film
                while len(self._films) > self._capacity:
                    self._films.popitem(last=False)
            return film

    def has_decoded(self, view: ViewRequest, aligned: AlignedView | None = None) -> bool:
        """Return True if the films of `view`, and of `aligned` beside it, are in memory, so that `film` returns at once."""
        films: list[ViewRequest | AlignedView] = [view, aligned] if aligned else [view]
        with self._lock:
            return all((view.case, each.film, each.orientation) in self._films for each in films)

    def presets(self, case: str, *films: str) -> tuple[str, ...]:
        """Return the names of the contrast presets for `films`. Films that are not decoded yet are ignored."""
        with self._lock:
            found = [film for id in films if (film := self._find_in_any_orientation(case, id))]
        return list_presets(*found)

    def _find_in_any_orientation(self, case: str, id: str) -> Film | None:
        return next((film for key, film in self._films.items() if key[:2] == (case, id)), None)

    def render(self, view: ViewRequest) -> Image.Image:
        """Return the picture of `view`, an image of mode ``L``. Raise FilmError if the film cannot be read."""
        film = self.film(view.case, view.film, view.orientation)
        image = _mark_joint(render(film, view.box, view.size, view.display_settings, joint=view.joint), view)
        return image if view.lens is None else self._draw_lens(image, film, view)

    def alignment(self, aligned: AlignedView) -> Matrix | AlignmentFailure:
        """Return the transformation between the two films of `aligned`, or the reason why there is none.

        The result is computed once for each joint. Raise FilmError if a film cannot be read.
        """
        view = aligned.view
        here = view.joint or view.box
        key = (view.case, view.film, view.orientation, here, aligned.film, aligned.orientation, aligned.joint)
        found = self._aligned.get(key)
        if found is None:
            first, second = self._both_films(aligned)
            found = self._aligned[key] = align_joints(first, here, second, aligned.joint)
        return found

    def render_aligned(self, aligned: AlignedView) -> Image.Image | None:
        """Return the picture of `aligned`, an image of mode ``L``. Raise FilmError if a film cannot be read.

        If the films cannot be aligned, the centres of the two boxes are placed over each other. A difference would then
        show no change but the failed alignment: return None for it.
        """
        view = aligned.view
        first, second = self._both_films(aligned)
        matrix = self.alignment(aligned)
        if isinstance(matrix, AlignmentFailure):
            if aligned.is_difference:
                return None
            matrix = align_centres(first, view.joint or view.box, second, aligned.joint)
        if not aligned.is_difference:
            image = warp_onto(second, matrix, view.box, view.size, view.display_settings, joint=aligned.joint)
            # The joint is where it is on the first film, and marks in the same place do not distract from a change.
            return _mark_joint(image, view)
        # The user's brightness and inversion must not change the size of differences.
        settings = DisplaySettings(view.display_settings.preset)
        here = render(first, view.box, view.size, settings, joint=view.joint)
        return compute_difference(here, warp_onto(second, matrix, view.box, view.size, settings, joint=aligned.joint))

    def _both_films(self, aligned: AlignedView) -> tuple[Film, Film]:
        view = aligned.view
        return (
            self.film(view.case, view.film, view.orientation),
            self.film(view.case, aligned.film, aligned.orientation),
        )

    def _draw_lens(self, image: Image.Image, film: Film, view: ViewRequest) -> Image.Image:
        """Draw the magnifying lens onto `image`."""
        assert view.lens is not None
        width, height = view.size
        across = view.box.width / width
        down = view.box.height / height
        # The lens is a square on the film, also if the pixels of the picture are not square.
        side = _LENS_SIDE * min(width * across, height * down)
        inner = (max(round(side / across), 4), max(round(side / down), 4))
        x, y = (view.box.x0 + view.lens[0] * width * across, view.box.y0 + view.lens[1] * height * down)
        part = Box.from_centre(x, y, side / LENS_MAGNIFICATION)
        near = render(film, part, inner, view.display_settings, joint=view.joint or view.box)
        left, top = (round(view.lens[0] * width - inner[0] / 2), round(view.lens[1] * height - inner[1] / 2))
        image.paste(near, (left, top))
        ImageDraw.Draw(image).rectangle((left - 1, top - 1, left + inner[0], top + inner[1]), outline=255)
        return image


def _mark_joint(image: Image.Image, view: ViewRequest) -> Image.Image:
    """Return `image`, a picture of `view`, with corner marks around the joint if `view` has them."""
    if not view.is_marked or view.joint is None:
        return image
    return draw_corner_marks(image, view.joint.to_image(view.box, view.size))


def draw_outline(image: Image.Image, box: tuple[float, float, float, float]) -> Image.Image:
    """Return a copy of `image` with a frame around `box`, given in pixels of the image."""
    x0, y0, x1, y1 = (round(value) for value in box)
    picture = image.copy()
    draw = ImageDraw.Draw(picture)
    if _has_room_for_border(image):
        draw.rectangle((x0 - 2, y0 - 2, x1 + 2, y1 + 2), outline=0)
        draw.rectangle((x0 + 1, y0 + 1, x1 - 1, y1 - 1), outline=255)
    draw.rectangle((x0 - 1, y0 - 1, x1 + 1, y1 + 1), outline=255)
    return picture


def draw_corner_marks(image: Image.Image, box: tuple[float, float, float, float]) -> Image.Image:
    """Return a copy of `image` with marks at the four corners of a joint's box.

    The marks are outside the box, so that they cover no bone of the joint.

    Parameters
    ----------
    image
        A grey image of mode ``L``.
    box
        The joint's box as (x0, y0, x1, y1), in pixels of the image. It may extend beyond the image.

    Returns
    -------
    PIL.Image.Image
        The image with the marks.
    """
    x0, y0, x1, y1 = box
    border = 1 if _has_room_for_border(image) else 0
    thick, gap = 1 + border, border
    arms = tuple(max(round(_ARM * side), _MIN_ARM_PIXELS) for side in (x1 - x0, y1 - y0))
    left, top = floor(x0) - gap - thick, floor(y0) - gap - thick
    right, bottom = ceil(x1) + gap + thick - 1, ceil(y1) + gap + thick - 1  # the last column and row of the marks
    bars = [
        (x, y, x + arms[0] - 1, y + thick - 1) for x in (left, right - arms[0] + 1) for y in (top, bottom - thick + 1)
    ]
    bars += [
        (x, y, x + thick - 1, y + arms[1] - 1) for x in (left, right - thick + 1) for y in (top, bottom - arms[1] + 1)
    ]
    picture = image.copy()
    draw = ImageDraw.Draw(picture)
    if border:
        for a, b, c, d in bars:
            draw.rectangle((a - 1, b - 1, c + 1, d + 1), fill=0)
    for bar in bars:
        draw.rectangle(bar, fill=255)
    return picture


def _has_room_for_border(image: Image.Image) -> bool:
    return min(image.size) > _MIN_PIXELS_FOR_BORDER


def make_whole_film_box(record: FilmRecord, size: tuple[int, int], display: Display) -> Box:
    """Return the box that contains the whole film in the centre, in the shape of a picture.

    Parameters
    ----------
    record
        The film.
    size
        Width and height of the picture in pixels.
    display
        The capabilities of the terminal, with the shape of its pixels.

    Returns
    -------
    Box
        Corners in pixels of the film. The box may extend beyond the film.
    """
    width, height = max(size[0], 1) * display.pixel_aspect, float(max(size[1], 1))
    scale = max(record.columns / width, record.rows * record.aspect / height)
    return Box.from_centre(record.columns / 2, record.rows / 2, scale * width, scale * height / record.aspect)


def make_joint_box(box: Box, side: float, size: tuple[int, int], display: Display, aspect: float = 1.0) -> Box:
    """Return a box around the centre of a joint, in the shape of a picture.

    Parameters
    ----------
    box
        The joint's box.
    side
        Length of the shorter side of the result, in widths of a film pixel.
    size
        Width and height of the picture in pixels.
    display
        The capabilities of the terminal, with the shape of its pixels.
    aspect
        Height of a film pixel divided by its width.

    Returns
    -------
    Box
        Corners in pixels of the film. The box may extend beyond the film.
    """
    width, height = max(size[0], 1) * display.pixel_aspect, float(max(size[1], 1))
    scale = side / min(width, height)
    return Box.from_centre(*box.centre, scale * width, scale * height / aspect)

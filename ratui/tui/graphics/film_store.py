"""Decoded films in memory, and pictures of parts of them. All functions may be called from any thread.

The screens decide which film may be shown in a blinded study.
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
from ratui.tui.graphics.joint_marks import draw_corner_marks

__all__ = ["LENS_MAGNIFICATION", "AlignedView", "FilmStore", "ViewRequest", "make_joint_box", "make_whole_film_box"]

LENS_MAGNIFICATION = 3.0
"""Magnification of the lens, relative to the picture around it."""
_LENS_SIDE = 0.45  # of the image's shorter side


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

    @property
    def key(self) -> Hashable:
        """Key of the picture in a cache of frames."""
        return self


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
        self._films: OrderedDict[tuple[str, str], Film] = OrderedDict()
        self._lock = Lock()
        self._locks: dict[tuple[str, str], Lock] = {}
        self._aligned: dict[Hashable, Matrix | AlignmentFailure] = {}

    def film(self, case: str, id: str) -> Film:
        """Return the decoded film `id` of `case`. The first call takes up to a few seconds. Raise FilmError if it fails."""
        key = (case, id)
        # A lock per film: two threads never decode the same film, but may decode different ones at the same time.
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

    def has_decoded(self, case: str, id: str) -> bool:
        """Return True if the film `id` of `case` is in memory, so that `film` returns it at once."""
        with self._lock:
            return (case, id) in self._films

    def presets(self, case: str, *films: str) -> tuple[str, ...]:
        """Return the names of the contrast presets for `films`. Films that are not decoded yet are ignored."""
        with self._lock:
            found = [film for id in films if (film := self._films.get((case, id)))]
        return list_presets(*found)

    def render(self, view: ViewRequest) -> Image.Image:
        """Return the picture of `view`, an image of mode ``L``. Raise FilmError if the film cannot be read."""
        film = self.film(view.case, view.film)
        image = _mark_joint(render(film, view.box, view.size, view.display_settings, joint=view.joint), view)
        return image if view.lens is None else self._draw_lens(image, film, view)

    def alignment(self, aligned: AlignedView) -> Matrix | AlignmentFailure:
        """Return the transformation between the two films of `aligned`, or the reason why there is none.

        The result is computed once for each joint. Raise FilmError if a film cannot be read.
        """
        view = aligned.view
        here = view.joint or view.box
        key = (view.case, view.film, here, aligned.film, aligned.joint)
        found = self._aligned.get(key)
        if found is None:
            first, second = self.film(view.case, view.film), self.film(view.case, aligned.film)
            found = self._aligned[key] = align_joints(first, here, second, aligned.joint)
        return found

    def render_aligned(self, aligned: AlignedView) -> Image.Image | None:
        """Return the picture of `aligned`, an image of mode ``L``. Raise FilmError if a film cannot be read.

        If the films cannot be aligned, the centres of the two boxes are placed over each other. A difference would then
        show no change but the failed alignment: return None for it.
        """
        view = aligned.view
        first, second = self.film(view.case, view.film), self.film(view.case, aligned.film)
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

"""Decoded films in memory, and pictures of parts of them.

All functions may be called from any thread. The screens decide which film may be shown in a blinded study.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
from PIL import Image, ImageDraw

from ratui.imaging import (
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
    make_rotation,
    render,
    warp_onto,
)
from ratui.regions.upright_bones import BoneOnFilm, Turns, UprightJoint, find_turns
from ratui.tui.graphics.marks import draw_corner_marks, draw_outline, hatch_outside
from ratui.tui.graphics.viewport import AlignedView, Picture, Viewport

if TYPE_CHECKING:
    from ratui.imaging import BoneDifference

__all__ = [
    "LENS_MAGNIFICATION",
    "FilmSource",
    "FilmStore",
]

LENS_MAGNIFICATION = 3.0
"""Magnification of the lens, relative to the picture around it."""
_LENS_SIDE = 0.45  # of the image's shorter side


_FilmKey: TypeAlias = tuple[str, str, Orientation]


class FilmSource(Protocol):
    """A source of films, such as a study."""

    def film(self, case: str, id: str, orientation: Orientation) -> Film:
        """Return the film `id` of `case` in `orientation`, decoded. Raise FilmError if it fails."""
        ...


_MAX_BONES = 60  # differences of bones in memory, of about 0.3 MB each


class FilmStore:
    """A cache of decoded films.

    Parameters
    ----------
    source
        The study, or another source of films.
    capacity
        Number of films to keep in memory. The least recently used one is dropped.
    """

    def __init__(self, source: FilmSource, capacity: int = 8) -> None:
        self._source = source
        self._capacity = capacity
        self._films: OrderedDict[_FilmKey, Film] = OrderedDict()
        self._lock = Lock()
        self._locks: dict[_FilmKey, Lock] = {}
        self._aligned: dict[Hashable, Matrix | AlignmentFailure] = {}
        self._bones: dict[Hashable, BoneDifference | None] = {}
        self._turns: dict[tuple[str, UprightJoint], Turns] = {}

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
            film = self._source.film(case, id, orientation)
            with self._lock:
                self._films[key] = film
                while len(self._films) > self._capacity:
                    self._films.popitem(last=False)
            return film

    def has_decoded(self, wanted: Picture) -> bool:
        """Return True if all films for the picture `wanted` are in memory, so that `make_picture` need not decode any."""
        view = wanted.view if isinstance(wanted, AlignedView) else wanted
        films: list[Picture | BoneOnFilm] = [view, wanted]
        if self.known_turns(view.case, view.upright) is None:
            films += view.upright  # the picture waits for the axes on all films of the joint
        with self._lock:
            return all((view.case, each.film, each.orientation) in self._films for each in films)

    def presets(self, case: str, *films: str) -> tuple[str, ...]:
        """Return the names of the contrast presets for `films`. Films that are not decoded yet are ignored."""
        with self._lock:
            found = [film for id in films if (film := self._find_in_any_orientation(case, id))]
        return list_presets(*found)

    def _find_in_any_orientation(self, case: str, id: str) -> Film | None:
        return next((film for key, film in self._films.items() if key[:2] == (case, id)), None)

    def known_turns(self, case: str, joint: UprightJoint) -> Turns | None:
        """Return the turns of the films of `joint` if they have been found; None before that. This never waits."""
        return self._turns.get((case, joint)) if joint else Turns()

    def find_turns(self, case: str, joint: UprightJoint) -> Turns:
        """Return the turns of the films of `joint`, an empty one of no film. The result is computed once for each joint."""
        if (turns := self.known_turns(case, joint)) is None or not turns.is_final:
            turns = self._turns[case, joint] = find_turns(joint, lambda id, turned: self.film(case, id, turned))
        return turns

    def make_picture(self, wanted: Picture) -> Image.Image | None:
        """Return the picture `wanted`; None for a difference of films that cannot be registered.

        Raise FilmError if a film cannot be read.
        """
        return self.render_aligned(wanted) if isinstance(wanted, AlignedView) else self.render(wanted)

    def render(self, view: Viewport) -> Image.Image:
        """Return the picture of `view`, an image of mode ``L``. Raise FilmError if the film cannot be read."""
        film = self.film(view.case, view.film, view.orientation)
        turn = self._find_turn(view, view.film)
        image = _mark_joint(self._render_part(film, view, turn), view)
        if view.outline is not None:
            image = draw_outline(image, view.outline.to_image(view.box, view.size))
        return image if view.lens is None else self._draw_lens(image, film, view, turn)

    def _find_turn(self, view: Viewport, film: str) -> float:
        """Return the angle by which the picture of `film` in `view` is turned, 0 for none."""
        return self.find_turns(view.case, view.upright).angles.get(film, 0.0)

    def _render_part(self, film: Film, view: Viewport, turn: float) -> Image.Image:
        """Return the picture of `view` without marks and lens."""
        settings = view.display_settings
        if not turn or view.joint is None:
            return render(film, view.box, view.size, settings, joint=view.joint)
        back = make_rotation(-turn, view.joint.centre, film.aspect)
        image = warp_onto(film, back, view.box, view.size, settings, joint=view.joint)
        return hatch_outside(image, (film.columns, film.rows), _from_picture(view, back))

    def alignment(self, aligned: AlignedView) -> Matrix | AlignmentFailure:
        """Return the transformation between the two films of `aligned`, or the reason why there is none.

        The result is computed once for each joint. Raise FilmError if a film cannot be read.
        """
        view, key = aligned.view, aligned.films_key
        found = self._aligned.get(key)
        if found is None:
            first, second = self._both_films(aligned)
            found = self._aligned[key] = align_joints(first, view.joint or view.box, second, aligned.joint)
        return found

    def compare_bones(self, aligned: AlignedView) -> BoneDifference | None:
        """Return the difference of the bones of a finger joint, or None if they cannot be registered one by one.

        The result is computed once for each joint. Raise FilmError if a film cannot be read.
        """
        view, key = aligned.view, aligned.films_key
        if not (aligned.is_difference and aligned.has_two_bones):
            return None
        with self._lock:
            if key in self._bones:
                return self._bones[key]
        from ratui.imaging import BoneDifference, compare_bones  # most raters see a joint before a difference

        first, second = self._both_films(aligned)
        found = compare_bones(first, view.joint or view.box, second, aligned.joint)
        bones = found if isinstance(found, BoneDifference) else None
        with self._lock:
            self._bones[key] = bones
            while len(self._bones) > _MAX_BONES:
                del self._bones[next(iter(self._bones))]
        return bones

    def shows_bones(self, aligned: AlignedView) -> bool | None:
        """Return True if a difference is that of each bone, False if that of the joint, None if that is not known yet."""
        with self._lock:
            return self._bones[aligned.films_key] is not None if aligned.films_key in self._bones else None

    def find_problem(self, aligned: AlignedView) -> str:
        """Return the reason of an `AlignmentFailure`, or ``bones`` if only these cannot be registered; else an empty text.

        Raise FilmError if a film cannot be read.
        """
        if self.compare_bones(aligned) is not None:
            return ""
        matrix = self.alignment(aligned)
        if isinstance(matrix, AlignmentFailure):
            return matrix.reason
        return "bones" if aligned.is_difference and aligned.has_two_bones else ""

    def render_aligned(self, aligned: AlignedView) -> Image.Image | None:
        """Return the picture of `aligned`, an image of mode ``L``. Raise FilmError if a film cannot be read.

        A difference is that of each bone, without noise, if the bones can be registered one by one, else that of the joint.
        If the films cannot be aligned, the centres of the two boxes are placed over each other. A difference would then
        show no change but the failed alignment: return None for it. The picture is turned like that of the first film.
        """
        view = aligned.view
        first, second = self._both_films(aligned)
        here = view.joint or view.box
        turn, bones = self._find_turn(view, view.film), self.compare_bones(aligned)
        if bones is not None:
            return bones.render(view.box, view.size, make_rotation(-turn, here.centre, first.aspect))
        matrix, own_turn = self.alignment(aligned), turn
        if isinstance(matrix, AlignmentFailure):
            if aligned.is_difference:
                return None
            matrix, own_turn = align_centres(first, here, second, aligned.joint), self._find_turn(view, aligned.film)
        if own_turn:
            matrix = _compose(matrix, make_rotation(-own_turn, here.centre, first.aspect))
        if not aligned.is_difference:
            image = warp_onto(second, matrix, view.box, view.size, view.display_settings, joint=aligned.joint)
            if own_turn:
                image = hatch_outside(image, (second.columns, second.rows), _from_picture(view, matrix))
            # The joint is where it is on the first film, and marks in the same place do not distract from a change.
            return _mark_joint(image, view)
        # The user's brightness and inversion must not change the size of differences.
        settings = DisplaySettings(view.display_settings.preset)
        there = warp_onto(second, matrix, view.box, view.size, settings, joint=aligned.joint)
        if not turn:
            return compute_difference(render(first, view.box, view.size, settings, joint=view.joint), there)
        back = make_rotation(-turn, here.centre, first.aspect)
        return compute_difference(warp_onto(first, back, view.box, view.size, settings, joint=view.joint), there)

    def _both_films(self, aligned: AlignedView) -> tuple[Film, Film]:
        view = aligned.view
        return (
            self.film(view.case, view.film, view.orientation),
            self.film(view.case, aligned.film, aligned.orientation),
        )

    def _draw_lens(self, image: Image.Image, film: Film, view: Viewport, turn: float) -> Image.Image:
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
        enlarged = replace(view, box=part, size=inner, joint=view.joint or view.box)
        near = self._render_part(film, enlarged, turn)
        left, top = (round(view.lens[0] * width - inner[0] / 2), round(view.lens[1] * height - inner[1] / 2))
        image.paste(near, (left, top))
        ImageDraw.Draw(image).rectangle((left - 1, top - 1, left + inner[0], top + inner[1]), outline=255)
        return image


def _mark_joint(image: Image.Image, view: Viewport) -> Image.Image:
    """Return `image`, a picture of `view`, with corner marks around the joint if `view` has them.

    The marks stand upright also in a picture that is turned: they are at the same places on all films of the joint, and none
    of them lies on the shaft of the bone.
    """
    if not view.is_marked or view.joint is None:
        return image
    return draw_corner_marks(image, view.joint.to_image(view.box, view.size))


def _from_picture(view: Viewport, matrix: Matrix) -> Matrix:
    """Return the matrix from the pixels of the picture of `view` to a film, given that from the part that it shows."""
    across, down = view.box.width / view.size[0], view.box.height / view.size[1]
    return _compose(matrix, np.array([[across, 0.0, view.box.x0], [0.0, down, view.box.y0]]))


def _compose(after: Matrix, before: Matrix) -> Matrix:
    """Return the matrix of both transforms, `before` first."""
    return np.hstack([after[:, :2] @ before[:, :2], after[:, :2] @ before[:, 2:] + after[:, 2:]])

"""Naming of detected joints: one optimal assignment of boxes to the joints of a hand, which also gives its side.

Only positions, sizes, kinds and scores of boxes are used, never pixels. A joint without a fitting box is left out, not
guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import cv2
import numpy as np
import numpy.typing as npt

from ratui.imaging import Matrix, fit_similarity

__all__ = ["Candidate", "NamedHand", "Template", "assign_columns", "name_hand", "name_joints"]

_Array = npt.NDArray[np.float64]
Template = Mapping[str, tuple[float, float, float]]
"""Centre x, centre y and box size of each joint of a left hand, in any unit."""

_MISSING_COST, _CUT_OFF_COST = 6.0, 3.0
"""Cost of a joint without a box, inside the image and outside of it.

Were they equal, a hand that the border cuts off would often look like a whole one whose fingers are one place further."""
_POSITION_SPREAD = {"MCP": 0.5, "PIP": 1.25}
_THUMB_SPREAD = 0.6
"""Standard deviations of joints from the fitted hand, in box sizes; `_THUMB_SPREAD` is that of the MCP of the thumb.

That of the MCPs is small because their row distinguishes a thumb from a little finger that is spread as far."""
_LEAN_SPREAD = 0.13
"""Standard deviation of the common sideways lean of all fingers, in radians.

It is a third of the angle between two fingers: with more, one false box could shift all names by one finger."""
_SIZE_SPREAD = 0.3
"""Standard deviation of the natural logarithm of a box's size."""
_MAX_ROTATION = np.pi / 2.6
_MAX_SIZE_ERROR = 0.5
"""Maximum difference of the hand's size from the size of the first box, as a natural logarithm."""
_FORBIDDEN_COST = 3 * _MISSING_COST
_MIN_JOINTS = 4
_MAX_STARTS = 24
"""Maximum number of initial positions of the hand that are refined."""


@dataclass(frozen=True)
class Candidate:
    """A detected box: `x`, `y` its centre, `size` its side, `kind` ``MCP`` or ``PIP``, `score` from 0 to 1."""

    x: float
    y: float
    size: float
    kind: str
    score: float


@dataclass(frozen=True)
class NamedHand:
    """A hand whose joints have names.

    `joints` gives the index of the candidate by joint, for each joint that has one. `side` is ``L`` or ``R``. A lower `cost`
    of the assignment is better. `transform` (2, 3) maps points of the template to the image; of the mirrored template if
    `side` is ``R``.
    """

    joints: Mapping[str, int]
    side: str
    cost: float
    transform: Matrix


def name_joints(
    candidates: Sequence[Candidate], template: Template, kinds: Mapping[str, str]
) -> dict[str, int]:  # fmt: skip
    """Return the index of the candidate by joint of a left hand, without the joints that no candidate fits.

    `kinds` gives the kind of each joint, ``MCP`` or ``PIP``.
    """
    hand = name_hand(candidates, template, kinds, sides=("L",))
    return dict(hand.joints) if hand else {}


def name_hand(
    candidates: Sequence[Candidate],
    template: Template,
    kinds: Mapping[str, str],
    *,
    sides: Sequence[str] = ("L", "R"),
    outline: _Array | None = None,
) -> NamedHand | None:
    """Return the hand that fits the candidates best, or None if fewer than four joints of a hand fit.

    The hand may be rotated by up to 70 degrees and may have any position and size. Candidates that fit no joint are left
    out, and so are joints that no candidate fits.

    Parameters
    ----------
    candidates
        Detected boxes of one image, in any unit.
    template
        Typical positions and sizes of the joints of a left hand; mirrored here for a right hand.
    kinds
        Kind of each joint of the template, ``MCP`` or ``PIP``.
    sides
        Sides to consider.
    outline
        Corners of the image in the candidates' unit, in the order of its border, shape (4, 2). Joints outside may be missing
        at a lower cost. By default the image has no border.
    """
    problems = (_AssignmentProblem(candidates, template, kinds, side, outline) for side in sides)
    hands = [hand for problem in problems if (hand := _name_hand_of_side(problem)) is not None]
    return min(hands, key=lambda hand: hand.cost, default=None)


def _name_hand_of_side(problem: _AssignmentProblem) -> NamedHand | None:
    """Return the best hand of a side: alternate assignment and fit from several initial positions."""
    if not len(problem.centres):
        return None
    best: tuple[dict[int, int], float, Matrix] | None = None
    for transform in problem.initial_transforms():
        rows, cost = problem.assign(transform)
        for _ in range(3):
            if len(rows) < 3:
                break
            transform = problem.fit_transform(rows)
            new_rows, cost = problem.assign(transform, rows)
            if new_rows == rows:
                break
            rows = new_rows
        if len(rows) >= _MIN_JOINTS and (best is None or cost < best[1]):
            best = (rows, cost, transform)
    if best is None:
        return None
    rows, cost, transform = best
    return NamedHand(
        {problem.names[row]: column for row, column in sorted(rows.items())}, problem.side, cost, transform
    )


def assign_columns(cost: _Array) -> npt.NDArray[np.int64]:
    """Return a different column for each row of `cost` (R, C), with the least sum of costs, shape (R,). R is at most C.

    OpenCV's earth mover's distance moves a unit from each row to the columns. Such a transport of whole units is best in
    whole units, so that it is an assignment. It calculates in single precision, relative to the largest cost.
    """
    rows, columns = cost.shape
    supply, demand = np.ones((rows, 1), np.float32), np.ones((columns, 1), np.float32)
    positive = (cost - cost.min()).astype(np.float32)
    _, _, flow = cv2.EMD(supply, demand, cv2.DIST_USER, cost=positive)
    chosen: npt.NDArray[np.int64] = np.argmax(flow, axis=1)
    return chosen


def _find_border(outline: _Array) -> tuple[_Array, _Array]:
    """Return the unit normals (4, 2) of the edges of a convex outline, to its inside, and their offsets (4,).

    The depth of a point inside of an edge is its product with the normal, minus the offset.
    """
    edges = np.roll(outline, -1, axis=0) - outline
    normals = np.column_stack([-edges[:, 1], edges[:, 0]]) / np.hypot(*edges.T)[:, None]
    inwards = np.sign(
        np.einsum("ec,ec->e", outline.mean(axis=0) - outline, normals)
    )  # whatever the order of the corners
    normals = normals * inwards[:, None]
    return normals, np.einsum("ec,ec->e", outline, normals)


class _AssignmentProblem:
    """Candidates and template of one side as arrays."""

    def __init__(
        self,
        candidates: Sequence[Candidate],
        template: Template,
        kinds: Mapping[str, str],
        side: str,
        outline: _Array | None,
    ) -> None:
        self.names, self.side = list(template), side
        self.border = None if outline is None else _find_border(outline)
        flip = -1.0 if side == "R" else 1.0
        self.places = np.array([(flip * template[name][0], template[name][1]) for name in self.names], np.float64)
        self.sizes = np.array([template[name][2] for name in self.names], np.float64)
        kind = np.array([kinds[name] for name in self.names])
        self.spread = np.array(
            [
                _THUMB_SPREAD if name[-1] == "1" and kinds[name] == "MCP" else _POSITION_SPREAD[kinds[name]]
                for name in self.names
            ]
        )
        self.centres = np.array([(c.x, c.y) for c in candidates], np.float64).reshape(-1, 2)
        self.widths = np.maximum(np.array([c.size for c in candidates], np.float64), 1e-6)
        self.scores = np.array([c.score for c in candidates], np.float64)
        # Log odds of a box: using a box with a high score lowers the cost, so a hand that leaves it out costs more.
        score = np.clip(self.scores, 0.02, 0.98)
        self.odds = np.log(score / (1 - score))
        self.is_same_kind = kind[:, None] == np.array([c.kind for c in candidates])[None, :]
        self.knuckles = np.flatnonzero(kind == "MCP")
        # The PIP of the same finger, found by the digit at the end of both names.
        digits = [name[-1] for name in self.names]
        self.outer = {
            int(row): other
            for row in self.knuckles
            for other, digit in enumerate(digits)
            if digit == digits[row] and kind[other] == "PIP"
        }

    def initial_transforms(self) -> list[Matrix]:
        """Return initial positions of the hand, the most probable first.

        Each puts two MCPs of the template on two boxes that agree in kind and size.
        """
        # Points are complex numbers here: a product with one rotates and scales.
        found = [i for i in np.argsort(-self.scores) if self.is_same_kind[self.knuckles, i].any()][:8]
        pairs = [(a, b, i, j) for a, b in permutations(self.knuckles, 2) for i, j in permutations(found, 2)]
        if not pairs:
            return []
        a, b, i, j = np.array(pairs).T
        place, centre = self.places @ [1, 1j], self.centres @ [1, 1j]
        turn = (centre[j] - centre[i]) / (place[b] - place[a])
        shift = centre[i] - turn * place[a]
        size_error = np.abs(np.log(np.maximum(np.abs(turn), 1e-9) * self.sizes[a] / self.widths[i]))
        fit = (np.abs(np.angle(turn)) < _MAX_ROTATION) & (size_error < _MAX_SIZE_ERROR)
        turn, shift = turn[fit], shift[fit]
        # A lower bound of each hand's cost, cheap to compute: it allows one box for several joints.
        distance = np.abs((turn[:, None] * place + shift[:, None])[..., None] - centre)
        costs = self._assignment_costs(distance, np.abs(turn))
        expected = turn[:, None] * place + shift[:, None]
        missing = self._missing_costs(np.stack([expected.real, expected.imag], axis=-1), np.abs(turn))
        bound = np.minimum(costs.min(axis=2), missing).sum(axis=1)
        distinct: list[Matrix] = []
        kept = np.zeros((0, len(place)), complex)
        for best in np.argsort(bound, kind="stable"):
            points = turn[best] * place + shift[best]
            # Positions that nearly coincide with an earlier one would be refined to the same hand.
            if not len(kept) or np.abs(kept - points).max(axis=1).min() > 0.2 * self.sizes.mean() * abs(turn[best]):
                kept = np.vstack([kept, points])
                a, b = turn[best].real, turn[best].imag
                distinct.append(np.array([[a, -b, shift[best].real], [b, a, shift[best].imag]]))
            if len(distinct) == _MAX_STARTS:
                break
        return distinct

    def fit_transform(self, rows: Mapping[int, int]) -> Matrix:
        """Return the similarity that fits the template to the assigned boxes, weighted by the inverse variances."""
        picked = list(rows)
        weight = 1 / self.spread[picked] ** 2
        return fit_similarity(self.places[picked], self.centres[[rows[row] for row in picked]], weight)

    def assign(self, transform: Matrix, before: Mapping[int, int] | None = None) -> tuple[dict[int, int], float]:
        """Return the assignment of least cost for the hand at `transform`, template row to candidate, and its cost.

        If an earlier assignment `before` is given, the expected positions of the PIPs follow from the boxes of the MCPs and
        from the common lean of the fingers.
        """
        expected, lean = self.places @ transform[:, :2].T + transform[:, 2], 0.0
        if before:
            expected, lean = self._apply_lean(expected, before)
        offset = expected[:, None] - self.centres[None]
        scale = float(np.hypot(transform[0, 0], transform[1, 0]))
        box_costs = self._assignment_costs(np.hypot(offset[..., 0], offset[..., 1]), scale)
        joints, boxes = box_costs.shape
        # One extra column per joint stands for "no box".
        cost = np.full((joints, boxes + joints), _FORBIDDEN_COST)
        cost[:, :boxes] = np.minimum(box_costs, _FORBIDDEN_COST)
        cost[np.arange(joints), boxes + np.arange(joints)] = self._missing_costs(expected, scale)
        columns = assign_columns(cost)
        total = float(cost[np.arange(joints), columns].sum()) + 0.5 * (lean / _LEAN_SPREAD) ** 2
        return {row: int(column) for row, column in enumerate(columns) if column < boxes}, total

    def _missing_costs(self, expected: _Array, scale: _Array | float) -> _Array:
        """Return the cost of each joint without a box, shape (…, J), for `expected` positions (…, J, 2).

        It falls from half a box inside the image's border to half a box outside; a box that the border cuts is hard to find.
        """
        if self.border is None:
            return np.full(expected.shape[:-1], _MISSING_COST)
        normals, offsets = self.border
        depth = np.einsum("...jc,ec->...je", expected, normals) - offsets
        share = np.clip(0.5 + depth.min(axis=-1) / (np.asarray(scale)[..., None] * self.sizes), 0, 1)
        return np.asarray(_CUT_OFF_COST + share * (_MISSING_COST - _CUT_OFF_COST))

    def _assignment_costs(self, distance: _Array, scale: _Array | float) -> _Array:
        """Return the cost of each candidate for each joint, shape (…, J, C): a negative log likelihood up to a constant.

        `distance` (…, J, C) is that of the candidates from the expected positions; `scale` is the size of the hand.
        """
        sizes = np.asarray(scale)[..., None] * self.sizes
        position = distance / (sizes * self.spread)[..., None]
        size_error = np.log(self.widths) - np.log(sizes)[..., None]
        costs = 0.5 * position**2 + 0.5 * (size_error / _SIZE_SPREAD) ** 2 - self.odds
        return np.where(self.is_same_kind, costs, _FORBIDDEN_COST)

    def _apply_lean(self, expected: _Array, before: Mapping[int, int]) -> tuple[_Array, float]:
        """Return `expected` with the PIPs moved by the common lean of the fingers, and this lean in radians.

        The lean is the median angle over the fingers: in ulnar drift, all fingers lean to the same side.
        """
        moved = expected.copy()
        angles = []
        for knuckle, outer in self.outer.items():
            if knuckle in before and outer in before:
                was, now = (
                    expected[outer] - expected[knuckle],
                    self.centres[before[outer]] - self.centres[before[knuckle]],
                )
                angles.append(float(np.arctan2(was[0] * now[1] - was[1] * now[0], was @ now)))
        lean = float(np.median(angles)) if len(angles) >= 3 else 0.0
        c, s = np.cos(lean), np.sin(lean)
        for knuckle, outer in self.outer.items():
            base = self.centres[before[knuckle]] if knuckle in before else expected[knuckle]
            moved[outer] = base + np.array([[c, -s], [s, c]]) @ (expected[outer] - expected[knuckle])
        return moved, lean

"""From boxes to named joints: which finger each is of and which hand it is, solved over the hand as one assignment.

It looks at where boxes lie, never at pixels; a joint that no box fits is left out rather than guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from ratui.imaging import Matrix, fit_similarity

__all__ = ["Candidate", "NamedHand", "Template", "name_hand", "name_joints"]

_Array = npt.NDArray[np.float64]
Template = Mapping[str, tuple[float, float, float]]
"""Centre and size of each joint of a left hand, in any unit."""

_MISSING_COST = 6.0
"""What it costs to leave a joint out."""
_POSITION_SPREAD = {"MCP": 0.5, "PIP": 1.25}
_THUMB_SPREAD = 0.6
"""How far joints stray from where the fitted hand has them, in boxes, and how far the thumb's knuckle does.

A little finger that is spread as far as a thumb is told from one by how the row of knuckles lies: so little for those."""
_LEAN_SPREAD = 0.13
"""How far all fingers lean aside, in radians; a third of what takes a finger to the next, or a false box shifts names."""
_SIZE_SPREAD = 0.3
"""How much the logarithm of a box's size strays."""
_MAX_ROTATION = np.pi / 2.6
_MAX_SIZE_ERROR = 0.5  # how far a hand's size may be off that of the box it begins with, as a logarithm
_FORBIDDEN_COST = 1e6
_MIN_JOINTS = 4
_MAX_STARTS = 24


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
    """A hand: the candidate of each joint that has one, its `side`, and the `cost` of the assignment: less is better.

    `transform` (2, 3) takes points of the template (of the template's mirror image where `side` is ``R``) to the picture.
    """

    joints: Mapping[str, int]
    side: str
    cost: float
    transform: Matrix


def name_joints(
    candidates: Sequence[Candidate], template: Template, kinds: Mapping[str, str]
) -> dict[str, int]:  # fmt: skip
    """The index of the candidate for each joint of a left hand that has one; `kinds` gives each joint's kind."""
    hand = name_hand(candidates, template, kinds, sides=("L",))
    return dict(hand.joints) if hand else {}


def name_hand(
    candidates: Sequence[Candidate],
    template: Template,
    kinds: Mapping[str, str],
    *,
    sides: Sequence[str] = ("L", "R"),
) -> NamedHand | None:
    """The hand that the candidates show best, or None where fewer than four joints fit one.

    The template may lie turned by up to 70 degrees, at any place and size, and mirrored for a right hand. Boxes that fit
    no joint are left out, and so are joints that no box fits.
    """
    hands = [hand for side in sides if (hand := _name_hand_of_side(candidates, template, kinds, side)) is not None]
    return min(hands, key=lambda hand: hand.cost, default=None)


def _name_hand_of_side(
    candidates: Sequence[Candidate], template: Template, kinds: Mapping[str, str], side: str
) -> NamedHand | None:
    if not candidates:
        return None
    plan = _AssignmentProblem(candidates, template, kinds, side)
    best: tuple[dict[int, int], float, Matrix] | None = None
    for transform in plan.initial_transforms():
        rows, cost = plan.assign(transform)
        for _ in range(3):
            if len(rows) < 3:
                break
            transform = plan.fit_transform(rows)
            again, cost = plan.assign(transform, rows)
            if again == rows:
                break
            rows = again
        if len(rows) >= _MIN_JOINTS and (best is None or cost < best[1]):
            best = (rows, cost, transform)
    if best is None:
        return None
    rows, cost, transform = best
    return NamedHand({plan.names[row]: column for row, column in sorted(rows.items())}, side, cost, transform)


class _AssignmentProblem:
    """The candidates and the template as arrays."""

    def __init__(
        self, candidates: Sequence[Candidate], template: Template, kinds: Mapping[str, str], side: str
    ) -> None:
        self.names = list(template)
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
        self.centres = np.array([(c.x, c.y) for c in candidates], np.float64)
        self.widths = np.maximum(np.array([c.size for c in candidates], np.float64), 1e-6)
        self.scores = np.array([c.score for c in candidates], np.float64)
        # What it costs to believe a box, less what it costs not to: a sure box that is left out speaks against a hand.
        sure = np.clip(self.scores, 0.02, 0.98)
        self.odds = np.log(sure / (1 - sure))
        self.same = kind[:, None] == np.array([c.kind for c in candidates])[None, :]
        self.knuckles = np.flatnonzero(kind == "MCP")
        # The PIP of the same finger, by the digit that ends both names.
        digits = [name[-1] for name in self.names]
        self.outer = {
            int(row): other
            for row in self.knuckles
            for other, digit in enumerate(digits)
            if digit == digits[row] and kind[other] == "PIP"
        }

    def initial_transforms(self) -> list[Matrix]:
        """Hands to begin with, the likeliest first: each of two knuckles on each of two boxes of their kind and size.

        Points are complex numbers here: to turn and to scale is to multiply.
        """
        found = [i for i in np.argsort(-self.scores) if self.same[self.knuckles, i].any()][:8]
        pairs = [(a, b, i, j) for a, b in permutations(self.knuckles, 2) for i, j in permutations(found, 2)]
        if not pairs:
            return []
        a, b, i, j = np.array(pairs).T
        place, centre = self.places @ [1, 1j], self.centres @ [1, 1j]
        turn = (centre[j] - centre[i]) / (place[b] - place[a])
        shift = centre[i] - turn * place[a]
        odd = np.abs(np.log(np.maximum(np.abs(turn), 1e-9) * self.sizes[a] / self.widths[i]))
        fit = (np.abs(np.angle(turn)) < _MAX_ROTATION) & (odd < _MAX_SIZE_ERROR)
        turn, shift = turn[fit], shift[fit]
        # What the hand costs at least: as if a box could be two joints.
        away = np.abs((turn[:, None] * place + shift[:, None])[..., None] - centre)
        price = self._assignment_costs(away, np.abs(turn))
        least = np.minimum(price.min(axis=2), _MISSING_COST).sum(axis=1)
        distinct: list[Matrix] = []
        seen = np.zeros((0, len(place)), complex)
        for best in np.argsort(least, kind="stable"):
            lies = turn[best] * place + shift[best]
            if not len(seen) or np.abs(seen - lies).max(axis=1).min() > 0.2 * self.sizes.mean() * abs(turn[best]):
                seen = np.vstack([seen, lies])
                a, b = turn[best].real, turn[best].imag
                distinct.append(np.array([[a, -b, shift[best].real], [b, a, shift[best].imag]]))
            if len(distinct) == _MAX_STARTS:
                break
        return distinct

    def fit_transform(self, rows: Mapping[int, int]) -> Matrix:
        """The similarity that brings the template nearest to what was assigned; knuckles, which stray less, count more."""
        picked = list(rows)
        weight = 1 / self.spread[picked] ** 2
        return fit_similarity(self.places[picked], self.centres[[rows[row] for row in picked]], weight)

    def assign(self, transform: Matrix, before: Mapping[int, int] | None = None) -> tuple[dict[int, int], float]:
        """The cheapest assignment for the hand at `transform`, template row to candidate, and its cost.

        With an assignment of `before`, fingers are looked for where they lean to: all of them as their mean does, each as
        its knuckle lies.
        """
        expected, lean = self.places @ transform[:, :2].T + transform[:, 2], 0.0
        if before:
            expected, lean = self._apply_lean(expected, before)
        away = expected[:, None] - self.centres[None]
        scale = float(np.hypot(transform[0, 0], transform[1, 0]))
        price = self._assignment_costs(np.hypot(away[..., 0], away[..., 1]), scale)
        joints, boxes = price.shape
        cost = np.full((joints, boxes + joints), _FORBIDDEN_COST)
        cost[:, :boxes] = price
        cost[np.arange(joints), boxes + np.arange(joints)] = _MISSING_COST
        chosen, columns = linear_sum_assignment(cost)
        total = float(cost[chosen, columns].sum()) + 0.5 * (lean / _LEAN_SPREAD) ** 2
        return {int(r): int(c) for r, c in zip(chosen, columns, strict=True) if c < boxes}, total

    def _assignment_costs(self, away: _Array, scale: _Array | float) -> _Array:
        """What each joint (…, J, C) pays for each candidate `away` from it: for its place, its size and its doubt."""
        sizes = np.asarray(scale)[..., None] * self.sizes
        gap = away / (sizes * self.spread)[..., None]
        odd = np.log(self.widths) - np.log(sizes)[..., None]
        price = 0.5 * gap**2 + 0.5 * (odd / _SIZE_SPREAD) ** 2 - self.odds
        return np.where(self.same, price, _FORBIDDEN_COST)

    def _apply_lean(self, expected: _Array, before: Mapping[int, int]) -> tuple[_Array, float]:
        """`expected` with the outer joints where the fingers lean to, and how far: a hand drifts as a whole."""
        leaning = expected.copy()
        turns = []
        for knuckle, outer in self.outer.items():
            if knuckle in before and outer in before:
                was, now = (
                    expected[outer] - expected[knuckle],
                    self.centres[before[outer]] - self.centres[before[knuckle]],
                )
                turns.append(float(np.arctan2(was[0] * now[1] - was[1] * now[0], was @ now)))
        turn = float(np.median(turns)) if len(turns) >= 3 else 0.0
        c, s = np.cos(turn), np.sin(turn)
        for knuckle, outer in self.outer.items():
            base = self.centres[before[knuckle]] if knuckle in before else expected[knuckle]
            leaning[outer] = base + np.array([[c, -s], [s, c]]) @ (expected[outer] - expected[knuckle])
        return leaning, turn

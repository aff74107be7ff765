"""From boxes to named joints: which finger a box belongs to, solved over the whole hand as one assignment.

It looks at where boxes lie, never at pixels; a joint that no box fits is left out rather than guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

__all__ = ["Candidate", "name_joints"]

_Array = npt.NDArray[np.float64]
_MISSING = 7.0  # what it costs to leave a joint out
_SPREAD = {"MCP": 0.75, "PIP": 1.7}  # how far joints stray from the fitted template, in boxes
_FAR = 1e6


@dataclass(frozen=True)
class Candidate:
    """A detected box: `x`, `y` its centre, `size` its side, `kind` ``MCP`` or ``PIP``, `score` from 0 to 1."""

    x: float
    y: float
    size: float
    kind: str
    score: float


def name_joints(
    candidates: Sequence[Candidate], template: Mapping[str, tuple[float, float, float]], kinds: Mapping[str, str]
) -> dict[str, int]:
    """The index of the candidate for each joint that has one.

    `template` gives centre and size of each joint of a left hand, in any unit; `kinds` each joint's kind. The template
    may be turned by up to 60 degrees and scaled; boxes that fit no joint are left out.
    """
    joints = list(template)
    places = np.array([template[joint][:2] for joint in joints], np.float64)
    sizes = np.array([template[joint][2] for joint in joints], np.float64)
    anchors = [i for i, joint in enumerate(joints) if kinds[joint] == "MCP"]
    found = [i for i, candidate in enumerate(candidates) if candidate.kind == "MCP"]
    found = sorted(found, key=lambda i: -candidates[i].score)[:7]
    best: dict[str, int] = {}
    best_cost = _MISSING * len(joints)
    seen: set[tuple[int, ...]] = set()
    for a, b in permutations(anchors, 2):
        for i, j in permutations(found, 2):
            move = _similarity(places[[a, b]], _centres([candidates[i], candidates[j]]))
            scale, angle = float(np.hypot(*move[0])), float(np.arctan2(move[0][1], move[0][0]))
            expected = candidates[i].size / sizes[a]
            if abs(angle) > np.pi / 3 or not 0.6 < scale / expected < 1.6:
                continue
            key = (round(scale / expected * 8), round(angle * 8), *np.round(_apply(move, places)[0] / 12).astype(int))
            if key in seen:
                continue
            seen.add(key)
            names, cost = _assign(candidates, joints, kinds, _apply(move, places), sizes * scale)
            for _ in range(2):
                if len(names) < 3:
                    break
                picked = [joints.index(name) for name in names]
                move = _similarity(places[picked], _centres([candidates[names[joints[p]]] for p in picked]))
                scale = float(np.hypot(*move[0]))
                names, cost = _assign(candidates, joints, kinds, _apply(move, places), sizes * scale)
            if cost < best_cost:
                best, best_cost = names, cost
    return best


def _centres(candidates: Sequence[Candidate]) -> _Array:
    return np.array([(candidate.x, candidate.y) for candidate in candidates], np.float64)


def _similarity(source: _Array, target: _Array) -> tuple[_Array, _Array]:
    """Turning-and-scaling (as cosine, sine) and shift that take `source` to `target`, by least squares."""
    middle, aim = source.mean(axis=0), target.mean(axis=0)
    s, t = source - middle, target - aim
    norm = float((s**2).sum()) or 1e-9
    turn = np.array([(s * t).sum() / norm, (s[:, 0] * t[:, 1] - s[:, 1] * t[:, 0]).sum() / norm])
    return turn, aim - _turn(turn, middle[None])[0]


def _turn(turn: _Array, points: _Array) -> _Array:
    return np.column_stack(
        [turn[0] * points[:, 0] - turn[1] * points[:, 1], turn[1] * points[:, 0] + turn[0] * points[:, 1]]
    )


def _apply(move: tuple[_Array, _Array], points: _Array) -> _Array:
    return _turn(move[0], points) + move[1]


def _assign(
    candidates: Sequence[Candidate],
    joints: Sequence[str],
    kinds: Mapping[str, str],
    places: _Array,
    sizes: _Array,
) -> tuple[dict[str, int], float]:
    """The cheapest assignment of candidates to joints at `places`, and its cost; a joint may stay without."""
    centres = _centres(candidates)
    cost = np.full((len(joints), len(candidates) + len(joints)), _FAR)
    for row, joint in enumerate(joints):
        cost[row, len(candidates) + row] = _MISSING
        away = np.hypot(*(centres - places[row]).T) / (sizes[row] * _SPREAD[kinds[joint]])
        for column, candidate in enumerate(candidates):
            if candidate.kind == kinds[joint]:
                cost[row, column] = min(0.5 * away[column] ** 2, 40.0) - np.log(max(candidate.score, 1e-3))
    rows, columns = linear_sum_assignment(cost)
    total = float(cost[rows, columns].sum())
    return {joints[r]: int(c) for r, c in zip(rows, columns, strict=True) if c < len(candidates)}, total

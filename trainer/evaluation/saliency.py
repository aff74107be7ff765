"""Saliency maps of a scorer: how much its expected grades depend on each place of a joint's picture.

The method is occlusion: a square of the crop is blurred, and the scorer is asked again. It needs no gradient, so it fits
every backbone and ensembles, and each value is a difference of two answers of the scorer. It does not say why the scorer
depends on a place, and no map proves a cause.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from trainer.data.pairs import PairSamples, Progress
from trainer.evaluation.evaluate_scorer import find_worst_joints
from trainer.evaluation.scale_predictions import match_labels
from trainer.inference.decisions import Floats, expected_grades

__all__ = ["LARGE_ERROR", "RANDOM", "Saliency", "compute_saliency", "compute_square_side", "explain_joints"]

LARGE_ERROR, RANDOM = "large error", "random"
_SQUARE = 1 / 6  # side of the blurred square, in sides of the crop
_STEPS = 2  # shifts of the square in its side
_BLUR = 1 / 12  # standard deviation of the blur, in sides of the crop

Score = Callable[[PairSamples], list[Floats]]
"""Returns the probabilities of the pairs of grades, as `trainer.inference.scoring.score_samples`."""


@dataclass(frozen=True)
class Saliency:
    """The saliency maps of a joint on one scale.

    Attributes
    ----------
    case, site
        The joint.
    reason
        Reason for the choice of the joint: ``large error`` or ``random``.
    scale
        Name of the scale.
    grades
        Expected grades at both time points.
    crops
        The joint at both time points, shape (2, S, S), uint8.
    grade_maps
        Effect of each place of a crop on the expected grade of its own time point, in grades, shape (2, S, S). It is
        positive where the picture raises the grade, so that the grade falls if the place is blurred.
    change_maps
        Effect on the expected change, likewise.
    """

    case: str
    site: str
    reason: str
    scale: str
    grades: tuple[float, float]
    crops: npt.NDArray[np.uint8]
    grade_maps: Floats
    change_maps: Floats

    def summarise(self) -> dict[str, Any]:
        """Return the values without pictures: for each map the mean and the largest effect, and where it is."""
        maps = {
            f"{target}_{film}": values[place]
            for target, values in (("grade", self.grade_maps), ("change", self.change_maps))
            for place, film in enumerate(("earlier", "later"))
        }
        return {
            "case": self.case,
            "site": self.site,
            "reason": self.reason,
            "scale": self.scale,
            "grades": [round(each, 4) for each in self.grades],
            "maps": {name: _summarise(values) for name, values in maps.items()},
        }


def explain_joints(
    score: Score,
    pairs: PairSamples,
    probabilities: Sequence[Floats],
    count: int,
    decision: str,
    seed: int,
    progress: Progress = lambda *_: None,
) -> tuple[Saliency, ...]:
    """Return the saliency maps of some joints: half are those with the largest errors of the change, half are random.

    Parameters
    ----------
    score
        The scorer.
    pairs
        Samples with the labels. Joints without a score at both time points are not chosen.
    probabilities
        Its probabilities for `pairs`, by scale.
    count
        Number of joints; an odd one is a joint with a large error.
    decision
        Name of the decision rule, which the error depends on.
    seed
        Seed of the draw.
    progress
        Called with a text, the number of joints that are done, and `count`.

    Returns
    -------
    tuple of Saliency
        Those for ERO, or for the first scale with such joints if ERO has none.
    """
    for scale in sorted(range(len(pairs.scales)), key=lambda place: pairs.scales[place] != "ERO"):
        predictions = match_labels(pairs, probabilities[scale], scale, decision)
        if not len(predictions.row):
            continue
        large = [each.row for each in find_worst_joints(pairs, predictions, count - count // 2)]
        others = np.setdiff1d(predictions.row, large)
        drawn = np.random.default_rng(seed).permutation(others)[: count - len(large)].tolist()
        found: list[Saliency] = []
        for row in (*large, *drawn):
            progress("computing saliency maps", len(found), len(large) + len(drawn))
            reason = LARGE_ERROR if row in large else RANDOM
            found.append(compute_saliency(score, pairs, row, pairs.scales[scale], reason))
        progress("computing saliency maps", len(found), len(found))
        return tuple(found)
    return ()


def compute_square_side(side: int) -> int:
    """Return the side of the blurred square in pixels, for a crop of `side` pixels."""
    return max(round(side * _SQUARE / _STEPS) * _STEPS, _STEPS)


def compute_saliency(score: Score, pairs: PairSamples, row: int, scale: str, reason: str) -> Saliency:
    """Return the saliency maps of the joint in `row` of `pairs`, on the scale `scale`.

    Each square of each crop is blurred in turn. A place has the mean effect of all squares that contain it, which are
    equally many for all places.
    """
    pair = np.array(pairs.crops[row])
    side = pair.shape[1]
    square = compute_square_side(side)
    step = square // _STEPS
    blurred = np.stack([cv2.GaussianBlur(crop, (0, 0), side * _BLUR, borderType=cv2.BORDER_REFLECT) for crop in pair])
    starts = range(step - square, side, step)
    places = [
        (film, slice(max(y, 0), y + square), slice(max(x, 0), x + square))
        for film in (0, 1)
        for y in starts
        for x in starts
    ]
    asked = np.repeat(pair[None], 1 + len(places), axis=0)
    for number, (film, rows, columns) in enumerate(places, start=1):
        asked[number, film, rows, columns] = blurred[film, rows, columns]
    column = pairs.scales.index(scale)
    grades = expected_grades(score(_repeat_joint(pairs, row, asked))[column])
    effect = grades[0] - grades[1:]
    maps = np.zeros((2, 2, side, side))
    for number, (film, rows, columns) in enumerate(places):
        on_change = effect[number, 1] - effect[number, 0]
        maps[0, film, rows, columns] += effect[number, film] / _STEPS**2
        maps[1, film, rows, columns] += on_change / _STEPS**2
    expected = (float(grades[0, 0]), float(grades[0, 1]))
    return Saliency(pairs.cases[row], pairs.sites[row], reason, scale, expected, pair, maps[0], maps[1])


def _repeat_joint(pairs: PairSamples, row: int, crops: npt.NDArray[np.uint8]) -> PairSamples:
    """Return samples of the joint in `row` with each of `crops`, (N, 2, S, S)."""
    rows = np.full(len(crops), row)
    return replace(
        pairs,
        crops=crops,
        labels=pairs.labels[rows],
        max_grades=pairs.max_grades[rows],
        groups=pairs.groups[rows],
        has_finding=pairs.has_finding[rows],
        cases=(pairs.cases[row],) * len(crops),
        sites=(pairs.sites[row],) * len(crops),
        single_times={},
    )


def _summarise(values: Floats) -> dict[str, Any]:
    """Return the mean absolute effect, the largest effect, and its place as (x, y) in sides of the crop."""
    y, x = np.unravel_index(int(np.abs(values).argmax()), values.shape)
    side = len(values)
    return {
        "mean": round(float(np.abs(values).mean()), 5),
        "largest": round(float(values[y, x]), 5),
        "at": [round((int(place) + 0.5) / side, 3) for place in (x, y)],
    }

"""Compare ways in which the open boxes of a hand can follow corrected ones, on phantom hands.

Run ``python -m benchmarks.box_corrections [PATIENTS]``.

The boxes of a hand start at the places of the scheme's template. A simulated rater corrects one box after another that is
more than a quarter of a box off, with an error of 3 % of the box; the tables show the boxes that are still open. None of the
patients was used to choose the parameters of `ratui.regions.kriging`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from ratui.imaging import Box, Film, fit_similarity, propagate_boxes
from ratui.phantom import PhantomFilm, render, simulate_patient
from ratui.regions.corrections import list_flexibilities
from ratui.regions.initial import find_template_box
from ratui.regions.kriging import Observation, find_most_informative, predict_boxes
from ratui.scheme import load_scheme
from ratui.study import FilmRecord

SCHEME = load_scheme("mtss-hands")
SITES = {site.key: site for site in SCHEME.sites}
FINGERS = ("PIP", "MCP")
SIZE, LARGE = (250, 205), (640, 525)
"""Sizes of the films in pixels; registration needs larger ones than places alone."""
WRONG, RATER_ERROR, MODEL_ERROR = 0.25, 0.03, 0.03
"""Distance above which a box is corrected, and errors of a rater and of a model, in boxes."""
SHOWN = (0, 1, 2, 3, 4, 6)
"""Numbers of corrections in the table."""

Boxes = Mapping[str, Box]
Method = Callable[[Boxes, Boxes], Boxes]
"""A function from the expected and the corrected boxes to all boxes."""


def centres(boxes: Boxes, keys: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return the centres of the boxes `keys`, shape (N, 2)."""
    return np.array([boxes[key].centre for key in keys])


def place(boxes: Boxes, points: npt.NDArray[np.float64]) -> dict[str, Box]:
    """Return `boxes` with other centres."""
    return {
        key: Box.from_centre(float(x), float(y), box.width)
        for (key, box), (x, y) in zip(boxes.items(), points, strict=True)
    }


def stay(expected: Boxes, corrected: Boxes) -> Boxes:
    """Move nothing."""
    return expected


def shift(expected: Boxes, corrected: Boxes) -> Boxes:
    """Shift all boxes by the mean correction."""
    keys = list(corrected)
    by = (centres(corrected, keys) - centres(expected, keys)).mean(axis=0)
    return place(expected, centres(expected, list(expected)) + by)


def similarity(expected: Boxes, corrected: Boxes) -> Boxes:
    """Fit rotation, scale and shift by least squares, from two corrections on; within 35° and factors of 0.6 and 1.6."""
    keys = list(corrected)
    if len(keys) < 2:
        return shift(expected, corrected)
    source, target = centres(expected, keys), centres(corrected, keys)
    matrix = fit_similarity(source, target)
    factor = complex(matrix[0, 0], matrix[1, 0])
    scale, angle = np.clip(abs(factor), 0.6, 1.6), np.clip(np.angle(factor), -0.6, 0.6)
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (centres(expected, list(expected)) - source.mean(axis=0)) @ linear.T + target.mean(axis=0)
    return place(expected, points)


def weighted_offsets(expected: Boxes, corrected: Boxes) -> Boxes:
    """Add to the similarity, from three corrections on, the residuals by inverse squared distance."""
    fitted, keys = similarity(expected, corrected), list(corrected)
    if len(keys) < 3:
        return fitted
    unit = float(np.median([box.width for box in expected.values()]))
    points = centres(expected, list(expected)) / unit
    squares = ((points[:, None] - points[[list(expected).index(key) for key in keys]][None]) ** 2).sum(axis=2)
    weights = 1 / (squares + 0.1)
    residuals = centres(corrected, keys) - centres(fitted, keys)
    moved = centres(fitted, list(fitted)) + weights @ residuals / weights.sum(axis=1)[:, None]
    return place(expected, moved)


def kriging(expected: Boxes, corrected: Boxes) -> Boxes:
    """Predict the boxes as the app does."""
    return _krige(expected, corrected, has_size=False)


def _krige(expected: Boxes, corrected: Boxes, *, has_size: bool) -> Boxes:
    observed = {key: Observation(box, 0.05, has_size) for key, box in corrected.items()}
    return predict_boxes(expected, observed, list_flexibilities(SITES, expected))


METHODS: dict[str, Method] = {
    "boxes stay": stay,
    "shift": shift,
    "similarity": similarity,
    "similarity, offsets by inverse distance": weighted_offsets,
    "universal kriging (chosen)": kriging,
}


def errors(boxes: Boxes, truth: Boxes, keys: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return the distances of the centres from the truth, in true boxes."""
    widths = np.array([truth[key].width for key in keys])
    return np.asarray(np.linalg.norm(centres(boxes, keys) - centres(truth, keys), axis=1) / widths)


def correct(box: Box, rng: np.random.Generator, error: float = RATER_ERROR) -> Box:
    """Return a true box as a rater or a model places it."""
    return box.shift(*(float(v) for v in rng.normal(0.0, error * box.width, 2)))


def follow(
    hands: Sequence[tuple[Boxes, Boxes]], method: Method, *, by_information: bool, has_mistake: bool
) -> tuple[list[str], float]:
    """Return the cells of the open boxes after each number of corrections, and the mean number of corrections needed.

    With `has_mistake`, the third correction is one and a half boxes off.
    """
    rng = np.random.default_rng(5)
    open_errors: dict[int, list[float]] = {count: [] for count in SHOWN}
    needed = []
    for expected, truth in hands:
        boxes, corrected = expected, dict[str, Box]()
        while True:
            rest = [key for key in expected if key not in corrected]
            off = dict(zip(rest, errors(boxes, truth, rest), strict=True)) if rest else {}
            if len(corrected) in open_errors:
                open_errors[len(corrected)] += off.values()
            wrong = [key for key in rest if off[key] > WRONG]
            if not wrong:
                break
            key = wrong[0]
            if by_information:
                known = dict.fromkeys(corrected, 0.05)
                key = find_most_informative(boxes, known, list_flexibilities(SITES, boxes), wrong) or key
            corrected[key] = correct(truth[key], rng)
            if has_mistake and len(corrected) == 3:
                corrected[key] = corrected[key].shift(1.5 * truth[key].width, 0)
            boxes = method(expected, corrected)
        needed.append(len(corrected))
        for count in SHOWN:  # nothing moves any more
            if count > len(corrected):
                open_errors[count] += off.values()
    cells = [
        f"{np.median(found):.2f}, {100 * np.mean(np.array(found) > WRONG):.0f} %" for found in open_errors.values()
    ]
    return cells, float(np.mean(needed))


def corrections(hands: Sequence[tuple[Boxes, Boxes]]) -> None:
    """Print the open boxes after each number of corrections, and the number that is needed."""
    print("Median distance of the open boxes, and share more than a quarter off, after corrections:\n")
    print(f"| method | order of corrections | {' | '.join(map(str, SHOWN))} | corrections until all are right |")
    print("|" + "---|" * (len(SHOWN) + 3))
    rows = [(name, False, False) for name in METHODS]
    rows += [("similarity, offsets by inverse distance", True, False), ("universal kriging (chosen)", True, False)]
    rows += [(name, True, True) for name in ("similarity, offsets by inverse distance", "universal kriging (chosen)")]
    for name, by_information, has_mistake in rows:
        cells, needed = follow(hands, METHODS[name], by_information=by_information, has_mistake=has_mistake)
        order = "most informative first" if by_information else "by name"
        order += ", the third 1.5 boxes off" if has_mistake else ""
        print(f"| {name} | {order} | {' | '.join(cells)} | {needed:.1f} |")
    print()


def other_hands(hands: Sequence[tuple[Boxes, Boxes]]) -> None:
    """Print how many corrections are needed if the boxes start as on the other hand, mirrored, instead of the template."""
    film = Box.from_size(SIZE[1], SIZE[0])
    mirrored = []
    for number, (expected, truth) in enumerate(hands):
        other = {("R" if key[0] == "L" else "L") + key[1:]: box for key, box in hands[number ^ 1][1].items()}
        mirrored.append(({key: other[key].mirror(film) for key in expected}, truth))
    needed = [follow(each, kriging, by_information=True, has_mistake=False)[1] for each in (hands, mirrored)]
    print(f"Corrections per hand from the template {needed[0]:.1f}, from the other hand, mirrored, {needed[1]:.1f}.\n")


def wrists(hands: Sequence[tuple[Boxes, Boxes]]) -> None:
    """Print the boxes of the wrist when a model has found the finger joints."""
    print("| wrist from ten finger joints of a model | median distance | 90 % | more than a quarter off |")
    print("|---|---|---|---|")
    for name, method in METHODS.items():
        rng = np.random.default_rng(6)
        found = []
        if method is kriging:
            method = partial(_krige, has_size=True)  # a model finds the size of a joint as well
        for expected, truth in hands:
            fingers = {key: correct(box, rng, MODEL_ERROR) for key, box in truth.items() if _group(key) in FINGERS}
            wrist = [key for key in expected if key not in fingers]
            found.append(errors(method(expected, fingers), truth, wrist))
        median, ninety = np.percentile(found, [50, 90])
        print(f"| {name} | {median:.2f} | {ninety:.2f} | {100 * np.mean(np.array(found) > WRONG):.0f} % |")
    print()


def registered(pairs: Sequence[tuple[PhantomFilm, PhantomFilm]]) -> None:
    """Print whether boxes found by registration become better if they follow the correction of others."""
    before, after, count = [], [], 0
    for first, second in pairs:
        fixed, moving = (Film(each.pixels, 12, spacing=each.spacing) for each in (first, second))
        found = {key: each.box for key, each in propagate_boxes(fixed, moving, first.boxes).items() if each.is_found}
        truth = {key: second.boxes[key] for key in found}
        off = [key for key in found if errors(found, truth, [key])[0] > 0.1]
        for key in off:
            rest = [other for other in found if other != key]
            before.append(errors(found, truth, rest))
            after.append(errors(kriging(found, {key: truth[key]}), truth, rest))
            count += 1
    stays, follows = (float(np.mean(np.concatenate(each))) if each else float("nan") for each in (before, after))
    print(
        f"Boxes found by registration on {len(pairs)} films, after the correction of one that was more than a tenth off"
    )
    print(
        f"({count} corrections): mean distance {stays:.3f} of a box if the others stay, {follows:.3f} if they follow."
    )


def _group(key: str) -> str:
    return SITES[key].joint.group


def make_hand(number: int, side: str) -> tuple[Boxes, Boxes]:
    """Return the template's boxes and the true ones of a phantom hand."""
    rng = np.random.default_rng([911, number, ord(side)])
    patient = simulate_patient(np.random.default_rng([911, number]), SCHEME, severity=None if number % 2 else 0.6)
    phantom = render(patient, side, 0, rng, size=SIZE)  # type: ignore[arg-type]
    record = FilmRecord("film", 0, side, "hand", *SIZE)
    expected = {key: box for key in phantom.boxes if (box := find_template_box(SCHEME, record, SITES[key])) is not None}
    return expected, {key: phantom.boxes[key] for key in expected}


def make_pair(number: int) -> tuple[PhantomFilm, PhantomFilm]:
    """Return the films of a hand at two time points."""
    rng, side = np.random.default_rng([912, number]), "LR"[number % 2]
    patient = simulate_patient(rng, SCHEME)
    first, second = (render(patient, side, time, rng, size=LARGE) for time in (0, 1))  # type: ignore[arg-type]
    return first, second


def main() -> None:
    """Print all tables."""
    patients = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    hands = [make_hand(number, side) for number in range(patients) for side in "LR"]
    corrections(hands)
    other_hands(hands)
    wrists(hands)
    registered([make_pair(number) for number in range(max(patients // 3, 2))])


if __name__ == "__main__":
    main()

"""Measure the reading test: its intervals over simulated observers, and what a model observer sees on displays.

``python -m benchmarks.reading_test observers`` simulates observers with known thresholds, and ``python -m
benchmarks.reading_test displays`` runs whole tests with a model observer on the pictures of several displays.

The model observer knows the places at which an erosion can be (two bones, two sides), or that a space may be narrower, and
how each of them would change the picture of each film, compared with the surroundings. It compares how much both films have
of each change, and chooses the film that has more of the most different one. It does not know the films without damage, so
that their noise, the places of the pixels and the greys of the display mislead it.
It has no noise of its own, and its eye is perfect: only the ratio between
displays counts.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from ratui.imaging import DEFAULT_DISPLAY, Box, Film, render
from ratui.phantom import PhantomFilm
from ratui.phantom.single_joint import JointErosion
from ratui.practice.psychometrics import AdaptiveThreshold, compute_probability_correct
from ratui.practice.reading_test import CONTRAST, PARTS, ReadingTest, Trial
from ratui.terminal import Display
from ratui.terminal.colours import make_grey_palette
from ratui.tui.graphics.view_settings import ZOOMS
from ratui.tui.graphics.viewport import make_joint_box

Array = npt.NDArray[np.float64]
_SURROUND_MM = 5.0
"""Side of the surroundings with which the observer compares a place."""

DISPLAYS = (
    ("Sixel or Kitty, 200 × 60", Display("kitty"), (89, 54)),
    ("Sixel or Kitty, 120 × 40", Display("kitty"), (58, 32)),
    ("Sixel or Kitty, 80 × 24", Display("kitty"), (37, 16)),
    ("half-cells, 200 × 60", Display("halfcell"), (89, 54)),
    ("half-cells, 120 × 40", Display("halfcell"), (58, 32)),
    ("half-cells, 120 × 40, 30 greys", Display("halfcell", colours="256", levels=30), (58, 32)),
    ("half-cells, 80 × 24", Display("halfcell"), (37, 16)),
)
"""Displays with characters of 10 × 20 pixels, and the size of a film on the scoring screen in characters."""


def simulate_observers(count: int, seed: int = 1) -> None:
    """Print coverage of the interval, bias and spread for observers of every part, by lapse rate."""
    rng = np.random.default_rng(seed)
    print(
        "| part | lapse rate | interval contains the threshold | bias | SD | high / low, median |\n|---|---|---|---|---|---|"
    )
    for plan in PARTS:
        for lapse in (0.0, 0.02, 0.05):
            inside, errors, widths = [], [], []
            for _ in range(count):
                threshold = float(np.exp(rng.uniform(*np.log([plan.sizes[0], plan.sizes[-1]]))))
                slope = float(np.exp(rng.uniform(*np.log([1.5, 5.0]))))
                method = AdaptiveThreshold(plan.sizes)
                for _ in range(plan.trials):
                    size = method.next_size()
                    is_correct = bool(rng.random() < compute_probability_correct(size, threshold, slope, lapse))
                    method.add_answer(size, is_correct=is_correct)
                found = method.estimate()
                inside.append(found.low <= threshold <= found.high)
                errors.append(np.log(found.threshold / threshold))
                widths.append(np.log(found.high / found.low))
            bias, spread = np.expm1(np.mean(errors)), np.expm1(np.std(errors))
            print(
                f"| {plan.part}, {plan.trials} trials | {lapse:.0%} | {np.mean(inside):.1%} of {count} | {bias:+.1%} "
                f"| {spread:.0%} | {np.exp(np.median(widths)):.1f} |"
            )


def show(film: PhantomFilm, box: Box, size: tuple[int, int], display: Display) -> Array:
    """Return the picture of a joint as `display` shows it, in grey levels."""
    image = render(Film(film.pixels, 12, spacing=film.spacing), box, size, DEFAULT_DISPLAY, joint=film.boxes[""])
    levels = np.asarray(image)
    if display.protocol == "halfcell":
        levels = make_grey_palette(display.colours).nearest[levels]
    return levels.astype(float)


def subtract_surround(pattern: Array, across: float, down: float) -> Array:
    """Return `pattern` minus its local mean: a difference in brightness of the whole film is no damage."""
    return pattern - np.asarray(cv2.blur(pattern, (2 * round(across / 2) + 1, 2 * round(down / 2) + 1)))


def list_changes(trial: Trial) -> list[tuple[JointErosion | None, float]]:
    """Return the changes that the observer looks for, as erosion and lost share of the joint space."""
    if trial.erosion is None:
        return [(None, trial.size)]
    places = [(is_distal, sign) for is_distal in (False, True) for sign in (-1, 1)]
    return [(JointErosion(trial.size, CONTRAST, *place, trial.erosion.along), 0.0) for place in places]  # type: ignore[arg-type]


def choose(trial: Trial, display: Display, cells: tuple[int, int]) -> int:
    """Return the film that the model observer chooses: 0 for the left one."""
    across, down = display.pixels_per_cell
    size = (cells[0] * across, cells[1] * down)
    found = []
    for place in (0, 1):
        changed = [trial.render_with(place, *each) for each in list_changes(trial)]
        films = [trial.render(place), trial.render_with(place), *changed]
        joint = films[1].boxes[trial.site.key]  # narrowing moves the centre of the joint
        box = make_joint_box(joint, ZOOMS[0] * joint.width, size, display)
        shown = [show(replace(film, boxes={"": joint}), box, size, display) for film in films]
        pixels = _SURROUND_MM / films[0].spacing[0]  # of the film
        surround = pixels * size[0] / box.width, pixels * size[1] / box.height
        patterns = [subtract_surround(each - shown[1], *surround) for each in shown[2:]]
        found.append([float((shown[0] * each).sum() / max(np.sqrt((each**2).sum()), 1e-9)) for each in patterns])
    differences = np.subtract(found[0], found[1])
    best = differences[int(np.argmax(np.abs(differences)))]
    return trial.draw % 2 if best == 0 else int(best < 0)


def measure_displays(tests: int, seed: int = 1) -> None:
    """Print the thresholds of the model observer on each display: the mean over some tests, in the logarithm."""
    print("| display | erosion, mm | interval of one test | narrowing | interval of one test |\n|---|---|---|---|---|")
    for name, display, cells in DISPLAYS:
        row = [name]
        results = []
        for number in range(tests):
            test = ReadingTest(seed + number)
            while (trial := test.trial) is not None:
                test.answer(choose(trial, display, cells), 1.0)
            results.append(test.list_results())
        for part, (unit, digits) in enumerate(((1.0, 2), (100.0, 0))):
            parts = [each[part] for each in results]
            mean = float(np.exp(np.mean([np.log(each.threshold) for each in parts])))
            smallest = parts[0].smallest
            size = f"< {unit * smallest:.{digits}f}" if mean < smallest else f"{unit * mean:.{digits}f}"
            row += [size, f"{unit * parts[0].low:.{digits}f} to {unit * parts[0].high:.{digits}f}"]
        print(f"| {' | '.join(row)} |", flush=True)


def main() -> None:
    """Run the measurement that the command line names."""
    parser = argparse.ArgumentParser(description="How good the reading test is.")
    parser.add_argument("what", choices=["observers", "displays"])
    parser.add_argument("--count", type=int, help="observers of each kind (500), or tests on each display (2)")
    arguments = parser.parse_args()
    if arguments.what == "observers":
        simulate_observers(arguments.count or 500)
    else:
        measure_displays(arguments.count or 2)


if __name__ == "__main__":
    main()

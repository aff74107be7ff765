"""The plots of a report, read back from their SVG, and what they must show by the CSV, for `benchmarks.recompute`.

The points and lines are converted to the units of the axes by the labels of the ticks, so that a wrong axis is noticed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from xml.etree import ElementTree

from benchmarks.recompute_exports import Quantity
from benchmarks.recompute_joint_space import list_points
from benchmarks.recompute_outcome import final
from benchmarks.recompute_tables import Sources, control_chart, sites

__all__ = ["Axes", "compare_plot", "read_plot"]

Point = tuple[float, float]
_SVG = "{http://www.w3.org/2000/svg}"
_NEAR = 1e-4
"""Largest distance of a drawn point, as a share of the range between the outermost ticks."""


@dataclass
class Axes:
    """Points of each line or cloud, horizontal lines, and texts of one pair of axes, in its units.

    `size` are the ranges of the ticks.
    """

    points: list[list[Point]] = field(default_factory=list)
    levels: list[float] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    size: Point = (1.0, 1.0)


def read_plot(svg: bytes) -> list[Axes]:
    """Return the axes of a picture. Axes without labels at the ticks have those of the axes before them."""
    found: list[Axes] = []
    scales: list[tuple[float, float, float]] = [(1.0, 0.0, 1.0), (1.0, 0.0, 1.0)]
    for group in ElementTree.fromstring(svg).iter(f"{_SVG}g"):
        if re.fullmatch(r"axes_\d+", group.get("id", "")):
            parts = {
                name: list(_groups(group, name)) for name in ("matplotlib.axis", "line2d", "PathCollection", "text")
            }
            for place, ticks in enumerate(map(_ticks, parts["matplotlib.axis"])):
                if len(ticks[place]) > 1:
                    scales[place] = _fit(ticks[place])
            found.append(_read_axes(parts, scales))
    return found


def _groups(parent: ElementTree.Element, name: str) -> Iterator[ElementTree.Element]:
    return (each for each in parent if each.get("id", "").startswith(name))


def _ticks(axis: ElementTree.Element) -> tuple[list[Point], list[Point]]:
    """Return (position, value) of the labelled ticks, read as those of an x axis and of a y axis."""
    across: list[Point] = []
    along: list[Point] = []
    for tick in axis:
        mark, label = tick.find(f".//{_SVG}use"), tick.find(f".//{_SVG}text")
        if mark is not None and label is not None and label.text:
            value = float(label.text.replace("−", "-"))
            across.append((float(mark.get("x", "nan")), value))
            along.append((float(mark.get("y", "nan")), value))
    return across, along


def _fit(ticks: Sequence[Point]) -> tuple[float, float, float]:
    """Return slope and offset from positions to values, and the range of the values."""
    (a, low), (b, high) = min(ticks), max(ticks)
    slope = (high - low) / (b - a)
    return slope, low - slope * a, abs(high - low)


def _read_axes(
    parts: dict[str, list[ElementTree.Element]], scales: Sequence[tuple[float, float, float]]
) -> Axes:  # fmt: skip
    (x_slope, x_offset, width), (y_slope, y_offset, height) = scales
    axes = Axes(size=(width, height))
    axes.texts = [text.text or "" for group in parts["text"] for text in group.iter(f"{_SVG}text")]
    for group in (*parts["line2d"], *parts["PathCollection"]):
        marks = [(float(use.get("x", "nan")), float(use.get("y", "nan"))) for use in group.iter(f"{_SVG}use")]
        path = group.find(f"{_SVG}path")
        numbers = [] if path is None else [float(each) for each in re.findall(r"-?\d+(?:\.\d+)?", path.get("d", ""))]
        if marks:
            axes.points.append([(x_slope * x + x_offset, y_slope * y + y_offset) for x, y in marks])
        elif len(numbers) == 4 and numbers[1] == numbers[3]:
            axes.levels.append(y_slope * numbers[1] + y_offset)
    return axes


def compare_plot(of: Sources, caption: str, svg: bytes) -> tuple[int, list[str]] | None:
    """Return the number of values that a picture shows, and the differences; None if the caption is not known."""
    made = next((make for start, make in _PLOTS.items() if caption.startswith(start)), None)
    if made is None:
        return None
    expected, shown = made(of), read_plot(svg)
    if caption.startswith("Where raters disagree"):
        return _compare_map(expected, shown)
    expected, shown = ([axes for axes in each if any(axes.points) or axes.levels] for each in (expected, shown))
    if len(expected) != len(shown):
        return 0, [f"{len(shown)} pairs of axes, recomputed {len(expected)}"]
    count, wrong = 0, []
    for number, (ours, theirs) in enumerate(zip(expected, shown, strict=True), start=1):
        points = [each for each in ours.points if each]
        count += 2 * sum(map(len, points)) + len(ours.levels)
        if len(points) != len(theirs.points) or not all(
            _are_near(sorted(a), sorted(b), theirs.size) for a, b in zip(points, theirs.points, strict=True)
        ):
            wrong.append(f"axes {number}: points {theirs.points}, recomputed {points}")
        levels = [[(0.0, level) for level in sorted(each.levels)] for each in (ours, theirs)]
        if not _are_near(*levels, theirs.size):
            wrong.append(f"axes {number}: lines at {sorted(theirs.levels)}, recomputed {sorted(ours.levels)}")
    return count, wrong


def _are_near(one: list[Point], other: list[Point], size: Point) -> bool:
    return len(one) == len(other) and all(
        abs(a[place] - b[place]) <= _NEAR * size[place] for a, b in zip(one, other, strict=True) for place in (0, 1)
    )


def _places(values: list[float]) -> list[Point]:
    """Return the points of a cumulative probability plot."""
    return [((number + 0.5) / len(values), value) for number, value in enumerate(sorted(values))]


def _cumulative(of: Sources) -> list[Axes]:
    exports, scale = of.exports, of.exports.all_scales[0]
    axes = Axes(levels=[0.0])
    for rater in of.raters:
        cases = [case for case in exports.cases if rater in exports.raters[case]]
        values = [of.value(case, rater, scale, exports.last_change) for case in cases]
        axes.points.append(_places([value for value in values if not math.isnan(value)]))
    return [axes]


def _bland_altman(of: Sources, quantity: Quantity) -> list[Axes]:
    found, scale = [], of.exports.all_scales[0]
    for a, b in combinations(of.raters, 2):
        pairs = of.pairs(scale, quantity, a, b)
        if pairs is None:
            continue
        apart = [one - two for one, two in pairs]
        lines = of.formulas.mean_interval(apart)[0], *(each[0] for each in of.formulas.limits(apart))
        points = [((one + two) / 2, one - two) for one, two in pairs]
        found.append(Axes([points], [line for line in lines if not math.isnan(line)]))
    return found


def _last_status(of: Sources) -> Quantity:
    return Quantity("", None, max(of.exports.visits))


def _final_change(of: Sources) -> list[Axes]:
    exports, scale, change = of.exports, of.exports.all_scales[0], of.exports.last_change
    values = [final(of, case, scale, change) for case in exports.raters]
    variance, df = of.error(scale, change)
    limits = [of.formulas.detectable(variance, df, of.harmonic(), level)[0] for level in (0.95, 0.8)]
    levels = [0.0, *(sign * limit for limit in limits for sign in (1, -1) if not math.isnan(limit))]
    return [Axes([_places([value for value in values if not math.isnan(value)])], levels)]


def _control_charts(of: Sources) -> list[Axes]:
    found = []
    for rater in sorted({rater for rater, _ in of.exports.repeated}):
        chart = control_chart(of, rater)
        points = [(float(place), value) for place, value in enumerate(chart.values, start=1)]
        odd = [point for point, name in zip(points, chart.names, strict=True) if name in (*chart.outside, *chart.runs)]
        lines = chart.mean, chart.mean - chart.width, chart.mean + chart.width
        found.append(Axes([points, odd], [line for line in lines if not math.isnan(line)]))
    return found


def _joint_space(of: Sources) -> list[Axes]:
    axes = Axes(levels=[0.0])
    for grade, values in list_points(of).items():
        axes.points.append(
            [(grade + 0.3 * ((number + 0.5) / len(values) - 0.5), value) for number, value in enumerate(values)]
        )
        axes.levels.append(of.formulas.mean(values))
    return [axes]


def _disagreement(of: Sources) -> list[Axes]:
    """Return axes whose texts are ``R.MCP2 ERO`` and whose levels are the mean differences of grades."""
    found = {f"{site} {scale}": cells[5] for (site, scale), cells in sites(of).items()}
    return [Axes(texts=[*found], levels=[cell[1][0] if cell[1] else math.nan for cell in found.values()])]


def _compare_map(expected: list[Axes], shown: list[Axes]) -> tuple[int, list[str]]:
    known = dict(zip(expected[0].texts, expected[0].levels, strict=True))
    count, wrong = 0, []
    for axes in shown:
        title = re.fullmatch(r"(right|left) · (\w+)", axes.texts[-1]) if axes.texts else None
        name = ""
        for text in axes.texts[:-1] if title else ():
            if not re.fullmatch(r"\d+\.\d\d", text):
                name += text
                continue
            assert title is not None
            key = f"{'R' if title[1] == 'right' else 'L'}.{name} {title[2]}"
            name, count = "", count + 1
            if not abs(float(text) - known.get(key, math.nan)) <= 0.005 + 1e-9:
                wrong.append(f"{key}: {text}, recomputed {known.get(key)}")
    return count, wrong if count else ["no joint is shown"]


_PLOTS: dict[str, Callable[[Sources], list[Axes]]] = {
    "Every patient's change of the total": _cumulative,
    "Change: each pair": lambda of: _bland_altman(of, of.exports.last_change),
    "Status at the last visit": lambda of: _bland_altman(of, _last_status(of)),
    "Cases read twice": _control_charts,
    "Every patient's change of the final": _final_change,
    "Measured change of each joint": _joint_space,
    "Where raters disagree": _disagreement,
}
"""Functions that return the expected axes of each plot, by the beginning of its caption."""

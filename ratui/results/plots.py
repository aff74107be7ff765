"""Plots of agreement: cumulative probability of change, Bland–Altman plots, and a map of disagreement by joint.

Matplotlib is imported on the first call and used without a display; each figure becomes the bytes of a PNG or SVG file.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from ratui.results.agreement import TOTAL, Agreement
from ratui.results.bootstrap import CONFIDENCE, Estimate
from ratui.results.final_scores import FinalScores
from ratui.results.joint_space import MeasuredChanges
from ratui.results.optional_dependencies import require
from ratui.results.outcome import LOWER_LEVEL
from ratui.results.quantities import Quantity
from ratui.results.scores import ReadingScores
from ratui.results.statistics import count_raters_of_mean, smallest_detectable_change
from ratui.results.text_table import format_number
from ratui.scheme import Scheme, View

__all__ = ["Format", "encode_figure", "list_plots", "plot_final_change", "plot_joint_space"]

Format: TypeAlias = Literal["png", "svg"]
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""Okabe and Ito's palette, which colour-blind readers can distinguish; the markers differ as well."""
_MARKERS = "osD^vP"


def plot_final_change(final: FinalScores) -> Any:
    """Return a cumulative probability plot of the final change of the total, with lines at the detectable change.

    Each patient's change from the first to the last visit stands at (rank − 0.5) / patients. The lines are at plus and
    minus the smallest detectable change of the mean of the raters, at 95 % (dashed) and 80 % (dotted).
    """
    change = final.raters.main_change
    figure, (axes,) = _new_figure(7.0, 4.6)
    if change is not None:
        changes, of_raters = final.quantity(change), final.raters.complete_quantity(change)
        known = np.sort(changes[np.isfinite(changes)])
        places = (np.arange(len(known)) + 0.5) / max(len(known), 1)
        axes.plot(places, known, color=_COLOURS[0], marker="o", markersize=4, linewidth=1)
        for level, style in ((CONFIDENCE, "--"), (LOWER_LEVEL, ":")):
            limit = smallest_detectable_change(of_raters, count_raters_of_mean(of_raters), level).value
            if np.isfinite(limit):
                label = f"SDC {100 * level:.0f} %: {format_number(limit)}"
                axes.axhline(limit, color=_COLOURS[1], linestyle=style, linewidth=1, label=label)
                axes.axhline(-limit, color=_COLOURS[1], linestyle=style, linewidth=1)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False)
    axes.axhline(0, color="#888", linewidth=0.8)
    axes.set(xlim=(0, 1), xlabel="cumulative probability", ylabel="final change of the total score")
    axes.set_title("Cumulative probability of the final change", loc="left")
    return figure


def plot_joint_space(found: MeasuredChanges) -> Any:
    """Return a plot of the measured change of each joint space against the change of its final score for narrowing.

    Dots at one grade are spread sideways, in the order of the measurements, so that they do not hide each other. A line is
    the mean of the joints at that grade.
    """
    compared = found.compared
    figure, (axes,) = _new_figure(7.0, 4.6)
    for grade in np.unique(compared.graded):
        values = compared.mm[compared.graded == grade]
        spread = (np.arange(len(values)) + 0.5) / len(values) - 0.5
        axes.scatter(grade + 0.3 * spread, values, s=14, color=_COLOURS[0], alpha=0.6, linewidths=0)
        axes.plot([grade - 0.2, grade + 0.2], [values.mean()] * 2, color=_COLOURS[1], linewidth=2)
    axes.axhline(0, color="#888", linewidth=0.8)
    axes.set(xlabel="change of the final score for narrowing, grades", ylabel="measured change of the joint space, mm")
    axes.set_title(f"Measured against graded change: {len(compared.mm)} joints", loc="left")
    return figure


def list_plots(agreement: Agreement, scores: ReadingScores) -> Mapping[str, Callable[[], Any]]:
    """Return functions that draw the plots, by file name without extension.

    Each function returns a matplotlib figure and raises StudyError if matplotlib is not installed.
    """
    change, last = scores.main_change, scores.quantities[len(scores.visits) - 1]
    figures: dict[str, Callable[[], Any]] = {}
    if change is not None:
        figures["cumulative-probability"] = lambda: _plot_cumulative_probability(scores, change)
        figures["bland-altman-change"] = lambda: _plot_bland_altman(agreement, scores, change)
    figures["bland-altman-status"] = lambda: _plot_bland_altman(agreement, scores, last)
    if any(each.chart for each in agreement.repeats):
        figures["control-chart"] = lambda: _plot_control_charts(agreement)
    for part in scores.scheme.parts:
        view = next((view for view in scores.scheme.views.values() if view.part == part.id), None)
        if view is not None:
            figures[f"disagreement-{part.id}"] = lambda view=view: _plot_disagreement(agreement, scores.scheme, view)  # type: ignore[misc]
    return figures


def encode_figure(figure: Any, kind: Format, *, dots: int = 144) -> bytes:
    """Return `figure` as the bytes of a file; `dots` is the resolution of PNG in dots per inch.

    Equal figures give equal bytes.
    """
    buffer = io.BytesIO()
    metadata: dict[str, Any] = {"Date": None} if kind == "svg" else {"Software": None}
    with require("matplotlib", "plots").rc_context({"svg.hashsalt": "ratui", "svg.fonttype": "none"}):
        figure.savefig(buffer, format=kind, dpi=dots, metadata=metadata)
    return buffer.getvalue()


def _new_figure(width: float, height: float, columns: int = 1, rows: int = 1, **more: Any) -> tuple[Any, Any]:
    """Create a figure and its axes, row by row, independent of pyplot's global state."""
    figures = require("matplotlib.figure", "plots")
    figure = figures.Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **more).ravel()
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _plot_cumulative_probability(scores: ReadingScores, change: Quantity) -> Any:
    """Plot each patient's change against the proportion of patients with less change, one line per rater."""
    changes = scores.quantity(change)
    figure, (axes,) = _new_figure(7.0, 4.6)
    for place, rater in enumerate(scores.raters):
        known = np.sort(changes[np.isfinite(changes[:, place]), place])
        style = {"color": _COLOURS[place % 6], "marker": _MARKERS[place % 6], "markersize": 4, "linewidth": 1}
        axes.plot((np.arange(len(known)) + 0.5) / max(len(known), 1), known, label=rater, **style)
    axes.axhline(0, color="#888", linewidth=0.8)
    axes.set(xlim=(0, 1), xlabel="cumulative probability", ylabel="change of the total score")
    axes.set_title("Cumulative probability of change", loc="left")
    axes.legend(frameon=False, title="rater")
    return figure


def _plot_bland_altman(agreement: Agreement, scores: ReadingScores, quantity: Quantity) -> Any:
    """Plot each pair's difference against its mean, one dot per patient, with mean difference and limits."""
    top = agreement.totals[0].scale
    values = scores.quantity(quantity, None if top == TOTAL else top)
    values = values[(np.isfinite(values) | ~scores.is_read).all(axis=1)]  # the patients of the table
    limits = {
        (each.first, each.second): each.limits
        for each in agreement.limits
        if (each.scale, each.quantity) == (top, quantity.name)
    }
    names = {name: place for place, name in enumerate(scores.raters)}
    across = min(len(limits), 3)  # more in a row would be too small on a printed page
    down = -(-len(limits) // across)
    figure, axes = _new_figure(3.2 * across + 0.6, 3.3 * down + 0.2, across, down, sharey=True)
    for unused in axes[len(limits) :]:
        unused.set_visible(False)
    every: list[float] = []
    for place, (pair, limits_of_pair) in enumerate(limits.items()):
        both = values[:, [names[rater] for rater in pair]]
        both = both[np.isfinite(both).all(axis=1)]
        mean, apart = both.mean(axis=1), both[:, 0] - both[:, 1]
        every += apart.tolist()
        axes[place].scatter(mean, apart, s=18, color=_COLOURS[0], alpha=0.75, linewidths=0)
        for line, style in ((limits_of_pair.bias, "-"), (limits_of_pair.lower, "--"), (limits_of_pair.upper, "--")):
            _draw_limit(axes[place], line, style)
        axes[place].set(xlabel="mean of the two", title=f"{pair[0]} − {pair[1]}")
        axes[place].margins(0.08)
    shown = [
        each for pair_limits in limits.values() for each in (pair_limits.bias, pair_limits.lower, pair_limits.upper)
    ]
    if every:
        axes[0].set_ylim(*_difference_range(shown, np.array(every)))
    for place in range(0, len(limits), across):
        axes[place].set_ylabel("difference")
    status = "later time point" if quantity.name == "later" else quantity.name
    title = "change of the total score" if quantity.name == "change" else f"total score, {status}"
    figure.suptitle(f"Bland–Altman, {title}", x=0.01, ha="left")
    return figure


def _plot_control_charts(agreement: Agreement) -> Any:
    """Plot each rater's differences between second and first reading in order of time, with the limits of control."""
    charts = [(each.rater, each.quantity, each.chart) for each in agreement.repeats if each.chart is not None]
    figure, axes = _new_figure(min(4.2 * len(charts) + 0.6, 14), 3.6, len(charts), sharey=True)
    for place, (rater, _, chart) in enumerate(charts):
        numbers = np.arange(1, len(chart.cases) + 1)
        odd = np.array([case in (*chart.outside, *chart.runs) for case in chart.cases], dtype=np.bool_)
        differences = np.array(chart.differences)
        axes[place].plot(numbers, differences, color=_COLOURS[0], linewidth=0.8, marker="o", markersize=4)
        axes[place].plot(numbers[odd], differences[odd], "D", color=_COLOURS[1], markersize=6)
        for value, style in ((chart.centre, "-"), (chart.lower, "--"), (chart.upper, "--")):
            if np.isfinite(value):
                axes[place].axhline(value, color="#555", linewidth=0.9, linestyle=style)
        few = "" if chart.has_limits else "\n(too few repeats for limits)"
        axes[place].set(xlabel="repeated case, in order of signing", title=f"{rater}{few}")
    axes[0].set_ylabel("second − first reading")
    figure.suptitle(f"Drift of each rater, {charts[0][1]} of the total score", x=0.01, ha="left")
    return figure


def _difference_range(lines: Sequence[Estimate], apart: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return the limits of the difference axis: all dots and lines, and intervals up to a maximum length.

    With few patients the intervals are many times wider than the limits of agreement; in full they would flatten the
    plot.
    """
    values = [*apart, *(line.value for line in lines if np.isfinite(line.value))]
    ends = [*values, *(end for line in lines for end in (line.low, line.high) if np.isfinite(end))]
    low, high = float(min(values)), float(max(values))
    room = max(high - low, 1.0)
    low, high = max(float(min(ends)), low - room), min(float(max(ends)), high + room)
    return low - 0.05 * room, high + 0.05 * room


def _draw_limit(axes: Any, line: Estimate, style: str) -> None:
    """Draw a limit as a line, with its interval as a band and its value at the right."""
    if not np.isfinite(line.value):
        return
    axes.axhline(line.value, color="#444", linestyle=style, linewidth=1)
    if np.isfinite(line.low):
        axes.axhspan(line.low, line.high, color="#888", alpha=0.18, linewidth=0)
    axes.annotate(
        format_number(line.value, 1),
        (1, line.value),
        xycoords=("axes fraction", "data"),
        xytext=(-2, 2),
        textcoords="offset points",
        ha="right",
        fontsize=8,
    )


def _plot_disagreement(agreement: Agreement, scheme: Scheme, view: View) -> Any:
    """Plot both sides, one row per scale: the mean difference of grades at each joint."""
    colours, cells = require("matplotlib.colors", "plots"), require("matplotlib.cm", "plots")
    apart = {(each.site, each.scale): each.difference for each in agreement.sites}
    keys = [f"{side}.{joint}" for side in "LR" for joint in view.template]
    scales = [scale for scale in scheme.scales if any((key, scale) in apart for key in keys)]
    rows = max(len(scales), 1)
    figure = require("matplotlib.figure", "plots").Figure(figsize=(8.6, 4.6 * rows), layout="constrained")
    axes = figure.subplots(rows, 2, squeeze=False)
    largest = max([apart[key, scale] for key in keys for scale in scales if (key, scale) in apart], default=0.0)
    colour = cells.ScalarMappable(colours.Normalize(0, max(largest, 0.5)), "YlOrRd")
    for row in range(rows):
        # Radiological convention: the patient's right side is on the left.
        for place, side in enumerate("RL"):
            values = {joint: apart.get((f"{side}.{joint}", scales[row])) for joint in view.template} if scales else {}
            _draw_side(axes[row, place], view, side, values, colour)
            axes[row, place].set_title(f"{'right' if side == 'R' else 'left'} · {scales[row] if scales else ''}")
    bar = figure.colorbar(colour, ax=axes, shrink=0.6, pad=0.02)
    bar.set_label("mean difference between two raters, grades")
    figure.suptitle("Where raters disagree", x=0.01, ha="left")
    return figure


def _draw_side(axes: Any, view: View, side: str, values: Mapping[str, float | None], colour: Any) -> None:
    """Draw one hand or foot: a dot at each joint that has a value."""
    joints = [joint for joint in view.template if values.get(joint) is not None]
    places = _push_apart(np.array([view.template[joint][:2] for joint in joints]).reshape(-1, 2))
    for bone in _ray_lines(view, dict(zip(joints, places, strict=True))):
        across = bone[:, 0] if side == "L" else 1 - bone[:, 0]
        axes.plot(across, bone[:, 1], color="#ececec", linewidth=20, solid_capstyle="round", zorder=0)
    for joint, (x, y) in zip(joints, places, strict=True):
        value = values[joint] or 0.0
        across = x if side == "L" else 1 - x
        ink = "w" if colour.norm(value) > 0.6 else "k"
        axes.scatter([across], [y], s=560, color=[colour.to_rgba(value)], edgecolors="#555", linewidths=0.6)
        label = f"{joint.replace('-', '-' + chr(10), 1)}\n{value:.2f}"
        axes.annotate(label, (across, y), ha="center", va="center", fontsize=5.5, color=ink)
    axes.set(xlim=(0, 1), xticks=[], yticks=[])
    if joints:
        low, high = float(places[:, 1].min()), float(places[:, 1].max())
        axes.set_ylim(high + 0.1, low - 0.16)
    axes.spines[:].set_visible(False)


def _ray_lines(view: View, places: Mapping[str, npt.NDArray[np.float64]]) -> list[npt.NDArray[np.float64]]:
    """Return lines that outline a hand or foot: from a common root through the joints of each ray."""
    rays = [[f"{kind}{ray}" for kind in ("MCP", "MTP", "PIP", "IP", "FIP")] for ray in range(1, 6)]
    drawn = [
        [np.array(places.get(name, view.template[name][:2])) for name in ray if name in view.template] for ray in rays
    ]
    drawn = [ray for ray in drawn if ray]
    if not drawn:
        return []
    middle = np.mean([ray[0] for ray in drawn], axis=0)
    root = np.array([middle[0], max(middle[1] + 0.25, 0.0)])
    lines = []
    for ray in drawn:
        along = ray[-1] - (ray[-2] if len(ray) > 1 else root)
        tip = ray[-1] + 0.12 * along / max(float(np.hypot(*along)), 1e-6)
        lines.append(np.array([root, *ray, tip]))
    return lines


def _push_apart(places: npt.NDArray[np.float64], least: float = 0.105) -> npt.NDArray[np.float64]:
    """Move `places` apart until all distances are at least `least`, because the joints of a wrist overlap."""
    moved = places.copy()
    for _ in range(400):
        gaps = moved[:, None] - moved[None, :]
        far = np.hypot(gaps[..., 0], gaps[..., 1])
        np.fill_diagonal(far, np.inf)
        if not far.size or far.min() >= least:
            break
        push = np.where(far < least, (least - far) / 2, 0.0)
        moved += 0.5 * (gaps / np.maximum(far, 1e-6)[..., None] * push[..., None]).sum(axis=1)
    return moved

"""Pictures of the report as PNG bytes: histogram of errors, reliability diagrams, and the worst joints."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from trainer.evaluation.evaluate_scorer import Calibration, WorstJoint
from trainer.evaluation.saliency import Saliency

__all__ = ["FULL_COLOUR", "draw_histogram", "draw_reliability", "draw_saliency", "draw_worst_joints"]

_BLUE, _GREY, _RED = "#3f6f8f", "#8a979f", "#a4493d"
FULL_COLOUR = 0.05
"""Effect in grades that has full colour in a saliency map, unless the joint has a larger one."""


def draw_histogram(errors: npt.NDArray[np.float64], cases: int) -> bytes:
    """Draw a histogram of the errors of the ERO change, in grades, like Fig. 2 of the published reference.

    `errors` has one entry for each joint and rater; `cases` is the number of cases, for the title.
    """
    figure, axes = _axes(7, 4)
    axes.hist(errors, bins=np.arange(-5.25, 5.5, 0.5).tolist(), color=_BLUE, edgecolor="white")
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlim(-4.5, 4.5)
    axes.set_xlabel("error of the ERO difference (predicted minus read), grades")
    axes.set_ylabel("pairs of a joint and a rater")
    if len(errors):
        mean = float(np.abs(errors).mean())
        axes.set_title(f"mean absolute error {mean:.3f}, {len(errors)} pairs, {cases} cases")
    return _png(figure)


def draw_reliability(calibrations: Sequence[Calibration]) -> bytes:
    """Draw a reliability diagram for each calibration: accuracy by confidence, with larger points for more predictions."""
    figure, axes = _axes(9, 3.2, len(calibrations))
    for ax, each in zip(np.atleast_1d(axes), calibrations, strict=True):
        ax.plot([0, 1], [0, 1], color=_GREY, linewidth=0.8, linestyle="--")
        sizes = 12 + 140 * np.sqrt(np.array(each.count) / max(sum(each.count), 1))
        ax.scatter(each.confidence, each.accuracy, s=sizes, color=_BLUE, zorder=3)
        ax.plot(each.confidence, each.accuracy, color=_BLUE, linewidth=1)
        ax.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="confidence")
        ax.set_title(f"{each.error.name.split(',')[0]} {each.target}: gap {each.error.value:.3f}", fontsize=9)
        ax.spines[["top", "right"]].set_visible(False)
    np.atleast_1d(axes)[0].set_ylabel("accuracy")
    return _png(figure)


def draw_worst_joints(worst: Sequence[WorstJoint], crops: Sequence[npt.NDArray[np.uint8]]) -> bytes:
    """Draw each joint at both time points, with the grades by the raters and by the model.

    `crops` has an array (2, S, S) for each joint, the earlier time point first.
    """
    columns = min(3, max(len(worst), 1))
    rows = -(-len(worst) // columns)
    figure, axes = _axes(9, 2.6 * rows, columns, rows)
    for ax in np.atleast_1d(axes).ravel():
        ax.axis("off")
    for ax, each, pair in zip(np.atleast_1d(axes).ravel(), worst, crops, strict=False):
        gap = np.full((pair.shape[1], 3), 255, np.uint8)
        ax.imshow(np.concatenate([pair[0], gap, pair[1]], axis=1), cmap="gray", vmin=0, vmax=255)
        predicted = each.predicted_grades
        read = ", ".join(f"{a}→{b}" for a, b in each.rater_grades)
        visits = " → ".join(filter(None, each.visits))
        ax.set_title(f"{each.case} {each.site} {visits}".rstrip() + f"\nread {read}", fontsize=8)
        ax.text(
            0.5,
            -0.04,
            f"predicted {predicted[0]}→{predicted[1]}, change {each.change:+d}, uncertainty {each.uncertainty:.2f}",
            transform=ax.transAxes,
            ha="center",
            va="top",
            fontsize=8,
            color=_RED,
        )
    return _png(figure)


def draw_saliency(maps: Sequence[Saliency]) -> bytes:
    """Draw a row for each joint: both crops, then both with the effect on the grade, and both with that on the change."""
    titles = ("earlier", "later", "grade, earlier", "grade, later", "change, earlier", "change, later")
    figure, axes = _axes(9.5, 1.65 * len(maps), len(titles), len(maps))
    for number, (row, each) in enumerate(zip(np.atleast_2d(axes), maps, strict=True)):
        effects = (*each.grade_maps, *each.change_maps)
        limit = max(FULL_COLOUR, *(float(np.abs(effect).max()) for effect in effects))
        for place, ax in enumerate(row):
            ax.axis("off")
            ax.imshow(each.crops[place % 2], cmap="gray", vmin=0, vmax=255)
            if place >= 2:
                effect = effects[place - 2]
                ax.imshow(effect, cmap="RdBu_r", vmin=-limit, vmax=limit, alpha=0.8 * np.abs(effect) / limit)
            if not number:
                ax.set_title(titles[place], fontsize=8)
        text = f"{each.case} {each.site}\n{each.reason}\n{each.scale} {each.grades[0]:.2f}→{each.grades[1]:.2f}"
        text += f"\ncolour: {limit:.2f} grades"
        row[0].text(-0.08, 0.5, text, transform=row[0].transAxes, ha="right", va="center", fontsize=8)
    return _png(figure)


def _axes(width: float, height: float, columns: int = 1, rows: int = 1) -> tuple[Any, Any]:
    """Return a new figure of `width` × `height` inches and its axes."""
    import matplotlib

    # Agg draws to memory and needs no display.
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(rows, columns, figsize=(width, height), layout="constrained")
    if rows * columns == 1:
        axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _png(figure: Any) -> bytes:
    """Return `figure` as PNG and close it."""
    from matplotlib import pyplot as plt

    buffer = io.BytesIO()
    # Without the version of matplotlib in the metadata, equal figures give equal files.
    figure.savefig(buffer, dpi=130, format="png", metadata={"Software": None})
    plt.close(figure)
    return buffer.getvalue()

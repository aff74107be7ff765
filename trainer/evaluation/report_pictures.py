"""Pictures of the report as PNG bytes: histogram of errors, reliability diagrams, and the worst joints."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from trainer.evaluation.evaluate_scorer import Calibration, WorstJoint

__all__ = ["draw_histogram", "draw_reliability", "draw_worst_joints"]

_BLUE, _GREY, _RED = "#3f6f8f", "#8a979f", "#a4493d"


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
        ax.set_title(f"{each.case} {each.site}\nread {read}", fontsize=8)
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

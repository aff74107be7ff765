"""An evaluation as a report: Markdown to read, JSON for programs, PNG for the eyes. It measures nothing itself."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ratui.errors import TrainError
from trainer.evaluate import Figure, Results

__all__ = ["write_report"]


def write_report(results: Results, out: Path) -> str:
    """Writes ``report.md``, ``report.json``, ``differences.png`` into `out`; returns the Markdown. Raises TrainError."""
    text = _markdown(results)
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "report.md").write_text(text, encoding="utf-8")
        facts = {**asdict(results), "differences": [round(float(value), 4) for value in results.differences]}
        (out / "report.json").write_text(json.dumps(_plain(facts), indent=1), encoding="utf-8")
        _histogram(results, out / "differences.png")
    except OSError as error:
        raise TrainError(f"the report can't be written: {error.strerror}", out, "Give another --out") from error
    return text


def _markdown(results: Results) -> str:
    lines = [
        "# What the models are worth",
        "",
        (
            f"Measured on {results.cases} cases ({results.films} hands, {results.joints} joints) that neither model "
            "has learnt from, against every rater's signed reading. Intervals are 95 %, bootstrapped over patients. "
            f"The scorer's loss was `{results.loss}`."
        ),
        "",
        *_table(results.headline),
        "",
        (
            "The source's figures are of real films; a figure here is comparable only where these films are real, too. "
            "An accuracy says little where findings are rare: read it with sensitivity and specificity. "
            "Scores count where no finding fixes them at either time point, as in the source."
        ),
        "",
        "## More",
        "",
        *_table(results.more),
        "",
        "## Errors of the ERO difference",
        "",
        "![Histogram of the errors of the ERO difference](differences.png)",
        "",
        *_histogram_table(results.differences),
        "",
    ]
    return "\n".join(lines)


def _table(figures: tuple[Figure, ...]) -> list[str]:
    rows = [
        "| measure | here | 95 % interval | source | trivial | raters among themselves |",
        "|---|---|---|---|---|---|",
    ]
    for f in figures:
        trivial = f"{_number(f.baseline, f.unit)} ({f.baseline_name})" if f.baseline is not None else ""
        name = f"{f.name} ({f.note})" if f.note else f.name
        rows.append(
            f"| {name} | **{_number(f.value, f.unit)}** | {_number(f.low, f.unit)} to {_number(f.high, f.unit)} "
            f"| {_number(f.paper, f.unit)} | {trivial} | {_number(f.raters, f.unit)} |"
        )
    return rows


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    if math.isnan(value):
        return "none to measure"
    return f"{100 * value:.1f} %" if unit == "%" else f"{value:.3f}"


def _histogram_table(errors: npt.NDArray[np.float64]) -> list[str]:
    edges = [-np.inf, -1.5, -0.5, 0.5, 1.5, np.inf]
    names = ["below −1.5", "−1.5 to −0.5", "−0.5 to 0.5", "0.5 to 1.5", "above 1.5"]
    counts, _ = np.histogram(errors, edges)
    share = counts / max(counts.sum(), 1)
    return [
        "| predicted less read change | pairs | share |",
        "|---|---|---|",
        *(f"| {name} | {n} | {100 * s:.1f} % |" for name, n, s in zip(names, counts, share, strict=True)),
    ]


def _histogram(results: Results, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    axes.hist(results.differences, bins=np.arange(-5.125, 5.2, 0.25).tolist(), color="#3f6f8f", edgecolor="white")
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlim(-4, 4)
    axes.set_xlabel("error of the ERO difference (predicted less read), grades")
    axes.set_ylabel("pairs of a joint and a rater")
    if len(results.differences):
        mean = float(np.abs(results.differences).mean())
        axes.set_title(f"mean absolute error {mean:.3f}, {len(results.differences)} pairs, {results.cases} cases")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _plain(value: object) -> object:
    """`value` for JSON, where NaN is null."""
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value

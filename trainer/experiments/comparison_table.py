"""Tables of a comparison: the error of each recipe, and its ratio to the baseline's error with an interval.

Two recipes are compared on the same patients. The bootstrap draws both patients and seeds.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ratui.errors import TrainError
from ratui.results.bootstrap import Estimate, bootstrap_interval, draw_resamples
from trainer.experiments.arms import ARMS, BASELINE, Cell

__all__ = ["DEFAULT_ARM", "CellErrors", "collect_errors", "error_ratio", "format_report", "rank_recipes"]

DEFAULT_ARM, SHARED_SHIFT = "coupled pair", "shared-shift"
"""The recipe of ``ratui-train scorer``, and the kind of raters who shift both time points alike."""
TARGET_RATIO = 0.85
"""Aim for the ratio of the default recipe's error to the baseline's, with raters of the kind `SHARED_SHIFT`."""


@dataclass(frozen=True)
class CellErrors:
    """Errors of one recipe with one kind of rater at one size: numbers of joints and sums of errors by (seed, patient)."""

    joints: npt.NDArray[np.float64]
    errors: Mapping[str, npt.NDArray[np.float64]]

    def mean(self, metric: str) -> float:
        """Return the mean of the error `metric` over all joints and seeds."""
        return float(self.errors[metric].sum() / self.joints.sum())


Key = tuple[str, str, int]


def collect_errors(folder: Path, wanted: Sequence[Cell], names: Sequence[str]) -> dict[Key, CellErrors]:
    """Return the errors of the finished cells among `wanted`, by recipe, kind and size.

    `names` are their files in `folder`. Raises TrainError for a file that is no cell.
    """
    raw: dict[Key, list[dict[str, Any]]] = defaultdict(list)
    for cell, name in zip(wanted, names, strict=True):
        path = folder / name
        if not path.exists():
            continue
        try:
            raw[cell.arm, cell.kind, cell.size].append(json.loads(path.read_text(encoding="utf-8"))["measured"])
        except (OSError, ValueError, KeyError) as error:
            raise TrainError("this is not a cell of a comparison", path, "Delete it and run again") from error
    return {key: _combine_seeds(seeds) for key, seeds in raw.items()}


def _combine_seeds(seeds: list[dict[str, Any]]) -> CellErrors:
    errors: dict[str, list[list[float]]] = defaultdict(list)
    for seed in seeds:
        for name, value in seed.items():
            if isinstance(value, dict):
                for metric, by_patient in value.items():
                    errors[f"{name} {metric}"].append(by_patient)
            else:
                errors[name].append(value)
    arrays = {name: np.array(rows) for name, rows in errors.items()}
    return CellErrors(arrays["joints"], arrays)


def error_ratio(one: CellErrors, other: CellErrors, metric: str, than: str, *, seed: int = 0) -> Estimate:
    """Return `one`'s error `metric` divided by `other`'s error `than`, with an interval over patients and seeds.

    Both are drawn from the same patients and seeds.
    """
    count = min(len(one.joints), len(other.joints))
    a, b = one.errors[metric][:count], other.errors[than][:count]
    rng = np.random.default_rng(seed)

    def ratios(patients: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        runs = draw_resamples(count, rng, len(patients))
        sums = (np.take_along_axis(errors[runs].sum(axis=1), patients, 1).sum(axis=1) for errors in (a, b))
        top, bottom = sums
        return np.asarray(top / np.maximum(bottom, 1e-9))

    return Estimate(float(a.sum() / max(b.sum(), 1e-9)), *bootstrap_interval(ratios, a.shape[1], rng))


def rank_recipes(found: Mapping[Key, CellErrors], decision: str) -> list[tuple[str, int, float]]:
    """Rank the recipes by their error of the change, over all kinds of rater and all sizes.

    A kind and size counts only if it was measured for the baseline and at least one more recipe.

    Parameters
    ----------
    found
        Errors by (recipe, kind of rater, size), from `collect_errors`.
    decision
        Name of the decision rule for all recipes, the baseline included; see `trainer.inference.decisions`. ``chosen`` is
        the one that each cell chose on its training patients.

    Returns
    -------
    list of tuple
        For each recipe its name, the number of kinds and sizes in which its error is the smallest, and the geometric
        mean of its error divided by the baseline's. The smallest mean comes first.
    """
    wins: dict[str, int] = defaultdict(int)
    ratios: dict[str, list[float]] = defaultdict(list)
    for kind, size in sorted({(kind, size) for _, kind, size in found}):
        base = found.get((BASELINE, kind, size))
        here = {arm: found[arm, kind, size] for arm in ARMS if (arm, kind, size) in found}
        if base is None or len(here) < 2:
            continue
        errors = {arm: each.mean(f"{decision} difference") for arm, each in here.items()}
        wins[min(errors, key=lambda arm: errors[arm])] += 1
        for arm, error in errors.items():
            ratios[arm].append(error / errors[BASELINE])
    ranked = [(arm, wins[arm], float(np.exp(np.mean(np.log(each))))) for arm, each in ratios.items()]
    return sorted(ranked, key=lambda row: (row[2], -row[1]))


def format_report(found: Mapping[Key, CellErrors], decision: str) -> str:
    """Return the comparison as Markdown: a table for each size, with a row per recipe and a column per kind of rater."""
    if not found:
        raise TrainError("no cell is finished", "", "Run the comparison first")
    lines = []
    for size in sorted({size for _, _, size in found}):
        lines += [*_format_size_table(found, size, decision), *_format_verdict(found, size, decision), ""]
    lines += [
        "### Over all kinds and sizes",
        "",
        f"| recipe | best in | mean ratio to {BASELINE} |",
        "|---|---|---|",
        *(f"| {arm} | {wins} | {mean:.3f} |" for arm, wins, mean in rank_recipes(found, decision)),
        "",
        *_format_unrounded(found),
    ]
    return "\n".join(lines)


def _format_unrounded(found: Mapping[Key, CellErrors]) -> list[str]:
    """Return a table of errors that no decision rule rounds: mean ratios to the baseline over all kinds and sizes."""
    metrics = {"raw": "unrounded change", "raw status": "unrounded grades", "likelihood": "negative log likelihood"}
    places = sorted({(kind, size) for arm, kind, size in found if arm == BASELINE})
    lines = [
        f"### Without rounding: mean ratio to {BASELINE}",
        "",
        "| recipe | " + " | ".join(metrics.values()) + " |",
        "|---|" + "---|" * len(metrics),
    ]
    for arm in ARMS:
        here = [place for place in places if (arm, *place) in found]
        if not here or any(metric not in found[arm, *here[0]].errors for metric in metrics):
            continue
        row = []
        for metric in metrics:
            ratios = [found[arm, *place].mean(metric) / found[BASELINE, *place].mean(metric) for place in here]
            row.append(f"{float(np.exp(np.mean(np.log(ratios)))):.3f}")
        lines.append(f"| {arm} | " + " | ".join(row) + " |")
    return [*lines, ""] if len(lines) > 4 else []


def _format_verdict(found: Mapping[Key, CellErrors], size: int, decision: str) -> list[str]:
    """Compare the default recipe with the baseline at this size, and with `TARGET_RATIO` for raters with a shared shift."""
    metric = f"{decision} difference"
    lines = []
    for kind in dict.fromkeys(kind for arm, kind, each in found if each == size and arm == DEFAULT_ARM):
        if (BASELINE, kind, size) not in found:
            continue
        r = error_ratio(found[DEFAULT_ARM, kind, size], found[BASELINE, kind, size], metric, metric)
        if kind == SHARED_SHIFT:
            word = "reached" if r.value <= TARGET_RATIO else "missed"
            lines.append(
                f"- {kind}: {r.value:.2f}, so the aim of {TARGET_RATIO} is {word} (interval up to {r.high:.2f})"
            )
        else:
            word = "no worse" if r.value <= 1 else "worse" if r.low > 1 else "perhaps worse"
            lines.append(f"- {kind}: {r.value:.2f}, {word}")
    return [f"`{DEFAULT_ARM}`, the default, against {BASELINE}:", "", *lines] if lines else []


def _format_size_table(found: Mapping[Key, CellErrors], size: int, decision: str) -> list[str]:
    kinds = list(dict.fromkeys(kind for _, kind, each in found if each == size))
    arms = [arm for arm in ARMS if any((arm, kind, size) in found for kind in kinds)]
    some = next(each for (_, _, there), each in found.items() if there == size)
    lines = [
        f"### {size} patients",
        "",
        (
            f"Error of the rounded ERO difference by `{decision}`, and in brackets "
            f"its ratio to {BASELINE} with the 95 % interval over patients and seeds. "
            f"No change: {some.mean('no change'):.3f}."
        ),
        "",
        "| recipe | " + " | ".join(kinds) + " |",
        "|---|" + "---|" * len(kinds),
    ]
    for arm in arms:
        row = []
        for kind in kinds:
            one, base = found.get((arm, kind, size)), found.get((BASELINE, kind, size))
            if one is None:
                row.append("")
                continue
            metric = f"{decision} difference"
            text = f"{one.mean(metric):.3f}"
            if base is not None and arm != BASELINE:
                r = error_ratio(one, base, metric, metric)
                text += f" ({r.value:.2f}, {r.low:.2f} to {r.high:.2f})"
            row.append(text)
        lines.append(f"| {arm} | " + " | ".join(row) + " |")
    return [*lines, ""]

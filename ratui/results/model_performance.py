"""What models are worth on the released readings of a study, each figure beside "no change" and the raters' own.

Only cases that a model didn't learn from count, as its run's ``split.json`` has it. Nothing of this is shown to a rater who
hasn't signed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ratui.errors import StudyError, clean
from ratui.results.released import Released
from ratui.results.scores import Scores, scores_of
from ratui.results.statistics import RESAMPLES, Estimate
from ratui.results.text_table import Sheet, interval, number
from ratui.study import Study
from ratui.study.predictions import list_prediction_models, load_expected_grades

__all__ = ["ModelFigure", "evaluation_sheet", "model_figures", "model_sheet"]

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ModelFigure:
    """The mean error of `model` on one scale against every rater, in grades, on `cases` that it hasn't learnt from.

    `change` and `changed` are of the change, in all joints and in those where the rater saw one; `no_change` and
    `no_change_changed` are what always saying "no change" gives there. `status` is of a time point's score. `raters` and
    `raters_status` are the raters' mean disagreement among themselves, NaN with a single one. `unknown` says that the run
    doesn't tell what it learnt from.
    """

    model: str
    scale: str
    cases: int
    change: Estimate
    no_change: float
    raters: float
    changed: Estimate
    no_change_changed: float
    status: Estimate
    raters_status: float
    unknown: bool = False


def model_figures(study: Study, told: Released, *, seed: int = 0) -> tuple[ModelFigure, ...]:
    """Every scoring model of `study` against the readings of `told`. Raises StoreError for scores that can't be read."""
    found: list[ModelFigure] = []
    for model in list_prediction_models(study):
        learnt = _learnt(study.path / "models" / model / "split.json")
        readings = {
            case: readings for case, readings in told.complete().items() if case not in (learnt or frozenset())
        }  # fmt: skip
        said = {case: load_expected_grades(study, model, case) for case in readings}
        scored = {case: readings[case] for case in readings if said[case]}
        if not scored:
            continue
        scores = scores_of(study.scheme, scored, told.raters)
        predicted = np.full((len(scored), len(scores.fields), 2), np.nan)
        for row, case in enumerate(scored):
            for place, (site, scale) in enumerate(scores.fields):
                for time in (0, 1):
                    answer = said[case].get((site, scale, time))  # type: ignore[call-overload]
                    if answer is not None:
                        predicted[row, place, time] = answer
        rng = np.random.default_rng(seed)
        found += [_figure(model, scale, scores, predicted, learnt is None, rng) for scale in study.scheme.scales]
    return tuple(found)


def _learnt(file: Path) -> frozenset[str] | None:
    """The cases that a run has learnt from; None where it doesn't say."""
    try:
        return frozenset(str(case) for case in json.loads(file.read_text(encoding="utf-8"))["train"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _figure(
    model: str, scale: str, scores: Scores, predicted: _Floats, unknown: bool, rng: np.random.Generator
) -> ModelFigure:
    places = scores.of_scale(scale)
    rated, said = scores.values[:, :, places], predicted[:, None, places]
    known = np.isfinite(rated).all(axis=-1) & np.isfinite(said).all(axis=-1)
    seen = np.where(known, rated[..., 1] - rated[..., 0], np.nan)
    error = np.abs((said[..., 1] - said[..., 0]) - seen)
    status = np.where(known, np.abs(said - rated).mean(axis=-1), np.nan)
    moved = np.where(seen != 0, 1.0, np.nan)
    pairs = list(combinations(range(len(scores.raters)), 2))
    changes = [np.abs(seen[:, a] - seen[:, b]) for a, b in pairs]
    apart = [np.abs(rated[:, a] - rated[:, b]).mean(axis=-1) for a, b in pairs]
    return ModelFigure(
        model,
        scale,
        len(scores.cases),
        _mean(error, rng),
        _plain(np.abs(seen)),
        _plain(np.stack(changes)) if pairs else float("nan"),
        _mean(error * moved, rng),
        _plain(np.abs(seen) * moved),
        _mean(status, rng),
        _plain(np.stack(apart)) if pairs else float("nan"),
        unknown,
    )


def _plain(values: _Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")


def _mean(values: _Floats, rng: np.random.Generator) -> Estimate:
    """The mean of `values`, patients first, NaN left out, with an interval bootstrapped over patients."""
    flat = values.reshape(len(values), -1)
    known = np.isfinite(flat)
    sums, counts = np.where(known, flat, 0.0).sum(axis=1), known.sum(axis=1)
    if not counts.sum():
        return Estimate(float("nan"))
    drawn = rng.integers(0, len(flat), (RESAMPLES, len(flat)))
    below = counts[drawn].sum(axis=1)
    means = sums[drawn].sum(axis=1)[below > 0] / below[below > 0]
    low, high = np.percentile(means, [2.5, 97.5])
    return Estimate(float(sums.sum() / counts.sum()), float(low), float(high))


def model_sheet(found: Sequence[ModelFigure]) -> Sheet:
    """The figures as a table."""
    rows = [
        [
            each.model + (" *" if each.unknown else ""),
            each.scale,
            each.cases,
            interval(each.change),
            number(each.no_change),
            number(each.raters),
            interval(each.changed),
            number(each.no_change_changed),
            interval(each.status),
            number(each.raters_status),
        ]
        for each in found
    ]
    heads = ["model", "scale", "cases", "error of change", "“no change”", "raters", "where a change was read"]
    heads += ["“no change”", "error of status", "raters"]
    note = (
        "Mean absolute error in grades, joint by joint, against every rater, on cases that it hasn't learnt from; 95 % "
        "intervals bootstrapped over patients. “No change” and raters: what that answer, and the raters among "
        "themselves, come to on the same joints."
    )
    if any(each.unknown for each in found):
        note += " * The run doesn't say what it learnt from: these cases may be among it."
    return Sheet("Models against the raters", heads, rows, words=2, note=note)


def evaluation_sheet(folder: Path) -> Sheet:
    """The figures that ``ratui-train evaluate`` has written into `folder`. Raises StudyError where there are none."""
    file = folder / "report.json"
    try:
        document: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        rows = [_row(figure) for figure in (*document["headline"], *document["more"])]
        cases = int(document["cases"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StudyError(
            f"there is no evaluation here: {clean(error)}", file, "Make one with: ratui-train evaluate"
        ) from error
    heads = ["measure", "value", "95 % interval", "trivial", "raters"]
    return Sheet("Models as evaluated", heads, rows, note=f"On {cases} cases that the models haven't learnt from.")


def _row(figure: Mapping[str, Any]) -> list[str]:
    percent = figure["unit"] == "%"

    def shown(value: float | None) -> str:
        if value is None:
            return ""
        return f"{100 * value:.1f} %" if percent else number(value, 3)

    trivial = shown(figure["baseline"])
    if trivial and figure["baseline_name"]:
        trivial += f" ({figure['baseline_name']})"
    between = f"{shown(figure['low'])} to {shown(figure['high'])}"
    return [str(figure["name"]), shown(figure["value"]), between, trivial, shown(figure["raters"])]

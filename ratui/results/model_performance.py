"""Errors of scoring models on the released readings of a study, compared with "no change" and with the raters.

Only cases that a model was not trained on count, according to the run's ``split.json``. Raters who have not signed do
not see these results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ratui.bounded_parsing import parse_json, read_bounded
from ratui.errors import StoreError, StudyError, clean_text
from ratui.results.bootstrap import Estimate, bootstrap_mean
from ratui.results.released import ReleasedReadings
from ratui.results.scores import ReadingScores, collect_scores
from ratui.results.statistics import compute_finite_mean
from ratui.results.text_table import TextTable, format_estimate, format_number
from ratui.results.totals import RULES
from ratui.study import Study
from ratui.study.model_results.predictions import intact_expected_grades, list_prediction_models

__all__ = ["ModelPerformance", "evaluate_models", "make_evaluation_table", "make_model_table"]

_LARGEST_REPORT = 16_000_000  # bytes
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ModelPerformance:
    """Mean absolute error of a model on one scale against every rater, in grades.

    Attributes
    ----------
    model, scale
        Name of the training run, and the scale.
    cases
        Number of cases, none of which the model was trained on.
    change, changed
        Error of the change between successive visits, in all joints, and in the joints where the rater scored a change.
    no_change, no_change_changed
        Error of always answering "no change", in the same joints.
    status
        Error of the score of a time point, also where the other time point has no score or no film.
    raters, raters_status
        Mean difference between two raters' changes, and scores; NaN with a single rater.
    is_training_unknown
        True if the run does not list its training cases.
    single
        Number of scores that count for `status` only, because rater or model have none at the other time point.
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
    is_training_unknown: bool = False
    single: int = 0


def evaluate_models(study: Study, released: ReleasedReadings, *, seed: int = 0) -> tuple[ModelPerformance, ...]:
    """Return the performance of every scoring model of `study` on the readings of `released`.

    `seed` initialises the bootstrap. Predictions that cannot be read only add a notice of the study.
    """
    found: list[ModelPerformance] = []
    # Single grades only, so that the rule for totals does not matter.
    every = collect_scores(study, released, RULES["observed"])
    every = every.select_cases([case for of_group in released.complete_groups().values() for case in of_group])
    for model in list_prediction_models(study):
        training_cases = _training_cases(study, model)
        predictions = {
            case: intact_expected_grades(study, model, case)
            for case in every.cases
            if case not in (training_cases or frozenset())
        }
        scores = every.select_cases([case for case, found_grades in predictions.items() if found_grades])
        if not scores.cases:
            continue
        predicted = np.full((len(scores.cases), len(scores.fields), len(scores.visits)), np.nan)
        places = {name: place for place, name in enumerate(scores.fields)}
        for row, case in enumerate(scores.cases):
            columns = [scores.visits.index(number) for number in released.visit_numbers[case]]
            for field, grade in predictions[case].items():
                if (field.site, field.scale) in places and field.time < len(columns):
                    predicted[row, places[field.site, field.scale], columns[field.time]] = grade
        rng = np.random.default_rng(seed)
        found += [
            _evaluate_scale(model, scale, scores, predicted, training_cases is None, rng)
            for scale in study.scheme.scales
        ]
    return tuple(found)


def _training_cases(study: Study, model: str) -> frozenset[str] | None:
    """Return the cases a run was trained on; None if it does not list them."""
    try:
        return frozenset(str(case) for case in parse_json(study.folder.read(f"models/{model}/split.json"))["train"])
    except (OSError, StoreError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _evaluate_scale(
    model: str,
    scale: str,
    scores: ReadingScores,
    predicted: _Floats,
    is_training_unknown: bool,
    rng: np.random.Generator,
) -> ModelPerformance:
    places = scores.scale_mask(scale)
    rated, predictions = scores.values[:, :, places], predicted[:, None, places]
    both = np.isfinite(rated) & np.isfinite(predictions)
    known = both.sum(axis=-1) > 1
    seen = _successive(np.where(both, rated, np.nan))
    error = np.abs(_successive(np.where(both, np.broadcast_to(predictions, rated.shape), np.nan)) - seen)
    status = np.abs(predictions - rated)
    moved = np.where(seen != 0, 1.0, np.nan)
    pairs = list(combinations(range(len(scores.raters)), 2))
    changes = [np.abs(seen[:, a] - seen[:, b]) for a, b in pairs]
    apart = [np.abs(rated[:, a] - rated[:, b]) for a, b in pairs]

    def mean(values: _Floats) -> Estimate:
        return bootstrap_mean(values.ravel(), np.repeat(np.arange(len(values)), values[0].size), rng)

    return ModelPerformance(
        model,
        scale,
        len(scores.cases),
        mean(error),
        compute_finite_mean(np.abs(seen)),
        compute_finite_mean(np.stack(changes)) if pairs else float("nan"),
        mean(error * moved),
        compute_finite_mean(np.abs(seen) * moved),
        mean(status),
        compute_finite_mean(np.stack(apart)) if pairs else float("nan"),
        is_training_unknown,
        int((np.isfinite(status) & ~known[..., None]).sum()),
    )


def _successive(scores: _Floats) -> _Floats:
    """Return each visit's change from the last scored visit before it, from shape (..., visits) to (..., visits − 1)."""
    last, changes = scores[..., 0], []
    for visit in range(1, scores.shape[-1]):
        changes.append(scores[..., visit] - last)
        last = np.where(np.isfinite(scores[..., visit]), scores[..., visit], last)
    return np.stack(changes, axis=-1) if changes else np.zeros((*scores.shape[:-1], 0))


def make_model_table(found: Sequence[ModelPerformance]) -> TextTable:
    """Return the performance of models as a table."""
    rows = [
        [
            each.model + (" *" if each.is_training_unknown else ""),
            each.scale,
            each.cases,
            format_estimate(each.change),
            format_number(each.no_change),
            format_number(each.raters),
            format_estimate(each.changed),
            format_number(each.no_change_changed),
            format_estimate(each.status),
            format_number(each.raters_status),
        ]
        for each in found
    ]
    headers = ["model", "scale", "cases", "error of change", "“no change”", "raters", "where a change was read"]
    headers += ["“no change”", "error of status", "raters"]
    note = (
        "Mean absolute error in grades, joint by joint, against every rater, on cases that the model was not trained on; "
        "95 % intervals bootstrapped over patients. “No change”: error of that answer on the same joints. Raters: mean "
        "difference between two raters on the same joints."
    )
    if any(each.is_training_unknown for each in found):
        note += " * The run does not list its training cases: it may have been trained on these cases."
    if single := sum(each.single for each in found):
        note += f" {single} scores have none at the other time point; they count for the status only."
    return TextTable("Models against the raters", headers, rows, text_columns=2, note=note)


def make_evaluation_table(folder: Path) -> TextTable:
    """Return the results that ``ratui-train evaluate`` wrote into `folder`; raise StudyError if there are none."""
    file = folder / "report.json"
    try:
        document: Mapping[str, Any] = parse_json(read_bounded(file, _LARGEST_REPORT))
        rows = [_row(figure) for figure in (*document["headline"], *document["more"])]
        cases = int(document["cases"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StudyError(
            f"there is no evaluation here: {clean_text(error)}", file, "Create one with: ratui-train evaluate"
        ) from error
    headers = ["metric", "value", "95 % interval", "baseline", "raters"]
    return TextTable(
        "Models as evaluated", headers, rows, note=f"On {cases} cases that the models were not trained on."
    )


def _row(figure: Mapping[str, Any]) -> list[str]:
    percent = figure["unit"] == "%"

    def shown(value: float | None) -> str:
        if value is None:
            return ""
        return f"{100 * value:.1f} %" if percent else format_number(value, 3)

    trivial = shown(figure["baseline"])
    if trivial and figure["baseline_name"]:
        trivial += f" ({figure['baseline_name']})"
    has_interval = figure["low"] is not None and figure["high"] is not None
    between = f"{shown(figure['low'])} to {shown(figure['high'])}" if has_interval else "–"
    return [str(figure["name"]), shown(figure["value"]), between, trivial, shown(figure["raters"])]

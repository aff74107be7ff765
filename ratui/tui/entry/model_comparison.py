"""Comparison of a signed reading with the predictions of a scorer.

`load_unblinded_predictions` and `load_unblinded_film_predictions` return nothing before the rater has signed, so that
predictions cannot influence a rater.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from ratui.errors import StoreError
from ratui.reading import Field, Reading
from ratui.study import Study
from ratui.study.model_results.predictions import (
    FilmPrediction,
    Prediction,
    load_unblinded_film_predictions,
    load_unblinded_film_verdicts,
    load_unblinded_predictions,
)
from ratui.tui.entry.text import join_time_points
from ratui.tui.i18n.catalog import Catalog

__all__ = ["MIN_DIFFERENCE", "AnyPrediction", "count_unlike_films", "find_differences", "format_model_scores"]

AnyPrediction: TypeAlias = Prediction | FilmPrediction
"""A prediction for two time points of a site, or for one."""

MIN_DIFFERENCE = 2
"""Difference in grades at one time point from which a joint counts as different. For the change, any difference counts."""


def find_differences(study: Study, reading: Reading) -> Mapping[str, tuple[AnyPrediction, ...]]:
    """Return the predictions that differ from a reading.

    Parameters
    ----------
    study
        The study.
    reading
        The rater's reading.

    Returns
    -------
    Mapping
        Predictions by site key. Empty before the reading is signed, and if the predictions cannot be read.
    """
    if reading.signed_at is None:
        return {}
    try:
        found: Sequence[AnyPrediction] = (
            *load_unblinded_predictions(study, reading.rater, reading.case),
            *load_unblinded_film_predictions(study, reading.rater, reading.case),
        )
    except StoreError:
        return {}  # a damaged file must not prevent the display of the reading; `ratui check` reports it
    sites: dict[str, tuple[AnyPrediction, ...]] = {}
    for prediction in found:
        if prediction.site in reading.site_keys and _is_shown(reading, prediction) and _differs(reading, prediction):
            sites[prediction.site] = (*sites.get(prediction.site, ()), prediction)
    return sites


def count_unlike_films(study: Study, reading: Reading) -> tuple[int, int]:
    """Return two numbers: films without predictions because they are unlike the training films, and all judged films.

    Both are 0 before the reading is signed, and if the predictions cannot be read.
    """
    if reading.signed_at is None:
        return 0, 0
    try:
        verdicts = load_unblinded_film_verdicts(study, reading.rater, reading.case)
    except StoreError:
        return 0, 0  # as for `find_differences`
    return sum(not verdict.is_like for verdict in verdicts.values()), len(verdicts)


def _is_shown(reading: Reading, prediction: AnyPrediction) -> bool:
    """Return whether `prediction` is of one film, or of two between which no other film shows the site."""
    if isinstance(prediction, FilmPrediction):
        return True
    first, last = prediction.times
    return not any(first < time < last for time in reading.filmed_times(prediction.site))


def _differs(reading: Reading, prediction: AnyPrediction) -> bool:
    if isinstance(prediction, FilmPrediction):
        score = reading.score(Field(prediction.site, prediction.scale, prediction.time))
        return score is not None and abs(prediction.grade - score) >= MIN_DIFFERENCE
    scores = [reading.score(Field(prediction.site, prediction.scale, time)) for time in prediction.times]
    if scores[0] is None or scores[1] is None:
        return False
    differences = [
        abs(grade - score) for grade, score in zip(prediction.grades, scores, strict=True) if score is not None
    ]
    return max(differences) >= MIN_DIFFERENCE or prediction.change != scores[1] - scores[0]


def format_model_scores(t: Catalog, reading: Reading, predictions: Sequence[AnyPrediction]) -> str:
    """Return the predicted scores as text, with the time points in the order of the films on the screen.

    A time point that the model has not seen is a dash.
    """
    scores = [
        f"{prediction.scale} {join_time_points(reading, (_grade_text(prediction, time) for time in reading.order))}"
        for prediction in predictions
    ]
    return t("text.model_scores", scores=", ".join(scores))


def _grade_text(prediction: AnyPrediction, time: int) -> str:
    if isinstance(prediction, FilmPrediction):
        return str(prediction.grade) if time == prediction.time else "–"
    return str(prediction.grades[prediction.times.index(time)]) if time in prediction.times else "–"

"""Predictions of a scorer for the cases of a study, and the order of the open cases by expected information.

Only predictions and the order are written to the study, never readings. A rater sees predictions only after signing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ratui.errors import TrainError
from ratui.progress_bar import ProgressBar
from ratui.study import Case, Study
from ratui.study.intact import intact_case
from ratui.study.model_results.model_domain import DomainVerdict
from ratui.study.model_results.predictions import FilmPrediction, Prediction, save_predictions
from ratui.study.model_results.reading_order import save_reading_order
from trainer.data.pairs import PairSamples, load_pair_samples
from trainer.inference.decisions import (
    DEFAULT_DECISION,
    Floats,
    decide,
    expected_change_error,
    expected_grade_error,
    marginal_probabilities,
)
from trainer.inference.domain import judge_films, list_unlike_rows
from trainer.inference.scoring import load_scorers, score_samples
from trainer.training.model_domain import worst_verdict

__all__ = [
    "PredictionSummary",
    "acquisition_scores",
    "expected_total_error",
    "make_film_predictions",
    "make_predictions",
    "predict_study",
]


@dataclass(frozen=True)
class PredictionSummary:
    """Number of cases that were scored, and the open cases in the order in which the scorer would learn most.

    `single` is the number of joints with a film at one time point only; they have grades and no change. `films` is the
    number of films. `unlike` of them, of the cases `unlike_cases`, have no grades, because they are unlike those that the
    scorer learned from. `is_domain_unknown` is True if nobody measured which films a scorer knows, so that it scores all.
    """

    cases: int
    order: tuple[str, ...]
    single: int = 0
    films: int = 0
    unlike: int = 0
    unlike_cases: tuple[str, ...] = ()
    is_domain_unknown: bool = False


def predict_study(
    study: Study,
    run: Path,
    name: str,
    device: torch.device,
    folder: Path,
    *,
    more_scorers: Sequence[Path] = (),
    decision: str = DEFAULT_DECISION,
    order: bool = False,
) -> PredictionSummary:
    """Save the predictions of a scorer for each case that has regions, confirmed or proposed.

    A joint with a region at one time point only gets a prediction of its grades there, also in cases of one time point.
    Joints on films that are unlike those that a scorer learned from get none, and the verdicts on the films are saved with
    the predictions. Cases with such a film have no place in the order.

    Parameters
    ----------
    study
        The study to read and to write to.
    run
        Folder of the scorer's run.
    name
        Name of the model in the study.
    device
        Device for the network.
    folder
        Folder that caches the crops.
    more_scorers
        Folders of further scorers; the mean of the probabilities of all is taken.
    decision
        Name of the decision rule; see `trainer.inference.decisions`.
    order
        If True, also save the order of the cases that some rater has not signed, most informative first.

    Raises
    ------
    TrainError
        If the run cannot be read or does not fit the study's scheme, or if no case has films or
        regions.
    """
    study.check_manager("score it by a model")
    found = [case for id in study.cases() if (case := intact_case(study, id)) is not None]
    readable = {case.id for case in found if not case.unreadable_reason(study.scheme)}
    cases = [case.id for case in found if case.films]
    if not cases:
        raise TrainError("no case has films", study.path, "Import films")
    scorers = load_scorers((run, *more_scorers), device)
    with study.snapshot() as snapshot:
        pairs = load_pair_samples(snapshot, cases, folder, ProgressBar(), proposed=True)
    probabilities = score_samples(scorers, pairs)
    by_hand = judge_films(scorers, pairs)
    unlike_rows = list_unlike_rows(pairs, by_hand)
    predictions = make_predictions(pairs, probabilities, decision, without=unlike_rows)
    single = make_film_predictions(pairs, probabilities, decision, without=unlike_rows)
    verdicts = _group_verdicts(study, {case.id: case for case in found}, pairs, by_hand)
    for id in dict.fromkeys(pairs.cases):
        save_predictions(study, name, id, predictions.get(id, ()), single.get(id, ()), verdicts[id])
    unlike = tuple(case for case, films in verdicts.items() if not all(each.is_like for each in films.values()))
    ranked: tuple[str, ...] = ()
    if order:
        signed = {case for case in readable if len(study.signed_readings(case)) == len(study.raters_of(case))}
        scores = acquisition_scores(pairs, probabilities)
        is_open = [case for case in scores if case in readable - signed]
        ranked = tuple(sorted((case for case in is_open if case not in unlike), key=lambda case: (-scores[case], case)))
        save_reading_order(study, ranked, name, [case for case in is_open if case in unlike])
    judged = [verdict for films in verdicts.values() for verdict in films.values()]
    return PredictionSummary(
        len(verdicts),
        ranked,
        len(pairs.single_times),
        len(judged),
        sum(not verdict.is_like for verdict in judged),
        unlike,
        any(scorer.domain.is_unknown for scorer in scorers),
    )


def _group_verdicts(
    study: Study, cases: Mapping[str, Case], pairs: PairSamples, by_hand: Mapping[str, DomainVerdict]
) -> dict[str, dict[str, DomainVerdict]]:
    """Return the verdict on each film by case and film ID. A film of both hands has the stricter one of two."""
    found: dict[str, dict[str, list[DomainVerdict]]] = {case: {} for case in dict.fromkeys(pairs.cases)}
    for each in pairs.list_films():
        site, case = study.scheme.site(pairs.sites[each.row]), cases[each.case]
        film = case.film(pairs.times(each.row)[each.place], site.side, site.part, study.scheme)
        if film is not None:
            found[case.id].setdefault(film.id, []).append(by_hand[each.film])
    return {case: {film: worst_verdict(each) for film, each in films.items()} for case, films in found.items()}


def make_predictions(
    pairs: PairSamples, probabilities: Sequence[Floats], decision: str, *, without: Collection[int] = ()
) -> dict[str, list[Prediction]]:
    """Return the predictions of each case, in the order of the joints in `pairs`.

    Parameters
    ----------
    pairs
        The samples.
    probabilities
        For each scale, the probabilities of the pairs of grades, shape (N, G, G).
    decision
        Name of the decision rule.
    without
        Rows of `pairs` that get no prediction.

    Returns
    -------
    dict
        Predictions by case. A joint has no prediction on a scale that it lacks, and none if it has one film only.
    """
    result: dict[str, list[Prediction]] = {}
    decisions = [decide(decision, each) for each in probabilities]
    errors = [expected_change_error(each, one.change) for each, one in zip(probabilities, decisions, strict=True)]
    marginals = [marginal_probabilities(each) for each in probabilities]
    for row, (case, site) in enumerate(zip(pairs.cases, pairs.sites, strict=True)):
        if row in without:
            continue
        if row in pairs.single_times:
            continue
        for scale, name in enumerate(pairs.scales):
            top = int(pairs.max_grades[row, scale])
            if top < 0:  # the joint lacks this scale
                continue
            earlier, later = (_round_probabilities(marginals[scale][row, time, : top + 1]) for time in (0, 1))
            grades = decisions[scale].grades[row]
            result.setdefault(case, []).append(
                Prediction(
                    site,
                    name,
                    (int(grades[0]), int(grades[1])),
                    (earlier, later),
                    int(decisions[scale].change[row]),
                    round(float(errors[scale][row]), 4),
                    pairs.times(row),
                )
            )
    return result


def make_film_predictions(
    pairs: PairSamples, probabilities: Sequence[Floats], decision: str, *, without: Collection[int] = ()
) -> dict[str, list[FilmPrediction]]:
    """Return the predictions by case for the joints with one film only; the parameters are those of `make_predictions`."""
    result: dict[str, list[FilmPrediction]] = {}
    decisions = [decide(decision, each) for each in probabilities]
    marginals = [marginal_probabilities(each) for each in probabilities]
    for row, time in pairs.single_times.items():
        if row in without:
            continue
        for scale, name in enumerate(pairs.scales):
            top = int(pairs.max_grades[row, scale])
            if top < 0:
                continue
            chances, grade = marginals[scale][row, time, : top + 1], decisions[scale].grades[row, time]
            error = float(expected_grade_error(chances[None], grade[None])[0])
            result.setdefault(pairs.cases[row], []).append(
                FilmPrediction(
                    pairs.sites[row],
                    name,
                    pairs.times(row)[time],
                    int(grade),
                    _round_probabilities(chances),
                    round(error, 4),
                )
            )
    return result


def acquisition_scores(pairs: PairSamples, probabilities: Sequence[Floats]) -> dict[str, float]:
    """Return the acquisition score of each case: the scorer's expected total error, summed over joints and scales.

    Joints with a film at one time point only do not count. The scorer is expected to learn most from the case with the
    highest score. `probabilities` is as in `make_predictions`.
    """
    scores: dict[str, float] = dict.fromkeys(pairs.cases, 0.0)
    for scale, pair in enumerate(probabilities):
        errors = expected_total_error(pair)
        for row, case in enumerate(pairs.cases):
            if pairs.max_grades[row, scale] >= 0 and row not in pairs.single_times:
                scores[case] += float(errors[row])
    return scores


def expected_total_error(pair: Floats) -> Floats:
    """Return the smallest expected absolute error of both grades and of the change, summed.

    The three are predicted separately, each by the median of its own distribution, which minimises its error. The
    predicted change may thus differ from the difference of the predicted grades.

    Parameters
    ----------
    pair
        P(y1, y2), the probabilities of the pairs of grades, shape (N, G, G), for N joints and G grades.

    Returns
    -------
    array of float
        Sums of three expected errors, in grades, shape (N,).
    """
    medians = decide("median", pair)
    grades = np.arange(pair.shape[1])
    status = (marginal_probabilities(pair) * np.abs(grades - medians.grades[..., None])).sum(axis=(1, 2))
    return np.asarray(expected_change_error(pair, medians.change) + status)


def _round_probabilities(probabilities: npt.NDArray[np.float64]) -> tuple[float, ...]:
    """Return probabilities rounded to four digits whose sum is still 1."""
    rounded = [round(float(probability), 4) for probability in probabilities]
    # The largest one takes the rounding error, where it matters least.
    rounded[int(np.argmax(probabilities))] += 1 - sum(rounded)
    return tuple(round(probability, 4) for probability in rounded)

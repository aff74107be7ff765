"""Predictions of a scorer for the cases of a study, and the order of the open cases by expected information.

Only predictions and the order are written to the study, never readings. A rater sees predictions only after signing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ratui.errors import TrainError
from ratui.progress_bar import ProgressBar
from ratui.study import Study
from ratui.study.intact import intact_case
from ratui.study.predictions import Prediction, save_predictions, save_reading_order
from trainer.data.pairs import PairSamples, load_pair_samples
from trainer.evaluation.metrics import Floats
from trainer.inference.decisions import DEFAULT_DECISION, decide, expected_change_error, marginal_probabilities
from trainer.models.scorer import check_scheme, load_scorer_network, predict

__all__ = ["PredictionSummary", "acquisition_scores", "expected_total_error", "make_predictions", "predict_study"]


@dataclass(frozen=True)
class PredictionSummary:
    """Number of cases with predictions, and the open cases in the order in which the scorer would learn most."""

    cases: int
    order: tuple[str, ...]


def predict_study(
    study: Study,
    run: Path,
    name: str,
    device: torch.device,
    folder: Path,
    *,
    decision: str = DEFAULT_DECISION,
    order: bool = False,
) -> PredictionSummary:
    """Save the predictions of a scorer for each case that has regions, confirmed or proposed.

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
    decision
        Name of the decision rule; see `trainer.inference.decisions`.
    order
        If True, also save the order of the cases that some rater has not signed, most informative first.

    Raises
    ------
    TrainError
        If the run cannot be read or does not fit the study's scheme, or if no case has two time points or regions.
    """
    study.check_manager("score it by a model")
    cases = [
        id
        for id in study.cases()
        if (case := intact_case(study, id)) is not None and not case.unreadable_reason(study.scheme)
    ]
    if not cases:
        problem = "no case has films of one side at two time points, which a scorer compares"
        raise TrainError(problem, study.path, "Import the films of the other time point")
    model, about = load_scorer_network(run, device)
    with study.snapshot() as snapshot:
        pairs = load_pair_samples(snapshot, cases, folder, ProgressBar(), proposed=True)
    check_scheme(about, pairs.scales, pairs.group_names, run)
    probabilities = predict(model, pairs.crops, pairs.groups, pairs.max_grades)
    for id, predictions in make_predictions(pairs, probabilities, decision).items():
        save_predictions(study, name, id, predictions)
    ranked: tuple[str, ...] = ()
    if order:
        signed = {case for case in cases if len(study.signed_readings(case)) == len(study.raters_of(case))}
        scores = acquisition_scores(pairs, probabilities)
        ranked = tuple(sorted((case for case in scores if case not in signed), key=lambda case: (-scores[case], case)))
        save_reading_order(study, ranked, name)
    return PredictionSummary(len(set(pairs.cases)), ranked)


def make_predictions(pairs: PairSamples, probabilities: Sequence[Floats], decision: str) -> dict[str, list[Prediction]]:
    """Return the predictions of each case, in the order of the joints in `pairs`.

    Parameters
    ----------
    pairs
        The samples.
    probabilities
        For each scale, the probabilities of the pairs of grades, shape (N, G, G).
    decision
        Name of the decision rule.

    Returns
    -------
    dict
        Predictions by case. A joint has no prediction on a scale that it lacks.
    """
    result: dict[str, list[Prediction]] = {}
    decisions = [decide(decision, each) for each in probabilities]
    errors = [expected_change_error(each, one.change) for each, one in zip(probabilities, decisions, strict=True)]
    marginals = [marginal_probabilities(each) for each in probabilities]
    for row, (case, site) in enumerate(zip(pairs.cases, pairs.sites, strict=True)):
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
                )
            )
    return result


def acquisition_scores(pairs: PairSamples, probabilities: Sequence[Floats]) -> dict[str, float]:
    """Return the acquisition score of each case: the scorer's expected total error, summed over joints and scales.

    The scorer is expected to learn most from the case with the highest score. `probabilities` is as in `make_predictions`.
    """
    scores: dict[str, float] = dict.fromkeys(pairs.cases, 0.0)
    for scale, pair in enumerate(probabilities):
        errors = expected_total_error(pair)
        for row, case in enumerate(pairs.cases):
            if pairs.max_grades[row, scale] >= 0:
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

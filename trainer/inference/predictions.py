"""What a scorer says of every case, back into the study, and the order in which it would have the open ones read.

It writes answers and an order alone; no reading is touched, and no rater sees an answer before they have signed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ratui.progress_bar import ProgressBar
from ratui.study import Study
from ratui.study.predictions import Prediction, save_predictions, save_reading_order
from trainer.data.pairs import PairSamples, load_pair_samples
from trainer.evaluation.metrics import Floats
from trainer.inference.decisions import DEFAULT_DECISION, decide, expected_change_error, marginal_probabilities
from trainer.models.scorer import check_scheme, load_scorer, predict

__all__ = ["PredictionSummary", "acquisition_scores", "expected_total_error", "make_predictions", "predict_study"]


@dataclass(frozen=True)
class PredictionSummary:
    """How many cases were answered, and the open ones in the order in which they would teach most."""

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
    """Answers every case that has regions, confirmed or proposed, by the scorer in `run`; `folder` keeps the crops.

    With `order` the cases that some rater hasn't signed are put in order, what teaches most first. Raises TrainError.
    """
    model, about = load_scorer(run, device)
    cases = [case for case in study.cases() if not study.case(case).unreadable_reason(study.scheme)]
    with study.snapshot() as still:
        pairs = load_pair_samples(still, cases, folder, ProgressBar(), proposed=True)
    check_scheme(about, pairs.scales, pairs.group_names, run)
    probabilities = predict(model, pairs.crops, pairs.groups, pairs.max_grades)
    for case, found in make_predictions(pairs, probabilities, decision).items():
        save_predictions(study, name, case, found)
    ranked: tuple[str, ...] = ()
    if order:
        signed = {case for case in cases if len(study.signed_readings(case)) == len(study.config.raters)}
        worth = acquisition_scores(pairs, probabilities)
        ranked = tuple(sorted((case for case in worth if case not in signed), key=lambda case: (-worth[case], case)))
        save_reading_order(study, ranked, name)
    return PredictionSummary(len(set(pairs.cases)), ranked)


def make_predictions(pairs: PairSamples, probabilities: Sequence[Floats], decision: str) -> dict[str, list[Prediction]]:
    """The answers of each case, joints in their order; a scale that a joint lacks has none."""
    found: dict[str, list[Prediction]] = {}
    said = [decide(decision, each) for each in probabilities]
    doubted = [expected_change_error(each, one.change) for each, one in zip(probabilities, said, strict=True)]
    marginals = [marginal_probabilities(each) for each in probabilities]
    for row, (case, site) in enumerate(zip(pairs.cases, pairs.sites, strict=True)):
        for scale, name in enumerate(pairs.scales):
            top = int(pairs.max_grades[row, scale])
            if top < 0:
                continue
            earlier, later = (_round_probabilities(marginals[scale][row, time, : top + 1]) for time in (0, 1))
            grades = said[scale].grades[row]
            found.setdefault(case, []).append(
                Prediction(
                    site,
                    name,
                    (int(grades[0]), int(grades[1])),
                    (earlier, later),
                    int(said[scale].change[row]),
                    round(float(doubted[scale][row]), 4),
                )
            )
    return found


def acquisition_scores(pairs: PairSamples, probabilities: Sequence[Floats]) -> dict[str, float]:
    """How much each case would teach: the error that the model expects of its own best answers, over all its joints."""
    worth: dict[str, float] = dict.fromkeys(pairs.cases, 0.0)
    for scale, pair in enumerate(probabilities):
        expects = expected_total_error(pair)
        for row, case in enumerate(pairs.cases):
            if pairs.max_grades[row, scale] >= 0:
                worth[case] += float(expects[row])
    return worth


def expected_total_error(pair: Floats) -> Floats:
    """The error to be expected, (N,), of the best answer to the change and to both grades."""
    said = decide("median", pair)
    grades = np.arange(pair.shape[1])
    status = (marginal_probabilities(pair) * np.abs(grades - said.grades[..., None])).sum(axis=(1, 2))
    return np.asarray(expected_change_error(pair, said.change) + status)


def _round_probabilities(probabilities: npt.NDArray[np.float64]) -> tuple[float, ...]:
    """Chances with four digits that still add up to 1."""
    rounded = [round(float(chance), 4) for chance in probabilities]
    rounded[int(np.argmax(probabilities))] += 1 - sum(rounded)
    return tuple(round(chance, 4) for chance in rounded)

"""What the models are worth on cases that neither has learnt from, each figure beside its trivial baseline.

Intervals are bootstrapped over patients, never over joints. Nothing here trains, and nothing is left out for being bad.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ratui.errors import TrainError
from ratui.progress_bar import ProgressBar
from ratui.study import Study
from trainer.data.hands import load_hand_samples
from trainer.data.pairs import PairSamples, list_signed_cases, load_pair_samples
from trainer.evaluation.evaluate_detector import evaluate_detections
from trainer.evaluation.evaluate_scorer import (
    Calibration,
    ScalePredictions,
    WorstJoint,
    evaluate_by_uncertainty,
    evaluate_calibration,
    evaluate_ranking,
    evaluate_scale,
    find_worst_joints,
    match_labels,
)
from trainer.evaluation.metrics import Floats, Metric
from trainer.inference.decisions import DEFAULT_DECISION
from trainer.inference.hand_finder import find_joints
from trainer.models.detector import load_detector
from trainer.models.scorer import check_scheme, load_scorer, predict
from trainer.training.runs import load_split

__all__ = ["Metric", "Results", "evaluate_models"]


@dataclass(frozen=True)
class Results:
    """The results of an evaluation on `cases`.

    `change_errors` are the errors of the ERO difference. `crops` are the pictures (2, S, S) uint8 of each of `worst_joints`.
    `calibrations` compare the model's confidence with its accuracy.
    """

    cases: tuple[str, ...]
    films: int
    joints: int
    headline: tuple[Metric, ...]
    other_metrics: tuple[Metric, ...]
    change_errors: Floats
    loss: str
    decision: str = DEFAULT_DECISION
    uncertainty_metrics: tuple[Metric, ...] = field(default=())
    calibrations: tuple[Calibration, ...] = field(default=())
    worst_joints: tuple[WorstJoint, ...] = field(default=())
    crops: tuple[npt.NDArray[np.uint8], ...] = field(default=())


def evaluate_models(
    study: Study,
    detector: Path | None,
    scorer: Path,
    out: Path,
    device: torch.device,
    *,
    seed: int = 0,
    decision: str = DEFAULT_DECISION,
) -> Results:
    """Measures the runs of a scorer and, where given, of a detector on the cases that they haven't learnt from.

    Raises TrainError.
    """
    runs = [run for run in (detector, scorer) if run is not None]
    learnt = {case for run in runs for case in load_split(run).train}
    cases = tuple(case for case in list_signed_cases(study) if case not in learnt)
    if not cases:
        raise TrainError("the models have learnt from every read case", study.path, "Hold some out, or read more")
    rng = np.random.default_rng(seed)
    with study.snapshot() as still:
        hands = load_hand_samples(still, cases, out / "samples", ProgressBar()) if detector is not None else None
        pairs = load_pair_samples(still, cases, out / "samples", ProgressBar())
    headline: list[Metric] = []
    other_metrics: list[Metric] = []
    if detector is not None and hands is not None:
        headline, other_metrics = evaluate_detections(
            hands, find_joints(load_detector(detector, device), hands.images, study.scheme), rng
        )
    model, about = load_scorer(scorer, device)
    check_scheme(about, pairs.scales, pairs.group_names, scorer)
    probabilities = predict(model, pairs.crops, pairs.groups, pairs.max_grades)
    answers = [match_labels(pairs, probabilities[scale], scale, decision) for scale in range(len(pairs.scales))]
    for scale, each in enumerate(answers):
        first, rest = evaluate_scale(each, rng)
        headline, rest = (headline + first, rest) if each.scale == "ERO" else (headline, first + rest)
        other_metrics += [*rest, evaluate_ranking(pairs, each, probabilities[scale], rng)]
    measured = {*pairs.cases, *(hands.cases if hands else ())}
    return _summarise(
        tuple(case for case in cases if case in measured),
        pairs,
        answers,
        len(hands.images) if hands else 0,
        headline,
        other_metrics,
        str(about["loss"]),
        decision,
        rng,
    )


def _summarise(
    cases: tuple[str, ...],
    pairs: PairSamples,
    answers: list[ScalePredictions],
    films: int,
    headline: list[Metric],
    other_metrics: list[Metric],
    loss: str,
    decision: str,
    rng: np.random.Generator,
) -> Results:
    """The results, with what concerns ERO alone: its histogram, its doubt, its worst joints."""
    ero = next((each for each in answers if each.scale == "ERO"), answers[0])
    calibrations = tuple(evaluate_calibration(each, what, rng) for each in answers for what in ("score", "change"))
    worst_joints = find_worst_joints(pairs, ero)
    return Results(
        cases,
        films,
        len(pairs.crops),
        tuple(headline),
        tuple(other_metrics),
        np.asarray(ero.errors, np.float64),
        loss,
        decision,
        (*(each.error for each in calibrations), *evaluate_by_uncertainty(ero, rng)),
        calibrations,
        worst_joints,
        tuple(np.array(pairs.crops[each.row]) for each in worst_joints),
    )

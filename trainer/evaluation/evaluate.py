"""Evaluation of the models on cases that none of them was trained on, with a trivial baseline for each metric.

Confidence intervals are bootstrapped over patients, never over joints, because joints of one patient are not independent.
Bad results are never left out.
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
from trainer.models.scorer import check_scheme, load_scorer_network, predict
from trainer.training.runs import load_split

__all__ = ["Metric", "Results", "evaluate_models"]


@dataclass(frozen=True)
class Results:
    """Results of an evaluation.

    Attributes
    ----------
    cases
        IDs of the evaluated cases.
    films
        Number of evaluated hands; 0 without a detector.
    joints
        Number of evaluated pairs of crops.
    headline
        Main metrics; for most of them there is a published value.
    other_metrics
        All other metrics.
    change_errors
        Errors of the ERO change, predicted minus read, in grades, one for each joint and rater.
    loss
        Name of the loss that the scorer was trained with.
    decision
        Name of the decision rule.
    uncertainty_metrics
        Metrics of the scorer's estimates of its own uncertainty.
    calibrations
        Comparisons of the scorer's confidence with its accuracy.
    worst_joints
        Joints with the largest errors of the ERO change.
    crops
        Images of each of `worst_joints` at both time points, shape (2, S, S).
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
    """Evaluate a scorer and optionally a detector on the signed cases that none of them was trained on.

    Parameters
    ----------
    study
        Study with the signed readings.
    detector, scorer
        Folders of the runs.
    out
        Folder for the cached crops; see `trainer.evaluation.report.write_report` for the report.
    device
        Device for the networks.
    seed
        Seed of the bootstrap.
    decision
        Name of the decision rule; see `trainer.inference.decisions`.

    Raises
    ------
    TrainError
        If the models were trained on every signed case, or a run cannot be read or does not fit the study's scheme.
    """
    study.check_manager("evaluate models on it")
    if out.resolve().is_relative_to(study.path.resolve()):
        raise TrainError(
            "the report shows answers of raters; it can't be inside the study", out, "Choose another folder"
        )
    runs = [run for run in (detector, scorer) if run is not None]
    trained_on = {case for run in runs for case in load_split(run).train}
    cases = tuple(case for case in list_signed_cases(study) if case not in trained_on)
    if not cases:
        raise TrainError("the models were trained on every signed case", study.path, "Hold some out, or sign more")
    rng = np.random.default_rng(seed)
    with study.snapshot() as snapshot:
        hands = load_hand_samples(snapshot, cases, out / "samples", ProgressBar()) if detector is not None else None
        pairs = load_pair_samples(snapshot, cases, out / "samples", ProgressBar())
    headline: list[Metric] = []
    other_metrics: list[Metric] = []
    if detector is not None and hands is not None:
        headline, other_metrics = evaluate_detections(
            hands, find_joints(load_detector(detector, device), hands.images, study.scheme), rng
        )
    model, about = load_scorer_network(scorer, device)
    check_scheme(about, pairs.scales, pairs.group_names, scorer)
    probabilities = predict(model, pairs.crops, pairs.groups, pairs.max_grades)
    predictions = [match_labels(pairs, probabilities[scale], scale, decision) for scale in range(len(pairs.scales))]
    for scale, each in enumerate(predictions):
        first, rest = evaluate_scale(each, rng)
        # The reference reports ERO only.
        headline, rest = (headline + first, rest) if each.scale == "ERO" else (headline, first + rest)
        other_metrics += [*rest, evaluate_ranking(pairs, each, probabilities[scale], rng)]
    evaluated = {*pairs.cases, *(hands.cases if hands else ())}
    return _summarise(
        tuple(case for case in cases if case in evaluated),
        pairs,
        predictions,
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
    predictions: list[ScalePredictions],
    films: int,
    headline: list[Metric],
    other_metrics: list[Metric],
    loss: str,
    decision: str,
    rng: np.random.Generator,
) -> Results:
    """Return the results; histogram, uncertainty and worst joints are those of ERO, or of the first scale without ERO."""
    ero = next((each for each in predictions if each.scale == "ERO"), predictions[0])
    calibrations = tuple(
        evaluate_calibration(each, target, rng) for each in predictions for target in ("score", "change")
    )
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

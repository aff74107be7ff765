"""Evaluation of the models on cases that none of them was trained on, with a trivial baseline for each metric.

Confidence intervals are bootstrapped over patients, never over joints, because joints of one patient are not independent.
Bad results are never left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ratui.detection.joint_network import Detection
from ratui.detection.site_finder import find_sites_of_samples
from ratui.errors import TrainError
from ratui.progress_bar import ProgressBar
from ratui.study import Study
from trainer.data.hands import HandSamples, load_hand_samples
from trainer.data.pairs import PairSamples, list_signed_cases, load_pair_samples
from trainer.evaluation.evaluate_detector import evaluate_detections
from trainer.evaluation.evaluate_scorer import (
    Calibration,
    WorstJoint,
    evaluate_by_uncertainty,
    evaluate_calibration,
    evaluate_ranking,
    evaluate_scale,
    find_worst_joints,
)
from trainer.evaluation.metrics import Metric
from trainer.evaluation.pooling import SeedValues, pool_predictions, repeat_hands
from trainer.evaluation.saliency import Saliency, explain_joints
from trainer.evaluation.scale_predictions import ScalePredictions, match_labels
from trainer.inference.decisions import DEFAULT_DECISION, Floats
from trainer.inference.scoring import TrainedScorer, load_scorers, score_samples
from trainer.models.detector import load_detector
from trainer.shipped import resolve_run_folder
from trainer.training.lineage import read_lineage

__all__ = [
    "DetectorOutput",
    "Metric",
    "Results",
    "ScorerOutput",
    "evaluate_models",
    "evaluate_predictions",
    "join_losses",
]


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
        Number of joints in the samples.
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
    excluded
        Number of signed cases that a model, or one whose weights it started from, has learned from.
    dependent_boxes
        Number of confirmed boxes that a detector proposed and no rater moved. They are no truth for a detector.
    unknown_models
        Models (``detector``, ``scorer``, ``scorer 2``) of which it is not fully known what they have learned from.
    single_scores
        Number of scores by raters who scored that joint at one time point only, over all scales. They count for the errors
        of the score, not of the change.
    folds
        Number of folds of a cross-validation, in which each case is predicted by models that did not learn from its fold;
        0 otherwise.
    seeds
        Seeds of the trainings of a cross-validation.
    seed_values
        Each metric of a cross-validation by seed.
    saliency
        Saliency maps of some joints, if they were asked for.
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
    excluded: int = 0
    dependent_boxes: int = 0
    unknown_models: tuple[str, ...] = ()
    single_scores: int = 0
    folds: int = 0
    seeds: tuple[int, ...] = ()
    seed_values: tuple[SeedValues, ...] = ()
    saliency: tuple[Saliency, ...] = ()


def evaluate_models(
    study: Study,
    detector: Path | None,
    scorer: Path,
    out: Path,
    device: torch.device,
    *,
    more_scorers: Sequence[Path] = (),
    seed: int = 0,
    decision: str = DEFAULT_DECISION,
    saliency: int = 0,
) -> Results:
    """Evaluate a scorer and optionally a detector on the signed cases that no model of their lineages has learned from.

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
    more_scorers
        Folders of further scorers. What is evaluated is the mean of the probabilities of all.
    seed
        Seed of the bootstrap.
    decision
        Name of the decision rule; see `trainer.inference.decisions`.
    saliency
        Number of joints with saliency maps; `seed` is also that of their choice.

    Raises
    ------
    TrainError
        If the models were trained on every signed case, no other case has a score at both time points, or a run cannot be
        read or does not fit the study's scheme.
    """
    study.check_manager("evaluate models on it")
    if out.resolve().is_relative_to(study.path.resolve()):
        raise TrainError(
            "the report shows answers of raters; it can't be inside the study", out, "Choose another folder"
        )
    runs = {"detector": detector, "scorer": scorer}
    runs |= {f"scorer {number}": run for number, run in enumerate(more_scorers, start=2)}
    lineages = {
        name: read_lineage(resolve_run_folder(run) / "model.pt") for name, run in runs.items() if run is not None
    }
    seen = {case for lineage in lineages.values() for case in lineage.seen_cases(study.config.id)}
    signed = list_signed_cases(study)
    cases = tuple(case for case in signed if case not in seen)
    if not cases:
        raise TrainError(
            "the models, or those whose weights they started from, were trained on every signed case",
            study.path,
            "Hold some out, or sign more",
        )
    with study.snapshot() as snapshot:
        hands = None
        if detector is not None:
            hands = load_hand_samples(snapshot, cases, out / "samples", ProgressBar(), independent=True)
        pairs = load_pair_samples(snapshot, cases, out / "samples", ProgressBar())
    found = None
    if detector is not None and hands is not None:
        found = find_sites_of_samples(load_detector(detector, device), hands.images, study.scheme)
    scorers = load_scorers((scorer, *more_scorers), device)
    probabilities = score_samples(scorers, pairs)
    results = evaluate_predictions(
        cases,
        DetectorOutput(hands, (found,)) if hands is not None and found is not None else None,
        ScorerOutput(pairs, (probabilities,), join_losses(scorers)),
        np.random.default_rng(seed),
        decision=decision,
    )
    maps: tuple[Saliency, ...] = ()
    if saliency:
        score = partial(score_samples, scorers)
        maps = explain_joints(score, pairs, probabilities, saliency, decision, seed, ProgressBar())
    return replace(
        results,
        saliency=maps,
        excluded=len(signed) - len(cases),
        unknown_models=tuple(name for name, lineage in lineages.items() if not lineage.is_fully_known()),
    )


@dataclass(frozen=True)
class DetectorOutput:
    """Hands, and the joints that each of one or more detectors found on them."""

    hands: HandSamples
    found: Sequence[Sequence[Mapping[str, Detection]]]


@dataclass(frozen=True)
class ScorerOutput:
    """Pairs, the probabilities by each of one or more scorers (see `score_samples`), and the name of their loss."""

    pairs: PairSamples
    probabilities: Sequence[list[Floats]]
    loss: str


def join_losses(scorers: Sequence[TrainedScorer]) -> str:
    """Return the names of the losses that scorers were trained with."""
    return ", ".join(dict.fromkeys(str(each.about["loss"]) for each in scorers))


def evaluate_predictions(
    cases: Sequence[str],
    detector: DetectorOutput | None,
    scorer: ScorerOutput | None,
    rng: np.random.Generator,
    *,
    decision: str = DEFAULT_DECISION,
) -> Results:
    """Compare predictions with the signed readings. The metrics of several models of a kind are means over the models.

    Parameters
    ----------
    cases
        IDs of the cases, in the order of the result.
    detector, scorer
        Predictions; at least one of them is given.
    rng
        Random generator of the bootstrap over patients.
    decision
        Name of the decision rule.

    Raises
    ------
    TrainError
        If there are predictions of a scorer, and no reading has a score at both time points.
    """
    headline: list[Metric] = []
    other_metrics: list[Metric] = []
    evaluated: set[str] = set()
    results = Results((), 0, 0, (), (), np.zeros(0), "", decision)
    if detector is not None:
        hands = detector.hands
        evaluated |= set(hands.cases)
        repeated = repeat_hands(hands, len(detector.found))
        headline, other_metrics = evaluate_detections(
            repeated, [each for found in detector.found for each in found], rng
        )
        results = replace(results, films=len(hands.images), dependent_boxes=hands.dependent)
    if scorer is not None:
        pairs, tables = scorer.pairs, scorer.probabilities
        evaluated |= set(pairs.cases)
        matched = [
            [match_labels(pairs, probabilities[scale], scale, decision) for probabilities in tables]
            for scale in range(len(pairs.scales))
        ]
        matched = [each for each in matched if len(each[0].row)]
        if not matched:
            raise TrainError(
                "no signed reading of the other cases has a score at both time points", "", "Sign more of them"
            )
        predictions = [pool_predictions(each) for each in matched]
        for each in predictions:
            first, rest = evaluate_scale(each, rng)
            # The reference reports ERO only.
            headline, rest = (headline + first, rest) if each.scale == "ERO" else (headline, first + rest)
            one, *more = (probabilities[pairs.scales.index(each.scale)] for probabilities in tables)
            other_metrics += [*rest, evaluate_ranking(pairs, each, one, rng, more)]
        results = _add_scorer(results, pairs, predictions, [each[0] for each in matched], rng)
        results = replace(results, loss=scorer.loss)
    return replace(
        results,
        cases=tuple(case for case in cases if case in evaluated),
        headline=tuple(headline),
        other_metrics=tuple(other_metrics),
    )


def _add_scorer(
    results: Results,
    pairs: PairSamples,
    predictions: Sequence[ScalePredictions],
    by_first: Sequence[ScalePredictions],
    rng: np.random.Generator,
) -> Results:
    """Return `results` with those of scorers; the worst joints are those of the first one, whose predictions are `by_first`.

    Histogram, uncertainty and worst joints are those of ERO, or of the first scale without ERO.
    """
    column = next((place for place, each in enumerate(predictions) if each.scale == "ERO"), 0)
    ero = predictions[column]
    calibrations = tuple(
        evaluate_calibration(each, target, rng) for each in predictions for target in ("score", "change")
    )
    worst_joints = find_worst_joints(pairs, by_first[column])
    return replace(
        results,
        joints=len(pairs.crops),
        change_errors=np.asarray(ero.errors, np.float64),
        uncertainty_metrics=(*(each.error for each in calibrations), *evaluate_by_uncertainty(ero, rng)),
        calibrations=calibrations,
        worst_joints=worst_joints,
        crops=tuple(np.array(pairs.crops[each.row]) for each in worst_joints),
        single_scores=sum(each.status.single for each in predictions),
    )

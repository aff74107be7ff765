"""Evaluation of a cross-validation: the predictions of each fold by the models that did not learn from it, pooled."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

import numpy as np
import torch

from ratui.detection.hand_finder import find_joints
from ratui.detection.joint_network import Detection
from ratui.errors import TrainError
from ratui.progress_bar import ProgressBar
from ratui.study import Study
from trainer.data.hands import load_hand_samples
from trainer.data.pairs import list_signed_cases, load_pair_samples, select_pairs
from trainer.evaluation.evaluate import DetectorOutput, Results, ScorerOutput, evaluate_predictions, join_losses
from trainer.evaluation.pooling import collect_seed_values
from trainer.experiments.cross_validation import CrossValidation
from trainer.inference.decisions import DEFAULT_DECISION, Floats
from trainer.inference.scoring import TrainedScorer, load_scorers, score_samples
from trainer.models.detector import load_detector
from trainer.training.detector_training import select_cases
from trainer.training.lineage import Lineage, read_lineage

__all__ = ["evaluate_folds"]

_Outputs: TypeAlias = tuple[DetectorOutput | None, ScorerOutput | None]


def evaluate_folds(
    experiment: CrossValidation, device: torch.device, *, decision: str = DEFAULT_DECISION, seed: int = 0
) -> Results:
    """Evaluate the out-of-fold predictions of a finished cross-validation.

    Each metric is the mean over the training seeds. Its interval is bootstrapped over patients; the values of each seed are
    in `Results.seed_values`. Cases that a parent of the models has learned from are left out.

    Parameters
    ----------
    experiment
        The cross-validation.
    device
        Device for the networks.
    decision
        Name of the decision rule of scorers.
    seed
        Seed of the bootstrap.

    Raises
    ------
    TrainError
        If no case is left, or a run can't be read.
    """
    study = Study.open(experiment.study)
    study.check_manager("evaluate models on it")
    folds = experiment.fold_of_cases()
    lineages = {
        (number, fold): read_lineage(experiment.run_folder(number, fold) / "model.pt")
        for number in experiment.all_seeds()
        for fold in experiment.list_used_folds()
    }
    signed = [case for case in list_signed_cases(study) if case in folds]
    seen = _seen_in_own_fold(lineages, folds, study.config.id)
    cases = tuple(case for case in signed if case not in seen)
    if not cases:
        raise TrainError("the models have learned from every signed case", study.path, "Start from other weights")
    predict = _predict_pairs if experiment.model == "scorer" else _detect
    outputs = predict(experiment, study, cases, folds, device)
    results = evaluate_predictions(cases, *outputs[0], np.random.default_rng(seed), decision=decision)
    single = [
        evaluate_predictions(cases, *each, np.random.default_rng(seed), decision=decision) for each in outputs[1:]
    ]
    return replace(
        results,
        excluded=len(signed) - len(cases),
        unknown_models=(experiment.model,) if not all(each.is_fully_known() for each in lineages.values()) else (),
        folds=len(experiment.list_used_folds()),
        seeds=experiment.all_seeds(),
        seed_values=collect_seed_values([(*each.headline, *each.other_metrics) for each in single]),
    )


def _seen_in_own_fold(lineages: dict[tuple[int, int], Lineage], folds: dict[str, int], study: str) -> set[str]:
    """Return the cases that a model of their own fold, or one whose weights it started from, has learned from."""
    return {
        case for (_, fold), lineage in lineages.items() for case in lineage.seen_cases(study) if folds.get(case) == fold
    }


def _predict_pairs(
    experiment: CrossValidation, study: Study, cases: tuple[str, ...], folds: dict[str, int], device: torch.device
) -> list[_Outputs]:
    """Return the probabilities of all seeds, then those of each: of each joint by the scorer of its case's fold."""
    with study.snapshot() as frozen:
        # The images of all cases are in the cache; those of the evaluated ones alone may not be.
        everything = load_pair_samples(frozen, tuple(sorted(folds)), experiment.samples, ProgressBar())
    pairs = select_pairs(everything, set(cases))
    scorers: list[TrainedScorer] = []
    by_seed: list[list[Floats]] = []
    for seed in experiment.all_seeds():
        tables: list[Floats] = [np.zeros((len(pairs.cases), grades, grades)) for grades in pairs.grades]
        for fold, rows in _rows_of_folds(pairs.cases, folds).items():
            part = select_pairs(pairs, {pairs.cases[row] for row in rows})
            scorers += load_scorers((experiment.run_folder(seed, fold),), device)
            for table, found in zip(tables, score_samples(scorers[-1:], part), strict=True):
                table[rows, : found.shape[1], : found.shape[2]] = found
        by_seed.append(tables)
    loss = join_losses(scorers)
    return [(None, ScorerOutput(pairs, tables, loss)) for tables in (by_seed, *([each] for each in by_seed))]


def _detect(
    experiment: CrossValidation, study: Study, cases: tuple[str, ...], folds: dict[str, int], device: torch.device
) -> list[_Outputs]:
    """Return the joints found with all seeds, then with each: on each hand by the detector of its case's fold."""
    with study.snapshot() as frozen:
        hands = load_hand_samples(frozen, cases, experiment.samples, ProgressBar(), independent=True)
    by_seed: list[list[dict[str, Detection]]] = []
    for seed in experiment.all_seeds():
        found: list[dict[str, Detection]] = [{} for _ in hands.cases]
        for fold, rows in _rows_of_folds(hands.cases, folds).items():
            part = select_cases(hands, {hands.cases[row] for row in rows})
            detector = load_detector(experiment.run_folder(seed, fold), device)
            for row, joints in zip(rows, find_joints(detector, part.images, study.scheme), strict=True):
                found[row] = joints
        by_seed.append(found)
    return [(DetectorOutput(hands, found), None) for found in (by_seed, *([each] for each in by_seed))]


def _rows_of_folds(cases: tuple[str, ...], folds: dict[str, int]) -> dict[int, list[int]]:
    """Return the rows by fold; `cases` gives the case of each row."""
    rows: dict[int, list[int]] = {}
    for row, case in enumerate(cases):
        rows.setdefault(folds[case], []).append(row)
    return rows

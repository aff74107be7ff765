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
from ratui.study import Study
from trainer.data.hands import hand_samples
from trainer.data.pairs import PairSamples, pair_samples, read_cases
from trainer.evaluation.evaluate_detector import detection
from trainer.evaluation.evaluate_scorer import (
    Calibration,
    Judged,
    Worst,
    by_doubt,
    calibration,
    judged,
    rank,
    scoring,
    worst,
)
from trainer.evaluation.metrics import Figure, Floats
from trainer.inference.decisions import DEFAULT_DECISION
from trainer.inference.hand_finder import find_joints
from trainer.models.detector import load_detector
from trainer.models.scorer import check_scheme, load_scorer, predict
from trainer.training.runs import load_split, progress

__all__ = ["Figure", "Results", "evaluate"]


@dataclass(frozen=True)
class Results:
    """All that an evaluation found on `cases`. `differences` are errors of the ERO difference for the histogram, `crops` by
    place in `worst` the pair of pictures (2, S, S) uint8, `sure` what the model's doubt is worth."""

    cases: tuple[str, ...]
    films: int
    joints: int
    headline: tuple[Figure, ...]
    more: tuple[Figure, ...]
    differences: Floats
    loss: str
    decision: str = DEFAULT_DECISION
    doubted: tuple[Figure, ...] = field(default=())
    sure: tuple[Calibration, ...] = field(default=())
    worst: tuple[Worst, ...] = field(default=())
    crops: tuple[npt.NDArray[np.uint8], ...] = field(default=())


def evaluate(
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
    cases = tuple(case for case in read_cases(study) if case not in learnt)
    if not cases:
        raise TrainError("the models have learnt from every read case", study.path, "Hold some out, or read more")
    rng = np.random.default_rng(seed)
    with study.snapshot() as still:
        hands = hand_samples(still, cases, out / "samples", progress) if detector is not None else None
        pairs = pair_samples(still, cases, out / "samples", progress)
    headline: list[Figure] = []
    more: list[Figure] = []
    if detector is not None and hands is not None:
        headline, more = detection(hands, find_joints(load_detector(detector, device), hands.images, study.scheme), rng)
    model, about = load_scorer(scorer, device)
    check_scheme(about, pairs.scales, pairs.group_names, scorer)
    chances = predict(model, pairs.crops, pairs.groups, pairs.tops)
    answers = [judged(pairs, chances[scale], scale, decision) for scale in range(len(pairs.scales))]
    for scale, each in enumerate(answers):
        first, rest = scoring(each, rng)
        headline, rest = (headline + first, rest) if each.scale == "ERO" else (headline, first + rest)
        more += [*rest, rank(pairs, each, chances[scale], rng)]
    measured = {*pairs.cases, *(hands.cases if hands else ())}
    return _told(
        tuple(case for case in cases if case in measured),
        pairs,
        answers,
        len(hands.images) if hands else 0,
        headline,
        more,
        str(about["loss"]),
        decision,
        rng,
    )


def _told(
    cases: tuple[str, ...],
    pairs: PairSamples,
    answers: list[Judged],
    films: int,
    headline: list[Figure],
    more: list[Figure],
    loss: str,
    decision: str,
    rng: np.random.Generator,
) -> Results:
    """The results, with what concerns ERO alone: its histogram, its doubt, its worst joints."""
    ero = next((each for each in answers if each.scale == "ERO"), answers[0])
    sure = tuple(calibration(each, what, rng) for each in answers for what in ("score", "change"))
    bad = worst(pairs, ero)
    return Results(
        cases,
        films,
        len(pairs.crops),
        tuple(headline),
        tuple(more),
        np.asarray(ero.errors, np.float64),
        loss,
        decision,
        (*(each.error for each in sure), *by_doubt(ero, rng)),
        sure,
        bad,
        tuple(np.array(pairs.crops[each.row]) for each in bad),
    )

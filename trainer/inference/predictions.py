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

from ratui.study import Study
from ratui.study.predictions import Answer, save_answers, save_order
from trainer.data.pairs import PairSamples, pair_samples
from trainer.evaluation.metrics import Floats
from trainer.inference.decisions import DEFAULT_DECISION, decide, doubt, of_time
from trainer.models.scorer import check_scheme, load_scorer, predict
from trainer.training.runs import progress

__all__ = ["Answered", "answer", "answers_of", "expected_error", "teaching"]


@dataclass(frozen=True)
class Answered:
    """How many cases were answered, and the open ones in the order in which they would teach most."""

    cases: int
    order: tuple[str, ...]


def answer(
    study: Study,
    run: Path,
    name: str,
    device: torch.device,
    folder: Path,
    *,
    decision: str = DEFAULT_DECISION,
    order: bool = False,
) -> Answered:
    """Answers every case that has regions, confirmed or proposed, by the scorer in `run`; `folder` keeps the crops.

    With `order` the cases that some rater hasn't signed are put in order, what teaches most first. Raises TrainError.
    """
    model, about = load_scorer(run, device)
    cases = [case for case in study.cases() if not study.case(case).unreadable(study.scheme)]
    with study.snapshot() as still:
        pairs = pair_samples(still, cases, folder, progress, proposed=True)
    check_scheme(about, pairs.scales, pairs.group_names, run)
    chances = predict(model, pairs.crops, pairs.groups, pairs.tops)
    for case, found in answers_of(pairs, chances, decision).items():
        save_answers(study, name, case, found)
    ranked: tuple[str, ...] = ()
    if order:
        signed = {case for case in cases if len(study.signed_readings(case)) == len(study.config.raters)}
        worth = teaching(pairs, chances)
        ranked = tuple(sorted((case for case in worth if case not in signed), key=lambda case: (-worth[case], case)))
        save_order(study, ranked, name)
    return Answered(len(set(pairs.cases)), ranked)


def answers_of(pairs: PairSamples, chances: Sequence[Floats], decision: str) -> dict[str, list[Answer]]:
    """The answers of each case, joints in their order; a scale that a joint lacks has none."""
    found: dict[str, list[Answer]] = {}
    said = [decide(decision, each) for each in chances]
    doubted = [doubt(each, one.change) for each, one in zip(chances, said, strict=True)]
    of_times = [of_time(each) for each in chances]
    for row, (case, site) in enumerate(zip(pairs.cases, pairs.sites, strict=True)):
        for scale, name in enumerate(pairs.scales):
            top = int(pairs.tops[row, scale])
            if top < 0:
                continue
            earlier, later = (_whole(of_times[scale][row, time, : top + 1]) for time in (0, 1))
            grades = said[scale].grades[row]
            found.setdefault(case, []).append(
                Answer(
                    site,
                    name,
                    (int(grades[0]), int(grades[1])),
                    (earlier, later),
                    int(said[scale].change[row]),
                    round(float(doubted[scale][row]), 4),
                )
            )
    return found


def teaching(pairs: PairSamples, chances: Sequence[Floats]) -> dict[str, float]:
    """How much each case would teach: the error that the model expects of its own best answers, over all its joints."""
    worth: dict[str, float] = dict.fromkeys(pairs.cases, 0.0)
    for scale, pair in enumerate(chances):
        expects = expected_error(pair)
        for row, case in enumerate(pairs.cases):
            if pairs.tops[row, scale] >= 0:
                worth[case] += float(expects[row])
    return worth


def expected_error(pair: Floats) -> Floats:
    """The error to be expected, (N,), of the best answer to the change and to both grades."""
    said = decide("median", pair)
    grades = np.arange(pair.shape[1])
    status = (of_time(pair) * np.abs(grades - said.grades[..., None])).sum(axis=(1, 2))
    return np.asarray(doubt(pair, said.change) + status)


def _whole(chances: npt.NDArray[np.float64]) -> tuple[float, ...]:
    """Chances with four digits that still add up to 1."""
    rounded = [round(float(chance), 4) for chance in chances]
    rounded[int(np.argmax(chances))] += 1 - sum(rounded)
    return tuple(round(chance, 4) for chance in rounded)

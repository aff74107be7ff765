"""Verdicts of trained models on films: like those that they learned from, or not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ratui.detection.finger_joints import JOINT_KINDS
from ratui.detection.hand_finder import FoundHand, turn_upright
from ratui.study.model_results.model_domain import DomainReason, DomainVerdict
from trainer.data.pairs import PairSamples
from trainer.inference.scoring import TrainedScorer
from trainer.models.detector import JointDetector
from trainer.training.detector_domain import crop_for_refiner, extract_refiner_features
from trainer.training.model_domain import ModelDomain, worst_verdict
from trainer.training.scorer_domain import extract_scorer_features

__all__ = ["judge_films", "judge_hand", "list_unlike_rows"]


def judge_hand(
    model: JointDetector, domain: ModelDomain, levels: npt.NDArray[np.float32], hand: FoundHand
) -> DomainVerdict:
    """Return the verdict of the detector `model` on the film with grey levels `levels`, on which it found `hand`.

    The finger joints decide; a hand without any has too few joints for a verdict.
    """
    upright, joints = turn_upright(levels, hand)
    fingers = [each for each in joints.values() if each.candidate.kind in JOINT_KINDS]
    if not fingers:
        return DomainVerdict(None, DomainReason.FEW_JOINTS)
    crops = [crop_for_refiner(upright, each.box, mirrored=hand.side == "R") for each in fingers]
    return domain.judge(extract_refiner_features(model, np.stack(crops)))


def judge_films(scorers: Sequence[TrainedScorer], samples: PairSamples) -> dict[str, DomainVerdict]:
    """Return the verdict on each film of `samples`, named as in `PairSamples.list_films`.

    Of several scorers the strictest counts.
    """
    films: dict[str, list[tuple[int, int]]] = {}
    for each in samples.list_films():
        films.setdefault(each.film, []).append((each.row, each.place))
    verdicts: dict[str, list[DomainVerdict]] = {film: [] for film in films}
    for scorer in scorers:
        features = extract_scorer_features(scorer.network, samples.crops)
        for film, places in films.items():
            verdicts[film].append(scorer.domain.judge(np.stack([features[row, place] for row, place in places])))
    return {film: worst_verdict(each) for film, each in verdicts.items()}


def list_unlike_rows(samples: PairSamples, verdicts: dict[str, DomainVerdict]) -> frozenset[int]:
    """Return the rows of `samples` with a film that is not like those of the training."""
    return frozenset(each.row for each in samples.list_films() if not verdicts[each.film].is_like)

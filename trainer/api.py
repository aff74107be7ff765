"""The Python interface of the trainer: trained models applied to films outside a study."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from ratui.detection.finger_joints import normalise_levels
from ratui.detection.hand_finder import FoundHand
from ratui.detection.site_finder import find_foot_sites, find_sites
from ratui.errors import TrainError, clean_text
from ratui.imaging import Box, Film
from ratui.scheme import Scheme, load_scheme
from ratui.study.model_results.model_domain import DomainVerdict
from ratui.study.model_results.predictions import Prediction
from trainer.data.pairs import MARGIN, PairSamples, crop_joint
from trainer.inference.decisions import DEFAULT_DECISION
from trainer.inference.domain import judge_hand
from trainer.inference.predictions import make_predictions
from trainer.models.detector import JointDetector
from trainer.models.detector import load_detector as load_detector_network
from trainer.models.scorer import PairScorer, load_scorer_network, predict
from trainer.training.model_domain import REASONS, ModelDomain, load_domain
from trainer.training.scorer_domain import extract_scorer_features

__all__ = ["DetectedHand", "DetectedJoint", "Detector", "JointImage", "Scorer", "load_detector", "load_scorer"]

JointImage: TypeAlias = tuple[Film, tuple[float, float, float, float]] | npt.NDArray[Any]
"""A joint on a film: the film with the joint's box, or a square crop (rows, columns) with bone bright."""


@dataclass(frozen=True)
class DetectedJoint:
    """A joint found on a film.

    `box` is (x0, y0, x1, y1) in pixels of the film. `score` is the detector's confidence that this is a joint, from 0
    to 1. `finding` is the probability of a special finding (ankylosis or collapse), from 0 to 1; it is NaN if the film is
    unlike those that the detector learned from, and for sites of the wrist or foot, whose findings the detector does not
    judge.
    """

    box: Box
    score: float
    finding: float

    def __repr__(self) -> str:
        x0, y0, x1, y1 = (round(value) for value in self.box)
        return f"DetectedJoint(({x0}, {y0}, {x1}, {y1}), score {self.score:.2f}, finding {self.finding:.2f})"


@dataclass(frozen=True)
class DetectedHand:
    """A hand found on a film: its apparent side, ``"L"`` or ``"R"``, and its finger joints and sites of the wrist by name.

    It may also be a foot, with its joints. A mirrored hand has the apparent side of the other hand. `rotation` is the
    clockwise turn of the film, in degrees (0, 90, 180 or 270), after which the hand is nearest to the upright position.
    `domain_score` is above 1 if the film is unlike those that the detector learned from, and None if it can't be computed.
    `no_finding` states why there are no findings, or is empty.
    """

    side: str
    joints: Mapping[str, DetectedJoint]
    rotation: int = 0
    domain_score: float | None = None
    no_finding: str = ""

    def __repr__(self) -> str:
        return f"DetectedHand({self.side}: {', '.join(self.joints)})"


class Detector:
    """A trained joint detector. Get one from `load_detector`."""

    def __init__(self, network: JointDetector, name: str, domain: ModelDomain) -> None:
        self.network = network
        self.name = name
        self.domain = domain
        self._scheme = load_scheme("mtss-hands")

    def __repr__(self) -> str:
        return f"Detector({self.name!r})"

    def find(self, film: Film, *, max_hands: int = 2, part: Literal["hand", "foot"] = "hand") -> list[DetectedHand]:
        """Find the hands on a film and name their finger joints and the sites of their wrists, as in ``mtss-hands``.

        On a film without a whole hand, a wrist alone is searched. With `part` ``foot``, feet are searched, and their joints
        are named as in ``mtss``.

        Parameters
        ----------
        film
            A film as `ratui.read_film` returns it.
        max_hands
            The largest number of hands or feet to return; no side is returned twice.
        part
            What the film shows, ``hand`` or ``foot``: the detector does not tell them apart.

        Returns
        -------
        list of DetectedHand
            The best hand first; empty if no hand is recognised. Boxes are in pixels of `film`. The detector learned
            simulated hands and feet only; ``docs/results.md`` states the films that its accuracy was measured on. Feet were
            measured on no real film.
        """
        levels = normalise_levels(film)
        if part == "foot":
            feet = find_foot_sites(self.network, levels, load_scheme("mtss"), max_feet=max_hands)
            return [_describe_foot(foot) for foot in feet]
        hands = []
        for hand in find_sites(self.network, levels, self._scheme, max_hands=max_hands):
            verdict = judge_hand(self.network, self.domain, levels, hand)
            joints = {
                name: DetectedJoint(found.box, found.candidate.score, found.finding if verdict.is_like else math.nan)
                for name, found in hand.joints.items()
            }
            reason = REASONS[verdict.reason] if verdict.reason else ""
            hands.append(DetectedHand(hand.side, joints, hand.rotation, verdict.score, reason))
        return hands


class Scorer:
    """A trained scorer of joint pairs. Get one from `load_scorer`."""

    def __init__(
        self, network: PairScorer, about: Mapping[str, Any], name: str, scheme: Scheme, domain: ModelDomain
    ) -> None:
        self.network = network
        self.name = name
        self.domain = domain
        self._about = about
        self._scheme = scheme

    def __repr__(self) -> str:
        return f"Scorer({self.name!r}, {', '.join(self._about['scales'])})"

    def score(self, earlier: JointImage, later: JointImage, *, joint: str, side: str) -> dict[str, Prediction]:
        """Predict the grades of one joint at two time points.

        It answers for any image. Whether the scorer knows such films, only several joints of a film can tell: see `judge`.

        Parameters
        ----------
        earlier, later
            The joint at both time points: a film with the joint's box in its pixels, or a square crop of any size that
            shows 1.25 times the box, with bone bright (integers over their type's range, or floats from 0 to 1).
        joint
            The joint's name in the scheme, such as ``"MCP2"``.
        side
            ``"L"`` or ``"R"``. Right joints are mirrored, as in training.

        Returns
        -------
        dict of str to Prediction
            For each scale of the joint (``"ERO"``, ``"JSN"``): `grades` at both time points, `probabilities` of each
            grade at each time point, the predicted `change`, and its `uncertainty` in grades.

        Raises
        ------
        TrainError
            If the scorer did not learn such joints, or if `side` or a crop is invalid.
        """
        if side not in ("L", "R"):
            raise TrainError(f"{clean_text(side)} is not a side", "side", "Give L or R")
        known = {each.id: each for each in self._scheme.joints}
        if joint not in known or known[joint].group not in self._about["group_names"]:
            raise TrainError(
                f"the scorer did not learn the joint {clean_text(joint)}", self.name, f"Known: {', '.join(known)}"
            )
        scales = tuple(self._about["scales"])
        largest = [known[joint].max_grade(scale) if scale in known[joint].scales else -1 for scale in scales]
        # A scorer of another scheme may know fewer grades; it cannot predict the others.
        learned = [int(count) - 1 for count in self._about["grades"]]
        samples = PairSamples(
            crops=np.stack([_crop(image, mirrored=side == "R") for image in (earlier, later)])[None],
            labels=np.full((1, 1, len(scales), 2), -1, np.int64),
            max_grades=np.array([[min(a, b) for a, b in zip(largest, learned, strict=True)]], np.int64),
            groups=np.array([tuple(self._about["group_names"]).index(known[joint].group)], np.int64),
            has_finding=np.zeros((1, 1, 2), bool),
            cases=("",),
            sites=(f"{side}.{joint}",),
            group_names=tuple(self._about["group_names"]),
            scales=scales,
        )
        probabilities = predict(self.network, samples.crops, samples.groups, samples.max_grades)
        return {each.scale: each for each in make_predictions(samples, probabilities, DEFAULT_DECISION)[""]}

    def judge(self, images: Sequence[JointImage], *, side: str) -> DomainVerdict:
        """Judge whether a film is like those that the scorer learned from.

        Parameters
        ----------
        images
            At least three joints of one hand or foot on the film, each as for `score`.
        side
            ``"L"`` or ``"R"``.

        Returns
        -------
        DomainVerdict
            `is_like` is False if grades for this film should not be used. `score` is above 1 then, or None if it can't be
            computed; `reason` tells why.

        Raises
        ------
        TrainError
            If `side` or a crop is invalid.
        """
        if side not in ("L", "R"):
            raise TrainError(f"{clean_text(side)} is not a side", "side", "Give L or R")
        if not images:
            return self.domain.judge(np.zeros((0, len(self.domain.known.mean) if self.domain.known else 0)))
        crops = np.stack([_crop(image, mirrored=side == "R") for image in images])
        return self.domain.judge(extract_scorer_features(self.network, np.stack([crops, crops], axis=1))[:, 0])


def load_detector(run: str | Path = "shipped", *, device: str = "cpu") -> Detector:
    """Load a trained detector.

    Parameters
    ----------
    run
        The folder of a run of ``ratui-train detector``, or ``"shipped"`` for the detector that comes with the package.
    device
        A torch device, such as ``"cpu"`` or ``"cuda"``.

    Returns
    -------
    Detector
        The detector, ready to use.

    Raises
    ------
    TrainError
        If there is no such run, or its checkpoint is not of a detector.

    Examples
    --------
    >>> import ratui, trainer
    >>> film = ratui.read_film("sample_data/study/films/C-6TVYOC/3dcbcb13d7c4.dcm")
    >>> hands = trainer.load_detector("shipped").find(film)
    >>> hands[0].side, len(hands[0].joints), "MCP2" in hands[0].joints, "LUN" in hands[0].joints
    ('L', 22, True, True)
    """
    return Detector(load_detector_network(Path(run), torch.device(device)), str(run), load_domain(Path(run)))


def load_scorer(run: str | Path, *, scheme: str = "mtss", device: str = "cpu") -> Scorer:
    """Load a trained scorer.

    Parameters
    ----------
    run
        The folder of a run of ``ratui-train scorer``.
    scheme
        The scheme that names the joints: ``"fingers"``, ``"mtss-hands"``, ``"mtss"``, or a TOML file.
    device
        A torch device, such as ``"cpu"`` or ``"cuda"``.

    Returns
    -------
    Scorer
        The scorer, ready to use.

    Raises
    ------
    TrainError
        If there is no such run, or its checkpoint is not of a scorer.
    SchemeError
        If there is no such scheme.
    """
    network, about = load_scorer_network(Path(run), torch.device(device))
    return Scorer(network, about, str(run), load_scheme(scheme), load_domain(Path(run)))


def _describe_foot(foot: FoundHand) -> DetectedHand:
    joints = {name: DetectedJoint(found.box, found.candidate.score, math.nan) for name, found in foot.joints.items()}
    return DetectedHand(foot.side, joints, foot.rotation, None, "the detector does not judge the joints of feet")


def _crop(image: JointImage, *, mirrored: bool) -> npt.NDArray[np.uint8]:
    """Return the joint as the scorer learned it: a square of `PAIR_CROP_SIZE` pixels, a left joint, bone bright."""
    if isinstance(image, tuple):
        film, box = image
        return crop_joint(normalise_levels(film), Box(*box), mirrored)
    levels = np.asarray(image)
    if levels.ndim != 2 or levels.shape[0] != levels.shape[1] or levels.size == 0:
        raise TrainError(f"a crop has the shape {levels.shape}", "score", "Give a square (rows, columns)")
    if np.issubdtype(levels.dtype, np.integer):
        levels = levels / np.iinfo(levels.dtype).max
    side = levels.shape[0] / MARGIN
    low, high = (levels.shape[0] - side) / 2, (levels.shape[0] + side) / 2
    return crop_joint(levels.astype(np.float32), Box(low, low, high, high), mirrored)

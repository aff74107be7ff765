"""Measure a scorer that was trained on simulated films on real films, and on held-out simulated ones.

Run ``python -m benchmarks.real_scores SCORER [--hand FILM.dcm] [--wrists FOLDER] [--phantoms N] [--crops FOLDER]``.

FILM.dcm is a healthy hand: every grade above 0 is an error. The wrists are pictures of wrists without fingers, with
``labels.csv``, which states for each file its patient, its side, and whether the wrist is erosive. Both get the boxes of the
detector (``--detector``, shipped by default), and both time points of the scorer show the same film. The grades of simulated
patients are known. The crops are a folder as `benchmarks.realism` reads it; they have no labels, so only the share of joints
with a finding is given, beside that of simulated crops which were cut in the same way. All shares and sums are before any
abstention. "Own statistics" are those of a scorer whose normalisation statistics were recomputed on the measured films,
which needs no labels.
"""

from __future__ import annotations

import argparse
import copy
import csv
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from scipy.stats import spearmanr
from torch import nn

from benchmarks.real_or_simulated import area
from benchmarks.realism import SIDE, Crop, read_real, simulate
from ratui.detection.finger_joints import COARSE_SIZE, FINE_SIZE, JOINT_KINDS, normalise_levels
from ratui.detection.joint_network import Detection
from ratui.detection.site_finder import find_sites
from ratui.detection.wrist_sites import WRIST_SITES
from ratui.imaging import normalize_intensity, read_film
from ratui.scheme import load_scheme
from trainer.data.cohort import load_cohort
from trainer.data.pairs import PairSamples, crop_joint
from trainer.inference.scoring import TrainedScorer, load_scorers, score_samples
from trainer.models.detector import JointDetector, finding_log_odds, load_detector, refine_boxes
from trainer.training.scorer_domain import extract_scorer_features

SCHEME = load_scheme("mtss-hands")
_SEED = 90_001  # of the held-out patients
_FINDING = 0.5  # of a calibrated probability
_BOX_SHARE = 0.9
"""Side of a joint's box relative to a crop of `benchmarks.realism`."""


def take_samples(levels: npt.NDArray[np.float32], joints: Mapping[str, Detection], side: str, case: str) -> PairSamples:
    """Return the `joints` of one film as samples without labels, at both time points the same film."""
    sites = [SCHEME.site(f"{side}.{name}") for name in joints]
    names = tuple(dict.fromkeys(joint.group for joint in SCHEME.joints))
    crops = np.stack([crop_joint(levels, each.box, side == "R") for each in joints.values()])
    largest = [
        [site.joint.max_grade(scale) if scale in site.joint.scales else -1 for scale in SCHEME.scales] for site in sites
    ]
    count = len(sites)
    return PairSamples(
        np.stack([crops, crops], axis=1),
        np.full((count, 1, len(SCHEME.scales), 2), -1, np.int64),
        np.array(largest, np.int64),
        np.array([names.index(site.joint.group) for site in sites]),
        np.zeros((count, 1, 2), bool),
        (case,) * count,
        tuple(site.key for site in sites),
        names,
        SCHEME.scales,
    )


def expected_grades(scorers: Sequence[TrainedScorer], samples: PairSamples) -> npt.NDArray[np.float64]:
    """Return the expected grade of each joint, scale and time point, (N, scales, 2), NaN for scales that it lacks."""
    grades = []
    for scale, pair in enumerate(score_samples(scorers, samples)):
        number = np.arange(pair.shape[1])
        both = np.stack([pair.sum(axis=2) @ number, pair.sum(axis=1) @ number], axis=1)
        grades.append(np.where(samples.max_grades[:, scale, None] >= 0, both, np.nan))
    return np.stack(grades, axis=1)


def domain_score(scorer: TrainedScorer, samples: PairSamples) -> str:
    """Return the domain score of a film's `samples` as text."""
    score = scorer.domain.judge(extract_scorer_features(scorer.network, samples.crops)[:, 0]).score
    return "unknown" if score is None else f"{score:.2f}"


def with_own_statistics(scorers: Sequence[TrainedScorer], films: Sequence[PairSamples]) -> list[TrainedScorer]:
    """Return copies of the scorers with the normalisation statistics of the joints of `films`."""
    crops = torch.from_numpy(np.concatenate([samples.crops for samples in films])).float() / 255
    copies = []
    for scorer in scorers:
        network = copy.deepcopy(scorer.network)
        norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the mean over all that follows
            norm.train()
        with torch.inference_mode():
            network.extract_features(crops)
        copies.append(replace(scorer, network=network.eval()))
    return copies


def measure_hand(scorers: Sequence[TrainedScorer], detector: JointDetector, file: Path) -> str:
    """Return the grades of a healthy hand as Markdown."""
    levels = normalise_levels(read_film(file))
    (hand,) = find_sites(detector, levels, SCHEME)
    samples = take_samples(levels, hand.joints, hand.side, "hand")
    plain = expected_grades(scorers, samples)[..., 0]
    own = expected_grades(with_own_statistics(scorers, [samples]), samples)[..., 0]
    is_finger = np.array([site.partition(".")[2] not in WRIST_SITES for site in samples.sites])
    lines = [
        "| healthy hand | sites | largest | sum of expected grades | sum of rounded grades | own statistics: expected |",
        "|---|---|---|---|---|---|",
    ]
    for label, chosen in (("fingers", is_finger), ("wrist", ~is_finger)):
        for column, scale in enumerate(SCHEME.scales):
            part = plain[chosen, column]
            part = part[np.isfinite(part)]
            largest = int(samples.max_grades[chosen, column].clip(min=0).sum())
            lines.append(
                f"| {scale}, {label} | {len(part)} | {largest} | {part.sum():.1f} | {np.rint(part).sum():.0f} "
                f"| {np.nansum(own[chosen, column]):.1f} |"
            )
    findings = [each.finding for each in hand.joints.values() if np.isfinite(each.finding)]
    lines.append(
        f"\nDomain scores: {', '.join(domain_score(each, samples) for each in scorers)}. "
        f"The detector has a finding on {sum(value >= _FINDING for value in findings)} of {len(findings)} finger joints."
    )
    return "\n".join(lines)


def measure_wrists(scorers: Sequence[TrainedScorer], detector: JointDetector, folder: Path) -> str:
    """Return how well expected grades separate erosive from other wrists, as Markdown."""
    with (folder / "labels.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    films, ill, patients, above, missing = list[PairSamples](), list[bool](), list[str](), 0, 0
    for row in rows:
        levels = normalize_intensity(np.asarray(Image.open(folder / row["file"]).convert("L")))
        found = find_sites(detector, levels, SCHEME, sides=(row["side"],), is_whole=False)
        if not found:
            missing += 1
            continue
        films.append(take_samples(levels, found[0].joints, row["side"], row["file"]))
        ill.append(row["erosive"] == "1")
        patients.append(row["patient"])
        features = extract_scorer_features(scorers[0].network, films[-1].crops)[:, 0]
        verdict = scorers[0].domain.judge(features).score
        above += verdict is not None and verdict > 1
    is_ill, names = np.array(ill), sorted(set(patients))
    rng, number = np.random.default_rng(_SEED), np.arange(len(patients))
    own = [number[np.array(patients) == name] for name in names]
    picks = [np.concatenate([own[n] for n in rng.integers(0, len(own), len(own))]) for _ in range(2000)]
    picks = [pick for pick in picks if 0 < is_ill[pick].sum() < len(pick)]
    count = f"{len(films)} wrists of {len(names)} patients, {is_ill.sum()} erosive; {missing} not found"
    lines = [
        f"{count}; domain score above 1: {above}\n",
        "| expected grades, summed over the wrist | AUC | 95 % interval | mean of the erosive | mean of the others |",
        "|---|---|---|---|---|",
    ]
    for label, models in (("", scorers), (", own statistics", with_own_statistics(scorers, films))):
        totals = np.array([np.nansum(expected_grades(models, samples)[..., 0], axis=0) for samples in films])
        for column, scale in enumerate(SCHEME.scales):
            values = totals[:, column]
            low, high = np.percentile([area(values[pick], is_ill[pick]) for pick in picks], (2.5, 97.5))
            lines.append(
                f"| {scale}{label} | {area(values, is_ill):.2f} | {low:.2f} to {high:.2f} "
                f"| {values[is_ill].mean():.1f} | {values[~is_ill].mean():.1f} |"
            )
    return "\n".join(lines)


def measure_phantoms(scorers: Sequence[TrainedScorer], count: int) -> str:
    """Return the accuracy on `count` held-out simulated patients as Markdown. Joints with a finding are left out."""
    with tempfile.TemporaryDirectory() as folder:
        people = load_cohort(count, _SEED, Path(folder), lambda *_: None, scheme="mtss-hands")
        rows = len(people.crops)
        samples = PairSamples(
            people.crops,
            np.full((rows, 1, len(SCHEME.scales), 2), -1, np.int64),
            people.max_grades,
            people.groups,
            people.has_finding[:, None],
            tuple(str(who) for who in people.patient_index),
            people.sites,
            people.group_names,
            SCHEME.scales,
        )
        found = expected_grades(scorers, samples)
    kept = ~people.has_finding.any(axis=1)
    lines = [
        f"{count} held-out simulated patients, {kept.sum()} joints without a finding\n",
        "| scale | mean absolute error | if all were 0 | rank correlation | error of the change | if none changed |",
        "|---|---|---|---|---|---|",
    ]
    for column, scale in enumerate(SCHEME.scales):
        chosen = kept & (people.max_grades[:, column] >= 0)
        truth, answer = people.true_grades[chosen, column].astype(float), found[chosen, column]
        change = truth[:, 1] - truth[:, 0]
        lines.append(
            f"| {scale} | {np.abs(answer - truth).mean():.3f} | {truth.mean():.3f} "
            f"| {spearmanr(answer.ravel(), truth.ravel()).statistic:.3f} "
            f"| {np.abs(answer[:, 1] - answer[:, 0] - change).mean():.3f} | {np.abs(change).mean():.3f} |"
        )
    sums = []
    for column in range(len(SCHEME.scales)):
        answer, truth = (np.nan_to_num(values[:, column].astype(float)) for values in (found, people.true_grades))
        hands = [f"{who} {site[0]}" for who, site in zip(people.patient_index, people.sites, strict=True)]
        is_finger = [site.partition(".")[2] not in WRIST_SITES for site in people.sites]
        names, place = np.unique(hands, return_inverse=True)
        own = np.zeros((2, len(names), 2))
        for row in np.flatnonzero(is_finger):
            own[:, place[row]] += answer[row], truth[row]
        healthy = own[0][own[1] == 0]
        sums.append(f"{SCHEME.scales[column]} {healthy.mean():.1f} ({len(healthy)} films)" if len(healthy) else "none")
    lines.append(f"\nSum of expected grades of the fingers where all are 0, mean: {', '.join(sums)}.")
    return "\n".join(lines)


@torch.inference_mode()
def share_with_finding(detector: JointDetector, crops: Sequence[Crop]) -> str:
    """Return how many of the crops show a finding according to the refiner, before abstention.

    A crop shows less than the refiner sees, so its border is repeated.
    """
    count = named = 0
    against = finding_log_odds(detector)
    margin = SIDE // 2
    middle, size = COARSE_SIZE / 2, COARSE_SIZE * _BOX_SHARE * SIDE / (SIDE + 2 * margin)
    box = torch.tensor([[middle - size / 2, middle - size / 2, middle + size / 2, middle + size / 2]])
    for crop in crops:
        wide = np.pad(crop.levels, margin, mode="edge")
        levels = np.asarray(Image.fromarray(wide).resize((FINE_SIZE, FINE_SIZE), Image.Resampling.BILINEAR))
        seen = refine_boxes(detector, torch.from_numpy(levels.copy())[None], box, against)
        named += int(seen.kinds[0].argmax()) == 1 + JOINT_KINDS.index("MCP")
        count += float(seen.finding.sigmoid()) >= _FINDING
    return f"a finding on {count} of {len(crops)} ({count / len(crops):.0%}), taken for an MCP joint: {named}"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scorers", type=Path, nargs="+", help="folders of runs; several answer together")
    parser.add_argument("--detector", type=Path, default=Path("shipped"))
    parser.add_argument("--hand", type=Path)
    parser.add_argument("--wrists", type=Path)
    parser.add_argument("--phantoms", type=int, default=0)
    parser.add_argument("--crops", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    cpu = torch.device("cpu")
    scorers, detector = load_scorers(given.scorers, cpu), load_detector(given.detector, cpu)
    if given.hand:
        print(measure_hand(scorers, detector, given.hand) + "\n", flush=True)
    if given.wrists:
        print(measure_wrists(scorers, detector, given.wrists) + "\n", flush=True)
    if given.phantoms:
        print(measure_phantoms(scorers, given.phantoms) + "\n", flush=True)
    if given.crops:
        real = read_real(given.crops)
        print(f"Real MCP crops: {share_with_finding(detector, real)}.", flush=True)
        print(f"Simulated crops, cut alike: {share_with_finding(detector, simulate(real[::3]))}.")
    if not (given.hand or given.wrists or given.phantoms or given.crops):
        print("Give at least one of --hand, --wrists, --phantoms and --crops", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()

"""Measure which films a model takes for unlike those that it learned from, and what it answers for the others.

Run ``python -m benchmarks.domain RUN [--scorer RUN] [--hands N] [--hand FILM.dcm] [--crops FOLDER]``.

The hands are simulated films of new patients, as they are and changed; joints are those that the detector finds on the
unchanged film. FILM.dcm is a real hand, also redrawn as other hands, poses and machines. FOLDER has real joints as
``*/0.jpg``, ``*/1.jpg``, …; these crops show about one box, so simulated joints are cut in the same way for comparison, and
the statistics are those of one half of the simulated hands.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from benchmarks.real_hand import redrawn
from ratui.detection.finger_joints import normalise_levels
from ratui.detection.hand_finder import FoundHand, find_hands, turn_upright
from ratui.imaging import Box, Film, normalize_intensity, read_film
from ratui.phantom import render, simulate_patient
from ratui.scheme import load_scheme
from trainer.data.pairs import crop_joint
from trainer.inference.domain import judge_hand
from trainer.inference.scoring import load_scorers
from trainer.models.detector import JointDetector, load_detector
from trainer.models.refiner import REFINER_CROP_SIZE
from trainer.training.detector_domain import extract_refiner_features
from trainer.training.domain_statistics import MIN_JOINTS, fit_domain
from trainer.training.model_domain import load_domain
from trainer.training.scorer_domain import extract_scorer_features

SCHEME = load_scheme("fingers")
_Levels = npt.NDArray[np.float32]
_SEED = 503
_FINDING = 0.5  # of a calibrated probability


def simulate(count: int) -> Iterator[tuple[_Levels, str, set[str]]]:
    """Yield `count` films of one hand each: grey levels, side, and the joints with a finding. Half are severely damaged."""
    scheme = load_scheme("mtss-hands")
    for number in range(count):
        rng = np.random.default_rng([_SEED, number])
        patient = simulate_patient(rng, scheme, severity=float(rng.uniform(1.0, 4.0)) if number % 2 else None)
        side = "LR"[number // 2 % 2]
        film = render(patient, "L" if side == "L" else "R", 1, rng, size=(1060, 848))
        ill = {site.partition(".")[2] for site, time in patient.findings if time == 1 and site.startswith(side)}
        yield normalise_levels(Film(film.pixels, 12)), side, ill


def changes(levels: _Levels, rng: np.random.Generator) -> dict[str, _Levels]:
    """Return the film as it is, and strongly changed."""
    blur = 4 * max(levels.shape) / 1060
    clahe = cv2.createCLAHE(4.0, (8, 8)).apply(np.rint(levels * 65535).astype(np.uint16))
    small = cv2.resize(levels, None, fx=0.3, fy=0.3, interpolation=cv2.INTER_AREA)
    return {
        "as it is": levels,
        "blurred (σ 4 of 1060 pixels)": np.asarray(cv2.GaussianBlur(levels, (0, 0), blur), np.float32),
        "0.3 of the resolution": np.asarray(cv2.resize(small, levels.shape[::-1]), np.float32),
        "noise (σ 0.12)": np.clip(levels + rng.normal(0, 0.12, levels.shape).astype(np.float32), 0, 1),
        "inverted": np.float32(1) - levels,
        "CLAHE (clip limit 4)": np.asarray(clahe, np.float32) / np.float32(65535),
        "gamma 0.4": levels ** np.float32(0.4),
    }


class Judge:
    """A detector and, if given, a scorer, whose verdicts on hands are compared."""

    def __init__(self, run: Path, scorer: Path | None) -> None:
        self.model = load_detector(run, torch.device("cpu"))
        self.domain = load_domain(run)
        self.scorer = load_scorers([scorer], torch.device("cpu"))[0] if scorer else None

    def scores(self, levels: _Levels, hand: FoundHand) -> tuple[float, float]:
        """Return the domain scores of detector and scorer, infinity where a film can't be judged."""
        own = judge_hand(self.model, self.domain, levels, hand).score
        if self.scorer is None:
            return (np.inf if own is None else own), np.nan
        upright, joints = turn_upright(levels, hand)
        crops = np.stack([crop_joint(upright, each.box, hand.side == "R") for each in joints.values()])
        features = extract_scorer_features(self.scorer.network, np.stack([crops, crops], axis=1))[:, 0]
        other = self.scorer.domain.judge(features).score
        return (np.inf if own is None else own), (np.inf if other is None else other)


def auc(low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]) -> float:
    """Return the probability that a value of `high` exceeds one of `low`."""
    return float((high[None] > low[:, None]).mean() + 0.5 * (high[None] == low[:, None]).mean())


def describe(name: str, scores: list[tuple[float, float]]) -> str:
    """Return a row of the table: share of hands above 1, and the median score."""
    values = np.array(scores)
    cells = [f"{np.mean(each > 1):.1%}, {np.median(each):.2f}" if np.isfinite(each).any() else "" for each in values.T]
    return f"| {name} | {len(values)} | {' | '.join(cells)} |"


def measure_crops(model: JointDetector, folder: Path, films: list[tuple[_Levels, FoundHand]]) -> str:
    """Return how well real joints, cut to one box, are told from simulated ones."""

    def features(crops: list[npt.NDArray[np.uint8]]) -> npt.NDArray[np.float32]:
        return extract_refiner_features(model, np.stack(crops))

    def cut(levels: _Levels, box: Box, *, mirrored: bool) -> npt.NDArray[np.uint8]:
        return crop_joint(levels, box, mirrored, margin=1.0, size=REFINER_CROP_SIZE)

    simulated = []
    for levels, hand in films:
        upright, joints = turn_upright(levels, hand)
        found = [cut(upright, each.box, mirrored=hand.side == "R") for n, each in joints.items() if n.startswith("MCP")]
        if len(found) >= MIN_JOINTS:
            simulated.append(features(found))
    half = simulated[::2]
    names = [str(number) for number, each in enumerate(half) for _ in each]
    known = fit_domain(np.concatenate(half), names, names, is_held_out=True)
    if known is None:
        return "real joints: too few simulated hands; give --hands 110 or more"
    real = []
    for series in sorted(path for path in folder.iterdir() if path.is_dir()):
        levels = [
            normalize_intensity(np.asarray(Image.open(each).convert("L"))) for each in sorted(series.glob("?.jpg"))
        ]
        box = Box.from_size(256, 256)
        found = features([cut(each, box, mirrored=series.name.split("_")[1] == "R") for each in levels])
        if len(found) >= MIN_JOINTS:
            real.append(known.score(found))
    others = np.array([known.score(each) for each in simulated[1::2]], float)
    scores = np.array(real, float)
    flagged, own = f"{np.mean(scores > 1):.1%}", f"{np.mean(others > 1):.1%}"
    return (
        f"real joints, cut to one box: {len(scores)} series of {MIN_JOINTS} films or more, {flagged} above 1, "
        f"median {np.median(scores):.2f}; {len(others)} simulated hands: {own}, {np.median(others):.2f}; "
        f"AUC {auc(others, scores):.3f}"
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--scorer", type=Path)
    parser.add_argument("--hands", type=int, default=120)
    parser.add_argument("--hand", type=Path)
    parser.add_argument("--redrawn", type=int, default=40)
    parser.add_argument("--crops", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    judge, rng = Judge(given.run, given.scorer), np.random.default_rng(_SEED)
    table: dict[str, list[tuple[float, float]]] = {}
    films, counts = list[tuple[_Levels, FoundHand]](), np.zeros((2, 2, 2), int)  # is like, has a finding, is reported
    for levels, _, ill in simulate(given.hands):
        hands = find_hands(judge.model, levels, SCHEME)
        for hand in hands:
            films.append((levels, hand))
            for name, changed in changes(levels, rng).items():
                table.setdefault(name, []).append(judge.scores(changed, hand))
            is_like = int(table["as it is"][-1][0] <= 1)
            for joint, found in hand.joints.items():
                counts[is_like, int(joint in ill), int(found.finding >= _FINDING)] += 1
    simulated = np.array(table["as it is"])
    print("| hands | number | detector: above 1, median score | scorer |\n|---|---|---|---|")
    for name, scores in table.items():
        print(describe(f"simulated, {name}", scores), flush=True)
    if given.hand:
        levels = normalise_levels(read_film(given.hand))
        reported = answered = joints = 0
        scores = []
        for number in range(given.redrawn + 1):
            picture = redrawn(levels, {}, number - 1)[0] if number else levels
            for hand in find_hands(judge.model, picture, SCHEME):
                scores.append(judge.scores(picture, hand))
                joints += len(hand.joints)
                ill = sum(each.finding >= _FINDING for each in hand.joints.values())
                reported, answered = reported + ill, answered + ill * (scores[-1][0] <= 1)
                if not number:
                    print(
                        describe(f"real hand ({ill} of {len(hand.joints)} joints with a finding)", scores), flush=True
                    )
                    scores, joints, reported, answered = [], 0, 0, 0
        print(describe("real hand, redrawn", scores))
        values = np.array(scores)
        like = float(np.mean(values[:, 0] <= 1))
        print(
            f"redrawn: AUC {auc(simulated[:, 0], values[:, 0]):.3f}, scorer {auc(simulated[:, 1], values[:, 1]):.3f}; ",
            end="",
        )
        print(
            f"findings on {reported} of {joints} joints before and {answered} after abstention; answers for {like:.1%}"
        )
    for label, part in (("before", counts.sum(axis=0)), ("after", counts[1])):
        print(
            f"simulated joints {label} abstention: sensitivity {part[1, 1]} of {part[1].sum()}, "
            f"specificity {part[0, 0]} of {part[0].sum()}"
        )
    if given.crops:
        print(measure_crops(judge.model, given.crops, films))


if __name__ == "__main__":
    main()

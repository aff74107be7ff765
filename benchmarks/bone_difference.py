"""Measure how well the difference of the bones of a joint shows a new erosion, against the difference of the whole joint.

- ``python -m benchmarks.bone_difference phantoms [--hands N] [--flexed]`` measures simulated pairs of films: the same
  patient with other exposure, noise, pose and spaces, without a change of the bones and with one new erosion.
- ``python -m benchmarks.bone_difference series --folder FOLDER`` measures pairs of real films, as they are and with an
  erosion drawn into the first one. FOLDER is that of `benchmarks.joint_space`.

A simple detector stands for a reader: it takes the largest connected part of a picture that exceeds a limit, and the sum of
the grey levels there is its score. The limit of the difference of the whole joint is the one with the largest ROC area.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.joint_space import read_series
from benchmarks.joint_space_films import (
    JOINTS,
    SEVERITIES,
    cut_box,
    draw_bones,
    get_bones,
    get_box_side,
    get_middle,
    shift_finger,
)
from ratui.imaging import (
    DEFAULT_DISPLAY,
    AlignmentFailure,
    BoneDifference,
    Box,
    Film,
    align_joints,
    compare_bones,
    compute_difference,
    render,
    warp_onto,
)
from ratui.phantom import simulate_patient
from ratui.phantom.body import draw_body, make_persistent_rng
from ratui.phantom.bones import Canvas, add_long_bone
from ratui.phantom.exposure import draw_machine, expose, vary_machine
from ratui.phantom.hand import Hand
from ratui.phantom.lesions import Erosion, place_at_end
from ratui.phantom.parts import Layout, LongBone
from ratui.phantom.pose import draw_pose
from ratui.phantom.skeleton import build_layout
from ratui.phantom.tissue import draw_soft_tissue
from ratui.scheme import load_scheme

_SEED = 9_000  # of the first hand; neither the network nor the method was made with these hands
_SIDE = 200  # of the pictures, in pixels
_SMOOTH = 1.2  # of the difference of the whole joint, in pixels of the pictures; the same as that of the bones
_LIMITS = (4, 8, 12, 16, 24, 32, 48)  # of the detector, in grey levels
_VISIBLE = 8  # grey levels; a mark has a pixel above it
_LEAST_MARK = 20  # pixels of a mark, of 200 × 200
_NEAR = 4  # pixels around a change that belong to it
_REACH = (0.1, 1.2)  # of an erosion from the margin inwards, in half widths of the bone
_SIZES = ((0.0, 2.0), (2.0, 5.0), (5.0, 10.0), (10.0, 99.0))  # rows of the table, in mm²
_REAL_SIZES = ((0.0, 0.5), (0.5, 1.0), (1.0, 2.0), (2.0, 99.0))  # in percent of the box
_SHIFT = 1.0  # mm

_Array = npt.NDArray[np.float64]
_Mask = npt.NDArray[np.bool_]
_Picture = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Trial:
    """A joint on two films, without and with a new erosion on one of them.

    Attributes
    ----------
    plain, eroded
        Both films without and with the erosion, and the boxes of the joint.
    change
        The erosion on a picture of the box on the first film, shape (200, 200).
    size
        Area of the erosion: in mm² of bone that lost a quarter of its mineral; or in percent of the box.
    """

    plain: tuple[tuple[Film, Box], tuple[Film, Box]]
    eroded: tuple[tuple[Film, Box], tuple[Film, Box]]
    change: _Mask
    size: float


@dataclass(frozen=True)
class _Seen:
    """Differences of a trial in grey levels, without and with the erosion: of the bones or None, and of the whole joint."""

    trial: Trial
    bones: tuple[_Picture | None, _Picture | None]
    joint: tuple[_Picture, _Picture]


# Simulated films.


def draw_trials(seed: int, *, flexed: bool = False) -> Iterator[Trial]:
    """Draw the joints of a hand that is not fused: one film, and a second one without and with an erosion in each joint.

    With `flexed` the fingers are bent differently on both films.
    """
    rng = np.random.default_rng([seed, 11])
    patient = simulate_patient(
        rng, load_scheme("mtss-hands"), severity=float(rng.choice(SEVERITIES)), age=float(rng.uniform(20, 85))
    )
    side: Literal["L", "R"] = "L" if rng.random() < 0.5 else "R"
    body = draw_body(patient, side)
    poses = [draw_pose(rng, patient, make_persistent_rng(patient, side, "pose")) for _ in range(2)]
    turn = float(np.radians(rng.uniform(-10, 10)))
    poses[1] = replace(poses[1], flexion=poses[1 if flexed else 0].flexion, rotation=poses[0].rotation + turn)
    hands = [Hand(patient, side, 0, body, pose) for pose in poses]
    layouts = [build_layout(hand) for hand in hands]
    joints = [joint for joint in JOINTS if hands[0].finding(joint) != "ankylosis"]
    for joint in joints:
        inner, outer = get_bones(layouts[1], joint)
        axis = (outer.end - inner.start) / np.hypot(*(outer.end - inner.start))
        shift_finger(layouts[1], joint, axis * float(rng.uniform(-0.4, 1.0)) * _SHIFT)
    eroded = [replace(layout, long_bones=list(layout.long_bones)) for layout in layouts]
    chosen = {joint: _draw_erosion(rng) for joint in joints}
    for joint, erosion in chosen.items():
        for layout in eroded:
            _erode(layout, joint, erosion)
    spacing = float(rng.uniform(0.1, 0.2))
    clinic = draw_machine(make_persistent_rng(patient, "machine"))
    machine = draw_machine(rng) if rng.random() < 0.2 else vary_machine(clinic, rng)
    films = []
    for layout, settings in ((layouts[0], vary_machine(clinic, rng)), (layouts[1], machine), (eroded[1], machine)):
        canvas = draw_bones(layout, spacing, rng)
        soft = draw_soft_tissue(layout, canvas, body.flesh, rng)
        levels = expose(np.ascontiguousarray(canvas.mineral), np.ascontiguousarray(soft), spacing, settings, rng)
        films.append((levels, canvas))
    for joint, erosion in chosen.items():
        length = get_box_side(joint, body.scale) / spacing
        parts = []
        for (levels, canvas), layout in zip(films, (layouts[0], layouts[1], layouts[1]), strict=True):
            centre = (get_middle(layout, joint) - canvas.origin) / spacing
            crop, box, low = cut_box(levels, centre, length, rng)
            parts.append((Film(crop, 12, spacing=(spacing, spacing)), box, canvas.origin + low * spacing))
        first, second, changed = ((film, box) for film, box, _ in parts)
        corner = parts[0][2] + np.array([first[1].x0, first[1].y0]) * spacing
        bones = [get_bones(layout, joint)[erosion.outer] for layout in (layouts[0], eroded[0])]
        lost = _find_lost(bones, corner, first[1].width * spacing / _SIDE)
        area = float(lost.sum()) * (first[1].width * spacing / _SIDE) ** 2
        if area > 0.2:
            yield Trial((first, second), (first, changed), lost, area)


def _draw_erosion(rng: np.random.Generator) -> Erosion:
    return Erosion(
        slot=0,
        outer=bool(rng.random() < 0.38),
        sign=1 if rng.random() < 0.5 else -1,
        reach=float(np.exp(rng.uniform(*np.log(_REACH)))),
        along=float(rng.uniform(0.18, 0.72)),
        length=float(rng.uniform(0.24, 0.44)),
        depth=float(rng.uniform(0.36, 0.97)),
        rim=max(0.0, float(rng.normal(0.06, 0.16))),
        edge=float(rng.uniform(0.1, 0.38)),
        phase=float(rng.uniform(0, 6.3)),
        inside=float(rng.uniform(0.12, 0.3)) if rng.random() < 0.14 else 0.0,
    )


def _erode(layout: Layout, joint: str, erosion: Erosion) -> None:
    """Add an erosion to the head or, if it is `outer`, to the base of a joint in place."""
    bone = get_bones(layout, joint)[erosion.outer]
    axis = (bone.end - bone.start) / np.hypot(*(bone.end - bone.start))
    end, inwards, width = (bone.start, axis, bone.widths[0]) if erosion.outer else (bone.end, -axis, bone.widths[2])
    index = next(number for number, each in enumerate(layout.long_bones) if each is bone)
    layout.long_bones[index] = replace(bone, erosions=(*bone.erosions, place_at_end(erosion, end, inwards, width)))


def _find_lost(bones: Sequence[LongBone], corner: _Array, pitch: float) -> _Mask:
    """Return where a bone loses a quarter of its mineral, on a picture of the box."""
    minerals = []
    for bone in bones:
        canvas = Canvas(_SIDE, _SIDE, pitch, corner)
        add_long_bone(canvas, bone)
        minerals.append(canvas.mineral)
    return np.asarray((minerals[0] > 0.1) & (minerals[1] < 0.75 * minerals[0]))


# Real films.


def draw_real_trials(name: str, pictures: list[tuple[npt.NDArray[np.uint8], ...]], margin: float) -> Iterator[Trial]:
    """Return the pairs of a series; the eroded film is the first one, because the place of the erosion is known on it."""
    rng = np.random.default_rng([len(name), *name.encode()])
    rows, columns = pictures[0][0].shape
    box = Box(margin * columns, margin * rows, (1 - margin) * columns, (1 - margin) * rows)
    for a, b in combinations(range(len(pictures)), 2):
        eroded = _erode_picture(pictures[a], box, rng)
        if eroded is None:
            continue
        levels, change = eroded
        first, second, changed = (Film(each, 8) for each in (pictures[a][0], pictures[b][0], levels))
        place = np.array([[box.width / _SIDE, 0, box.x0], [0, box.height / _SIDE, box.y0]])
        lost = cv2.warpAffine(
            change.astype(np.float32), place, (_SIDE, _SIDE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        )
        yield Trial(
            ((first, box), (second, box)),
            ((changed, box), (second, box)),
            lost > 0.25,
            100 * float((lost > 0.25).mean()),
        )


def _erode_picture(
    picture: tuple[npt.NDArray[np.uint8], ...], box: Box, rng: np.random.Generator
) -> tuple[npt.NDArray[np.uint8], _Picture] | None:
    """Return a picture with an erosion at the margin of a bone near the joint, and the share of the bone that it lost."""
    grey, masks = picture[0], [mask > 127 for mask in picture[1:]]
    bone = int(rng.random() < 0.62)  # the head is eroded more often
    rows, columns = np.nonzero(masks[bone])
    top, bottom = (
        (rows.max() - 0.22 * box.height, rows.max()) if bone == 0 else (rows.min(), rows.min() + 0.22 * box.height)
    )
    edge = masks[bone] & (cv2.erode(masks[bone].astype(np.uint8), np.ones((3, 3), np.uint8)) == 0)
    edge &= ~masks[1 - bone]
    edge[:2], edge[-2:], edge[:, :2], edge[:, -2:] = False, False, False, False
    y, x = np.nonzero(edge)
    near = (y >= top) & (y <= bottom) & (np.abs(x - box.centre[0]) < 0.45 * box.width)
    if near.sum() < 20:
        return None
    at = int(rng.choice(np.flatnonzero(near)))
    inner = np.array([columns.mean(), (top + bottom) / 2])
    size = float(rng.uniform(0.025, 0.11)) * box.width
    inwards = (inner - [x[at], y[at]]) / max(float(np.hypot(*(inner - [x[at], y[at]]))), 1e-6)
    centre = np.array([x[at], y[at]]) + inwards * size * float(rng.uniform(0.1, 0.8))
    long, angle = float(rng.uniform(0.7, 1.4)), float(rng.uniform(0, np.pi))
    v, u = np.indices(grey.shape, np.float32)
    c, s = np.cos(angle), np.sin(angle)
    a = ((u - centre[0]) * c + (v - centre[1]) * s) / (size * long)
    b = ((v - centre[1]) * c - (u - centre[0]) * s) / size
    hole = 1 / (1 + np.exp(np.clip((np.hypot(a, b) - 1) * size / 1.5, -30, 30)))
    soft = cv2.GaussianBlur(masks[bone].astype(np.float32), (0, 0), 1.0)
    all_bones = cv2.dilate((masks[0] | masks[1]).astype(np.uint8), np.ones((5, 5), np.uint8))
    around = float(np.median(grey[all_bones == 0])) if (all_bones == 0).sum() > 200 else float(np.percentile(grey, 5))
    share = (float(rng.uniform(0.36, 0.97)) * hole * soft).astype(np.float32)
    levels = grey - share * np.maximum(grey.astype(np.float32) - around, 0)
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8), np.asarray(share, np.float32)


# The pictures and the detector.


def see(trial: Trial) -> _Seen | None:
    """Return the differences of a trial; None if the joints cannot be aligned, so that no difference is shown."""
    bones, joint = [], []
    for (first, box), (second, other) in (trial.plain, trial.eroded):
        found = compare_bones(first, box, second, other)
        bones.append(_to_levels(found.render(box, (_SIDE, _SIDE))) if isinstance(found, BoneDifference) else None)
        matrix = align_joints(first, box, second, other)
        if isinstance(matrix, AlignmentFailure):
            return None
        size, settings = (_SIDE, _SIDE), DEFAULT_DISPLAY
        pictures = render(first, box, size, settings), warp_onto(second, matrix, box, size, settings, joint=other)
        joint.append(cv2.GaussianBlur(_to_levels(compute_difference(*pictures)), (0, 0), _SMOOTH))
    return _Seen(trial, (bones[0], bones[1]), (joint[0], joint[1]))


def _to_levels(picture: object) -> _Picture:
    return np.asarray(picture, np.float32) - np.float32(128)


def find_largest(picture: _Picture, limit: float) -> tuple[float, _Mask]:
    """Return the sum of the largest connected part of a picture beyond `limit`, in grey levels, and where that is."""
    count, labels = cv2.connectedComponents((np.abs(picture) > limit).astype(np.uint8), connectivity=8)
    sums = np.bincount(labels.ravel(), np.abs(picture).ravel(), count)
    sums[0] = 0
    best = int(sums.argmax())
    return float(sums[best]), np.asarray((labels == best) & (best > 0))


def count_marks(picture: _Picture) -> int:
    """Return the number of connected parts that a reader may take for a change."""
    count, labels = cv2.connectedComponents((np.abs(picture) > _VISIBLE / 2).astype(np.uint8), connectivity=8)
    areas = np.bincount(labels.ravel(), minlength=count)
    return sum(areas[n] >= _LEAST_MARK and np.abs(picture[labels == n]).max() > _VISIBLE for n in range(1, count))


def measure_area(without: Sequence[float], with_change: Sequence[float]) -> float:
    """Return the ROC area: the probability that a pair with a change has the higher score, ties as half."""
    low, high = np.asarray(without)[:, None], np.asarray(with_change)[None, :]
    return float((high > low).mean() + (high == low).mean() / 2)


def _describe_detection(
    pictures: Sequence[tuple[_Picture, _Picture]], changes: Sequence[_Mask], limit: float, of: _Mask | None = None
) -> tuple[float, float]:
    """Return the ROC area, and the share of changes at which the largest part lies."""
    scores = [find_largest(plain, limit)[0] for plain, _ in pictures]
    found = [find_largest(changed, limit) for _, changed in pictures]
    kept = np.ones(len(found), np.bool_) if of is None else of
    hits = [bool((where & change).any()) for (_, where), change in zip(found, changes, strict=True)]
    return measure_area(scores, [score for (score, _), own in zip(found, kept, strict=True) if own]), float(
        np.mean(np.array(hits)[kept])
    )


def describe(seen: Sequence[_Seen], sizes: Sequence[tuple[float, float]], unit: str) -> None:
    """Print the tables of trials whose joints can be aligned."""
    good = [each for each in seen if each.bones[0] is not None and each.bones[1] is not None]
    print(
        f"{len(seen)} joints, both pairs of bones registered: {len(good)} ({100 * len(good) / max(len(seen), 1):.0f} %)"
    )
    changes = [each.trial.change for each in good]
    bones = [(each.bones[0], each.bones[1]) for each in good]
    joint = [each.joint for each in good]
    best = max(_LIMITS, key=lambda limit: _describe_detection(joint, changes, limit)[0])
    own = max((0.5, *_LIMITS), key=lambda limit: _describe_detection(bones, changes, limit)[0])
    print(f"limits: bones {own}, whole joint {best} grey levels")
    area = np.array([each.trial.size for each in good])
    print("| erosion | number | ROC area: bones | whole joint | at the erosion: bones | whole joint |")
    print("|---|---|---|---|---|---|")
    for low, high in ((0.0, 999.0), *sizes):
        of = (area >= low) & (area < high)
        if of.sum() < 5:
            continue
        (a, at_a), (b, at_b) = (
            _describe_detection(p, changes, limit, of) for p, limit in ((bones, own), (joint, best))
        )
        name = "all" if high == 999 else f"{low:g} to {high:g} {unit}"
        print(f"| {name} | {of.sum()} | {a:.3f} | {b:.3f} | {100 * at_a:.0f} % | {100 * at_b:.0f} % |")
    print(
        "| picture | unchanged: rms | marks per pair | pairs without a mark | eroded: peak there | energy elsewhere |"
    )
    print("|---|---|---|---|---|---|")
    for name, pictures in (("bones", bones), ("whole joint", joint)):
        plain = [np.sqrt(float((each**2).mean())) for each, _ in pictures]
        marks = np.array([count_marks(each) for each, _ in pictures])
        peaks, outside = [], []
        for (_, picture), change in zip(pictures, changes, strict=True):
            near = cv2.dilate(change.astype(np.uint8), np.ones((2 * _NEAR + 1,) * 2, np.uint8)) > 0
            peaks.append(float(np.abs(picture[near]).max()))
            total = float((picture**2).sum())
            outside.append(float((picture[~near] ** 2).sum()) / total if total > 0 else np.nan)
        print(
            f"| {name} | {np.mean(plain):.2f} | {marks.mean():.2f} | {100 * np.mean(marks == 0):.0f} % | "
            f"{np.median(peaks):.0f} | {100 * np.nanmean(outside):.0f} % |"
        )


def main() -> None:
    """Run one of the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    phantoms = commands.add_parser("phantoms")
    phantoms.add_argument("--hands", type=int, default=60)
    phantoms.add_argument("--flexed", action="store_true", help="bend the fingers differently on both films")
    series = commands.add_parser("series")
    series.add_argument("--folder", type=Path, required=True)
    series.add_argument("--margin", type=float, default=0.0, help="part of the crop outside of the box on each side")
    arguments = parser.parse_args()
    if arguments.command == "phantoms":
        trials = (
            each for number in range(arguments.hands) for each in draw_trials(_SEED + number, flexed=arguments.flexed)
        )
        sizes, unit = _SIZES, "mm²"
    else:
        trials = (
            each
            for name, pictures in read_series(arguments.folder).items()
            for each in draw_real_trials(name, pictures, arguments.margin)
        )
        sizes, unit = _REAL_SIZES, "% of the box"
    found = [see(each) for each in trials]
    print(f"{len(found)} joints, not aligned: {sum(each is None for each in found)}")
    describe([each for each in found if each is not None], sizes, unit)


if __name__ == "__main__":
    main()

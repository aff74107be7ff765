"""Measure how well simulated MCP joints are told from real ones, and what distinguishes them.

Run ``python -m benchmarks.realism FOLDER``. FOLDER has a folder for each series of a joint, named NUMBER_SIDE_FINGER (2, 5,
8, 11: MCP2 to MCP5; 13: MCP1), with pictures ``0.jpg``, ``1.jpg``, … of 256 pixels a side, and for each of them the bone
masks ``0_upper.png`` (phalanx) and ``0_lower.png`` (metacarpal).

Simulated joints of new patients, from healthy to severely damaged and of all simulated vendors, are cut in the same way:
upright, and with the place of the joint space, the width of the phalanx's base, the finger, the sharpness and the JPEG
compression of a real crop drawn at random. Classifiers are cross-validated, by series and by simulated patients. Nothing of
the real crops is stored.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from benchmarks.real_or_simulated import area, folds, interval, judge_by_network, judge_by_statistics
from ratui.imaging import Box, normalize_intensity
from ratui.phantom import PhantomPatient, render, simulate_patient
from ratui.phantom.body import draw_body, make_persistent_rng
from ratui.phantom.hand import Hand
from ratui.phantom.pose import draw_pose
from ratui.phantom.skeleton import build_layout
from ratui.scheme import load_scheme

_Array = npt.NDArray[np.float32]
_Numbers = npt.NDArray[np.float64]
SIDE = 256
_SEED = 811
_FINGERS = {"2": "MCP2", "5": "MCP3", "8": "MCP4", "11": "MCP5", "13": "MCP1"}
_PER_HAND = 3  # simulated crops of one film


@dataclass(frozen=True)
class Crop:
    """A crop of a joint: grey levels (256, 256) from 0 to 1, upright, the phalanx above.

    `centre` (x, y) is the middle of the joint space and `width` the largest width of the phalanx's base, in pixels.
    `group` names the series or the patient, `tables` are those of its JPEG file.
    """

    levels: _Array
    centre: tuple[float, float]
    width: float
    finger: str
    group: str
    tables: Any


def stretch(levels: npt.NDArray[Any]) -> _Array:
    """Return `levels` stretched from their 0.5 and 99.5 percentiles to 0 and 1."""
    low, high = np.percentile(levels, (0.5, 99.5))
    return np.clip((np.asarray(levels, np.float32) - low) / max(high - low, 1e-6), 0, 1).astype(np.float32)


def read_real(folder: Path) -> list[Crop]:
    """Return the real crops in `folder`; right hands are mirrored."""
    crops = []
    for series in sorted(path for path in folder.iterdir() if path.is_dir()):
        _, side, finger = series.name.split("_")
        for file in sorted(series.glob("?.jpg")):
            upper, lower = (
                np.asarray(Image.open(file.with_name(f"{file.stem}_{name}.png")).convert("L")) > 0
                for name in ("upper", "lower")
            )
            with Image.open(file) as image:
                tables, levels = image.quantization, np.asarray(image.convert("L"))  # type: ignore[attr-defined]
            if side == "R":
                levels, upper, lower = levels[:, ::-1], upper[:, ::-1], lower[:, ::-1]
            columns = np.flatnonzero(upper.any(axis=0) & lower.any(axis=0))
            ends = SIDE - 1 - upper[::-1, columns].argmax(axis=0)
            begins = lower[:, columns].argmax(axis=0)
            centre = (float(columns.mean()), float(np.median((ends + begins) / 2)))
            width = float(upper.sum(axis=1).max())
            crops.append(Crop(stretch(levels), centre, width, _FINGERS[finger], series.name, tables))
    return crops


def simulate(like: list[Crop]) -> list[Crop]:
    """Return a simulated crop for each of `like`, in random order, of new patients."""
    order = np.random.default_rng(_SEED).permutation(len(like))
    scheme, crops = load_scheme("fingers"), []
    for number in range(0, len(order), _PER_HAND):
        rng = np.random.default_rng([_SEED, number])
        # Two thirds have the usual damage, a sixth is healthy, a sixth severely damaged.
        severity = (None, None, 0.0, None, None, float(rng.uniform(1.5, 4.0)))[number // _PER_HAND % 6]
        patient = simulate_patient(rng, scheme, severity=severity, age=float(np.clip(rng.normal(58, 11), 25, 85)))
        rows, seed = int(rng.uniform(1700, 2600)), [_SEED, number, 1]
        film = render(patient, "L", 0, np.random.default_rng(seed), size=(rows, round(rows * 0.82)))
        levels = normalize_intensity(film.pixels)
        for row in order[number : number + _PER_HAND]:
            target = like[row]
            place = find_phalanx(patient, np.random.default_rng(seed), target.finger, film.spacing[0])
            cut = cut_like(levels, film.boxes[f"L.{target.finger}"], *place, target)
            crops.append(Crop(cut, target.centre, target.width, target.finger, f"simulated {number}", target.tables))
    return crops


def find_phalanx(
    patient: PhantomPatient, rng: np.random.Generator, finger: str, mm: float
) -> tuple[tuple[float, float], float]:
    """Return the axis of a proximal phalanx of the left hand as a unit vector, and the width of its base in pixels.

    `rng` is as `render` gets it; `mm` is the film's pixel size.
    """
    body = draw_body(patient, "L")
    pose = draw_pose(rng, patient, make_persistent_rng(patient, "L", "pose"))
    layout = build_layout(Hand(patient, "L", 0, body, pose))
    middle = layout.centres[f"L.{finger}"][0]
    bones = [bone for bone in layout.long_bones if bone.form == "phalanx"]
    bone = min(bones, key=lambda each: float(np.hypot(*(each.start - middle))))
    axis = (bone.end - bone.start) / float(np.hypot(*(bone.end - bone.start)))
    return (float(axis[0]), float(axis[1])), 2 * bone.widths[0] / mm


def cut_like(levels: _Array, box: Box, axis: tuple[float, float], width: float, target: Crop) -> _Array:
    """Return the joint in `box` with the direction, place, size, sharpness and compression of `target`."""
    scale = width / target.width  # pixels of the film per pixel of the crop
    across = np.array([-axis[1], axis[0]])
    x, y = box.centre
    at = np.array([x, y]) - scale * (across * target.centre[0] - np.array(axis) * target.centre[1])
    matrix = np.array([[scale * across[0], -scale * axis[0], at[0]], [scale * across[1], -scale * axis[1], at[1]]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    cut = stretch(cv2.warpAffine(levels, matrix, (SIDE, SIDE), flags=flags, borderMode=cv2.BORDER_REPLICATE))
    wanted = sharpness(target.levels)
    blurred = [cut, *(np.asarray(cv2.GaussianBlur(cut, (0, 0), sigma)) for sigma in (0.5, 0.7, 1.0, 1.4, 2.0, 2.8))]
    cut = stretch(min(blurred, key=lambda each: abs(np.log(sharpness(each) / wanted))))
    memory = io.BytesIO()
    grey = np.rint(cut * 255).astype(np.uint8)
    Image.fromarray(np.repeat(grey[..., None], 3, axis=2)).save(memory, "JPEG", qtables=target.tables, subsampling=0)
    return stretch(np.asarray(Image.open(memory).convert("L")))


def band(levels: _Array, fine: float, coarse: float) -> _Array:
    """Return the detail between two Gaussian blurs (standard deviation in pixels)."""
    one, two = (np.asarray(cv2.GaussianBlur(levels, (0, 0), s)) if s else levels for s in (fine, coarse))
    return one - two


def sharpness(levels: _Array) -> float:
    """Return the ratio of the energy of the finest detail to that of detail of 4 to 8 pixels."""
    return float(band(levels, 0, 0.8).std() / (band(levels, 1.6, 3.2).std() + 1e-6)) + 1e-4


# Statistics


def windows(crop: Crop) -> dict[str, tuple[slice, slice]]:
    """Return windows within the base of the phalanx, within the head, and over both with the joint space."""
    x, y = crop.centre
    w = crop.width

    def window(left: float, top: float, right: float, bottom: float) -> tuple[slice, slice]:
        rows = np.clip(np.rint([y + top * w, y + bottom * w]), 0, SIDE).astype(int)
        columns = np.clip(np.rint([x + left * w, x + right * w]), 0, SIDE).astype(int)
        return slice(*rows), slice(*columns)

    return {
        "base": window(-0.24, -0.55, 0.24, -0.2),
        "head": window(-0.24, 0.15, 0.24, 0.5),
        "middle": window(-0.3, -0.55, 0.3, 0.5),
    }


def describe(crop: Crop) -> dict[str, float]:
    """Return the statistics of a crop by name."""
    found: dict[str, float] = {}
    place = windows(crop)
    contrast = float(crop.levels[place["base"]].mean() - np.percentile(crop.levels, 10)) + 0.05
    bands = {
        "1 to 2": band(crop.levels, 0.4, 0.8),
        "2 to 4": band(crop.levels, 0.8, 1.6),
        "4 to 8": band(crop.levels, 1.6, 3.2),
        "8 to 16": band(crop.levels, 3.2, 6.4),
    }
    for part in ("base", "head"):
        for name, detail in bands.items():
            found[f"{part}: detail of {name} pixels, of the bone's contrast"] = (
                float(detail[place[part]].std()) / contrast
            )
        line = bands["2 to 4"][place[part]] + bands["4 to 8"][place[part]]
        found[f"{part}: skewness of detail of 2 to 8 pixels"] = float((line**3).mean() / (line.std() ** 3 + 1e-9))
        found[f"{part}: direction, from −1 (across) to 1 (along the bone)"], found[f"{part}: strength of direction"] = (
            direction(cv2.GaussianBlur(crop.levels, (0, 0), 1.0)[place[part]])
        )
    found["slope of the spectrum from 3 to 32 pixels"] = spectrum_slope(crop.levels[place["middle"]])
    fine, coarse = (np.hypot(*np.gradient(cv2.GaussianBlur(crop.levels, (0, 0), s))) for s in (1.0, 3.0))
    found["sharpness of edges (σ 1 to σ 3)"] = float(np.percentile(fine, 98) / np.percentile(coarse, 98))
    return found | profile(crop)


def direction(levels: npt.NDArray[Any]) -> tuple[float, float]:
    """Return how far lines run along the columns rather than across, from 1 to −1, and the anisotropy from 0 to 1."""
    down, across = np.gradient(levels.astype(np.float64))
    xx, yy, xy = (across**2).mean(), (down**2).mean(), (across * down).mean()
    whole = xx + yy + 1e-12
    return float((xx - yy) / whole), float(np.hypot(xx - yy, 2 * xy) / whole)


def spectrum_slope(levels: _Array) -> float:
    """Return the slope of log power over log frequency, from periods of 32 to 3 pixels."""
    rows, columns = levels.shape
    taper = np.hanning(rows)[:, None] * np.hanning(columns)
    power = np.abs(np.fft.rfft2((levels - levels.mean()) * taper)) ** 2
    radius = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns))
    edges = np.geomspace(1 / 32, 1 / 3, 9)
    means = [power[(radius >= a) & (radius < b)].mean() for a, b in pairwise(edges)]
    return float(np.polyfit(np.log(np.sqrt(edges[:-1] * edges[1:])), np.log(np.array(means) + 1e-12), 1)[0])


def profile(crop: Crop) -> dict[str, float]:
    """Return levels on a line across the joint space, above the darkest level of the space."""
    w, (x, y) = crop.width, crop.centre
    strip = crop.levels[:, max(round(x - 0.08 * w), 0) : round(x + 0.08 * w)].mean(axis=1)

    def levels_at(low: float, high: float) -> _Array:
        return strip[max(round(y + low * w), 0) : max(round(y + high * w), 1)]

    space = float(levels_at(-0.1, 0.1).min())
    plate = levels_at(-0.2, 0.0) - space
    return {
        "inside of the base": float(levels_at(-0.5, -0.3).mean()) - space,
        "plate of the base": float(plate.max()),
        "width of the plate, of the base's width": float((plate > plate.max() / 2).mean()) * 0.2,
        "rim of the head": float(levels_at(0.0, 0.16).max()) - space,
        "inside of the head": float(levels_at(0.25, 0.45).mean()) - space,
        "steepest step at the joint": float(np.abs(np.diff(levels_at(-0.15, 0.15))).max()),
    }


# Tables


def small_pictures(crops: list[Crop], side: int) -> Tensor:
    """Return whole crops (N, 1, side, side)."""
    return torch.from_numpy(
        np.stack([cv2.resize(c.levels, (side, side), interpolation=cv2.INTER_AREA) for c in crops])
    )[:, None]


def bone_patches(crops: list[Crop]) -> Tensor:
    """Return patches (N, 4, 48, 48) at full resolution, two from within the base and two from within the head."""
    patches = []
    for crop in crops:
        for part in ("base", "head"):
            rows, columns = windows(crop)[part]
            top = min((rows.start + rows.stop) // 2 - 24, SIDE - 48)
            patches += [crop.levels[top : top + 48, x : x + 48] for x in (columns.start - 4, columns.stop - 44)]
    return torch.from_numpy(np.stack(patches)).reshape(len(crops), 4, 48, 48)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=25)
    given = parser.parse_args()
    torch.set_num_threads(1)
    real = read_real(given.folder)
    crops = real + simulate(real)
    is_real = np.arange(len(crops)) < len(real)
    groups = [crop.group for crop in crops]
    fold = folds(groups)
    series = len({crop.group for crop in real})
    print(f"{len(real)} real crops of {series} series, {len(crops) - len(real)} simulated ones")
    described = [describe(crop) for crop in crops]
    names = list(described[0])
    values = np.array([[each[name] for name in names] for each in described])
    judges: Iterator[tuple[str, _Numbers]] = iter(
        [
            ("statistics of the table below, logistic regression", judge_by_statistics(values, is_real, fold)),
            (
                "bone inside base and head, patches of 48 of 256 pixels, network",
                judge_by_network(bone_patches(crops), is_real, fold, given.epochs),
            ),
            (
                "the whole joint at 64 pixels, network",
                judge_by_network(small_pictures(crops, 64), is_real, fold, given.epochs),
            ),
        ]
    )
    print("\n| classifier sees | accuracy | AUC | 95 % interval |\n|---|---|---|---|")
    for name, scores in judges:
        low, high = interval(lambda rows, s=scores: area(s[rows], is_real[rows]), groups, is_real)  # type: ignore[misc]
        correct = float(((scores > 0) == is_real).mean())
        print(f"| {name} | {correct:.1%} | {area(scores, is_real):.3f} | {low:.3f} to {high:.3f} |", flush=True)
    print("\n| statistic | real: median (quartiles) | simulated | AUC of this alone |\n|---|---|---|---|")
    for column, name in enumerate(names):
        cells = [np.percentile(values[rows, column], (50, 25, 75)) for rows in (is_real, ~is_real)]
        texts = [f"{a:.3f} ({b:.3f} to {c:.3f})" for a, b, c in cells]
        alone = area(values[:, column], is_real)
        print(f"| {name} | {texts[0]} | {texts[1]} | {max(alone, 1 - alone):.3f} |")


if __name__ == "__main__":
    main()

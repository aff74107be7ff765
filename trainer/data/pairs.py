"""Training samples for the scorer: crops of joints at both time points, their labels, and the split by patient.

Crops are cached and augmented later, on the device. Right hands are mirrored, so that every sample is a left hand. Labels
come from signed readings only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from ratui.errors import TrainError
from ratui.imaging import Box, normalize_intensity
from ratui.reading import Field, Slot
from ratui.study import Case, FilmRecord, Study
from ratui.study.intact import intact_case, intact_proposals, intact_regions
from trainer.data.device import copy_to_device
from trainer.data.image_cache import ImageCache

__all__ = [
    "MARGIN",
    "PAIR_CROP_SIZE",
    "PairSamples",
    "Split",
    "augment_pairs",
    "crop_joint",
    "list_signed_cases",
    "load_pair_samples",
    "split_cases",
]

PAIR_CROP_SIZE = 72
"""Side of a crop, in pixels."""
MARGIN = 1.25
"""Side of the part of the film that a crop shows, in sides of the region's box."""
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Split:
    """The cases to train on and the cases held out. No case is in both, and a case is one patient."""

    train: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True)
class PairSamples:
    """N joints at both time points.

    Attributes
    ----------
    crops
        Crops, shape (N, 2, PAIR_CROP_SIZE, PAIR_CROP_SIZE), uint8, bone bright.
    labels
        Scores of each rater, shape (N, raters, scales, 2); −1 where there is none.
    max_grades
        Largest grade of each scale, shape (N, scales); −1 if the joint is not scored on that scale.
    groups
        Group of each joint, shape (N,), as an index into `group_names`.
    has_finding
        True where a rater entered a special finding, shape (N, raters, 2).
    cases, sites
        Case and site of each joint.
    group_names, scales
        Names of the groups and of the scales.
    """

    crops: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    max_grades: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]
    has_finding: npt.NDArray[np.bool_]
    cases: tuple[str, ...]
    sites: tuple[str, ...]
    group_names: tuple[str, ...]
    scales: tuple[str, ...]

    @property
    def grades(self) -> tuple[int, ...]:
        """Number of grades of each scale."""
        return tuple(int(largest) + 1 for largest in self.max_grades.max(axis=0))


def split_cases(cases: Sequence[str], *, seed: int = 0, held_out: float = 0.25) -> Split:
    """Split `cases` at random; the share `held_out` is not trained on. The same cases and `seed` give the same split.

    Raises TrainError for fewer than two cases.
    """
    if len(cases) < 2:
        raise TrainError(
            f"{len(cases)} read case{'s' * (len(cases) != 1)} can't be split into training and test cases",
            "",
            "Sign the readings of at least two cases; fifty give a useful model",
        )
    ranked = sorted(cases, key=lambda case: hashlib.sha256(f"{seed}/{case}".encode()).digest())
    test = min(max(1, round(held_out * len(cases))), len(cases) - 1)
    return Split(train=tuple(sorted(ranked[test:])), test=tuple(sorted(ranked[:test])))


def crop_joint(levels: npt.NDArray[np.float32], box: Box, mirrored: bool) -> npt.NDArray[np.uint8]:
    """Return the joint in `box` with a margin, as a crop of PAIR_CROP_SIZE pixels a side, uint8.

    Parameters
    ----------
    levels
        Grey levels of the whole film from 0 to 1, shape (rows, columns), bone bright.
    box
        Box of the joint in pixels of the film. The crop shows a square of `MARGIN` times its longer side, black outside
        of the film.
    mirrored
        Mirror the crop, as for right hands.
    """
    x, y = box.centre
    half = MARGIN * max(box.width, box.height) / 2
    left, top, side = int(np.floor(x - half)), int(np.floor(y - half)), int(np.ceil(2 * half)) + 1
    part = np.zeros((side, side), np.float32)
    inside = levels[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)]
    part[max(-top, 0) :, max(-left, 0) :][: inside.shape[0], : inside.shape[1]] = inside
    area = (x - half - left, y - half - top, x + half - left, y + half - top)
    image = Image.fromarray(part).resize((PAIR_CROP_SIZE, PAIR_CROP_SIZE), Image.Resampling.BILINEAR, box=area)
    values = np.rint(np.clip(np.asarray(image), 0, 1) * 255).astype(np.uint8)
    return np.asarray(values[:, ::-1] if mirrored else values)


def augment_pairs(crops: Tensor, generator: torch.Generator, *, side: int | None = None) -> Tensor:
    """Return crops (N, 2, S, S) as other films of the same joints could show them, `side` pixels square (default S).

    Both crops of a joint get one random rotation, scale, shift and reflection, each with a small deviation of its own,
    and their own gamma and noise.
    """
    n, device = len(crops), crops.device
    whole = crops.shape[-1]
    side = side or whole

    def draw(low: float, high: float, *shape: int) -> Tensor:
        return copy_to_device(torch.rand(*shape, generator=generator) * (high - low) + low, device)

    angle = draw(-0.25, 0.25, n, 1) + draw(-0.06, 0.06, n, 2)
    scale = torch.exp(draw(-0.12, 0.12, n, 1) + draw(-0.04, 0.04, n, 2))
    shift = draw(-0.05, 0.05, n, 1, 2) + draw(-0.03, 0.03, n, 2, 2)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    flip = torch.where(draw(0, 1, n, 1) < 0.5, -1.0, 1.0)  # a joint looks much the same in a mirror
    theta = torch.stack(
        [torch.stack([cos * flip, -sin, shift[..., 0]], -1), torch.stack([sin * flip, cos, shift[..., 1]], -1)], -2
    )
    flat = crops.reshape(2 * n, 1, whole, whole)
    grid = F.affine_grid(theta.reshape(2 * n, 2, 3), [2 * n, 1, side, side], align_corners=False)
    moved = F.grid_sample(flat, grid, align_corners=False, padding_mode="border").reshape(n, 2, side, side)
    moved = moved.clamp(1e-4, 1) ** torch.exp(draw(-0.3, 0.3, n, 2, 1, 1))
    # The noise is drawn on the device, because a batch of it takes long to copy to a GPU.
    own = torch.Generator(device).manual_seed(int(torch.randint(2**62, (1,), generator=generator)))
    noise = torch.randn(moved.shape, generator=own, device=device)
    return moved + noise * draw(0, 0.03, n, 2, 1, 1)


def load_pair_samples(
    study: Study, cases: Sequence[str], folder: Path, progress: Progress, *, proposed: bool = False
) -> PairSamples:
    """Return all joints of `cases` that have regions on the films of both time points, with or without labels.

    Parameters
    ----------
    study
        The study; labels are the scores of its signed readings.
    cases
        Cases to load.
    folder
        Cache of the crops.
    progress
        Called with a text, the number done and the total.
    proposed
        Use a detector's proposal where a joint has no confirmed region.

    Raises
    ------
    TrainError
        If no joint has regions on both films.
    """
    study.check_manager("train models on it")
    scheme = study.scheme
    names = tuple(dict.fromkeys(joint.group for joint in scheme.joints))
    entries: list[tuple[Case, str, tuple[tuple[FilmRecord, Box], ...]]] = []
    for id in cases:
        case = intact_case(study, id)
        if case is None:
            continue
        known = (*(intact_proposals(study, case) if proposed else ()), *intact_regions(study, case))
        regions = {(region.site, region.film): region.box for region in known}
        for site in case.sites(scheme):
            films = [case.film(time, site.side, site.part, scheme) for time in (0, 1)]
            placed = [(film, box) for film in films if film and (box := regions.get((site.key, film.id))) is not None]
            if len(placed) == 2:
                entries.append((case, site.key, tuple(placed)))
    if not entries:
        raise TrainError("no joint has regions at both time points", study.path, "Confirm regions first")
    raters, scales = study.config.raters, scheme.scales
    content = [
        MARGIN,
        [
            (key, [(film.file or film.id, film.orientation, tuple(box)) for film, box in pair])
            for _, key, pair in entries
        ],
    ]
    cache = ImageCache(folder, "pairs", (len(entries), 2, PAIR_CROP_SIZE, PAIR_CROP_SIZE), content)
    labels = np.full((len(entries), len(raters), len(scales), 2), -1, np.int64)
    max_grades = np.full((len(entries), len(scales)), -1, np.int64)
    found = np.zeros((len(entries), len(raters), 2), bool)
    groups = np.zeros(len(entries), np.int64)
    levels: dict[str, npt.NDArray[np.float32]] = {}
    current = ""
    for row, (case, key, pair) in enumerate(entries):
        if not cache.is_complete:
            progress("preparing joints", row, len(entries))
        if case.id != current:
            current, levels = case.id, {}
            readings = {reading.rater: reading for reading in study.signed_readings(case.id)}
        site = scheme.site(key)
        groups[row] = names.index(site.joint.group)
        for time, (film, box) in enumerate(() if cache.is_complete else pair):
            if film.id not in levels:
                levels[film.id] = _load_levels(study, case.id, film)
            cache.images[row, time] = crop_joint(levels[film.id], box, site.side == "R")
        for column, scale in enumerate(scales):
            max_grades[row, column] = site.joint.max_grade(scale) if scale in site.joint.scales else -1
        for number, rater in enumerate(raters):
            reading = readings.get(rater)
            if reading is None or key not in reading.site_keys:
                continue
            for time in (0, 1):
                found[row, number, time] = reading.finding(Slot(key, time)) is not None
                for column, scale in enumerate(scales):
                    if scale in site.joint.scales:
                        score = reading.score(Field(key, scale, time))
                        labels[row, number, column, time] = -1 if score is None else score
    cache.finish()
    progress("preparing joints", len(entries), len(entries))
    case_ids, keys = tuple(case.id for case, *_ in entries), tuple(key for _, key, _ in entries)
    return PairSamples(cache.images, labels, max_grades, groups, found, case_ids, keys, names, scales)


def list_signed_cases(study: Study) -> tuple[str, ...]:
    """Return the cases with at least one signed reading."""
    return tuple(id for id in study.cases() if study.signed_readings(id))


def _load_levels(study: Study, case: str, record: FilmRecord) -> npt.NDArray[np.float32]:
    """Return the film's grey levels from 0 to 1, bone bright."""
    film = study.film(case, record.id, record.orientation)
    levels = normalize_intensity(film.pixels)
    return np.float32(1.0) - levels if film.is_inverted else levels

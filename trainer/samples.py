"""From a study to arrays: whole films for the detector, paired crops for the scorer, and the split by patient.

Arrays are made once into a memory-mapped file and augmented on the device later. Right hands are mirrored, so that
every sample is a left hand; labels come from signed readings alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from ratui.errors import TrainError
from ratui.imaging import Box, Film, stretch
from ratui.reading import Field, Slot
from ratui.scheme import Scheme
from ratui.study import Case, FilmRecord, Region, Study
from trainer.cache import Kept

__all__ = [
    "CROP",
    "KINDS",
    "SIDE",
    "Frame",
    "HandSamples",
    "PairSamples",
    "Split",
    "frame_of",
    "hand_image",
    "hand_samples",
    "hands",
    "pair_samples",
    "read_cases",
    "split_cases",
]

SIDE = 320
"""Pixels of the square that a whole hand is fitted into."""
CROP = 72
"""Pixels of the square that a joint's region, with a margin, is fitted into."""
MARGIN = 1.25
KINDS = ("PIP", "MCP")
"""The kinds of finger joints; a joint's kind is its group in the scheme."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Split:
    """Which cases are learnt from and which are held out; no case is in both."""

    train: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True)
class Frame:
    """How a hand on a film became a square: the part of the film, whether it was mirrored, and pixels per film pixel."""

    area: Box
    mirrored: bool
    scale: float

    def into(self, box: Box) -> Box:
        """A box of the film in pixels of the square."""
        x0, y0, x1, y1 = box
        left, right = (
            (self.area[2] - x1, self.area[2] - x0) if self.mirrored else (x0 - self.area[0], x1 - self.area[0])
        )
        return (
            left * self.scale,
            (y0 - self.area[1]) * self.scale,
            right * self.scale,
            (y1 - self.area[1]) * self.scale,
        )

    def back(self, box: Box) -> Box:
        """A box of the square in pixels of the film."""
        x0, y0, x1, y1 = (value / self.scale for value in box)
        left, right = (
            (self.area[2] - x1, self.area[2] - x0) if self.mirrored else (self.area[0] + x0, self.area[0] + x1)
        )
        return (left, y0 + self.area[1], right, y1 + self.area[1])


@dataclass(frozen=True)
class HandSamples:
    """Whole hands. `images` (N, SIDE, SIDE) uint8; `boxes` (N, J, 4) in pixels of the square, NaN where there is none.

    `kinds` (J,) index `KINDS`; `findings` (N, J) is the share of the raters who saw a finding, NaN without a reading.
    `cases`, `films` and `sides` name each hand, `joints` the columns.
    """

    images: npt.NDArray[np.uint8]
    boxes: npt.NDArray[np.float32]
    findings: npt.NDArray[np.float32]
    kinds: npt.NDArray[np.int64]
    frames: tuple[Frame, ...]
    cases: tuple[str, ...]
    films: tuple[str, ...]
    sides: tuple[str, ...]
    joints: tuple[str, ...]


@dataclass(frozen=True)
class PairSamples:
    """Joints at both time points. `crops` (N, 2, CROP, CROP) uint8.

    `labels` (N, raters, scales, 2) are scores, −1 where there is none; `tops` (N, scales) the largest grade of each
    scale, −1 where the joint lacks it; `groups` (N,) index `group_names`. `found` (N, raters, 2) says where a finding
    was seen.
    """

    crops: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    tops: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]
    found: npt.NDArray[np.bool_]
    cases: tuple[str, ...]
    sites: tuple[str, ...]
    group_names: tuple[str, ...]
    scales: tuple[str, ...]

    @property
    def grades(self) -> tuple[int, ...]:
        """How many grades each scale has at most."""
        return tuple(int(top) + 1 for top in self.tops.max(axis=0))


def split_cases(cases: Sequence[str], *, seed: int = 0, held_out: float = 0.25) -> Split:
    """`cases` split by patient, the same for the same cases and `seed`. Raises TrainError for fewer than two."""
    if len(cases) < 2:
        raise TrainError(
            f"{len(cases)} read case{'s' * (len(cases) != 1)} can't be split into learning and holding out",
            "",
            "Sign the readings of at least two cases, better of fifty",
        )
    ranked = sorted(cases, key=lambda case: hashlib.sha256(f"{seed}/{case}".encode()).digest())
    test = min(max(1, round(held_out * len(cases))), len(cases) - 1)
    return Split(train=tuple(sorted(ranked[test:])), test=tuple(sorted(ranked[:test])))


def hands(case: Case, scheme: Scheme) -> Iterator[tuple[FilmRecord, str, Frame]]:
    """Each hand on a film of `case`, with its side and its frame."""
    for film in case.films:
        if _is_hand(film, scheme):
            for side in film.sides:
                yield film, side, frame_of(film, side)


def _is_hand(film: FilmRecord, scheme: Scheme) -> bool:
    view = scheme.views[film.view]
    return any(joint.group in KINDS and joint.id in view.template for joint in scheme.joints)


def frame_of(film: FilmRecord, side: str) -> Frame:
    """The frame of the hand of `side` on `film`."""
    area = film.area(side)
    return Frame(area, side == "R", SIDE / max(area[2] - area[0], area[3] - area[1]))


def hand_image(film: Film, frame: Frame) -> npt.NDArray[np.uint8]:
    """The hand of `frame` as a square of SIDE pixels, grey levels stretched, black where the film ends."""
    x0, y0, x1, y1 = (round(value) for value in frame.area)
    part = stretch(film.pixels[y0:y1, x0:x1])
    if film.inverted:
        part = 1.0 - part
    if frame.mirrored:
        part = part[:, ::-1]
    size = (max(round((x1 - x0) * frame.scale), 1), max(round((y1 - y0) * frame.scale), 1))
    image = Image.fromarray(np.ascontiguousarray(part)).resize(size, Image.Resampling.BOX)
    square = np.zeros((SIDE, SIDE), np.uint8)
    square[: size[1], : size[0]] = np.rint(np.clip(np.asarray(image), 0, 1) * 255)[:SIDE, :SIDE]
    return square


def hand_samples(study: Study, cases: Sequence[str], folder: Path, progress: Progress) -> HandSamples:
    """Every hand of `cases` that has confirmed regions. Raises TrainError where there is none."""
    scheme = study.scheme
    joints = [joint for joint in scheme.joints if joint.group in KINDS]
    if not joints:
        raise TrainError("the scheme has no finger joints", scheme.name, "The detector is for hands")
    todo = []
    for id in cases:
        case = study.case(id)
        regions = _regions_by_film(study.regions(id))
        todo += [(case, film, side, frame, regions) for film, side, frame in hands(case, scheme) if film.id in regions]
    if not todo:
        raise TrainError("no film has confirmed regions", study.path, "Confirm the regions of some cases first")
    content = [(film.digest or film.id, side) for _, film, side, *_ in todo]
    cache = Kept(folder, "hands", (len(todo), SIDE, SIDE), content)
    boxes = np.full((len(todo), len(joints), 4), np.nan, np.float32)
    findings = np.full((len(todo), len(joints)), np.nan, np.float32)
    readings = {id: study.signed_readings(id) for id in dict.fromkeys(case.id for case, *_ in todo)}
    for row, (case, film, side, frame, regions) in enumerate(todo):
        if not cache.full:
            progress("preparing hands", row, len(todo))
            cache.images[row] = hand_image(study.film(case.id, film.id), frame)
        for column, joint in enumerate(joints):
            site = f"{side}.{joint.id}"
            region = regions[film.id].get(site)
            if region is None or region.box is None:
                continue
            boxes[row, column] = frame.into(region.box)
            seen = [r.finding(Slot(site, film.time)) is not None for r in readings[case.id] if site in r.site_keys]
            if seen:
                findings[row, column] = np.mean(seen)
    cache.finish()
    progress("preparing hands", len(todo), len(todo))
    return HandSamples(
        cache.images,
        boxes,
        findings,
        np.array([KINDS.index(joint.group) for joint in joints]),
        tuple(frame for *_, frame, _ in todo),
        tuple(case.id for case, *_ in todo),
        tuple(film.id for _, film, *_ in todo),
        tuple(side for _, _, side, *_ in todo),
        tuple(joint.id for joint in joints),
    )


def crop_image(levels: npt.NDArray[np.float32], box: Box, mirrored: bool) -> npt.NDArray[np.uint8]:
    """The region `box`, with a margin, as a square of CROP pixels; `levels` is the film stretched, shape (rows, columns)."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    half = MARGIN * max(box[2] - box[0], box[3] - box[1]) / 2
    left, top, side = int(np.floor(x - half)), int(np.floor(y - half)), int(np.ceil(2 * half)) + 1
    part = np.zeros((side, side), np.float32)
    inside = levels[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)]
    part[max(-top, 0) :, max(-left, 0) :][: inside.shape[0], : inside.shape[1]] = inside
    area = (x - half - left, y - half - top, x + half - left, y + half - top)
    image = Image.fromarray(part).resize((CROP, CROP), Image.Resampling.BILINEAR, box=area)
    values = np.rint(np.clip(np.asarray(image), 0, 1) * 255).astype(np.uint8)
    return np.asarray(values[:, ::-1] if mirrored else values)


def pair_samples(
    study: Study, cases: Sequence[str], folder: Path, progress: Progress, *, proposed: bool = False
) -> PairSamples:
    """Every joint of `cases` with regions on both films, read or not. Raises TrainError for none.

    With `proposed` a joint without a confirmed region stands where a detector proposes it.
    """
    scheme = study.scheme
    names = tuple(dict.fromkeys(joint.group for joint in scheme.joints))
    todo: list[tuple[Case, str, tuple[tuple[FilmRecord, Box], ...]]] = []
    for id in cases:
        case = study.case(id)
        known = (*(study.proposals(id) if proposed else ()), *study.regions(id))
        regions = {(region.site, region.film): region.box for region in known}
        for site in case.sites(scheme):
            films = [case.film(time, site.side, site.part, scheme) for time in (0, 1)]
            placed = [(film, box) for film in films if film and (box := regions.get((site.key, film.id))) is not None]
            if len(placed) == 2:
                todo.append((case, site.key, tuple(placed)))
    if not todo:
        raise TrainError("no joint has regions at both time points", study.path, "Confirm regions first")
    raters, scales = study.config.raters, scheme.scales
    content = [MARGIN, [(key, [(film.digest or film.id, box) for film, box in pair]) for _, key, pair in todo]]
    cache = Kept(folder, "pairs", (len(todo), 2, CROP, CROP), content)
    labels = np.full((len(todo), len(raters), len(scales), 2), -1, np.int64)
    tops = np.full((len(todo), len(scales)), -1, np.int64)
    found = np.zeros((len(todo), len(raters), 2), bool)
    groups = np.zeros(len(todo), np.int64)
    levels: dict[str, npt.NDArray[np.float32]] = {}
    current = ""
    for row, (case, key, pair) in enumerate(todo):
        if not cache.full:
            progress("preparing joints", row, len(todo))
        if case.id != current:
            current, levels = case.id, {}
            readings = {reading.rater: reading for reading in study.signed_readings(case.id)}
        site = scheme.site(key)
        groups[row] = names.index(site.joint.group)
        for time, (film, box) in enumerate(() if cache.full else pair):
            if film.id not in levels:
                levels[film.id] = _levels(study, case.id, film)
            cache.images[row, time] = crop_image(levels[film.id], box, site.side == "R")
        for column, scale in enumerate(scales):
            tops[row, column] = site.joint.maximum(scale) if scale in site.joint.scales else -1
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
    progress("preparing joints", len(todo), len(todo))
    case_ids, keys = tuple(case.id for case, *_ in todo), tuple(key for _, key, _ in todo)
    return PairSamples(cache.images, labels, tops, groups, found, case_ids, keys, names, scales)


def read_cases(study: Study) -> tuple[str, ...]:
    """The cases with at least one signed reading."""
    return tuple(id for id in study.cases() if study.signed_readings(id))


def _levels(study: Study, case: str, record: FilmRecord) -> npt.NDArray[np.float32]:
    """The film stretched, bone bright."""
    film = study.film(case, record.id)
    levels = stretch(film.pixels)
    return np.float32(1.0) - levels if film.inverted else levels


def _regions_by_film(regions: Sequence[Region]) -> dict[str, dict[str, Region]]:
    """Confirmed regions by film, then by site."""
    by_film: dict[str, dict[str, Region]] = {}
    for region in regions:
        if region.by:
            by_film.setdefault(region.film, {})[region.site] = region
    return by_film

"""Whole hands as squares for the detector: from a study's films and confirmed regions, with the boxes of the finger joints.

Squares are drawn once into a memory-mapped file. Right hands are mirrored, so that every sample is a left hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from ratui.errors import TrainError
from ratui.imaging import Box, Film, normalize_intensity
from ratui.reading import Slot
from ratui.scheme import Joint, Scheme
from ratui.study import Case, FilmRecord, Region, Study
from trainer.data.image_cache import ImageCache

__all__ = [
    "COARSE_SIZE",
    "FINE_SIZE",
    "JOINT_KINDS",
    "Frame",
    "HandSamples",
    "crop_hand",
    "finger_joints",
    "iterate_hands",
    "joint_template",
    "kinds_by_joint",
    "load_hand_samples",
    "make_frame",
    "normalise_levels",
]

COARSE_SIZE = 320
"""Sides of the square that a whole hand is fitted into, in the units of every box in here."""
FINE_SIZE = 960
"""Pixels of that square's side: three to a unit, so that a joint space is some pixels wide."""
JOINT_KINDS = ("PIP", "MCP")
"""The kinds of finger joints; a joint's kind is its group in the scheme."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Frame:
    """How a hand on a film became a square: the part of the film, whether it was mirrored, and units per film pixel."""

    area: Box
    mirrored: bool
    scale: float

    def to_square(self, box: Box) -> Box:
        """A box of the film in units of the square."""
        x0, y0, x1, y1 = box
        left, right = (
            (self.area.x1 - x1, self.area.x1 - x0) if self.mirrored else (x0 - self.area.x0, x1 - self.area.x0)
        )
        return Box(left, y0 - self.area.y0, right, y1 - self.area.y0).scale(self.scale)

    def to_film(self, box: Box) -> Box:
        """A box of the square in pixels of the film."""
        x0, y0, x1, y1 = (value / self.scale for value in box)
        left, right = (
            (self.area.x1 - x1, self.area.x1 - x0) if self.mirrored else (self.area.x0 + x0, self.area.x0 + x1)
        )
        return Box(left, y0 + self.area.y0, right, y1 + self.area.y0)


@dataclass(frozen=True)
class HandSamples:
    """Whole hands as training samples.

    `images` (N, FINE_SIZE, FINE_SIZE) uint8; `boxes` (N, J, 4) in units of the square, NaN where there is none.
    `kinds` (J,) index `JOINT_KINDS`; `findings` (N, J) is the share of the raters who saw a finding, NaN without a reading.
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


def finger_joints(scheme: Scheme) -> tuple[Joint, ...]:
    """The joints of `scheme` that the detector finds. Raises TrainError where there is none."""
    joints = tuple(joint for joint in scheme.joints if joint.group in JOINT_KINDS)
    if not joints:
        raise TrainError("the scheme has no finger joints", scheme.name, "The detector is for hands")
    return joints


def joint_template(scheme: Scheme) -> dict[str, tuple[float, float, float]]:
    """Where the finger joints of a left hand lie in a square of COARSE_SIZE units: centre and size by joint.

    It is that of the scheme's first view with finger joints in it. Raises TrainError where there is none.
    """
    ids = {joint.id for joint in finger_joints(scheme)}
    template = next((view.template for view in scheme.views.values() if ids & set(view.template)), None)
    if template is None:
        raise TrainError("no view of the scheme has a template of finger joints", scheme.name, "Add one to its file")
    # Films are about five wide to six high; only the shape matters, as the template is fitted by turning and scaling.
    width = COARSE_SIZE / 1.22
    return {
        joint.id: (template[joint.id][0] * width, template[joint.id][1] * COARSE_SIZE, template[joint.id][2] * width)
        for joint in scheme.joints
        if joint.group in JOINT_KINDS and joint.id in template
    }


def kinds_by_joint(scheme: Scheme) -> dict[str, str]:
    """The kind of each finger joint of `scheme`."""
    return {joint.id: joint.group for joint in scheme.joints if joint.group in JOINT_KINDS}


def iterate_hands(case: Case, scheme: Scheme) -> Iterator[tuple[FilmRecord, str, Frame]]:
    """Each hand on a film of `case`, with its side and its frame."""
    for film in case.films:
        view = scheme.views[film.view]
        if any(joint.group in JOINT_KINDS and joint.id in view.template for joint in scheme.joints):
            for side in film.sides:
                yield film, side, make_frame(film.area(side), side)


def make_frame(area: Box, side: str) -> Frame:
    """The frame of the hand of `side` that fills `area` of a film."""
    return Frame(area, side == "R", COARSE_SIZE / max(area.width, area.height))


def normalise_levels(film: Film, area: Box) -> npt.NDArray[np.float32]:
    """`area` of the film from 0 to 1, stretched, bone bright."""
    x0, y0, x1, y1 = (round(value) for value in area)
    part = normalize_intensity(film.pixels[y0:y1, x0:x1])
    return np.float32(1.0) - part if film.is_inverted else part


def crop_hand(film: Film, frame: Frame) -> npt.NDArray[np.uint8]:
    """The hand of `frame` as a square of FINE_SIZE pixels, grey levels stretched, black where the film ends."""
    x0, y0, x1, y1 = (round(value) for value in frame.area)
    part = normalise_levels(film, frame.area)
    if frame.mirrored:
        part = part[:, ::-1]
    scale = frame.scale * FINE_SIZE / COARSE_SIZE
    size = (max(round((x1 - x0) * scale), 1), max(round((y1 - y0) * scale), 1))
    image = Image.fromarray(np.ascontiguousarray(part)).resize(size, Image.Resampling.BILINEAR)
    square = np.zeros((FINE_SIZE, FINE_SIZE), np.uint8)
    square[: size[1], : size[0]] = np.rint(np.clip(np.asarray(image), 0, 1) * 255)[:FINE_SIZE, :FINE_SIZE]
    return square


def load_hand_samples(study: Study, cases: Sequence[str], folder: Path, progress: Progress) -> HandSamples:
    """Every hand of `cases` that has confirmed regions. Raises TrainError where there is none."""
    scheme = study.scheme
    joints = finger_joints(scheme)
    todo = []
    for id in cases:
        case = study.case(id)
        regions = _group_by_film(study.regions(id))
        todo += [
            (case, film, side, _hand_frame(regions[film.id], film, side), regions[film.id])
            for film, side, _ in iterate_hands(case, scheme)
            if film.id in regions
        ]
    if not todo:
        raise TrainError(
            "no film has confirmed regions of finger joints, and the detector learns no others",
            study.path,
            "Confirm the regions of some hands first",
        )
    content = [(FINE_SIZE, film.digest or film.id, frame) for _, film, _, frame, _ in todo]
    cache = ImageCache(folder, "hands", (len(todo), FINE_SIZE, FINE_SIZE), content)
    boxes = np.full((len(todo), len(joints), 4), np.nan, np.float32)
    findings = np.full((len(todo), len(joints)), np.nan, np.float32)
    readings = {id: study.signed_readings(id) for id in dict.fromkeys(case.id for case, *_ in todo)}
    for row, (case, film, side, frame, regions_here) in enumerate(todo):
        if not cache.is_complete:
            progress("preparing hands", row, len(todo))
            cache.images[row] = crop_hand(study.film(case.id, film.id), frame)
        for column, joint in enumerate(joints):
            site = f"{side}.{joint.id}"
            region = regions_here.get(site)
            if region is None or region.box is None:
                continue
            boxes[row, column] = frame.to_square(region.box)
            seen = [r.finding(Slot(site, film.time)) is not None for r in readings[case.id] if site in r.site_keys]
            if seen:
                findings[row, column] = np.mean(seen)
    cache.finish()
    progress("preparing hands", len(todo), len(todo))
    return HandSamples(
        cache.images,
        boxes,
        findings,
        np.array([JOINT_KINDS.index(joint.group) for joint in joints]),
        tuple(frame for *_, frame, _ in todo),
        tuple(case.id for case, *_ in todo),
        tuple(film.id for _, film, *_ in todo),
        tuple(side for _, _, side, *_ in todo),
        tuple(joint.id for joint in joints),
    )


def _hand_frame(regions: dict[str, Region], film: FilmRecord, side: str) -> Frame:
    """The frame of the hand of `side`: its half of a film of both, whichever half its regions lie in."""
    area = film.area(side)
    if film.side == "B":
        centres = [r.box.centre[0] for key, r in regions.items() if r.box and key.startswith(f"{side}.")]
        if centres and not area.x0 <= float(np.median(centres)) <= area.x1:
            area = film.area("R" if side == "L" else "L")
    return make_frame(area, side)


def _group_by_film(regions: Sequence[Region]) -> dict[str, dict[str, Region]]:
    """Confirmed regions by film, then by site."""
    by_film: dict[str, dict[str, Region]] = {}
    for region in regions:
        if region.confirmed_by:
            by_film.setdefault(region.film, {})[region.site] = region
    return by_film

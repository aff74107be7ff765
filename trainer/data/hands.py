"""Training samples for the detector: whole hands as square images, with the boxes and findings of their finger joints.

Images are cached. Right hands are mirrored, so that every sample is a left hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from ratui.detection.finger_joints import (
    COARSE_SIZE,
    FINE_SIZE,
    JOINT_KINDS,
    list_finger_joints,
    normalise_levels,
)
from ratui.detection.site_finder import shows_sites
from ratui.detection.wrist_sites import WRIST_SITES
from ratui.errors import TrainError
from ratui.imaging import Box, Film
from ratui.reading import Slot
from ratui.scheme import Scheme
from ratui.study import Case, FilmRecord, Region, RegionSource, Study
from ratui.study.intact import intact_case, intact_regions
from trainer.data.image_cache import ImageCache

__all__ = [
    "Frame",
    "HandSamples",
    "crop_hand",
    "iterate_hands",
    "load_hand_samples",
    "make_frame",
]

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Frame:
    """The transform from a hand on a film to its square: part of the film, reflection, and units per film pixel."""

    area: Box
    mirrored: bool
    scale: float

    def to_square(self, box: Box) -> Box:
        """Return a box of the film, in pixels, in units of the square."""
        x0, y0, x1, y1 = box
        left, right = (
            (self.area.x1 - x1, self.area.x1 - x0) if self.mirrored else (x0 - self.area.x0, x1 - self.area.x0)
        )
        return Box(left, y0 - self.area.y0, right, y1 - self.area.y0).scale(self.scale)

    def to_film(self, box: Box) -> Box:
        """Return a box of the square, in units, in pixels of the film."""
        x0, y0, x1, y1 = (value / self.scale for value in box)
        left, right = (
            (self.area.x1 - x1, self.area.x1 - x0) if self.mirrored else (self.area.x0 + x0, self.area.x0 + x1)
        )
        return Box(left, y0 + self.area.y0, right, y1 + self.area.y0)


@dataclass(frozen=True)
class HandSamples:
    """N hands with J joints each.

    Attributes
    ----------
    images
        Hands, shape (N, FINE_SIZE, FINE_SIZE), uint8, bone bright.
    boxes
        Boxes in units of the square, shape (N, J, 4); NaN where unknown.
    findings
        Share of the raters who entered a special finding, shape (N, J); NaN without a reading.
    kinds
        Kind of each joint, shape (J,), as an index into `JOINT_KINDS`.
    frames, cases, films, sides
        Frame, case, film and side of each hand.
    joints
        Names of the J joints.
    dependent
        Number of confirmed boxes that a detector proposed and no rater moved. `load_hand_samples` can leave them out.
    source
        Kind of the data set that the hands are of: ``study``, ``COCO file`` or ``simulated films``.
    wrists
        Boxes of `WRIST_SITES` in units of the square, shape (N, S, 4), NaN where unknown; None if all are unknown.
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
    dependent: int = 0
    source: str = "study"
    wrists: npt.NDArray[np.float32] | None = None


def iterate_hands(case: Case, scheme: Scheme) -> Iterator[tuple[FilmRecord, str, Frame]]:
    """Yield each hand on the films of `case`: film, side and frame. Views of feet are left out.

    A view of hands shows finger joints or sites of a wrist.
    """
    for film in case.films:
        if shows_sites(scheme, film.view):
            for side in film.sides:
                yield film, side, make_frame(film.area(side), side)


def make_frame(area: Box, side: str) -> Frame:
    """Return the frame of a hand that fills `area` of a film; right hands are mirrored."""
    return Frame(area, side == "R", COARSE_SIZE / max(area.width, area.height))


def crop_hand(film: Film, frame: Frame) -> npt.NDArray[np.uint8]:
    """Return the hand of `frame` as a square of FINE_SIZE pixels, uint8, bone bright, black outside of the film."""
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


def load_hand_samples(
    study: Study, cases: Sequence[str], folder: Path, progress: Progress, *, independent: bool = False
) -> HandSamples:
    """Return all hands of `cases` with confirmed regions.

    Parameters
    ----------
    study
        The study; findings come from its signed readings.
    cases
        Cases to load.
    folder
        Cache of the images.
    progress
        Called with a text, the number done and the total.
    independent
        Leave out boxes that a detector proposed, on this or on another film of the case, and that no rater moved. They
        are what a detector says, not what a rater says, and would measure the detector against itself. A training keeps
        them: without a box, a joint on the film would count as background.

    Raises
    ------
    TrainError
        If no hand has such regions.
    """
    scheme = study.scheme
    joints = list_finger_joints(scheme)
    entries = []
    dependent = 0
    for id in cases:
        case = intact_case(study, id)
        if case is None:
            continue
        confirmed = [region for region in intact_regions(study, case) if region.confirmed_by]
        own = [region for region in confirmed if not _is_from_model(region, confirmed)]
        dependent += len(confirmed) - len(own)
        regions = _group_by_film(own if independent else confirmed)
        entries += [
            (case, film, side, _hand_frame(regions[film.id], film, side), regions[film.id])
            for film, side, _ in iterate_hands(case, scheme)
            if film.id in regions
        ]
    if not entries:
        problem = "no film has confirmed regions of finger joints"
        if dependent:
            raise TrainError(
                f"{problem} but those that a detector proposed", study.path, "Correct, or draw, some regions by hand"
            )
        raise TrainError(problem, study.path, "Confirm the regions of some hands first")
    content = [(FINE_SIZE, film.file or film.id, film.orientation, frame) for _, film, _, frame, _ in entries]
    cache = ImageCache(folder, "hands", (len(entries), FINE_SIZE, FINE_SIZE), content)
    boxes = np.full((len(entries), len(joints), 4), np.nan, np.float32)
    findings = np.full((len(entries), len(joints)), np.nan, np.float32)
    wrists = np.full((len(entries), len(WRIST_SITES), 4), np.nan, np.float32)
    readings = {id: study.signed_readings(id) for id in dict.fromkeys(case.id for case, *_ in entries)}
    for row, (case, film, side, frame, regions_here) in enumerate(entries):
        if not cache.is_complete:
            progress("preparing hands", row, len(entries))
            cache.images[row] = crop_hand(study.film(case.id, film.id, film.orientation), frame)
        for column, joint in enumerate(joints):
            site = f"{side}.{joint.id}"
            region = regions_here.get(site)
            if region is None or region.box is None:
                continue
            boxes[row, column] = frame.to_square(region.box)
            seen = [r.finding(Slot(site, film.time)) is not None for r in readings[case.id] if site in r.site_keys]
            if seen:
                findings[row, column] = np.mean(seen)
        for column, name in enumerate(WRIST_SITES):
            region = regions_here.get(f"{side}.{name}")
            if region is not None and region.box is not None:
                wrists[row, column] = frame.to_square(region.box)
    cache.finish()
    progress("preparing hands", len(entries), len(entries))
    return HandSamples(
        cache.images,
        boxes,
        findings,
        np.array([JOINT_KINDS.index(joint.group) for joint in joints]),
        tuple(frame for *_, frame, _ in entries),
        tuple(case.id for case, *_ in entries),
        tuple(film.id for _, film, *_ in entries),
        tuple(side for _, _, side, *_ in entries),
        tuple(joint.id for joint in joints),
        dependent,
        wrists=wrists if np.isfinite(wrists).any() else None,
    )


def _is_from_model(region: Region, confirmed: Sequence[Region]) -> bool:
    """Return whether the box of a region is a detector's, or was copied or registered from a detector's on another film.

    A copy does not state its origin. It comes from the same joint on any film of the case, also of the other hand, which
    registration mirrors. A box estimated after registration comes from that joint and its
    neighbours; one that followed corrections may come from all boxes that a model found on its hand.
    """
    if region.source is RegionSource.MODEL:
        return True
    proposed = {other.site for other in confirmed if other.source is RegionSource.MODEL}
    if region.source is RegionSource.ESTIMATED:
        return bool(proposed)
    if region.source in (RegionSource.REGISTERED, RegionSource.OTHER_FILM):
        joint = region.site.partition(".")[2]
        return any(site.partition(".")[2] == joint for site in proposed)
    return False


def _hand_frame(regions: dict[str, Region], film: FilmRecord, side: str) -> Frame:
    """Return the frame of the hand of `side`. On a film of both hands it is the half in which its regions lie."""
    area = film.area(side)
    if film.side == "B":
        centres = [r.box.centre[0] for key, r in regions.items() if r.box and key.startswith(f"{side}.")]
        if centres and not area.x0 <= float(np.median(centres)) <= area.x1:
            area = film.area("R" if side == "L" else "L")
    return make_frame(area, side)


def _group_by_film(regions: Sequence[Region]) -> dict[str, dict[str, Region]]:
    """Return the regions by film and site."""
    by_film: dict[str, dict[str, Region]] = {}
    for region in regions:
        by_film.setdefault(region.film, {})[region.site] = region
    return by_film

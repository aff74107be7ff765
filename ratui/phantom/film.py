"""Simulation of a film: hands or feet, one or both, are laid out, drawn and exposed, with the true boxes of the joints.

Pose, exposure and noise differ between two films of a hand and come from the generator that is passed in. Anatomy and
the location of damage are constant and come from the patient's seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from ratui.imaging import Box
from ratui.phantom.anatomy import Array
from ratui.phantom.body import draw_body, make_persistent_rng
from ratui.phantom.bones import Canvas, add_bridge, add_long_bone, add_short_bone
from ratui.phantom.cassette import add_collimation, add_markers
from ratui.phantom.exposure import MachineSettings, draw_machine, expose, vary_machine
from ratui.phantom.foot import Foot, draw_foot_body
from ratui.phantom.foot_pose import draw_foot_pose
from ratui.phantom.foot_skeleton import build_foot_layout
from ratui.phantom.hand import Hand
from ratui.phantom.parts import Layout
from ratui.phantom.pose import draw_pose
from ratui.phantom.skeleton import build_layout
from ratui.phantom.tissue import add_metal, draw_soft_tissue
from ratui.phantom.truth import PhantomPatient

__all__ = ["FilmPart", "FilmSide", "PhantomFilm", "render"]

FilmSide: TypeAlias = Literal["L", "R", "B"]
FilmPart: TypeAlias = Literal["hand", "foot"]
_ARM = ((106.0, 205.0), (106.0, 232.0), (97.0, 265.0))  # mm on the tracing; markers are rarely placed on the arm
_FOREFOOT = 0.2  # share of the clinics whose films end at the tarsus
_SOLE = ((100.0, 125.0), (84.0, 150.0), (116.0, 150.0), (82.0, 195.0), (122.0, 195.0))  # mm on the reference foot
_ANKLE, _TARSUS = (100.0, 210.0), (100.0, 165.0)  # mm on the reference foot; films end there or behind it
_HEIGHT, _FOOT_HEIGHT, _FOREFOOT_HEIGHT = 283.0, 215.0, 170.0  # mm, usual heights of films of one hand or foot


@dataclass(frozen=True)
class PhantomFilm:
    """A simulated film.

    Attributes
    ----------
    pixels
        Grey levels of 12 bits, shape (rows, columns); bone is bright.
    boxes
        True boxes of the joints in pixels, by site key.
    spacing
        Pixel spacing (rows, columns), in mm.
    side
        ``L``, ``R``, or ``B`` for both hands or feet.
    areas
        Part of the film that shows each side: the whole film, or one half if it shows both hands or feet.
    part
        ``hand`` or ``foot``.
    landmarks
        Other places of a foot in pixels (x, y), by name: ``L.MT1 base`` to ``L.MT5 base`` are the middles of the bases
        of the metatarsals.
    axes
        By site key of a finger or toe joint: base and head of the bone on its proximal side, each (x, y) in pixels.
    """

    pixels: npt.NDArray[np.uint16]
    boxes: Mapping[str, Box]
    spacing: tuple[float, float]
    side: FilmSide = "L"
    areas: Mapping[str, Box] = field(default_factory=dict)
    part: FilmPart = "hand"
    landmarks: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    axes: Mapping[str, tuple[tuple[float, float], tuple[float, float]]] = field(default_factory=dict)


@dataclass(frozen=True)
class _PlacedLimb:
    """A hand or foot with the intended centre of its image, and the bounds (mm) of the boxes that must be on the film.

    `trunk` are places behind the fingers or toes that markers rarely cover: centre and side in mm. `height` is the usual
    height of such a film in mm. `tips` are the ends of toes, which must be on the film like the boxes.
    """

    side: Literal["L", "R"]
    layout: Layout
    flesh: float
    low: Array
    high: Array
    middle: Array
    trunk: list[tuple[Array, float]]
    height: float
    may_wear_metal: bool
    tips: list[tuple[Array, float]]


def render(
    patient: PhantomPatient,
    side: FilmSide,
    time: int,
    rng: np.random.Generator,
    *,
    size: tuple[int, int] = (1250, 1024),
    left_first: bool = True,
    part: FilmPart = "hand",
) -> PhantomFilm:
    """Simulate a film of one or both hands, or of one or both feet, of a patient.

    Parameters
    ----------
    patient, time
        The patient and the time point, 0 for the earliest.
    side
        ``L``, ``R``, or ``B`` for both sides on one film, each in its own half.
    rng
        Generator of pose, exposure and noise.
    size
        (rows, columns) of the film.
    left_first
        With both sides: True places the left one in the left half, with thumbs or big toes inwards. False swaps the
        halves, as with two exposures of one cassette.
    part
        ``hand``, or ``foot`` for a dorsoplantar film.
    """
    rows, columns = size
    sides: tuple[Literal["L", "R"], ...] = ("L", "R") if side == "B" else (side,)
    place = _place_hand if part == "hand" else _place_foot
    placed = [place(patient, each, time, rng) for each in sides]
    width, whole = columns / len(sides), Box.from_size(columns, rows)
    mm = _pixel_size(patient, placed, rows, width, rng)
    mineral, soft = None, None
    boxes: dict[str, Box] = {}
    occupied: dict[str, list[Box]] = {}
    shown: dict[str, list[Box]] = {}
    areas: dict[str, Box] = {}
    landmarks: dict[str, tuple[float, float]] = {}
    axes: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {}
    for limb in placed:
        at_left = len(sides) == 2 and (limb.side == "L") == left_first
        left = 0.0 if len(sides) == 1 or at_left else width
        # A right hand or foot is drawn as a left one on the mirrored film.
        mirrored = limb.side == "R"
        start = columns - left - width if mirrored else left
        canvas, own_soft, own_boxes, flesh, own_tips = _draw_limb(limb, rows, columns, mm, start, width, rng)
        if mirrored:
            own_boxes = {site: box.mirror(whole) for site, box in own_boxes.items()}
            flesh = [box.mirror(whole) for box in flesh]
            own_tips = [box.mirror(whole) for box in own_tips]
            canvas.mineral, own_soft = canvas.mineral[:, ::-1], own_soft[:, ::-1]
        mineral = canvas.mineral if mineral is None else mineral + canvas.mineral
        soft = own_soft if soft is None else soft + own_soft
        boxes.update(own_boxes)

        def to_pixels(point: Array, origin: Array = canvas.origin, mirrored: bool = mirrored) -> tuple[float, float]:
            x, y = (point - origin) / mm
            return float(columns - x if mirrored else x), float(y)

        landmarks.update({name: to_pixels(point) for name, point in limb.layout.landmarks.items()})
        axes.update({site: (to_pixels(base), to_pixels(head)) for site, (base, head) in limb.layout.axes.items()})
        shown[limb.side] = [*own_boxes.values(), *own_tips]
        occupied[limb.side] = [*own_boxes.values(), *(flesh if rng.random() < 0.92 else [])]
        areas[limb.side] = Box(left, 0.0, left + width, float(rows))
    assert mineral is not None
    assert soft is not None
    levels = expose(np.ascontiguousarray(mineral), np.ascontiguousarray(soft), mm, _choose_machine(patient, rng), rng)
    two_exposures = len(sides) == 2 and not left_first
    _add_borders(levels, sides, areas, shown, occupied, mm, rng, two_exposures=two_exposures, part=part)
    return PhantomFilm(levels, boxes, (mm, mm), side, areas, part, landmarks, axes)


def _choose_machine(patient: PhantomPatient, rng: np.random.Generator) -> MachineSettings:
    """Return the settings of the clinic's machine with small variations, or sometimes of another machine."""
    another = rng.random() < 0.2
    return draw_machine(rng) if another else vary_machine(draw_machine(make_persistent_rng(patient, "machine")), rng)


def _place_hand(patient: PhantomPatient, side: Literal["L", "R"], time: int, rng: np.random.Generator) -> _PlacedLimb:
    body = draw_body(patient, side)
    pose = draw_pose(rng, patient, make_persistent_rng(patient, side, "pose"))
    hand = Hand(patient, side, time, body, pose)
    wrist = hand.to_film(np.array([[110.0, 262.0]]))
    arm = [(hand.to_film(np.array([place]))[0], 55.0) for place in _ARM]
    return _place(side, build_layout(hand), body.flesh, wrist, arm, _HEIGHT, may_wear_metal=True, show_tips=False)


def _place_foot(patient: PhantomPatient, side: Literal["L", "R"], time: int, rng: np.random.Generator) -> _PlacedLimb:
    body = draw_foot_body(patient, side)
    pose = draw_foot_pose(rng, patient, make_persistent_rng(patient, side, "foot pose"))
    foot = Foot(patient, side, time, body, pose)
    forefoot = make_persistent_rng(patient, "foot films").random() < _FOREFOOT
    end, height = (_TARSUS, _FOREFOOT_HEIGHT) if forefoot else (_ANKLE, _FOOT_HEIGHT)
    sole = [(foot.to_film(np.array([place]))[0], 52.0) for place in _SOLE]
    return _place(
        side,
        build_foot_layout(foot),
        body.flesh,
        foot.to_film(np.array([end])),
        sole,
        height,
        may_wear_metal=False,
        show_tips=True,
    )


def _place(
    side: Literal["L", "R"],
    layout: Layout,
    flesh: float,
    end: Array,
    trunk: list[tuple[Array, float]],
    height: float,
    *,
    may_wear_metal: bool,
    show_tips: bool,
) -> _PlacedLimb:
    """Return a limb whose image is centred between its tips and `end`, shape (1, 2) in mm.

    With `show_tips` the tips are always on the film, otherwise only the boxes.
    """
    ends = [(points[-1], 2 * float(radii[-1])) for points, radii in layout.fingers.values()] if show_tips else []
    boxes = [(centre - width / 2, centre + width / 2) for centre, width in (*layout.centres.values(), *ends)]
    tips = np.concatenate([points for points, _ in layout.fingers.values()])
    joints = np.stack([corner for box in boxes for corner in box]) if boxes else tips
    whole = np.concatenate([tips, end])
    middle = (whole.min(axis=0) + whole.max(axis=0)) / 2
    low, high = joints.min(axis=0), joints.max(axis=0)
    return _PlacedLimb(side, layout, flesh, low, high, middle, trunk, height, may_wear_metal, ends)


def _pixel_size(
    patient: PhantomPatient, placed: list[_PlacedLimb], rows: int, width: float, rng: np.random.Generator
) -> float:
    """Return the pixel size in mm: the clinic's usual size, or more if the hand or foot would not fit."""
    usual = float(np.exp(make_persistent_rng(patient, "clinic").normal(0.0, 0.12)))
    if rng.random() < 0.15:  # taken in another room, or on a plate of another size
        usual = float(np.exp(rng.normal(0.0, 0.14)))
    mm = placed[0].height * float(np.clip(usual * rng.normal(1.0, 0.02), 0.72, 1.45)) / rows
    for limb in placed:
        extent = limb.high - limb.low + 6.0
        mm = max(mm, float(extent[0]) / width, float(extent[1]) / rows)
    return mm


def _draw_limb(
    placed: _PlacedLimb, rows: int, columns: int, mm: float, start: float, width: float, rng: np.random.Generator
) -> tuple[Canvas, Array, dict[str, Box], list[Box], list[Box]]:  # fmt: skip
    """Return the limb's bones on a canvas of the whole film, soft tissue on a coarse grid, boxes, occupied areas, tips.

    The limb lies in the `width` columns from `start` on, near their middle, with all boxes inside. Boxes, areas
    and tips are in pixels.
    """
    part = np.array([width, rows]) * mm
    jitter = np.clip(rng.normal(0.0, 0.03, 2), -0.08, 0.08) * part
    corner = placed.middle - part / 2 + jitter
    corner = np.minimum(corner, placed.low - 2.0)
    corner = np.maximum(corner, placed.high + 2.0 - part)
    origin = corner - np.array([start * mm, 0.0])
    canvas = Canvas(rows, columns, mm, origin)
    for short in placed.layout.short_bones:
        add_short_bone(canvas, short)
    for bone in placed.layout.long_bones:
        add_long_bone(canvas, bone)
    for bridge in placed.layout.bridges:
        add_bridge(canvas, bridge)
    if placed.may_wear_metal:
        add_metal(placed.layout, canvas, rng)
    soft = draw_soft_tissue(placed.layout, canvas, placed.flesh, rng)
    boxes = {
        site: _square_box((centre - origin) / mm, size / mm) for site, (centre, size) in placed.layout.centres.items()
    }
    flesh = [
        _square_box(((a + b) / 2 - origin) / mm, (float(np.hypot(*(b - a))) + radius) / mm)
        for points, radii in placed.layout.fingers.values()
        for a, b, radius in zip(points[:-1], points[1:], radii[1:], strict=True)
    ]
    flesh += [
        _square_box(((bone.start + bone.end) / 2 - origin) / mm, 45 / mm) for bone in placed.layout.long_bones[::5]
    ]
    flesh += [_square_box((centre - origin) / mm, size / mm) for centre, size in placed.trunk]
    tips = [_square_box((centre - origin) / mm, size / mm) for centre, size in placed.tips]
    return canvas, soft, boxes, flesh, tips


def _square_box(centre: Array, width: float) -> Box:
    return Box.from_centre(float(centre[0]), float(centre[1]), width)


def _add_borders(
    levels: npt.NDArray[np.uint16],
    sides: tuple[Literal["L", "R"], ...],
    areas: Mapping[str, Box],
    shown: Mapping[str, list[Box]],
    occupied: Mapping[str, list[Box]],
    mm: float,
    rng: np.random.Generator,
    *,
    two_exposures: bool,
    part: FilmPart,
) -> None:
    """Add markers and the collimator's borders around each exposure, and sometimes dust or a scratch, in place."""
    rows, columns = levels.shape
    for side in sides:
        if side == sides[0] or rng.random() < 0.6:  # a film of both sides often has only one marker
            add_markers(levels, side, areas[side], occupied[side], mm, rng, part=part)
        if two_exposures:
            add_collimation(levels, areas[side], shown[side], mm, rng)
    if not two_exposures and rng.random() < 0.6:
        add_collimation(levels, Box.from_size(columns, rows), [box for each in shown.values() for box in each], mm, rng)
    if rng.random() < 0.2:  # dust and dead pixels
        count = int(rng.integers(1, 12))
        ys, xs = rng.integers(0, rows, count), rng.integers(0, columns, count)
        levels[ys, xs] = np.clip(levels[ys, xs] + rng.normal(0, 700, count), 0, 4095).astype(np.uint16)
    if rng.random() < 0.08:  # a scratch from the rollers of the plate reader
        row = int(rng.integers(0, rows))
        levels[row] = np.clip(levels[row].astype(np.float32) * float(rng.uniform(0.93, 1.06)), 0, 4095).astype(
            np.uint16
        )


# OpenCV's threads gain little on such small windows, and would compete with the processes that draw other films.
cv2.setNumThreads(1)

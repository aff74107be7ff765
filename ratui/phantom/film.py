"""A simulated film: bones, soft tissue, exposure and what else lies on a cassette, with the boxes of its joints.

What differs between two films of a hand (pose, exposure, noise) comes from the generator passed in; what stays
(anatomy, where damage sits) comes from the patient's seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import distance_transform_edt, gaussian_filter, zoom

from ratui.imaging import Box
from ratui.phantom.anatomy import CARPALS, FINGERS, FOREARM, GAPS, WIDTHS, WRIST_SITES, Array, Pose, draw_pose
from ratui.phantom.bones import Bite, Canvas, Ends, add_bridge, add_long_bone, add_outline_bone
from ratui.phantom.truth import PhantomPatient
from ratui.scheme import Site

__all__ = ["PhantomFilm", "render"]

_PIVOT = np.array([117.0, 175.0])
_HEIGHT = 287.0  # mm of a usual film
_BOX_PIP, _BOX_MCP = 17.0, 21.0
# What is left of a joint space, by grade of JSN.
_SPACE_LEFT = (1.0, 0.76, 0.50, 0.22, 0.05)
# Erosions by grade of ERO: how many, and the radius of the largest as a fraction of the bone's half width.
_BITES = ((0, 0.0), (1, 0.26), (1, 0.46), (1, 0.74), (2, 0.72), (3, 0.85))


@dataclass(frozen=True)
class PhantomFilm:
    """`pixels` 12 bit, shape (rows, columns), bone bright; `boxes` by site key in pixels; `spacing` mm per pixel."""

    pixels: npt.NDArray[np.uint16]
    boxes: Mapping[str, Box]
    spacing: tuple[float, float]


def render(
    patient: PhantomPatient,
    side: Literal["L", "R"],
    time: int,
    rng: np.random.Generator,
    *,
    size: tuple[int, int] = (1250, 1024),
) -> PhantomFilm:
    """The film of one hand of `patient` at `time`, `size` (rows, columns). The two hands are mirror images on film."""
    rows, columns = size
    mm = _HEIGHT * float(rng.uniform(0.93, 1.12)) / rows
    body = np.random.default_rng([patient.seed, side == "R"])
    scale = float(np.clip(body.normal(0.95, 0.07), 0.74, 1.1))
    hand = _Hand(patient, side, time, body, draw_pose(rng, scale, _deformity(patient)), rng)
    hand.settle(columns * mm, rows * mm)
    density = float(body.uniform(0.24, 0.42)) * (1 - 0.12 * min(patient.severity, 2.0)) * float(rng.uniform(0.92, 1.08))
    canvas = Canvas(rows, columns, mm, rng, density)
    hand.draw(canvas)
    soft = _soft_tissue(hand, rows, columns, mm, rng)
    levels = _expose(canvas.mineral, soft, mm, rng)
    _ring(levels, hand, mm, rng)
    boxes = {site: _box(centre, width, mm) for site, (centre, width) in hand.centres.items()}
    if side == "R":
        levels = levels[:, ::-1]
        boxes = {site: (columns - x1, y0, columns - x0, y1) for site, (x0, y0, x1, y1) in boxes.items()}
    levels = _cassette(np.ascontiguousarray(levels), side, mm, rng, boxes)
    pixels = np.clip(np.rint(levels), 0, 4095).astype(np.uint16)
    return PhantomFilm(pixels, boxes, (mm, mm))


@dataclass
class _Hand:
    """The bones of one hand laid out for one film, in mm of the film."""

    patient: PhantomPatient
    side: Literal["L", "R"]
    time: int
    body: np.random.Generator
    pose: Pose
    rng: np.random.Generator
    centres: dict[str, tuple[Array, float]] = field(default_factory=dict)
    tissue: list[tuple[Array, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stout = float(self.body.normal(1.0, 0.06))
        self.stretch = self.body.normal(1.0, 0.025, (5, 4))
        self.normal_gap = float(np.clip(self.body.normal(1.0, 0.12), 0.7, 1.35))
        self.sesamoids = self.body.random(3)
        self.swelling = 1 + 0.10 * self.patient.severity * self.body.random()
        self.sites = {site.joint.id: site for site in self.patient.scheme.sites if site.side == self.side}
        c, s = np.cos(self.pose.rotation), np.sin(self.pose.rotation)
        self._turn = np.array([[c, -s], [s, c]]) * self.pose.scale
        self._origin = np.zeros(2)

    def place(self, points: Array) -> Array:
        """Points of the tracing (mm) on this film (mm)."""
        return np.asarray((points - _PIVOT) @ self._turn.T + self._origin)

    def settle(self, width: float, height: float) -> None:
        """Moves the hand so that its joints and fingertips lie on a film of `width` × `height` mm."""
        self._origin = np.array([width / 2, height * 0.56]) + np.asarray(self.pose.shift)
        joints = np.concatenate([chain for chain, _ in (self._chain(finger) for finger in FINGERS)])
        low, high = joints.min(axis=0), joints.max(axis=0)
        margin = 9.0 * self.pose.scale
        room = np.array([width, height])
        move = np.maximum(margin - low, 0) - np.maximum(high + margin - room, 0)
        self._origin = self._origin + np.clip(move, -60, 60)

    def draw(self, canvas: Canvas) -> None:
        self._forearm_and_carpals(canvas)
        for finger in FINGERS:
            self._finger(canvas, finger)

    def _site(self, joint: str) -> Site | None:
        return self.sites.get(joint)

    def _grade(self, joint: str, scale: str) -> int:
        site = self._site(joint)
        return self.patient.grade(site, scale, self.time) if site else 0

    def _state(self, joint: str) -> str | None:
        site = self._site(joint)
        return self.patient.findings.get((site.key, self.time)) if site else None

    def _gap(self, finger: int, joint: int) -> float:
        """Width in mm of the joint space outwards of bone `joint` (0: MCP)."""
        kind = joint if finger > 1 else min(joint, 1)
        healthy = GAPS[kind] * self.normal_gap * self.pose.scale
        name = _joint_name(finger, joint)
        if self._state(name) == "collapse":
            return -1.6 * self.pose.scale
        # The thumb IP has no JSN of its own; its space narrows with erosion, as in life.
        grade = self._grade(name, "JSN") if name != "IP1" else max(0, self._grade(name, "ERO") - 1)
        wavering = np.random.default_rng([self.patient.seed, finger, joint, 7]).normal(1.0, 0.05)
        return float(healthy * _SPACE_LEFT[min(grade, 4)] * wavering)

    def _chain(self, finger: int) -> tuple[Array, list[tuple[Array, Array]]]:
        """The joint centres of `finger` (base first, tip last) and the two ends of each bone, in mm of the film."""
        traced = FINGERS[finger]
        centres, bones = [self.place(traced[0])], []
        turned = 0.0
        at = centres[0]
        for bone in range(len(traced) - 1):
            line = traced[bone + 1] - traced[bone]
            if bone == (1 if finger > 1 else 0):
                turned += self.pose.spread[finger - 1]
            elif bone > 0:
                turned += self.pose.bend[finger - 1][bone - 1]
            c, s = np.cos(turned), np.sin(turned)
            line = self._turn @ (np.array([[c, -s], [s, c]]) @ line)
            length = float(np.hypot(*line))
            axis = line / length
            before = self._gap(finger, bone - 1) if bone else 1.2 * self.pose.scale
            kind_before = GAPS[min(bone - 1, 2)] if bone else 1.2
            kind_after = GAPS[min(bone, 2)] if bone < len(traced) - 2 else 0.0
            solid = length * self.stretch[finger - 1, bone] - (kind_before + kind_after) / 2 * self.pose.scale
            if bone:
                solid *= self.pose.flexion[finger - 1]
            if bone and self._subluxed(_joint_name(finger, bone - 1)):
                at = at + np.array([-axis[1], axis[0]]) * 2.6 * self.pose.scale
            start = at + axis * before / 2
            end = start + axis * solid
            bones.append((start, end))
            at = end + axis * (self._gap(finger, bone) / 2 if bone < len(traced) - 2 else 0.0)
            centres.append(at)
        return np.stack(centres), bones

    def _subluxed(self, joint: str) -> bool:
        return joint.startswith("MCP") and self._state(joint) is None and self._grade(joint, "JSN") == 3 and bool(
            np.random.default_rng([self.patient.seed, ord(joint[-1])]).random() < 0.4
        )  # fmt: skip

    def _finger(self, canvas: Canvas, finger: int) -> None:
        centres, bones = self._chain(finger)
        scale, last = self.pose.scale, len(bones) - 1
        for number, (start, end) in enumerate(bones):
            base, shaft, head = (w * scale * self.stout for w in WIDTHS[finger][number])
            bites = []
            if number:
                bites += self._bites(_joint_name(finger, number - 1), start, end, base, at_base=True)
            if number < last:
                bites += self._bites(_joint_name(finger, number), end, start, head, at_base=False)
            ends = Ends(
                hollow=0.2 if number == 0 else 1.1 * scale,
                dome=(3.0 if number == 0 else 1.5) * scale,
                notch=0.0 if number == 0 or number == last else 0.7 * scale,
                base_plate=self._plate(_joint_name(finger, number - 1)) if number else 0.6,
                head_plate=self._plate(_joint_name(finger, number)) if number < last else 0.2,
                tuft=number == last,
            )
            add_long_bone(canvas, start, end, (base, shaft, head), ends, bites)
            thick = (8.6 if finger > 1 else 9.6) * scale * self.swelling
            self.tissue.append((np.stack([start, end]), thick * (1.0 if number < last else 0.86)))
            if number < last:
                name = _joint_name(finger, number)
                if self._state(name) == "ankylosis":
                    add_bridge(canvas, end, bones[number + 1][0], head * 0.92)
                if self._site(name):
                    key = self.sites[name].key
                    self.centres[key] = (centres[number + 1], (_BOX_MCP if number == 0 else _BOX_PIP) * scale)
        if finger == 1:
            self._sesamoid(canvas, bones, 0)
        elif finger in (2, 5) and self.sesamoids[finger // 3 + 1] < 0.35:
            self._sesamoid(canvas, bones, finger // 3 + 1)

    def _plate(self, joint: str) -> float:
        """How dense the joint surface is: gone in a fused joint, dense where cartilage is lost."""
        state = self._state(joint)
        return 0.0 if state == "ankylosis" else 0.35 if state == "collapse" else 0.8 + 0.16 * self._grade(joint, "JSN")

    def _bites(self, joint: str, near: Array, far: Array, width: float, *, at_base: bool) -> list[Bite]:
        """The erosions of `joint` on the bone whose end is at `near`; the same places at both time points."""
        site = self._site(joint)
        if site is None or self._state(joint) == "ankylosis":
            return []
        grade = self._grade(joint, "ERO")
        count, reach = _BITES[min(grade, 5)]
        fixed = np.random.default_rng([self.patient.seed, *map(ord, site.key)])
        axis = (far - near) / max(float(np.hypot(*(far - near))), 1e-6)
        normal = np.array([-axis[1], axis[0]])
        bites = []
        for number in range(3):
            head, sign = fixed.random() < 0.62, 1 if fixed.random() < 0.5 else -1
            along, out, size = fixed.uniform(0.12, 0.5), fixed.uniform(0.72, 1.02), fixed.normal(1.0, 0.12)
            depth, rim, phase = fixed.uniform(0.62, 0.95), max(0.0, fixed.normal(0.1, 0.18)), fixed.uniform(0, 6.3)
            if number >= count or (head == at_base and grade < 5):
                continue
            radius = reach * width * float(np.clip(size, 0.75, 1.3)) * (1.0 if number == 0 else 0.8)
            inwards = max(out - 0.35 * reach, 0.1)
            centre = near + axis * along * width + normal * sign * inwards * width
            bites.append(Bite((float(centre[0]), float(centre[1])), radius, depth, rim, phase))
        return bites

    def _sesamoid(self, canvas: Canvas, bones: list[tuple[Array, Array]], which: int) -> None:
        start, end = bones[0]
        axis = (end - start) / float(np.hypot(*(end - start)))
        normal = np.array([axis[1], -axis[0]])
        centre = end - axis * 3.0 * self.pose.scale + normal * (1.5 + 5.5 * self.sesamoids[which]) * self.pose.scale
        turn = np.linspace(0, 2 * np.pi, 9)[:-1]
        radius = (2.0 + 0.8 * self.sesamoids[which]) * self.pose.scale
        add_outline_bone(canvas, centre + radius * np.column_stack([np.cos(turn) * 1.25, np.sin(turn)]), 3.4, 0.0, [])

    def _forearm_and_carpals(self, canvas: Canvas) -> None:
        bites: dict[str, list[Bite]] = {}
        grow: dict[str, float] = {}
        for joint, (centre, width, bones) in WRIST_SITES.items():
            site = self._site(joint)
            if site is None:
                continue
            self.centres[site.key] = (self.place(np.asarray(centre)), width * self.pose.scale)
            fused = self._state(joint) == "ankylosis"
            for bone in bones:
                if bone in CARPALS:
                    grow[bone] = max(grow.get(bone, 0.0), 1.1 if fused else 0.2 * self._grade(joint, "JSN"))
                bites.setdefault(bone, []).extend(self._carpal_bites(joint, bone))
        wobble = np.random.default_rng([self.patient.seed, 5])
        for name, outline in {**FOREARM, **CARPALS}.items():
            traced = outline + wobble.normal(0.0, 0.35, outline.shape)
            depth = 17.0 if name == "radius" else 11.0 if name == "ulna" else 10.0 if name != "pisiform" else 6.5
            close = (0.75 if name in CARPALS else 0.3) + grow.get(name, 0.0)  # cutting corners has shrunk the outline
            add_outline_bone(canvas, self.place(traced), depth * self.pose.scale, close, bites.get(name, []))

    def _carpal_bites(self, joint: str, bone: str) -> list[Bite]:
        count, reach = _BITES[min(self._grade(joint, "ERO"), 5)]
        fixed = np.random.default_rng([self.patient.seed, *map(ord, joint + bone)])
        outline = {**FOREARM, **CARPALS}[bone]
        bites = []
        for number in range(3):
            corner = outline[fixed.integers(0, len(outline) if bone in CARPALS else 7)]
            middle = outline[:7].mean(axis=0)
            size, phase, depth = fixed.normal(1.0, 0.12), fixed.uniform(0, 6.3), fixed.uniform(0.6, 0.95)
            if number < count:
                centre = self.place(corner + (middle - corner) * 0.12)
                bites.append(Bite((float(centre[0]), float(centre[1])), reach * 5.2 * size, depth, 0.1, phase))
        return bites


def _joint_name(finger: int, bone: int) -> str:
    """The joint outwards of `bone` (0 the metacarpal); the thumb has MCP1 and IP1."""
    if bone == 0:
        return f"MCP{finger}"
    return ("IP1" if finger == 1 else f"PIP{finger}") if bone == 1 else f"DIP{finger}"


def _deformity(patient: PhantomPatient) -> float:
    return float(np.clip(patient.severity - 0.9, 0.0, 1.6))


def _box(centre: Array, width: float, mm: float) -> Box:
    x, y, half = float(centre[0]) / mm, float(centre[1]) / mm, width / mm / 2
    return (x - half, y - half, x + half, y + half)


def _soft_tissue(hand: _Hand, rows: int, columns: int, mm: float, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Millimetres of soft tissue per pixel: a smooth skin around bones and palm, thick where it is wide."""
    step = 1.1
    size = (int(columns * mm / step) + 2, int(rows * mm / step) + 2)
    mask = Image.new("L", size)
    pen = ImageDraw.Draw(mask)
    for line, radius in hand.tissue:
        points = [tuple(p / step) for p in line]
        pen.line(points, fill=255, width=round(2 * radius / step))
        for x, y in points:
            r = radius / step
            pen.ellipse((x - r, y - r, x + r, y + r), fill=255)
    knuckles = [hand.place(FINGERS[f][1]) for f in range(1, 6)]
    wrist = [
        hand.place(np.array(p)) for p in ((70.0, 212.0), (73.0, 240.0), (20.0, 380.0), (112.0, 380.0), (146.0, 236.0))
    ]
    palm = [hand.place(FINGERS[5][1] + [-7, 2]), *wrist, hand.place(FINGERS[1][1] + [4, 3]), *knuckles[1:]]
    pen.polygon([tuple(p / step) for p in palm], fill=255)
    filled = gaussian_filter(np.asarray(mask, np.float32) / 255, 2.6 / step) > 0.5
    depth = gaussian_filter(distance_transform_edt(filled).astype(np.float32) * step, 0.8)
    thick = np.where(filled, 25.0 * (1 - np.exp(-depth / 7.5)), 0.0)
    thick = gaussian_filter(thick, 0.6) * np.float32(rng.uniform(0.85, 1.15))
    image = Image.fromarray(thick.astype(np.float32)).resize(
        (columns, rows), Image.Resampling.BICUBIC, box=(0, 0, columns * mm / step, rows * mm / step)
    )
    return np.asarray(np.maximum(np.asarray(image), 0), dtype=np.float32)


def _expose(
    mineral: npt.NDArray[np.float32], soft: npt.NDArray[np.float32], mm: float, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Grey levels before what else lies on the film: attenuation, scatter, heel effect, blur, noise."""
    rows, columns = mineral.shape
    attenuation = np.float32(rng.uniform(13, 24)) * soft + np.float32(rng.uniform(95, 150)) * mineral
    attenuation = gaussian_filter(attenuation, abs(float(rng.normal(0.10, 0.06))) / mm + 0.3)
    small = zoom(attenuation, 0.08, order=1)
    haze = gaussian_filter(small, 14.0 / mm * 0.08) * np.float32(rng.uniform(0.05, 0.25))
    scatter = np.asarray(Image.fromarray(haze).resize((columns, rows), Image.Resampling.BILINEAR))
    y, x = np.linspace(-1, 1, rows, dtype=np.float32)[:, None], np.linspace(-1, 1, columns, dtype=np.float32)[None, :]
    heel = np.float32(rng.normal(0, 70)) * y + np.float32(rng.normal(0, 70)) * x + np.float32(rng.normal(0, 30)) * x * y
    base = np.float32(rng.uniform(120, 520))
    signal = base + heel + attenuation + scatter
    # Film and plate flatten towards white: a knee that differs from plant to plant.
    knee = np.float32(rng.uniform(1600, 4500))
    signal = knee * (1 - np.exp(-np.maximum(signal, 0) / knee)) * np.float32(rng.uniform(1.0, 1.5))
    grain = rng.standard_normal(signal.shape, dtype=np.float32)
    grain = gaussian_filter(grain, float(rng.uniform(0.0, 0.7))) if rng.random() < 0.7 else grain
    sigma = np.float32(rng.uniform(6, 26)) * (0.6 + 0.4 * np.sqrt(np.maximum(signal, 1) / 800))
    return np.asarray(signal + grain * sigma, dtype=np.float32)


def _ring(levels: npt.NDArray[np.float32], hand: _Hand, mm: float, rng: np.random.Generator) -> None:
    """A ring on the fourth or third finger, now and then."""
    if rng.random() > 0.06:
        return
    start, end = hand._chain(4 if rng.random() < 0.8 else 3)[1][1]
    at, axis = start + (end - start) * rng.uniform(0.3, 0.6), (end - start) / float(np.hypot(*(end - start)))
    normal = np.array([-axis[1], axis[0]]) * 8.4 * hand.pose.scale
    mask = Image.new("L", levels.shape[::-1])
    line = [tuple((at - normal) / mm), tuple((at + normal) / mm)]
    ImageDraw.Draw(mask).line(line, fill=255, width=max(2, round(float(rng.uniform(2.0, 4.0)) / mm)))
    levels[np.asarray(mask) > 0] = float(rng.uniform(3200, 4095))


def _cassette(
    levels: npt.NDArray[np.float32],
    side: str,
    mm: float,
    rng: np.random.Generator,
    boxes: Mapping[str, Box],
) -> npt.NDArray[np.float32]:
    """The side marker, which is not always there nor always the same, and the borders of the collimator."""
    rows, columns = levels.shape
    if rng.random() < 0.8:
        height = round(float(rng.uniform(7, 17)) / mm)
        letter = Image.new("L", (height * 2, height * 2))
        pen = ImageDraw.Draw(letter)
        if rng.random() < 0.4:
            pen.ellipse((1, 1, 2 * height - 2, 2 * height - 2), outline=255, width=max(1, height // 9))
        pen.text((height, height), side, fill=255, anchor="mm", font=ImageFont.load_default(size=height * 1.2))
        if rng.random() < 0.12:
            letter = letter.transpose(Image.Transpose.FLIP_LEFT_RIGHT)  # a marker that was laid face down
        letter = letter.rotate(float(rng.normal(0, 9)), resample=Image.Resampling.BILINEAR)
        for _ in range(12):  # somewhere no joint lies
            x = int(rng.integers(0, max(columns - letter.width, 1)))
            y = int(rng.integers(0, max(rows - letter.height, 1)))
            if all(x + letter.width < b[0] or x > b[2] or y + letter.height < b[1] or y > b[3] for b in boxes.values()):
                piece = levels[y : y + letter.height, x : x + letter.width]
                alpha = np.asarray(letter, np.float32)[: piece.shape[0], : piece.shape[1]] / 255
                piece += alpha * (np.float32(rng.uniform(2200, 4095)) - piece)
                break
    if rng.random() < 0.55 and boxes:
        room = [min(b[0] for b in boxes.values()), min(b[1] for b in boxes.values())]
        room += [columns - max(b[2] for b in boxes.values()), rows - max(b[3] for b in boxes.values())]
        left, top, right, bottom = (max(0.0, min(float(rng.uniform(0, 0.11)) * columns, r - 4)) for r in room)
        tilt = float(rng.normal(0, 0.012))
        down, along = np.arange(rows, dtype=np.float32)[:, None], np.arange(columns, dtype=np.float32)[None, :]
        xr, yr = along + tilt * (down - rows / 2), down - tilt * (along - columns / 2)
        edge = np.minimum(np.minimum(xr - left, columns - right - xr), np.minimum(yr - top, rows - bottom - yr))
        open_ = np.clip(edge / max(0.4 / mm, 1.0), 0, 1)
        dark = np.float32(rng.uniform(0, 160)) + rng.standard_normal((rows, 1), dtype=np.float32) * 2
        levels = levels * open_ + dark * (1 - open_)
    return np.asarray(levels, dtype=np.float32)

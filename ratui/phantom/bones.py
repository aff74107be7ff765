"""Bones as thickness on a canvas: long bones by their profile, carpals by their outline, with what disease takes away.

Each bone adds millimetres of mineral to the canvas, so overlaps add up as they do for X-rays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import distance_transform_edt, gaussian_filter

from ratui.phantom.anatomy import Array, Point

__all__ = ["Bite", "Canvas", "Ends", "add_bridge", "add_long_bone", "add_outline_bone"]


@dataclass(frozen=True)
class Bite:
    """An erosion: a hole of `radius` mm at `at` (mm) that takes `depth` of the mineral; `rim` thickens its edge."""

    at: Point
    radius: float
    depth: float
    rim: float
    phase: float


@dataclass(frozen=True)
class Ends:
    """How a long bone ends, in mm: `hollow` of its base, `dome` and `notch` of its head; and its joint surfaces."""

    hollow: float = 0.9
    dome: float = 1.6
    notch: float = 0.0
    base_plate: float = 1.0
    head_plate: float = 1.0
    tuft: bool = False


class Canvas:
    """Mineral in mm per pixel, shape (rows, columns); `mm` is the size of a pixel, `texture` a tile of trabeculae."""

    def __init__(self, rows: int, columns: int, mm: float, rng: np.random.Generator, density: float) -> None:
        self.mm = mm
        self.mineral = np.zeros((rows, columns), np.float32)
        self.density = density  # of trabecular bone; low in osteopenia
        grain = rng.standard_normal((512, 512)).astype(np.float32)
        fine = gaussian_filter(grain, (0.42 / mm, 0.20 / mm), mode="wrap")
        coarse = gaussian_filter(rng.standard_normal((512, 512)).astype(np.float32), 1.1 / mm, mode="wrap")
        tile = fine / max(float(fine.std()), 1e-9) * 0.75 + coarse / max(float(coarse.std()), 1e-9) * 0.45
        self.texture = (tile * np.float32(rng.uniform(0.14, 0.26))).astype(np.float32)
        self.rng = rng

    def window(self, points: Array, margin: float) -> tuple[slice, slice, Array, Array] | None:
        """The part of the canvas around `points` (mm) as slices, with the mm coordinates x and y of its pixels."""
        rows, columns = self.mineral.shape
        low = np.floor((points.min(axis=0) - margin) / self.mm).astype(int)
        high = np.ceil((points.max(axis=0) + margin) / self.mm).astype(int)
        x0, y0 = max(int(low[0]), 0), max(int(low[1]), 0)
        x1, y1 = min(int(high[0]), columns), min(int(high[1]), rows)
        if x1 - x0 < 2 or y1 - y0 < 2:
            return None
        x = (np.arange(x0, x1, dtype=np.float32) + 0.5) * np.float32(self.mm)
        y = (np.arange(y0, y1, dtype=np.float32) + 0.5) * np.float32(self.mm)
        return slice(y0, y1), slice(x0, x1), x[None, :], y[:, None]

    def trabeculae(self, shape: tuple[int, ...]) -> Array:
        """A piece of texture of `shape`, around 0."""
        top, left = self.rng.integers(0, 512, 2)
        rows = np.take(self.texture, np.arange(top, top + shape[0]), axis=0, mode="wrap")
        return np.asarray(np.take(rows, np.arange(left, left + shape[1]), axis=1, mode="wrap"))


def add_long_bone(
    canvas: Canvas, start: Array, end: Array, widths: tuple[float, float, float], ends: Ends, bites: list[Bite]
) -> None:
    """Adds a bone from `start` to `end` (mm), the middles of its two joint surfaces; `widths` are half widths in mm."""
    view = canvas.window(np.stack([start, end]), max(widths) + 4)
    length = float(np.hypot(*(end - start)))
    if view is None or length < 4:
        return
    rows, columns, x, y = view
    axis = ((end - start) / length).astype(np.float32)
    u = (x - start[0]) * axis[0] + (y - start[1]) * axis[1]
    v = (y - start[1]) * axis[0] - (x - start[0]) * axis[1]
    base, shaft, head = widths
    knots = np.array([-0.1, 0.0, 0.06, 0.24, 0.5, 0.76, 0.92, 1.0, 1.1]) * length
    middle = 1.25 if not ends.tuft else 1.0
    profile = [base * 0.9, base, base * 0.97, shaft * middle, shaft, shaft * (1.12 if not ends.tuft else 0.95)]
    profile += [head * 0.98, head * 0.92, head * 0.8] if not ends.tuft else [head, head * 0.9, head * 0.5]
    table = np.linspace(-0.1 * length, 1.1 * length, 96)
    half = np.interp(u, table, PchipInterpolator(knots, profile)(table)).astype(np.float32)
    across = np.clip(np.abs(v) / half, 0.0, 1.0)
    at_base = u + ends.hollow * across**2 - ends.hollow * 0.35
    groove = ends.notch * np.exp(-((v / (0.3 * head)) ** 2))
    at_head = length - u - ends.dome * across**2.4 - groove
    inside = np.minimum(at_base, at_head)
    round_off = 1.3 if not ends.tuft else 1.6
    taper = np.sqrt(np.clip(1 - (1 - np.clip(inside / round_off, 0, 1)) ** 2, 0, 1))
    chord = np.sqrt(np.clip(1 - across**2, 0, None))
    place = np.clip(u / length, 0, 1)
    cortex = half * (0.10 + 0.30 * np.exp(-(((place - 0.52) / 0.24) ** 2)))
    inner = np.maximum(half - cortex, 0.1)
    hollow = inner * np.sqrt(np.clip(1 - (v / inner) ** 2, 0, None))
    solid = half * chord - hollow
    spongy = canvas.density * (0.62 + 0.75 * np.exp(-((np.minimum(at_base, at_head) / (0.16 * length)) ** 2)))
    mineral = 1.6 * (solid + hollow * spongy * (1 + canvas.trabeculae(u.shape)))
    plate_base = ends.base_plate * np.exp(-(((at_base - 0.35) / 0.42) ** 2))
    plate_head = ends.head_plate * np.exp(-(((at_head - 0.35) / 0.42) ** 2))
    mineral = (mineral + 1.5 * (plate_base + plate_head) * chord) * taper
    canvas.mineral[rows, columns] += _bitten(np.where(inside > 0, mineral, 0.0), x, y, bites)


def add_outline_bone(canvas: Canvas, outline: Array, depth: float, grow: float, bites: list[Bite]) -> None:
    """Adds a short bone with that `outline` (mm) and `depth` mm thick, its outline moved outwards by `grow` mm."""
    view = canvas.window(outline, 3.0)
    if view is None:
        return
    rows, columns, x, y = view
    step = max(0.22, canvas.mm)  # the outline is smooth: a coarse mask is enough and quick
    origin = np.array([x[0, 0], y[0, 0]]) - canvas.mm / 2
    size = (int(np.ceil(x.shape[1] * canvas.mm / step)) + 2, int(np.ceil(y.shape[0] * canvas.mm / step)) + 2)
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).polygon([tuple(p) for p in (_rounded(outline) - origin) / step], fill=255)
    filled = np.asarray(mask) > 127
    distance = (distance_transform_edt(filled) - distance_transform_edt(~filled)) * step
    distance = gaussian_filter(distance.astype(np.float32), 1.0)
    field = Image.fromarray(distance).resize(
        (x.shape[1], y.shape[0]), Image.Resampling.BILINEAR,
        box=(0, 0, x.shape[1] * canvas.mm / step, y.shape[0] * canvas.mm / step),
    )  # fmt: skip
    inside = np.asarray(field) + grow
    dome = np.sqrt(np.clip(1 - (1 - np.clip(inside / (0.5 * depth), 0, 1)) ** 2, 0, 1))
    rim = np.exp(-(((inside - 0.5) / 0.5) ** 2))
    mineral = depth * dome * canvas.density * 0.78 * (1 + canvas.trabeculae(inside.shape)) + 1.9 * rim * (inside > 0)
    canvas.mineral[rows, columns] += _bitten(np.where(inside > 0, mineral, 0.0), x, y, bites)


def add_bridge(canvas: Canvas, start: Array, end: Array, half_width: float) -> None:
    """Adds the trabecular bone that bridges a fused joint between two bone ends (mm)."""
    view = canvas.window(np.stack([start, end]), half_width + 3)
    if view is None:
        return
    rows, columns, x, y = view
    length = float(np.hypot(*(end - start))) + 1e-6
    axis = (end - start) / length
    u = (x - start[0]) * axis[0] + (y - start[1]) * axis[1]
    v = (y - start[1]) * axis[0] - (x - start[0]) * axis[1]
    chord = np.sqrt(np.clip(1 - (v / half_width) ** 2, 0, None))
    # The two ends round off over a millimetre and a half: the bridge fills that too, so that no line of a space is left.
    along = np.exp(-(((u - length / 2) / (length / 2 + 1.5)) ** 4))
    spongy = 0.30 + canvas.density * 1.3 * (1 + canvas.trabeculae(chord.shape))
    canvas.mineral[rows, columns] += (1.6 * half_width * chord * along * spongy).astype(np.float32)


def _bitten(mineral: Array, x: Array, y: Array, bites: list[Bite]) -> Array:
    for bite in bites:
        dx, dy = x - bite.at[0], y - bite.at[1]
        angle = np.arctan2(dy, dx)
        ragged = 1 + 0.13 * np.sin(3 * angle + bite.phase) + 0.07 * np.sin(7 * angle + 2.3 * bite.phase)
        outside = np.hypot(dx, dy) - bite.radius * ragged
        hole = 1 / (1 + np.exp(np.clip(outside / 0.22, -30, 30)))
        edge = bite.rim * np.exp(-(((outside - 0.35) / 0.4) ** 2))
        mineral = mineral * (1 - bite.depth * hole) * (1 + edge)
    return mineral.astype(np.float32)


def _rounded(outline: Array) -> Array:
    """The outline with its corners cut twice (Chaikin's rule)."""
    points = outline
    for _ in range(2):
        following = np.roll(points, -1, axis=0)
        points = np.stack([0.75 * points + 0.25 * following, 0.25 * points + 0.75 * following], 1).reshape(-1, 2)
    return points

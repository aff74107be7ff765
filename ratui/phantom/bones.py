"""Drawing of bones: cortex, trabeculae, joint surfaces and damage, as mineral on a canvas.

Each bone adds mm of cortical bone to the canvas, so overlapping bones add up as in a radiograph. It only computes a
window of the canvas, for speed.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ratui.phantom.anatomy import Array, Flags
from ratui.phantom.carving import carve_erosions
from ratui.phantom.joint_ends import (
    carve_lucencies,
    compute_line_profile,
    compute_spur_width,
    draw_base_surface,
    draw_head_contours,
)
from ratui.phantom.parts import Bridge, LongBone, Plate, ShortBone
from ratui.phantom.texture import TILE_MM, compute_tile_index, lattice, mottle, trabeculae

__all__ = ["Canvas", "add_bridge", "add_long_bone", "add_short_bone"]

_GRAIN = 0.18  # relative amplitude of the trabecular pattern
_F = np.float32
_SMOOTHING = np.hanning(17) / np.hanning(17).sum()  # rounds the corners of a bone's profile
_FINEST = 0.45  # mm; on a canvas with larger pixels, outlines are drawn at this size and then reduced


class Canvas:
    """Mineral of a film in mm of cortical bone, shape (rows, columns).

    `mm` is the pixel size and `origin` the position (mm) of the top left corner.
    """

    def __init__(self, rows: int, columns: int, mm: float, origin: Array) -> None:
        self.pixel_size = mm
        self.origin = origin
        self.mineral = np.zeros((rows, columns), _F)
        self.level = int(np.clip(round(mm / TILE_MM) - 1, 0, 8))

    def window(self, points: Array, margin: float) -> tuple[slice, slice, Array, Array] | None:
        """Return the part of the canvas around `points` (mm), or None if it is empty.

        Returns the slices of rows and columns, and the coordinates x, shape (1, n), and y, shape (m, 1), of the pixels
        in mm.
        """
        rows, columns = self.mineral.shape
        low = np.floor((points.min(axis=0) - margin - self.origin) / self.pixel_size).astype(int)
        high = np.ceil((points.max(axis=0) + margin - self.origin) / self.pixel_size).astype(int)
        x0, y0 = max(int(low[0]), 0), max(int(low[1]), 0)
        x1, y1 = min(int(high[0]), columns), min(int(high[1]), rows)
        if x1 - x0 < 2 or y1 - y0 < 2:
            return None
        x = (np.arange(x0, x1, dtype=_F) + _F(0.5)) * _F(self.pixel_size) + _F(self.origin[0])
        y = (np.arange(y0, y1, dtype=_F) + _F(0.5)) * _F(self.pixel_size) + _F(self.origin[1])
        return slice(y0, y1), slice(x0, x1), x[None, :], y[:, None]

    def grain(self, along: Array, across: Array, mesh: Array | float = 0.0) -> tuple[Array, Array]:
        """Return the trabecular pattern and the slow variation of density at positions (mm) along and across a bone.

        `mesh` is the share of trabeculae without a direction. The means are 0, the standard deviations about 1.
        """
        index = compute_tile_index(along, across)
        struts = trabeculae(self.level).ravel().take(index)
        if np.any(mesh):
            struts = struts + mesh * (lattice(self.level).ravel().take(index) - struts)
        return np.asarray(struts, _F), np.asarray(mottle().ravel().take(index), _F)


def add_long_bone(canvas: Canvas, bone: LongBone) -> None:
    """Add a long bone to the canvas."""
    base, shaft, head = bone.widths
    view = canvas.window(np.stack([bone.start, bone.end]), max(base, head) + 2.5 * bone.scale)
    length = float(np.hypot(*(bone.end - bone.start)))
    if view is None or length < 3:
        return
    rows, columns, x, y = view
    axis = ((bone.end - bone.start) / length).astype(_F)
    dx, dy = x - _F(bone.start[0]), y - _F(bone.start[1])
    whole_u, whole_v = dx * axis[0] + dy * axis[1], dy * axis[0] - dx * axis[1]
    # The window around an oblique bone is mostly empty: compute only the pixels along the bone.
    room = 1.15 * max(base, shaft, head) + abs(bone.bow) + canvas.pixel_size
    reach = bone.lip + abs(bone.hollow) + abs(bone.slant) * base + bone.bulge[0] + 1.0
    picked = np.flatnonzero((np.abs(whole_v) < room) & (whole_u > -reach) & (whole_u < length + 1.0))
    u, v = whole_u.ravel()[picked], whole_v.ravel()[picked]
    mineral = np.zeros(whole_u.shape, _F)
    mineral.ravel()[picked] = _mineral_along(canvas, bone, length, u, v)
    carve_erosions(mineral, x, y, bone.erosions, canvas.level)
    canvas.mineral[rows, columns] += mineral


def _mineral_along(canvas: Canvas, bone: LongBone, length: float, u: Array, v: Array) -> Array:
    """Return the mineral of a bone without erosions, at positions `u` mm along its axis and `v` mm across it."""
    base, shaft, head = bone.widths
    detail = bone.detail
    if bone.bow:
        place = np.clip(u / _F(length), 0, 1)
        v = v - _F(bone.bow) * 4 * place * (1 - place)
    low, step, tables = _bone_profile(bone, length)
    index = np.clip((u - _F(low)) * _F(1 / step), 0, tables.shape[1] - 1).astype(np.intp)
    half = tables[0][index]
    wider = 1 + _F(bone.lean) * np.clip(v / half, -1, 1)
    half *= wider
    spur = compute_spur_width(half, detail, u, v, length, bone.scale)
    half = half + spur
    inner = tables[1][index] * wider + _F(0.9) * spur
    across = np.minimum(np.abs(v) / half, 1.4)
    square = across * across
    corner = np.maximum(across - _F(0.55 if bone.form == "metacarpal" else detail.corner), 0)
    at_plate = u + _F(bone.hollow) * square + _F(bone.slant) * v
    if bone.bulge[0]:
        at_plate += _F(bone.bulge[0]) * np.exp(-(((v - _F(bone.bulge[1] * base)) / _F(0.45 * base)) ** 2))
    rounding = _F((8.0 if bone.form == "metacarpal" else detail.rounding) * bone.scale)
    at_base = at_plate + _F(bone.lip) - rounding * corner * corner
    at_head = _F(length) - u - _head_surface(bone, v, square, head)
    inside = np.minimum(at_base, at_head)
    round_off = _F((1.0 if bone.form != "tip" else 1.5) * bone.scale)
    taper = _sqrt_positive(1 - (1 - np.clip(inside / round_off, 0, 1)) ** 2)
    # Between the rims of the cup, only the parts in front of it and behind it absorb X-rays.
    taper *= np.clip(_F(0.4) + at_plate / _F(0.45), 0.4, 1)
    taper *= np.clip((1 - across) * half * _F(1 / canvas.pixel_size) + _F(0.5), 0, 1)
    chord = _sqrt_positive(1 - square)
    marrow = inner * _sqrt_positive(1 - (v / inner) ** 2)
    cortex = half * chord - marrow
    # The trabeculae diverge with the flare of the bone; near the joints many have no direction.
    flare = v * (_F(0.5) + _F(0.5 * shaft) / half)
    pattern, mottled = canvas.grain(
        u * _F(detail.fineness) + _F(bone.texture[0]),
        flare * _F(detail.fineness) + _F(bone.texture[1]),
        tables[3][index],
    )
    spongy = tables[2][index] * (1 + _F(detail.grain) * pattern) * (1 + _F(detail.mottle) * mottled)
    mineral = _F(1.7 * (4.3 * bone.scale / shaft) ** 0.5 * bone.thickness) * (cortex + marrow * spongy)
    if bone.plates[0] > 0:
        mineral += _F(bone.plates[0]) * chord * draw_base_surface(detail, at_plate, square, mottled)
    if bone.plates[1] > 0 and bone.form != "tip":
        mineral += _F(1.0 * bone.plates[1]) * chord * compute_line_profile(at_head - _F(0.35), 0.42)
    if detail.head is not None:
        added, share = draw_head_contours(detail.head, v, at_head, head, bone.scale, mottled)
        mineral = mineral * share + added * chord
    carve_lucencies(mineral, detail.lucencies, u, v, length, half)
    if bone.growth > 0:
        where = length - 6.5 * bone.scale if bone.growth_at_head else 5.0 * bone.scale
        wavy = u - _F(where) - _F(0.5) * np.sin(v * _F(0.9))
        gap = 0.35 + 0.55 * bone.growth
        mineral *= 1 - _F(min(0.9, 0.35 + bone.growth)) * compute_line_profile(wavy, gap)
        mineral += _F(0.8) * chord * compute_line_profile(np.abs(wavy) - _F(2 * gap), 0.45)
    return np.asarray(mineral * taper)


def _bone_profile(bone: LongBone, length: float) -> tuple[float, float, Array]:
    """Return the profile of a bone: its first position (mm), the step (mm), and a table.

    The rows of the table are the half width, the half width of the marrow, the density of the marrow, and the share of
    trabeculae without a direction.
    """
    base, shaft, head = bone.widths
    # On a short bone the flares at both ends are shorter and steeper.
    b, h = min(base, 0.20 * length), min(head, 0.17 * length)
    if bone.form == "metacarpal":
        knots = [-3, 0, 0.6 * b, 1.2 * b, 2.2 * b, 0.34 * length, 0.53 * length, 0.66 * length]
        knots += [length - m * h for m in (2.3, 1.35, 0.95, 0.5, 0.0, -0.5)]
        profile = [base * m for m in (0.9, 0.97, 1.0)]
        profile += [0.5 * base + 0.62 * shaft, shaft * 1.2, shaft * 1.05, shaft, shaft * 1.03, shaft * 1.16]
        flat = bone.head_radius > 1  # the broad head of the first metatarsal
        profile += [head * m for m in ((1.02, 1.0, 0.94, 0.9, 0.85) if flat else (1.02, 0.95, 0.78, 0.7, 0.6))]
    elif bone.form == "phalanx":
        knots = [-3, 0, 0.45 * b, 1.0 * b, 1.7 * b, 0.45 * length, 0.58 * length]
        knots += [length - m * h for m in (2.2, 1.0, 0.45, 0.0, -0.6)]
        profile = [base * m for m in (0.93, 0.99, 1.01)]
        profile += [0.5 * base + 0.62 * shaft, shaft * 1.24, shaft * 1.04, shaft, shaft * 1.1]
        profile += [head * m for m in (1.02, 0.94, 0.8, 0.7)]
    else:
        knots = [-3, 0, 0.4 * b, 1.5 * b, 0.58 * length, length - 1.2 * h, length, length + h]
        profile = [base * 0.9, base * 0.99, base, shaft * 1.25, shaft * 0.95, head * 1.04, head * 0.8, head * 0.6]
    count = 192
    along = np.linspace(-3.0, length + 3.0, count)
    half = np.convolve(np.pad(np.interp(along, knots, profile), 8, mode="edge"), _SMOOTHING, "same")[8:-8]
    middle = 0.54 if bone.form != "tip" else 0.6
    waist = np.exp(-(np.abs((along / length - middle) / 0.30) ** 3))
    strong = {"metacarpal": 0.36, "phalanx": 0.40, "tip": 0.34}[bone.form]
    thin = 0.34 * bone.scale * bone.detail.wall
    wall = thin + (strong * shaft * bone.cortex - thin) * waist
    inner = np.maximum(half - np.maximum(wall, 0.12), 0.15)
    ends = np.minimum(np.clip(along, 0, None), np.clip(length - along, 0, None)) / max(base, head)
    spongy = bone.density * (0.32 + 0.72 * np.exp(-((ends / 0.85) ** 2)))
    spongy *= 1 - bone.detail.bone_loss * np.exp(-((ends / 1.3) ** 2))
    mesh = 0.7 * bone.detail.mesh * np.exp(-((np.clip(length - along, 0, None) / (1.5 * head)) ** 2))
    mesh += 0.85 * bone.detail.mesh * np.exp(-((np.clip(along, 0, None) / (1.3 * base)) ** 2))
    return -3.0, float(along[1] - along[0]), np.stack([half, inner, spongy, np.minimum(mesh, 1.0)]).astype(_F)


def _head_surface(bone: LongBone, v: Array, square: Array, head: float) -> Array:
    """Return the distance in mm by which the surface of the head lies behind its tip."""
    if bone.form == "phalanx":
        groove = _F(0.55 * bone.scale * bone.detail.groove) * np.exp(-((v / _F(0.34 * head)) ** 2))
        return np.asarray(_F(0.75 * bone.scale) * square * square + groove)
    radius = _F(head * (bone.head_radius if bone.form == "metacarpal" else 1.05))
    part = np.abs(v) / radius
    near = np.minimum(part, _F(0.9))
    # A circle that runs out into a straight slope, so that the head's sides meet it without a step.
    return np.asarray(radius * (1 - np.sqrt(1 - near * near) + _F(2.06) * (part - near)))


def add_short_bone(canvas: Canvas, bone: ShortBone) -> None:
    """Add a short bone to the canvas: both faces from their outlines, and the cortex between them."""
    view = canvas.window(bone.outline, 2.5)
    if view is None:
        return
    rows, columns, x, y = view
    factor = max(1, int(np.ceil(canvas.pixel_size / _FINEST)))
    step = canvas.pixel_size / factor
    shape = (y.shape[0] * factor, x.shape[1] * factor)
    corner = np.array([x[0, 0], y[0, 0]]) - canvas.pixel_size / 2
    shell: Array | float = bone.shell
    density: Array | float = bone.density
    if factor > 1:
        x = np.asarray(
            np.linspace(corner[0] + step / 2, x[0, -1] + (canvas.pixel_size - step) / 2, shape[1], dtype=_F)
        )[None, :]
        y = np.asarray(
            np.linspace(corner[1] + step / 2, y[-1, 0] + (canvas.pixel_size - step) / 2, shape[0], dtype=_F)
        )[:, None]
    if bone.shaft is not None:
        point, axis, length = bone.shaft
        along = (x - _F(point[0])) * _F(axis[0]) + (y - _F(point[1])) * _F(axis[1])
        part = np.clip(along / _F(length), 0, 1)
        part = part * part * (3 - 2 * part)
        shell = bone.shell + _F(bone.shaft_shell - bone.shell) * part
        density = bone.density * (1 - _F(0.62) * part)
    radius = 0.46 * bone.depth
    faces = [(1.0, 0.0)] if bone.tilt == (0.0, 0.0) else [(0.5, -0.5), (0.5, 0.5)]
    cortex, marrow = np.zeros(shape, _F), np.zeros(shape, _F)
    for share, sign in faces:
        distance = _depth_inside(bone.outline + sign * np.asarray(bone.tilt), corner, step, shape)
        within = _slab_height(np.maximum(distance - shell, 0), radius) * (
            _F(share * bone.depth) - shell * _F(1.6 * share)
        )
        cortex += _slab_height(distance, radius) * _F(share * bone.depth) - within
        marrow += within
    c, s = _F(np.cos(bone.angle)), _F(np.sin(bone.angle))
    grain, mottled = canvas.grain(x * c + y * s + _F(bone.texture[0]), y * c - x * s + _F(bone.texture[1]), bone.mesh)
    mineral = cortex + marrow * density * (1 + _F(_GRAIN * bone.grain) * grain) * (1 + _F(bone.mottle) * mottled)
    if bone.plates:
        mineral = _with_plates(mineral, bone.plates, corner, step, cortex + marrow > 0.4)
    carve_erosions(mineral, x, y, bone.erosions, canvas.level)
    if factor > 1:
        mineral = np.asarray(
            cv2.resize(mineral, (shape[1] // factor, shape[0] // factor), interpolation=cv2.INTER_AREA)
        )
    canvas.mineral[rows, columns] += mineral


def add_bridge(canvas: Canvas, bridge: Bridge) -> None:
    """Add the trabecular bone of a fused joint to the canvas."""
    view = canvas.window(np.stack([bridge.start, bridge.end]), bridge.half_width + 3)
    if view is None:
        return
    rows, columns, x, y = view
    length = float(np.hypot(*(bridge.end - bridge.start))) + 1e-6
    axis = (bridge.end - bridge.start) / length
    u = (x - _F(bridge.start[0])) * _F(axis[0]) + (y - _F(bridge.start[1])) * _F(axis[1])
    v = (y - _F(bridge.start[1])) * _F(axis[0]) - (x - _F(bridge.start[0])) * _F(axis[1])
    chord = _sqrt_positive(1 - np.minimum((v / _F(bridge.half_width)) ** 2, 1))
    # The bones' ends are rounded over about 1 mm. The bridge fills this too, so that no line of the space remains.
    along = np.exp(-(((u - _F(length / 2)) / _F(length / 2 + 0.7)) ** 4))
    spongy = _F(bridge.density) * (1 + _F(_GRAIN) * canvas.grain(u, v)[0])
    canvas.mineral[rows, columns] += _F(1.7 * bridge.half_width) * chord * along * spongy


def _depth_inside(outline: Array, corner: Array, step: float, shape: tuple[int, int]) -> Array:
    """Return the depth inside `outline` of each pixel in mm, 0 outside."""
    mask = np.zeros(shape, np.uint8)
    fixed_point = np.round(((outline - corner) / step - 0.5) * 256).astype(np.int32)
    cv2.fillPoly(mask, [fixed_point], 255, cv2.LINE_AA, 8)
    distance = cv2.distanceTransform((mask > 127).astype(np.uint8), cv2.DIST_L2, 3)
    # The distance transform measures from pixel centres; the antialiased mask gives the edge's subpixel position.
    inside = np.asarray(distance, _F) - _F(0.5)
    inside[mask <= 127] = 0
    np.maximum(inside, mask.astype(_F) * _F(1 / 255) - _F(0.5), out=inside)
    return np.asarray(cv2.blur(np.maximum(inside, 0) * _F(step), (3, 3)), _F)


def _slab_height(distance: Array, radius: float) -> Array:
    """Return the relative height of a slab with round edges at `distance` inside its outline."""
    return _sqrt_positive(1 - (1 - np.minimum(distance / _F(radius), 1)) ** 2)


def _with_plates(mineral: Array, plates: Sequence[Plate], corner: Array, step: float, within: Flags) -> Array:
    """Return `mineral` with dense lines added and lucent lines removed along joint surfaces."""
    for width in {plate.width for plate in plates}:
        for sign in (1, -1):
            chosen = [plate for plate in plates if plate.width == width and plate.strength * sign > 0]
            if not chosen:
                continue
            layer = np.zeros(mineral.shape, np.uint8)
            for plate in chosen:
                points = np.round(((plate.points - corner) / step - 0.5) * 256).astype(np.int32)
                value = min(255, round(abs(plate.strength) * 80))
                cv2.polylines(layer, [points], False, value, max(1, round(1.6 * width / step)), cv2.LINE_AA, 8)
            soft = cv2.GaussianBlur(layer, (0, 0), max(0.6 * width / step, 0.4)).astype(_F) * _F(1 / 80)
            mineral = mineral + soft * within if sign > 0 else mineral * (1 - np.minimum(soft, 0.92))
    return np.asarray(mineral, _F)


def _sqrt_positive(values: Array) -> Array:
    return np.asarray(np.sqrt(np.maximum(values, 0)))

"""Other objects on a film: side markers, text and the collimator's borders. Never over a joint's box, never a name."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from ratui.imaging import Box
from ratui.phantom.anatomy import Array

__all__ = ["add_collimation", "add_markers"]

_F = np.float32
_TOP = 4095
_WORDS = {"L": ("L", "L", "L", "LT", "LEFT", "L PA", "l"), "R": ("R", "R", "R", "RT", "RIGHT", "R PA", "r")}
_NOTES_OF_FEET = {"PA": "AP", "HAND 2R": "FOOT 2R", "AP/PA": "DP"}
_NOTES = ("PA", "11:42", "NON GRID", "HAND 2R", "50 kV", "3.2 mAs", "#4", "AP/PA", "S=180", "1:1", "09:05", "EI 1420")
# Strokes of 左 (left) and 右 (right) in a unit square, as lines of points.
_STROKES = {
    "L": (((0.10, 0.27), (0.92, 0.27)), ((0.47, 0.05), (0.40, 0.45), (0.08, 0.95)), ((0.38, 0.58), (0.86, 0.58)),
          ((0.61, 0.58), (0.61, 0.92)), ((0.28, 0.92), (0.95, 0.92))),
    "R": (((0.08, 0.27), (0.92, 0.27)), ((0.46, 0.05), (0.38, 0.45), (0.06, 0.92)), ((0.38, 0.56), (0.38, 0.94)),
          ((0.38, 0.56), (0.85, 0.56), (0.85, 0.94)), ((0.38, 0.92), (0.85, 0.92))),
}  # fmt: skip


def add_markers(
    levels: npt.NDArray[np.uint16],
    side: str,
    area: Box,
    boxes: Sequence[Box],
    mm: float,
    rng: np.random.Generator,
    *,
    part: str = "hand",
) -> None:
    """Add side marker, text and name plate to `levels` in place, in free places of `area`.

    Parameters
    ----------
    levels
        Grey levels of the film, shape (rows, columns).
    side
        Side of the hand or foot in `area`, ``L`` or ``R``.
    area
        Part of the film that shows the hand or foot, in pixels.
    boxes
        Places that must stay free, in pixels.
    mm
        Pixel size in mm.
    rng
        Generator of what is drawn, and where.
    part
        ``hand`` or ``foot``, which differ in their notes.
    """
    occupied = list(boxes)
    if rng.random() < 0.82:
        marker, patch = _marker_stamp(side, mm, rng, "PA" if part == "hand" else "AP")
        _stamp_at_free_place(levels, marker, patch, area, occupied, rng)
    if rng.random() < 0.14:
        note = str(rng.choice(_NOTES))
        note = note if part == "hand" else _NOTES_OF_FEET.get(note, note)
        text = _text_stamp(note, round(float(rng.uniform(3, 8)) / mm))
        _stamp_at_free_place(levels, text, None, area, occupied, rng)
    if rng.random() < 0.06:  # the blank of a name plate
        height, width = round(float(rng.uniform(10, 22)) / mm), round(float(rng.uniform(28, 60)) / mm)
        plate = np.ones((max(height, 2), max(width, 2)), _F)
        _stamp_at_free_place(
            levels, plate, None, area, occupied, rng, corner=True, level=float(rng.choice([60.0, 900.0, 3900.0]))
        )


def add_collimation(
    levels: npt.NDArray[np.uint16], area: Box, boxes: Sequence[Box], mm: float, rng: np.random.Generator
) -> None:
    """Add the dark borders of the collimator around `area` in place, outside all `boxes`.

    The parameters are those of `add_markers`.
    """
    x0, y0, x1, y1 = area
    if boxes:
        room = [min(b.x0 for b in boxes) - x0, min(b.y0 for b in boxes) - y0]
        room += [x1 - max(b.x1 for b in boxes), y1 - max(b.y1 for b in boxes)]
    else:
        room = [0.1 * (x1 - x0)] * 4
    wide = [float(rng.uniform(-0.04, 0.12)) * (x1 - x0) for _ in range(4)]
    left, top, right, bottom = (min(max(w, 0.0), max(r - 5, 0.0)) for w, r in zip(wide, room, strict=True))
    tilt = float(rng.normal(0, 0.014))
    middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    corners = np.array(
        [(x0 + left, y0 + top), (x1 - right, y0 + top), (x1 - right, y1 - bottom), (x0 + left, y1 - bottom)]
    )
    # On a side without collimation, move the border beyond the film.
    outwards = np.sign(corners - middle) * np.array([x1 - x0, y1 - y0])
    open_sides = np.array([(left, top), (right, top), (right, bottom), (left, bottom)]) <= 0
    corners = corners + np.where(open_sides, outwards, 0.0)
    c, s = np.cos(tilt), np.sin(tilt)
    corners = (corners - middle) @ np.array([[c, s], [-s, c]]) + middle
    a, b, e, f = (round(v) for v in (x0, y0, x1, y1))
    mask = np.zeros((f - b, e - a), np.uint8)
    cv2.fillConvexPoly(mask, np.round((corners - [a, b] - 0.5) * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
    if rng.random() < 0.6:
        mask = np.asarray(cv2.blur(mask, (max(1, round(0.8 / mm)),) * 2), np.uint8)
    part = levels[b:f, a:e]
    dark = 3600.0 + 400 * rng.random() if rng.random() < 0.12 else float(rng.uniform(0, 260))
    edge = np.nonzero((mask > 0) & (mask < 255))
    alpha = mask[edge].astype(_F) * _F(1 / 255)
    part[edge] = (part[edge] * alpha + _F(dark) * (1 - alpha)).astype(np.uint16)
    np.copyto(part, np.uint16(dark), where=mask == 0)


def _stamp_at_free_place(
    levels: npt.NDArray[np.uint16], stamp: Array, patch: Array | None, area: Box, occupied: list[Box],
    rng: np.random.Generator, *, corner: bool = False, level: float | None = None,
) -> None:  # fmt: skip
    """Draw `stamp` (alpha) at a free place in `area`; `patch` darkens the film under it first.

    Nothing is drawn if no free place is found.
    """
    height, width = stamp.shape
    x0, y0, x1, y1 = area
    if x1 - x0 <= width + 2 or y1 - y0 <= height + 2:
        return
    for _ in range(14):
        x, y = (int(rng.uniform(low, high)) for low, high in ((x0, x1 - width), (y0, y1 - height)))
        if corner:
            x = round(x0) + 2 if rng.random() < 0.5 else round(x1) - width - 2
            y = round(y0) + 2 if rng.random() < 0.5 else round(y1) - height - 2
        if all(x + width < b.x0 or x > b.x1 or y + height < b.y0 or y > b.y1 for b in occupied):
            piece = levels[y : y + height, x : x + width].astype(_F)
            if patch is not None:
                piece *= 1 - patch
            value = _F(level if level is not None else rng.uniform(2300, _TOP))
            levels[y : y + height, x : x + width] = np.clip(piece + stamp * (value - piece), 0, _TOP).astype(np.uint16)
            occupied.append(Box(float(x), float(y), float(x + width), float(y + height)))
            return


def _marker_stamp(side: str, mm: float, rng: np.random.Generator, view: str) -> tuple[Array, Array | None]:
    """Return a side marker as alpha, and the dark patch under it or None; `view` is the view that some markers name."""
    height = max(6, round(float(rng.uniform(5, 16)) / mm))
    kind = rng.random()
    if kind < 0.08:
        stamp = _character_stamp(side, height)
    elif kind < 0.25:
        scale = height / 24
        text, thick = _WORDS[side][int(rng.integers(0, 5))], max(1, round(height / rng.uniform(6, 12)))
        face = int(rng.choice([cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX]))
        (wide, tall), base = cv2.getTextSize(text, face, scale, thick)
        canvas = np.zeros((tall + base + 2 * thick + 4, wide + 2 * thick + 4), np.uint8)
        cv2.putText(canvas, text, (thick + 2, tall + thick + 1), face, scale, 255, thick, cv2.LINE_AA)
        stamp = canvas.astype(_F) / 255
    else:
        word = str(rng.choice(_WORDS[side])).replace("PA", view)
        stamp = _text_stamp(word, round(height / len(word) ** 0.5))
    patch: Array | None = None
    style = rng.random()
    if style < 0.45:  # inside a ring, inside a frame, or on a disc
        size = round(1.5 * max(stamp.shape))
        framed = np.zeros((size, size), _F)
        top, left = (size - stamp.shape[0]) // 2, (size - stamp.shape[1]) // 2
        framed[top : top + stamp.shape[0], left : left + stamp.shape[1]] = stamp
        line, mask = max(1, round(size / rng.uniform(14, 30))), np.zeros((size, size), np.uint8)
        full = np.zeros((size, size), np.uint8)
        if style < 0.3:
            cv2.circle(mask, (size // 2, size // 2), size // 2 - line - 1, 255, line, cv2.LINE_AA)
            cv2.circle(full, (size // 2, size // 2), size // 2, 255, -1)
        else:
            cv2.rectangle(mask, (line, line), (size - line - 1, size - line - 1), 255, line)
            full[:] = 255
        stamp = np.maximum(framed, mask.astype(_F) / 255)
        if rng.random() < 0.4:
            patch = full.astype(_F) / 255
        elif rng.random() < 0.15:
            stamp = np.asarray(np.where(full > 0, 1 - stamp, 0), _F)  # letters cut out of lead
    turn = float(rng.normal(0, 9)) if rng.random() < 0.85 else float(rng.choice([90.0, -90.0, 180.0]))
    stamp = _rotate(stamp, turn)
    patch = None if patch is None else _rotate(patch, turn)
    if rng.random() < 0.1:  # a marker placed face down is mirrored
        stamp = np.ascontiguousarray(stamp[:, ::-1])
    return stamp, patch


def _character_stamp(side: str, height: int) -> Array:
    size = max(height, 10)
    canvas = np.zeros((size, size), np.uint8)
    for line in _STROKES[side]:
        points = np.round(np.asarray(line) * (size - 1) * 16).astype(np.int32)
        cv2.polylines(canvas, [points], False, 255, max(1, size // 11), cv2.LINE_AA, 4)
    return np.asarray(canvas, _F) / 255


@lru_cache(maxsize=256)
def _text_stamp(text: str, height: int) -> Array:
    height = max(height, 5)
    font = ImageFont.load_default(size=height * 1.3)
    x0, y0, x1, y1 = font.getbbox(text)
    image = Image.new("L", (int(x1 - x0) + 3, int(y1 - y0) + 3))
    ImageDraw.Draw(image).text((1 - x0, 1 - y0), text, fill=255, font=font)
    stamp = np.asarray(image, _F) / 255
    stamp.setflags(write=False)
    return stamp


def _rotate(stamp: Array, degrees: float) -> Array:
    rows, columns = stamp.shape
    c, s = abs(np.cos(np.radians(degrees))), abs(np.sin(np.radians(degrees)))
    size = (int(columns * c + rows * s) + 2, int(columns * s + rows * c) + 2)
    matrix = np.asarray(cv2.getRotationMatrix2D((columns / 2, rows / 2), degrees, 1.0), np.float64)
    matrix[:, 2] += np.array(size) / 2 - np.array([columns, rows]) / 2
    return np.asarray(cv2.warpAffine(np.asarray(stamp, _F), matrix, size, flags=cv2.INTER_LINEAR), _F)

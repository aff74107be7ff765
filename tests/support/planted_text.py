"""Films with a name in their pixels, written in many ways."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from ratui.imaging import Pixels

__all__ = ["KINDS", "bone", "write"]


def bone(rows: int = 700, columns: int = 900) -> npt.NDArray[np.uint16]:
    """Return an image as smooth and as noisy as bone, of 12 bits."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[0:rows, 0:columns]
    smooth = 1700 + 900 * np.sin(x / 60) * np.cos(y / 80)
    return np.clip(smooth + rng.normal(0, 30, (rows, columns)), 100, 3900).astype(np.uint16)


def write(
    film: Pixels,
    text: str,
    level: float,
    *,
    size: int = 24,
    turns: int = 0,
    smooth: bool = False,
    shutter: bool = False,
) -> Pixels:
    """Return a film with `text`; `level` goes from 0, black, to 1, white."""
    low, high = 0.0, 255.0 if film.dtype == np.uint8 else 4095.0
    new = film.astype(np.float64)
    top, left = 60, 40
    if shutter:  # an area without an image, in the lightest grey
        new[:, : film.shape[1] // 6] = new[: film.shape[0] // 12] = high
        top, left = top + film.shape[0] // 12, left + film.shape[1] // 6
    font = ImageFont.load_default(size)
    image = Image.new("L", (int(font.getlength(text)) + 8, int(1.5 * size)))
    ImageDraw.Draw(image).text((3, 3), text, fill=255, font=font)
    letters = np.rot90(np.asarray(image), turns)
    part = letters / 255 if smooth else np.where(letters > 128, 1.0, 0.0)
    area = np.s_[top : top + letters.shape[0], left : left + letters.shape[1]]
    new[area] = new[area] * (1 - part) + round(low + level * (high - low)) * part
    return np.rint(new).astype(film.dtype)


KINDS: dict[str, dict[str, Any]] = {
    "white": {"text": "MUSTERFRAU ERIKA", "level": 1.0},
    "black": {"text": "MUSTERFRAU ERIKA", "level": 0.0},
    "grey": {"text": "MUSTERFRAU", "level": 0.9},
    "dark grey": {"text": "MUSTERFRAU", "level": 0.1},
    "middle grey": {"text": "MUSTERFRAU", "level": 0.7},
    "grey with smooth edges": {"text": "Mustermann, E.", "level": 0.9, "smooth": True},
    "rotated by 90 degrees": {"text": "MUSTERFRAU", "level": 1.0, "turns": 1},
    "rotated by 270 degrees": {"text": "MUSTERFRAU", "level": 0.9, "turns": 3},
    "upside down": {"text": "MUSTERFRAU", "level": 0.9, "turns": 2},
    "taller than 80 pixels": {"text": "MEYER", "level": 1.0, "size": 150},
    "grey and taller than 80 pixels": {"text": "MEYER", "level": 0.9, "size": 150},
    "five characters": {"text": "MEYER", "level": 1.0},
    "five small letters": {"text": "meyer", "level": 1.0},
    "five grey characters": {"text": "MEYER", "level": 0.9},
    "a date": {"text": "12.03.1956", "level": 1.0},
    "beside a white shutter": {"text": "MUSTERFRAU", "level": 1.0, "shutter": True},
    "grey beside a white shutter": {"text": "MEYER", "level": 0.9, "shutter": True},
}

"""How a film is looked at: which contrast, made brighter or harder, inverted, with local contrast. Values only.

A look never depends on which time point a film belongs to, and says nothing of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from ratui.imaging.film import Contrast, Film, LookupTable, Window
from ratui.imaging.geometry import Box
from ratui.imaging.windowing import compute_automatic_window, crop

__all__ = [
    "DEFAULT_DISPLAY",
    "DisplaySettings",
    "adjust_contrast",
    "choose_contrast",
    "equalize_local_contrast",
    "list_presets",
    "render",
]

_BRIGHTNESS_STEP = 0.05
_CONTRAST_FACTOR = 0.85
_TILE_MM = 6.0
"""The neighbourhood of local contrast: about a metacarpal head, so that its margin is seen against its own bone."""
_CLIP_LIMIT = 1.6
"""How many times the mean count of its histogram a grey of a tile may have; more would make noise look like bone."""


@dataclass(frozen=True)
class DisplaySettings:
    """`preset` is ``joint``, ``film`` or ``file1``, ``file2``, …; `shift` moves its centre by that part of its width
    (up makes the film darker), `stretch` multiplies its width (up makes it softer)."""

    preset: str = "joint"
    shift: float = 0.0
    stretch: float = 1.0
    invert: bool = False
    local: bool = False

    def change_brightness(self, steps: int = 1) -> DisplaySettings:
        """Brighter by `steps`, darker where that is negative; within one width of the preset."""
        return replace(self, shift=round(min(max(self.shift - steps * _BRIGHTNESS_STEP, -1.0), 1.0), 3))

    def change_contrast(self, steps: int = 1) -> DisplaySettings:
        """More contrast by `steps`, less where that is negative; from an eighth to eight times the preset's width."""
        return replace(self, stretch=round(min(max(self.stretch * _CONTRAST_FACTOR**steps, 0.125), 8.0), 4))

    def with_preset(self, preset: str) -> DisplaySettings:
        """`preset` as it is, what was adjusted before undone."""
        return DisplaySettings(preset, invert=self.invert, local=self.local)

    @property
    def is_adjusted(self) -> bool:
        return self.shift != 0.0 or self.stretch != 1.0


DEFAULT_DISPLAY = DisplaySettings()


def list_presets(*films: Film) -> tuple[str, ...]:
    """The presets that `films` offer together, in the order of the key."""
    own = max((len(film.contrasts) for film in films), default=0)
    return ("joint", "film", *(f"file{number + 1}" for number in range(own)))


def choose_contrast(film: Film, settings: DisplaySettings, box: Box | None = None) -> Contrast:
    """The contrast that `settings` gives `film`, for the joint in `box`. A preset that it lacks gives the film's first own
    contrast, and where it has none the automatic one of the whole film."""
    contrast: Contrast
    if settings.preset.startswith("file") and film.contrasts:
        number = int(settings.preset[4:] or 1) - 1
        contrast = film.contrasts[number if number < len(film.contrasts) else 0]
    else:
        contrast = compute_automatic_window(film, box if settings.preset == "joint" else None)
    return adjust_contrast(contrast, settings.shift, settings.stretch) if settings.is_adjusted else contrast


def adjust_contrast(contrast: Contrast, shift: float, stretch: float) -> Contrast:
    """`contrast` with its centre moved by `shift` widths and its width times `stretch`; a table's inputs likewise."""
    if isinstance(contrast, Window):
        least = 1.0 if contrast.function == "LINEAR" else 1e-6
        width = max(contrast.width * stretch, least)
        return replace(contrast, centre=contrast.centre + shift * contrast.width, width=width)
    count = len(contrast.values)
    places = np.arange(count, dtype=np.float64)
    middle = (count - 1) / 2
    inputs = contrast.first + middle + (places - middle - shift * count) / stretch
    return LookupTable(contrast.first, contrast.look_up(inputs), contrast.bits, contrast.name)


def render(
    film: Film, box: Box, size: tuple[int, int], settings: DisplaySettings, *, joint: Box | None = None
) -> Image.Image:
    """`box` of the film under `settings`, an image of mode ``L`` and `size`. `joint` is what the preset of that name takes
    its greys from, `box` by default, so that zooming or panning doesn't change them."""
    contrast = choose_contrast(film, settings, joint or box)
    image = crop(film, box, size, contrast, invert=settings.invert)
    return equalize_local_contrast(image, film, box) if settings.local else image


def equalize_local_contrast(image: Image.Image, film: Film, box: Box) -> Image.Image:
    """Equalise the contrast of `image` within tiles of some millimetres (CLAHE of OpenCV).

    The lightest and the darkest grey become white and black first, so that the result depends little on the window's
    width. An image of one grey is returned as it is. The 8 bits of `image` are enough: the noise of a real film's pixels
    is about three grey levels.

    Parameters
    ----------
    image
        The part `box` of `film`, mode ``L``; its size may differ from the box's.
    """
    import cv2  # here, because few readers use local contrast

    levels = np.asarray(image)
    if levels.min() == levels.max():
        return image
    across, down = image.size
    spacing = film.spacing or (0.15 * film.aspect, 0.15)
    tile = (
        _TILE_MM / spacing[1] * across / max(box.width, 1e-6),
        _TILE_MM / spacing[0] * down / max(box.height, 1e-6),
    )
    counts = [max(1, min(round(length / max(side, 4)), 12)) for side, length in zip(tile, image.size, strict=True)]
    stretched = cv2.normalize(levels, np.empty_like(levels), 0, 255, cv2.NORM_MINMAX)
    return Image.fromarray(cv2.createCLAHE(_CLIP_LIMIT, counts).apply(stretched))

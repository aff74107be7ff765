"""Display settings of a film: contrast, brightness, inversion and local contrast, and the image that they give.

The settings do not depend on the time point of a film, so they do not show it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from ratui.imaging.film import Contrast, Film, LookupTable, Window, compute_automatic_window, crop
from ratui.imaging.geometry import Box

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
"""Side of a tile of local contrast, in mm: about a metacarpal head, so that a margin is compared with its own bone."""
_CLIP_LIMIT = 1.6
"""Limit of a tile's histogram, in multiples of its mean count. A larger limit would make noise look like bone."""


@dataclass(frozen=True)
class DisplaySettings:
    """Settings for the display of a film.

    Attributes
    ----------
    preset
        ``joint`` (automatic window of the joint's box), ``film`` (automatic window of the film), or ``file1``, ``file2``, …
        (contrasts of the file).
    shift
        Shift of the preset's centre, in widths. Positive values make the film darker.
    stretch
        Factor on the preset's width. Values above 1 reduce contrast.
    invert
        Make bone dark.
    local
        Enhance local contrast (CLAHE).
    """

    preset: str = "joint"
    shift: float = 0.0
    stretch: float = 1.0
    invert: bool = False
    local: bool = False

    def change_brightness(self, steps: int = 1) -> DisplaySettings:
        """Return settings that are brighter by `steps`, or darker if negative. The limit is one width of the preset."""
        return replace(self, shift=round(min(max(self.shift - steps * _BRIGHTNESS_STEP, -1.0), 1.0), 3))

    def change_contrast(self, steps: int = 1) -> DisplaySettings:
        """Return settings with more contrast by `steps`, or less if negative.

        The width stays between an eighth and eight times that of the preset.
        """
        return replace(self, stretch=round(min(max(self.stretch * _CONTRAST_FACTOR**steps, 0.125), 8.0), 4))

    @property
    def changes(self) -> tuple[str, ...]:
        """Changes to the grey levels of the film, by name and step; empty if they are shown as acquired.

        The choice of a window is none: the automatic one and those of the file all show the film's own grey levels.
        """
        return (
            *(["invert"] if self.invert else []),
            *(["local"] if self.local else []),
            *([f"contrast×{1 / self.stretch:.2f}"] if self.stretch != 1.0 else []),
            *([f"brightness{-self.shift:+.2f}"] if self.shift else []),
        )

    def with_preset(self, preset: str) -> DisplaySettings:
        """Return settings with `preset`, without earlier adjustments of brightness and contrast."""
        return DisplaySettings(preset, invert=self.invert, local=self.local)

    @property
    def is_adjusted(self) -> bool:
        """True if brightness or contrast differ from the preset."""
        return self.shift != 0.0 or self.stretch != 1.0


DEFAULT_DISPLAY = DisplaySettings()
"""Settings of a film that the rater has not adjusted."""


def list_presets(*films: Film) -> tuple[str, ...]:
    """Return the presets that at least one of `films` has, in the order in which the key selects them."""
    own = max((len(film.contrasts) for film in films), default=0)
    return ("joint", "film", *(f"file{number + 1}" for number in range(own)))


def choose_contrast(film: Film, settings: DisplaySettings, box: Box | None = None) -> Contrast:
    """Return the window or table for a film.

    Parameters
    ----------
    film
        The film.
    settings
        The display settings. If the film lacks a preset of the file, its first own contrast is used, or else the
        automatic window of the whole film.
    box
        Box of the joint in film pixels, for the preset ``joint``; by default the whole film.
    """
    contrast: Contrast
    if settings.preset.startswith("file") and film.contrasts:
        number = int(settings.preset[4:] or 1) - 1
        contrast = film.contrasts[number if number < len(film.contrasts) else 0]
    else:
        contrast = compute_automatic_window(film, box if settings.preset == "joint" else None)
    return adjust_contrast(contrast, settings.shift, settings.stretch) if settings.is_adjusted else contrast


def adjust_contrast(contrast: Contrast, shift: float, stretch: float) -> Contrast:
    """Return `contrast` with its centre moved by `shift` widths and its width multiplied by `stretch`.

    The inputs of a table are moved and stretched in the same way.
    """
    if isinstance(contrast, Window):
        min_width = 1.0 if contrast.function == "LINEAR" else 1e-6  # PS3.3 C.11.2.1.2.1
        width = max(contrast.width * stretch, min_width)
        return replace(contrast, centre=contrast.centre + shift * contrast.width, width=width)
    count = len(contrast.values)
    indices = np.arange(count, dtype=np.float64)
    middle = (count - 1) / 2
    inputs = contrast.first + middle + (indices - middle - shift * count) / stretch
    return LookupTable(contrast.first, contrast.look_up(inputs), contrast.bits, contrast.name)


def render(
    film: Film, box: Box, size: tuple[int, int], settings: DisplaySettings, *, joint: Box | None = None
) -> Image.Image:
    """Return a part of a film as it is displayed.

    Parameters
    ----------
    film
        The film.
    box
        The part, in film pixels. It may leave the film; that area is black.
    size
        Width and height of the image.
    settings
        The display settings.
    joint
        Box of the joint for the preset ``joint``; by default `box`. Pass the same box for all zoom levels, so that zooming
        and panning do not change the grey levels.

    Returns
    -------
    PIL.Image.Image
        Image of mode ``L`` and `size`.
    """
    contrast = choose_contrast(film, settings, joint or box)
    image = crop(film, box, size, contrast, invert=settings.invert)
    return equalize_local_contrast(image, film, box) if settings.local else image


def equalize_local_contrast(image: Image.Image, film: Film, box: Box) -> Image.Image:
    """Return `image` with its contrast equalised within tiles of some millimetres (CLAHE of OpenCV).

    The image is first stretched to the full range from black to white, so that the result depends little on the window's
    width. An image of a single grey level is returned unchanged. The 8 bits of `image` are enough: the noise of a real
    film is about three grey levels.

    Parameters
    ----------
    image
        The part `box` of `film`, mode ``L``. Its size in pixels may differ from that of the box.
    film
        The film, for its pixel spacing.
    box
        The part of the film that `image` shows, in film pixels.
    """
    import cv2  # imported here, because loading takes time and few raters use local contrast

    levels = np.asarray(image)
    if levels.min() == levels.max():
        return image
    across, down = image.size
    spacing = film.spacing or (0.15 * film.aspect, 0.15)  # 0.15 mm is usual for computed radiography
    tile = (
        _TILE_MM / spacing[1] * across / max(box.width, 1e-6),
        _TILE_MM / spacing[0] * down / max(box.height, 1e-6),
    )
    counts = [max(1, min(round(length / max(side, 4)), 12)) for side, length in zip(tile, image.size, strict=True)]
    stretched = cv2.normalize(levels, np.empty_like(levels), 0, 255, cv2.NORM_MINMAX)
    return Image.fromarray(cv2.createCLAHE(_CLIP_LIMIT, counts).apply(stretched))

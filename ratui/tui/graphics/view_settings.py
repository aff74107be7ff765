"""Zoom, contrast and position for the display of joints.

Those that each rater used last are stored in a small JSON file beside the user's settings. It contains nothing of a film. An
unreadable file counts as missing.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ratui.bounded_parsing import parse_json, read_bounded
from ratui.errors import SettingsError
from ratui.files import atomic_write
from ratui.imaging import DEFAULT_DISPLAY, DisplaySettings

__all__ = [
    "LIFE_SIZE",
    "MAGNIFICATION",
    "WHOLE_FILM",
    "ZOOMS",
    "ViewSettings",
    "next_zoom",
    "read_view_settings",
    "save_view_settings",
    "step_zoom",
    "view_settings_file",
]

ZOOMS = (1.7, 1.2, 0.8, 3.0)
"""Size of the shown part of the film, in sides of the joint's box. The zoom key goes through them in this order."""
WHOLE_FILM = -1
"""Zoom that shows both films whole, with a frame around the joint."""
LIFE_SIZE = -2
"""Zoom that shows the film magnified by `MAGNIFICATION`."""
MAGNIFICATION = 2.0
"""Size on the screen divided by the size on the film at the zoom `LIFE_SIZE`."""
_PAN = 0.15
"""Step of the view or the lens."""
_MAX_PAN = 1.5
"""Largest distance of the view from the joint."""
_MAX_SETTINGS_BYTES = 1_000_000
_CONTRAST_OF_FILE = re.compile("file[1-9][0-9]{0,3}")
_EARLIER_SETTINGS_NAME = "sights.json"  # the file of the first versions, read until there is one with today's name


@dataclass(frozen=True)
class ViewSettings:
    """Zoom, contrast and position for the display of joints."""

    zoom: int = 0
    """Index in `ZOOMS`, `WHOLE_FILM`, or `LIFE_SIZE`."""
    display_settings: DisplaySettings = DEFAULT_DISPLAY
    """Contrast and brightness."""
    pan: tuple[float, float] = (0.0, 0.0)
    """Distance of the view's centre from the joint to the right and down, as fractions of the view's shorter side."""
    lens: tuple[float, float] | None = None
    """Centre of the magnifying lens, as fractions of the view's width and height; None for no lens."""
    has_marks: bool = True
    """True for marks at the corners of the joint's box."""
    is_upright: bool = True
    """True to turn the films so that the proximal bone of the joint stands upright on all of them."""
    joint_zoom: int = 0
    """The zoom before the whole films were shown."""

    def with_next_zoom(self, *, has_life_size: bool) -> ViewSettings:
        """Return settings with the next zoom, see `next_zoom`; from the whole films, with the zoom from before."""
        if self.zoom == WHOLE_FILM:
            return self.show_whole_film(False)
        return replace(self, zoom=next_zoom(self.zoom, has_life_size=has_life_size))

    def show_whole_film(self, whole: bool) -> ViewSettings:
        """Return settings for the whole films if `whole` is true, otherwise for the joint at the zoom from before."""
        if whole == (self.zoom == WHOLE_FILM):
            return self
        return replace(self, zoom=WHOLE_FILM, joint_zoom=self.zoom) if whole else replace(self, zoom=self.joint_zoom)

    def moved(self, right: int, down: int) -> ViewSettings:
        """Return settings with the lens, or without a lens the view, moved by steps to the right and down."""
        if self.lens is not None:
            x, y = (min(max(at + _PAN * step, 0.0), 1.0) for at, step in zip(self.lens, (right, down), strict=True))
            return replace(self, lens=(round(x, 3), round(y, 3)))
        x, y = (
            min(max(at + _PAN * step, -_MAX_PAN), _MAX_PAN) for at, step in zip(self.pan, (right, down), strict=True)
        )
        return replace(self, pan=(round(x, 3), round(y, 3)))

    def reset_position(self) -> ViewSettings:
        """Return the settings for the next joint, with the view and the lens in their initial positions."""
        return replace(self, pan=(0.0, 0.0), lens=None if self.lens is None else (0.5, 0.5))


def next_zoom(zoom: int, *, has_life_size: bool) -> int:
    """Return the zoom after `zoom`: through `ZOOMS`, then `LIFE_SIZE` if it is possible, and back to the first.

    After the whole film comes the first one.
    """
    steps = (*range(len(ZOOMS)), LIFE_SIZE) if has_life_size else tuple(range(len(ZOOMS)))
    if zoom == WHOLE_FILM:
        return 0
    # Without its sizes a film is shown at the first zoom instead of life size.
    place = steps.index(zoom) if zoom in steps else 0
    return steps[(place + 1) % len(steps)]


def step_zoom(zoom: int, *, is_closer: bool) -> int:
    """Return the next index in `ZOOMS` that shows a smaller part of the film, or a larger one; `zoom` itself at the end.

    The whole film, `WHOLE_FILM`, is larger than all. Twice the life size counts as the first zoom.
    """
    zoom = 0 if zoom == LIFE_SIZE else zoom
    from_wide_to_close = sorted(range(len(ZOOMS)), key=lambda index: -ZOOMS[index])
    place = from_wide_to_close.index(zoom) if zoom != WHOLE_FILM else -1
    target = place + (1 if is_closer else -1)
    return from_wide_to_close[target] if 0 <= target < len(ZOOMS) else zoom


def view_settings_file(settings: Path) -> Path:
    """Return the path of the file beside the user's `settings` file."""
    return settings.with_name("view_settings.json")


def read_view_settings(rater: str, file: Path | None) -> ViewSettings:
    """Return the view settings that `rater` used last, or the defaults if they are missing or invalid.

    Inversion and local contrast are never restored, also from the files of earlier versions.

    This never raises an exception: invalid view settings are no reason to stop.
    """
    raw = _read_json(file).get(rater)
    if not isinstance(raw, dict):
        return ViewSettings()
    try:
        settings = DisplaySettings(preset=str(raw["preset"]), shift=float(raw["shift"]), stretch=float(raw["stretch"]))
        zoom = int(raw["zoom"])
    except (KeyError, OverflowError, TypeError, ValueError):
        return ViewSettings()
    known = settings.preset in ("joint", "film") or _CONTRAST_OF_FILE.fullmatch(settings.preset) is not None
    is_zoom = 0 <= zoom < len(ZOOMS) or zoom == LIFE_SIZE
    if not (known and -1.0 <= settings.shift <= 1.0 and 0.125 <= settings.stretch <= 8.0 and is_zoom):
        return ViewSettings()
    return ViewSettings(
        zoom, settings, has_marks=raw.get("marks") is not False, is_upright=raw.get("upright") is not False
    )


def save_view_settings(rater: str, view_settings: ViewSettings, file: Path) -> None:
    """Save the window, brightness, contrast, zoom and the choice of marks and of upright bones of `rater` in `file`.

    Inversion and local contrast are for one case only, and so is the overview of whole films.

    Raises
    ------
    SettingsError
        If the file cannot be written.
    """
    raw = _read_json(file)
    greys = view_settings.display_settings
    raw[rater] = {
        "preset": greys.preset,
        "shift": greys.shift,
        "stretch": greys.stretch,
        "zoom": view_settings.show_whole_film(False).zoom,
        "marks": view_settings.has_marks,
        "upright": view_settings.is_upright,
    }
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file) as temporary:
            temporary.write_text(json.dumps(raw, indent=1), encoding="utf-8")
    except OSError as error:
        raise SettingsError(error.strerror or str(error), file, "Free some disk space there") from error


def _read_json(file: Path | None) -> dict[str, Any]:
    """Return the content of `file`, of the earlier version's file if it is missing, or an empty dictionary if invalid."""
    if file is None:
        return {}
    if not file.exists():
        file = file.with_name(_EARLIER_SETTINGS_NAME)
    try:
        raw = parse_json(read_bounded(file, _MAX_SETTINGS_BYTES))
    except (OSError, ValueError):
        return {}
    return raw if isinstance(raw, dict) else {}

"""The zoom and the contrast that each rater used last, in a small JSON file beside the user's settings.

The file contains nothing of a film. An unreadable file counts as missing.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ratui.bounded_parsing import parse_json, read_bounded
from ratui.errors import SettingsError
from ratui.files import atomic_write
from ratui.imaging import DisplaySettings
from ratui.tui.graphics.viewport import ViewSettings
from ratui.tui.graphics.zoom import LIFE_SIZE, ZOOMS

__all__ = ["read_view_settings", "save_view_settings", "view_settings_file"]

_MAX_SETTINGS_BYTES = 1_000_000
_CONTRAST_OF_FILE = re.compile("file[1-9][0-9]{0,3}")
_EARLIER_SETTINGS_NAME = "sights.json"  # the file of the first versions, read until there is one with today's name


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

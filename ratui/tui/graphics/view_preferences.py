"""Each rater's contrast settings and zoom, saved in a small JSON file beside the user's settings.

The file contains nothing of a film. An unreadable file counts as missing.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ratui.errors import SettingsError
from ratui.files import atomic_write
from ratui.imaging import DisplaySettings
from ratui.tui.graphics.viewport import ZOOMS, ViewSettings

__all__ = ["read_view_settings", "save_view_settings", "view_settings_file"]

_MAX_BYTES = 1_000_000
_EARLIER_NAME = "sights.json"  # the file of the first versions, read until there is one with today's name


def view_settings_file(settings: Path) -> Path:
    """Return the path of the file beside the user's `settings` file."""
    return settings.with_name("view_settings.json")


def read_view_settings(rater: str, file: Path | None) -> ViewSettings:
    """Return the view settings that `rater` used last, or the defaults if they are missing or invalid.

    This never raises an exception: invalid view settings are no reason to stop.
    """
    raw = _read(file).get(rater)
    if not isinstance(raw, dict):
        return ViewSettings()
    try:
        settings = DisplaySettings(
            preset=str(raw["preset"]),
            shift=float(raw["shift"]),
            stretch=float(raw["stretch"]),
            invert=bool(raw["invert"]),
            local=bool(raw["local"]),
        )
        zoom = int(raw["zoom"])
    except (KeyError, TypeError, ValueError):
        return ViewSettings()
    known = settings.preset in ("joint", "film") or (
        settings.preset.startswith("file") and settings.preset[4:].isdecimal()
    )
    sane = known and -1.0 <= settings.shift <= 1.0 and 0.125 <= settings.stretch <= 8.0 and 0 <= zoom < len(ZOOMS)
    return ViewSettings(zoom, settings) if sane else ViewSettings()


def save_view_settings(rater: str, view_settings: ViewSettings, file: Path) -> None:
    """Save the contrast settings and the zoom of `rater` in `file`.

    Raises
    ------
    SettingsError
        If the file cannot be written.
    """
    raw = _read(file)
    # The overview of whole films (a negative zoom) is for one case only.
    raw[rater] = {**asdict(view_settings.display_settings), "zoom": max(view_settings.zoom, 0)}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file) as temporary:
            temporary.write_text(json.dumps(raw, indent=1), encoding="utf-8")
    except OSError as error:
        raise SettingsError(error.strerror or str(error), file, "Make room there") from error


def _read(file: Path | None) -> dict[str, Any]:
    """Return the content of `file`, of the earlier version's file if it is missing, or an empty dictionary if invalid."""
    if file is None:
        return {}
    if not file.exists():
        file = file.with_name(_EARLIER_NAME)
    try:
        if file.stat().st_size > _MAX_BYTES:
            return {}
        raw = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return raw if isinstance(raw, dict) else {}

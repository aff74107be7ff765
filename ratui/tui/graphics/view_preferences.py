"""How each rater likes to look at films, kept from one day to the next: one small JSON file beside the settings.

It holds greys and zoom only, nothing of a film, and what it can't read it takes for not there.
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

_LARGEST = 1_000_000


def view_settings_file(settings: Path) -> Path:
    """Where they are kept: beside the file of the `settings`."""
    return settings.with_name("sights.json")


def read_view_settings(rater: str, file: Path | None) -> ViewSettings:
    """How `rater` looked at films last; the usual way where that isn't known. Never raises: a look is no reason to stop."""
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
    """Keeps how `rater` looks at films now. Raises SettingsError where the disk refuses."""
    raw = _read(file)
    raw[rater] = {**asdict(view_settings.display_settings), "zoom": max(view_settings.zoom, 0)}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file) as temporary:
            temporary.write_text(json.dumps(raw, indent=1), encoding="utf-8")
    except OSError as error:
        raise SettingsError(error.strerror or str(error), file, "Make room there") from error


def _read(file: Path | None) -> dict[str, Any]:
    try:
        if file is None or file.stat().st_size > _LARGEST:
            return {}
        raw = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return raw if isinstance(raw, dict) else {}

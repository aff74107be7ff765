"""The user's settings for all studies: language and keys, read from one TOML file.

Invalid settings are rejected at start-up. Settings never change the possible answers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from platformdirs import user_config_path

from ratui.bounded_parsing import parse_toml, read_bounded
from ratui.errors import SettingsError, clean_text
from ratui.files import atomic_write
from ratui.tui.i18n.catalog import choose_language
from ratui.tui.theme import PALETTES

__all__ = ["UserSettings", "read_user_settings", "save_setting", "settings_file"]

_MAX_BYTES = 100_000
_EARLIER_SCREENS = {"second_look": "review"}
_EARLIER_ACTIONS = {
    "worklist.rub": "worklist.delete_character",
    "overview.look_again": "overview.review",
    "scoring.harder": "scoring.more_contrast",
    "scoring.softer": "scoring.less_contrast",
    "review.harder": "review.more_contrast",
    "review.softer": "review.less_contrast",
}
"""Names of screens and actions in settings of earlier versions, with today's names."""


@dataclass(frozen=True)
class UserSettings:
    """The settings of one user."""

    language: str = ""
    """Code of the language, such as ``"ja"``. If empty, the environment decides."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """Keys by the id of their action: ``{"scoring.undo": "U"}``."""
    grades: Mapping[int, str] = field(default_factory=dict)
    """The user's own keys of grades beside the digits, by grade: ``{1: "&"}``."""
    palette: str = ""
    """Name of the palette, as in `ratui.tui.theme.PALETTES`. If empty, the usual one."""
    pixel_mm: float | None = None
    """Size of a pixel of the user's screen in mm; None if unknown."""
    source: Path | None = field(default=None, compare=False)
    """File of the settings, for error messages and to save the language in; None if there is none."""


def settings_file() -> Path:
    """Return the path of the user's settings file, which may not exist."""
    return user_config_path("ratui") / "settings.toml"


def read_user_settings(path: Path | None = None, *, language: str | None = None) -> UserSettings:
    """Read the user's settings.

    Parameters
    ----------
    path
        A TOML file; without it, the file `settings_file()`.
    language
        Code of a language that replaces the one in the file; None or empty for the one in the file.

    Returns
    -------
    UserSettings
        The settings in the file, with this language. If the file does not exist, every setting has its default value.

    Raises
    ------
    SettingsError
        If the file cannot be read, or if a setting is unknown or invalid.
    """
    path = path or settings_file()
    settings = _read_file(path)
    return replace(settings, language=language) if language else settings


def _read_file(path: Path) -> UserSettings:
    """Return the settings in the file at `path`; the defaults if there is none. Raise SettingsError for invalid ones."""
    try:
        raw = parse_toml(read_bounded(path, _MAX_BYTES).decode())
    except FileNotFoundError:
        return UserSettings(source=path)
    except (OSError, ValueError) as error:
        raise SettingsError(f"the settings can't be read: {error}", path, "Correct the file, or remove it") from error
    unknown = sorted(set(raw) - {"language", "keys", "grades", "palette", "pixel_mm"})
    if unknown:
        known = "The known settings are language, palette, pixel_mm, [keys] and [grades]"
        raise SettingsError(f"unknown setting {clean_text(unknown[0])}", path, known)
    language, keys = raw.get("language", ""), raw.get("keys", {})
    if not isinstance(language, str):
        raise SettingsError("language must be a text", path, 'Write language = "en" or "ja"')
    if language:
        try:
            choose_language(wanted=language)
        except SettingsError as error:
            raise SettingsError(error.problem, path, error.remedy) from error
    palette = raw.get("palette", "")
    if palette not in ("", *PALETTES):
        raise SettingsError(f"unknown palette {clean_text(palette)}", path, f"Write one of: {', '.join(PALETTES)}")
    if not isinstance(keys, dict):
        raise SettingsError("keys must be a table", path, 'Write [keys], and below it "scoring.undo" = "U"')
    flat: dict[str, str] = {}
    for name, value in keys.items():
        rows = value.items() if isinstance(value, dict) else [("", value)]
        for action, key in rows:
            id = f"{name}.{action}" if action else name
            if not isinstance(key, str) or not key or clean_text(key) != key:
                raise SettingsError(
                    f'the key of {clean_text(id)} must be a text such as "U" or "f5"', path, "Correct it"
                )
            flat[_current_action(id)] = key
    return UserSettings(
        language, flat, _read_grades(raw.get("grades", {}), path), palette, _read_pixel(raw, path), path
    )


def _read_pixel(raw: Mapping[str, object], path: Path) -> float | None:
    """Return the size of a pixel, or None if it is not set. Raise SettingsError if no screen has such pixels."""
    value = raw.get("pixel_mm")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_pixel_size(value):
        raise SettingsError(
            "pixel_mm must be a number of millimetres from 0.02 to 2", path, "ratui doctor tells how to measure it"
        )
    return float(value)


def _is_pixel_size(value: float) -> bool:
    return 0.02 <= value <= 2.0


def _read_grades(raw: object, path: Path) -> dict[int, str]:
    """Return the keys of grades in the table `raw`. Raise SettingsError if it is none."""
    if not isinstance(raw, dict):
        raise SettingsError("grades must be a table", path, 'Write [grades], and below it 1 = "&"')
    found: dict[int, str] = {}
    for name, key in raw.items():
        if not (name.isascii() and name.isdecimal() and len(name) <= 2):
            raise SettingsError(f"unknown grade {clean_text(name)}", path, 'Write a number and its key, as in 1 = "&"')
        if not isinstance(key, str) or not key or clean_text(key) != key:
            raise SettingsError(f'the key of the grade {name} must be a text such as "&"', path, "Correct it")
        if int(name) in found:
            raise SettingsError(f"the grade {int(name)} has two keys", path, "Remove one of them")
        found[int(name)] = key
    return found


def _current_action(id: str) -> str:
    """Return today's id of an action; `id` may come from settings of an earlier version."""
    screen, dot, name = id.partition(".")
    id = f"{_EARLIER_SCREENS.get(screen, screen)}{dot}{name}"
    return _EARLIER_ACTIONS.get(id, id)


def save_setting(name: Literal["language", "palette", "pixel_mm"], value: str | float, path: Path) -> None:
    """Write the setting `name` into the settings file at `path`, and leave all other lines as they are.

    Raises
    ------
    SettingsError
        If there is no such language or palette, if no screen has pixels of this size, or if the file cannot be changed.
    """
    if isinstance(value, float):
        value = round(value, 4)
        if name != "pixel_mm" or not _is_pixel_size(value):
            problem = f"a pixel of {value:g} mm is impossible"
            raise SettingsError(problem, path, "Measure the line of ratui doctor in millimetres, on the screen itself")
        line = f"{name} = {value}"
    elif name == "language":
        value = choose_language(wanted=value)
        line = f'{name} = "{value}"'
    elif value not in PALETTES:
        raise SettingsError(f"unknown palette {clean_text(value)}", path, f"Write one of: {', '.join(PALETTES)}")
    else:
        line = f'{name} = "{value}"'
    try:
        text = read_bounded(path, _MAX_BYTES).decode() if path.exists() else ""
        lines = text.splitlines()
        # Only lines before the first table header are at the top level, where these settings belong.
        top = next((i for i, each in enumerate(lines) if each.lstrip().startswith("[")), len(lines))
        found = [i for i in range(top) if re.match(rf"\s*{name}\s*=", lines[i])]
        if found:
            lines[found[0]] = line
        else:
            lines.insert(0, line)
        wanted = {**parse_toml(text), name: value}
        new = "\n".join(lines) + "\n"
        # The text was changed without a TOML writer, which would lose comments: check that nothing else changed.
        if parse_toml(new) != wanted:
            raise SettingsError(
                "the setting can't be written without changing other settings", path, f"Write {line} yourself"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            temporary.write_text(new, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise SettingsError(f"the setting can't be saved: {error}", path, f"Write {line} there yourself") from error

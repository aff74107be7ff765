"""What a user settles once, for all studies: the language, and which key does what. Read from one TOML file.

It never changes what may be entered; a wrong file is refused at the start, by line of thought, not in the middle of a case.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from platformdirs import user_config_path

from ratui.errors import SettingsError, clean_text
from ratui.files import atomic_write
from ratui.tui.i18n.catalog import choose_language

__all__ = ["UserSettings", "read_settings", "save_language", "settings_file"]

_LARGEST = 100_000


@dataclass(frozen=True)
class UserSettings:
    """`language` is empty where the environment decides; `keys` maps an action's id (``scoring.undo``) to a key.

    `source` is the file they were read from, for errors and for a language chosen later; None where there is none.
    """

    language: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)
    source: Path | None = field(default=None, compare=False)


def settings_file() -> Path:
    """Where the user's settings lie; the file needs not be there."""
    return user_config_path("ratui") / "settings.toml"


def read_settings(path: Path | None = None) -> UserSettings:
    """The settings in the file at `path`, or in the user's own; the defaults where there is none. Raises SettingsError."""
    path = path or settings_file()
    try:
        if path.stat().st_size > _LARGEST:
            raise SettingsError("the file is too large to be settings", path, "Write it anew")
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return UserSettings(source=path)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(
            f"the settings can't be read: {error}", path, "Correct the file, or take it away"
        ) from error
    unknown = sorted(set(raw) - {"language", "keys"})
    if unknown:
        raise SettingsError(f"unknown setting {clean_text(unknown[0])}", path, "Known are language and [keys]")
    language, keys = raw.get("language", ""), raw.get("keys", {})
    if not isinstance(language, str):
        raise SettingsError("language must be a text", path, 'Write language = "en" or "ja"')
    if language:
        choose_language(wanted=language)
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
            flat[id] = key
    return UserSettings(language, flat, path)


def save_language(language: str, path: Path) -> None:
    """Writes `language` into the settings at `path`, all else in it as it was. Raises SettingsError."""
    line = f'language = "{choose_language(wanted=language)}"'
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        lines = text.splitlines()
        # Only what stands before the first table is at the top level; nothing else there may begin like this.
        top = next((i for i, each in enumerate(lines) if each.lstrip().startswith("[")), len(lines))
        found = [i for i in range(top) if re.match(r"\s*language\s*=", lines[i])]
        if found:
            lines[found[0]] = line
        else:
            lines.insert(0, line)
        wanted = {**tomllib.loads(text), "language": language}
        new = "\n".join(lines) + "\n"
        if tomllib.loads(new) != wanted:
            raise SettingsError("the language can't be written without changing more", path, f"Write {line} yourself")
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            temporary.write_text(new, encoding="utf-8")
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"the language can't be kept: {error}", path, f"Write {line} there yourself") from error

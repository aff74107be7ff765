"""What the screens say, in the rater's language: one folder of TOML files a language, one file a screen.

A text is asked for by its id (``scoring.saved``), never written in a screen; what a film or a file says never goes in here.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any

from ratui.errors import SettingsError, clean_text

__all__ = ["LANGUAGES", "Catalog", "choose_language"]

LANGUAGES = ("en", "ja")


def choose_language(environment: Mapping[str, str] = os.environ, wanted: str = "") -> str:
    """`wanted`, or the language that the `environment` asks for by ``LC_ALL``, ``LC_MESSAGES`` or ``LANG``; English for
    one that ratui doesn't speak. Raises SettingsError for a `wanted` language that isn't there."""
    if wanted:
        if wanted not in LANGUAGES:
            known = ", ".join(LANGUAGES)
            raise SettingsError(f"there are no texts in {clean_text(wanted)!r}", "language", f"Take one of {known}")
        return wanted
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if environment.get(name):
            spoken = environment[name].split("_")[0].split(".")[0].lower()
            return spoken if spoken in LANGUAGES else "en"
    return "en"


class Catalog:
    """All texts of one language. An object ``t`` of it gives a text when called with its id, as screens do."""

    def __init__(self, language: str = "en") -> None:
        self.language = language
        self._texts: dict[str, str] = {}
        self._scheme: Mapping[str, str] = {}
        for file in sorted(resources.files("ratui.tui.i18n").joinpath(language).iterdir(), key=lambda file: file.name):
            if file.name.endswith(".toml"):
                name, tables = file.name.removesuffix(".toml"), tomllib.loads(file.read_text(encoding="utf-8"))
                if name == "scheme":
                    self._scheme = tables
                else:
                    self._texts.update(_flat(name, tables))

    def __call__(self, id: str, /, **values: object) -> str:
        """The text `id` with `values` filled in. Where `count` is 1 and there is a text ``<id>_one``, that one.

        Raises KeyError for an id that isn't there: that is a mistake in a screen, which the tests find.
        """
        if values.get("count") == 1 and f"{id}_one" in self._texts:
            id = f"{id}_one"
        text = self._texts[id]
        return text.format_map(values) if values else text

    def __contains__(self, id: str) -> bool:
        return id in self._texts

    @property
    def ids(self) -> frozenset[str]:
        """Every id."""
        return frozenset(self._texts)

    def translate_scheme(self, text: str) -> str:
        """`text` of a scheme (the meaning of a grade, the label of a finding) in this language, itself where unknown."""
        return self._scheme.get(text, text)


def _flat(prefix: str, table: Mapping[str, Any]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            texts.update(_flat(f"{prefix}.{key}", value))
        else:
            texts[f"{prefix}.{key}"] = value
    return texts

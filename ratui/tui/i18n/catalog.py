"""Texts of the screens in the rater's language: one folder of TOML files for each language, one file for each screen.

Screens get each text by its id (``scoring.saved``). A file is read when the first of its texts is needed. Error messages
are translated by templates, because their English texts are in the code that raises them.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ratui.errors import SettingsError, clean_text

__all__ = ["LANGUAGES", "Catalog", "ErrorTexts", "choose_language"]

LANGUAGES = ("en", "ja")
"""Codes of the languages that have texts."""
_FOLDER = Path(__file__).parent
_BLANK = re.compile(r"\{(\d+)\}")


def choose_language(environment: Mapping[str, str] = os.environ, wanted: str = "") -> str:
    """Return the code of the language to use.

    Parameters
    ----------
    environment
        The environment variables. ``LC_ALL``, ``LC_MESSAGES`` and ``LANG`` count, in this order.
    wanted
        Code of a language that the user has chosen; empty to use the environment.

    Returns
    -------
    str
        One of `LANGUAGES`. English if the environment names another language or none.

    Raises
    ------
    SettingsError
        If there are no texts in the `wanted` language.
    """
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
    """All texts of one language. Call the object with an id to get a text: ``t("scoring.saved")``.

    Parameters
    ----------
    language
        One of `LANGUAGES`.
    """

    def __init__(self, language: str = "en") -> None:
        self.language = language
        self._texts: dict[str, str] = {}  # those of the files that were read
        self._files_read: set[str] = set()

    def __call__(self, id: str, /, **values: object) -> str:
        """Return a text.

        Parameters
        ----------
        id
            The id of the text. If the value `count` is 1 and there is a text ``<id>_one``, that text is returned.
        values
            Values to insert into the text, by the names of its placeholders.

        Returns
        -------
        str
            The text.

        Raises
        ------
        KeyError
            If there is no such text, or if it needs a value that is missing. Both are errors in the program.
        """
        self._read_file_of(id)
        if values.get("count") == 1 and f"{id}_one" in self._texts:
            id = f"{id}_one"
        text = self._texts[id]
        return text.format_map(values) if values else text

    def _read_file_of(self, id: str) -> None:
        """Read the file with the text `id`, unless it has been read or there is no such file."""
        name = id.partition(".")[0]
        if name not in self._files_read:
            self._files_read.add(name)
            self._texts |= _read_texts(self.language, name)

    def __contains__(self, id: str) -> bool:
        self._read_file_of(id)
        return id in self._texts

    @property
    def ids(self) -> frozenset[str]:
        """Ids of all texts."""
        return frozenset(id for name in _list_files(self.language) for id in _read_texts(self.language, name))

    def translate_scheme(self, text: str) -> str:
        """Return a text of the scheme, such as the label of a finding, in this language; `text` itself if unknown.

        Users can edit schemes, so that a text without a translation is no error.
        """
        return str(_read_table(self.language, "scheme").get(text, text))

    def translate_error(self, text: str) -> str:
        """Return the part `text` of an error message, or a notice, in this language; an unknown text stays English."""
        return _read_errors(self.language, "errors").translate(text)

    def translate_reason(self, text: str) -> str:
        """Return a reason or an error of an import in this language; an unknown text stays English."""
        found = _read_errors(self.language, "import_reasons").translate(text)
        return self.translate_error(text) if found == text else found


_OTHER_FILES = ("scheme", "errors", "import_reasons")
"""Files without texts that have an id."""


def _list_files(language: str) -> list[str]:
    """Return the names of the files with the texts of the screens."""
    files = (_FOLDER / language).iterdir()
    names = sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))
    return [name for name in names if name not in _OTHER_FILES]


@cache
def _read_texts(language: str, name: str) -> Mapping[str, str]:
    """Return the texts of one file by id, read once per process; none if there is no such file."""
    return MappingProxyType({} if name in _OTHER_FILES else _flat(name, _read_table(language, name)))


@cache
def _read_errors(language: str, name: str) -> ErrorTexts:
    """Return the templates in one file; none in English, in which the messages are written."""
    return ErrorTexts(_read_table(language, name))


@cache
def _read_table(language: str, name: str) -> Mapping[str, Any]:
    """Return the content of one file, empty if there is no such file."""
    file = _FOLDER / language / f"{name}.toml"
    return MappingProxyType(tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {})


def _flat(prefix: str, table: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts of nested tables, with ids such as ``prefix.table.key``."""
    texts: dict[str, str] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            texts.update(_flat(f"{prefix}.{key}", value))
        else:
            texts[f"{prefix}.{key}"] = value
    return texts


class ErrorTexts:
    """Translates error messages by templates.

    Parameters
    ----------
    templates
        The translations by English template. Both have blanks ``{0}``, ``{1}``, …, numbered in the order of the English
        text.
    """

    def __init__(self, templates: Mapping[str, str]) -> None:
        self.templates = templates
        # The template with the longest literal text first: it is the most specific one.
        ordered = sorted(templates, key=lambda template: len(_BLANK.sub("", template)), reverse=True)
        self._patterns = [(_compile(template), templates[template]) for template in ordered]

    def translate(self, text: str) -> str:
        """Return the translation of `text`, or `text` itself if no template fits. Values are translated in the same way."""
        for pattern, translation in self._patterns:
            found = pattern.fullmatch(text)
            if found:
                return _fill(translation, [self.translate(value) for value in found.groups()])
        return text


def _compile(template: str) -> re.Pattern[str]:
    literals = _BLANK.split(template)[::2]
    return re.compile("(.+?)".join(re.escape(literal) for literal in literals))


def _fill(template: str, values: Sequence[str]) -> str:
    return _BLANK.sub(lambda blank: values[int(blank[1])], template)

"""The errors a person may see, and the cleaning of text that comes from outside.

Nothing here imports the rest of the project, so that every layer can raise and clean.

::

    RatuiError
    ├── SchemeError     a scheme file says something that can't be
    ├── EntryRefused    an entry that the situation rules out
    ├── StudyError      a study folder, its import or its settings
    │   └── StoreError  a stored file: locked, damaged, not writable
    ├── FilmError       a film that can't be read or shown
    ├── DisplayError    a terminal that can't do what was asked of it
    ├── SettingsError   the user's settings: a language, a key
    └── TrainError      a training run, its data or its checkpoint
"""

from __future__ import annotations

import unicodedata

__all__ = [
    "DisplayError",
    "EntryRefused",
    "FilmError",
    "RatuiError",
    "SchemeError",
    "SettingsError",
    "StoreError",
    "StudyError",
    "TrainError",
    "clean",
]

# C0, C1, lone surrogates, line separators and the invisible characters that reorder text: none may reach a terminal.
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def clean(text: object, limit: int = 80) -> str:
    """`text` as one printable line of at most `limit` characters, control and invisible ones shown as ``�``."""
    line = "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in _HIDDEN else c for c in str(text))
    return line if len(line) <= limit else line[: limit - 1] + "…"


class RatuiError(Exception):
    """An error for a person: what happened, where, and the one thing to do. Its text is safe to print."""

    def __init__(self, what: str, where: object = "", remedy: str = "") -> None:
        self.what = clean(what, 400)
        self.where = clean(where, 200)
        self.remedy = clean(remedy, 400)
        super().__init__(self.what)

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}. {self.remedy}" if self.remedy else head


class SchemeError(RatuiError):
    """A scheme file says something that can't be."""


class EntryRefused(RatuiError):
    """An entry that the situation rules out; `what` says why in a few words."""


class StudyError(RatuiError):
    """A study folder, its import or its settings."""


class StoreError(StudyError):
    """A stored file that is locked, damaged or not writable."""


class FilmError(RatuiError):
    """A film that can't be read or shown."""


class DisplayError(RatuiError):
    """A terminal that can't do what was asked of it."""


class SettingsError(RatuiError):
    """The user's settings: a language that isn't there, a key that is taken."""


class TrainError(RatuiError):
    """A training run, its data or its checkpoint."""

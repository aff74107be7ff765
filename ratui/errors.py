"""Errors that a user may see, and a function that makes foreign text safe to print.

The module imports nothing from the project, so that every layer can use it.

::

    RatuiError
    ├── SchemeError           a scheme file is invalid
    ├── EntryError            the rules of entry refuse a command; has a `Refusal`
    ├── StudyError            a study folder, its import or its settings
    │   └── StoreError        a stored file is locked, not writable or of a newer format
    │       └── DamagedError  a stored file was damaged after it was written
    ├── FilmError             a film cannot be read or displayed
    ├── DisplayError          the terminal cannot display what was requested
    ├── PacsError             an archive of images (PACS) refuses, answers wrongly, or does not have a file
    │   └── PacsLostError     the connection can't be made or was lost; the same request may succeed later
    ├── SettingsError         the user's settings: language or keys
    └── TrainError            a training run, its data or its checkpoint
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

__all__ = [
    "DamagedError",
    "DisplayError",
    "EntryError",
    "FilmError",
    "PacsError",
    "PacsLostError",
    "RatuiError",
    "Refusal",
    "RefusalKind",
    "SchemeError",
    "SettingsError",
    "StoreError",
    "StudyError",
    "TrainError",
    "clean_text",
]

# Unicode categories that must not reach a terminal: control characters (Cc; ESC starts a command to the terminal),
# invisible characters that reorder text (Cf), surrogates (Cs), private and unassigned code points (Co, Cn), and
# separators of lines and paragraphs (Zl, Zp).
_UNSAFE_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def clean_text(text: object, limit: int = 80) -> str:
    """Return `text` as one printable line of at most `limit` characters.

    Control characters and invisible characters become ``�``. A longer text ends in ``…``.
    """
    line = "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in _UNSAFE_CATEGORIES else c for c in str(text)
    )
    return line if len(line) <= limit else line[: limit - 1] + "…"


class RatuiError(Exception):
    """Base class of all errors that a user may see. Its text is safe to print.

    Attributes
    ----------
    problem
        The problem, in one sentence without a full stop.
    location
        The place of the problem: a file, a case, a field. May be empty.
    remedy
        The one thing to do, without a full stop. May be empty.
    """

    def __init__(self, problem: str, location: object = "", remedy: str = "") -> None:
        self.problem = clean_text(problem, 400)
        self.location = clean_text(location, 200)
        self.remedy = clean_text(remedy, 400)
        super().__init__(self.problem)

    def __str__(self) -> str:
        head = f"{self.location}: {self.problem}" if self.location else self.problem
        return f"{head}. {self.remedy}" if self.remedy else head


class SchemeError(RatuiError):
    """A scheme file that is unreadable or invalid."""


RefusalKind: TypeAlias = Literal[
    "signed",
    "not_signed",
    "still_open",
    "needs_reason",
    "absent",
    "out_of_range",
    "fixed",
    "does_not_heal",
    "sets_nothing",
    "no_finding",
    "no_reason",
    "no_site",
    "no_field",
    "not_normal",
    "nothing_to_take_over",
    "nothing_to_clear",
    "nothing_to_undo",
]
"""Kind of a `Refusal`."""

# English, for logs and the command line. Screens translate by kind and parameters.
_REFUSAL_TEXTS: Mapping[RefusalKind, str] = {
    "signed": "signed",
    "not_signed": "not signed",
    "still_open": "{count} fields are still open",
    "needs_reason": "a reason is needed to reopen",
    "absent": "not on this film",
    "out_of_range": "{scale} here goes from 0 to {maximum}",
    "fixed": "fixed by {label}",
    "does_not_heal": "{label} does not heal",
    "sets_nothing": "sets no score here",
    "no_finding": "no such finding",
    "no_reason": "no such reason",
    "no_site": "{name} is not part of this reading",
    "no_field": "{name} is not a field of this reading",
    "not_normal": "not normal in all its open fields",
    "nothing_to_take_over": "nothing to take over",
    "nothing_to_clear": "nothing to clear",
    "nothing_to_undo": "nothing to undo",
}


@dataclass(frozen=True)
class Refusal:
    """The reason why an entry or a command is refused. Its text is English.

    Attributes
    ----------
    kind
        Kind of the reason.
    parameters
        Values for the text, by kind: ``still_open`` has ``count``; ``out_of_range`` has ``scale`` and ``maximum``;
        ``fixed`` and ``does_not_heal`` have ``id`` and ``label`` of a finding or reason; ``no_site`` and ``no_field`` have
        ``name``. The other kinds have none.
    """

    kind: RefusalKind
    parameters: Mapping[str, str | int] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        if self.kind == "still_open" and self.parameters["count"] == 1:
            return "1 field is still open"
        return _REFUSAL_TEXTS[self.kind].format(**self.parameters)


class EntryError(RatuiError):
    """An entry or a command that the rules of entry refuse. `refusal` is the reason."""

    def __init__(self, refusal: Refusal, location: object = "", remedy: str = "") -> None:
        super().__init__(str(refusal), location, remedy)
        self.refusal = refusal


class StudyError(RatuiError):
    """An error in a study folder, its import or its settings."""


class StoreError(StudyError):
    """A stored file that is locked, damaged, not writable or of a newer format."""


class DamagedError(StoreError):
    """A stored file that was damaged after it was written."""


class FilmError(RatuiError):
    """A film that cannot be read or displayed."""


class DisplayError(RatuiError):
    """A terminal that cannot display what was requested."""


class PacsError(RatuiError):
    """An archive of images (PACS) that refuses a request, answers wrongly, or does not have a file."""


class PacsLostError(PacsError):
    """A connection to a PACS that can't be made or was lost. The same request may succeed later."""


class SettingsError(RatuiError):
    """An error in the user's settings: an unknown language, or a key that is already in use."""


class TrainError(RatuiError):
    """An error in a training run, its data or its checkpoint."""

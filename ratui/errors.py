"""The errors a person may see, and the cleaning of text that comes from outside.

Nothing here imports the rest of the project, so that every layer can raise and clean.

::

    RatuiError
    ├── SchemeError     a scheme file says something that can't be
    ├── EntryError    an entry that the situation rules out; carries a `Refusal`
    ├── StudyError      a study folder, its import or its settings
    │   └── StoreError  a stored file: locked, not writable, of a newer format
    │       └── DamagedError  its bytes are not those that were written
    ├── FilmError       a film that can't be read or shown
    ├── DisplayError    a terminal that can't do what was asked of it
    ├── SettingsError   the user's settings: a language, a key
    └── TrainError      a training run, its data or its checkpoint
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

# C0, C1, lone surrogates, line separators and the invisible characters that reorder text: none may reach a terminal.
_UNSAFE_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def clean_text(text: object, limit: int = 80) -> str:
    """`text` as one printable line of at most `limit` characters, control and invisible ones shown as ``�``."""
    line = "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in _UNSAFE_CATEGORIES else c for c in str(text)
    )
    return line if len(line) <= limit else line[: limit - 1] + "…"


class RatuiError(Exception):
    """An error for a person: what happened, where, and the one thing to do. Its text is safe to print."""

    def __init__(self, problem: str, location: object = "", remedy: str = "") -> None:
        self.problem = clean_text(problem, 400)
        self.location = clean_text(location, 200)
        self.remedy = clean_text(remedy, 400)
        super().__init__(self.problem)

    def __str__(self) -> str:
        head = f"{self.location}: {self.problem}" if self.location else self.problem
        return f"{head}. {self.remedy}" if self.remedy else head


class SchemeError(RatuiError):
    """A scheme file says something that can't be."""


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

# In English, for logs and the command line; a screen says them in the rater's language by kind and parameters.
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
    """Why an entry or a command is ruled out, as a kind and the values it speaks of; its text is plain English.

    `parameters` by kind: ``still_open`` count; ``out_of_range`` scale, max_grade; ``fixed`` and ``does_not_heal`` id and
    label of the finding or reason; ``no_site`` and ``no_field`` name. The others have none.
    """

    kind: RefusalKind
    parameters: Mapping[str, str | int] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        if self.kind == "still_open" and self.parameters["count"] == 1:
            return "1 field is still open"
        return _REFUSAL_TEXTS[self.kind].format(**self.parameters)


class EntryError(RatuiError):
    """An entry that the situation rules out; `find_refusal` says why, and `what` says it in a few English words."""

    def __init__(self, refusal: Refusal, location: object = "", remedy: str = "") -> None:
        super().__init__(str(refusal), location, remedy)
        self.refusal = refusal


class StudyError(RatuiError):
    """A study folder, its import or its settings."""


class StoreError(StudyError):
    """A stored file that is locked, damaged, not writable or of a newer format."""


class DamagedError(StoreError):
    """A stored file whose bytes are not those that were written."""


class FilmError(RatuiError):
    """A film that can't be read or shown."""


class DisplayError(RatuiError):
    """A terminal that can't do what was asked of it."""


class SettingsError(RatuiError):
    """The user's settings: a language that isn't there, a key that is taken."""


class TrainError(RatuiError):
    """A training run, its data or its checkpoint."""

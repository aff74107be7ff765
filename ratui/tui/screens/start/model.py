"""The questions of the start screen, and the command line that their answers make.

Every choice on the start screen runs a command of ``ratui`` with these arguments, so that the checks are the command's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

__all__ = ["ACTIONS", "PATHS", "QUESTIONS", "complete_path", "make_arguments", "open_arguments"]

ACTIONS = ("demo", "practise", "other", "new", "import", "doctor")
"""Actions in the order of their lines."""
QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "recent": ("rater",),
    "other": ("study", "rater"),
    "new": ("folder", "raters", "scheme"),
    "import": ("study", "films"),
}
"""Names of the questions that an action asks, in order. The other actions ask none."""
PATHS = ("study", "folder", "films")
"""Questions whose answer is a path."""
_MOST_ENTRIES = 2000
"""Number of entries of a folder that are searched to complete a path."""


def make_arguments(action: str, answers: Mapping[str, str]) -> tuple[str, ...]:
    """Return the arguments of ``ratui`` that do `action` with the `answers` by the names of their questions."""
    values = {name: text.strip() for name, text in answers.items()}
    values |= {name: os.path.expanduser(values[name]) for name in PATHS if name in values}  # noqa: PTH111 - a text
    match action:
        case "recent" | "other":
            return open_arguments(values["study"], values["rater"])
        case "new":
            raters = [f"--rater={rater}" for rater in values["raters"].replace(",", " ").split()]
            return ("new", *raters, f"--scheme={values['scheme']}", "--", values["folder"])
        case "import":
            return ("import", "--", values["study"], values["films"])
    return (action,)


def open_arguments(folder: str | Path, rater: str) -> tuple[str, ...]:
    """Return the arguments of ``ratui`` that open the study in `folder` for `rater`."""
    return ("read", f"--rater={rater}", "--", str(folder))


def complete_path(text: str, *, only_folders: bool) -> str:
    """Return the path `text` with its last part completed as far as the names on the disk agree, as a shell does.

    Names with characters that cannot be printed are left out. Return `text` itself if nothing fits.
    """
    head, slash, beginning = text.rpartition("/")
    folder = os.path.expanduser(f"{head}{slash}") or "."  # noqa: PTH111 - a text that a user types
    try:
        with os.scandir(folder) as entries:
            found = [
                f"{entry.name}/" if entry.is_dir() else entry.name
                for entry in islice(entries, _MOST_ENTRIES)
                if entry.name.startswith(beginning)
                and entry.name.isprintable()
                and (beginning or not entry.name.startswith("."))
                and (not only_folders or entry.is_dir())
            ]
    except OSError:
        return text
    return f"{head}{slash}{os.path.commonprefix(found)}" if found else text  # noqa: RUF071 - part of a name

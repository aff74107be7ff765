"""The questions of the start screen, and the command line that their answers make.

Every choice on the start screen runs a command of ``ratui`` with these arguments, so that the checks are the command's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, TypeAlias

from ratui.errors import RatuiError
from ratui.tui.recent_studies import RecentStudy

__all__ = [
    "ACTIONS",
    "PATHS",
    "QUESTIONS",
    "SearchEnded",
    "StudyState",
    "complete_path",
    "find_study_state",
    "make_arguments",
    "open_arguments",
]

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

_Kind: TypeAlias = Literal["missing", "unreadable", "unknown", "readable"]


class SearchEnded(Exception):
    """The progress of a study is not wanted any more."""


@dataclass(frozen=True)
class StudyState:
    """The state of a remembered study.

    Attributes
    ----------
    kind
        ``missing`` if its folder has no study, ``unreadable`` if the study cannot be opened for its rater, ``unknown`` if no
        rater is remembered.
    signed, total
        Number of cases that the rater has signed, and of all cases of the rater.
    """

    kind: _Kind
    signed: int = 0
    total: int = 0


def find_study_state(study: RecentStudy, check: Callable[[], None]) -> StudyState:
    """Return the present state of `study`. It may take seconds without an index of its worklist, or on a slow disk.

    `check` is called now and then, and may raise SearchEnded, which is passed on.
    """
    from ratui.study import Study  # not loaded before the screen is drawn

    check()
    try:
        if not (study.folder / "study.toml").exists():
            return StudyState("missing")
        if not study.rater:
            return StudyState("unknown")
        opened = Study.open(study.folder).as_rater(study.rater)
        states = opened.states(study.rater, progress=lambda done, of: check())
    except (RatuiError, OSError):  # opening it says why
        return StudyState("unreadable")
    return StudyState("readable", sum(state.stage == "signed" for state in states), len(states))


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

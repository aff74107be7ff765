"""The result of an import: every source file with its outcome, as a list and as lines for the screen."""

from __future__ import annotations

import csv
import io
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ratui.errors import clean_text
from ratui.files import make_folder, write_bytes
from ratui.study.importing.files.archives import SkippedItem

__all__ = ["ImportReport", "ImportedFilm", "RejectedFile", "find_exit_code", "fold_lines", "save_file_list"]

_LINES_OF_A_REASON = 5  # with one line each; more are folded
_LINES_OF_FILMS = 60
_RANGES = 4
_REASON_LENGTH = 300


@dataclass(frozen=True)
class ImportedFilm:
    """A film that was imported.

    Attributes
    ----------
    path
        The source file; for a film in an archive, the path of the archive followed by the name in it.
    case, time, side
        The film's case, the number of its visit from 0, and ``L``, ``R`` or ``B``.
    note
        Warning for a person, such as text burned into the image, or empty.
    film
        ID of the film in its case, by which queries to the sites name it.
    visit
        Name of the visit.
    """

    path: Path
    case: str
    time: int
    side: str
    note: str = ""
    film: str = ""
    visit: str = ""


@dataclass(frozen=True)
class RejectedFile:
    """A file that was not imported, with the reason; the reason repeats no text of the file."""

    path: Path
    reason: str


@dataclass(frozen=True)
class ImportReport:
    """The imported and the rejected files, each in the order of the input. Paths may contain names of patients.

    Attributes
    ----------
    imported, rejected
        The files.
    key
        Path of the file that links patients to cases.
    skipped
        Files, folders, links and entries of archives that were not read, each with a reason.
    """

    imported: tuple[ImportedFilm, ...]
    rejected: tuple[RejectedFile, ...]
    key: Path
    skipped: tuple[SkippedItem, ...] = ()

    @property
    def exit_code(self) -> int:
        """Exit code of the command: 1 if no film was imported, 3 if a place that may contain films was not read, else 0."""
        return find_exit_code(len(self.imported), self.skipped)

    def save_list(self) -> Path:
        """Write a CSV table of all source files and outcomes beside the key, for its owner alone, and return its path.

        Rows have the same numbers as the lines of the command-line output, which names no file. Raises StoreError.
        """
        outcomes = [
            *((item.path, f"case {item.case}, film {item.film}, {item.visit}, {item.side}") for item in self.imported),
            *((item.path, item.reason) for item in self.rejected),
            *((item.origin, f"not read: {item.reason}") for item in self.skipped),
        ]
        return save_file_list(self.key, "import", outcomes)

    def format_lines(self) -> list[str]:
        """Return the lines for the screen, with the numbers of `save_list`. They name no file; long lists are folded."""
        films = self.imported
        if len(films) <= _LINES_OF_FILMS:
            lines = [
                f"  imported no. {number}: case {film.case}, {film.visit}, {film.side}"
                f"{f' · {film.note}' if film.note else ''}"
                for number, film in enumerate(films, start=1)
            ]
        else:
            lines = [f"  imported no. 1–{len(films)}"]
            noted = [(number, film.note) for number, film in enumerate(films, start=1) if film.note]
            lines += fold_lines("note on", noted)
        first = len(films) + 1
        lines += fold_lines("refused ", enumerate((item.reason for item in self.rejected), start=first))
        first += len(self.rejected)
        return lines + fold_lines("not read", enumerate((item.reason for item in self.skipped), start=first))


def save_file_list(key: Path, name: str, outcomes: Iterable[tuple[Path, str]]) -> Path:
    """Write a CSV table of files and their outcomes beside `key`, for its owner alone, and return its path.

    Parameters
    ----------
    key
        The key file.
    name
        Part of the name of the new file.
    outcomes
        Files with their outcomes; they are numbered from 1.

    Raises
    ------
    StoreError
        If it can't be written.
    """
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    path = key.with_name(f"{key.stem}-{name}-{now}-{secrets.token_hex(2)}.csv")
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["number", "file", "outcome"])
    for number, (file, outcome) in enumerate(outcomes, start=1):
        rows.writerow([number, clean_text(file, 4000), outcome])
    make_folder(path.parent)
    write_bytes(path, text.getvalue().encode(), copy=False, private=True)
    return path


def find_exit_code(films: int, skipped: Iterable[SkippedItem]) -> int:
    """Return the exit code of a command that imports `films` films, see `ImportReport.exit_code`."""
    if not films:
        return 1
    return 0 if all(item.is_harmless for item in skipped) else 3


def fold_lines(verb: str, numbered: Iterable[tuple[int, str]]) -> list[str]:
    """Return one line for each file, or for each reason that more than five files share.

    Parameters
    ----------
    verb
        Begin of each line, such as "refused".
    numbered
        Number and reason of each file.
    """
    by_reason: dict[str, list[int]] = {}
    for number, reason in numbered:
        by_reason.setdefault(clean_text(reason, _REASON_LENGTH), []).append(number)
    lines: list[tuple[int, str]] = []
    for reason, numbers in by_reason.items():
        if len(numbers) <= _LINES_OF_A_REASON:
            lines += [(number, f"  {verb} no. {number}: {reason}") for number in numbers]
        else:
            lines.append((numbers[0], f"  {verb} {len(numbers)} files, no. {_format_ranges(numbers)}: {reason}"))
    return [line for _, line in sorted(lines)]


def _format_ranges(numbers: Sequence[int]) -> str:
    """Return ascending numbers as "3–8, 11, 13–20"; after four ranges follows an ellipsis."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    texts = [str(first) if first == last else f"{first}–{last}" for first, last in ranges[:_RANGES]]
    return ", ".join(texts) + (" …" if len(ranges) > _RANGES else "")

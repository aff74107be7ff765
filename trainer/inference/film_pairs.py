"""The table of pairs of films: which films show one patient at two time points. It may come from others."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ratui.bounded_parsing import read_bounded
from ratui.errors import TrainError, clean_text

__all__ = ["FilmPair", "read_film_pairs"]

_LARGEST_TABLE = 20_000_000  # bytes
_MAX_PAIRS = 100_000
_SIDES = {"": "", "l": "L", "left": "L", "r": "R", "right": "R"}


@dataclass(frozen=True)
class FilmPair:
    """Two films of one patient, the earlier first, by their names in the folder.

    `side` is ``L``, ``R``, or empty for the sides that the hands look like.
    """

    first: str
    second: str
    side: str = ""


def read_film_pairs(path: Path, names: Mapping[str, object]) -> tuple[FilmPair, ...]:
    """Return the pairs of films in a CSV table.

    Its columns are ``first``, ``second`` and optionally ``side``; commas, semicolons or tabs separate them. Visits of one
    patient are one pair for each interval: a film may be in several pairs.

    Parameters
    ----------
    path
        The CSV file.
    names
        Names of the films in their folder, with ``/`` between folders.

    Raises
    ------
    TrainError
        If the table can't be read, or a row does not name two of the films; the error names the line.
    """
    try:
        text = read_bounded(path, _LARGEST_TABLE).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise TrainError("the table of pairs can't be read", path, "Save it as CSV in UTF-8") from error
    first_line = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first_line.count))
    try:
        columns = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
        if not {"first", "second"} <= set(columns):
            raise TrainError("the table of pairs lacks the columns first, second", path, "Name them in its first line")
        found: list[FilmPair] = []
        for row in reader:
            values = [(row.get(columns.get(key, "")) or "").strip() for key in ("first", "second", "side")]
            if any(values):
                found.append(_check_pair(values, names, path, reader.line_num))
            if len(found) > _MAX_PAIRS:
                raise TrainError(f"the table has more than {_MAX_PAIRS:,} pairs", path, "Divide it")
    except csv.Error as error:
        raise TrainError("the table of pairs is no CSV", path, "Save it as CSV in UTF-8") from error
    if not found:
        raise TrainError("the table names no pair", path, "Give the columns first and second")
    return tuple(found)


def _check_pair(values: Sequence[str], names: Mapping[str, object], path: Path, line: int) -> FilmPair:
    # The table of predictions puts "./" before a name like a formula.
    first, second = (value.replace("\\", "/").removeprefix("./") for value in values[:2])
    for name in (first, second):
        if name not in names:
            raise TrainError(
                f"line {line} names {clean_text(name) or 'no film'}, which is not in the folder", path, "Correct it"
            )
    if first == second:
        raise TrainError(f"line {line} names one film twice", path, "Name the films of two time points")
    if values[2].lower() not in _SIDES:
        raise TrainError(f"line {line} has the side {clean_text(values[2])}", path, "Write L or R")
    return FilmPair(first, second, _SIDES[values[2].lower()])

"""The truth about the files of a simulated hospital, kept in a table beside the files and never in them."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path

__all__ = ["Outcome", "Truth", "write_truth"]


class Outcome(StrEnum):
    """The decision of a careful data manager who sees all headers of the hospital but no picture."""

    TAKE = "take"
    LEAVE = "leave out"
    ASK = "ask a person"


@dataclass(frozen=True)
class Truth:
    """The truth about one file.

    Attributes
    ----------
    path
        The file, relative to the hospital's folder.
    outcome
        The decision that the headers allow.
    person
        The person whose film it is, a number that occurs in no file. Empty for files that show no person.
    examination
        Number of the person's examination in order of time, from 0; -1 for files that show no person.
    side, part, view
        The true content, whether or not the headers allow it to be known: ``L``, ``R`` or ``B``; ``hand``, ``foot`` or
        another part; ``FRONTAL``, ``OBL``, ``LAT`` or another view.
    one_of
        Files with the same name in this attribute show one exposure; any one of them may be taken, the others left out.
    oddity
        Name of the oddity that concerns the file, see `ODDITIES`, or ``none``.
    reason
        Explanation of the outcome.
    style, language
        The header style of the device and its language.
    examinations
        Number of the person's examinations. A study that compares two needs a person's choice if there are more.
    """

    path: str
    outcome: Outcome
    person: str
    examination: int
    side: str = ""
    part: str = ""
    view: str = ""
    one_of: str = ""
    oddity: str = "none"
    reason: str = ""
    style: str = ""
    language: str = ""
    examinations: int = 0


def write_truth(path: Path, truths: list[Truth]) -> None:
    """Write the table as CSV, one row for each file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, [field.name for field in fields(Truth)])
        rows.writeheader()
        rows.writerows(asdict(truth) for truth in truths)

"""The reading tests of a study: the display of each rater, and what it shows. Only managers get them.

A reading stores the protocol, the size of the terminal and the size of a character at each entry. An entry counts as made on
the display of a test if these are the same, see `SAME_SIZE`. Entries of earlier versions have no size: they count if the
protocol is the same, and the resolution about that of the test. Only entries at the joints of the test are compared, because
the pixels per millimetre depend on the width of the joint.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ratui.errors import StoreError
from ratui.reading import DisplayRecord, Reading
from ratui.reading.log import find_origins
from ratui.results.text_table import TextTable, format_count
from ratui.study import Study
from ratui.study.campaign.display_tests import DisplayFacts, DisplayTest, PartResult, load_display_tests

__all__ = [
    "SAME_RESOLUTION",
    "SAME_SIZE",
    "TESTED_JOINTS",
    "DisplayTestSummary",
    "ReadingDisplays",
    "find_last_tests",
    "name_display",
    "summarize_display_tests",
]

TESTED_JOINTS = tuple(f"{kind}{finger}" for kind in ("MCP", "PIP") for finger in range(2, 6))
"""Joints of the test."""
SAME_SIZE = 1.05
"""Largest factor between the columns, and between the rows, of two terminals that count as the same display. Their films
differ by about this factor, and one test tells thresholds apart that differ by a factor of two."""
SAME_RESOLUTION = 4 / 3
"""Largest factor between two resolutions of one display at joints of different width. On terminals of 80 × 24, 120 × 40 and
200 × 60 characters they differ by 1.6 from one to the next."""

_HEADERS = ("rater", "date", "terminal", "display", "greys", "px/mm", "erosion mm (95 %)", "narrowing % (95 %)")
_NOTE = (
    "smallest size recognised in 75 % of the choices; >: not reached on this display; "
    "one-sided: nearly all answers for the same film, so that the test has to be repeated"
)
_READING_NOTE = (
    f"Forced choices between simulated joints: {_NOTE}. Entries made here: share of the entries at MCP and PIP joints "
    "2 to 5 with the same protocol, the same size of a character, and columns and rows of the terminal that differ by 5 % "
    "at most (entries of earlier versions: with the same protocol and about the same pixels per mm); a low share means that "
    "the test does not describe the display of the readings, and has to be repeated there."
)


@dataclass(frozen=True)
class DisplayTestSummary:
    """The reading tests of a study.

    Attributes
    ----------
    tests
        The tests of each rater who has any, the oldest first.
    problems
        Reason why the tests of a rater cannot be read, by rater.
    """

    tests: Mapping[str, Sequence[DisplayTest]]
    problems: Mapping[str, str]

    def to_table(self) -> TextTable:
        """Return the last test of each rater on each display as a table."""
        rows = [_make_row(rater, test) for rater, tests in self.tests.items() for test in find_last_tests(tests)]
        rows += [(rater, problem, *[""] * (len(_HEADERS) - 2)) for rater, problem in self.problems.items()]
        return TextTable("Displays", _HEADERS, rows, text_columns=4, note=_NOTE)

    def to_reading_table(self, displays: Mapping[str, ReadingDisplays]) -> TextTable:
        """Return the table with a column more: the share of each rater's entries that were made on the display.

        `displays` are those of the readings by rater. Tests of other raters are left out.
        """
        rows = [
            (*_make_row(rater, test), displays[rater].format_share(test))
            for rater, tests in self.tests.items()
            if rater in displays
            for test in find_last_tests(tests)
        ]
        return TextTable("Displays", (*_HEADERS, "entries made here"), rows, text_columns=4, note=_READING_NOTE)

    def describe(self, raters: Sequence[str]) -> str:
        """Return how many of `raters` have tested what their display shows."""
        tested = [rater for rater in raters if rater in self.tests]
        count = format_count(sum(len(self.tests[rater]) for rater in tested), "test")
        of = format_count(len(raters), "rater")
        found = f"{count} by {len(tested)} of {of}, see the table of displays" if tested else f"none by {of}"
        damaged = any(rater in self.problems for rater in raters)
        return found + "; the file of a rater is damaged" * damaged

    def to_document(self) -> list[dict[str, Any]]:
        """Return all tests without their trials as plain values for JSON."""
        return [
            {"rater": rater, **test.to_document(), "parts": [_describe_part(part) for part in test.parts]}
            for rater, tests in self.tests.items()
            for test in tests
        ]


def summarize_display_tests(study: Study) -> DisplayTestSummary:
    """Return the reading tests of all raters of `study`; of none if this account does not manage it."""
    tests: dict[str, Sequence[DisplayTest]] = {}
    problems = {}
    for rater in study.config.raters if study.is_manager else ():
        try:
            found = load_display_tests(study.folder, rater)
        except StoreError as error:
            problems[rater] = error.problem
            continue
        if found:
            tests[rater] = found
    return DisplayTestSummary(tests, problems)


@dataclass(frozen=True)
class ReadingDisplays:
    """The displays of a rater's entries at the joints of the test.

    Attributes
    ----------
    entries
        The display of each field whose display is known.
    """

    entries: Sequence[DisplayRecord]

    @classmethod
    def of(cls, readings: Iterable[Reading]) -> ReadingDisplays:
        """Return the displays of `readings`, which are of one rater."""
        return cls([entry for reading in readings for entry in _list_entries(reading)])

    def count_on(self, test: DisplayTest) -> int:
        """Return the number of entries that were made on the display of `test`."""
        return sum(_is_on(entry, test.display) for entry in self.entries)

    def count_without_size(self) -> int:
        """Return the number of entries of earlier versions, which have no size of the terminal."""
        return sum(entry.terminal is None for entry in self.entries)

    def format_share(self, test: DisplayTest) -> str:
        """Return the share of the entries that were made on the display of `test` in percent; a dash without entries."""
        return f"{100 * self.count_on(test) / len(self.entries):.0f} %" if self.entries else "–"


def _is_on(entry: DisplayRecord, display: DisplayFacts) -> bool:
    """Return True if `entry` was made on `display`."""
    if entry.protocol != display.protocol:
        return False
    if entry.terminal is None:
        return _is_near(entry.pixels_per_mm, display.pixels_per_mm, SAME_RESOLUTION)
    columns, rows, *cell = entry.terminal
    return (
        tuple(cell) == display.cell
        and _is_near(columns, display.columns, SAME_SIZE)
        and _is_near(rows, display.rows, SAME_SIZE)
    )


def _is_near(first: float, second: float, factor: float) -> bool:
    return first <= second * factor and second <= first * factor


def _list_entries(reading: Reading) -> list[DisplayRecord]:
    origins = find_origins(reading)
    shown = [origins[field].display for field in reading.values if reading.site(field.site).joint.id in TESTED_JOINTS]
    return [each for each in shown if each is not None]


def find_last_tests(tests: Sequence[DisplayTest]) -> list[DisplayTest]:
    """Return the last of `tests`, the oldest of which comes first, on each display."""
    return list(
        {(test.display.terminal, name_display(test.display), test.display.greys): test for test in tests}.values()
    )


def name_display(display: DisplayFacts) -> str:
    """Return the protocol and the size of `display`, such as ``sixel 120 × 40 of 10 × 20 px``."""
    across, down = display.cell
    return f"{display.protocol} {display.columns} × {display.rows} of {across} × {down} px"


def _make_row(rater: str, test: DisplayTest) -> tuple[object, ...]:
    display = test.display
    return (
        rater,
        test.at[:10],
        display.terminal or "unknown",
        name_display(display),
        display.greys,
        f"{display.pixels_per_mm:.1f}",
        _format_part(test.part("erosion"), 1.0, 2),
        _format_part(test.part("narrowing"), 100.0, 0),
    )


def _format_part(part: PartResult | None, unit: float, digits: int) -> str:
    """Return a threshold with its interval in parts of `unit`; its lower limit if it is not reached."""
    if part is None:
        return "–"
    if part.is_one_sided:
        return "one-sided"
    if not part.is_reached:
        return f"> {unit * part.low:.{digits}f}"
    if part.is_below_smallest:
        return f"< {unit * part.smallest:.{digits}f}"
    low = f"{'< ' * (part.low < part.smallest)}{unit * max(part.low, part.smallest):.{digits}f}"
    high = f"{'> ' * (part.high > part.largest)}{unit * min(part.high, part.largest):.{digits}f}"
    return f"{unit * part.threshold:.{digits}f} ({low}–{high})"


def _describe_part(part: PartResult) -> dict[str, Any]:
    return {
        "part": part.part,
        "threshold": part.threshold,
        "low": part.low,
        "high": part.high,
        "largest": part.largest,
        "is_reached": part.is_reached,
        "is_one_sided": part.is_one_sided,
        "contrast": part.contrast,
        "joint_space_mm": part.joint_space,
        "correct": part.correct,
        "trials": len(part.trials),
    }

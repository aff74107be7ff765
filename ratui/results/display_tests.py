"""The reading tests of a study: the display of each rater, and what it shows. Only managers get them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ratui.errors import StoreError
from ratui.results.text_table import TextTable
from ratui.study import Study
from ratui.study.display_tests import DisplayFacts, DisplayTest, PartResult, load_display_tests

__all__ = ["DisplayTestSummary", "summarize_display_tests"]

_HEADERS = ("rater", "date", "terminal", "display", "greys", "px/mm", "erosion mm (95 %)", "narrowing % (95 %)")
_NOTE = "smallest size recognised in 75 % of the choices; >: not reached on this display"


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
        rows = []
        for rater, tests in self.tests.items():
            last = {_name_display(test.display): test for test in tests}
            rows += [_make_row(rater, test) for test in last.values()]
        rows += [(rater, problem, *[""] * (len(_HEADERS) - 2)) for rater, problem in self.problems.items()]
        return TextTable("Displays", _HEADERS, rows, text_columns=4, note=_NOTE)

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


def _name_display(display: DisplayFacts) -> str:
    """Return the protocol and the size of `display`, such as ``sixel 120 × 40 of 10 × 20 px``."""
    across, down = display.cell
    return f"{display.protocol} {display.columns} × {display.rows} of {across} × {down} px"


def _make_row(rater: str, test: DisplayTest) -> tuple[object, ...]:
    display = test.display
    return (
        rater,
        test.at[:10],
        display.terminal or "unknown",
        _name_display(display),
        display.greys,
        f"{display.pixels_per_mm:.1f}",
        _format_part(test.part("erosion"), 1.0, 2),
        _format_part(test.part("narrowing"), 100.0, 0),
    )


def _format_part(part: PartResult | None, unit: float, digits: int) -> str:
    """Return a threshold with its interval in parts of `unit`; its lower limit if it is not reached."""
    if part is None:
        return "–"
    if not part.is_reached:
        return f"> {unit * part.low:.{digits}f}"
    if part.is_below_smallest:
        return f"< {unit * part.smallest:.{digits}f}"
    high = f"> {unit * part.largest:.{digits}f}" if part.high > part.largest else f"{unit * part.high:.{digits}f}"
    return f"{unit * part.threshold:.{digits}f} ({unit * part.low:.{digits}f}–{high})"


def _describe_part(part: PartResult) -> dict[str, Any]:
    return {
        "part": part.part,
        "threshold": part.threshold,
        "low": part.low,
        "high": part.high,
        "largest": part.largest,
        "is_reached": part.is_reached,
        "contrast": part.contrast,
        "joint_space_mm": part.joint_space,
        "correct": part.correct,
        "trials": len(part.trials),
    }

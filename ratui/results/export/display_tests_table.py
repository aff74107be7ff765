"""The tables of reading tests: what each rater could see on each display, and each answer. Only managers get them."""

from __future__ import annotations

from typing import Any

from ratui.results.display_tests import (
    SAME_RESOLUTION,
    SAME_SIZE,
    DisplayTestSummary,
    ReadingDisplays,
    find_last_tests,
    name_display,
)
from ratui.results.export.signed_readings import ExportSource
from ratui.results.export.tables import Column, Table
from ratui.study.campaign.display_tests import DisplayTest, PartResult

__all__ = ["build_display_tests_table", "build_display_trials_table"]

_LEADING = (
    Column("reader", "id", "ID of the rater"),
    Column("test", "integer", "number of the test among those of this rater, from 1, the oldest first"),
    Column("date", "text", "date of the test, ISO 8601, UTC"),
    Column("version", "text", "version of ratui"),
    Column("seed", "id", "seed of the test, which with draw in display_trials.csv determines its films"),
    Column("terminal", "text", "name and version of the terminal, as far as it reported them; empty if it did not"),
    Column("protocol", "text", "how the terminal drew the films, as in scores.csv"),
    Column("columns", "integer", "width of the terminal in characters"),
    Column("rows", "integer", "height of the terminal in characters"),
    Column("cell_width", "integer", "width of a character in pixels"),
    Column("cell_height", "integer", "height of a character in pixels"),
    Column("picture_width", "integer", "width of the picture of one film in its pixels"),
    Column("picture_height", "integer", "height of the picture of one film in its pixels"),
    Column("pixels_per_mm", "number", "pixels of the picture per millimetre of bone, mean over the trials"),
    Column("coarse", "integer", "1 if a trial was displayed too coarsely to judge erosions", "0, 1"),
    Column("greys", "integer", "number of greys"),
    Column("grey_changes", "text", "changes to the grey levels, such as invert; none if as acquired"),
    Column("zoom", "number", "width of the part of the film that was shown, in sides of the joint's box"),
    Column(
        "acknowledged",
        "text",
        "what has confirmed that the films were painted; a multiplexer answers before its terminal has painted",
        "terminal, multiplexer, nothing",
    ),
    Column("latest", "integer", "1 for the last test of the rater on this display", "0, 1"),
    Column(
        "entries",
        "integer",
        "number of fields at MCP2 to MCP5 and PIP2 to PIP5 in the exported readings of this rater whose "
        "display is known",
    ),
    Column(
        "entries_here",
        "integer",
        "number of these fields that were entered on this display: with this protocol, this cell_width and cell_height, and "
        f"terminal_columns and terminal_rows that differ from columns and rows by a factor of {SAME_SIZE:g} at most; fields "
        f"without a size count if their pixels_per_mm differ from those of the test by a factor of {SAME_RESOLUTION:.4g} at "
        "most; if they are few, the test describes another display",
    ),
    Column(
        "entries_without_size",
        "integer",
        "number of the fields in entries that have no size of the terminal: they were entered with an earlier version",
    ),
)
_PARTS = (
    (
        "erosion",
        "erosion_mm",
        "diameter in mm of an erosion",
        "contrast",
        "share of the mineral that the erosions removed",
    ),
    (
        "narrowing",
        "narrowing",
        "share of a joint space that has to be lost",
        "joint_space",
        "mean width in mm of the joint spaces that were not narrowed",
    ),
)
"""Name of each part in a result, the column of its threshold and its meaning, and the same for a further value."""
_SCALES = {"erosion": "ERO", "narrowing": "JSN"}
_PLACES = ("left", "right")
_TRIAL_COLUMNS = (
    Column("reader", "id", "ID of the rater"),
    Column("test", "integer", "number of the test, as in display_tests.csv"),
    Column("display", "text", "how the terminal drew the films, its size in characters, and that of a character"),
    Column("scale", "text", "part of the test: erosions, or joint space narrowing", "ERO, JSN"),
    Column("trial", "integer", "number of the trial in this part of the test, from 1"),
    Column(
        "draw",
        "integer",
        "number of the trial among all that were drawn, from 0, which with seed in display_tests.csv determines its films; "
        "a number is missing if its answer was withdrawn",
    ),
    Column("site", "text", "joint with its side"),
    Column("size", "number", "diameter of the erosion in mm, or share of the joint space that was lost"),
    Column("contrast", "number", "share of the mineral that the erosion removed; empty for JSN"),
    Column("place", "text", "place of the film with the erosion or the narrower space", "left, right"),
    Column("answer", "text", "film that the rater chose", "left, right"),
    Column("correct", "integer", "1 for a correct answer", "0, 1"),
    Column("seconds", "number", "seconds between the display of the films and the key"),
)


def build_display_tests_table(source: ExportSource, found: DisplayTestSummary) -> Table:
    """Return one row per test of the raters of `source`; no rows if none of them took a test."""
    rows = []
    for rater in source.released.raters:
        tests = found.tests.get(rater, ())
        displays = ReadingDisplays.of(each[rater] for each in source.released.readings.values() if rater in each)
        last = find_last_tests(tests)
        rows += [
            (source.name(rater), *_make_cells(number, test, test in last, displays))
            for number, test in enumerate(tests, start=1)
        ]
    columns = (*_LEADING, *(column for part in _PARTS for column in _make_part_columns(*part)))
    return Table("display_tests", "one reading test of a rater, on simulated joints", columns, rows)


def build_display_trials_table(source: ExportSource, found: DisplayTestSummary) -> Table:
    """Return one row per answer in the tests of `build_display_tests_table`, in the order of the answers."""
    rows = [
        (
            source.name(rater),
            number,
            name_display(test.display),
            _SCALES[part.part],
            place,
            trial.draw,
            trial.site,
            trial.size,
            part.contrast,
            _PLACES[trial.place],
            _PLACES[trial.answer],
            int(trial.is_correct),
            trial.seconds,
        )
        for rater in source.released.raters
        for number, test in enumerate(found.tests.get(rater, ()), start=1)
        for part in test.parts
        for place, trial in enumerate(part.trials, start=1)
    ]
    return Table("display_trials", "one answer in a reading test", _TRIAL_COLUMNS, rows)


def _make_part_columns(name: str, column: str, meaning: str, value: str, about: str) -> tuple[Column, ...]:
    return (
        Column(column, "number", f"{meaning} to be recognised in 75 % of the choices; empty without this part"),
        Column(f"{column}_low", "number", f"lower limit of the 95 % interval of {column}"),
        Column(f"{column}_high", "number", f"upper limit of the 95 % interval of {column}"),
        Column(
            f"{name}_range",
            "text",
            f"below if {column} is smaller than the smallest size of the test, above if it is larger than the largest one; "
            "inside otherwise",
            "below, inside, above",
        ),
        Column(f"{name}_smallest", "number", "smallest size of the test"),
        Column(f"{name}_largest", "number", "largest size of the test"),
        Column(f"{name}_{value}", "number", about),
        Column(f"{name}_trials", "integer", "number of trials"),
        Column(f"{name}_correct", "integer", "number of correct answers"),
        Column(
            f"{name}_left", "integer", "number of answers for the left film; about half if the rater looked at both"
        ),
        Column(
            f"{name}_one_sided",
            "integer",
            f"1 if there are ten trials or more and at least 85 % of the answers are for the same film: {column} then says "
            "nothing about the display",
            "0, 1",
        ),
        Column(
            f"{name}_catch_trials",
            "integer",
            f"number of easy trials: those with at least twice {column}, of which nearly all are recognised",
        ),
        Column(
            f"{name}_catch_correct", "integer", "number of correct answers in these; fewer if the rater was inattentive"
        ),
    )


def _make_cells(number: int, test: DisplayTest, is_latest: bool, displays: ReadingDisplays) -> tuple[Any, ...]:
    display = test.display
    return (
        number,
        test.at[:10],
        test.version,
        test.seed,
        display.terminal or None,
        display.protocol,
        display.columns,
        display.rows,
        *display.cell,
        *display.picture,
        display.pixels_per_mm,
        int(not display.is_sufficient),
        display.greys,
        ", ".join(display.grey_changes) or "none",
        display.zoom,
        display.acknowledged_by,
        int(is_latest),
        len(displays.entries),
        displays.count_on(test),
        displays.count_without_size(),
        *(cell for name, *_ in _PARTS for cell in _make_part_cells(test.part(name))),
    )


def _make_part_cells(part: PartResult | None) -> tuple[Any, ...]:
    if part is None:
        return (None,) * 13
    easy = part.list_easy_trials()
    return (
        part.threshold,
        part.low,
        part.high,
        "below" if part.is_below_smallest else "inside" if part.is_reached else "above",
        part.smallest,
        part.largest,
        part.contrast if part.joint_space is None else part.joint_space,
        len(part.trials),
        part.correct,
        part.left,
        int(part.is_one_sided),
        len(easy),
        sum(trial.is_correct for trial in easy),
    )

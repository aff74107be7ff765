"""The table of reading tests as it follows from ``display_tests.csv`` and ``scores.csv``, for `benchmarks.recompute`."""

from __future__ import annotations

from benchmarks.recompute_exports import Row
from benchmarks.recompute_tables import Cell, Rows, Sources, cell

__all__ = ["DISPLAYS", "check_entries", "count_tests"]

_JOINTS = {f"{kind}{finger}" for kind in ("MCP", "PIP") for finger in (2, 3, 4, 5)}
_FACTOR = 4 / 3


def _entries(of: Sources, test: Row) -> tuple[int, int]:
    """Return the number of the rater's entries at the joints of the test, and of those on its display."""
    rows = [
        row
        for row in of.exports.scores
        if (row["kind"], row["reader"]) == ("rater", test["reader"]) and row["joint"] in _JOINTS and row["protocol"]
    ]
    tested = float(test["pixels_per_mm"])
    here = [
        row
        for row in rows
        if row["protocol"] == test["protocol"]
        and tested <= float(row["pixels_per_mm"]) * _FACTOR
        and float(row["pixels_per_mm"]) <= tested * _FACTOR
    ]
    return len(rows), len(here)


def check_entries(of: Sources) -> tuple[int, list[str]]:
    """Return the number of compared counts of ``display_tests.csv``, and the differences from ``scores.csv``."""
    wrong = []
    for test in of.exports.display_tests:
        written = int(test["entries"]), int(test["entries_here"])
        if written != _entries(of, test):
            name = f"display_tests.csv: {test['reader']}, test {test['test']}"
            wrong.append(f"{name}: entries {written}, recomputed {_entries(of, test)}")
    return 2 * len(of.exports.display_tests), wrong


def count_tests(of: Sources) -> list[float]:
    """Return the figures of the term in the methods: tests, raters with a test and raters; of no test the raters alone."""
    tests = [test for test in of.exports.display_tests if test["reader"] in of.listed]
    raters = {test["reader"] for test in tests}
    return [len(tests), len(raters), len(of.listed)] if tests else [len(of.listed)]


def displays(of: Sources) -> Rows:
    """Last test of each rater on each display."""
    found: Rows = {}
    last = {}
    for test in of.exports.display_tests:
        names = ("reader", "terminal", "protocol", "columns", "rows", "cell_width", "cell_height", "greys")
        last[tuple(test[name] for name in names)] = test
    for test in last.values():
        size = f"{test['columns']} × {test['rows']} of {test['cell_width']} × {test['cell_height']} px"
        key = test["reader"], test["date"], test["terminal"] or "unknown", f"{test['protocol']} {size}", test["greys"]
        entries, here = _entries(of, test)
        found[key] = [
            cell("#", float(test["pixels_per_mm"])),
            _threshold(test, "erosion", "erosion_mm", 1.0),
            _threshold(test, "narrowing", "narrowing", 100.0),
            cell("# %", 100 * here / entries) if entries else ("–", ()),
        ]
    return found


def _threshold(test: Row, part: str, column: str, unit: float) -> Cell:
    if not test[column]:
        return "–", ()
    left, trials = int(test[f"{part}_left"]), int(test[f"{part}_trials"])
    if trials >= 10 and min(left, trials - left) <= 0.15 * trials:
        return "one-sided", ()
    value, low, high, smallest, largest = (
        unit * float(test[name])
        for name in (column, f"{column}_low", f"{column}_high", f"{part}_smallest", f"{part}_largest")
    )
    if value > largest:
        return cell("> #", low)
    if value < smallest:
        return cell("< #", smallest)
    return cell("# (#–> #)", value, low, largest) if high > largest else cell("# (#–#)", value, low, high)


DISPLAYS = {"Displays": (5, displays)}

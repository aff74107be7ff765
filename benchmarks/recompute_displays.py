"""The table of reading tests as it follows from the exports, for `benchmarks.recompute`.

Counts of entries follow from ``scores.csv``, thresholds and their intervals from the answers in ``display_trials.csv``.
"""

from __future__ import annotations

import math
from itertools import accumulate, product

from benchmarks.recompute_exports import Row
from benchmarks.recompute_tables import Cell, Rows, Sources, cell

__all__ = ["DISPLAYS", "check_entries", "check_thresholds", "count_tests", "estimate_threshold"]

_JOINTS = {f"{kind}{finger}" for kind in ("MCP", "PIP") for finger in (2, 3, 4, 5)}
_FACTOR, _SIZE = 4 / 3, 1.05
_PARTS = {"ERO": ("erosion", "erosion_mm"), "JSN": ("narrowing", "narrowing")}
_STEPS, _BEYOND = 81, 4
_SLOPES = [8 ** (step / 8) for step in range(9)]
_LAPSES = [0.0, 0.02, 0.05]


def _entries(of: Sources, test: Row) -> tuple[int, int, int]:
    """Return the number of the rater's entries at the joints of the test, on its display, and without a size."""
    rows = [
        row
        for row in of.exports.scores
        if (row["kind"], row["reader"]) == ("rater", test["reader"]) and row["joint"] in _JOINTS and row["protocol"]
    ]
    here = [row for row in rows if row["protocol"] == test["protocol"] and _has_size_of(test, row)]
    return len(rows), len(here), sum(not row["terminal_columns"] for row in rows)


def _has_size_of(test: Row, entry: Row) -> bool:
    """Return True if an entry has about the size of the test's display; its pixels per mm count if it has no size."""
    if not entry["terminal_columns"]:
        pairs, factor = [(entry["pixels_per_mm"], test["pixels_per_mm"])], _FACTOR
    elif any(entry[name] != test[name] for name in ("cell_width", "cell_height")):
        return False
    else:
        pairs, factor = [(entry[f"terminal_{name}"], test[name]) for name in ("columns", "rows")], _SIZE
    return all(max(float(a), float(b)) <= factor * min(float(a), float(b)) for a, b in pairs)


def check_entries(of: Sources) -> tuple[int, list[str]]:
    """Return the number of compared counts of ``display_tests.csv``, and the differences from ``scores.csv``."""
    wrong = []
    for test in of.exports.display_tests:
        written = int(test["entries"]), int(test["entries_here"]), int(test["entries_without_size"])
        if written != _entries(of, test):
            name = f"display_tests.csv: {test['reader']}, test {test['test']}"
            wrong.append(f"{name}: entries {written}, recomputed {_entries(of, test)}")
    return 3 * len(of.exports.display_tests), wrong


def estimate_threshold(
    answers: list[tuple[float, bool]], smallest: float, largest: float
) -> tuple[float, float, float]:
    """Return the threshold and its 95 % interval, by the rule in ``docs/report-figures.md``.

    `answers` are the sizes with True for a correct answer, `smallest` and `largest` the limits of the sizes of the test.
    """
    first, last = math.log(smallest / _BEYOND), math.log(largest * _BEYOND)
    grid = [first + (last - first) * step / (_STEPS - 1) for step in range(_STEPS)]
    mass = []
    for threshold in grid:
        total = 0.0
        for slope, lapse in product(_SLOPES, _LAPSES):
            seen = math.log((0.5 - lapse) / (0.25 - lapse))  # so that 75 % are correct at the threshold
            likelihood = 1.0
            for size, is_correct in answers:
                power = min(slope * (math.log(size) - threshold), 50.0)
                correct = 0.5 + (0.5 - lapse) * (1 - math.exp(-seen * math.exp(power)))
                likelihood *= correct if is_correct else 1 - correct
            total += likelihood
        mass.append(total)
    below = [(end - own / 2) / sum(mass) for own, end in zip(mass, accumulate(mass), strict=True)]
    return _quantile(below, grid, 0.5), _quantile(below, grid, 0.025), _quantile(below, grid, 0.975)


def _quantile(below: list[float], grid: list[float], share: float) -> float:
    after = next((place for place, each in enumerate(below) if each >= share), len(grid) - 1)
    if after == 0 or below[after] < share:
        return math.exp(grid[after])
    before = after - 1
    part = (share - below[before]) / (below[after] - below[before])
    return math.exp(grid[before] + part * (grid[after] - grid[before]))


def check_thresholds(tests: list[Row], trials: list[Row]) -> tuple[int, list[str]]:
    """Return the number of figures of ``display_tests.csv`` compared with the answers, and the differences.

    `tests` and `trials` are the rows of ``display_tests.csv`` and ``display_trials.csv``.
    """
    count, wrong = 0, []
    found: dict[tuple[str, str, str], list[Row]] = {}
    for row in trials:
        found.setdefault((row["reader"], row["test"], row["scale"]), []).append(row)
    for test, (scale, (part, column)) in product(tests, _PARTS.items()):
        rows = found.pop((test["reader"], test["test"], scale), [])
        name = f"display_tests.csv: {test['reader']}, test {test['test']}, {part}"
        if not rows or not test[column]:
            wrong += [f"{name}: a part without answers, or answers without a part"] if rows or test[column] else []
            continue
        answers = [(float(row["size"]), row["place"] == row["answer"]) for row in rows]
        left = sum(row["answer"] == "left" for row in rows)
        easy = [is_correct for size, is_correct in answers if size >= 2 * float(test[column])]
        threshold, low, high = estimate_threshold(
            answers, float(test[f"{part}_smallest"]), float(test[f"{part}_largest"])
        )
        expected = {
            column: round(threshold, 4),
            f"{column}_low": round(low, 4),
            f"{column}_high": round(high, 4),
            f"{part}_trials": len(rows),
            f"{part}_correct": sum(is_correct for _, is_correct in answers),
            f"{part}_left": left,
            f"{part}_one_sided": int(len(rows) >= 10 and min(left, len(rows) - left) <= 0.15 * len(rows)),
            f"{part}_catch_trials": len(easy),
            f"{part}_catch_correct": sum(easy),
        }
        for key, value in expected.items():
            count += 1
            if abs(float(test[key]) - value) > 1.1e-4:  # a step of the last digit
                wrong.append(f"{name}: {key} {test[key]}, recomputed {value}")
        wrong += [
            f"{name}: correct of draw {row['draw']}"
            for row, (_, is_correct) in zip(rows, answers, strict=True)
            if row["correct"] != str(int(is_correct))
        ]
    return count, wrong + [f"display_trials.csv: answers of no test: {' '.join(key)}" for key in found]


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
        entries, here, _ = _entries(of, test)
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
    if test[f"{part}_one_sided"] == "1":
        return "one-sided", ()
    value, low, high, smallest, largest = (
        unit * float(test[name])
        for name in (column, f"{column}_low", f"{column}_high", f"{part}_smallest", f"{part}_largest")
    )
    if value > largest:
        return cell("> #", low)
    if value < smallest:
        return cell("< #", smallest)
    limits = f"{'< ' * (low < smallest)}#–{'> ' * (high > largest)}#"
    return cell(f"# ({limits})", value, max(low, smallest), min(high, largest))


DISPLAYS = {"Displays": (5, displays)}

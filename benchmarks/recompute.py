"""Recompute every figure of ratui's report from the exported CSV files alone, and name each difference.

Run ``python -m benchmarks.recompute REPORT.html FOLDER [--settings study.toml] [--predictions FILE.csv] [--r]``;
FOLDER is of ``ratui export --format csv --with-notes``. With the settings of the study, the methods and the versions of the
charter are compared, too, and with the predictions the errors of models. Plots are read back from their SVG.

Nothing here imports ratui: the formulas are the published ones, written from ``docs/report-figures.md``. `--r` computes each
value of these formulas again in R (with the package psych). Figures are compared at the printed precision, and an unknown
table, column, row or paragraph with figures is a difference. The exit code is 1 if there is any.
"""

from __future__ import annotations

import argparse
import re
import sys
from base64 import b64decode
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from benchmarks.recompute_charter import read_settings, version_rows
from benchmarks.recompute_displays import DISPLAYS, check_entries, check_thresholds
from benchmarks.recompute_exports import read_exports
from benchmarks.recompute_formulas import Formulas
from benchmarks.recompute_joint_space import JOINT_SPACE
from benchmarks.recompute_models import model_rows, read_predictions
from benchmarks.recompute_outcome import OUTCOME, check_exports
from benchmarks.recompute_paragraphs import expected_paragraph, expected_term
from benchmarks.recompute_plots import compare_plot
from benchmarks.recompute_tables import TABLES, Cell, Sources

__all__ = ["Comparison", "compare", "compare_report", "print_comparison"]

NOT_RECOMPUTED = {
    "Progress": "readings and measured minutes, also of cases that are not released and of hidden repeats",
    "Cases": "fields and measured minutes of all readings, also of cases that are not released and of hidden repeats",
}
"""Tables that the exports cannot give, with the reason."""
_KNOWN = {
    **TABLES,
    **OUTCOME,
    **JOINT_SPACE,
    **DISPLAYS,
    "Versions of the charter": (1, lambda of: {} if of.settings is None else version_rows(of.settings)),
    "Models against the raters": (2, model_rows),
}
_OF_SETTINGS = ("Versions of the charter", "Deviations from the planned visits")
"""Tables that need the settings of the study."""
_HEADERS = {
    name: tuple(words.split(" | "))
    for name, words in {
        "Status and change": "scale | of | patients | SD | ICC",
        "Quadratic-weighted kappa": "scale | raters | kappa",
        "Limits of agreement (Bland–Altman)": "scale | of | difference | patients | mean | SD | lower limit | upper limit",
        "Smallest detectable change": "scale | of | one rater | mean of",
        "Each rater with themselves": "rater | scale | of | repeated | ICC(2,1) | mean difference | SDC",
        "Drift of each rater": "rater | repeated | mean | lower limit | upper limit | outside | runs",
        "Sites": "site | scale | damaged | pairs | same | within 1 | kappa | apart | change apart | any saw change"
        " | all saw it",
        "Disputes": "case | consensus | widest joints | apart | joints | fields that only some scored",
        "Deviations from the planned visits": "case | visit | deviation | planned days | day | days outside",
        "Final scores": "scale | of | patients | mean (SD) | median | quartiles | range",
        "Progression": "scale | of | patients | over SDC 95 % | over SDC 80 % | below −SDC 95 % | 5 or more"
        " | over 0.5/year | 5/year or more",
        "Fields without a score": "reason",
        "Measured joint spaces": "joint | measured | not reliable | in mm | mean change, mm | SD, mm | graded | correlation",
        "Measured change by graded change": "graded change | joints | mean change, mm | SD, mm",
        "Displays": "rater | date | terminal | display | greys | px/mm | erosion mm (95 %) | narrowing % (95 %)"
        " | entries made here",
        "Versions of the charter": "version | time (UTC) | account | reason | changes",
        "Models against the raters": "model | scale | cases | error of change | “no change” | raters"
        " | where a change was read | “no change” | error of status | raters",
        "Reopened readings and adjudicated joints": "case | by | what | reason, or joints | signed",
    }.items()
}
_PICTURE = "data:image/svg+xml;base64,"
_NUMBER = re.compile(r"(?<![\w.])[−-]?\d+(?:\.\d+)?(?!\w)")


@dataclass
class Comparison:
    """Numbers of compared figures by table, and the differences."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


class _Report(HTMLParser):
    """Collect headings, tables and paragraphs of a report in order: (kind, heading, content)."""

    def __init__(self) -> None:
        super().__init__()
        self.heading = ""
        self.parts: list[tuple[str, str, str | list[list[str]]]] = []
        self.pictures: list[tuple[str, bytes]] = []
        self._picture = b""
        self._text: list[str] | None = None
        self._rows: list[list[str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("h1", "h2", "h3", "p", "td", "th", "dt", "dd", "figcaption", "style"):
            self._text = []
        if tag == "table":
            self._rows = []
        if tag == "tr":
            self._rows.append([])
        source = dict(attrs).get("src") or ""
        if tag == "img" and source.startswith(_PICTURE):
            self._picture = b64decode(source.removeprefix(_PICTURE))

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        words = " ".join("".join(self._text or []).split())
        if tag in ("h1", "h2", "h3"):
            self.heading = words
        elif tag in ("td", "th"):
            self._rows[-1].append(words)
        elif tag == "figcaption":
            self.pictures.append((words, self._picture))
        elif tag in ("p", "dt", "dd"):
            self.parts.append((tag, self.heading, words))
        elif tag == "table":
            self.parts.append(("table", self.heading, self._rows))
        if tag in ("h1", "h2", "h3", "p", "td", "th", "dt", "dd", "figcaption", "style"):
            self._text = None


def compare_report(
    report: Path, folder: Path, settings: Path | None = None, predictions: Path | None = None
) -> list[str]:
    """Return one line for each figure of the `report` that differs from the CSV files in `folder`, or that is not known.

    `settings` is the study's ``study.toml``; without it, the methods are not compared. `predictions` is a table of the
    predictions of models, as `read_predictions` reads it.
    """
    return compare(report, folder, Formulas(), settings, predictions).wrong


def compare(
    report: Path, folder: Path, formulas: Formulas, settings: Path | None = None, predictions: Path | None = None
) -> Comparison:
    """Compare a report with its sources, as `compare_report` does, and count the figures."""
    parsed = _Report()
    parsed.feed(report.read_text(encoding="utf-8"))
    exports = read_exports(folder)
    everything = " ".join(content for kind, _, content in parsed.parts if isinstance(content, str))
    threshold = re.search(r"differ by (\S+) points? or more", everything)
    terms = [content for kind, _, content in parsed.parts if kind in ("dt", "dd") and isinstance(content, str)]
    methods = dict(zip(terms[::2], terms[1::2], strict=True))
    cases = _NUMBER.findall(methods.get("cases", "")) or ["0"]
    limit = float(threshold[1]) if threshold else float("nan")
    only = re.search(r"Results of (.*?) only, without ", everything)
    raters = only[1] if only else methods.get("raters", "").replace(" (left)", "")
    known = read_settings(settings) if settings else None
    predicted = read_predictions(predictions) if predictions else None
    of = Sources(exports, formulas, raters.split(", "), limit, int(cases[0]), known, predicted)
    found = Comparison()
    found.counts["totals.csv and final.csv"], found.wrong = check_exports(of)
    found.counts["display_tests.csv"], wrong = check_entries(of)
    found.wrong += wrong
    found.counts["display_tests.csv from display_trials.csv"], wrong = check_thresholds(
        exports.display_tests, exports.display_trials
    )
    found.wrong += wrong
    for kind, heading, content in parsed.parts:
        if isinstance(content, list):
            _compare_table(of, found, heading, content)
        elif kind != "dt":
            label = terms[terms.index(content) - 1] if kind == "dd" else ""
            _compare_paragraph(of, found, heading, label, content)
    for heading in _KNOWN.keys() - {heading for kind, heading, _ in parsed.parts if kind == "table"}:
        if _KNOWN[heading][1](of):
            found.wrong.append(f"{heading}: the table is missing")
    for caption, picture in parsed.pictures:
        compared = compare_plot(of, caption, picture)
        if compared is None:
            found.wrong.append(f"unknown picture: {caption}")
        else:
            found.counts["plots"] += compared[0]
            found.wrong += [f"{caption} {line}" for line in compared[1]]
    return found


def _compare_table(of: Sources, found: Comparison, heading: str, table: list[list[str]]) -> None:
    if heading in _OF_SETTINGS and of.settings is None:
        found.left_out[f"{heading}: without the settings of the study"] += len(table) - 1
        return
    if heading in NOT_RECOMPUTED:
        found.left_out[heading] += sum(len(_NUMBER.findall(each)) for row in table[1:] for each in row)
        return
    if heading not in _KNOWN:
        found.wrong.append(f"{heading}: unknown table")
        return
    header = table[0]
    if unknown := _check_header(of, heading, header):
        found.wrong.append(f"{heading}: unknown columns: {', '.join(unknown)}")
        return
    names, function = _KNOWN[heading]
    expected = function(of)
    if heading == "Smallest detectable change" and header[1] != "of":  # with a single change, no column names it
        names, expected = 1, {key[:1]: cells for key, cells in expected.items()}
    last: list[str] = [""] * names
    for row in table[1:]:
        last = [new or old for new, old in zip(row[:names], last, strict=True)]
        key = tuple(last)
        cells = expected.pop(key, None)
        if cells is None or len(cells) != len(row) - names:
            found.wrong.append(
                f"{heading}: {' '.join(key)}: {'unknown row' if cells is None else 'other number of columns'}"
            )
            continue
        for name, written, value in zip(header[names:], row[names:], cells, strict=True):
            count, same = compare_cell(written, value)
            found.counts[heading] += count
            if not same:
                found.wrong.append(f"{heading}: {' · '.join(key)}, {name}: {written!r}, recomputed {_show(value)!r}")
    found.wrong.extend(f"{heading}: {' '.join(key)}: row is missing" for key in expected)


def _check_header(of: Sources, heading: str, header: list[str]) -> list[str]:
    known = _HEADERS.get(heading, ())
    if heading == "Sites" and len(of.exports.visits) == 1:
        known = known[:-3]
    if heading == "Totals":
        scales = [f"{scale}, mean (SD)" for scale in of.exports.scales if len(of.exports.scales) > 1]
        known = (
            "rater",
            "of",
            "patients",
            "no total",
            "mean (SD)",
            "median",
            *scales,
            "over 0.5/year",
            "5/year or more",
        )
    if heading == "Fields without a score":
        known = ("reason", *of.exports.visits.values(), "readings")
    if heading == "Smallest detectable change" and of.exports.two_visits:
        known = ("scale", "one rater", "mean of")
    if heading == "Status and change":
        known = (*known[:4], *(("ICC(2,1)", "ICC(3,1)") if of.exports.crossed else ("ICC(1,1)",)))
    if len(header) != len(known):
        return header
    unknown = [name for name, word in zip(header, known, strict=True) if not name.startswith(word)]
    if heading == "Smallest detectable change" and not unknown:
        numbers = _NUMBER.findall(header[-1])
        if len(numbers) != 1 or not _is_near(numbers[0], of.harmonic()):
            return [header[-1]]
    return unknown


def compare_cell(written: str, value: Cell) -> tuple[int, bool]:
    """Return the number of figures of a cell, and whether they are equal at the printed precision.

    A value with four further numbers is a bootstrapped interval: each limit must lie between two of them.
    """
    template, numbers = value
    if not numbers:
        return len(_NUMBER.findall(written)), written == template
    printed = _NUMBER.findall(written)
    if _NUMBER.sub("#", written) != template:
        return len(printed), False
    if template == "# (# to #)" and len(numbers) == 5:
        low, high = (float(each.replace("−", "-")) for each in printed[1:])
        half = 0.6 * 10.0 ** -len(printed[1].partition(".")[2])  # of the last printed digit
        near = numbers[1] - half <= low <= numbers[2] + half and numbers[3] - half <= high <= numbers[4] + half
        return 3, near and _is_near(printed[0], numbers[0])
    if len(printed) != len(numbers):
        return len(printed), False
    return len(printed), all(map(_is_near, printed, numbers))


def _is_near(printed: str, value: float) -> bool:
    decimals = len(printed.partition(".")[2])
    return abs(float(printed.replace("−", "-")) - value) <= 0.5 * 10**-decimals + 1e-7 * max(1, abs(value))


def _show(value: Cell) -> str:
    template, numbers = value
    return f"{template} {', '.join(f'{number:.4f}' for number in numbers)}".strip()


def _compare_paragraph(of: Sources, found: Comparison, heading: str, label: str, words: str) -> None:
    printed = _NUMBER.findall(words)
    term = expected_term(of, label) if heading == "Methods as run" and label else None
    if term is not None:
        found.counts[f"{heading}, text"] += len(printed)
        if words != " ".join(term.split()):
            found.wrong.append(f"{heading}: {label}: {words!r}, recomputed {term!r}")
        return
    if not printed:
        return
    expected = expected_paragraph(of, heading, label, words)
    if expected is None:
        found.wrong.append(f"{heading}: unknown figures: {label} {words!r}")
    elif isinstance(expected, str):
        found.left_out[f"{heading}: {expected}"] += len(printed)
    else:
        found.counts[f"{heading}, text"] += len(printed)
        if len(printed) != len(expected) or not all(map(_is_near, printed, expected)):
            found.wrong.append(f"{heading}: {label} {words!r}, recomputed {expected}")


def print_comparison(
    report: Path,
    folder: Path,
    settings: Path | None = None,
    predictions: Path | None = None,
    *,
    with_r: bool = False,
) -> list[str]:
    """Compare a report with its sources as `compare` does, print the numbers of figures, and return the differences."""
    formulas = Formulas()
    found = compare(report, folder, formulas, settings, predictions)
    for name, count in found.counts.items():
        print(f"{count:6} {name}")
    print(f"{found.counts.total():6} figures compared, {len(found.wrong)} differences")
    for name, count in found.left_out.items():
        print(f"{count:6} not compared: {name}: {NOT_RECOMPUTED.get(name, '')}".rstrip(": "))
    if with_r:
        count, wrong = formulas.check_with_r()
        print(f"{count:6} values computed again in R, {len(wrong)} differences")
        found.wrong += wrong
    return found.wrong


def main() -> None:
    """Compare the report with the exports of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--settings", type=Path, help="study.toml of the study")
    parser.add_argument("--predictions", type=Path, help="CSV file of models' predictions")
    parser.add_argument("--r", action="store_true", help="compute the formulas again in R")
    options = parser.parse_args()
    wrong = print_comparison(options.report, options.folder, options.settings, options.predictions, with_r=options.r)
    print("\n".join(wrong))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()

"""The page of a report: legible in both colour schemes, and on paper."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ratui.results.html import page, table
from ratui.results.model_performance import make_evaluation_table
from ratui.results.progress import measure_progress, render_case_progress
from tests.films import make_study
from tests.tui.readings import store_reading

STYLE = re.search(r"<style>(.*)</style>", page("title", []), re.DOTALL)
assert STYLE is not None
CSS = STYLE[1]
DARK = re.search(r"@media \(prefers-color-scheme: dark\) \{(.*?)\n\}", CSS, re.DOTALL)
PRINT = re.search(r"@media print \{(.*?)\n\}", CSS, re.DOTALL)
assert DARK is not None
assert PRINT is not None


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour, by WCAG 2.2."""
    digits = colour.removeprefix("#")
    digits = "".join(digit * 2 for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def variables(css: str) -> dict[str, str]:
    return dict(re.findall(r"--(\w+): (#\w+)", css))


@pytest.mark.parametrize("css", [CSS.partition("@media")[0], DARK[1], PRINT[1]], ids=["light", "dark", "print"])
def test_texts_are_legible(css: str) -> None:
    colours = variables(css)
    for text in ("ink", "quiet"):
        for ground in ("paper", "band"):
            assert contrast(colours[text], colours[ground]) >= 4.5


def test_captions_of_figures_are_legible_on_their_white_ground_in_the_dark() -> None:
    assert DARK is not None
    ground = re.search(r"figure \{ background: (#\w+)", DARK[1])
    caption = re.search(r"figcaption \{ color: (#\w+)", DARK[1])
    assert ground is not None
    assert caption is not None
    assert contrast(caption[1], ground[1]) >= 4.5
    assert not re.search(r"figcaption[^{]*\{[^}]*color: var\(--quiet\)", CSS), "it would replace the colour above"


def test_pages_have_numbers_and_no_cell_is_cut_off() -> None:
    assert PRINT is not None
    assert "counter(page)" in CSS
    assert re.search(r"td\.n, [^{]*\{ white-space: normal; overflow-wrap: anywhere;", PRINT[1])
    assert "th.short { overflow-wrap: break-word; }" in PRINT[1].partition("overflow-wrap: anywhere;")[2]
    heads = re.findall(r"<th( [^>]*)>", table(["version", "no total", "fields that only some scored", "a" * 10], []))
    assert heads == [' class="short"', ' class="n short"', ' class="n short"', ' class="n"']
    cells = re.findall(r"<td([^>]*)>", table(["a", "b"], [["C-1", "0.85 (0.71 to 0.93)"]]))
    assert cells == [' class="short"', ' class="n"']


def test_the_progress_has_one_row_for_each_case(tmp_path: Path) -> None:
    study = make_study(tmp_path, patients=2)
    store_reading(study, study.cases()[0], rater="anna", signed=True, seconds=90)
    text = render_case_progress(measure_progress(study))
    rows = [re.findall(r"<td[^>]*>([^<]*)", row) for row in re.findall(r"<tr>(.*?)</tr>", text)][1:]
    assert rows == [
        [study.cases()[0], "signed 76/76, 1.5 min", "reading 0/76: 76 fields in 20 joints"],
        [study.cases()[1], *["reading 0/76: 76 fields in 20 joints"] * 2],
    ]


def test_a_value_without_an_interval_has_a_dash(tmp_path: Path) -> None:
    figure = {"name": "Cases", "value": 4, "low": None, "high": None, "unit": "", "baseline": None}
    figure |= {"baseline_name": "", "raters": None}
    (tmp_path / "report.json").write_text(json.dumps({"headline": [figure], "more": [], "cases": 4}))
    assert make_evaluation_table(tmp_path).rows == [["Cases", "4.000", "–", "", ""]]

"""The reading tests in the exports and in the report: what each display shows, and which readings were made there."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.recompute import compare_report
from benchmarks.recompute_displays import check_thresholds
from ratui.practice.psychometrics import compute_probability_correct
from ratui.practice.reading_test import PARTS, ReadingTest
from ratui.reading import DisplayRecord, Field, GradeEntry, TerminalSize, enter, sign
from ratui.results.display_tests import ReadingDisplays, find_last_tests, summarize_display_tests
from ratui.results.export import export
from ratui.results.export.display_tests_table import build_display_tests_table
from ratui.results.export.signed_readings import ExportSource
from ratui.results.export.tables import relink_table
from ratui.results.released import collect_released_readings
from ratui.results.report import render_report
from ratui.results.totals import choose_rule
from ratui.study import Study
from ratui.study.campaign.display_tests import DISPLAY_TESTS, TrialResult, add_display_tests
from tests.results.studies import read_study
from tests.study.test_display_tests import EROSION, NARROWING, TEST

HERE, SHARPER = TEST.display.pixels_per_mm, 2 * TEST.display.pixels_per_mm
ENTRIES = (
    ("L.MCP2", "sixel", SHARPER, TerminalSize(120, 40, 10, 20)),
    ("L.PIP2", "sixel", 1.3 * HERE, None),
    ("L.PIP3", "kitty", HERE, None),
    ("L.PIP4", "sixel", SHARPER, None),
    ("L.IP1", "sixel", HERE, None),  # no joint of the test
)
HOSTILE = (TrialResult(0, 1.0, "=cmd|x", 0, 0, 1.0),)

OTHER_DISPLAYS: dict[str, Any] = {
    "terminal": "kitty(0.40)",
    "protocol": "kitty",
    "rows": 60,
    "cell": (5, 10),
    "greys": 30,
}


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Return a study of two raters, of whom anna took two tests on one display and one, without narrowing, on others."""
    study = read_study(tmp_path, {"anna": {}, "ben": {}}, signed=False)
    for rater in ("anna", "ben"):
        with study.open_reading(rater, study.cases()[0]) as session:
            reading = session.reading
            for site, protocol, pixels, size in ENTRIES if rater == "anna" else ():
                display = DisplayRecord(("a",), protocol, pixels, True, (), 2.0, "terminal", size)
                reading = enter(reading, Field(site, "ERO", 0), GradeEntry(2), display=display)
            session.save(sign(reading, timestamp=datetime(2026, 1, 1, tzinfo=UTC)))
    trials = (*EROSION.trials, TrialResult(3, 1.6, "L.MCP3", 1, 0, 2.0))
    half = replace(TEST.display, protocol="halfcell", columns=80, terminal="=cmd|x")
    wide = replace(EROSION, low=0.1, high=9.0)
    hidden = replace(EROSION, threshold=9.0, low=4.5, high=20.0)
    left = tuple(TrialResult(draw, 0.3, "L.MCP2", draw % 2, 0, 1.5) for draw in range(30))
    tests = (
        replace(TEST, id="1", at="2025-12-02T03:04:05+00:00"),
        replace(TEST, id="2", parts=(replace(EROSION, trials=trials), NARROWING)),
        replace(TEST, id="3", display=half, parts=(hidden,)),
        replace(TEST, id="4", display=replace(half, rows=24), parts=(wide, replace(NARROWING, trials=left))),
    )
    add_display_tests(study, "anna", tests)
    return study


def exported(study: Study, folder: Path, **options: bool) -> list[dict[str, str]]:
    released = collect_released_readings(study)
    export(study, released, folder, ["csv"], choose_rule(released, "observed", study=study), **options)
    path = folder / "display_tests.csv"
    return read_table(path) if path.exists() else []


def report(study: Study) -> str:
    released = collect_released_readings(study)
    rule = choose_rule(released, "observed", study=study)
    return render_report(study, released, rule, today=date(2026, 1, 2), with_plots=False)


def differences(folder: Path) -> list[str]:
    """Return the differences between the report and the exports in `folder`; the thresholds of these tests are invented."""
    wrong = compare_report(folder / "report.html", folder / "out")
    return [line for line in wrong if line.startswith(("Displays", "Methods")) or ": entries" in line]


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def column(rows: Sequence[dict[str, str]], name: str) -> list[str]:
    return [row[name] for row in rows]


def test_the_table_has_each_test_with_its_display_thresholds_and_trials(study: Study, tmp_path: Path) -> None:
    rows = exported(study, tmp_path / "out")
    assert column(rows, "test") == ["1", "2", "3", "4"]
    assert column(rows, "latest") == ["0", "1", "1", "1"]
    assert column(rows, "terminal") == ["xterm(390)", "xterm(390)", "_=cmd|x", "_=cmd|x"]
    row = rows[1]
    expected = {
        "reader": "anna", "date": "2026-01-02", "protocol": "sixel", "columns": "120", "rows": "40", "cell_width": "10",
        "cell_height": "20", "picture_width": "430", "picture_height": "640", "pixels_per_mm": "13.4", "coarse": "0",
        "greys": "256", "grey_changes": "none", "zoom": "1.7", "acknowledged": "terminal", "erosion_mm": "0.8",
        "erosion_mm_low": "0.5", "erosion_mm_high": "1.3", "erosion_range": "inside", "erosion_contrast": "0.6",
        "erosion_trials": "3", "erosion_correct": "1", "erosion_left": "3", "erosion_one_sided": "0",
        "erosion_catch_trials": "2", "erosion_catch_correct": "1", "narrowing": "0.2",
        "narrowing_joint_space": "1.3", "narrowing_trials": "1",
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert (rows[2]["erosion_range"], rows[2]["narrowing"], rows[2]["narrowing_range"]) == ("above", "", "")
    assert column(rows, "narrowing_one_sided") == ["0", "0", "", "1"]
    trials = read_table(tmp_path / "out" / "display_trials.csv")
    described = [(line["table"], line["column"]) for line in read_table(tmp_path / "out" / "dictionary.csv")]
    for name, columns in (("display_tests", row), ("display_trials", trials[0])):
        assert [column for table, column in described if table == name] == list(columns)
    assert Counter((trial["test"], trial["scale"]) for trial in trials) == {
        ("1", "ERO"): 2, ("1", "JSN"): 1, ("2", "ERO"): 3, ("2", "JSN"): 1, ("3", "ERO"): 2, ("4", "ERO"): 2,
        ("4", "JSN"): 30,
    }  # fmt: skip
    assert list(trials[5].values()) == [
        "anna", "2", "sixel 120 × 40 of 10 × 20 px", "ERO", "3", "3", "L.MCP3", "1.6", "0.6", "right", "left", "0", "2.0",
    ]  # fmt: skip


def test_thresholds_and_intervals_follow_from_the_exported_answers(study: Study, tmp_path: Path) -> None:
    rng, tests = np.random.default_rng(3), []
    for number, ability in enumerate((0.9, 0.02, 30.0)):  # the last two are below and above the sizes of the test
        test = ReadingTest(number, [replace(plan, trials=8) for plan in PARTS])
        while (trial := test.trial) is not None:
            is_right = rng.random() < compute_probability_correct(trial.size, ability, 3.0, 0.02)
            test.answer(trial.place if is_right else 1 - trial.place, 1.0)
        tests.append(replace(TEST, id=f"b{number}", parts=test.list_results()))
    add_display_tests(study, "ben", [*tests, replace(TEST, id="=cmd|x", parts=(replace(EROSION, trials=HOSTILE),))])
    rows = [row for row in exported(study, tmp_path / "out") if row["reader"] == "ben"]
    trials = [row for row in read_table(tmp_path / "out" / "display_trials.csv") if row["reader"] == "ben"]
    assert [row["erosion_range"] for row in rows[:3]] == ["inside", "below", "above"]
    assert {row["seed"] for row in rows} == {"_12345"}
    assert trials[-1]["site"] == "_=cmd|x"
    assert check_thresholds(rows[:3], trials[:48]) == (54, [])
    trials[1]["answer"] = {"left": "right", "right": "left"}[trials[1]["answer"]]
    wrong = check_thresholds(rows[:3], trials[:48])[1]
    assert any("erosion_mm_low" in line for line in wrong)
    assert any("correct of draw 1" in line for line in wrong)
    assert len(check_thresholds([], trials)[1]) == 7
    assert len(check_thresholds(rows[:3], [])[1]) == 6


def test_a_test_of_another_display_than_that_of_the_readings_is_known_by_its_entries(
    study: Study, tmp_path: Path
) -> None:
    rows = exported(study, tmp_path / "out")
    assert column(rows, "entries") == ["4", "4", "4", "4"]
    assert column(rows, "entries_here") == ["2", "2", "0", "0"]
    assert column(rows, "entries_without_size") == ["3", "3", "3", "3"]
    shown = DisplayRecord(("a",), "sixel", HERE, True, (), 2.0, "terminal")
    resolutions = [shown._replace(pixels_per_mm=HERE * factor) for factor in (0.74, 0.76, 1.32, 1.34)]
    assert ReadingDisplays(resolutions).count_on(TEST) == 2
    # With a size of the terminal, the resolution does not count.
    sizes = [
        (120, 40, 10, 20),
        (126, 42, 10, 20),
        (127, 40, 10, 20),
        (113, 40, 10, 20),
        (120, 43, 10, 20),
        (120, 40, 9, 20),
    ]
    found = [
        ReadingDisplays([shown._replace(pixels_per_mm=9 * HERE, terminal=TerminalSize(*size))]).count_on(TEST)
        for size in sizes
    ]
    assert found == [1, 1, 0, 0, 0, 0]
    assert ReadingDisplays([]).format_share(TEST) == "–"
    again = [replace(TEST, display=replace(TEST.display, **{name: value})) for name, value in OTHER_DISPLAYS.items()]
    assert find_last_tests([TEST, *again, TEST]) == [TEST, *again]


def test_raters_can_be_numbered_and_the_table_has_no_subjects(study: Study, tmp_path: Path) -> None:
    assert set(column(exported(study, tmp_path / "out", numbered=True), "reader")) == {"READER 1"}
    source = ExportSource(study, collect_released_readings(study))
    table = build_display_tests_table(source, summarize_display_tests(study))
    assert relink_table(table, "study", dict.fromkeys(study.cases(), "P-1")) is table


def test_only_managers_get_the_tests(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Study, "is_manager", False)
    assert exported(study, tmp_path / "out") == []
    assert "display_tests" not in (tmp_path / "out" / "dictionary.csv").read_text()
    page = report(study)
    assert "only managers see them" in page
    assert "xterm(390)" not in page


def test_the_report_has_the_last_test_of_each_display_and_its_figures_follow_from_the_export(
    study: Study, tmp_path: Path
) -> None:
    page = report(study)
    assert "4 tests by 1 of 2 raters" in page
    assert page.count(">2026-01-02</td>") == 3
    assert "2025-12-02" not in page
    for cell in (
        "0.80 (0.50–1.30)",
        "20 (10–40)",
        "&gt; 4.50",
        "0.80 (&lt; 0.25–&gt; 6.00)",
        "50 %",
        "0 %",
        "one-sided",
    ):
        assert f">{cell}</td>" in page, cell
    exported(study, tmp_path / "out")
    (tmp_path / "report.html").write_text(page.replace("=cmd|x", "_=cmd|x"), encoding="utf-8")
    assert differences(tmp_path) == []
    changed = (
        page.replace("0.80 (0.50–1.30)", "0.80 (0.60–1.30)").replace(">50 %<", ">75 %<").replace("4 tests", "5 tests")
    )
    (tmp_path / "report.html").write_text(changed.replace("=cmd|x", "_=cmd|x"), encoding="utf-8")
    assert len(differences(tmp_path)) == 3


def test_a_report_without_tests_says_so(tmp_path: Path) -> None:
    study = read_study(tmp_path, {"anna": {}, "ben": {}})
    assert "none by 2 raters" in report(study)
    assert exported(study, tmp_path / "out") == []


def test_a_damaged_file_is_named_and_no_reason_to_stop(study: Study, tmp_path: Path) -> None:
    for copy in ("", ".bak"):
        (study.path / f"readings/anna/{DISPLAY_TESTS}{copy}").write_text("{")
    assert exported(study, tmp_path / "out") == []
    assert "none by 2 raters; the file of a rater is damaged" in report(study)

"""The reading tests in the output of ``ratui status``, for managers only."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from ratui.cli.main import commands
from ratui.results.display_tests import summarize_display_tests
from ratui.study import Study
from ratui.study.campaign.display_tests import DISPLAY_TESTS, add_display_tests
from tests.study.test_display_tests import EROSION, TEST


@pytest.fixture
def study(tmp_path: Path) -> Study:
    study = Study.create(tmp_path / "study", "fingers", ("anna", "ben"))
    half = replace(TEST.display, protocol="halfcell", columns=80, rows=24, terminal="")
    hidden = replace(EROSION, threshold=9.0, low=4.5, high=20.0)
    add_display_tests(
        study,
        "anna",
        [
            replace(TEST, id="1", at="2025-12-02T03:04:05+00:00", parts=(replace(EROSION, threshold=1.2),)),
            replace(TEST, id="2"),
            replace(TEST, id="3", display=half, parts=(hidden,)),
        ],
    )
    return study


def status(study: Study, *options: str) -> str:
    result = CliRunner().invoke(commands, ["status", str(study.path), *options])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_manager_sees_the_last_test_of_each_display(study: Study) -> None:
    lines = [line for line in status(study).splitlines() if line.startswith("anna") and "×" in line]
    assert [line.split()[1:4] for line in lines] == [
        ["2026-01-02", "xterm(390)", "sixel"],
        ["2026-01-02", "unknown", "halfcell"],
    ]
    assert lines[0].split()[-4:] == ["0.80", "(0.50–1.30)", "20", "(10–40)"]
    assert lines[1].split()[-3:] == [">", "4.50", "–"]


def test_json_has_all_tests_and_no_trials(study: Study) -> None:
    found = json.loads(status(study, "--json"))["display_tests"]
    assert [(each["id"], each["rater"], each["parts"][0]["is_reached"]) for each in found] == [
        ("1", "anna", True),
        ("2", "anna", True),
        ("3", "anna", False),
    ]
    assert found[1]["parts"][0]["trials"] == 2
    assert found[1]["display"]["protocol"] == "sixel"


def test_the_page_has_the_displays_and_a_damaged_file_is_named(study: Study, tmp_path: Path) -> None:
    for copy in ("", ".bak"):
        (study.path / f"readings/anna/{DISPLAY_TESTS}{copy}").write_text("{")
    assert not summarize_display_tests(study).tests
    assert "anna" in summarize_display_tests(study).problems
    status(study, "--html", str(tmp_path / "page.html"))
    assert "Displays" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_the_view_of_a_rater_has_no_tests(study: Study) -> None:
    assert not summarize_display_tests(study.as_rater("anna")).tests


def test_a_study_without_tests_says_nothing_of_displays(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "other", "fingers", ("anna",))
    assert "displays" not in status(study)

"""The charter: read from and written to study.toml, validated, set before and amended after the first reading."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from ratui.cli.main import commands
from ratui.errors import StudyError
from ratui.reading import Field, GradeEntry, enter
from ratui.results.totals import RULES
from ratui.study import Study
from ratui.study.campaign import charter_changes
from ratui.study.campaign.charter import (
    MISSING_RULES,
    Charter,
    PlannedVisit,
    Qualification,
    ReadingWindow,
    charter_from_table,
    charter_to_lines,
)
from ratui.study.campaign.charter_changes import count_readings_by_version, set_charter
from ratui.study.campaign.study_closing import lock_study
from ratui.study.config_files import reseal_settings, write_settings
from ratui.study.study_config import new_event
from tests.films import make_study

TABLE = """
visits = ["baseline", { name = "year 1", day = 365, before = 30, after = 60 }]
windows = [{ opens = 2027-01-10, closes = 2027-02-10 }, { opens = 2027-03-01 }]
block_cases = 20
missing = "observed"
final = "consensus_or_mean"
surgery = "maximum"
adjudication_points = 9
qualification = { required = true, icc_status = 0.8, sdc = 5.0 }
repeats_share = 0.1
"""


def table(text: str) -> dict[str, object]:
    from ratui.bounded_parsing import parse_toml

    return parse_toml(text)


def test_a_charter_is_the_same_after_it_was_written_and_read() -> None:
    made = charter_from_table(table(TABLE), "file")
    assert made.visits == (PlannedVisit("baseline"), PlannedVisit("year 1", 365, 30, 60))
    assert [made.visit_name(number) for number in range(3)] == ["baseline", "year 1", "visit 3"]
    assert made.find_window(1) == ReadingWindow(date(2027, 3, 1), None)
    assert made.qualification == Qualification(True, icc_status=0.8, sdc=5.0)
    lines = charter_to_lines(made)
    assert charter_from_table(table("\n".join(lines))["charter"], "file") == made  # type: ignore[arg-type]
    assert charter_to_lines(Charter()) == []
    assert set(RULES) <= set(MISSING_RULES)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ('missing = "guess"', "charter, missing: it must be one of"),
        ("final = 3", "charter, final: it must be one of mean"),
        ("repeats_share = 0.9", "a number from 0 to 0.5"),
        ("block_cases = -1", "charter, block_cases"),
        ('visits = ["a", "a"]', "with different names"),
        ("visits = [{ name = 'a', day = 9 }, { name = 'b', day = 3 }]", "rising days"),
        ("windows = [{ opens = 2027-02-01, closes = 2027-01-01 }]", "closing after it opens"),
        ("windows = [{}, {}]", "block_cases is 0"),
        ("qualification = { required = true }", "charter, qualification"),
        ("adjudication_model = '../run'", "the name of a run"),
        ("final_score = 1", "the charter has no value final_score"),
    ],
)
def test_a_wrong_value_is_one_error_that_names_it(value: str, problem: str) -> None:
    with pytest.raises(StudyError, match=problem) as error:
        charter_from_table(table(value), "charter.toml")
    assert error.value.location == "charter.toml"
    assert error.value.remedy


def begin(study: Study, *, signed: bool = False) -> None:
    (case,) = study.cases()
    with study.open_reading("anna", case) as session:
        session.save(enter(session.reading, Field("L.MCP2", "ERO", 0), GradeEntry(1), timestamp=datetime.now(UTC)))


def test_the_charter_is_replaced_before_and_amended_after_the_first_reading(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    set_charter(study, table('missing = "carried"'), "protocol 1")
    opened = {**table(TABLE.replace("required = true", "required = false")), "windows": [], "block_cases": 0}
    set_charter(study, opened, "protocol 2")
    study = Study.open(study.path)
    assert study.config.stored_format == 4
    assert (study.config.charter.version, study.config.charter.amendments) == (1, ())
    assert study.config.charter.missing == "observed"
    begin(study)
    with pytest.raises(StudyError, match="a reason is needed"):
        set_charter(study, table('missing = "carried"'), " ")
    with pytest.raises(StudyError, match="already"):
        set_charter(study, table('missing = "observed"'), "no change")
    set_charter(study, table('charter.missing = "carried"'), 'statistician\'s "advice"')
    charter = Study.open(study.path).config.charter
    (amendment,) = charter.amendments
    assert (charter.version, charter.missing, charter.final) == (2, "carried", "consensus_or_mean")
    assert amendment.changes == ('missing: "observed" -> "carried"',)
    assert amendment.reason == 'statistician\'s "advice"'
    assert count_readings_by_version(study) == {}  # none is signed


def test_blinding_is_fixed_and_the_number_of_raters_is_not(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    with pytest.raises(StudyError, match="can't be changed"):
        set_charter(study, {"blinded": True}, "later")
    with pytest.raises(StudyError, match="from 0 to 2"):
        set_charter(study, {"raters_per_case": 3}, "too many")
    set_charter(study, {"raters_per_case": 1}, "fewer readings")
    assert study.config.raters_per_case == study.config.charter.raters_per_case == 1


@pytest.mark.parametrize(
    ("visits", "problem"),
    [
        (["1", "2"], "the name 1 is the number of another visit"),
        (["baseline", "Year 1", "year 1"], "differ only in case: Year 1"),
        (["baseline", {"name": "year 1", "after": 30}], "year 1 has days before or after, but no planned day"),
    ],
)
def test_no_visit_can_be_taken_for_another_one(tmp_path: Path, visits: list[object], problem: str) -> None:
    study = make_study(tmp_path)
    with pytest.raises(StudyError, match=problem):
        set_charter(study, {"visits": visits}, "names")
    set_charter(study, {"visits": ["0", "1", "12", "24"]}, "these are clear")
    assert study.config.charter.visit_names == ("0", "1", "12", "24")


def test_a_charter_changed_by_hand_is_not_sealed(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    set_charter(study, table('missing = "carried"'), "protocol")
    file = study.path / "study.toml"
    text = file.read_text()
    file.write_text(text.replace('charter.missing = "carried"', 'charter.missing = "observed"'))
    with pytest.raises(StudyError, match="can't be changed by hand"):
        reseal_settings(study.path)
    file.write_text(text.replace('title = "', 'title = "The '))
    reseal_settings(study.path)
    assert Study.open(study.path).config.charter.missing == "carried"


def test_the_command_prints_one_page_and_sets_the_charter(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    (tmp_path / "charter.toml").write_text(TABLE)
    begin(study)

    def run(*options: str) -> str:
        result = CliRunner().invoke(commands, ["charter", str(study.path), *options])
        assert result.exit_code == 0, result.output
        return result.output

    assert "none was set: these are the defaults" in run()
    assert "version 2" in run("--set", str(tmp_path / "charter.toml"), "--reason", "late")
    page = run()
    assert "blocks of 20 cases" in page
    assert "block 1: from 2027-01-10 until 2027-02-10" in page
    assert 'missing: "" -> "observed"' in page
    assert "<dt>final score</dt>" in run("--html", "-")
    assert '"opens": "2027-01-10"' in run("--json")


def test_a_change_far_in_a_long_value_is_recorded(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    windows = [{"opens": "2027-01-01", "closes": "2027-01-02"} for _ in range(80)]
    begin(study)
    set_charter(study, {"windows": windows, "block_cases": 5}, "first")
    set_charter(study, {"windows": [*windows[:-2], {"opens": "2029-01-01"}, windows[-1]]}, "second")
    (change,) = study.config.charter.history[-1].changes
    assert change.startswith("windows: …")
    assert change.count("2029") == 1
    assert len(change) < 300


def test_of_two_managers_at_once_one_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    path = make_study(tmp_path, regions=False).path
    one, other = Study.open(path), Study.open(path)
    set_charter(one, {"final": "median"}, "one")
    with pytest.raises(StudyError, match="changed meanwhile"):
        set_charter(other, {"missing": "observed"}, "other")
    now = Study.open(path).config.charter
    assert (now.final, now.missing, [each.reason for each in now.history]) == ("median", "", ["one"])


def test_settings_that_could_not_be_read_again_are_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_study(tmp_path, regions=False)
    monkeypatch.setattr(charter_changes, "LARGEST_SETTINGS", 33_000)
    with pytest.raises(StudyError, match="more than 1000 bytes"):
        set_charter(study, {"final": "median"}, "r" * 1000)
    assert Study.open(study.path).config.charter.final == "mean"
    lock_study(study, "r" * 1000)
    assert Study.open(study.path).config.lock


def test_the_limit_is_that_of_reading(tmp_path: Path) -> None:
    study = make_study(tmp_path, regions=False)
    event = new_event("locked", "r" * 1000)
    most = replace(study.config, events=(event,) * (charter_changes.LARGEST_SETTINGS // 1100), stored_format=4)
    write_settings(study.folder, most)
    assert Study.open(study.path).config == most

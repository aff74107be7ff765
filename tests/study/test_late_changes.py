"""Readings that are reopened after all raters of a case have signed, in status and check, and an older consensus."""

from __future__ import annotations

import csv
import json
from datetime import datetime, timedelta
from html import unescape
from pathlib import Path

import pytest
from click.testing import CliRunner

from ratui.cli.main import commands
from ratui.reading import Field, GradeEntry, enter, reopen, sign
from ratui.results.adjudication import Adjudication
from ratui.results.disputes import DisputeLimits, find_disputes
from ratui.results.released import collect_released_readings
from ratui.study import CONSENSUS, Study
from ratui.study.readings.late_changes import changes_after_release, find_changed_fields, find_release
from ratui.study.study_config import StudyEvent
from tests.films import make_study
from tests.tui.readings import AT, store_reading

MINUTE = timedelta(minutes=1)


def test_a_case_is_released_when_all_have_a_signature_at_the_same_time() -> None:
    def turns(*kinds: str) -> list[tuple[str, datetime]]:
        return [(kind, AT + int(number) * MINUTE) for number, kind in (each.split() for each in kinds)]

    anna, bert = turns("1 sign", "2 reopen", "5 sign"), turns("3 sign", "9 reopen")
    assert find_release({"anna": anna, "bert": bert}) == AT + 5 * MINUTE
    assert find_release({"anna": anna, "bert": []}) is None
    assert find_release({}) is None
    joined = StudyEvent("joined", (AT + 7 * MINUTE).isoformat(), "root", rater="cleo")
    found = find_release({"anna": anna, "bert": bert, "cleo": []}, [joined])
    assert found == AT + 5 * MINUTE, "the others could see results before cleo joined"


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Return a study with three cases that both raters have signed; anna has reopened and changed the first one."""
    study = make_study(tmp_path, patients=3)
    for case in study.cases():
        for rater in study.config.raters:
            store_reading(study, case, rater=rater, signed=True)
    change(study, study.cases()[0])
    return study


def change(study: Study, case: str, at: datetime = AT + MINUTE) -> None:
    with study.open_reading("anna", case) as session:
        reading = reopen(session.reading, "looked again", timestamp=at)
        reading = enter(reading, Field("L.MCP2", "ERO", 1), GradeEntry(4), timestamp=at)
        session.save(sign(reading, timestamp=at + MINUTE))


def test_a_reading_that_was_reopened_after_the_release_is_marked(study: Study) -> None:
    found = changes_after_release(study)
    case = study.cases()[0]
    assert found.readings.keys() == {case}
    (late,) = found.readings[case]
    assert (late.rater, late.released_at, late.reopened_at, late.signed_at) == (
        "anna",
        AT,
        AT + MINUTE,
        AT + 2 * MINUTE,
    )
    reading = study.reading("anna", case)
    assert reading is not None
    assert find_changed_fields(reading, AT) == (Field("L.MCP2", "ERO", 1),)
    assert not found.consensus
    assert bool(changes_after_release(Study.open(study.path))), "also from the index that was saved"


def test_a_consensus_is_marked_when_a_rater_reopens_the_case_after_it(study: Study) -> None:
    first, second, _ = study.cases()
    disputes = find_disputes(study, collect_released_readings(study), DisputeLimits(0))
    for case in (first, second):
        adjudication = Adjudication(study, [each for each in disputes if each.case == case])
        store_reading(adjudication, case, rater=CONSENSUS, signed=True)
    assert not changes_after_release(study).consensus.get(second)
    change(study, second)
    assert changes_after_release(study).consensus[second] == ("anna",)


def test_every_export_marks_it(study: Study, tmp_path: Path) -> None:
    first, second, _ = study.cases()
    disputes = find_disputes(study, collect_released_readings(study), DisputeLimits(0))
    store_reading(
        Adjudication(study, [each for each in disputes if each.case == second]), second, rater=CONSENSUS, signed=True
    )
    change(study, second)
    formats = [word for name in ("csv", "adam", "redcap", "mk", "json") for word in ("--format", name)]
    run = CliRunner().invoke(
        commands, ["export", str(study.path), str(tmp_path), *formats, "--with-notes", "--missing", "observed"]
    )
    assert run.exit_code == 0, run.output

    def marks(name: str, column: str, *keys: str) -> set[tuple[str, ...]]:
        with (tmp_path / f"{name}.csv").open() as file:
            return {tuple(row[each] for each in (*keys, column)) for row in csv.DictReader(file) if row[column]}

    of_readings = {(first, "anna", "reading"), (second, "anna", "reading"), (second, "consensus", "consensus")}
    for name in ("scores", "totals", "readings"):
        assert marks(name, "late_change", "case", "reader") == of_readings, name
    assert marks("final", "late_change", "case") == {(first, "reading"), (second, "reading")}
    assert marks("redcap_data", "late_change", "case_id") == {(first, "reading"), (second, "reading")}
    assert {row[0] for row in marks("adam", "LATECHFL", "SUBJID")} == {first, second}
    assert marks("mk", "LATECHFL", "USUBJID") == {(f"{study.config.id}-{case}", "Y") for case in (first, second)}
    document = json.loads((tmp_path / "readings.json").read_text())
    found = {
        (case["case"], each["reader"], each["late_change"])
        for case in document["cases"]
        for each in case["readings"]
        if "late_change" in each
    }
    assert found == of_readings


def test_status_and_check_name_the_reading(study: Study) -> None:
    case = study.cases()[0]
    status = CliRunner().invoke(commands, ["status", str(study.path)]).output
    assert "changed after all raters had signed" in status
    assert f"{case} anna: reopened" in status
    assert '"reopened_after_release"' in CliRunner().invoke(commands, ["status", str(study.path), "--json"]).output
    check = CliRunner().invoke(commands, ["check", str(study.path)])
    assert f"readings/anna/{case}.json: reopened" in check.output
    assert check.exit_code == 0


@pytest.mark.parametrize("command", ["agreement", "adjudicate", "export"])
def test_results_name_the_reading(study: Study, tmp_path: Path, command: str) -> None:
    options = {"adjudicate": ["--list"], "export": [str(tmp_path / "out")]}.get(command, [])
    run = CliRunner().invoke(commands, [command, str(study.path), *options, "--missing", "observed"])
    assert run.exit_code == 0
    reading = "a reading" if command == "adjudicate" else "anna"  # an adjudicator learns no names
    assert f"note: {study.cases()[0]} {reading}: reopened" in run.stderr
    assert command != "adjudicate" or "anna" not in run.output


def test_agreement_disputes_and_report_mark_the_case(study: Study, tmp_path: Path) -> None:
    case = study.cases()[0]
    words = (str(study.path), "--missing", "observed")
    agreement = CliRunner().invoke(commands, ["agreement", *words])
    assert "Late changes: in 1 of these cases a reading was opened again" in agreement.stdout
    document = json.loads(CliRunner().invoke(commands, ["agreement", *words, "--json"]).stdout)
    assert document["late_changes"] == {case: "reading"}
    cases = json.loads(CliRunner().invoke(commands, ["adjudicate", *words, "--json"]).stdout)["cases"]
    assert {(each["case"], each["late_change"]) for each in cases if each["late_change"]} == {(case, "reading")}
    assert {each["compared"] for each in cases} == {"change"}
    listed = CliRunner().invoke(commands, ["adjudicate", *words, "--list", "--threshold", "1"]).stdout
    assert "open; late change: reading" in listed
    report = tmp_path / "report.html"
    done = CliRunner().invoke(commands, ["report", str(study.path), str(report), *words[1:], "--no-plots"])
    assert done.exit_code == 0
    assert "the final scores of 1 of 3 cases contain a reading" in unescape(report.read_text(encoding="utf-8"))

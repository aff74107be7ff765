"""The audit trail: journals, settings, readings, releases and exports in one list, for managers only."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from ratui.cli.main import commands
from ratui.cli.recording import digest_files
from ratui.errors import StudyError
from ratui.reading import Field, GradeEntry, enter, reopen, sign
from ratui.study import Study
from ratui.study.activity import record_activity
from ratui.study.campaign.audit import AuditEntry, list_audit_entries
from ratui.study.campaign.charter_changes import set_charter
from ratui.study.campaign.rater_changes import add_rater
from ratui.study.campaign.study_closing import compare_with_lock, lock_study
from ratui.study.check import check_study
from ratui.study.config_files import write_settings
from tests.films import make_study
from tests.tui.readings import AT, store_reading


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Return a study with one case that both raters have signed, and that anna has reopened, changed and signed again."""
    study = make_study(tmp_path)
    (case,) = study.cases()
    for rater in study.config.raters:
        store_reading(study, case, rater=rater, signed=True)
    with study.open_reading("anna", case) as session:
        reading = reopen(session.reading, "wrong hand", timestamp=AT + timedelta(minutes=1))
        reading = enter(reading, Field("L.MCP2", "ERO", 1), GradeEntry(4), timestamp=AT + timedelta(minutes=2))
        session.save(sign(reading, timestamp=AT + timedelta(minutes=3)))
    return study


def find(entries: list[AuditEntry], action: str) -> list[AuditEntry]:
    return [entry for entry in entries if entry.action == action]


def test_readings_are_listed_with_the_reason_of_their_reopening_and_their_release(study: Study) -> None:
    (case,) = study.cases()
    found = list_audit_entries(study)
    (reopened,) = find(found, "reading reopened")
    assert (reopened.who, reopened.subject, reopened.reason) == ("anna", case, "wrong hand")
    assert [entry.who for entry in find(found, "reading signed")] == ["anna", "bert", "anna"]
    (released,) = find(found, "released")
    assert released.at == AT.isoformat(timespec="seconds")
    assert not [entry for entry in found if "L.MCP2" in entry.detail], "entries are listed on request only"
    changes = [entry for entry in list_audit_entries(study, with_entries=True) if entry.action.endswith(": enter")]
    assert "L.MCP2 ERO visit 2: 0 -> 4" in [entry.detail for entry in changes]
    assert [entry.at for entry in found if entry.at] == sorted(entry.at for entry in found if entry.at)


def test_changes_of_films_regions_and_settings_come_from_the_journals(study: Study) -> None:
    (case,) = study.cases()
    set_charter(study, {"missing": "observed"}, "the plan of 3 May")
    add_rater(study, "cleo", "more readers")
    found = list_audit_entries(study)
    assert find(found, "list of films created")[0].subject == case
    assert find(found, "regions created")[0].subject == case
    (amended,) = find(found, "charter amended")
    assert (amended.detail, amended.reason) == ('missing: "" -> "observed"', "the plan of 3 May")
    assert [(entry.subject, entry.reason) for entry in find(found, "rater joined")] == [("cleo", "more readers")]
    assert len(find(found, "settings changed")) == 2


def test_an_export_is_recorded_with_the_digest_of_its_files(study: Study, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = CliRunner().invoke(commands, ["export", str(study.path), str(out), "--missing", "carried"])
    assert done.exit_code == 0, done.output
    (entry,) = find(list_audit_entries(study), "export")
    assert "2 readings of 1 case" in entry.detail
    assert digest_files(out.iterdir()) in entry.detail
    assert check_study(study.path).is_intact
    lock_study(study, "end")
    CliRunner().invoke(commands, ["report", str(study.path), str(tmp_path / "r.html"), "--no-plots"])
    assert find(list_audit_entries(Study.open(study.path)), "report"), "also of a locked study"
    assert compare_with_lock(Study.open(study.path))[1] == []


def test_an_event_is_part_of_the_chain_and_needs_the_present_format(study: Study) -> None:
    assert record_activity(study, "export", "all")
    (journal,) = (study.path / "journal").glob("*.jsonl")
    journal.write_text(journal.read_text().replace('"detail":"all"', '"detail":"one"'))
    assert any("chain" in fault.problem for fault in check_study(study.path).faults)
    assert find(list_audit_entries(study), "journal damaged")
    config = study.config
    object.__setattr__(config, "stored_format", 3)
    write_settings(study.folder, config)
    assert not record_activity(Study.open(study.path), "export", "all")
    assert check_study(study.path).faults
    report = check_study(study.path, repair=True)
    assert any("converted to format 4" in note for note in report.notes)
    assert record_activity(Study.open(study.path), "export", "all")


def test_only_managers_see_the_audit_trail(study: Study) -> None:
    with pytest.raises(StudyError, match="only managers"):
        list_audit_entries(study.as_rater("anna"))


def test_the_command_filters_and_exports(study: Study, tmp_path: Path) -> None:
    def run(*options: str, code: int = 0) -> str:
        result = CliRunner().invoke(commands, ["audit", str(study.path), *options])
        assert result.exit_code == code, result.output
        return result.output

    assert "reading reopened" in run()
    assert "reason: wrong hand" in run("--who", "anna")
    assert "anna" not in run("--who", "bert")
    assert run("--since", "2099-01-01").splitlines()[-1] == "0 acts"
    result = CliRunner().invoke(commands, ["audit", str(study.path), "--since", "yesterday"])
    assert "is no date" in str(result.exception)
    rows = list(csv.DictReader(io.StringIO(run("--csv", "-", "--case", study.cases()[0]))))
    assert {row["action"] for row in rows} >= {"reading begun", "reading signed", "released"}
    assert '"action": "released"' in run("--json")

"""Raters join a study, leave it and are replaced: their cases, the results, the check and the command."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner

from ratui.cli.main import commands
from ratui.errors import StudyError
from ratui.results.progress import measure_progress
from ratui.results.released import collect_released_readings
from ratui.study import CONSENSUS, Case, FilmRecord, Study
from ratui.study.campaign.rater_changes import add_rater, list_raters, remove_rater, replace_rater, settle_assignments
from ratui.study.campaign.repeats import Repeat
from ratui.study.check import check_study
from tests.films import make_study
from tests.tui.readings import store_reading


def drawn_study(folder: Path, raters: tuple[str, ...], cases: int, each: int) -> Study:
    """Return a blinded study without pixels, whose cases are read by `each` of the raters."""
    study = Study.create(folder / "study", "fingers", raters, blinded=True, raters_per_case=each)
    for number in range(cases):
        films = (FilmRecord("a", 0, "L", "hand", 900, 900), FilmRecord("b", 1, "L", "hand", 900, 900))
        study.save_case(Case(f"C-{number}", films))
    return study


def readers(study: Study) -> dict[str, tuple[str, ...]]:
    return {case: study.raters_of(case) for case in study.cases()}


def test_a_rater_who_leaves_keeps_signed_cases_and_blocks_no_result(tmp_path: Path) -> None:
    study = make_study(tmp_path, patients=3, blinded=True)
    signed, begun, _ = study.cases()
    for case in study.cases():
        store_reading(study, case, rater="anna", signed=True)
    store_reading(study, signed, rater="bert", signed=True)
    store_reading(study, begun, rater="bert", joints=2)
    before = study.positions(signed)
    assert len(collect_released_readings(study).kept_back) == 2
    assert remove_rater(study, "bert", "moved away") == 2
    study = Study.open(study.path)
    assert study.config.departed == ("bert",)
    assert readers(study) == {signed: ("anna", "bert"), begun: ("anna",), study.cases()[2]: ("anna",)}
    assert study.positions(signed) == before
    released = collect_released_readings(study)
    assert set(released.readings) == {*study.cases()}
    assert set(released.readings[signed]) == {"anna", "bert"}
    with pytest.raises(StudyError, match="bert has left the study"), study.open_reading("bert", signed):
        pass
    report = check_study(study.path)
    assert report.is_intact, report.faults
    assert any("the rater bert left on" in note and "moved away" in note for note in report.notes)
    assert any("readings/bert" in note and "does not count" in note for note in report.notes)
    assert measure_progress(study).departed == ("bert",)


def test_a_replacement_reads_what_is_not_signed_or_everything(tmp_path: Path) -> None:
    study = make_study(tmp_path, patients=2)
    signed, other = study.cases()
    store_reading(study, signed, rater="bert", signed=True)
    replace_rater(study, "bert", "cleo", "ill")
    assert readers(study) == {signed: ("anna", "bert"), other: ("anna", "cleo")}
    assert study.config.active_raters == ("anna", "cleo")
    store_reading(study, other, rater="cleo", signed=True)
    replace_rater(study, "cleo", "dora", "wrong hands read", all_cases=True)
    assert readers(study)[other] == ("anna", "dora")
    assert Study.open(study.path).reading("cleo", other) is not None, "the reading is kept"
    assert settle_assignments(study) == 0


def test_with_some_raters_per_case_the_others_share_the_cases_evenly(tmp_path: Path) -> None:
    study = drawn_study(tmp_path, ("anna", "bert", "cleo", "dora"), cases=12, each=2)
    of_anna = [case for case, raters in readers(study).items() if "anna" in raters]
    for case in of_anna[:2]:
        store_reading(study, case, rater="anna", signed=True)
    orders = {case: study.positions(case) for case in study.cases()}
    assert remove_rater(study, "anna", "left the clinic") == len(of_anna) - 2
    found = readers(study)
    assert all(len(raters) == 2 for raters in found.values())
    assert [case for case, raters in found.items() if "anna" in raters] == of_anna[:2]
    counts = Counter(rater for raters in found.values() for rater in raters if rater != "anna")
    assert max(counts.values()) - min(counts.values()) <= 2  # a case is read by two different raters
    kept = {rater: each for rater, each in orders["C-0"].items() if rater in (*found["C-0"], CONSENSUS)}
    assert kept.items() <= study.positions("C-0").items()
    assert replace_rater(study, "bert", "emil", "ill") == counts["bert"]
    found = readers(Study.open(study.path))
    assert Counter(rater for raters in found.values() for rater in raters)["emil"] == counts["bert"]
    assert all(len(raters) == 2 for raters in found.values())


def test_a_repeat_is_read_by_the_raters_of_its_original(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = drawn_study(tmp_path, ("anna", "bert", "cleo", "dora"), cases=8, each=2)
    pairs = {f"C-{number + 4}": f"C-{number}" for number in range(4)}
    for repeat, original in pairs.items():
        study.save_case(study.case(repeat), positions=study.positions(original))
    signed = next(case for case in pairs.values() if "anna" in study.raters_of(case))
    store_reading(study, signed, rater="anna", signed=True)
    repeats = {repeat: Repeat(repeat, original, "", {}) for repeat, original in pairs.items()}
    monkeypatch.setattr("ratui.study.campaign.rater_changes.load_repeats", lambda _: repeats)
    remove_rater(study, "anna", "left")
    for repeat, original in pairs.items():
        expected = tuple(rater for rater in study.raters_of(original) if rater != "anna")
        assert study.raters_of(repeat) == expected
    assert "anna" in study.raters_of(signed)


def test_a_rater_who_is_added_reads_all_cases_or_those_that_lack_one(tmp_path: Path) -> None:
    study = make_study(tmp_path / "all", patients=2)
    assert add_rater(study, "cleo") == 2
    assert [state.stage for state in study.states("cleo")] == ["reading", "reading"]
    study = drawn_study(tmp_path / "some", ("anna", "bert"), cases=2, each=2)
    assert remove_rater(study, "bert", "left") == 2
    assert readers(study)["C-0"] == ("anna",)
    assert add_rater(study, "cleo") == 2
    assert readers(study)["C-0"] == ("anna", "cleo")
    add_rater(study, "bert", "is back")
    assert study.config.active_raters == ("anna", "bert", "cleo")


def test_wrong_changes_are_refused_and_change_nothing(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    before = (study.path / "study.toml").read_bytes()
    with pytest.raises(StudyError, match="a reason is needed"):
        remove_rater(study, "bert", "")
    with pytest.raises(StudyError, match="is a rater of this study already"):
        add_rater(study, "bert")
    with pytest.raises(StudyError, match="adjudicator's name"):
        add_rater(study, "CONSENSUS")
    with pytest.raises(StudyError, match="adjudicator's name"):
        add_rater(study, CONSENSUS)
    with pytest.raises(StudyError, match="cleo is not a rater"):
        replace_rater(study, "cleo", "dora", "ill")
    assert (study.path / "study.toml").read_bytes() == before
    remove_rater(study, "bert", "left")
    with pytest.raises(StudyError, match="the only rater left"):
        remove_rater(study, "anna", "left")


def test_the_command_lists_and_replaces_raters(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    store_reading(study, study.cases()[0], rater="bert", joints=1)

    def run(*options: str, code: int = 0) -> str:
        result = CliRunner().invoke(commands, ["raters", str(study.path), *options])
        assert result.exit_code == code, result.output
        return result.output

    output = run("--replace", "bert", "cleo", "--reason", "ill")
    assert "cleo takes the place of bert in the cases that are not signed: 1 case" in output
    lines = [line.split() for line in run().splitlines()]
    assert ["anna", "reads", "1", "0", "0"] in lines
    assert any(line[:2] == ["bert", "left"] and line[-3:] == ["0", "0", "0"] for line in lines)
    assert '"has_left": true' in run("--json")
    run("--all-cases", code=2)
    assert "bert (left)" in CliRunner().invoke(commands, ["status", str(study.path)]).output
    assert [each.cases for each in list_raters(Study.open(study.path))] == [1, 0, 1]

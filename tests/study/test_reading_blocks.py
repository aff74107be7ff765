"""Blocks of cases, which a manager opens one after the other, and the days on which the charter lets raters read."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from ratui.cli.main import commands
from ratui.errors import StudyError
from ratui.results.released import collect_released_readings
from ratui.study import CONSENSUS, LockedByOther, Study
from ratui.study.campaign.charter_changes import set_charter
from ratui.study.campaign.rater_changes import add_rater, remove_rater
from ratui.study.campaign.reading_blocks import list_blocks, open_blocks
from ratui.study.campaign.repeat_distance import MIN_DISTANCE
from ratui.study.campaign.repeats import Repeat
from ratui.study.check import check_study
from ratui.study.model_results.reading_order import load_reading_order
from ratui.study.readings.reading_permission import check_window
from ratui.study.store import FileLock
from tests.study.test_rater_changes import drawn_study
from tests.tui.readings import store_reading


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Return a blinded study of 10 cases without pixels, which two raters read in blocks of 4."""
    study = drawn_study(tmp_path, ("anna", "bert"), cases=10, each=2)
    set_charter(study, {"block_cases": 4}, "protocol")
    return study


def listed(study: Study, rater: str) -> set[str]:
    view = Study.open(study.path).as_rater(rater)
    found = {state.case for state in view.states(rater)}
    assert found == set(view.cases()) == set(load_reading_order(view))
    return found


def test_a_worklist_has_the_open_blocks_only(study: Study) -> None:
    assert listed(study, "anna") == set()
    assert len(study.states("anna")) == 10, "a manager sees all"
    open_blocks(study)
    first = listed(study, "anna")
    assert len(first) == 4
    closed = next(case for case in study.cases() if case not in first)
    with pytest.raises(StudyError, match="its block is not open yet"), study.open_reading("anna", closed):
        pass
    open_blocks(study)
    assert listed(study, "anna") == first, "the rater has not finished"
    for case in first:
        store_reading(study, case, rater="anna", signed=True)
    found = open_blocks(study)
    assert [(each.rater, each.block, each.cases, each.signed, each.left) for each in found] == [
        ("anna", 2, 8, 4, 2),
        ("bert", 1, 4, 0, 6),
    ]
    assert listed(study, "anna") > first
    problems = {fault.file: fault.problem for fault in check_study(study.path).faults}
    assert {file: problem for file, problem in problems.items() if not file.endswith(".dcm")} == {}


def test_a_case_is_not_released_before_all_its_raters_have_read_it(study: Study) -> None:
    """A rater whose block with the case is not open yet is waited for."""
    open_blocks(study, ("anna",))
    case = next(iter(listed(study, "anna")))
    store_reading(study, case, rater="anna", signed=True)
    assert collect_released_readings(study).kept_back[case] == "not signed by bert"
    assert study.is_open(CONSENSUS, case)


def test_each_rater_has_an_own_order(study: Study) -> None:
    for _ in range(3):
        open_blocks(study, ("anna", "bert"))
    orders = [load_reading_order(study.as_rater(rater)) for rater in ("anna", "bert")]
    assert set(orders[0]) == set(orders[1]) == set(study.cases())
    assert len({*orders, study.cases()}) == 3


def test_blocks_stay_when_the_raters_of_a_study_change(study: Study) -> None:
    open_blocks(study)
    first = listed(study, "anna")
    add_rater(study, "cleo")
    remove_rater(study, "bert", "left")
    assert listed(study, "anna") == first
    assert {each.rater: each.block for each in list_blocks(study)} == {"anna": 1, "cleo": 0}
    with pytest.raises(StudyError, match="or has left"):
        open_blocks(study, ("bert",))


def test_a_repeat_is_in_a_later_block_than_its_original(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    repeats = {f"C-{number + 5}": Repeat(f"C-{number + 5}", f"C-{number}", "", {}) for number in range(5)}
    monkeypatch.setattr("ratui.study.campaign.reading_blocks.load_repeats", lambda _: repeats)
    for _ in range(4):
        open_blocks(study, ("anna",))
    blocks = {case: study.film_list(case).blocks["anna"] for case in study.cases()}
    assert all(blocks[name] > blocks[repeat.original] for name, repeat in repeats.items())


@pytest.mark.parametrize("seed", [18, 21])
def test_a_repeat_is_far_from_its_original_across_the_boundary_of_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    study = drawn_study(tmp_path, ("anna",), cases=40, each=1)
    set_charter(study, {"block_cases": 12}, "protocol")
    draw = random.Random(seed)
    monkeypatch.setattr(random, "SystemRandom", lambda: draw)
    study.config = replace(study.config, id=str(seed))  # each rater's order follows from it
    names = study.cases()
    repeats = {names[20 + number]: Repeat(names[20 + number], names[number], "", {}) for number in range(5)}
    monkeypatch.setattr("ratui.study.campaign.reading_blocks.load_repeats", lambda _: repeats)
    view = study.as_rater("anna")
    read: list[str] = []
    for _ in range(4):
        open_blocks(study, ("anna",))
        read += [case for case in load_reading_order(view) if case not in read]
    assert len(read) == 40
    for name, repeat in repeats.items():
        assert read.index(name) - read.index(repeat.original) >= MIN_DISTANCE


def test_the_times_of_the_files_tell_nothing_of_the_draw(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    save = Study.save_case
    monkeypatch.setattr(
        Study, "save_case", lambda self, case, **all_: (written.append(case.id), save(self, case, **all_))
    )
    open_blocks(study)
    assert len(written) > 3
    assert written == sorted(written)


def test_two_managers_open_no_block_twice(study: Study) -> None:
    with FileLock(study.folder.file("import.lock")), pytest.raises(LockedByOther):
        open_blocks(Study.open(study.path))
    assert listed(study, "anna") == set()


def test_a_block_is_opened_although_its_repeat_is_near(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    set_charter(study, {"block_cases": 9}, "shorter")
    *_, original, name = study.cases()
    monkeypatch.setattr(
        "ratui.study.campaign.reading_blocks.load_repeats", lambda _: {name: Repeat(name, original, "", {})}
    )
    for _ in range(2):
        open_blocks(study, ("anna",))
    assert study.film_list(name).blocks["anna"] == 2


def test_the_charter_limits_the_days(study: Study) -> None:
    windows = [{"opens": "2027-01-10", "closes": "2027-02-10"}, {"opens": "2027-03-01"}]
    set_charter(study, {"windows": windows}, "protocol")
    day = date(2027, 1, 10)
    for today, block in ((day, 1), (day + timedelta(31), 1), (date(2030, 1, 1), 2), (day, 3)):
        check_window(study.config, "C-1", block, is_open=True, today=today)
    for today, block, why in (
        (day - timedelta(1), 1, "from 2027-01-10 on"),
        (day + timedelta(32), 1, "until 2027-02-10"),
        (day, 2, "from 2027-03-01 on"),
    ):
        with pytest.raises(StudyError, match=why):
            check_window(study.config, "C-1", block, is_open=True, today=today)


def test_a_reading_opens_on_these_days_only(study: Study) -> None:
    open_blocks(study)
    case = next(iter(listed(study, "anna")))
    set_charter(study, {"windows": [{"closes": "2020-01-01"}]}, "protocol")
    with pytest.raises(StudyError, match="could be read until 2020-01-01"), study.open_reading("anna", case):
        pass


def test_the_command_lists_and_opens_blocks(study: Study) -> None:
    def run(*options: str) -> str:
        result = CliRunner().invoke(commands, ["blocks", str(study.path), *options])
        assert result.exit_code == 0, result.output
        return result.output

    assert [line.split() for line in run().splitlines()][1] == ["anna", "none", "open", "0", "0", "10"]
    assert [line.split() for line in run("--open", "--rater", "bert").splitlines()][2] == ["bert", "1", "4", "0", "6"]
    assert '"block_cases": 4' in run("--json")
    set_charter(study, {"block_cases": 0}, "protocol")
    assert [line.split() for line in run().splitlines()][1] == ["anna", "no", "blocks", "10", "0", "0"]

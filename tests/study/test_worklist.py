"""The index of the worklist: always equal to the state of every case, and never trusted more than the files."""

from pathlib import Path

import pytest

from ratui.reading import GradeEntry, enter, find_next_open_field
from ratui.study import Study, worklist
from ratui.study.worklist import INDEX
from tests.films import confirm_template, make_study


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return make_study(tmp_path, patients=3, regions=False)


def slow(study: Study, rater: str) -> list[object]:
    return [study.state(rater, case) for case in study.cases()]


def read_one(study: Study, case: str) -> None:
    with study.open_reading("anna", case) as session:
        field = find_next_open_field(session.reading)
        assert field
        session.save(enter(session.reading, field, GradeEntry(0)))


def test_the_index_equals_the_state_of_each_case(study: Study) -> None:
    first, second, _ = study.cases()
    assert list(study.states("anna")) == slow(study, "anna")
    confirm_template(study, first, "anna")
    read_one(study, first)
    confirm_template(study, second, "bert")
    assert list(study.states("anna")) == slow(study, "anna")
    assert [state.stage for state in Study.open(study.path).states("anna")] == ["reading", "reading", "regions"]


def test_only_changed_cases_are_read_again(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *_ = study.cases()
    confirm_template(study, first, "anna")
    read_one(study, first)
    study.states("anna")
    again = Study.open(study.path)
    asked: list[str] = []
    real = Study.state
    monkeypatch.setattr(Study, "state", lambda self, rater, case: asked.append(case) or real(self, rater, case))
    again.states("anna")
    assert asked == []
    read_one(again, first)
    again.states("anna")
    assert asked == [first]


@pytest.mark.parametrize("damage", [b"", b"x", b"\0" * 4000])
def test_a_damaged_index_is_rebuilt(study: Study, damage: bytes) -> None:
    first, *_ = study.cases()
    confirm_template(study, first, "anna")
    read_one(study, first)
    study.states("anna")
    (study.path / "readings" / "anna" / INDEX).write_bytes(damage)
    assert list(Study.open(study.path).states("anna")) == slow(study, "anna")


def test_an_index_of_another_rater_is_ignored(study: Study) -> None:
    first, *_ = study.cases()
    confirm_template(study, first, "anna")
    read_one(study, first)
    study.states("anna")
    (study.path / "readings" / "bert").mkdir()
    index = (study.path / "readings" / "anna" / INDEX).read_bytes()
    (study.path / "readings" / "bert" / INDEX).write_bytes(index)
    assert list(Study.open(study.path).states("bert")) == slow(study, "bert")


def test_one_damaged_case_does_not_hide_the_others(study: Study) -> None:
    first, *_ = study.cases()
    for file in (study.path / "films" / first).glob("films.json*"):
        file.write_bytes(b"{")
    states = study.states("anna")
    assert [state.stage for state in states] == ["unreadable", "regions", "regions"]
    assert "damaged" in states[0].note


def test_a_save_does_not_touch_it(study: Study) -> None:
    first, *_ = study.cases()
    confirm_template(study, first, "anna")
    read_one(study, first)
    study.states("anna")
    index = study.path / "readings" / "anna" / INDEX
    before = index.stat().st_mtime_ns
    read_one(study, first)
    assert index.stat().st_mtime_ns == before


def test_progress_is_reported_while_the_index_is_built(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worklist, "_PROGRESS_STEP", 1)
    reports: list[tuple[int, int]] = []
    study.all_states(progress=lambda done, of: reports.append((done, of)))
    assert reports[0] == (1, 6)
    assert (6, 6) in reports
    assert reports == sorted(reports)
    reports.clear()
    for case in study.cases():
        confirm_template(study, case, "anna")
        read_one(study, case)
    study.all_states()
    Study.open(study.path).states("anna", progress=lambda done, of: reports.append((done, of)))
    assert reports == []  # the index contains all of them

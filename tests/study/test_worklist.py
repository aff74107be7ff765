"""The index of the worklist: always equal to the state of every case, and never trusted more than the files."""

import hashlib
import os
from pathlib import Path

import pytest

from ratui.reading import GradeEntry, enter, find_next_open_field
from ratui.study import Study, worklist
from ratui.study.check import check_study
from ratui.study.check.leftovers import OLD_INDEX
from tests.films import confirm_template, make_study


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return make_study(tmp_path, patients=3, regions=False)


def index_of(study: Study, rater: str) -> Path:
    """Return the file of the saved index, which is outside the study."""
    (file,) = Path(os.environ["XDG_CACHE_HOME"], "ratui", "worklists").glob(f"{study.config.id}-*/{rater}.json")
    return file


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


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
    index_of(study, "anna").write_bytes(damage)
    assert list(Study.open(study.path).states("anna")) == slow(study, "anna")


def test_an_index_of_another_rater_is_ignored(study: Study) -> None:
    first, *_ = study.cases()
    confirm_template(study, first, "anna")
    read_one(study, first)
    study.states("anna")
    index = index_of(study, "anna")
    index.with_name("bert.json").write_bytes(index.read_bytes())
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
    index = index_of(study, "anna")
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


def forge(study: Study, index: Path) -> None:
    """Let the index say that anna has signed every case, with a right checksum."""
    about = index.parent.name
    body = index.read_bytes().partition(b"\n")[2]
    for stage in (b'"regions"', b'"reading"', b'"review"'):
        body = body.replace(stage, b'"signed"')
    assert b'"signed"' in body
    prefix = f"{worklist._FORMAT} {about} anna {study.config.scheme}".encode()
    index.write_bytes(hashlib.sha256(prefix + b"\n" + body).hexdigest().encode() + b"\n" + body)


def test_a_forged_index_is_possible_for_its_own_account_only(study: Study) -> None:
    """The account can deceive itself; the next tests show that no other account can."""
    study.states("anna")
    forge(study, index_of(study, "anna"))
    assert {state.stage for state in Study.open(study.path).states("anna")} == {"signed"}


def test_an_index_in_the_study_is_never_read_and_removed_by_a_repair(study: Study) -> None:
    study.states("anna")
    index = index_of(study, "anna")
    forge(study, index)
    planted = study.path / "readings" / "anna" / OLD_INDEX
    planted.parent.mkdir(mode=0o700)
    index.rename(planted)
    assert {state.stage for state in Study.open(study.path).states("anna")} == {"regions"}
    assert check_study(study.path).is_intact
    assert planted.exists()
    report = check_study(study.path, repair=True)
    assert any("earlier version" in note and "removed" in note for note in report.notes)
    assert not planted.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as another account")
@pytest.mark.parametrize("what", ["file", "folder", "writable"])
def test_an_index_that_another_account_could_write_is_not_read(study: Study, what: str) -> None:
    study.states("anna")
    index = index_of(study, "anna")
    forge(study, index)
    if what == "writable":
        index.chmod(0o666)
    else:
        os.chown(index if what == "file" else index.parent, 20_001, 20_001)
    assert {state.stage for state in Study.open(study.path).states("anna")} == {"regions"}


def test_a_link_or_fifo_in_the_cache_is_not_followed(study: Study, tmp_path: Path) -> None:
    study.states("anna")
    index = index_of(study, "anna")
    forge(study, index)
    index.rename(tmp_path / "elsewhere")
    index.symlink_to(tmp_path / "elsewhere")
    assert {state.stage for state in Study.open(study.path).states("anna")} == {"regions"}
    index.unlink()
    os.mkfifo(index)
    assert {state.stage for state in Study.open(study.path).states("anna")} == {"regions"}


def test_indices_of_old_studies_are_removed(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    study.states("anna")
    caches = index_of(study, "anna").parent.parent
    for number in range(60):
        (caches / f"old-{number}").mkdir()
        os.utime(caches / f"old-{number}", (number, number))
    study.path.rename(study.path.with_name("moved"))
    Study.open(study.path.with_name("moved")).states("anna")
    left = {each.name for each in caches.iterdir()}
    assert len(left) == 50
    assert {"old-59", f"old-{60 - 48}"} <= left
    assert f"old-{60 - 49}" not in left


def test_without_a_cache_folder_the_worklist_still_works(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    assert list(study.states("anna")) == slow(study, "anna")

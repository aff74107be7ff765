"""The maintenance commands: their messages and exit codes."""

from pathlib import Path

import pytest

from ratui import files as disk
from ratui.reading import GradeEntry, enter, find_next_open_field
from ratui.study import Study
from tests.cli.test_commands import fails
from tests.films import hospital, make_study
from tests.support.commands import run_in_this_process as ratui
from tests.tui.readings import store_reading

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("read_films_here")]


def reading(study: Study, grade: int = 1) -> Path:
    case = study.cases()[0]
    with study.open_reading("anna", case) as session:
        field = find_next_open_field(session.reading)
        assert field
        session.save(enter(session.reading, field, GradeEntry(grade)))
    return study.reading_path("anna", case)


def test_the_exit_code_of_check_shows_the_result(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    path = reading(study)
    done = ratui("check", study.path)
    assert (done.returncode, "no problem" in done.stdout) == (0, True)
    path.write_bytes(b"{")
    done = ratui("check", study.path)
    assert done.returncode == 3
    assert "can be repaired: restored from its second copy" in done.stdout
    status = ratui("status", study.path)
    assert "reading 1/76" in status.stdout
    assert "--repair" in status.stderr
    assert ratui("check", study.path, "--repair").returncode == 0
    for each in (path, disk.second_copy_path(path)):
        each.write_bytes(b"{")
    done = ratui("check", study.path)
    assert done.returncode == 4
    assert "Restore it from a backup" in done.stdout
    assert ratui("check", study.path, "--repair").returncode == 4
    assert ratui("check", study.path).returncode == 0  # it was set aside; everything else is intact
    assert "no study here" in fails("check", tmp_path)


def test_backup_restore_merge_and_check_against(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    assert ratui("backup", study.path, tmp_path / "b.zip").returncode == 0
    restored = ratui("restore", tmp_path / "b.zip", tmp_path / "site")
    assert "1 case," in restored.stdout
    reading(Study.open(tmp_path / "site"))
    done = ratui("merge", study.path, tmp_path / "site", "--rater", "anna", "--dry-run")
    assert "nothing was written" in done.stdout
    done = ratui("merge", study.path, tmp_path / "site", "--rater", "anna")
    assert (done.returncode, "1 added, 0 continued, 0 conflicts" in done.stdout) == (0, True)
    assert ratui("check", study.path, "--against", tmp_path / "b.zip").returncode == 0
    assert "already" in fails("backup", study.path, tmp_path / "b.zip")
    told = fails("check", study.path, "--against", tmp_path / "site")
    assert "it is a folder, and not an archive. Give the file that ratui backup wrote" in told


def test_merge_conflicts_have_a_code_of_their_own(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    ratui("backup", study.path, tmp_path / "b.zip")
    ratui("restore", tmp_path / "b.zip", tmp_path / "site")
    reading(study, 1)
    reading(Study.open(tmp_path / "site"), 2)
    done = ratui("merge", study.path, tmp_path / "site", "--rater", "anna")
    assert done.returncode == 3
    assert "conflict" in done.stdout


def test_seal_accepts_a_change_by_hand(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    file = study.path / "study.toml"
    file.write_text(file.read_text().replace('"bert"', '"bert", "cleo"'))
    assert "anna, bert" in fails("read", study.path, "--rater", "cleo")
    done = ratui("seal", study.path)
    assert "anna, bert, cleo" in done.stdout
    file.write_text(file.read_text().replace("raters", "ratters"))
    assert "raters" in fails("seal", study.path)


class TestWithdraw:
    def test_a_film_is_withdrawn_and_listed(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        (case,) = study.cases()
        film = study.case(case).films[0].id
        assert "a withdrawal needs a reason" in fails("withdraw", study.path, case, film)
        assert f"it has no film {film}x" in fails("withdraw", study.path, case, f"{film}x", "--reason", "x")
        done = ratui("withdraw", study.path, case, film, "--reason", "another patient")
        assert (done.returncode, f"{case} film {film} withdrawn by" in done.stdout) == (0, True), done.stderr
        listed = ratui("withdraw", study.path)
        assert listed.stdout.splitlines() == done.stdout.splitlines()
        assert "another patient" in listed.stdout
        assert ratui("check", study.path).returncode == 0

    def test_signed_readings_need_the_case_once_more(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        (case,) = study.cases()
        store_reading(study, case, signed=True)
        problem = fails("withdraw", study.path, case, "--reason", "consent")
        assert "the signed readings of anna depend on it" in problem
        assert f"--confirm {case}" in problem
        assert "the signed readings" in fails("withdraw", study.path, case, "--reason", "consent", "--confirm", "C-X")
        done = ratui("withdraw", study.path, case, "--reason", "consent", "--confirm", case, "--erase")
        assert (done.returncode, "until their raters reopen them: anna" in done.stdout) == (0, True), done.stderr
        assert "its films were withdrawn" in ratui("status", study.path).stdout


def test_the_import_names_those_who_have_signed_without_the_new_films(tmp_path: Path) -> None:
    study = make_study(tmp_path, sides="L")
    (case,) = study.cases()
    store_reading(study, case, signed=True)
    done = ratui(
        "import", study.path, hospital(tmp_path / "more", sides="LR"), "--no-propose", "--key", tmp_path / "key.json"
    )
    assert f"{case}: films came after anna signed it; they have to reopen it" in done.stdout, done.stderr
    assert "films changed after the signature: reopen" in ratui("status", study.path).stdout

"""The maintenance commands: their messages and exit codes."""

from pathlib import Path

import pytest

from ratui import files as disk
from ratui.reading import GradeEntry, enter, find_next_open_field
from ratui.study import Study
from tests.cli.test_commands import fails, ratui
from tests.films import make_study

pytestmark = pytest.mark.slow


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

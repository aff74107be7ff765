"""A restored study that is shared with a group: every rater goes on under the own account."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ratui import files as disk
from ratui.errors import StudyError
from ratui.results.released import collect_released_readings
from ratui.study import InProcessConverter, Study, import_films
from ratui.study.check import check_study
from ratui.study.copies.merge import merge
from ratui.study.copies.restore import Restored, restore
from ratui.study.readings.restored import take_over_restored
from ratui.study.store import StudyFolder
from tests.films import confirm_template, hospital
from tests.study.test_moving import read_on
from tests.support.accounts import run_as
from tests.support.commands import run_in_this_process as ratui

GROUP = "daemon"
ANNA, BERT, MANAGER = "games", "news", "backup"
"""Accounts of Debian and of systems made from it. The names are needed, because a backup records them."""


def _is_known(account: str) -> bool:
    try:
        pwd.getpwnam(account)
    except KeyError:
        return False
    return True


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as other accounts"),
    pytest.mark.skipif(not all(map(_is_known, (ANNA, BERT, MANAGER))), reason="needs the accounts of Debian"),
]


def uid(name: str) -> int:
    return pwd.getpwnam(name).pw_uid


def act(account: str, study: Path, code: str) -> str:
    """Run `code` as an account of the group, and return what it prints, or the error."""
    imports = (
        "from ratui.study.accounts import find_account_rater\n"
        "from ratui.study.copies.backup import back_up\nfrom ratui.study.check import check_study\n"
        "from ratui.study.copies.restore import restore\nfrom ratui.results.released import collect_released_readings\n"
        "from tests.study.test_merge import sign_all\nfrom tests.study.test_moving import read_on"
    )
    return run_as(uid(account), study, code, imports=imports, gid=grp.getgrnam(GROUP).gr_gid)[0]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Return a folder of the manager that other accounts can enter."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        os.chown(folder, uid(MANAGER), -1)
        yield Path(folder)


@pytest.fixture
def archive(place: Path, tmp_path: Path) -> Path:
    """Return the backup of a shared study in which anna has signed and bert has begun, each with an own account."""
    study = Study.create(place / "study", "fingers", ["anna", "bert"], group=GROUP, blinded=True)
    import_films(study, [hospital(tmp_path / "h")], key=tmp_path / "key.json", converter=InProcessConverter())
    confirm_template(study, study.cases()[0], "anna")
    for path in [study.path, *study.path.rglob("*")]:
        os.chown(path, uid(MANAGER), -1)
    assert act(ANNA, study.path, "sign_all(study.as_rater('anna'), 'anna')") == ""
    assert act(BERT, study.path, "read_on(study.as_rater('bert'), 'bert')") == ""
    assert act(MANAGER, study.path, f"back_up(study, Path({str(place)!r}) / 'one.backup')") == ""
    return place / "one.backup"


RESTORE = "done = restore(Path({archive!r}), path, group='daemon'); print(dict(done.waiting))"


@pytest.fixture
def restored(archive: Path, place: Path) -> Path:
    """Return the folder of the study that the manager has restored."""
    path = place / "restored"
    assert act(MANAGER, path, RESTORE.format(archive=str(archive))) == str({"anna": ANNA, "bert": BERT})
    return path


def owners(folder: Path) -> set[int]:
    return {path.stat().st_uid for path in [folder, *folder.rglob("*")]}


def test_readings_wait_for_their_raters_and_count_meanwhile(restored: Path, archive: Path) -> None:
    before = Study.open(archive.parent / "study")
    study = Study.open(restored)
    (case,) = study.cases()
    assert list((restored / "readings").iterdir()) == []
    assert owners(restored) == {uid(MANAGER)}
    for rater in ("anna", "bert"):
        assert study.reading(rater, case) == before.reading(rater, case) != None  # noqa: E711
        assert study.displays(rater, case) == before.displays(rater, case)
        assert study.state(rater, case) == before.state(rater, case)
        assert study.states(rater) == before.states(rater)
        assert study.reading_path(rater, case) == restored / "restored" / rater / f"{case}.json"
    assert [len(each) for each in collect_released_readings(study, interim=True).readings.values()] == [1]
    assert check_study(restored).is_intact
    for path in (restored / "restored").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o2750 if path.is_dir() else 0o640), path


def test_each_account_goes_on_with_its_readings(restored: Path) -> None:
    # The manager's repair changes nothing about it.
    assert act(MANAGER, restored, "assert check_study(path, repair=True).is_intact") == ""
    assert act(BERT, restored, "read_on(study.as_rater('bert'), 'bert')") == ""
    study = Study.open(restored)
    (case,) = study.cases()
    assert owners(restored / "readings" / "bert") == {uid(BERT)}
    reading = study.reading("bert", case)
    assert reading is not None
    assert len(reading.log) == 6
    assert not (restored / "readings" / "anna").exists()
    code = (
        "with study.as_rater('anna').open_reading('anna', study.cases()[0]) as session:\n"
        "    print(len(session.reading.log) > 9)"
    )
    assert act(ANNA, restored, code) == "True"
    assert owners(restored / "readings" / "anna") == {uid(ANNA)}
    assert (restored / "readings" / "anna" / f"{case}.json").read_bytes() == (
        restored / "restored" / "anna" / f"{case}.json"
    ).read_bytes()
    report = check_study(restored)
    assert report.is_intact, report.faults
    # The next backup contains each reading once more, and its restore the newer one.
    assert act(MANAGER, restored, "back_up(study, path.parent / 'two.backup')") == ""
    again = restore(restored.parent / "two.backup", restored.parent / "again").study
    assert again.reading("bert", case) == reading
    assert not (again.path / "restored").exists()


def test_another_account_can_not_take_them_over(restored: Path) -> None:
    for account in (ANNA, MANAGER):
        assert f"uses another account, {BERT}" in act(account, restored, "read_on(study.as_rater('bert'), 'bert')")
    assert not (restored / "readings" / "bert").exists()
    # A rater whose readings still wait is a rater: no results of other raters before these have signed.
    assert act(ANNA, restored, "print(find_account_rater(study.folder, ['bert', 'anna']))") == "anna"
    assert "only managers" in act(ANNA, restored, "collect_released_readings(study, interim=True)")


def test_an_account_that_takes_the_folder_first_is_noticed_and_hides_nothing(restored: Path) -> None:
    study = Study.open(restored)
    (case,) = study.cases()
    before = study.reading("bert", case)
    assert act(ANNA, restored, "(path / 'readings' / 'bert').mkdir(0o750)") == ""
    assert Study.open(restored).reading("bert", case) == before
    assert "uses another account" in act(BERT, restored, "read_on(study.as_rater('bert'), 'bert')")
    code = (
        "import ratui.study.readings.reading_permission as access, ratui.study.study as module\n"
        "access.check_account = module.take_over_restored = lambda *_: None\n"
        "module.find_reading = lambda folder, rater, case: folder.file(f'readings/{rater}/{case}.json')\n"
        "read_on(study.as_rater('bert'), 'bert', 5, 1)"
    )
    assert act(ANNA, restored, "read_on(study.as_rater('bert'), 'bert')").startswith(
        f"StudyError: {restored}: bert uses another"
    )
    assert act(ANNA, restored, code) == ""
    found = {fault.file: fault.problem for fault in check_study(restored).faults}
    assert found["readings/bert"] == f"it belongs to the account {ANNA}, but {BERT} reads as bert"
    assert found[f"readings/bert/{case}.json"] == "it does not continue the reading that was restored"


def test_a_damaged_reading_keeps_nobody_from_going_on(restored: Path) -> None:
    (case,) = Study.open(restored).cases()
    path = restored / "restored" / "bert" / f"{case}.json"
    intact = path.read_bytes()
    (restored / "restored" / "bert" / "C-OTHER.json").write_bytes(b"{")
    path.write_bytes(intact[:-9])
    assert act(BERT, restored, "read_on(study.as_rater('bert'), 'bert')") == ""  # from the second copy
    assert [each.name for each in sorted((restored / "readings" / "bert").glob("*.json"))] == [f"{case}.json"]
    reading = Study.open(restored).reading("bert", case)
    assert reading is not None
    assert len(reading.log) == 6


def test_nothing_appears_unless_all_is_copied(restored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each system call of a copy fail in turn: no rater gets a part of the readings."""
    calls = 0

    def failing(original: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **more: object) -> object:
            nonlocal calls
            calls -= 1
            if calls == 0:
                raise OSError(28, "No space left on device")
            return original(*args, **more)

        return call

    for name in ("fsync", "replace", "write", "mkdir"):
        monkeypatch.setattr(disk.os, name, failing(getattr(os, name)))
    failures = 0
    for number in range(1, 100):
        calls = number
        try:
            take_over_restored(StudyFolder(restored), "bert")
        except StudyError:
            failures += 1
            now = [path.name for path in (restored / "readings").iterdir()]
            assert now in ([], ["bert"]), number
            assert now == [] or len(list((restored / "readings" / "bert").glob("*.json"))) == 1
            continue
        break
    calls = 0
    assert failures > 5
    assert (restored / "readings" / "bert").is_dir()


def test_root_can_give_the_files_to_their_owners(archive: Path, place: Path) -> None:
    done = restore(archive, place / "given", group=GROUP, owners=True)
    assert (dict(done.owned), dict(done.waiting)) == ({"anna": ANNA, "bert": BERT}, {})
    assert owners(place / "given" / "readings" / "anna") == {uid(ANNA)}
    assert owners(place / "given" / "films") == {uid(MANAGER)}
    assert owners(place / "given") == {uid(MANAGER), uid(ANNA), uid(BERT)}
    assert act(BERT, place / "given", "read_on(study.as_rater('bert'), 'bert')") == ""
    assert act(MANAGER, place / "given", "assert check_study(path).is_intact") == ""
    assert "only root" in act(
        MANAGER, place / "more", f"restore(Path({str(archive)!r}), path, group='daemon', owners=True)"
    )


def test_a_private_restore_belongs_to_its_owner(archive: Path, place: Path) -> None:
    done: Restored = restore(archive, place / "private")
    study = done.study
    (case,) = study.cases()
    assert (study.config.group, done.group, dict(done.waiting)) == ("", GROUP, {})
    assert study.reading_path("bert", case).parent == place / "private" / "readings" / "bert"
    read_on(study, "bert")
    assert check_study(study.path, repair=True).is_intact
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in (place / "private").rglob("*"))


def test_accounts_of_another_machine(archive: Path, place: Path) -> None:
    with pytest.raises(StudyError, match="no account nobody-has-this"):
        restore(archive, place / "x", group=GROUP, accounts={"anna": "nobody-has-this"})
    with pytest.raises(StudyError, match="--group"):
        restore(archive, place / "x", accounts={"anna": "bin"})
    assert not (place / "x").exists()
    done = restore(archive, place / "x", group=GROUP, accounts={"anna": "bin"})
    assert dict(done.waiting) == {"anna": "bin", "bert": BERT}


def test_the_command_says_what_each_rater_does(archive: Path, place: Path) -> None:
    done = ratui("restore", archive, place / "shared", "--group", GROUP, "--account", "bert=bin")
    assert "anna: the account games opens a case with: ratui read STUDY --rater anna" in done.stdout
    assert "bert: the account bin opens a case with: ratui read STUDY --rater bert" in done.stdout
    done = ratui("restore", archive, place / "given", "--group", GROUP, "--owners")
    assert "anna: the readings belong to the account games" in done.stdout
    done = ratui("restore", archive, place / "private")
    assert "all readings belong to you" in done.stdout
    assert "--group daemon" in done.stdout


def test_a_merge_continues_what_waits(restored: Path, tmp_path: Path, archive: Path) -> None:
    site = restore(archive, tmp_path / "site").study
    read_on(site, "bert", 2)
    study = Study.open(restored)
    assert [item.outcome for item in merge(study, site.path, ["bert"])] == ["continued", "skipped"]
    assert act(BERT, restored, "read_on(study.as_rater('bert'), 'bert', 1)") == ""
    reading = Study.open(restored).reading("bert", study.cases()[0])
    assert reading is not None
    assert len(reading.log) == 6

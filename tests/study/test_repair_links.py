"""Links, special files and swapped folders in a study: the check reports them, and nothing outside is read or changed."""

import grp
import os
import pwd
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from ratui import files
from ratui.errors import StoreError
from ratui.imaging import Box
from ratui.reading import Field, GradeEntry, enter
from ratui.study import Region, RegionSource, Study
from ratui.study.check import CheckReport, check_study
from ratui.study.check.access import close_to_others
from ratui.study.config_files import reseal_settings
from ratui.study.model_results.predictions import save_predictions
from ratui.study.store import StudyFolder
from ratui.study.store.descriptors import DEEPEST
from tests.films import make_study
from tests.study.test_access import ROOT, a_group

pytestmark = pytest.mark.slow

State = dict[str, tuple[int, int, int, bytes | str]]


def fill(study: Study) -> str:
    """Give `study` a reading, proposals and answers; return its case."""
    (case,) = study.cases()
    with study.open_reading("anna", case) as session:
        session.save(enter(session.reading, Field("L.IP1", "ERO", 0), GradeEntry(1)))
    film = study.case(case).films[0].id
    study.save_proposals("m", case, [Region("L.MCP2", film, Box(1.0, 1.0, 9.0, 9.0), RegionSource.MODEL, model="m")])
    save_predictions(study, "run", case, [])
    study.states("anna")
    return case


@pytest.fixture
def study(tmp_path: Path) -> Study:
    study = make_study(tmp_path)
    fill(study)
    return study


@pytest.fixture
def shared(study: Study) -> Study:
    """Return a study of a group, prepared by `fill`."""
    group = a_group()
    settings = study.path / "study.toml"
    settings.write_text(settings.read_text().replace('group = ""', f'group = "{group}"'))
    reseal_settings(study.path)
    close_to_others(study.path, group)
    again = Study.open(study.path)
    assert again.config.group == group
    return again


@pytest.fixture
def home(tmp_path: Path, study: Study) -> Path:
    """Return a private folder outside the study whose files have names on which a check acts."""
    (case,) = study.cases()
    home = tmp_path / "home"
    (home / "answers").mkdir(parents=True)
    names = (".bashrc", "key.json", "films.json", "x.dcm", ".worklist.json", ".old.tmp", f"{case}.json", "order.json")
    for number, name in enumerate((*names, f"{case}.json.bak", "evaluation.json", f"answers/{case}.json")):
        file = home / name
        file.write_bytes(b"a secret of the manager " + name.encode())
        file.chmod(0o600 if number % 2 else 0o666)
        os.utime(file, (0, 0))
    home.chmod(0o700)
    return home


def state(folder: Path, *, read: bool = True) -> State:
    """Describe everything in `folder`: mode, group, content, and with `read` the time of the last read."""
    found: State = {}
    for path in (folder, *sorted(folder.rglob("*"))):
        about = path.lstat()
        atime = about.st_atime_ns if read and not path.is_dir() else 0  # this function reads the folder itself
        content = path.read_bytes() if path.is_file() else ""
        found[str(path.relative_to(folder))] = (stat.S_IMODE(about.st_mode), about.st_gid, atime, content)
        if path.is_file():
            os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    return found


def list_problems(report: CheckReport, name: str) -> list[str]:
    return [fault.problem for fault in report.faults if fault.file == name and not fault.repaired]


FOLDER_LINKS = (
    "readings/mallory",
    "readings/anna",
    "readings",
    "proposals/evil",
    "proposals",
    "models/evil",
    "models/run/answers",
    "models",
    "regions",
    "films/C-EVIL",
    "films/{case}",
    ".snapshot-evil",
)
FILE_LINKS = (
    "readings/anna/x.json",
    "readings/anna/x.json.bak",
    "readings/anna/{case}.json",
    "readings/anna/{case}.json.bak",
    "readings/anna/.worklist.json",
    "readings/anna/{case}.lock",
    "readings/anna/.x.tmp",
    "regions/x.json",
    "regions/{case}.json",
    "proposals/m/{case}.json",
    "models/order.json",
    "models/run/answers/{case}.json",
    "models/run/evaluation.json",
    "films/{case}/x.dcm",
    "films/{case}/films.json",
    "study.toml.bak",
)


def put_link(study: Study, name: str, target: Path) -> str:
    """Put a link to `target` in the place of `name`; the original is moved beside the study."""
    (case,) = study.cases()
    name = name.format(case=case)
    path = study.path / name
    if path.exists():
        path.rename(study.path.parent / "replaced")
    path.symlink_to(target)
    return name


@pytest.mark.parametrize("name", FOLDER_LINKS)
def test_a_link_to_a_folder_is_reported_and_nothing_behind_it_changes(study: Study, home: Path, name: str) -> None:
    before = state(home)
    name = put_link(study, name, home)
    os.utime(study.path / name, (0, 0), follow_symlinks=False)  # as old as leftovers of a killed backup
    for repair in (False, True, True):
        report = check_study(study.path, repair=repair)
        assert any("symbolic link" in what for what in list_problems(report, name))
        assert state(home) == before
    assert (study.path / name).is_symlink()
    assert not report.is_repairable


@pytest.mark.parametrize("group", [False, True], ids=["alone", "shared"])
@pytest.mark.parametrize("name", FILE_LINKS)
def test_a_link_to_a_file_is_reported_and_the_file_stays(
    request: pytest.FixtureRequest, study: Study, home: Path, name: str, group: bool
) -> None:
    study = request.getfixturevalue("shared") if group else study
    before = state(home)
    name = put_link(study, name, home / "key.json")
    for repair in (False, True, True):
        is_link = (study.path / name).is_symlink()
        report = check_study(study.path, repair=repair)
        assert any("symbolic link" in what for what in list_problems(report, name)) == is_link
        assert state(home) == before
    # The index is a cache: a new one takes the link's place.
    assert (study.path / name).is_symlink() == ("worklist" not in name)


def test_a_link_beside_a_damaged_copy_keeps_both_as_they_are(study: Study, home: Path) -> None:
    (case,) = study.cases()
    path = study.reading_path("anna", case)
    path.write_bytes(b"broken")
    copy = files.second_copy_path(path)
    copy.unlink()
    copy.symlink_to(home / "key.json")
    before = state(home)
    check_study(study.path, repair=True)
    assert path.read_bytes() == b"broken"
    assert copy.is_symlink()
    assert state(home) == before


@pytest.mark.parametrize(
    "name",
    [
        "readings/mallory",
        "readings/anna/x.json",
        "readings/anna/{case}.json",
        "readings/anna/{case}.json.bak",
        "readings/anna/.worklist.json",
        "readings/anna/{case}.lock",
        "regions/{case}.json",
        "films/{case}/{film}.dcm",
        "models/order.json",
    ],
)
def test_a_fifo_is_reported_and_hangs_nothing(study: Study, name: str) -> None:
    (case,) = study.cases()
    name = name.format(case=case, film=study.case(case).films[0].id)
    path = study.path / name
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o666)
    reports: list[CheckReport] = []

    def check() -> None:
        reports.extend(check_study(study.path, repair=repair) for repair in (False, True))

    thread = threading.Thread(target=check, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive(), "it hangs"
    assert len(reports) == 2
    for report in reports[:1] if "worklist" in name else reports:
        assert any("neither a file nor a folder" in what for what in list_problems(report, name))
    if "worklist" in name:
        return  # a cache: a new one takes its place
    assert stat.S_ISFIFO(path.lstat().st_mode)
    assert stat.S_IMODE(path.lstat().st_mode) == 0o666 & ~current_umask()


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_special_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    for name in ("fifo", "folder"):
        with pytest.raises(StoreError, match="not a regular file"):
            StudyFolder(tmp_path).read(name)


def test_deeply_nested_folders_end_the_walk_only(study: Study) -> None:
    folder = study.path / "readings" / "anna"
    folder.joinpath(*["d"] * (DEEPEST + 5)).mkdir(parents=True)
    report = check_study(study.path, repair=True)
    assert any("too deep" in fault.problem for fault in report.unrepaired)


def test_another_device_is_not_entered(tmp_path: Path) -> None:
    if not Path("/proc/self").exists() or Path("/proc").stat().st_dev == Path("/").stat().st_dev:
        pytest.skip("no second file system is mounted at a known place")
    with pytest.raises(OSError, match="another file system"), StudyFolder(Path("/")).opened("proc"):
        pass


class TestPermissionsThatARepairSets:
    def test_a_restored_study_is_shared_again_at_once(self, shared: Study) -> None:
        for path in (shared.path, *shared.path.rglob("*")):
            path.chmod(0o700 if path.is_dir() else 0o600)
        report = check_study(shared.path, repair=True)
        assert report.faults
        assert not report.unrepaired
        assert check_study(shared.path).is_intact

    @pytest.mark.parametrize("place", ["regions", "readings/anna", "proposals/m"])
    def test_a_private_file_that_was_moved_into_the_study_stays_private(self, shared: Study, place: str) -> None:
        file = shared.path / place / "key"
        file.write_text("a secret")
        file.chmod(0o600)
        for _ in range(2):
            report = check_study(shared.path, repair=True)
            assert any("can't open it" in what for what in list_problems(report, f"{place}/key"))
            assert not report.is_repairable
        assert stat.S_IMODE(file.stat().st_mode) == 0o600

    def test_a_file_with_too_wide_permissions_is_still_corrected(self, shared: Study) -> None:
        file = shared.path / "regions" / "key"
        file.write_text("")
        os.chown(file, -1, grp.getgrnam(shared.config.group).gr_gid)
        file.chmod(0o666)
        assert not check_study(shared.path, repair=True).unrepaired
        assert stat.S_IMODE(file.stat().st_mode) == 0o660

    def test_a_file_with_another_name_outside_is_not_changed(self, shared: Study, home: Path) -> None:
        outside = home / ".bashrc"
        outside.chmod(0o644)
        os.link(outside, shared.path / "readings" / "anna" / "x")
        os.link(outside, shared.path / "films" / "x")
        before = state(home)
        report = check_study(shared.path, repair=True)
        assert {fault.file for fault in report.unrepaired} == {"films/x", "readings/anna/x"}
        assert state(home) == before

    @pytest.mark.skipif(not ROOT, reason="needs root, to act as another account")
    def test_what_belongs_to_another_account_is_not_changed(self, tmp_path: Path) -> None:
        nobody = pwd.getpwnam("nobody")
        # Other accounts cannot enter pytest's folder.
        with tempfile.TemporaryDirectory() as open_folder:
            folder = Path(open_folder)
            study = make_study(folder)
            folder.chmod(0o755)
            case = fill(study)
            for path in (study.path, *study.path.rglob("*")):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
            own, other = study.reading_path("anna", case), study.path / "regions" / "others"
            other.write_text("")
            for path in (own, other):
                path.chmod(0o644)
            script = (
                # Import everything first: other accounts may not be able to read the interpreter's files.
                "import os, sys\nfrom pathlib import Path\nfrom ratui.study.check import check_study\n"
                f"os.setgroups([]); os.setgid({nobody.pw_gid}); os.setuid({nobody.pw_uid})\n"
                "for fault in check_study(Path(sys.argv[1]), repair=True).faults:\n"
                "    print(fault.file, fault.repaired, fault.advice)\n"
            )
            done = subprocess.run(
                [sys.executable, "-c", script, str(study.path)], capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
            assert f"readings/anna/{case}.json True" in done.stdout
            assert "regions/others False Operation not permitted: ask its owner, user 0" in done.stdout
            assert stat.S_IMODE(own.stat().st_mode) == 0o600
            assert stat.S_IMODE(other.stat().st_mode) == 0o644
            assert other.stat().st_uid == 0

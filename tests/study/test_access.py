"""Access to a study: its owner and its group only, whatever the umask; only a rater writes the rater's readings."""

import grp
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ratui.errors import StudyError
from ratui.files import umask_for
from ratui.reading import Field, GradeEntry, enter
from ratui.study import InProcessConverter, Study, import_films
from ratui.study.check import check_study
from tests.films import confirm_template, hospital
from tests.support.accounts import run_as

pytestmark = pytest.mark.slow

ROOT = os.geteuid() == 0


def a_group() -> str:
    """Return a group to which this account may give a folder, if possible not its primary one."""
    known = {group.gr_gid: group.gr_name for group in grp.getgrall()}
    choices = [1, 2, 3, 100] if ROOT else [*os.getgroups(), os.getgid()]
    return next(known[gid] for gid in choices if gid in known)


def modes(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.rglob("*")]}


def fill(tmp_path: Path, group: str) -> Study:
    study = Study.create(tmp_path / "study", "fingers", ["anna", "bert"], group=group)
    import_films(study, [hospital(tmp_path / "h")], key=tmp_path / "key.json", converter=InProcessConverter())
    (case,) = study.cases()
    confirm_template(study, case, "anna")
    with study.open_reading("anna", case) as session:
        session.save(enter(session.reading, Field("L.IP1", "ERO", 0), GradeEntry(1)))
    study.states("anna")
    return study


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_without_a_group_only_the_owner_has_access(tmp_path: Path, umask: int) -> None:
    old = os.umask(umask)
    try:
        study = fill(tmp_path, "")
    finally:
        os.umask(old)
    for name, mode in modes(study.path).items():
        assert mode == (0o700 if (study.path / name).is_dir() else 0o600), name
    assert check_study(study.path).is_intact


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_with_a_group_each_folder_has_its_permissions(tmp_path: Path, umask: int) -> None:
    group = a_group()
    old = os.umask(umask)
    try:
        study = fill(tmp_path, group)
    finally:
        os.umask(old)
    found = modes(study.path)
    (case,) = study.cases()
    expected = {
        ".": 0o2750,
        "study.toml": 0o640,
        "study.lock": 0o640,
        "gate.lock": 0o640,
        "films": 0o2750,
        f"films/{case}": 0o2750,
        f"films/{case}/films.json": 0o640,
        "regions": 0o2770,
        f"regions/{case}.json": 0o660,
        "readings": 0o3770,
        "readings/anna": 0o2750,
        f"readings/anna/{case}.json": 0o640,
        "private": 0o700,
        "private/visits": 0o700,
        f"private/visits/{case}.json": 0o600,
    }
    assert {name: found[name] for name in expected} == expected
    assert all(mode & 0o007 == 0 for mode in found.values())
    gid = grp.getgrnam(group).gr_gid
    shared = [path for path in study.path.rglob("*") if "private" not in path.parts]
    assert all(path.stat().st_gid == gid for path in [study.path, *shared])
    assert check_study(study.path).is_intact
    assert (tmp_path / "key.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", ["study.lock", "gate.lock"])
def test_a_missing_lock_file_of_a_shared_study_is_reported_and_made(tmp_path: Path, name: str) -> None:
    study = fill(tmp_path, a_group())
    before = modes(study.path)
    (study.path / name).unlink()
    (fault,) = check_study(study.path).faults
    assert (fault.file, fault.problem) == (name, "it is missing: no rater can save")
    (fault,) = check_study(study.path, repair=True).faults
    assert fault.repaired
    assert modes(study.path)[name] == before[name]
    assert check_study(study.path).is_intact


def test_an_unknown_group_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no Unix group"):
        Study.create(tmp_path / "s", "fingers", ["anna"], group="no-such-group")
    assert not (tmp_path / "s").exists()


@pytest.mark.skipif(not ROOT, reason="needs root, to act as other accounts")
class TestOtherAccounts:
    """Let two accounts of the study's group, and one outside it, act on a shared study."""

    def act(self, uid: int, gid: int, study: Study, *codes: str) -> list[str]:
        """Run each of `codes` as the given account; return for each an empty text or the error."""
        imports = "from ratui.study import Region, RegionSource\nfrom ratui.reading import Field, GradeEntry, enter"
        return run_as(uid, study.path, *codes, imports=imports, gid=gid)

    @pytest.fixture
    def shared(self, tmp_path: Path) -> Iterator[Study]:
        # pytest's own folder is closed to other accounts.
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            study = Study.create(Path(folder) / "study", "fingers", ["anna", "bert"], group="daemon")
            import_films(study, [hospital(tmp_path / "h")], key=tmp_path / "key.json", converter=InProcessConverter())
            yield study

    SAVE = (
        "with study.open_reading({rater!r}, case) as s:\n"
        "    s.save(enter(s.reading, Field('L.IP1', 'ERO', 0), GradeEntry(1)))\n"
    )

    def test_raters_write_only_their_own_readings(self, shared: Study) -> None:
        gid = grp.getgrnam("daemon").gr_gid
        assert self.act(20_001, gid, shared, self.SAVE.format(rater="anna")) == [""]
        forbidden = (
            "(study.path / 'readings' / 'anna' / 'x').write_text('')",
            "(study.path / 'readings' / 'anna').rename(study.path / 'readings' / 'gone')",
            "(study.path / 'films' / case / 'films.json').write_text('')",
            "(study.path / 'study.toml').write_text('')",
            "(study.path / 'study.toml').unlink()",
        )
        backup = "from ratui.study.copies.backup import back_up\nback_up(study, Path('/tmp/never-made-by-a-rater.zip'))"
        saved, as_anna, packed, *refused = self.act(
            20_002, gid, shared, self.SAVE.format(rater="bert"), self.SAVE.format(rater="anna"), backup, *forbidden
        )
        assert saved == ""
        # Bert cannot read as Anna, pack her readings, write where she writes, or replace her folder.
        assert "uses another account" in as_anna
        assert "only the study's owner" in packed
        for code, outcome in zip(forbidden, refused, strict=True):
            assert "PermissionError" in outcome, code
        (case,) = shared.cases()
        assert shared.reading("anna", case) is not None
        assert check_study(shared.path).is_intact

    def test_every_rater_can_write_regions(self, shared: Study) -> None:
        gid = grp.getgrnam("daemon").gr_gid
        code = (
            "film = study.case(case).films[{film}].id\n"
            "study.save_regions(case, [Region('L.MCP2', film, (1., 1., 9., 9.), RegionSource.RATER, 'x')], films={{film}})\n"
        )
        for uid, film in ((20_001, 0), (20_002, 1)):
            assert self.act(uid, gid, shared, code.format(film=film)) == [""]
        assert len(shared.regions(shared.cases()[0])) == 2

    def test_accounts_outside_the_group_see_nothing(self, shared: Study) -> None:
        (outcome,) = self.act(20_003, 20_003, shared, "pass")
        assert "ermission" in outcome


def test_files_of_libraries_get_the_access_of_their_folder(tmp_path: Path) -> None:
    shared, private = tmp_path / "shared", tmp_path / "private"
    for folder, mode in ((shared, 0o2770), (private, 0o755)):
        folder.mkdir()
        folder.chmod(mode)
    before = os.umask(0)
    try:
        for folder in (shared, private):
            with umask_for(folder / "run" / "of a model"):
                (folder / "run").mkdir()
                (folder / "run" / "file").write_bytes(b"")
        assert os.umask(0) == 0, "put back"
    finally:
        os.umask(before)
    assert modes(shared)["run"] == 0o2770
    assert modes(shared)["run/file"] == 0o660
    assert modes(private)["run"] == 0o700
    assert modes(private)["run/file"] == 0o600

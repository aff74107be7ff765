"""Merge in a shared study with several Unix accounts: root writes as the rater, others only as themselves."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ratui.study import InProcessConverter, Study, import_films
from ratui.study.copies.merge import merge
from tests.films import confirm_template, hospital, make_study
from tests.study.test_merge import elsewhere, outcomes
from tests.study.test_moving import read_on
from tests.support.accounts import open_folder, run_as

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as other accounts"),
]


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Study]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        study = Study.create(Path(folder) / "study", "fingers", ["anna", "bert"], group="daemon")
        import_films(study, [hospital(tmp_path / "h")], key=tmp_path / "key.json", converter=InProcessConverter())
        confirm_template(study, study.cases()[0], "anna")
        yield study


def act(uid: int, study: Study, code: str) -> str:
    """Run `code` as an account of the group, and return what it prints, or its error."""
    imports = "from ratui.study.copies.merge import merge\nfrom tests.study.test_moving import read_on"
    return run_as(uid, study.path, code, imports=imports)[0]


def test_what_root_merges_belongs_to_the_rater_who_continues(shared: Study, tmp_path: Path) -> None:
    assert act(20_001, shared, "read_on(study, 'anna')") == ""
    site = elsewhere(shared, tmp_path)
    read_on(site, "anna", 2)
    assert outcomes(merge(shared, site.path, ["anna"])) == [("continued", "reading")]
    assert {path.stat().st_uid for path in (shared.path / "readings" / "anna").iterdir()} == {20_001}
    assert act(20_001, shared, "read_on(study, 'anna')") == ""
    reading = shared.reading("anna", shared.cases()[0])
    assert reading is not None
    assert len(reading.log) == 8


def test_an_account_merges_only_its_own_readings(shared: Study, tmp_path: Path) -> None:
    assert act(20_001, shared, "read_on(study, 'anna')") == ""
    site = elsewhere(shared, tmp_path)
    read_on(site, "anna", 2)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        shutil.copytree(site.path, Path(folder) / "copy")
        for path in Path(folder).rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        code = f"print(*(item.outcome for item in merge(study, Path({folder!r}) / 'copy', ['anna'])))"
        assert "belong to the account number 20001" in act(20_002, shared, code)
        assert act(20_001, shared, code) == "continued"


def test_a_rater_who_replaces_the_folder_by_a_link_gains_nothing(shared: Study, tmp_path: Path) -> None:
    """Root merges into a folder of the rater that leads to root's own files."""
    assert act(20_001, shared, "read_on(study, 'anna')") == ""
    site = elsewhere(shared, tmp_path)
    read_on(site, "anna", 2)
    mine = shared.path.parent / "mine"
    mine.mkdir(mode=0o700)
    code = "at = study.path / 'readings'; (at / 'anna').rename(at / 'old'); (at / 'anna').symlink_to({!r})"
    assert act(20_001, shared, code.format(str(mine))) == ""
    assert outcomes(merge(shared, site.path, ["anna"])) == [
        ("conflict", "reading"),
    ]
    assert list(mine.iterdir()) == []


def test_films_that_root_merges_belong_to_the_owner(tmp_path: Path) -> None:
    site = make_study(tmp_path / "there", patients=2)
    with open_folder() as folder:
        shutil.copytree(site.path, folder / "study")
        study = Study.open(folder / "study")
        second = site.cases()[1]
        shutil.rmtree(study.path / "films" / second)
        (study.path / "private" / "visits" / f"{second}.json").unlink(missing_ok=True)
        for path in (study.path, *study.path.rglob("*")):
            os.chown(path, 20_000, 1)
        assert ("added", "film") in outcomes(merge(Study.open(study.path), site.path, ["anna"], films=True))
        assert {path.stat().st_uid for path in study.path.rglob("*")} == {20_000}

"""In a shared study, raters' accounts can read measured joint spaces only where they may know the order of the films."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ratui.results.joint_space_measuring import measure_joint_spaces
from ratui.study import Study
from ratui.study.check import check_study
from ratui.study.joint_spaces.joint_space import (
    JOINT_SPACE,
    PRIVATE_JOINT_SPACE,
    load_joint_space,
)
from ratui.study.joint_spaces.joint_space_access import load_unblinded_joint_space
from tests.support.accounts import as_account
from tests.support.fake_joint_space import fake_joint_space_change
from tests.support.shared_study import ANNA, BERT, MANAGERS_GROUP, OWNER, RATERS_GROUP, make_shared
from tests.tui.readings import store_reading

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as other accounts")
MANAGER = 20_003
GROUPS = {MANAGER: [MANAGERS_GROUP], OWNER: [MANAGERS_GROUP]}


@pytest.fixture
def folder() -> Iterator[Path]:
    # pytest's own folder is closed to other accounts.
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def count(uid: int, path: Path, rater: str = "") -> int | str:
    """Return the number of measurements that an account reads, as `rater` or without a view, or the error."""

    def read() -> int | str:
        os.environ["XDG_CACHE_HOME"] = "/nonexistent"
        study = Study.open(path)
        (case,) = study.cases()
        try:
            if rater:
                view = study.as_rater(rater)
                reading = view.reading(rater, case)
                return 0 if reading is None else len(load_unblinded_joint_space(view, reading))
            return len(load_joint_space(study, case))
        except Exception as error:
            return type(error).__name__

    return as_account(uid, read, gid=RATERS_GROUP, groups=GROUPS.get(uid, []))


def read_file(uid: int, path: Path) -> str:
    def read() -> str:
        try:
            path.read_bytes()
        except OSError as error:
            return type(error).__name__
        return "read"

    return as_account(uid, read, gid=RATERS_GROUP, groups=GROUPS.get(uid, []))


def test_only_managers_of_a_blinded_study_read_them_before_release(folder: Path, tmp_path: Path) -> None:
    study = make_shared(folder / "study", tmp_path / "h", blinded=True)
    (case,) = study.cases()
    measure_joint_spaces(study, fake_joint_space_change, workers=1)
    assert check_study(study.path).faults == ()
    file = study.path / PRIVATE_JOINT_SPACE / f"{case}.json"
    assert file.stat().st_uid == OWNER
    assert [read_file(uid, file) for uid in (OWNER, MANAGER, BERT, ANNA)] == ["read", "read", *["PermissionError"] * 2]
    assert [count(uid, study.path) for uid in (OWNER, MANAGER)] == [10, 10]
    assert [count(uid, study.path) for uid in (BERT, ANNA)] == ["StudyError"] * 2
    assert count(BERT, study.path, "bert") == 0, "bert has signed, but anna has not"
    store_reading(study, case, rater="anna", signed=True)
    for path in [study.path / "readings" / "anna", *(study.path / "readings" / "anna").iterdir()]:
        os.chown(path, ANNA, RATERS_GROUP)
    measure_joint_spaces(study, fake_joint_space_change, workers=1)
    assert count(BERT, study.path, "bert") == 10
    assert check_study(study.path).faults == ()


def test_raters_who_may_know_the_order_read_them_after_signing(folder: Path, tmp_path: Path) -> None:
    study = make_shared(folder / "study", tmp_path / "h", blinded=False)
    (case,) = study.cases()
    measure_joint_spaces(study, fake_joint_space_change, workers=1)
    assert (study.path / JOINT_SPACE / f"{case}.json").stat().st_uid == OWNER
    assert count(BERT, study.path, "bert") == 10
    assert count(ANNA, study.path, "anna") == 0
    assert check_study(study.path).faults == ()

"""The list of a study's files in docs/architecture.md contains every file that ratui writes."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from ratui.study import Study
from ratui.study.evidence import write_root
from ratui.study.joint_spaces.joint_space import publish_joint_space, save_joint_space
from ratui.study.layout import FOLDERS
from ratui.study.model_results.reading_order import save_reading_order
from ratui.study.readings.restored import save_accounts

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
BLOCK = PAGE.partition("## A study on disk")[2].split("```")[1]
PATHS = [path for line in BLOCK.strip().splitlines() for path in re.split(r"\s{2,}", line)[0].split(", ")]


@pytest.fixture
def study(tmp_path: Path) -> Study:
    shutil.copytree(ROOT / "sample_data" / "study", tmp_path / "study")
    study = Study.open(tmp_path / "study")
    write_root(study)
    save_reading_order(study, study.cases(), "scorer")
    save_joint_space(study, study.cases()[0], [])
    publish_joint_space(study, study.cases()[0], [])
    save_accounts(study.folder, {"ada": "root"})
    return study


def is_listed(path: str) -> bool:
    patterns = (re.sub("<[a-z]+>", "[^/]+", re.escape(each)) for each in PATHS)
    return any(re.fullmatch(pattern, path) for pattern in patterns)


def test_every_file_is_listed(study: Study) -> None:
    found = [path.relative_to(study.path).as_posix() for path in study.path.rglob("*") if path.is_file()]
    found = [path for path in found if not path.endswith(".bak") and not Path(path).name.startswith(".")]
    assert {path.split("/")[0] for path in found} >= {"study.toml", "films", "private", "seals", "restored", "models"}
    assert [path for path in found if not is_listed(path)] == []


def test_every_folder_is_listed() -> None:
    assert set(FOLDERS) - {path.split("/")[0] for path in PATHS} == {""}


def test_another_file_is_not_listed() -> None:
    assert is_listed("readings/anna/C-1.json")
    assert not is_listed("readings/anna/.worklist.json/x")
    assert not is_listed("worklist.json")

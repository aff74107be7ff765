"""The Python examples in README, docs and docstrings run, and give what they show."""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if BLOCK.search(page.read_text())]
MODULES = [
    "ratui",
    "ratui.imaging.film",
    "ratui.imaging.orientation",
    "ratui.reading.options",
    "ratui.scheme.parser",
    "ratui.study.campaign.charter",
    "ratui.study.study",
    "trainer.api",
]
"""Modules whose docstrings hold examples. A test below finds a module that is missing here."""


@pytest.fixture(scope="session")
def scorer_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a scorer for one epoch on the signed readings of the sample study; its quality does not matter here."""
    torch = pytest.importorskip("torch")
    from ratui.study import Study
    from trainer.training.loop import TrainingPlan
    from trainer.training.processes import join_processes
    from trainer.training.runs import RunPlan
    from trainer.training.scorer_training import train_scorer

    folder = tmp_path_factory.mktemp("scorer")
    shutil.copytree(ROOT / "sample_data" / "study", folder / "study")
    device = torch.device("cpu")
    with join_processes(device) as group:
        plan = RunPlan(training=TrainingPlan(epochs=1), batch=32)
        train_scorer(Study.open(folder / "study"), folder / "run", plan, device, group)
    return folder / "run"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_examples_of_a_page_run_in_order(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    program = "\n".join(BLOCK.findall(page.read_text(encoding="utf-8")))
    # Pages name the sample study by its place in the repository; what an example writes goes elsewhere.
    shutil.copytree(ROOT / "sample_data", tmp_path / "sample_data")
    if "runs/scorer" in program:
        shutil.copytree(request.getfixturevalue("scorer_run"), tmp_path / "runs" / "scorer")
    environment = {**os.environ, "MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_give_what_they_show(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "sample_data", tmp_path / "sample_data")
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(import_module(name))
    assert result.attempted
    assert not result.failed


def test_every_module_with_examples_is_tested() -> None:
    files = [file for package in ("ratui", "trainer") for file in (ROOT / package).rglob("*.py")]
    with_examples = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for file in files
        if re.search(r"^\s*>>> ", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert with_examples == set(MODULES)

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
    "ratui.reading.options",
    "ratui.scheme.parser",
    "ratui.study.study",
    "trainer.api",
]
"""Modules whose docstrings hold examples. A test below finds a module that is missing here."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_examples_of_a_page_run_in_order(page: Path, tmp_path: Path) -> None:
    program = "\n".join(BLOCK.findall(page.read_text(encoding="utf-8")))
    # Pages name the sample study by its place in the repository; what an example writes goes elsewhere.
    shutil.copytree(ROOT / "sample_data", tmp_path / "sample_data")
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

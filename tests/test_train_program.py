"""``ratui-train`` reports if another package has taken the import name of the trainer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ratui.train_program import find_conflict

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


def run(first: Path) -> subprocess.CompletedProcess[str]:
    """Run ``ratui-train --help`` with the folder `first` before all others on Python's path."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(first), str(ROOT)))}
    program = "import sys; sys.argv = ['ratui-train', '--help']; from ratui.train_program import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=first, capture_output=True, text=True, check=False
    )


def test_the_own_trainer_starts(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "scorer" in done.stdout
    assert find_conflict() == ""


def test_another_distribution_of_that_name_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "trainer-0.0.36.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: trainer\nVersion: 0.0.36\n")
    done = run(tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "the distribution trainer 0.0.36 also installs a package named trainer" in line
    assert "Install ratui in an environment of its own" in line


def test_another_package_that_python_would_import_is_named(tmp_path: Path) -> None:
    (tmp_path / "trainer").mkdir()
    (tmp_path / "trainer" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    done = run(tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert str(tmp_path / "trainer") in line
    assert "imported" not in line

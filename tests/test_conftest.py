"""A test marked ``alone`` runs first and with no other test beside it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

_TESTS = """
import json, time
from pathlib import Path
import pytest

def note(name):
    began = time.monotonic()
    time.sleep(0.2)
    Path(__file__).with_name(f"{name}.json").write_text(json.dumps([began, time.monotonic()]))

@pytest.mark.parametrize("number", range(8))
def test_beside_others(number):
    note(f"shared{number}")

@pytest.mark.alone
@pytest.mark.parametrize("number", range(2))
def test_alone(number):
    note(f"alone{number}")
"""


def test_no_test_runs_beside_one_marked_alone(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    (tmp_path / "test_some.py").write_text(_TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    alone: nothing beside it\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-q", "-n", "3", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    times = {file.stem: json.loads(file.read_text()) for file in tmp_path.glob("*.json")}
    assert len(times) == 10
    for name in ("alone0", "alone1"):
        began, ended = times[name]
        assert all(other == name or end <= began or start >= ended for other, (start, end) in times.items())
    shared = [span for name, span in times.items() if name.startswith("shared")]
    assert any(a is not b and a[0] < b[1] and b[0] < a[1] for a in shared for b in shared), (
        "the others do run in parallel"
    )

"""Tests in a folder ``real_time`` run one after the other in one worker, with priority over the tests beside them."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import LONG_MODULES, rank_module

pytestmark = pytest.mark.slow

_TESTS = """
import json, os, time
from pathlib import Path
import pytest

@pytest.mark.parametrize("number", range(4))
def test_some(number):
    began = time.monotonic()
    time.sleep(0.5)
    note = began, time.monotonic(), os.nice(0), os.environ["PYTEST_XDIST_WORKER"]
    Path(__file__).with_suffix(f".{number}").write_text(json.dumps(note))
"""


def test_tests_in_real_time_have_a_worker_of_their_own_with_priority(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "real_time").mkdir()
    modules = ("test_a", "test_b", "real_time/test_c", "real_time/test_d")
    for module in modules:
        (tmp_path / f"{module}.py").write_text(_TESTS)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    options = ["-q", "-n", "3", "--dist", "loadfile", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout

    def read_notes(module: str) -> list[tuple[float, float, int, str]]:
        return [json.loads((tmp_path / f"{module}.{number}").read_text()) for number in range(4)]

    a, b, c, d = (read_notes(module) for module in modules)
    others, real_time = a + b, c + d
    assert len({worker for *_, worker in real_time}) == 1
    assert {worker for *_, worker in real_time}.isdisjoint(worker for *_, worker in others)
    in_order = sorted(real_time)
    assert all(end <= begin for (_, end, *_), (begin, *_) in itertools.pairwise(in_order))
    assert max(niceness for *_, niceness, _ in real_time) < min(niceness for *_, niceness, _ in others)
    assert any(one[0] < other[1] and other[0] < one[1] for one in real_time for other in others), (
        "the others run at the same time"
    )
    for notes in (a, b):
        assert len({worker for *_, worker in notes}) == 1, "the tests of a module share its fixtures"


@pytest.mark.parametrize("module", LONG_MODULES)
def test_long_modules_exist_and_come_first(module: str) -> None:
    path = Path(__file__).parent / module
    assert path.is_file()
    assert rank_module(path) == LONG_MODULES.index(module) < rank_module(Path(__file__))

"""The number of threads with which numpy is loaded for the app."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
_REPORT = """
import os
from ratui.cli.main import commands
from ratui.errors import RatuiError
try:
    commands.main(["read", "no-such-study", "--rater", "anna"], standalone_mode=False)
except RatuiError:
    pass
import numpy
print(len(os.listdir("/proc/self/task")), os.environ.get("OPENBLAS_NUM_THREADS"))
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted by Linux")
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="with one core there is one thread anyway")
@pytest.mark.parametrize(("asked", "reported"), [({}, "1 None"), ({"OPENBLAS_NUM_THREADS": "2"}, "2 2")])
def test_the_app_loads_numpy_with_one_thread_unless_the_environment_asks_for_more(
    asked: dict[str, str], reported: str
) -> None:
    plain = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run([sys.executable, "-c", _REPORT], capture_output=True, text=True, env={**plain, **asked})
    assert done.stdout.strip() == reported, done.stderr

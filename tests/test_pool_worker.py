"""Worker processes of a pool end with the process that started them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

POOL = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from ratui.pool_worker import prepare_worker

if __name__ == "__main__":
    pool = ProcessPoolExecutor(1, get_context("spawn"), prepare_worker)
    print("worker", pool.submit(os.getpid).result(), flush=True)
    time.sleep(60)
"""


def test_a_worker_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "pool.py"
    file.write_text(POOL)
    with subprocess.Popen([sys.executable, file], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("worker ")
        process.kill()
        # The pipe ends when no process holds it open any more, the worker included.
        assert process.communicate(timeout=60)[0] == ""

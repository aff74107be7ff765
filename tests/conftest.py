"""Settings of the test run.

A module that drives whole screens, runs programs or trains has ``pytestmark = pytest.mark.slow``;
``-m 'not slow'`` leaves it out. Tests run in parallel unless a single file is given or ``-n0`` is set.
Tests in a folder ``real_time`` measure time: one worker runs them one after the other, with priority over the others.
The folders of the tests (``tmp_path``) are in memory if there is enough. They are removed, except those of tests that fail.
"""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

# The workers share the cores, so each uses one thread. Set before numpy and torch are imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Workers and many tests start Python: let them keep compiled modules, even where the environment forbids it.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadFileScheduling

# This process too: to compile the test modules takes longer than all else in a collection.
sys.dont_write_bytecode = False

# No test reads or changes the user's own indices of worklists, settings and recent studies.
for _name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
    os.environ[_name] = tempfile.mkdtemp(prefix="ratui-tests-")
    atexit.register(shutil.rmtree, os.environ[_name], ignore_errors=True)

# Saves wait for the disk, many thousand times in all tests together. In memory they do not.
_MEMORY, _ENOUGH = Path("/dev/shm"), 8 * 2**30  # bytes
if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ENOUGH:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))

# No deadline: a busy machine makes examples slow. Examples are derandomized, so that a failure comes from a change
# and not from chance; --hypothesis-profile=search draws others, and more of them.
settings.register_profile("search", deadline=None)
settings.register_profile("ratui", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("ratui")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return the number of workers for ``-n auto``: none for a single file, otherwise two more than there are cores."""
    paths = [Path(argument.partition("::")[0]) for argument in config.args]
    if len(paths) == 1 and (paths[0].is_file() or "::" in config.args[0]):
        return 0
    # Many tests wait for a terminal or a process. One of the workers runs the tests in real time, which mostly wait.
    return (os.cpu_count() or 1) + 2


def pytest_collection_finish() -> None:
    """Collect garbage rarely: the modules in memory are so many objects that each collection would take long."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


_REAL_TIME = "real_time"
LONG_MODULES = (
    "study/test_attacks.py",
    "demo/test_demo.py",
    "trainer/test_detector.py",
    "docs/test_engineers.py",
    "trainer/test_runs.py",
    "trainer/test_learning.py",
    "study/importing/test_intake_rules.py",
    "pacs/test_fetch.py",
    "reading/test_search.py",
    "reading/test_walk.py",
    "demo/test_rehearsal.py",
    "trainer/test_comparison.py",
    "trainer/test_feet.py",
    "study/importing/test_hospital.py",
    "trainer/test_processes.py",
    "tui/test_snapshots.py",
    "tui/test_crash.py",
    "tui/test_regions_screen.py",
    "tui/test_review_screen.py",
    "reading/test_mutations.py",
    "trainer/test_shipped.py",
    "tui/test_scoring_machine.py",
    "docs/test_examples.py",
    "results/test_exports.py",
)
"""Modules that take longest. They start first, so that none of them is left for one worker at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests in real time first, and then the long modules."""
    items.sort(key=lambda item: rank_module(item.path))


@cache
def rank_module(path: Path) -> int:
    """Return the place of a test module in the order of the run: in real time, long, and all others."""
    if path.parent.name == _REAL_TIME:
        return -1
    ranks = (rank for rank, name in enumerate(LONG_MODULES) if path.as_posix().endswith(f"/{name}"))
    return next(ranks, len(LONG_MODULES))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    """Return a scheduler that gives whole modules to workers, in the order of the collection.

    The tests of a module share its fixtures, so that one worker makes them. All tests in real time go to one worker.
    """
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ModuleScheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = Path(nodeid.partition("::")[0])
            return str(path.parent if path.parent.name == _REAL_TIME else path)

    config.option.loadscopereorder = False
    return ModuleScheduling(config, log)


@pytest.fixture
def read_films_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process read foreign films, and not one that is started for it, where that process is not what is tested."""
    from tests.support.in_process import read_films_in_this_process

    read_films_in_this_process(monkeypatch)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Lower the priority of this worker once it runs tests that are not in real time."""
    if "PYTEST_XDIST_WORKER" in os.environ and item.path.parent.name != _REAL_TIME:
        _lower_priority()


@cache
def _lower_priority() -> None:
    os.nice(10)

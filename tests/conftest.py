"""Settings of the test run.

A module that drives whole screens, runs programs or trains has ``pytestmark = pytest.mark.slow``;
``-m 'not slow'`` leaves it out. Tests run in parallel unless a single file is given or ``-n0`` is set.
A test marked ``alone`` measures time, so no other test may run beside it: it comes first and holds a lock.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# The workers share the cores, so each uses one thread. Set before numpy and torch are imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

# No deadline: a busy machine makes examples slow. Examples are derandomized, so that a failure comes from a change
# and not from chance; --hypothesis-profile=search draws others.
settings.register_profile("search", deadline=None)
settings.register_profile("ratui", deadline=None, derandomize=True)
settings.load_profile("ratui")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return the number of workers for ``-n auto``: none for a single file, otherwise one more than there are cores."""
    paths = [Path(argument.partition("::")[0]) for argument in config.args]
    if len(paths) == 1 and (paths[0].is_file() or "::" in config.args[0]):
        return 0
    # Many tests wait for a terminal or a process, so one more worker than cores keeps the cores busy.
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests marked ``alone`` first."""
    items.sort(key=lambda item: item.get_closest_marker("alone") is None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Run `item` beside others, or while no other test runs if it is marked ``alone``."""
    with _turn(item.config, exclusive=item.get_closest_marker("alone") is not None):
        return (yield)


@contextmanager
def _turn(config: pytest.Config, *, exclusive: bool) -> Iterator[None]:
    """Hold the lock of this test run, shared or exclusive.

    Whoever takes the lock passes a gate first, so that a stream of shared holders cannot keep out an exclusive one.
    """
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    if run is None:  # with one process, tests never run at the same time
        yield
        return
    kind = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    folder = Path(tempfile.gettempdir())
    with (folder / f"ratui-tests-{run}.lock").open("w") as lock:
        with (folder / f"ratui-tests-{run}.gate").open("w") as gate:
            fcntl.flock(gate, kind)
            fcntl.flock(lock, kind)
        yield


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Remove the locks of this test run."""
    run = getattr(session.config, "workerinput", {}).get("testrunuid") or os.environ.get("PYTEST_XDIST_TESTRUNUID")
    if run is not None:
        for kind in ("lock", "gate"):
            (Path(tempfile.gettempdir()) / f"ratui-tests-{run}.{kind}").unlink(missing_ok=True)

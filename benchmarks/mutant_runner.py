"""A process that runs tests on changed modules, one change at a time, each in a fork that has the libraries loaded.

`benchmarks.mutants` starts it in a private copy of the project. Each line of its input is a job as JSON: a ``file`` of the
copy, its changed ``text``, the ``tests`` to run, their ``timeout`` in seconds, and whether slow ones are run
(``with_slow``). Each line of its output is the result.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import json
import os
import resource
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any, TextIO

import pytest

_MAX_MEMORY, _MAX_FILE = 6 * 2**30, 2 * 2**30  # bytes; a mutant may ask for any size
_OWN = ("trainer", "tests", "benchmarks", "conftest", "__main__", "__mp_main__")
_PASSED, _ERROR_IN_TESTS = 0, 2


class FirstFailure:
    """A pytest plug-in that notes the first failure in `file`, and leaves out tests that take long, unless `with_slow`."""

    def __init__(self, file: Path, *, with_slow: bool) -> None:
        self.file = file
        self.with_slow = with_slow

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out slow tests and those of a whole study."""
        items[:] = [
            item
            for item in items
            if self.with_slow
            or (item.get_closest_marker("slow") is None and "phantom_study" not in getattr(item, "fixturenames", ()))
        ]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the name of a failed test."""
        if report.failed:
            self._note(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note the name of a module that can't be imported."""
        if report.failed:
            self._note(report.nodeid)

    def _note(self, name: str) -> None:
        if not self.file.exists():
            self.file.write_text(name, encoding="utf-8")


def load_libraries(modules: list[str]) -> None:
    """Import what the test modules import, except for the project's own modules that a mutant may concern."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        for module in modules:
            importlib.import_module(module)
        with os.fdopen(writer, "w") as pipe:
            json.dump(list(sys.modules), pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    if os.waitpid(pid, 0)[1]:
        raise RuntimeError("the test modules can't be imported")
    for name in json.loads(text):
        if name.split(".")[0] not in _OWN and name != "ratui.train_program":
            with contextlib.suppress(ImportError):  # some names in sys.modules are not those of files
                importlib.import_module(name)
    if any(name.split(".")[0] == "trainer" for name in sys.modules):
        raise RuntimeError("a library imports the trainer, so its modules would not be the changed ones")


def run_job(job: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """Change the file of `job`, run its tests in a fork, restore the file, and return the result.

    ``result`` is ``survived`` (all tests passed), ``killed`` (a test failed), ``crashed`` (the process died) or ``timeout``.
    """
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    failure = scratch / "failure"
    file = Path(job["file"]) if job["file"] else None
    original = file.read_text(encoding="utf-8") if file else ""
    if file:
        file.write_text(job["text"], encoding="utf-8")
    started = time.monotonic()
    try:
        pid = os.fork()
        if not pid:
            _run_tests(job["tests"], scratch, FirstFailure(failure, with_slow=job["with_slow"]))
        status = _wait(pid, job["timeout"])
    finally:
        if file:
            file.write_text(original, encoding="utf-8")
    found = {"seconds": round(time.monotonic() - started, 1), "test": ""}
    if failure.exists():
        found["test"] = failure.read_text(encoding="utf-8")
    if status is None:
        return {**found, "result": "timeout"}
    if status < 0:
        return {**found, "result": "crashed"}
    if status > _ERROR_IN_TESTS:
        log = (scratch / "log").read_text(encoding="utf-8", errors="replace")
        raise RuntimeError(f"pytest ends with {status}: {log[-2000:]}")
    return {**found, "result": "survived" if status == _PASSED else "killed"}


def _run_tests(tests: list[str], scratch: Path, plugin: FirstFailure) -> None:
    """Run the tests in this process, which is a fork, and end it with pytest's exit status."""
    status = 70
    try:
        os.setsid()
        log = os.open(scratch / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        resource.setrlimit(resource.RLIMIT_DATA, (_MAX_MEMORY, _MAX_MEMORY))
        resource.setrlimit(resource.RLIMIT_FSIZE, (_MAX_FILE, _MAX_FILE))
        # A changed module of the same size and second would be taken for the one before.
        sys.dont_write_bytecode = True
        options = ["-o", "addopts=", "-p", "no:cacheprovider", "-q", "-x", "--tb=no", f"--basetemp={scratch / 'tests'}"]
        status = int(pytest.main([*options, *tests], plugins=[plugin]))
        sys.stdout.flush()
    finally:
        os._exit(status)


def _wait(pid: int, seconds: float) -> int | None:
    """Return the exit status of a process, negative for a signal, or None after `seconds`; end all that it started."""
    end, done, status = time.monotonic() + seconds, 0, 0
    try:
        while not done and time.monotonic() < end:
            time.sleep(0.02)
            done, status = os.waitpid(pid, os.WNOHANG)
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        if not done:
            os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) if done else None


def main(jobs: TextIO, results: TextIO, modules: list[str]) -> None:
    """Answer each job with one line. The tests of all jobs are in `modules`."""
    copy = Path.cwd()
    found = importlib.util.find_spec("trainer")
    if found is None or not Path(str(found.origin)).is_relative_to(copy):
        raise RuntimeError("the trainer would not be imported from the copy")
    load_libraries(modules)
    gc.freeze()
    for line in jobs:
        results.write(json.dumps(run_job(json.loads(line), copy / "scratch")) + "\n")
        results.flush()


if __name__ == "__main__":
    main(sys.stdin, sys.stdout, sys.argv[1:])

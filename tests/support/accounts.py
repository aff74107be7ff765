"""Run parts of a test as other Unix accounts. Only root can."""

from __future__ import annotations

import os
import pickle
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tests.support.fault_harness.count import Unavailable

__all__ = ["GROUP", "MANAGER", "OTHER", "RATER", "as_account", "open_folder", "started_as"]

_Value = TypeVar("_Value")
GROUP = 1
"""Number of the group ``daemon``, which every system has."""
MANAGER, RATER, OTHER = 20_000, 20_001, 20_002
"""Numbers of accounts without a name."""


def as_account(uid: int, function: Callable[[], _Value], *, gid: int = GROUP) -> _Value:
    """Return the result of `function`, run in a child process as the account `uid`; raise its exception here.

    What the function imports must be imported before: other accounts may not be able to read the interpreter's files.
    Raises Unavailable if this account is not root.
    """
    if os.geteuid() != 0:
        raise Unavailable("it needs root, to act as other accounts")
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reader)
            _become(uid, gid)
            outcome: tuple[bool, Any] = (True, function())
        except BaseException as error:
            outcome = (False, f"{type(error).__name__}: {error}")
        with os.fdopen(writer, "wb") as file:
            pickle.dump(outcome, file)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        data = file.read()
    os.waitpid(pid, 0)
    succeeded, value = pickle.loads(data)
    if not succeeded:
        raise RuntimeError(value)
    return value  # type: ignore[no-any-return]


@contextmanager
def started_as(uid: int, function: Callable[[], object], *, gid: int = GROUP) -> Iterator[None]:
    """Run `function` in a child process as the account `uid` during the block, and end it then."""
    if os.geteuid() != 0:
        raise Unavailable("it needs root, to act as other accounts")
    pid = os.fork()
    if pid == 0:
        try:
            _become(uid, gid)
            function()
        finally:
            os._exit(0)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _become(uid: int, gid: int) -> None:
    os.setgroups([gid])
    os.setgid(gid)
    os.setuid(uid)


@contextmanager
def open_folder() -> Iterator[Path]:
    """Yield a temporary folder that every account can enter. The folders of pytest are closed to others."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)

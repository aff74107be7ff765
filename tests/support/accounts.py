"""Run parts of a test as other Unix accounts. Only root can."""

from __future__ import annotations

import io
import os
import pickle
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, TypeVar

from ratui.study import Study
from tests.support.fault_harness.count import Unavailable

__all__ = ["GROUP", "MANAGER", "OTHER", "RATER", "as_account", "open_folder", "run_as", "started_as"]

_Value = TypeVar("_Value")
GROUP = 1
"""Number of the group ``daemon``, which every system has."""
MANAGER, RATER, OTHER = 20_000, 20_001, 20_002
"""Numbers of accounts without a name."""
_LONGEST = 120
"""Seconds after which a child process is ended."""
_IMPORTS = """
import encodings.cp437, json, os, sys
from pathlib import Path
import ratui.study.copies.backup, ratui.study.check
from ratui.study import Study
"""


def as_account(uid: int, function: Callable[[], _Value], *, gid: int = GROUP, groups: Sequence[int] = ()) -> _Value:
    """Return the result of `function`, run in a child process as the account `uid`; raise its exception here.

    The account is a member of `gid` and of `groups`.

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
            _become(uid, gid, groups)
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


def run_as(uid: int, study: Path, *codes: str, imports: str = "", gid: int = GROUP, view: str = "") -> list[str]:
    """Run Python code in a child process as the account `uid`, and return what it prints on standard output.

    Parameters
    ----------
    uid, gid
        The account, and its only group.
    study
        Path of a study. The code can use it as ``path``, and the open study, if there is one, as ``study`` and ``case``.
    codes
        Code; each is run for itself with the study opened anew.
    imports
        Code that imports names before the process becomes the account: it may not be able to read the interpreter's files.
    view
        Rater as whose view the study is opened; empty for the view with time points.

    Returns
    -------
    list of str
        For each of `codes` what it printed, or its error as ``TYPE: TEXT``, on one line.
    """
    names: dict[str, Any] = {}
    exec(_IMPORTS + imports, names)

    def run() -> list[str]:
        signal.alarm(_LONGEST)
        os.umask(0o007)
        os.environ["XDG_CACHE_HOME"] = "/nonexistent"
        return [_output(code, {**names, "path": study}, view) for code in codes]

    return as_account(uid, run, gid=gid)


def _output(code: str, names: dict[str, Any], view: str) -> str:
    """Return what `code` prints, or its error, on one line."""
    out = io.StringIO()
    try:
        with redirect_stdout(out):
            study, case = None, None
            if names["path"].exists():
                study = Study.open(names["path"])
                study = study.as_rater(view) if view else study
                case = next(iter(study.cases()), None)
            exec(code, {**names, "study": study, "case": case})
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=out)
    return " ".join(out.getvalue().split())


def _become(uid: int, gid: int, groups: Sequence[int] = ()) -> None:
    os.setgroups([gid, *groups])
    os.setgid(gid)
    os.setuid(uid)


@contextmanager
def open_folder() -> Iterator[Path]:
    """Yield a temporary folder that every account can enter. The folders of pytest are closed to others."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)

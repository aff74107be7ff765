"""Run parts of a test as other Unix accounts. Only root can."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tests.support.fault_harness.count import Unavailable

__all__ = ["GROUP", "MANAGER", "OTHER", "RATER", "as_account", "open_folder", "run_as", "started_as"]

_Value = TypeVar("_Value")
GROUP = 1
"""Number of the group ``daemon``, which every system has."""
MANAGER, RATER, OTHER = 20_000, 20_001, 20_002
"""Numbers of accounts without a name."""


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
    """Run Python code in a new process as the account `uid`, and return what it prints on standard output.

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
    script = (
        "import contextlib, encodings.cp437, io, json, os, sys\nfrom pathlib import Path\n"
        "import ratui.study.backup, ratui.study.check\nfrom ratui.study import Study\n"
        f"{imports}\n"
        f"os.setgroups([{gid}]); os.setgid({gid}); os.setuid({uid}); os.umask(0o007)\n"
        "path, view, results = Path(sys.argv[1]), sys.argv[2], []\n"
        "for code in sys.argv[3:]:\n"
        "    out = io.StringIO()\n"
        "    try:\n"
        "        with contextlib.redirect_stdout(out):\n"
        "            study = case = None\n"
        "            if path.exists():\n"
        "                study = Study.open(path)\n"
        "                study = study.as_rater(view) if view else study\n"
        "                case = next(iter(study.cases()), None)\n"
        "            exec(code)\n"
        "    except Exception as error:\n"
        "        print(f'{type(error).__name__}: {error}', file=out)\n"
        "    results.append(' '.join(out.getvalue().split()))\n"
        "print(json.dumps(results))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(study), view, *codes],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "XDG_CACHE_HOME": "/nonexistent"},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results: list[str] = json.loads(done.stdout)
    return results


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

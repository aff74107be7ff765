"""Commands of ratui, run in the process of a test or in one of their own."""

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest

from ratui.cli.main import main

__all__ = ["run_in_this_process", "run_program"]


def run_program(*arguments: object, module: str = "ratui", **variables: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m MODULE ARGUMENTS`` without a terminal, with the environment `variables` added."""
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        start_new_session=True,
        env={**os.environ, **variables},
    )


def run_in_this_process(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run ``ratui ARGUMENTS`` like `run_program`, but without the start of a program, which takes longer than most commands.

    A command that opens a terminal finds that of the test run; such a command needs `run_program`.
    """
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    words = ["ratui", *map(str, arguments)]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", words)
        for name, value in variables.items():
            patch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main()
    code = ended.value.code
    assert isinstance(code, int)
    return subprocess.CompletedProcess(words, code, *(each.buffer.getvalue().decode() for each in (out, err)))

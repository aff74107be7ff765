"""Run a command line program to its end: exit codes, faults, and signals that ask it to end."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn, TextIO

import click

from ratui.crash_report import EXIT_FAULT, open_log, report_fault, report_faults_of_threads
from ratui.errors import RatuiError

__all__ = ["ENDING_SIGNALS", "EndedBySignal", "list_ending_signals", "run_commands", "run_program"]

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that ask a program to end and leave it time for that."""


class EndedBySignal(BaseException):
    """A signal asks the program to end. No ``except Exception`` stops it, as with KeyboardInterrupt."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def list_ending_signals() -> list[signal.Signals]:
    """Return the signals that end this process. A process begun with ``nohup`` or in the background ignores some."""
    return [each for each in ENDING_SIGNALS if signal.getsignal(each) != signal.SIG_IGN]


def run_program(name: str, command: Callable[[], object]) -> NoReturn:
    """Run `command` as the program called `name`, and exit.

    Parameters
    ----------
    name
        What the user typed, such as ``ratui-train``: it begins each message.
    command
        The program. It may raise SystemExit; where it returns, the exit code is 0.

    Notes
    -----
    The exit code is that of `command`; 1 after a `RatuiError`, whose message is printed; 128 and the signal's number after
    SIGINT, SIGTERM and SIGHUP; 70 after any other exception, of which no value is printed (see `ratui.crash_report`).
    """
    open_log()
    faults_of_threads: list[BaseException] = []
    report_faults_of_threads(faults_of_threads.append)
    code, is_written = 0, True
    try:
        with _signals_as_exceptions():
            command()
    except SystemExit as end:
        code = _exit_code(end)
    except RatuiError as error:
        _print_error(f"{name}: {error}")
        code = 1
    except (EndedBySignal, KeyboardInterrupt) as end:
        number = end.number if isinstance(end, EndedBySignal) else signal.SIGINT
        _print_error(f"{name}: ended by {signal.Signals(number).name}; saved entries are safe")
        code = 128 + number
    except BaseException as error:
        is_written = not isinstance(error, OSError) or _flush_output()
        if is_written:  # otherwise it was the output's fault
            _print_error(report_fault(name, error))
            code = EXIT_FAULT
    if faults_of_threads and code != EXIT_FAULT:
        _print_error(report_fault(name, faults_of_threads[0]))
        code = EXIT_FAULT
    if not (_flush_output() and is_written) and code == 0:
        _print_error(f"{name}: the output can't be written. Check the disk, or write it elsewhere")
        code = 1
    sys.exit(code)


def run_commands(commands: click.Command) -> int:
    """Run the command line with `commands` and return the exit code; pass on all exceptions of the command.

    Unlike click's standalone mode, this takes no EOFError and no interrupt for the user's wish to stop.
    """
    try:
        outcome = commands.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BrokenPipeError:  # nobody reads the output any more, as in ``ratui status STUDY | head -1``
        return 1
    return outcome if isinstance(outcome, int) else 0


def _exit_code(end: SystemExit) -> int:
    """Return the exit code that Python would use for `end`; print its text if it has one."""
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    _print_error(str(end.code))
    return 1


@contextmanager
def _signals_as_exceptions() -> Iterator[None]:
    """Raise `EndedBySignal` in the main thread for the signals that end a program, so that what is open is closed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.getsignal(each) for each in list_ending_signals()}

    def end(number: int, frame: FrameType | None) -> None:
        for each in before:  # a second one ends a program that hangs while it closes
            signal.signal(each, signal.SIG_IGN if each == signal.SIGHUP else signal.SIG_DFL)
        raise EndedBySignal(number)

    for each in before:
        signal.signal(each, end)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _print_error(text: str) -> None:
    """Print `text` on the error output, unless that is gone."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def _flush_output() -> bool:
    """Write what is still in the buffers of both outputs; return whether that succeeded or nobody reads them."""
    written = [_flush(each) for each in (sys.stdout, sys.stderr) if each is not None]
    return all(written)


def _flush(stream: TextIO) -> bool:
    try:
        stream.flush()
    except (OSError, ValueError) as error:
        # Python would try again at its end and change the exit code.
        with suppress(OSError, ValueError), Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())
        return isinstance(error, BrokenPipeError) or getattr(error, "errno", None) == errno.EIO
    return True

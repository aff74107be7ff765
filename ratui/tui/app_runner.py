"""Run the app in this terminal and leave the terminal as it was, however the app ends: by a key, a fault or a signal."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ratui.crash_report import EXIT_FAULT, record_fault, report_fault
from ratui.errors import RatuiError
from ratui.garbage_collection import collect_rarely
from ratui.program import EndedBySignal, list_ending_signals
from ratui.terminal import SavedTerminal
from ratui.tui.key_app import KeyApp
from ratui.tui.textual_internals import TerminalDriver, get_driver

__all__ = ["run_in_terminal"]

_GRACE = 4.0
"""Seconds that an app which has been asked to end may take before the process is ended."""
_SWITCH_INTERVAL = 0.0005
"""Seconds after which a thread that computes lets another one run. A key passes through three threads (input, app, output)
while another one makes the pictures of the next joint; with Python's 0.005 it could wait that long in each of them."""


def run_in_terminal(app: KeyApp) -> None:
    """Run `app` until it ends, and restore the terminal.

    Raises
    ------
    EndedBySignal
        If SIGINT, SIGTERM or SIGHUP ended the app, or its terminal is gone.
    SystemExit
        With code 1, after a line for each case, if entries could not be saved.
    RatuiError
        If a screen met an error that it does not handle.
    Exception
        Any other fault that ended the app.
    """
    terminal = SavedTerminal()
    with _watch(app, terminal), _short_switch_interval(), collect_rarely():
        try:
            app.run()
        finally:
            driver = get_driver(app)
            if isinstance(driver, TerminalDriver) and driver.holds_terminal:
                terminal.restore(app.free_images())
    for report in app.unsaved_readings:
        with suppress(OSError, ValueError):  # the terminal may be gone
            print(f"ratui: {report}", file=sys.stderr, flush=True)
    if isinstance(app.fault, RatuiError):
        record_fault(app.fault)  # its message is printed, but not where it came from
    if app.fault is not None:
        raise app.fault
    if app.return_code and app.return_code > 128:
        raise EndedBySignal(app.return_code - 128)
    if app.unsaved_readings:
        raise SystemExit(1)


@contextmanager
def _short_switch_interval() -> Iterator[None]:
    """Let the threads take turns more often than usual in the block."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_INTERVAL)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


@contextmanager
def _watch(app: KeyApp, terminal: SavedTerminal) -> Iterator[None]:
    """End `app` when a signal asks for it, and the process if the app has not ended some seconds later.

    The same holds after a fault, and after the end of the terminal, whose signal the process may ignore.

    A thread waits for the signals: the app's own thread may be waiting for a terminal that takes no output.
    """
    signals = list_ending_signals()
    source, sink = os.pipe()
    os.set_blocking(sink, False)
    ended = threading.Event()

    def watch() -> None:
        while number := os.read(source, 1):
            if number[0] in (*signals, signal.SIGHUP):
                with suppress(RuntimeError):  # its event loop is closed already
                    app.exit(return_code=128 + number[0])
            elif number[0]:
                continue  # another signal, such as that of a resized window
            if not ended.wait(_GRACE):
                _end_process(app, terminal, 128 + number[0] if number[0] else EXIT_FAULT)
            return

    # Python writes the number of each signal that has a handler to `sink`, whatever the app's thread is doing.
    previous = {each: signal.signal(each, lambda number, frame: None) for each in signals}
    previous_descriptor = signal.set_wakeup_fd(sink, warn_on_full_buffer=False)
    app.on_fault = lambda: _write_byte(sink, b"\0")
    app.on_terminal_gone = lambda: _write_byte(sink, bytes([signal.SIGHUP]))
    watcher = threading.Thread(target=watch, name="ratui-signals", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        app.on_fault = app.on_terminal_gone = None
        signal.set_wakeup_fd(previous_descriptor)
        for each, handler in previous.items():
            signal.signal(each, handler)
        os.close(sink)
        watcher.join(_GRACE)
        os.close(source)


def _write_byte(descriptor: int, byte: bytes) -> None:
    with suppress(OSError):
        os.write(descriptor, byte)


def _end_process(app: KeyApp, terminal: SavedTerminal, code: int) -> None:
    """Restore the terminal and end the process at once: the app hangs. Everything that was shown as saved is on the disk."""
    images = ""
    with suppress(Exception):  # the app's thread may be changing what this reads
        images = app.free_images()
    driver = get_driver(app)
    if isinstance(driver, TerminalDriver) and driver.holds_terminal:
        terminal.restore(images)
    if code == EXIT_FAULT and app.fault is not None:
        terminal.print_line(report_fault("ratui", app.fault))
    os._exit(code)

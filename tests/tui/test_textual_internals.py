"""Undocumented behaviour of Textual that ratui relies on."""

from __future__ import annotations

import asyncio
import errno
import signal
import sys
import time
from collections.abc import Iterator
from threading import Event, Thread
from types import SimpleNamespace

import pytest
from rich.segment import Segment
from textual.app import App, ComposeResult
from textual.driver import Driver
from textual.drivers._writer_thread import MAX_QUEUED_WRITES, WriterThread
from textual.drivers.headless_driver import HeadlessDriver
from textual.events import CursorPosition, Key
from textual.geometry import Region
from textual.messages import TerminalSupportsSynchronizedOutput
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from ratui.terminal import HIDE_IMAGES, Display
from ratui.tui import textual_internals
from ratui.tui.driver import ListeningDriver
from ratui.tui.textual_internals import (
    LONGEST_SEQUENCE,
    GuardedApp,
    LinuxDriver,
    NotifyingStrip,
    TerminalDriver,
    XTermParser,
    get_driver,
    has_synchronized_updates,
    run_in_thread,
)
from tests.internals import relying_on


@pytest.fixture
def signals() -> Iterator[None]:
    """Restore the signal handlers that Textual's driver replaces."""
    before = {each: signal.getsignal(each) for each in (signal.SIGTSTP, signal.SIGCONT)}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


class Counting(Widget):
    """A line that counts how often it is requested and written."""

    DEFAULT_CSS = "Counting { height: 1; width: 20; }"
    asked = written = 0

    def render_lines(self, crop: Region) -> list[Strip]:
        self.asked += 1
        return [NotifyingStrip([Segment("x" * 20)], 20, self.note).crop(crop.x, crop.right)]

    def note(self) -> None:
        self.written += 1


class Writing(HeadlessDriver):
    """A driver that accepts output; with Textual's driver for tests the app writes nothing."""

    @property
    def is_headless(self) -> bool:
        return False


class TwoLines(App[None]):
    def __init__(self, driver: type[Driver] | None = None) -> None:
        super().__init__(driver_class=driver)
        self.keys: list[str] = []

    def compose(self) -> ComposeResult:
        yield Counting()
        yield Static("other", id="other")

    def on_key(self, event: Key) -> None:
        self.keys.append(event.key)


async def test_an_app_has_a_driver_while_it_runs() -> None:
    app = TwoLines()
    with relying_on("`App._driver` is the driver of a running app", textual_internals):
        assert get_driver(app) is None
        async with app.run_test():
            driver = get_driver(app)
            assert driver is not None
            driver.write("")
            driver.flush()


async def test_the_app_knows_whether_its_terminal_has_synchronized_updates() -> None:
    app = App[None]()
    with relying_on("`App._sync_available` tells that the terminal has answered", textual_internals):
        async with app.run_test() as pilot:
            assert not has_synchronized_updates(app)
            app.post_message(TerminalSupportsSynchronizedOutput())
            await pilot.pause()
            assert has_synchronized_updates(app)


@pytest.mark.skipif(sys.platform == "win32", reason="Textual has another driver there")
def test_the_driver_on_unix_is_the_one_that_ratui_extends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEXTUAL_DRIVER", raising=False)
    with relying_on("`App.get_driver_class` gives LinuxDriver on Unix", textual_internals):
        assert App().get_driver_class() is LinuxDriver


async def test_the_driver_s_thread_reads_the_input_until_it_is_stopped(signals: None) -> None:
    read: list[int] = []

    class Reading(TerminalDriver):
        def read_input(self, descriptor: int) -> None:
            read.append(descriptor)
            give_up = time.monotonic() + 5.0
            while not self.is_stopping and time.monotonic() < give_up:
                time.sleep(0.001)
            read.append(-1 if self.is_stopping else -2)

    app = TwoLines()
    async with app.run_test():
        with relying_on("LinuxDriver has `_app`, `_debug` and `fileno`", textual_internals):
            driver = Reading(app, mouse=False)
            assert driver.owner is app
            assert isinstance(driver.make_parser(), XTermParser)
            assert not driver.is_stopping
        with relying_on("the thread of LinuxDriver calls `run_input_thread`", textual_internals):
            thread = driver._key_thread = Thread(target=driver._run_input_thread, daemon=True)
            thread.start()
            while not read:
                await asyncio.sleep(0.001)
            assert read == [driver.fileno]
        with relying_on("LinuxDriver sets `exit_event` until its thread has ended", textual_internals):
            driver.disable_input()
            assert read == [driver.fileno, -1]


async def test_the_driver_calls_in_the_app_s_thread_and_gives_it_messages(signals: None) -> None:
    app = TwoLines()
    async with app.run_test() as pilot:
        driver = TerminalDriver(app)
        called: list[str] = []
        with relying_on("`Driver._loop` is the app's event loop", textual_internals):
            driver.call_in_app(called.append, "now")
            await pilot.pause()
            assert called == ["now"]
        with relying_on("`Driver.process_message` gives a message to the app", textual_internals):
            driver.process_message(Key("a", "a"))
            await pilot.pause()
            assert app.keys == ["a"]


@pytest.mark.parametrize("place", ["handler", "worker"])
async def test_every_fault_ends_the_app_through_one_function(place: str) -> None:
    class Guarded(GuardedApp):
        async def work(self) -> None:
            raise KeyError(place)

        async def on_key(self) -> None:
            await self.work() if place == "handler" else self.run_worker(self.work())

    async def press(app: Guarded) -> None:
        async with app.run_test() as pilot:
            await pilot.press("a")
            await pilot.pause()

    app = Guarded()
    with relying_on("Textual gives every fault to `App._handle_exception`", textual_internals):
        with pytest.raises(KeyError):
            await press(app)
        assert isinstance(app.fault, KeyError)
        assert app.return_code == 70


async def test_a_driver_outlives_its_terminal(signals: None, monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def write(self, text: str) -> None:
            raise OSError(errno.EIO, "gone")

        flush = fileno = write

    app = TwoLines()
    async with app.run_test():
        monkeypatch.setattr(sys, "__stderr__", Gone())
        with relying_on("LinuxDriver writes to `_file`, in a thread that ends at the first error", textual_internals):
            driver = TerminalDriver(app)
            driver._writer_thread = WriterThread(driver._file)
            driver._writer_thread.start()
            for _ in range(3 * MAX_QUEUED_WRITES):
                driver.write("text")
            driver.close()


async def test_a_signal_to_continue_waits_for_no_lock_of_the_write_that_it_interrupts(
    signals: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hold the lock of the output, as the app's thread does when the signal comes while it writes."""
    app = TwoLines()
    async with app.run_test() as pilot:
        driver = TerminalDriver(app)
        called: list[str] = []
        monkeypatch.setattr(driver, "suspend_application_mode", lambda: called.append("off") or driver.write("text"))
        monkeypatch.setattr(driver, "resume_application_mode", lambda: called.append("on"))
        driver.holds_terminal = True
        with relying_on("the thread that writes has a queue with a lock", textual_internals):
            driver._writer_thread = WriterThread(driver._file)
            with driver._writer_thread._queue.mutex:
                handler = Thread(target=driver._sigcont_application, daemon=True)
                handler.start()
                handler.join(5)
                is_waiting = handler.is_alive()
        assert not is_waiting
        await pilot.pause()
        assert called == ["off", "on"]
        driver._sigcont_application()
        driver.holds_terminal = False  # the app ends before the loop comes to it
        await pilot.pause()
        assert called == ["off", "on"]
        driver._sigcont_application()  # after Ctrl-Z
        assert called == ["off", "on", "on"]


class TestTheParser:
    def test_keys_and_the_answer_to_a_fence(self) -> None:
        with relying_on("XTermParser makes keys and cursor positions of what a terminal sends", textual_internals):
            parser = XTermParser()
            (key,) = parser.feed("5")
            assert isinstance(key, Key)
            assert key.character == "5"
            (position,) = parser.feed("\x1b[3;7R")
            assert isinstance(position, CursorPosition)

    def test_a_longer_sequence_comes_as_keys(self) -> None:
        with relying_on("XTermParser gives up after its longest sequence, and then gives keys", textual_internals):
            unknown = "\x1b[" + "1;" * LONGEST_SEQUENCE
            messages = list(XTermParser().feed(unknown))
            assert any(isinstance(each, Key) for each in messages)
            assert not list(XTermParser().feed(unknown[:LONGEST_SEQUENCE]))


async def test_cells_notify_only_when_they_are_written() -> None:
    app = TwoLines(Writing)
    async with app.run_test(headless=False, size=(40, 4)) as pilot:
        counting = app.query_one(Counting)
        with relying_on("cells are written by rendering or by iterating over their strip", textual_internals):
            await pilot.pause()
            assert counting.written > 0
        with relying_on("an update of another widget doesn't write these cells", textual_internals):
            written = counting.written
            app.query_one("#other", Static).update("new")
            await pilot.pause()
            assert counting.written == written
        with relying_on("an update of the widget writes its cells again", textual_internals):
            counting.refresh()
            await pilot.pause()
            assert counting.written > written


def test_parts_of_a_strip_notify_too() -> None:
    count: list[int] = []
    strip = NotifyingStrip([Segment("abcdef")], 6, lambda: count.append(1))
    with relying_on("`Strip._segments` holds a strip's segments, and crop and divide make strips", textual_internals):
        parts = [strip.crop(1, 3), *strip.divide([2, 6])]
        assert not count
        assert ["".join(segment.text for segment in part) for part in parts] == ["bc", "ab", "cdef"]
        assert len(count) == 3


async def test_a_widget_that_is_gone_still_knows_its_app() -> None:
    app: App[None] = App()
    gone, done = Event(), Event()
    seen: list[object] = []
    async with app.run_test() as pilot:
        static = Static()
        await app.mount(static)

        def work() -> None:
            try:
                gone.wait(5)
                seen.append(static.app)
            finally:
                done.set()

        run_in_thread(static, work, group="test")
        await pilot.pause()
        await static.remove()
        gone.set()
        await asyncio.to_thread(done.wait, 5)
    assert seen == [app]


@pytest.mark.parametrize(
    ("display", "hides"),
    [
        (Display("kitty"), True),
        (Display("kitty", multiplexer="tmux", uses_placeholders=True), False),  # tmux would take it for a title
        (Display("sixel"), False),
    ],
)
def test_images_of_a_killed_program_are_hidden_at_the_start(
    monkeypatch: pytest.MonkeyPatch, display: Display, hides: bool
) -> None:
    written: list[str] = []
    monkeypatch.setattr(TerminalDriver, "start_application_mode", lambda self: written.append("mode of the app"))
    monkeypatch.setattr(TerminalDriver, "write", lambda self, data: written.append(data))
    monkeypatch.setattr(TerminalDriver, "flush", lambda self: None)
    driver = object.__new__(ListeningDriver)
    driver._app = SimpleNamespace(graphics=display)  # type: ignore[assignment]
    driver.start_application_mode()
    assert written[0] == "mode of the app", "the images are on the app's own screen"
    assert (HIDE_IMAGES in written) is hides

"""Helpers that run the app and operate it by keys alone."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Any

import pytest
from rich.text import Text
from textual.css.stylesheet import Stylesheet
from textual.events import Key
from textual.pilot import Pilot
from textual.widgets import Static
from textual.worker import WorkerCancelled

from ratui.study import Study
from ratui.terminal import Display
from ratui.tui import RatuiApp
from ratui.tui.driver import classify_sequence, tokens_to_keys
from ratui.tui.input.key_queue import KeyBurst
from ratui.tui.input.terminal_input import InputSplitter
from ratui.tui.key_app import KeyApp
from ratui.tui.screens.film_screen import FilmScreen
from ratui.tui.textual_internals import XTermParser
from ratui.tui.theme import KEY
from ratui.tui.tour.tour import Tour
from ratui.tui.user_settings import UserSettings
from ratui.tui.widgets.virtual_list import VirtualList
from tests.tui.snapshots import list_films


@pytest.fixture(scope="session", autouse=True)
def style_sheets_are_parsed_once() -> Iterator[None]:
    """Let all apps of the run share the parsed rules of equal style sheets, which take a tenth of a short test."""
    parsed: dict[tuple[object, ...], Any] = {}
    parse_rules = Stylesheet._parse_rules

    def parse_once(sheet: Stylesheet, *arguments: Any, **named: Any) -> Any:
        key = (arguments, *sorted(named.items()), *sorted(sheet._variables.items()))
        if key not in parsed:
            parsed[key] = parse_rules(sheet, *arguments, **named)
        return parsed[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stylesheet, "_parse_rules", parse_once)
        yield


@asynccontextmanager
async def reading_as(
    study: Study,
    rater: str,
    *,
    size: tuple[int, int] = (80, 24),
    protocol: str = "halfcell",
    case: str | None = None,
    language: str = "en",
    settings: UserSettings | None = None,
    tour: Tour | None = None,
) -> AsyncIterator[Pilot[None]]:
    """Run the app without a terminal in `language`; `settings` replaces the default settings.

    The keys arrive two seconds apart, and a frame counts as painted when it is written.
    """
    settings = settings or UserSettings(language)
    app = RatuiApp(study, rater, Display(protocol), case=case, settings=settings, tour=tour)  # type: ignore[arg-type]
    app.key_queue.reaction_seconds = 0.0
    app.key_queue.time_of = CalmTypist()
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        pilot.press = partial(press_each, app, pilot.press)  # type: ignore[method-assign]
        yield pilot


class CalmTypist:
    """A clock that gives each key a time two seconds after the key before it, and after anything that was painted."""

    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self, key: Key) -> float:
        """Return the time of `key`."""
        self._last = max(self._last, time.monotonic()) + 2.0
        return self._last


async def press_each(app: KeyApp, press: Callable[..., Awaitable[None]], *keys: str) -> None:
    """Press `keys` one after the other. Wait after each key until the app has handled it and has painted the films."""
    for key in keys:
        await press(key)
        await app.key_queue.wait_until_idle()
        await wait_for_films(app)


async def wait_for_films(app: KeyApp) -> None:
    """Wait until the films of the present joint are painted, or cannot be."""
    while isinstance(app.screen, FilmScreen) and app.screen.is_running and app.workers:
        if app.screen.display_watch.find_display_problem() != "not_painted":
            return
        await asyncio.sleep(0.002)


async def type_ahead(pilot: Pilot[None], *keys: str) -> None:
    """Press `keys` all at once, before the screen shows any effect of the first key."""
    app = pilot.app
    assert isinstance(app, RatuiApp)
    for key in keys:
        app.key_queue.put(Key(key, key if len(key) == 1 else None))
    await app.key_queue.wait_until_idle()


class TerminalLine:
    """The path of input bytes from a terminal to the app, as in the driver, but with a simulated clock."""

    def __init__(self, pilot: Pilot[None]) -> None:
        self._pilot = pilot
        self._splitter = InputSplitter(classify_sequence)
        self._parser = XTermParser()
        self.now = 1000.0

    async def send(self, data: str, gap: float = 0.0, rest: float = 1.0) -> None:
        """Send `data` at once, or its characters `gap` seconds apart, then nothing for `rest` seconds."""
        for chunk in data if gap else [data]:
            self._until(self.now + gap)
            for sequence in self._splitter.feed(chunk, self.now):
                for message in self._parser.feed(sequence):
                    self._pilot.app.post_message(message)
            self._take()
        self._until(self.now + rest)
        await settle(self._pilot)
        await settle(self._pilot)

    def _until(self, then: float) -> None:
        while (deadline := self._splitter.deadline) is not None and deadline < then:
            self.now = max(self.now, deadline)
            self._take()
        self.now = then

    def _take(self) -> None:
        while (burst := self._splitter.take(self.now)) is not None:
            keys, others = tokens_to_keys(burst.tokens, self._parser)
            for message in (*others, KeyBurst.from_burst(burst, keys)):
                self._pilot.app.post_message(message)


async def settle(pilot: Pilot[None]) -> None:
    """Wait until keys are handled, films are drawn or cancelled, and messages are processed."""
    if isinstance(pilot.app, KeyApp):
        await pilot.app.key_queue.wait_until_idle()
    await pilot.pause()  # a new screen starts its work when it is mounted
    while pilot.app.workers:
        with suppress(WorkerCancelled):
            await pilot.app.workers.wait_for_complete()
        await pilot.pause()


def label_text(pilot: Pilot[None]) -> str:
    """Return the text of all labels on the screen."""
    return "\n".join(str(widget.render()) for widget in pilot.app.screen.query(Static))


def offered_keys(pilot: Pilot[None]) -> set[str]:
    """Return the keys that the key bar shows."""
    content = pilot.app.screen.query_one("#keys", Static).content
    assert isinstance(content, Text)
    return {content.plain[span.start : span.end].strip() for span in content.spans if span.style == KEY}


def cells(pilot: Pilot[None]) -> str:
    """Return the text of the screen line by line; films appear as ``▀``."""
    lines = ["".join(segment.text for segment in strip) for strip in pilot.app.screen._compositor.render_strips()]
    for row, line in enumerate(lines):
        for left, width in list_films(pilot, row):
            line = f"{line[:left]}{'▀' * width}{line[left + width :]}"
        lines[row] = line.rstrip()
    return "\n".join(lines)


def rows(pilot: Pilot[None]) -> list[str]:
    """Return the visible lines of a list, top to bottom, without the names and the borders of the worklist's groups."""
    seen = pilot.app.screen.query_one(VirtualList)
    lines = ["".join(segment.text for segment in seen.render_line(y)).rstrip() for y in range(seen.size.height)]
    return [line.strip("│").rstrip() for line in lines if line and line[0] not in "─╭╰"]


@contextmanager
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let every save fail."""

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", refuse)
        yield

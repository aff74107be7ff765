"""Run ratui with a fault in it: ``python -m tests.support.faulty_ratui KIND read STUDY …``.

The key ``f`` on the scoring screen sets the fault off. Each fault has ``SECRET^NAME`` in its message, in a local
variable and in an argument, as a fault that meets a patient's film might have.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.events import Key
from textual.screen import Screen
from textual.widgets import Static

from ratui.cli.main import main
from ratui.errors import StudyError
from ratui.tui.app import RatuiApp
from ratui.tui.driver import ListeningDriver
from ratui.tui.screens.scoring.screen import ScoringScreen
from ratui.tui.textual_internals import run_in_thread
from ratui.tui.widgets.film_view import FilmView

SECRET = "SECRET^NAME"


class ShownFault(Exception):
    """A fault that Textual would print as the exception describes itself."""

    def __rich__(self) -> Text:
        return Text(SECRET)


def fail(patient: str = SECRET) -> None:
    name = f"{SECRET} in a local variable"
    raise ValueError(f"the film of {patient} can't be shown: {name}")


async def fail_later() -> None:
    await asyncio.sleep(0.01)
    fail()


def fail_as_shown() -> None:
    raise ShownFault(SECRET)


def fail_with_a_known_error() -> None:
    raise StudyError("the study is gone", "here", "Bring it back")


def fail_when_painting() -> None:
    FilmView.render_line = lambda self, y: fail()  # type: ignore[assignment, method-assign, return-value]


def fail_when_reading_keys() -> None:
    ListeningDriver._dispatch_keys = lambda self, *rest: fail()  # type: ignore[method-assign]


def fail_when_the_app_closes(screen: ScoringScreen) -> None:
    RatuiApp.on_unmount = lambda self: fail()  # type: ignore[method-assign]
    screen.app.exit()


def hang_after_a_fault(screen: ScoringScreen) -> None:
    screen.ratui.end_after_fault(ValueError(SECRET))
    time.sleep(60)


def hang(screen: ScoringScreen) -> None:
    time.sleep(60)


def fail_at_the_next_key(screen: ScoringScreen) -> None:
    screen.ratui.key_queue.time_of = lambda key: fail()  # type: ignore[assignment]
    screen.ratui.key_queue.put(Key("0", "0"))


class FaultyCompose(Screen[None]):
    def compose(self) -> ComposeResult:
        fail()
        yield Static()


class FaultyMount(Screen[None]):
    def on_mount(self) -> None:
        fail()


FAULTS: dict[str, Callable[[ScoringScreen], Any]] = {
    "handler": lambda screen: fail(),
    "shown": lambda screen: screen.call_later(fail_as_shown),
    "known": lambda screen: screen.call_later(fail_with_a_known_error),
    "timer": lambda screen: screen.set_timer(0.01, fail),
    "interval": lambda screen: screen.set_interval(0.01, fail),
    "call_later": lambda screen: screen.call_later(fail),
    "thread": lambda screen: run_in_thread(screen, fail, group="faulty"),
    "worker": lambda screen: screen.run_worker(fail_later()),
    "task": lambda screen: asyncio.create_task(fail_later()),
    "loop": lambda screen: asyncio.get_running_loop().call_later(0.01, fail),
    "keys": fail_at_the_next_key,
    "compose": lambda screen: screen.app.push_screen(FaultyCompose()),
    "mount": lambda screen: screen.app.push_screen(FaultyMount()),
    "render": lambda screen: (fail_when_painting(), screen.refresh(layout=True, recompose=False)),
    "input": lambda screen: fail_when_reading_keys(),
    "close": fail_when_the_app_closes,
    "hang": hang_after_a_fault,
    "hang without a fault": hang,
}


if __name__ == "__main__":
    ScoringScreen.action_flag = FAULTS[sys.argv.pop(1)]  # type: ignore[method-assign, assignment]
    main()

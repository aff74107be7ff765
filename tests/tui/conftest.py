"""Helpers to read by keys alone, as a rater would."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from textual.pilot import Pilot
from textual.widgets import Static

from ratui.study import Study
from ratui.terminal import Display
from ratui.tui import RatuiApp
from ratui.tui.settings import Settings
from ratui.tui.tour import Tour


@asynccontextmanager
async def reading_as(
    study: Study,
    rater: str,
    *,
    size: tuple[int, int] = (80, 24),
    protocol: str = "halfcell",
    case: str | None = None,
    language: str = "en",
    settings: Settings | None = None,
    tour: Tour | None = None,
) -> AsyncIterator[Pilot[None]]:
    """The app, run without a terminal, in `language` and with its own keys unless there are `settings`."""
    settings = settings or Settings(language)
    app = RatuiApp(study, rater, Display(protocol), case=case, settings=settings, tour=tour)  # type: ignore[arg-type]
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield pilot


async def settle(pilot: Pilot[None]) -> None:
    """Waits until films are drawn and messages handled."""
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


def shown(pilot: Pilot[None]) -> str:
    """All text of the screen's labels."""
    return "\n".join(str(widget.render()) for widget in pilot.app.screen.query(Static))


def cells(pilot: Pilot[None]) -> str:
    """The screen as its cells show it, line by line, as a terminal would; films as ``▀``."""
    return "\n".join(
        "".join(segment.text for segment in strip).rstrip() for strip in pilot.app.screen._compositor.render_strips()
    )

"""Work in a thread is completed although the widget that started it was removed."""

from __future__ import annotations

import asyncio
import threading

from textual.app import App
from textual.widgets import Static

from ratui.tui.workers import run_in_thread


async def test_a_widget_that_is_gone_still_knows_its_app() -> None:
    app: App[None] = App()
    gone, done = threading.Event(), threading.Event()
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

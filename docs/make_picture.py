"""Makes ``docs/scoring.svg`` from the real app: ``python docs/make_picture.py``.

The app reads a joint of a simulated patient in a terminal of 118 × 34 characters; its own text and its own images go into
one SVG file that needs no network.
"""

from __future__ import annotations

import asyncio
import base64
import io
import re
import tempfile
from pathlib import Path

from PIL import Image
from textual.events import Key
from textual.pilot import Pilot

from ratui.demo.simulate import Simulation, simulate_study
from ratui.terminal import Display
from ratui.tui import RatuiApp
from ratui.tui.graphics.film_store import ViewRequest
from ratui.tui.widgets.film_view import FilmView

SIZE = (118, 34)
SEED = 26
PRESSED = "/mcp2\r1"
"""To a joint that gets worse; the first of its fields is answered."""
OUT = Path(__file__).parent / "scoring.svg"
CELL = (12.2, 24.4)
"""A character of the terminal as Textual draws it into an SVG."""
FONTS = re.compile(r"@font-face \{.*?\}", re.DOTALL)


def picture(app: RatuiApp) -> str:
    """What the terminal shows now, films and all."""
    drawn = FONTS.sub("", app.export_screenshot(title="ratui"))
    films = "".join(_film(app, view) for view in app.screen.query(FilmView) if isinstance(view.key, ViewRequest))
    head, screen, rest = re.split(r'(<g transform="translate\(9, 41\)" clip-path="[^"]*">)', drawn, maxsplit=1)
    end = rest.rindex("</g>")
    return head + screen + rest[:end] + films + rest[end:]


def _film(app: RatuiApp, view: FilmView) -> str:
    assert isinstance(view.key, ViewRequest)
    buffer = io.BytesIO()
    image: Image.Image = app.film_store.render(view.key)
    image.save(buffer, "PNG", optimize=True)
    region = view.content_region
    place = f'x="{region.x * CELL[0]:.1f}" y="{region.y * CELL[1]:.1f}"'
    size = f'width="{region.width * CELL[0]:.1f}" height="{region.height * CELL[1]:.1f}" preserveAspectRatio="none"'
    return f'<image {place} {size} href="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"/>'


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        what = Simulation(1, {"kei": "shared-shift", "ume": "mixed"}, size=(2000, 1640), seed=SEED, scheme="mtss-hands")
        study = simulate_study(
            Path(folder) / "study", what, key=Path(folder) / "key", progress=lambda *_: None, unread={"ume": 1}
        )
        app = RatuiApp(study, "ume", Display("kitty", (12, 24)))
        async with app.run_test(size=SIZE) as pilot:
            await _settled(pilot)
            for key in ("enter", *("enter" if key == "\r" else key for key in PRESSED)):
                app.key_queue.put(Key(key, key if len(key) == 1 else None))
                await app.key_queue.wait_until_idle()
                await _settled(pilot)
            OUT.write_text(picture(app), encoding="utf-8")


async def _settled(pilot: Pilot[None]) -> None:
    await pilot.pause(1.0)
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


if __name__ == "__main__":
    asyncio.run(main())

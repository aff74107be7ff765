"""A text of which only the changed rows are drawn: the screen shows what it would show if all were."""

from __future__ import annotations

from typing import Any

import pytest
from rich.style import Style
from rich.text import Text
from textual.app import App, ComposeResult
from textual.containers import Horizontal
from textual.pilot import Pilot
from textual.widgets import Static

from ratui.tui.widgets.plain_widgets import PlainHorizontal, TextRows


class Both(App[None]):
    """An app that shows the same text in both widgets."""

    CSS = """
    Screen { layout: horizontal; }
    Static { width: 12; height: 8; padding: 1 0 0 1; color: red; text-wrap: nowrap; text-overflow: ellipsis; }
    .bare { padding: 0; background: #202040; }
    """

    def __init__(self, classes: str = "") -> None:
        super().__init__()
        self.classes_of_both = classes

    def compose(self) -> ComposeResult:
        yield TextRows(id="rows", classes=self.classes_of_both)
        yield Static(id="static", markup=False, classes=self.classes_of_both)

    def show(self, text: Text) -> None:
        self.query_one(TextRows).update(text)
        self.query_one("#static", Static).update(text, layout=False)


def drawn(pilot: Pilot[None]) -> tuple[list[list[Any]], list[list[Any]]]:
    """Return the characters of both widgets on the screen, with their colours."""
    cells = [
        [
            (char, part.style.color if char.strip() else None, part.style.bgcolor, part.style.bold and char.strip())
            for part in strip
            for char in part.text
            if part.style
        ]
        for strip in pilot.app.screen._compositor.render_strips()[:8]
    ]
    return [row[:12] for row in cells], [row[12:24] for row in cells]


TEXTS = [
    "",
    "one\ntwo\nthree",
    "one\n2\nthree",
    "0\n2\nthree\nfour\nfive\nsix\nseven\neight\nnine",
    "0\n2",
]


@pytest.mark.parametrize("hides", [False, True])
async def test_it_shows_what_a_static_shows(hides: bool) -> None:
    app = Both()
    async with app.run_test(size=(30, 10)) as pilot:
        for text in TEXTS + TEXTS[::-1]:
            rows = [Text(row, "bold blue" if number % 2 else "") for number, row in enumerate(text.split("\n"))]
            for each in rows:
                each.no_wrap = True
            app.show(Text("\n", no_wrap=True).join(rows))
            if hides:
                app.query_one(TextRows).display = False
                await pilot.pause()
                app.query_one(TextRows).display = True
            await pilot.pause()
            left, right = drawn(pilot)
            assert left == right, text
            assert "".join(cell[0] for cell in left[1]).strip() == text.split("\n")[0][:11]


async def test_only_changed_rows_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Both()
    async with app.run_test(size=(30, 10)) as pilot:
        app.show(Text("one\ntwo\nthree"))
        await pilot.pause()
        drawn: list[int] = []
        monkeypatch.setattr(
            TextRows, "render_line", lambda self, y, render=TextRows.render_line: drawn.append(y) or render(self, y)
        )
        app.show(Text("one\n2\nthree"))
        await pilot.pause()
        assert drawn == [1]
        app.show(Text("one\n2\nthree"))
        await pilot.pause()
        assert drawn == [1]
        app.query_one(TextRows).refresh()
        await pilot.pause()
        assert set(drawn) == set(range(7))


COLOURED = [
    Text.assemble("a ", ("b", "bold #00ff00"), (" c ", "reverse"), ("d", Style(color="#0000ff", meta={"field": 1}))),
    Text("blue", "#0000ff on #404040"),
    Text("a row that does not fit", "bold #00ff00"),
    Text("red\ttab", "red"),  # a number of the terminal's palette
    Text("\n").join(Text("L", "bold #00ff00") for _ in range(8)),
    Text("joint", "dim #00ff00"),
    Text("joint", "bold #00ff00"),  # another style only
]


async def test_rows_without_padding_look_as_in_a_static() -> None:
    app = Both("bare")
    async with app.run_test(size=(30, 10)) as pilot:
        for text in COLOURED:
            app.show(text)
            await pilot.pause()
            left, right = drawn(pilot)
            assert left == right, text.plain
            assert "".join(str(cell[0]) for cell in left[0]).strip()[0] == text.plain[0]


class Containers(App[None]):
    """An app with a text in each kind of container, whose background is visible at the left."""

    CSS = "Screen { layout: horizontal; } Horizontal { width: 12; background: $panel; } Static { margin: 0 0 0 4; }"

    def compose(self) -> ComposeResult:
        yield PlainHorizontal(TextRows(id="text"))
        yield Horizontal(Static("static"))


async def test_a_plain_container_has_the_background_of_every_theme() -> None:
    app = Containers()
    async with app.run_test(size=(30, 10)) as pilot:
        seen = set()
        for theme in ("textual-dark", "textual-light"):
            app.theme = theme
            await pilot.pause()
            left, right = ([cell[2] for cell in row[:4]] for row in (side[0] for side in drawn(pilot)))
            assert left == right
            seen.add(str(left[0]))
        assert len(seen) == 2


async def test_a_text_that_its_owner_has_changed_is_drawn() -> None:
    app, text = Both("bare"), Text("one")
    async with app.run_test(size=(30, 10)) as pilot:
        app.show(text)
        await pilot.pause()
        text.append(" two")
        app.show(text)
        await pilot.pause()
        rows, static = drawn(pilot)
        assert "".join(cell[0] for cell in rows[0]) == "one two     "
        assert rows == static

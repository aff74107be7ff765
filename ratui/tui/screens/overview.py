"""The whole reading at a glance: both time points, totals, what is missing; and the signature that locks it."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.events import Key
from textual.widgets import DataTable, Static

from ratui.reading import Reading, Slot
from ratui.scheme import Joint
from ratui.tui import text as texts
from ratui.tui.actions import key_name
from ratui.tui.screens.base import KeyScreen

__all__ = ["OverviewScreen"]


class OverviewScreen(KeyScreen):
    """Shows `reading`. Its result is ``"sign"``, the key of a site to go to, or None. Only a `writable` one is signed."""

    NAME = "overview"

    def __init__(self, reading: Reading, *, site: str = "", writable: bool = False) -> None:
        super().__init__()
        self._reading = reading
        self._site = site
        self._writable = writable and reading.signed is None
        parts = {site.part for site in reading.sites}
        self._joints: list[Joint] = [joint for joint in reading.scheme.joints if joint.part in parts]
        self._sides = [side for side in ("L", "R") if any(site.side == side for site in reading.sites)]

    def compose(self) -> ComposeResult:
        yield Static(id="head", classes="line title", markup=False)
        yield DataTable(cursor_type="cell")
        yield Static(id="totals", classes="line", markup=False)
        yield Static(id="message", classes="message", markup=False)
        yield Static(id="keys", classes="line title", markup=False)

    def on_mount(self) -> None:
        self.refill()

    def refill(self) -> None:
        reading = self._reading
        scales = " ".join(reading.scheme.scales)
        self.query_one("#head", Static).update(f" {reading.case} · all joints · {scales}, {self._order()}")
        table = self.query_one(DataTable)
        table.add_column("joint", width=16)
        for side in self._sides:
            table.add_column({"L": "left", "R": "right"}[side], width=26)
        opened = {field.site for field in reading.open_fields}
        for joint in self._joints:
            cells = [Text(joint.label, "#8fb8d8")]
            for side in self._sides:
                key = f"{side}.{joint.id}"
                cells.append(self._cell(key, key in opened) if key in reading.site_keys else Text(""))
            table.add_row(*cells)
        self._place_cursor(table)
        table.focus()
        self.query_one("#totals", Static).update(f" {texts.totals_text(self.t, reading)}")
        self.query_one("#message", Static).update(f" {self._state()}")
        go = "Enter read this joint   " if self._writable else ""
        sign = "S sign   " if self._writable and reading.complete else ""
        self.query_one("#keys", Static).update(f" {go}{sign}? help   Esc back")

    def on_key(self, event: Key) -> None:
        name = key_name(event.character, event.key)
        if name != "enter":  # the table turns Enter into a selected cell
            super().on_key(event)

    def on_data_table_cell_selected(self, event: DataTable.CellSelected) -> None:
        event.stop()
        self.do_go()

    def do_go(self) -> None:
        """To the joint under the cursor."""
        table = self.query_one(DataTable)
        if self._writable and table.cursor_column > 0:
            key = f"{self._sides[table.cursor_column - 1]}.{self._joints[table.cursor_row].id}"
            if key in self._reading.site_keys:
                self.dismiss(key)

    def do_sign(self) -> None:
        if not self._writable:
            self.say("It can't be signed here")
        elif not self._reading.complete:
            self.say(f"{len(self._reading.open_fields)} fields are still open")
        else:
            self.dismiss("sign")

    def do_leave(self) -> None:
        self.dismiss()

    def say(self, text: str) -> None:
        self.query_one("#message", Static).update(f" {text}")

    def _cell(self, key: str, opened: bool) -> Text:
        marks = [finding.label for time in self._reading.order if (finding := self._reading.finding(Slot(key, time)))]
        text = texts.joint_summary(self._reading, key)
        if marks:
            text += f"  {', '.join(dict.fromkeys(marks))}"
        return Text(text, "bold black on #e0b050" if opened else "white")

    def _place_cursor(self, table: DataTable[Text]) -> None:
        opened = self._reading.open_fields
        site = self._reading.site(opened[0].site if opened else self._site or self._reading.sites[0].key)
        table.move_cursor(row=self._joints.index(site.joint), column=1 + self._sides.index(site.side))

    def _order(self) -> str:
        return "◀ then ▶" if self._reading.blinded else "earlier → later"

    def _state(self) -> str:
        reading = self._reading
        if reading.signed:
            return f"signed {reading.signed:%Y-%m-%d %H:%M} UTC: it can be looked at, not changed"
        if not self._writable:
            return "open elsewhere: it can be looked at here, not changed"
        if reading.complete:
            return "Nothing is missing. S signs: the reading is finished and locked"
        return f"{len(reading.open_fields)} fields are still open, marked"

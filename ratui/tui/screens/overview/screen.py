"""The whole reading at a glance: both time points, totals, what is missing; and the signature that locks it.

It changes nothing itself: it tells the screen below where to go on, to sign, or to open a signed reading again.
"""

from __future__ import annotations

from dataclasses import dataclass

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from ratui.reading import LogEntry, Reading, Slot
from ratui.study import HeldByOther
from ratui.tui.entry import text as texts
from ratui.tui.entry.model_comparison import differing, model_text
from ratui.tui.screens.base import KeyScreen
from ratui.tui.screens.overview.case_map import CaseMap, missing_text, totals_lines
from ratui.tui.theme import BRIGHT, KEY, NOTE, PLAIN, QUIET

__all__ = ["LOOK_AGAIN", "SIGN", "TAKE_OVER", "OverviewScreen", "Reopen"]

SIGN = "sign"
LOOK_AGAIN = "look again"
TAKE_OVER = "take over"
_LONGEST_REASON = 120
_LINES = 10
"""How many lines of the screen the map can't have: head, totals, the joint, what is missing, message and keys."""


@dataclass(frozen=True)
class Reopen:
    """A signed reading is to be opened again, because of `why`."""

    why: str


class OverviewScreen(KeyScreen):
    """Shows `reading`, `site` under the cursor. A `writable` one can be signed where `pending`, the number of joints that
    still deserve a second look, is 0.

    `held` says who has it open elsewhere, if somebody has. Its result is SIGN, LOOK_AGAIN, TAKE_OVER, the key of a site to
    go to, a `Reopen`, or None.
    """

    NAME = "overview"
    DEFAULT_CSS = """
    OverviewScreen #bottom { height: 2; dock: bottom; }
    OverviewScreen #totals { height: 4; }
    OverviewScreen #missing { height: auto; max-height: 2; padding: 0 1; }
    """

    def __init__(
        self,
        reading: Reading,
        *,
        site: str = "",
        writable: bool = False,
        pending: int = 0,
        held: HeldByOther | None = None,
    ) -> None:
        super().__init__()
        self._reading = reading
        self._held = held
        self._pending = pending
        self._writable = writable and reading.signed_at is None
        opened = [field.site for field in reading.open_fields]
        self._here = site if site in reading.site_keys else opened[0] if opened else reading.sites[0].key
        if self._writable and opened and self._here not in opened:
            self._here = opened[0]
        self._typed: str | None = None

    def compose(self) -> ComposeResult:
        yield Static(id="head", classes="line title", markup=False)
        yield Static(id="chart")
        yield Static(id="totals")
        yield Static(id="joint", classes="line")
        yield Static(id="missing", markup=False)
        with Vertical(id="bottom"):
            yield Static(id="message", classes="message", markup=False)
            yield Static(id="keys", classes="line title")

    def on_mount(self) -> None:
        self.refill()

    def refill(self) -> None:
        self._model = differing(self.ratui.study, self._reading)
        self._map = CaseMap(self.t, self._reading, self._model)
        self._draw()

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw)

    # Keys.

    def possible(self, name: str) -> bool:
        match name:
            case "sign":
                return self._writable and self._reading.is_complete
            case "look_again":
                return self._writable and self._reading.is_complete
            case "next_open":
                return self._writable and not self._reading.is_complete
            case "reopen":
                return self._reading.signed_at is not None
            case "take_over":
                return (
                    self._held is not None and self._held.holder is not None and self._held.holder.is_dead is not False
                )
        return True

    def entries(self) -> tuple[LogEntry, ...]:
        return self._reading.log

    @property
    def asking(self) -> bool:
        return self._typed is not None

    @property
    def types_text(self) -> bool:
        return self._typed is not None

    def pressed(self, name: str) -> bool:
        if self._typed is not None:
            self._type(self._typed, name)
            return True
        self.say("")
        return super().pressed(name)

    def do_go(self) -> None:
        """To the joint under the cursor: to read it, or to look at it."""
        if self._writable:
            self.dismiss(self._here)
        else:
            self._look()

    def do_sign(self) -> None:
        if not self._writable:
            self.say(self.t("overview.cannot_sign_here"))
        elif not self._reading.is_complete:
            self.say(self.t("overview.still_open", count=len(self._reading.open_fields)))
        else:
            self.dismiss(LOOK_AGAIN if self._pending else SIGN)

    def do_look_again(self) -> None:
        if self.possible("look_again"):
            self.dismiss(LOOK_AGAIN)

    def do_reopen(self) -> None:
        if self._reading.signed_at is None:
            self.say(self.t("overview.only_signed"))
        else:
            self._typed = ""
            self._ask()

    def do_take_over(self) -> None:
        """Reads on here what is open in a session that is gone, or may be."""
        if self.possible("take_over"):
            self.dismiss(TAKE_OVER)

    def do_next_open(self) -> None:
        """To the next joint that has an open field."""
        keys = [site.key for site in self._reading.sites]
        opened = {field.site for field in self._reading.open_fields}
        place = keys.index(self._here)
        following = next((key for key in (*keys[place + 1 :], *keys[: place + 1]) if key in opened), None)
        if following:
            self._here = following
            self._draw()

    def do_left(self) -> None:
        self._step(-1, 0)

    def do_right(self) -> None:
        self._step(1, 0)

    def do_up(self) -> None:
        self._step(0, -1)

    def do_down(self) -> None:
        self._step(0, 1)

    def do_leave(self) -> None:
        self.dismiss()

    def _step(self, across: int, down: int) -> None:
        self._here = self._map.beside(self._here, across, down)
        self._draw()

    def _look(self) -> None:
        from ratui.tui.screens.review.screen import SecondLookScreen

        self.app.push_screen(SecondLookScreen.to_look_at(self.ratui.study, self._reading, self._here))

    # The reason to open it again.

    def _type(self, typed: str, name: str) -> None:
        if name == "escape":
            self._typed = None
            self.say("")
        elif name == "enter":
            why = " ".join(typed.split())
            if why:
                self.dismiss(Reopen(why))
            else:
                self.say(self.t("overview.needs_reason"))
        elif name == "backspace":
            self._typed = typed[:-1]
            self._ask()
        elif (len(name) == 1 or name == "space") and len(typed) < _LONGEST_REASON:
            self._typed = typed + (" " if name == "space" else name)
            self._ask()

    def _ask(self) -> None:
        self.say(self.t("overview.why_reopen", typed=self._typed, enter="Enter", escape="Esc"))

    # Drawing.

    def say(self, text: str) -> None:
        self.query_one("#message", Static).update(f" {text}" if text else "")

    def _draw(self) -> None:
        reading, width = self._reading, self.app.size.width
        title = self.t("overview.title", case=reading.case)
        self.query_one("#head", Static).update(f" {title}{self._state()}")
        self.query_one("#chart", Static).update(self._map_text(width))
        totals = totals_lines(self.t, reading)
        self.query_one("#totals", Static).update(Text("\n").join(totals))
        self.query_one("#joint", Static).update(self._joint())
        self.query_one("#missing", Static).update(Text(self._missing(width)))
        self.query_one("#keys", Static).update(self._keys())

    def _map_text(self, width: int) -> Text:
        """The map; where it is taller than the screen, the part around the cursor."""
        room = max(self.app.size.height - _LINES, 1)
        lines, here = self._map.lines(width, self._here)
        if len(lines) > room:
            lines, here = self._map.lines(width, self._here, airy=False)
        if len(lines) > room:
            first = min(max(here - room // 2, 0), len(lines) - room)
            above, below = first > 0, first + room < len(lines)
            lines = lines[first : first + room]
            if above:
                lines[0] = Text(f" {self.t('overview.more_above')}", QUIET)
            if below:
                lines[-1] = Text(f" {self.t('overview.more_below')}", QUIET)
        self.query_one("#chart").styles.height = min(
            len(lines) + 1, room
        )  # a line apart from the totals, if there is one
        return Text("\n").join(lines)

    def _state(self) -> str:
        reading = self._reading
        if reading.signed_at:
            return f" · {self.t('overview.signed', when=f'{reading.signed_at:%Y-%m-%d %H:%M}')}"
        return "" if self._writable else f" · {self.t('overview.elsewhere')}"

    def _joint(self) -> Text:
        """All that was entered at the joint under the cursor, in words."""
        reading, key = self._reading, self._here
        text = Text(no_wrap=True).append(f" {texts.site_title(self.t, reading.scheme, reading.site(key))}", BRIGHT)
        for place, time in enumerate(reading.order):
            name = texts.side_title(self.t, reading.order, place, reading.is_blinded, None)
            shown = [
                f"{field.scale} {texts.entry_text(self.t, reading, field)}"
                for field in reading.slot_fields(Slot(key, time))
            ]
            text.append(f"   {name} ", QUIET).append(", ".join(shown), PLAIN)
        if key in reading.flags:
            text.append(f"   {self.t('overview.flagged')}", NOTE)
        if key in reading.notes:
            text.append(f"   {self.t('overview.note', text=reading.notes[key])}", PLAIN)
        if key in self._model:
            text.append(f"   ≠ {model_text(self.t, reading, self._model[key])}", NOTE)
        return text

    def _missing(self, width: int) -> str:
        reading = self._reading
        if self._held is not None:
            return str(self._held)
        if not reading.is_complete:
            return missing_text(self.t, reading, width - 2)
        lacking = len(reading.fields) - sum(reading.total(time)[1] for time in reading.order)
        without = self.t("overview.not_assessable", count=lacking) if lacking else ""
        if not self._writable:
            return without
        key = self.ratui.keymap.shown("overview.sign")
        if self._pending:
            return self.t("overview.look_first", count=self._pending, key=key)
        return self.t("overview.nothing_missing", key=key)

    def _keys(self) -> Text:
        text = Text(no_wrap=True)
        for action in self.ratui.keymap.of(self.NAME):
            label = action.label(self.t)
            if action.name == "go" and not self._writable:
                label = self.t("overview.look")
            if label and self.possible(action.name):
                text.append(f" {self.ratui.keymap.shown(action.id)}", KEY).append(f" {label}  ", PLAIN)
        return text

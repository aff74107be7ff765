"""The whole reading at a glance: both time points, totals, what is missing; and the signature that locks it.

It changes nothing itself: it tells the screen below where to go on, to sign, or to open a signed reading again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from ratui.reading import LogEntry, Reading, Slot
from ratui.study import HeldByOther
from ratui.tui.entry import text as texts
from ratui.tui.entry.model_comparison import find_differences, format_model_scores
from ratui.tui.input.actions import Action
from ratui.tui.screens.base import KeyScreen
from ratui.tui.screens.overview.case_map import CaseMap, format_missing, format_totals_table
from ratui.tui.theme import BRIGHT, NOTE, PLAIN, QUIET
from ratui.tui.widgets.key_bar import KeyBar

__all__ = ["GoToSite", "OverviewCommand", "OverviewResult", "OverviewScreen", "Reopen"]

_MAX_REASON_LENGTH = 120
_RESERVED_LINES = 10
"""How many lines of the screen the map can't have: head, totals, the joint, what is missing, message and keys."""


class OverviewCommand(Enum):
    """A decision of the rater about the whole reading."""

    SIGN = "sign"
    REVIEW = "review"
    TAKE_OVER = "take over"


@dataclass(frozen=True)
class GoToSite:
    """A request to go on at the site with the key `site`."""

    site: str


@dataclass(frozen=True)
class Reopen:
    """A request to open a signed reading again, with the rater's reason."""

    reason: str


OverviewResult: TypeAlias = OverviewCommand | GoToSite | Reopen
"""The result of the overview; None where the rater only leaves it."""


class OverviewScreen(KeyScreen[OverviewResult | None]):
    """Shows `reading`, `site` under the cursor. A `writable` one can be signed where `pending`, the number of joints that
    still deserve a second look, is 0.

    `held_by` says who has it open elsewhere, if somebody has. Its result is an `OverviewResult` or None.
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
        held_by: HeldByOther | None = None,
    ) -> None:
        super().__init__()
        self._reading = reading
        self._held_by = held_by
        self._pending = pending
        self._writable = writable and reading.signed_at is None
        opened = [field.site for field in reading.open_fields]
        self._cursor = site if site in reading.site_keys else opened[0] if opened else reading.sites[0].key
        if self._writable and opened and self._cursor not in opened:
            self._cursor = opened[0]
        self._reason: str | None = None

    def compose(self) -> ComposeResult:
        yield Static(id="head", classes="line title", markup=False)
        yield Static(id="chart")
        yield Static(id="totals")
        yield Static(id="joint", classes="line")
        yield Static(id="missing", markup=False)
        with Vertical(id="bottom"):
            yield Static(id="message", classes="message", markup=False)
            yield KeyBar()

    def on_mount(self) -> None:
        self.fill_widgets()

    def fill_widgets(self) -> None:
        self._differences = find_differences(self.ratui.study, self._reading)
        self._map = CaseMap(self.t, self._reading, self._differences)
        self._draw()

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw)

    # Keys.

    def check_action(self, action: str, parameters: tuple[object, ...] = ()) -> bool:
        match action:
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
                    self._held_by is not None
                    and self._held_by.holder is not None
                    and self._held_by.holder.is_dead is not False
                )
        return True

    def log_entries(self) -> tuple[LogEntry, ...]:
        return self._reading.log

    @property
    def is_asking(self) -> bool:
        return self._reason is not None

    @property
    def types_text(self) -> bool:
        return self._reason is not None

    def process_key(self, name: str) -> bool:
        if self._reason is not None:
            self._edit_reason(self._reason, name)
            return True
        self.show_message("")
        return super().process_key(name)

    def action_go(self) -> None:
        """To the joint under the cursor: to read it, or to look at it."""
        if self._writable:
            self.dismiss(GoToSite(self._cursor))
        else:
            self._open_review()

    def action_sign(self) -> None:
        if not self._writable:
            self.show_message(self.t("overview.cannot_sign_here"))
        elif not self._reading.is_complete:
            self.show_message(self.t("overview.still_open", count=len(self._reading.open_fields)))
        else:
            self.dismiss(OverviewCommand.REVIEW if self._pending else OverviewCommand.SIGN)

    def action_look_again(self) -> None:
        if self.check_action("look_again"):
            self.dismiss(OverviewCommand.REVIEW)

    def action_reopen(self) -> None:
        if self._reading.signed_at is None:
            self.show_message(self.t("overview.only_signed"))
        else:
            self._reason = ""
            self._show_prompt()

    def action_take_over(self) -> None:
        """Reads on here what is open in a session that is gone, or may be."""
        if self.check_action("take_over"):
            self.dismiss(OverviewCommand.TAKE_OVER)

    def action_next_open(self) -> None:
        """To the next joint that has an open field."""
        keys = [site.key for site in self._reading.sites]
        opened = {field.site for field in self._reading.open_fields}
        place = keys.index(self._cursor)
        following = next((key for key in (*keys[place + 1 :], *keys[: place + 1]) if key in opened), None)
        if following:
            self._cursor = following
            self._draw()

    def action_left(self) -> None:
        self._step(-1, 0)

    def action_right(self) -> None:
        self._step(1, 0)

    def action_up(self) -> None:
        self._step(0, -1)

    def action_down(self) -> None:
        self._step(0, 1)

    def action_leave(self) -> None:
        self.dismiss()

    def _step(self, across: int, down: int) -> None:
        self._cursor = self._map.find_neighbour(self._cursor, across, down)
        self._draw()

    def _open_review(self) -> None:
        from ratui.tui.screens.review.screen import ReviewScreen

        self.app.push_screen(ReviewScreen.read_only(self.ratui.study, self._reading, self._cursor))

    # The reason to open it again.

    def _edit_reason(self, typed: str, name: str) -> None:
        if name == "escape":
            self._reason = None
            self.show_message("")
        elif name == "enter":
            reason = " ".join(typed.split())
            if reason:
                self.dismiss(Reopen(reason))
            else:
                self.show_message(self.t("overview.needs_reason"))
        elif name == "backspace":
            self._reason = typed[:-1]
            self._show_prompt()
        elif (len(name) == 1 or name == "space") and len(typed) < _MAX_REASON_LENGTH:
            self._reason = typed + (" " if name == "space" else name)
            self._show_prompt()

    def _show_prompt(self) -> None:
        self.show_message(self.t("overview.why_reopen", typed=self._reason, enter="Enter", escape="Esc"))

    # Drawing.

    def _draw(self) -> None:
        reading, width = self._reading, self.app.size.width
        title = self.t("overview.title", case=reading.case)
        self.query_one("#head", Static).update(f" {title}{self._format_state()}")
        self.query_one("#chart", Static).update(self._format_map(width))
        totals = format_totals_table(self.t, reading)
        self.query_one("#totals", Static).update(Text("\n").join(totals))
        self.query_one("#joint", Static).update(self._format_joint())
        self.query_one("#missing", Static).update(Text(self._format_missing(width)))
        self.update_key_bar()

    def _format_map(self, width: int) -> Text:
        """The map; where it is taller than the screen, the part around the cursor."""
        room = max(self.app.size.height - _RESERVED_LINES, 1)
        lines, here = self._map.lines(width, self._cursor)
        if len(lines) > room:
            lines, here = self._map.lines(width, self._cursor, airy=False)
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

    def _format_state(self) -> str:
        reading = self._reading
        if reading.signed_at:
            return f" · {self.t('overview.signed', when=f'{reading.signed_at:%Y-%m-%d %H:%M}')}"
        return "" if self._writable else f" · {self.t('overview.elsewhere')}"

    def _format_joint(self) -> Text:
        """All that was entered at the joint under the cursor, in words."""
        reading, key = self._reading, self._cursor
        text = Text(no_wrap=True).append(
            f" {texts.format_site_title(self.t, reading.scheme, reading.site(key))}", BRIGHT
        )
        for place, time in enumerate(reading.order):
            name = texts.format_time_point(self.t, reading.order, place, reading.is_blinded, None)
            shown = [
                f"{field.scale} {texts.format_field(self.t, reading, field)}"
                for field in reading.slot_fields(Slot(key, time))
            ]
            text.append(f"   {name} ", QUIET).append(", ".join(shown), PLAIN)
        if key in reading.flags:
            text.append(f"   {self.t('overview.flagged')}", NOTE)
        if key in reading.notes:
            text.append(f"   {self.t('overview.note', text=reading.notes[key])}", PLAIN)
        if key in self._differences:
            text.append(f"   ≠ {format_model_scores(self.t, reading, self._differences[key])}", NOTE)
        return text

    def _format_missing(self, width: int) -> str:
        reading = self._reading
        if self._held_by is not None:
            return str(self._held_by)
        if not reading.is_complete:
            return format_missing(self.t, reading, width - 2)
        lacking = len(reading.fields) - sum(reading.total(time)[1] for time in reading.order)
        without = self.t("overview.not_assessable", count=lacking) if lacking else ""
        if not self._writable:
            return without
        key = self.ratui.keymap.key_label("overview.sign")
        if self._pending:
            return self.t("overview.look_first", count=self._pending, key=key)
        return self.t("overview.nothing_missing", key=key)

    def label_of(self, action: Action) -> str:
        is_view = action.name == "go" and not self._writable
        return self.t("overview.look") if is_view else super().label_of(action)

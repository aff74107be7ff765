"""The overview of a reading: all visits, totals, open fields, and the signature that locks the reading.

It changes no reading. Its result tells the screen below what the rater has decided.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.events import Click
from textual.widgets import Static

from ratui.reading import Reading
from ratui.tui.entry.model_comparison import count_unlike_films, find_differences
from ratui.tui.entry.text import clicked_site
from ratui.tui.entry.visit_names import load_visit_names
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.input.actions import Action
from ratui.tui.screens.base import KeyScreen
from ratui.tui.screens.overview.case_map import CaseMap
from ratui.tui.screens.overview.changed_joints import ChangedJoints, find_panel_width
from ratui.tui.screens.overview.text import format_joint_row, format_missing
from ratui.tui.screens.overview.totals import format_totals_table
from ratui.tui.theme import QUIET
from ratui.tui.widgets.joint_space_line import JointSpaceLine
from ratui.tui.widgets.plain_widgets import KeyBar
from ratui.tui.widgets.text_line import TextLine

__all__ = ["GoToSite", "OverviewCommand", "OverviewResult", "OverviewScreen", "Reopen"]

_MAX_REASON_LENGTH = 120
_RESERVED_LINES = 8
"""Number of lines that the map cannot use: head, totals, selected joint, message and keys.

A measured joint space takes one more, and what is open one or two."""


class OverviewCommand(Enum):
    """A decision of the rater about the whole reading."""

    SIGN = "sign"
    REVIEW = "review"
    """Review the joints that need it before signing."""
    TAKE_OVER = "take over"
    """Continue here a reading that is open in another session."""


@dataclass(frozen=True)
class GoToSite:
    """A request to score the site with the key `site`."""

    site: str


@dataclass(frozen=True)
class Reopen:
    """A request to reopen a signed reading, with the rater's reason."""

    reason: str


OverviewResult: TypeAlias = OverviewCommand | GoToSite | Reopen
"""The result of the overview; None where the rater only leaves it."""


class OverviewScreen(KeyScreen[OverviewResult | None]):
    """The screen that shows a whole reading.

    Parameters
    ----------
    reading
        The reading.
    site
        The key of the site to select. If it is empty, the first one with an open field is.
    writable
        Whether the reading can be scored and signed from here.
    closed
        True if it cannot because of the study, as locked or outside of its days, and not because it is open elsewhere.
    pending
        Number of joints that still need a review. The reading is signed without one only if it is 0.
    notice
        Function that returns a message about the whole reading, called with the texts and the width in cells; for example
        who has the reading open in another session. None for no message.
    can_take_over
        Whether the reading can be taken over from another session.
    has_pictures
        False if no film may be shown beside the map, because the films are not those that were read.
    """

    NAME = "overview"
    DEFAULT_CSS = """
    OverviewScreen #bottom { height: 2; dock: bottom; }
    OverviewScreen #body { height: auto; }
    OverviewScreen #left { width: 1fr; height: auto; }
    OverviewScreen #totals { height: 4; }
    OverviewScreen #joint.spaced { margin: 1 0 0 0; }
    OverviewScreen #missing { height: auto; max-height: 2; padding: 0 1; }
    """

    def __init__(
        self,
        reading: Reading,
        *,
        site: str = "",
        writable: bool = False,
        closed: bool = False,
        pending: int = 0,
        notice: Callable[[Catalog, int], str] | None = None,
        can_take_over: bool = False,
        has_pictures: bool = True,
    ) -> None:
        super().__init__()
        self._reading = reading
        self._notice = notice
        self._can_take_over = can_take_over
        self._pending = pending
        self._writable = writable and reading.signed_at is None
        self._is_study_closed = closed
        self._has_pictures = has_pictures and not closed
        open_sites = [field.site for field in reading.open_fields]
        self._site = site if site in reading.site_keys else open_sites[0] if open_sites else reading.sites[0].key
        if self._writable and open_sites and self._site not in open_sites:
            self._site = open_sites[0]
        self._reason: str | None = None
        """The reason to reopen the reading so far; None while it is not asked for."""

    def compose(self) -> ComposeResult:
        """Make the widgets: head, map, totals, selected joint, open fields, message and keys."""
        yield Static(id="head", classes="line title", markup=False)
        with Horizontal(id="body"):
            with Vertical(id="left"):
                yield Static(id="chart")
                yield Static(id="totals")
            if self._has_pictures:
                ratui = self.ratui
                graphics, cache = ratui.graphics, ratui.frame_cache
                panel = ChangedJoints(ratui.study, self._reading, ratui.film_store, graphics, cache)
                panel.display = False  # until it is known whether there is room, so that no picture is made in vain
                yield panel
        yield Static(id="joint", classes="line")
        yield JointSpaceLine(self.ratui.study, self._reading, self._draw)
        yield Static(id="missing", markup=False)
        with Vertical(id="bottom"):
            yield Static(id="message", classes="message", markup=False)
            yield TextLine()
            yield KeyBar()

    def on_mount(self) -> None:
        """Draw the reading."""
        self.fill_widgets()

    def fill_widgets(self) -> None:
        """Fill the widgets in the app's present language."""
        self._differences = find_differences(self.ratui.study, self._reading)
        self._unlike, self._judged = count_unlike_films(self.ratui.study, self._reading)
        self._visits = load_visit_names(self.ratui.study, self.ratui.study.case(self._reading.case))
        self._map = CaseMap(self.t, self._reading, self._differences)
        self._draw()

    def on_resize(self) -> None:
        """Fit the screen to its new size."""
        self.call_after_refresh(self._draw)

    # Keys.

    def check_action(self, action: str, parameters: tuple[object, ...] = ()) -> bool:
        """Return whether `action` is possible with this reading."""
        match action:
            case "sign" | "review":
                return self._writable and self._reading.is_complete
            case "next_open":
                return self._writable and not self._reading.is_complete
            case "reopen":
                return self._reading.signed_at is not None
            case "take_over":
                return self._can_take_over
        return True

    @property
    def is_asking(self) -> bool:
        """True while the reason to reopen the reading is asked for."""
        return self._reason is not None

    @property
    def types_text(self) -> bool:
        """True while the reason to reopen the reading is typed."""
        return self._reason is not None

    def process_key(self, name: str) -> bool:
        """Do what the key `name` stands for; while a reason is typed, Enter ends it and Esc discards it."""
        if self._reason is not None:
            self._end_reason(self._reason, name)
            return True
        self.show_message("")
        return super().process_key(name)

    def action_go(self) -> None:
        """Go to the selected joint: to score it, or to look at it."""
        if self._writable:
            self.dismiss(GoToSite(self._site))
        else:
            self._open_review()

    def action_sign(self) -> None:
        """Sign the reading, or start the review if joints still need one."""
        if not self._writable:
            self.show_message(self.t("overview.cannot_sign_here"))
        elif not self._reading.is_complete:
            self.show_message(self.t("overview.still_open", count=len(self._reading.open_fields)))
        else:
            self.dismiss(OverviewCommand.REVIEW if self._pending else OverviewCommand.SIGN)

    def action_review(self) -> None:
        """Start the review."""
        if self.check_action("review"):
            self.dismiss(OverviewCommand.REVIEW)

    def action_reopen(self) -> None:
        """Ask for the reason to reopen the signed reading."""
        if self._reading.signed_at is None:
            self.show_message(self.t("overview.only_signed"))
        else:
            self._ask_reason()

    def action_take_over(self) -> None:
        """Continue here a reading that is open in another session, which becomes read-only."""
        if self.check_action("take_over"):
            self.dismiss(OverviewCommand.TAKE_OVER)

    def action_next_open(self) -> None:
        """Select the next joint with an open field."""
        keys = [site.key for site in self._reading.sites]
        open_sites = {field.site for field in self._reading.open_fields}
        index = keys.index(self._site)
        upcoming = next((key for key in (*keys[index + 1 :], *keys[: index + 1]) if key in open_sites), None)
        if upcoming:
            self._site = upcoming
            self._draw()

    def action_left(self) -> None:
        """Select the joint to the left."""
        self._step(-1, 0)

    def action_right(self) -> None:
        """Select the joint to the right."""
        self._step(1, 0)

    def action_up(self) -> None:
        """Select the joint above."""
        self._step(0, -1)

    def action_down(self) -> None:
        """Select the joint below."""
        self._step(0, 1)

    def action_leave(self) -> None:
        """Leave the overview."""
        self.dismiss()

    def on_click(self, event: Click) -> None:
        """Select the joint under the mouse; go to it if it was selected before."""
        site = clicked_site(event.style)
        if site is None or self.is_asking:
            return
        if site == self._site:
            self.action_go()
        else:
            self._site = site
            self._draw()

    def _step(self, across: int, down: int) -> None:
        self._site = self._map.find_neighbour(self._site, across, down)
        self._draw()

    def _open_review(self) -> None:
        from ratui.tui.screens.review.read_only import make_read_only_review

        joint_space = self.query_one(JointSpaceLine).changes
        self.app.push_screen(make_read_only_review(self.ratui.study, self._reading, self._site, joint_space))

    # The reason to reopen the reading.

    def _ask_reason(self) -> None:
        self._reason = ""
        line = self.query_one(TextLine)
        self.query_one("#message").display = False
        line.open(self.t("overview.why_reopen"), "", _MAX_REASON_LENGTH, self._set_reason)
        line.show_hint(self.t("overview.reopen_keys", enter="Enter", escape="Esc"))

    def _set_reason(self, text: str) -> None:
        self._reason = text

    def _end_reason(self, typed: str, name: str) -> None:
        reason = " ".join(typed.split())
        if name == "enter" and reason:
            self.dismiss(Reopen(reason))
        elif name == "enter":
            self.query_one(TextLine).show_hint(self.t("overview.needs_reason"))
        elif name == "escape":
            self._reason = None
            self.query_one(TextLine).close()
            self.query_one("#message").display = True
            self.show_message("")

    # Drawing.

    def _draw(self) -> None:
        if not self.has_widgets:
            return
        reading, width = self._reading, self.app.size.width
        title = self.t("overview.title", case=reading.case)
        self.query_one("#head", Static).update(f" {title}{self._format_state()}")
        missing = self._format_missing(width)
        self._draw_body(width, missing)
        self.query_one("#joint", Static).update(
            format_joint_row(self.t, reading, self._site, self._visits, self._differences.get(self._site, ()), width)
        )
        self.query_one(JointSpaceLine).show_visits(self.t, reading, self._visits, self._site)
        line = self.query_one("#missing", Static)
        line.display = bool(missing)
        line.update(Text(missing))
        self.update_key_bar()

    def _draw_body(self, width: int, missing: str) -> None:
        """Draw the map and the totals, above `missing`, and the joints that differ most beside them if there is room."""
        below = min(len(Text(missing).wrap(self.app.console, width - 2)), 2) if missing else 0
        reserved = _RESERVED_LINES + below + self.query_one(JointSpaceLine).display
        room = max(self.app.size.height - reserved, 1)
        panel = next(iter(self.query(ChangedJoints)), None)
        is_shown = panel is not None and bool(panel.changes) and self.ratui.graphics.can_show_films
        aside = find_panel_width(width, room - 1) if is_shown else 0
        self.query_one("#chart", Static).update(self._format_map(width - aside, room))
        totals = format_totals_table(self.t, self._reading, self._visits, width - aside)
        self.query_one("#totals", Static).update(Text("\n").join(totals))
        if panel is not None:
            panel.display = bool(aside)
        if panel is not None and aside:
            panel.show(self.t, self._visits, self._site, (aside, room - 1 + len(totals)))

    def _format_map(self, width: int, room: int) -> Text:
        """Return the map: drawn where there is room; if it is taller than `room`, the part around the selected joint."""
        drawn = self._map.drawn_lines(width, room - 1, self._site)
        if drawn is not None:
            self._set_map_height(min(len(drawn) + 1, room - 1), room)
            return Text("\n").join(drawn)
        lines, selected = self._map.lines(width, self._site)
        if len(lines) > room:
            lines, selected = self._map.lines(width, self._site, is_spaced=False)
        if len(lines) > room:
            first = min(max(selected - room // 2, 0), len(lines) - room)
            has_above, has_below = first > 0, first + room < len(lines)
            lines = lines[first : first + room]
            if has_above:
                lines[0] = Text(f" {self.t('overview.more_above')}", QUIET)
            if has_below:
                lines[-1] = Text(f" {self.t('overview.more_below')}", QUIET)
        self._set_map_height(min(len(lines) + 1, room), room)
        return Text("\n").join(lines)

    def _set_map_height(self, height: int, room: int) -> None:
        """Set the height of the map, with empty lines above the totals and above the selected joint if they fit."""
        self.query_one("#chart").styles.height = height
        self.query_one("#joint").set_class(height < room, "spaced")

    def _format_state(self) -> str:
        reading = self._reading
        if reading.signed_at:
            state = f" · {self.t('overview.signed', when=f'{reading.signed_at:%Y-%m-%d %H:%M}')}"
            if self._unlike:
                state += f" · {self.t('overview.unlike', count=self._unlike, total=self._judged)}"
            return state
        elsewhere = "overview.closed" if self._is_study_closed else "overview.elsewhere"
        return "" if self._writable else f" · {self.t(elsewhere)}"

    def _format_missing(self, width: int) -> str:
        """Return the open fields, or what has to be done before the signature."""
        reading = self._reading
        if self._notice is not None:
            return self._notice(self.t, width - 2)
        if not reading.is_complete:
            return format_missing(self.t, reading, width - 2)
        missing = len(reading.fields) - sum(reading.total(time)[1] for time in reading.order)
        note = self.t("overview.not_assessable", count=missing) if missing else ""
        if not self._writable:
            return note
        key = self.ratui.keymap.key_label("overview.sign")
        if self._pending:
            return self.t("overview.review_first", count=self._pending, key=key)
        return self.t("overview.nothing_missing", key=key)

    def label_of(self, action: Action) -> str:
        """Return the label of `action`; a reading that cannot be changed is looked at, not scored."""
        is_view = action.name == "go" and not self._writable
        return self.t("overview.show_joint") if is_view else super().label_of(action)

"""Joint by joint, both time points side by side: the screen that asks for one field at a time.

What is asked and what a key says to it is the `ScoringSession`'s, what is said where is `scoring_text`'s; here they meet the
films.
"""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.events import Resize
from textual.widgets import Static

from ratui.tui.entry import text as texts
from ratui.tui.screens.case_flow import CaseFlow
from ratui.tui.screens.scoring.hand_map import draw_hand_map
from ratui.tui.screens.scoring.text import format_field_line, format_head, format_key_lines, format_status
from ratui.tui.theme import ALARM, NOTE, QUIET
from ratui.tui.widgets.joint_viewer import JointViewer
from ratui.tui.widgets.key_bar import KeyBar

__all__ = ["ScoringScreen"]

_PREPARED_JOINTS = 2
"""How many joints are prepared while one is read."""
_MAP_FROM, _MAP_WIDTH = 104, 30
"""The map is for terminals of that many columns; the films never give way to it."""


class ScoringScreen(CaseFlow):
    """Scores one case, field by field."""

    NAME = "scoring"
    HAS_TOUR = True
    CSS = """
    ScoringScreen .edge { width: 1; height: 1fr; }
    ScoringScreen #map { width: 30; }
    ScoringScreen #keys { height: 4; }
    """

    _asked = 0
    """The film that the waiting field belongs to: where only one is shown, it is that one."""

    def compose(self) -> ComposeResult:
        ratui = self.ratui
        yield Static(id="head", classes="line", markup=False)
        with Horizontal(classes="films"):
            yield Static(id="edgeL", classes="edge", markup=False)
            yield JointViewer(ratui.graphics, ratui.frame_cache, ratui.film_store, id="joint")
            yield Static(id="edgeR", classes="edge", markup=False)
            yield Static(id="map")
        yield Static(id="message", classes="message", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        self._arrange()

    def on_resize(self, event: Resize) -> None:
        self._arrange()
        self.call_after_refresh(self._draw)

    def _arrange(self) -> None:
        self.query_one("#map").display = self.app.size.width >= _MAP_FROM

    def redraw(self) -> None:
        self._draw()

    # Keys.

    def process_key(self, name: str) -> bool:
        if self._scoring_session is None:
            return super().process_key(name)
        self._message = ""
        site = self._scoring_session.site
        if self._scoring_session.process_key(name):
            self._answered(site)
            return True
        if super().process_key(name):
            return True
        if len(name) == 1:
            self._scoring_session.explain_refusal(name, self._explain_other_screen(name))
            self._draw()
            return True
        return False

    def _explain_other_screen(self, name: str) -> str:
        """Where the key `name` does something if not here: who is done looks for the signature's key."""
        keymap = self.ratui.keymap
        if name != keymap.key("overview.sign"):
            return ""
        return self.t("scoring.sign_there", key=name, overview=keymap.key_label("scoring.overview"))

    def perform(self, name: str) -> None:
        site = self._scoring_session.site if self._scoring_session else ""
        super().perform(name)
        if site:
            self._answered(site)

    def _answered(self, before: str) -> None:
        """Shows what the conversation has come to; `before` is the site that was asked about."""
        session = self.scoring_session
        if session.site != before:
            self.joint_viewer.set_whole_film(False)
            if self.joint_viewer.mode == "difference":
                self.joint_viewer.set_mode("pair")
        self._draw()
        if session.is_finished:
            session.is_finished = False
            self._finish()

    # What help, the list of commands, the tour and a change of language ask.

    @property
    def is_asking(self) -> bool:
        return self._scoring_session is not None and self._scoring_session.mode != "entry"

    @property
    def types_text(self) -> bool:
        return self._scoring_session is not None and self._scoring_session.mode in ("go_to", "note")

    def check_action(self, action: str, parameters: tuple[object, ...] = ()) -> bool:
        """Whether the action `action` would do something now."""
        if self._scoring_session is None:
            return action in ("help", "leave")
        return self._scoring_session.is_possible(action)

    def fill_widgets(self) -> None:
        if self._scoring_session is not None:
            self._scoring_session.t = self.t
        self._arrange()
        self._draw()

    # Actions.

    def action_normal(self) -> None:
        self.scoring_session.enter_normal()

    def action_same(self) -> None:
        self.scoring_session.enter_same()

    def action_undo(self) -> None:
        self.scoring_session.undo()

    def action_clear(self) -> None:
        self.scoring_session.clear()

    def action_reasons(self) -> None:
        self.scoring_session.ask_reason()

    def action_flag(self) -> None:
        self.scoring_session.toggle_flag()

    def action_note(self) -> None:
        self.scoring_session.ask_note()

    def action_go_to(self) -> None:
        self.scoring_session.ask_joint()

    def action_previous_joint(self) -> None:
        self.scoring_session.move_by(-1)

    def action_next_joint(self) -> None:
        self.scoring_session.move_by(1)

    def action_next_field(self) -> None:
        self.scoring_session.next_field()

    # Drawing.

    def _draw(self) -> None:
        if self._scoring_session is None or self._films is None or not self.is_attached:
            return
        t, session, reading, width = self.t, self._scoring_session, self.reading, self.app.size.width
        site = reading.site(session.site)
        if self.asked_place != self._asked:
            self._asked = self.asked_place
            self.joint_viewer.show_film(self._asked)
        keys = [each.key for each in reading.sites]
        start = keys.index(session.site)
        self.joint_viewer.show(self._films, session.site, keys[start + 1 : start + 1 + _PREPARED_JOINTS])
        coarse = self.check_coarse()
        self._auto_saver.current_display = self.best_resolution(session.site)
        self._put("head", format_head(t, self._case.id, session, width))
        for side in ("L", "R"):
            self._put(f"edge{side}", texts.format_edge(side, site.side, self.app.size.height))
        for place, point in enumerate(reading.order):
            record = self._films.record(site.key, place)
            title = texts.format_time_point(t, reading.order, place, reading.is_blinded, record.day if record else None)
            if record is None:
                title += f" · {t('text.not_on_film')}"
            else:
                title = self.format_film_title(place, title, site.key, coarse)
            asked = any(field.time == point for field in session.waiting_fields)
            self.joint_viewer.set_title(place, texts.format_title(title, asked))
            self.joint_viewer.set_line(place, format_field_line(t, session, point))
        self._draw_message(width)
        self.update_key_bar()
        if self.query_one("#map").display:
            height = self.query_one("#map").size.height or 20
            self._put("map", draw_hand_map(t, reading, session.site, _MAP_WIDTH - 2, height))

    def format_keys(self) -> Text:
        keymap, width = self.ratui.keymap, self.app.size.width
        return format_key_lines(self.t, self.scoring_session, keymap, self.check_action, width)

    def _draw_message(self, width: int) -> None:
        """On the left what is said, on the right that it is saved; what isn't saved is said on all of the line."""
        t, auto_saver = self.t, self._auto_saver
        if auto_saver.save_error and not self._message:
            text = Text(f" {t('scoring.not_saved', why=auto_saver.save_error)}", ALARM)
        else:
            self._warned = self._warned and bool(auto_saver.save_error)
            said = self._message or self.scoring_session.message
            left = Text(f" {said}", NOTE) if said else format_status(t, self.scoring_session)
            saved = (
                f"{t('scoring.saved', time=format(auto_saver.saved_at, '%H:%M:%S'))} " if auto_saver.saved_at else ""
            )
            text = texts.join_ends(left, Text(saved, QUIET), width)
        self._put("message", text)

    def _put(self, id: str, text: Text) -> None:
        """Shows `text` where it isn't shown yet. No place on this screen grows with its text: nothing is laid out anew."""
        static = self.query_one(f"#{id}", Static)
        if static.content != text:
            static.update(text, layout=False)

    def on_joint_viewer_failed(self, event: JointViewer.Failed) -> None:
        self.show_message(event.why)

    def show_message(self, text: str) -> None:
        self._message = text
        if self._scoring_session is not None:
            self._draw_message(self.app.size.width)

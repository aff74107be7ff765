"""Joint by joint, both time points side by side: the screen that asks for one field at a time.

What is asked and what a key says to it is the `Conversation`'s, what is said where is `scoring_text`'s; here they meet the
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
from ratui.tui.screens.scoring.hand_map import hand_map
from ratui.tui.screens.scoring.text import head_text, keys_lines, line_text, status_text
from ratui.tui.theme import ALARM, NOTE, QUIET
from ratui.tui.widgets.joint_viewer import JointFilms

__all__ = ["ScoringScreen"]

_AHEAD = 2
"""How many joints are prepared while one is read."""
_MAP_FROM, _MAP_WIDTH = 104, 30
"""The map is for terminals of that many columns; the films never give way to it."""


class ScoringScreen(CaseFlow):
    """Scores one case, field by field."""

    NAME = "scoring"
    GUIDED = True
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
            yield JointFilms(ratui.graphics, ratui.frames, ratui.library, id="joint")
            yield Static(id="edgeR", classes="edge", markup=False)
            yield Static(id="map")
        yield Static(id="message", classes="message", markup=False)
        yield Static(id="keys", classes="keys")

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

    def pressed(self, name: str) -> bool:
        if self._talk is None:
            return super().pressed(name)
        self._said = ""
        site = self._talk.site
        if self._talk.key(name):
            self._answered(site)
            return True
        if super().pressed(name):
            return True
        if len(name) == 1:
            self._talk.refuse(name, self._elsewhere(name))
            self._draw()
            return True
        return False

    def _elsewhere(self, name: str) -> str:
        """Where the key `name` does something if not here: who is done looks for the signature's key."""
        keymap = self.ratui.keymap
        if name != keymap.key("overview.sign"):
            return ""
        return self.t("scoring.sign_there", key=name, overview=keymap.shown("scoring.overview"))

    def perform(self, name: str) -> None:
        site = self._talk.site if self._talk else ""
        super().perform(name)
        if site:
            self._answered(site)

    def _answered(self, before: str) -> None:
        """Shows what the conversation has come to; `before` is the site that was asked about."""
        talk = self.talk
        if talk.site != before:
            self.joint_films.show_whole(False)
            if self.joint_films.mode == "difference":
                self.joint_films.set_mode("pair")
        self._draw()
        if talk.ended:
            talk.ended = False
            self._finish()

    # What help, the list of commands, the tour and a change of language ask.

    @property
    def asking(self) -> bool:
        return self._talk is not None and self._talk.mode != "entry"

    @property
    def types_text(self) -> bool:
        return self._talk is not None and self._talk.mode in ("go_to", "note")

    def possible(self, name: str) -> bool:
        """Whether the action `name` would do something now."""
        if self._talk is None:
            return name in ("help", "leave")
        return self._talk.possible(name)

    def refill(self) -> None:
        if self._talk is not None:
            self._talk.t = self.t
        self._arrange()
        self._draw()

    # Actions.

    def do_normal(self) -> None:
        self.talk.normal()

    def do_same(self) -> None:
        self.talk.same()

    def do_undo(self) -> None:
        self.talk.undo()

    def do_clear(self) -> None:
        self.talk.clear()

    def do_reasons(self) -> None:
        self.talk.ask_why()

    def do_flag(self) -> None:
        self.talk.flag()

    def do_note(self) -> None:
        self.talk.ask_note()

    def do_go_to(self) -> None:
        self.talk.ask_where()

    def do_previous_joint(self) -> None:
        self.talk.step(-1)

    def do_next_joint(self) -> None:
        self.talk.step(1)

    def do_next_field(self) -> None:
        self.talk.next_field()

    # Drawing.

    def _draw(self) -> None:
        if self._talk is None or self._films is None or not self.is_attached:
            return
        t, talk, reading, width = self.t, self._talk, self.reading, self.app.size.width
        site = reading.site(talk.site)
        if self.place_asked != self._asked:
            self._asked = self.place_asked
            self.joint_films.turn_to(self._asked)
        keys = [each.key for each in reading.sites]
        start = keys.index(talk.site)
        self.joint_films.show(self._films, talk.site, keys[start + 1 : start + 1 + _AHEAD])
        coarse = self.coarse()
        self._keeper.seen = self.measured(talk.site)
        self._put("head", head_text(t, self._case.id, talk, width))
        for side in ("L", "R"):
            self._put(f"edge{side}", texts.edge_text(side, site.side, self.app.size.height))
        for place, point in enumerate(reading.order):
            record = self._films.record(site.key, place)
            title = texts.side_title(t, reading.order, place, reading.is_blinded, record.day if record else None)
            if record is None:
                title += f" · {t('text.not_on_film')}"
            else:
                title = self.film_title(place, title, site.key, coarse)
            asked = any(field.time == point for field in talk.waiting)
            self.joint_films.title(place, texts.title_text(title, asked))
            self.joint_films.line(place, line_text(t, talk, point))
        self._draw_message(width)
        self._put("keys", keys_lines(t, talk, self.ratui.keymap, self.possible, width))
        if self.query_one("#map").display:
            height = self.query_one("#map").size.height or 20
            self._put("map", hand_map(t, reading, talk.site, _MAP_WIDTH - 2, height))

    def _draw_message(self, width: int) -> None:
        """On the left what is said, on the right that it is saved; what isn't saved is said on all of the line."""
        t, keeper = self.t, self._keeper
        if keeper.refusal and not self._said:
            text = Text(f" {t('scoring.not_saved', why=keeper.refusal)}", ALARM)
        else:
            self._warned = self._warned and bool(keeper.refusal)
            said = self._said or self.talk.told
            left = Text(f" {said}", NOTE) if said else status_text(t, self.talk)
            saved = f"{t('scoring.saved', time=format(keeper.saved_at, '%H:%M:%S'))} " if keeper.saved_at else ""
            text = texts.ends(left, Text(saved, QUIET), width)
        self._put("message", text)

    def _put(self, id: str, text: Text) -> None:
        """Shows `text` where it isn't shown yet. No place on this screen grows with its text: nothing is laid out anew."""
        static = self.query_one(f"#{id}", Static)
        if static.content != text:
            static.update(text, layout=False)

    def on_joint_films_failed(self, event: JointFilms.Failed) -> None:
        self.say(event.why)

    def say(self, text: str) -> None:
        self._said = text
        if self._talk is not None:
            self._draw_message(self.app.size.width)

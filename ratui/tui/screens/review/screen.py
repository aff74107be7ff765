"""Once more through the joints that deserve it, the worst first, before signing: Enter keeps, a number changes.

What deserves it comes from `ratui.reading.review`, what a key enters is the `Conversation`'s; neither is decided here,
and nothing is signed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.events import Resize
from textual.widgets import Static

from ratui import reading as rd
from ratui.reading import Field, LogEntry, Reading, ReviewItem
from ratui.study import Study
from ratui.study.predictions import Prediction
from ratui.tui.entry import text as texts
from ratui.tui.entry.autosave import Keeper
from ratui.tui.entry.model_comparison import differing, model_text
from ratui.tui.entry.review_queue import Review, field_to_change, reasons_text
from ratui.tui.entry.scoring_session import Conversation
from ratui.tui.graphics.viewport import CaseFilms, case_films
from ratui.tui.input.actions import entry_keys
from ratui.tui.screens.film_screen import LookingScreen
from ratui.tui.screens.review.text import head_line, keys_lines
from ratui.tui.screens.scoring.text import line_text, status_text
from ratui.tui.theme import ALARM, BRIGHT, NOTE
from ratui.tui.widgets.joint_viewer import JointFilms

__all__ = ["SecondLookScreen"]

_AHEAD = 3
_CHANGING = ("keep", "reasons", "flag", "note", "undo", "next_field")


class SecondLookScreen(LookingScreen):
    """Goes through `looks` of `reading`. Without a `keeper`, which saves what is changed, it is to look at only.
    `model` is what a scorer says of some sites, for a signed reading.

    Its result is None when all were kept or changed, or the key of the site at which the rater left.
    """

    NAME = "second_look"
    CSS = """
    SecondLookScreen .edge { width: 1; height: 1fr; }
    SecondLookScreen #keys { height: 4; }
    """

    def __init__(
        self,
        films: CaseFilms,
        reading: Reading,
        looks: Sequence[ReviewItem],
        *,
        keeper: Keeper | None = None,
        review: Review | None = None,
        place: int = 0,
        model: Mapping[str, Sequence[Prediction]] | None = None,
    ) -> None:
        super().__init__()
        self._model = model or {}
        self._films = films
        self._reading = reading
        self._looks = tuple(looks)
        self._keeper = keeper
        self._review = review or Review()
        self._begun = len(reading.log)
        self._place = place
        self._talk: Conversation | None = None

    @classmethod
    def to_look_at(cls, study: Study, reading: Reading, site: str) -> SecondLookScreen:
        """All joints of `reading`, `site` first on the screen, nothing to be changed. Raises StudyError."""
        films = case_films(study, study.case(reading.case), reading.order)
        special = {look.site: look for look in rd.review_items(reading)}
        looks = [special.get(each.key, ReviewItem(each.key, ())) for each in reading.sites]
        place = [look.site for look in looks].index(site)
        return cls(films, reading, looks, place=place, model=differing(study, reading))

    def compose(self) -> ComposeResult:
        ratui = self.ratui
        yield Static(id="head", classes="line", markup=False)
        yield Static(id="why", classes="line", markup=False)
        with Horizontal(classes="films"):
            yield Static(id="edgeL", classes="edge", markup=False)
            yield JointFilms(ratui.graphics, ratui.frames, ratui.library, id="joint")
            yield Static(id="edgeR", classes="edge", markup=False)
        yield Static(id="message", classes="message", markup=False)
        yield Static(id="keys", classes="keys")

    def on_mount(self) -> None:
        self.joint_films.sight = self.remembered()
        if self._keeper is not None:
            self._talk = Conversation(self._keeper, self.ratui.keymap, self.t)
            self._talk.field = field_to_change(self.reading, self.look)
        self._draw()

    def refill(self) -> None:
        if self._talk is not None:
            self._talk.t = self.t
        self._draw()

    def on_resize(self, event: Resize) -> None:
        self.call_after_refresh(self._draw)

    def on_joint_films_failed(self, event: JointFilms.Failed) -> None:
        self.say(event.why)

    @property
    def look(self) -> ReviewItem:
        """The joint that is on the screen, and why."""
        return self._looks[self._place]

    @property
    def reading(self) -> Reading:
        """The reading as it stands."""
        return self._keeper.reading if self._keeper else self._reading

    @property
    def field(self) -> Field | None:
        """The field that a number changes; None where there is only something to look at."""
        return self._talk.field if self._talk else None

    # What help, the list of commands and the tour ask.

    def possible(self, name: str) -> bool:
        if name in _CHANGING and self._talk is None:
            return False
        match name:
            case "undo":
                return self._undoable() is not None
            case "reasons":
                return self._talk is not None and bool(self._talk.options.reasons)
            case "back":
                return self._place > 0
            case "forward":
                return self._place + 1 < len(self._looks)
        return True

    def entries(self) -> tuple[LogEntry, ...]:
        return self.reading.log

    @property
    def asking(self) -> bool:
        return self._talk is not None and self._talk.mode != "entry"

    @property
    def types_text(self) -> bool:
        return self._talk is not None and self._talk.mode in ("go_to", "note")

    # Keys.

    def pressed(self, name: str) -> bool:
        self._said = ""
        done = self._took(name)
        if self.is_current:
            self._draw()
        return done

    def _took(self, name: str) -> bool:
        talk = self._talk
        if talk is None:
            return super().pressed(name)
        if talk.mode == "entry":
            entry = entry_keys(self.reading.scheme, talk.options).get(name)
            if entry is not None and entry == self.reading.values.get(talk.field):
                self.do_keep()
                return True
        before = self.reading
        if talk.key(name):
            if self.reading.values != before.values:
                self._changed()
            return True
        if super().pressed(name):
            return True
        if len(name) == 1:
            talk.refuse(name)
        return len(name) == 1

    def perform(self, name: str) -> None:
        super().perform(name)
        if self.is_current:
            self._draw()

    def do_keep(self) -> None:
        """The joint stands as it is; on to the next."""
        if self._talk is None:
            self.do_forward()
        elif not self._asks_for_open():
            self._review.keep(self.reading, self.look.site)
            self._on()

    def do_forward(self) -> None:
        self._go(self._place + 1)

    def do_back(self) -> None:
        self._go(self._place - 1)

    def do_next_field(self) -> None:
        if self._talk is not None:
            self._talk.next_field()

    def do_reasons(self) -> None:
        if self._talk is not None:
            self._talk.ask_why()

    def do_flag(self) -> None:
        if self._talk is not None:
            self._talk.flag()

    def do_note(self) -> None:
        if self._talk is not None:
            self._talk.ask_note()

    def do_undo(self) -> None:
        """Takes back the last change that was made here, and shows the joint it was made at."""
        last = self._undoable()
        if self._talk is None or last is None:
            self._said = self.t("second_look.nothing_to_undo")
            return
        self._talk.undo()
        field = self._talk.field
        self._go([look.site for look in self._looks].index(field.site))
        self._talk.field = field

    def do_leave(self) -> None:
        if not self.back_to_both():
            self.dismiss(self.look.site)

    def _undoable(self) -> LogEntry | None:
        last = rd.find_undoable(self.reading)
        return last if self._talk is not None and last is not None and last.number > self._begun else None

    # Moving about.

    def _changed(self) -> None:
        """After a change: on to the next joint, unless it has opened other fields of this one."""
        reading = self.reading
        if self._asks_for_open():
            return
        self._review.keep(reading, self.look.site)
        last, key = texts.last_entry(self.t, reading, reading.log[-1]), self.ratui.keymap.shown("second_look.undo")
        self._said = self.t("second_look.changed", change=last, key=key)
        self._on()

    def _asks_for_open(self) -> bool:
        """Asks for the first open field of the joint; False where it has none."""
        opened = [field for field in self.reading.joint_fields(self.look.site) if field not in self.reading.values]
        if opened and self._talk is not None:
            self._talk.field = opened[0]
            self._said = self.t("second_look.still_open", scale=opened[0].scale)
        return bool(opened)

    def _on(self) -> None:
        """To the next joint that wasn't kept, from here on round; after the last one the second look is done."""
        waiting = {look.site for look in self._review.pending(self.reading)}
        places = range(len(self._looks))
        turned = (*places[self._place + 1 :], *places[: self._place])
        following = next((place for place in turned if self._looks[place].site in waiting), None)
        if following is None:
            self.dismiss(None)
        else:
            self._go(following)

    def _go(self, place: int) -> None:
        if 0 <= place < len(self._looks) and place != self._place:
            self._place = place
            if self.joint_films.mode == "difference":
                self.joint_films.set_mode("pair")
            if self._talk is not None:
                self._talk.field = field_to_change(self.reading, self.look)

    # Drawing.

    @property
    def place_asked(self) -> int:
        return self.reading.order.index(self._talk.field.time) if self._talk else 0

    def redraw(self) -> None:
        self._draw()

    def say(self, text: str) -> None:
        self._said = text
        self._draw_message()

    def _draw(self) -> None:
        if not self.is_mounted:
            return
        t, reading, site = self.t, self.reading, self.reading.site(self.look.site)
        films, width = self.joint_films, self.app.size.width
        ahead = [look.site for look in self._looks[self._place + 1 : self._place + 1 + _AHEAD]]
        films.show(self._films, site.key, ahead)
        coarse, seen = self.coarse(), self.measured(site.key)
        if self._keeper is not None:
            self._keeper.seen = seen
        which = "second_look.place" if self._keeper else "second_look.looking"
        progress = t(which, number=self._place + 1, total=len(self._looks))
        self.query_one("#head", Static).update(head_line(t, reading, site.key, progress, width))
        why = Text(f" {reasons_text(t, reading, self._fresh())}", BRIGHT, no_wrap=True, overflow="ellipsis")
        if site.key in self._model:
            why.append(f"   {model_text(t, reading, self._model[site.key])}", NOTE)
        self.query_one("#why", Static).update(why)
        for side in ("L", "R"):
            self.query_one(f"#edge{side}", Static).update(texts.edge_text(side, site.side, self.app.size.height))
        for place, time in enumerate(reading.order):
            record = self._films.record(site.key, place)
            title = texts.side_title(t, reading.order, place, reading.is_blinded, record.day if record else None)
            if record is None:
                title += f" · {t('text.not_on_film')}"
            else:
                title = self.film_title(place, title, site.key, coarse)
            asked = self._talk is not None and self._talk.field.time == time
            films.title(place, texts.title_text(title, asked))
            talk = self._talk
            films.line(place, line_text(t, talk, time) if talk else texts.fields_line(t, reading, site.key, time, None))
        self._draw_message()
        keys = keys_lines(t, reading, self._talk, self.ratui.keymap, self.possible, width)
        self.query_one("#keys", Static).update(keys)

    def _draw_message(self) -> None:
        refusal = self._keeper.refusal if self._keeper else ""
        if refusal:
            text = Text(f" {self.t('scoring.not_saved', why=refusal)}", ALARM)
        elif self._talk is not None and not self._said:
            typing = self._talk.mode == "note"
            text = status_text(self.t, self._talk) if typing else Text(f" {self._talk.told}", NOTE)
        else:
            text = Text(f" {self._said}", NOTE)
        self.query_one("#message", Static).update(text)

    def _fresh(self) -> ReviewItem:
        """Why the joint is looked at as it stands now: a change may have taken a reason away."""
        now = {look.site: look for look in rd.review_items(self.reading)}
        return now.get(self.look.site, ReviewItem(self.look.site, ()))

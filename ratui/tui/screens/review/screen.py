"""Once more through the joints that deserve it, the worst first, before signing: Enter keeps, a number changes.

What deserves it comes from `ratui.reading.review`, what a key enters is the `ScoringSession`'s; neither is decided here,
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
from ratui.tui.entry.autosave import AutoSaver
from ratui.tui.entry.model_comparison import find_differences, format_model_scores
from ratui.tui.entry.review_queue import ReviewQueue, find_field_to_change, format_review_reasons
from ratui.tui.entry.scoring_session import ScoringSession
from ratui.tui.graphics.viewport import CaseFilms, load_case_films
from ratui.tui.input.actions import map_keys_to_entries
from ratui.tui.screens.film_screen import FilmScreen
from ratui.tui.screens.review.text import format_head, format_key_lines
from ratui.tui.screens.scoring.text import format_field_line, format_status
from ratui.tui.theme import ALARM, BRIGHT, NOTE
from ratui.tui.widgets.joint_viewer import JointViewer
from ratui.tui.widgets.key_bar import KeyBar

__all__ = ["ReviewScreen"]

_PREPARED_JOINTS = 3
_CHANGING = ("keep", "reasons", "flag", "note", "undo", "next_field")


class ReviewScreen(FilmScreen[str | None]):
    """Goes through `items` of `reading`. Without a `auto_saver`, which saves what is changed, it is to look at only.
    `model` is what a scorer says of some sites, for a signed reading.

    Its result is None when all were kept or changed, or the key of the site at which the rater left.
    """

    NAME = "second_look"
    CSS = """
    ReviewScreen .edge { width: 1; height: 1fr; }
    ReviewScreen #keys { height: 4; }
    """

    def __init__(
        self,
        films: CaseFilms,
        reading: Reading,
        items: Sequence[ReviewItem],
        *,
        auto_saver: AutoSaver | None = None,
        review_queue: ReviewQueue | None = None,
        place: int = 0,
        model: Mapping[str, Sequence[Prediction]] | None = None,
    ) -> None:
        super().__init__()
        self._differences = model or {}
        self._films = films
        self._reading = reading
        self._items = tuple(items)
        self._auto_saver = auto_saver
        self._review_queue = review_queue or ReviewQueue()
        self._initial_log_length = len(reading.log)
        self._place = place
        self._scoring_session: ScoringSession | None = None

    @classmethod
    def read_only(cls, study: Study, reading: Reading, site: str) -> ReviewScreen:
        """All joints of `reading`, `site` first on the screen, nothing to be changed. Raises StudyError."""
        films = load_case_films(study, study.case(reading.case), reading.order)
        special = {item.site: item for item in rd.review_items(reading)}
        items = [special.get(each.key, ReviewItem(each.key, ())) for each in reading.sites]
        place = [item.site for item in items].index(site)
        return cls(films, reading, items, place=place, model=find_differences(study, reading))

    def compose(self) -> ComposeResult:
        ratui = self.ratui
        yield Static(id="head", classes="line", markup=False)
        yield Static(id="why", classes="line", markup=False)
        with Horizontal(classes="films"):
            yield Static(id="edgeL", classes="edge", markup=False)
            yield JointViewer(ratui.graphics, ratui.frame_cache, ratui.film_store, id="joint")
            yield Static(id="edgeR", classes="edge", markup=False)
        yield Static(id="message", classes="message", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        self.joint_viewer.view_settings = self.load_view_settings()
        if self._auto_saver is not None:
            self._scoring_session = ScoringSession(self._auto_saver, self.ratui.keymap, self.t)
            self._scoring_session.field = find_field_to_change(self.reading, self.item)
        self._draw()

    def fill_widgets(self) -> None:
        if self._scoring_session is not None:
            self._scoring_session.t = self.t
        self._draw()

    def on_resize(self, event: Resize) -> None:
        self.call_after_refresh(self._draw)

    def on_joint_viewer_failed(self, event: JointViewer.Failed) -> None:
        self.show_message(event.why)

    @property
    def item(self) -> ReviewItem:
        """The joint that is on the screen, and why."""
        return self._items[self._place]

    @property
    def reading(self) -> Reading:
        """The reading as it stands."""
        return self._auto_saver.reading if self._auto_saver else self._reading

    @property
    def field(self) -> Field | None:
        """The field that a number changes; None where there is only something to look at."""
        return self._scoring_session.field if self._scoring_session else None

    # What help, the list of commands and the tour ask.

    def check_action(self, action: str, parameters: tuple[object, ...] = ()) -> bool:
        if action in _CHANGING and self._scoring_session is None:
            return False
        match action:
            case "undo":
                return self._find_undoable() is not None
            case "reasons":
                return self._scoring_session is not None and bool(self._scoring_session.options.reasons)
            case "back":
                return self._place > 0
            case "forward":
                return self._place + 1 < len(self._items)
        return True

    def log_entries(self) -> tuple[LogEntry, ...]:
        return self.reading.log

    @property
    def is_asking(self) -> bool:
        return self._scoring_session is not None and self._scoring_session.mode != "entry"

    @property
    def types_text(self) -> bool:
        return self._scoring_session is not None and self._scoring_session.mode in ("go_to", "note")

    # Keys.

    def process_key(self, name: str) -> bool:
        self._message = ""
        done = self._dispatch(name)
        if self.is_current:
            self._draw()
        return done

    def _dispatch(self, name: str) -> bool:
        session = self._scoring_session
        if session is None:
            return super().process_key(name)
        if session.mode == "entry":
            entry = map_keys_to_entries(self.reading.scheme, session.options).get(name)
            if entry is not None and entry == self.reading.values.get(session.field):
                self.action_keep()
                return True
        before = self.reading
        if session.process_key(name):
            if self.reading.values != before.values:
                self._after_change()
            return True
        if super().process_key(name):
            return True
        if len(name) == 1:
            session.explain_refusal(name)
        return len(name) == 1

    def perform(self, name: str) -> None:
        super().perform(name)
        if self.is_current:
            self._draw()

    def action_keep(self) -> None:
        """The joint stands as it is; on to the next."""
        if self._scoring_session is None:
            self.action_forward()
        elif not self._ask_for_open_field():
            self._review_queue.mark_reviewed(self.reading, self.item.site)
            self._go_to_next()

    def action_forward(self) -> None:
        self._go_to(self._place + 1)

    def action_back(self) -> None:
        self._go_to(self._place - 1)

    def action_next_field(self) -> None:
        if self._scoring_session is not None:
            self._scoring_session.next_field()

    def action_reasons(self) -> None:
        if self._scoring_session is not None:
            self._scoring_session.ask_reason()

    def action_flag(self) -> None:
        if self._scoring_session is not None:
            self._scoring_session.toggle_flag()

    def action_note(self) -> None:
        if self._scoring_session is not None:
            self._scoring_session.ask_note()

    def action_undo(self) -> None:
        """Takes back the last change that was made here, and shows the joint it was made at."""
        last = self._find_undoable()
        if self._scoring_session is None or last is None:
            self._message = self.t("second_look.nothing_to_undo")
            return
        self._scoring_session.undo()
        field = self._scoring_session.field
        self._go_to([item.site for item in self._items].index(field.site))
        self._scoring_session.field = field

    def action_leave(self) -> None:
        if not self.return_to_pair():
            self.dismiss(self.item.site)

    def _find_undoable(self) -> LogEntry | None:
        last = rd.find_undoable(self.reading)
        return (
            last
            if self._scoring_session is not None and last is not None and last.number > self._initial_log_length
            else None
        )

    # Moving about.

    def _after_change(self) -> None:
        """After a change: on to the next joint, unless it has opened other fields of this one."""
        reading = self.reading
        if self._ask_for_open_field():
            return
        self._review_queue.mark_reviewed(reading, self.item.site)
        last, key = (
            texts.format_last_entry(self.t, reading, reading.log[-1]),
            self.ratui.keymap.key_label("second_look.undo"),
        )
        self._message = self.t("second_look.changed", change=last, key=key)
        self._go_to_next()

    def _ask_for_open_field(self) -> bool:
        """Asks for the first open field of the joint; False where it has none."""
        opened = [field for field in self.reading.joint_fields(self.item.site) if field not in self.reading.values]
        if opened and self._scoring_session is not None:
            self._scoring_session.field = opened[0]
            self._message = self.t("second_look.still_open", scale=opened[0].scale)
        return bool(opened)

    def _go_to_next(self) -> None:
        """To the next joint that wasn't kept, from here on round; after the last one the second look is done."""
        waiting = {item.site for item in self._review_queue.pending(self.reading)}
        places = range(len(self._items))
        turned = (*places[self._place + 1 :], *places[: self._place])
        following = next((place for place in turned if self._items[place].site in waiting), None)
        if following is None:
            self.dismiss(None)
        else:
            self._go_to(following)

    def _go_to(self, place: int) -> None:
        if 0 <= place < len(self._items) and place != self._place:
            self._place = place
            if self.joint_viewer.mode == "difference":
                self.joint_viewer.set_mode("pair")
            if self._scoring_session is not None:
                self._scoring_session.field = find_field_to_change(self.reading, self.item)

    # Drawing.

    @property
    def asked_place(self) -> int:
        return self.reading.order.index(self._scoring_session.field.time) if self._scoring_session else 0

    def redraw(self) -> None:
        self._draw()

    def show_message(self, text: str) -> None:
        self._message = text
        self._draw_message()

    def _draw(self) -> None:
        if not self.is_mounted:
            return
        t, reading, site = self.t, self.reading, self.reading.site(self.item.site)
        films, width = self.joint_viewer, self.app.size.width
        ahead = [item.site for item in self._items[self._place + 1 : self._place + 1 + _PREPARED_JOINTS]]
        films.show(self._films, site.key, ahead)
        coarse, seen = self.check_coarse(), self.best_resolution(site.key)
        if self._auto_saver is not None:
            self._auto_saver.current_display = seen
        which = "second_look.place" if self._auto_saver else "second_look.looking"
        progress = t(which, number=self._place + 1, total=len(self._items))
        self.query_one("#head", Static).update(format_head(t, reading, site.key, progress, width))
        why = Text(
            f" {format_review_reasons(t, reading, self._current_item())}", BRIGHT, no_wrap=True, overflow="ellipsis"
        )
        if site.key in self._differences:
            why.append(f"   {format_model_scores(t, reading, self._differences[site.key])}", NOTE)
        self.query_one("#why", Static).update(why)
        for side in ("L", "R"):
            self.query_one(f"#edge{side}", Static).update(texts.format_edge(side, site.side, self.app.size.height))
        for place, time in enumerate(reading.order):
            record = self._films.record(site.key, place)
            title = texts.format_time_point(t, reading.order, place, reading.is_blinded, record.day if record else None)
            if record is None:
                title += f" · {t('text.not_on_film')}"
            else:
                title = self.format_film_title(place, title, site.key, coarse)
            asked = self._scoring_session is not None and self._scoring_session.field.time == time
            films.set_title(place, texts.format_title(title, asked))
            session = self._scoring_session
            films.set_line(
                place,
                format_field_line(t, session, time)
                if session
                else texts.format_fields(t, reading, site.key, time, None),
            )
        self._draw_message()
        self.update_key_bar()

    def format_keys(self) -> Text:
        keymap, width = self.ratui.keymap, self.app.size.width
        return format_key_lines(self.t, self.reading, self._scoring_session, keymap, self.check_action, width)

    def _draw_message(self) -> None:
        refusal = self._auto_saver.save_error if self._auto_saver else ""
        if refusal:
            text = Text(f" {self.t('scoring.not_saved', why=refusal)}", ALARM)
        elif self._scoring_session is not None and not self._message:
            typing = self._scoring_session.mode == "note"
            text = (
                format_status(self.t, self._scoring_session)
                if typing
                else Text(f" {self._scoring_session.message}", NOTE)
            )
        else:
            text = Text(f" {self._message}", NOTE)
        self.query_one("#message", Static).update(text)

    def _current_item(self) -> ReviewItem:
        """Why the joint is looked at as it stands now: a change may have taken a reason away."""
        now = {item.site: item for item in rd.review_items(self.reading)}
        return now.get(self.item.site, ReviewItem(self.item.site, ()))

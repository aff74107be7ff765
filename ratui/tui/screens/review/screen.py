"""The review screen: a second look at the joints that need one, the worst first, before the reading is signed.

`ratui.reading.review` decides which joints need it, the `ScoringSession` what a key enters. Nothing is signed here.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.events import Resize
from textual.widgets import Static

from ratui import reading as rd
from ratui.reading import Field, LogEntry, Reading, ReviewItem
from ratui.study import AutoSaver
from ratui.study.joint_spaces.joint_space_access import PlacedChanges
from ratui.tui.entry import text as texts
from ratui.tui.entry.model_comparison import AnyPrediction
from ratui.tui.entry.scoring_session import ScoringSession
from ratui.tui.graphics.viewport import CaseFilms
from ratui.tui.screens.film_screen import FilmScreen
from ratui.tui.screens.review.text import format_reasons
from ratui.tui.screens.scoring.text import format_field_line, format_head, format_review_keys
from ratui.tui.theme import ALARM, NOTE
from ratui.tui.widgets.joint_space_line import JointSpaceLine
from ratui.tui.widgets.joint_viewer import JointViewer
from ratui.tui.widgets.plain_widgets import KeyBar
from ratui.tui.widgets.text_line import TextLine

__all__ = ["ReviewResult", "ReviewScreen"]

_PREPARED_JOINTS = 3
"""Number of joints whose pictures are prepared while one is reviewed."""
_CHANGING = ("keep", "reasons", "flag", "note", "undo")
"""Actions that need a reading which can be changed."""


@dataclass(frozen=True)
class ReviewResult:
    """The end of a review: whether all joints were kept or changed, and the key of the site shown last."""

    is_finished: bool
    site: str


class ReviewScreen(FilmScreen[ReviewResult]):
    """The screen that shows one joint after the other: Enter keeps it, a grade changes it.

    Parameters
    ----------
    films, reading, items
        The films of the case, its reading, and the joints to review in this order.
    auto_saver
        Saves the changes. Without it the reading can only be looked at.
    reviewed
        States of the joints that the rater has kept or changed, by site; this screen adds to it.
    place
        Index in `items` of the joint shown first.
    predictions
        The predictions of models that differ from a signed reading, by site.
    joint_space
        The measured joint spaces beside a signed reading, if they are loaded already.
    """

    NAME = "review"
    DEFAULT_CSS = """
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
        reviewed: dict[str, Hashable] | None = None,
        place: int = 0,
        predictions: Mapping[str, Sequence[AnyPrediction]] | None = None,
        joint_space: PlacedChanges | None = None,
    ) -> None:
        super().__init__()
        self._predictions = predictions or {}
        self._joint_space = joint_space
        self._films = films
        self._reading = reading
        self._items = tuple(items)
        self._auto_saver = auto_saver
        self._reviewed = {} if reviewed is None else reviewed
        self._initial_log_length = len(reading.log)
        self._place = place
        self._session: ScoringSession | None = None

    def compose(self) -> ComposeResult:
        """Make the widgets: head, reasons, films between the edges, message and keys."""
        ratui = self.ratui
        yield Static(id="head", classes="line", markup=False)
        yield Static(id="why", classes="line", markup=False)
        with Horizontal(classes="films"):
            yield Static(id="edgeL", classes="edge", markup=False)
            yield JointViewer(ratui.graphics, ratui.frame_cache, ratui.film_store, self.display_watch, id="joint")
            yield Static(id="edgeR", classes="edge", markup=False)
        yield JointSpaceLine(ratui.study, self.reading, self.redraw, known=self._joint_space)
        yield Static(id="message", classes="message", markup=False)
        yield TextLine()
        yield KeyBar()

    def on_mount(self) -> None:
        """Show the first joint."""
        self.joint_viewer.view_settings = self.load_view_settings()
        if self._auto_saver is not None:
            self._session = ScoringSession(self._auto_saver, self.ratui.keymap, self.t, self.make_gate())
            self._session.visits = self._films.visits
        self._select_place()
        self.redraw()

    def fill_widgets(self) -> None:
        """Fill the widgets in the app's present language."""
        if self._session is not None:
            self._session.t = self.t
        self.redraw()

    def on_resize(self, event: Resize) -> None:
        """Fit the screen to its new size."""
        self.redraw_soon()

    # The reading.

    @property
    def item(self) -> ReviewItem:
        """The joint on the screen, with the reasons it had when the review began."""
        return self._items[self._place]

    def _find_present_item(self) -> ReviewItem:
        """Return the joint on the screen with its present reasons: a change may have removed those it came up for."""
        present = (item for item in rd.list_review_items(self.reading) if item.site == self.item.site)
        return next(present, ReviewItem(self.item.site, ()))

    @property
    def reading(self) -> Reading:
        """The reading as it stands."""
        return self._auto_saver.reading if self._auto_saver else self._reading

    @property
    def active_session(self) -> ScoringSession | None:
        """The session with the active field, which a grade changes; None if the reading can only be looked at."""
        return self._session

    def check_action(self, action: str, parameters: tuple[object, ...] = ()) -> bool:
        """Return whether `action` is possible at the joint on the screen."""
        if not self.can_show(action):
            return False
        if action == "next_field" and self._session is None:  # the window follows, if it does not show all films
            return len(self.joint_viewer.window) < len(self.reading.order)
        if action in _CHANGING and self._session is None:
            return False
        match action:
            case "undo":
                return self._find_undoable() is not None
            case "reasons":
                return self._session is not None and bool(self._session.options.reasons)
            case "back":
                return self._place > 0
            case "forward":
                return self._place + 1 < len(self._items)
        return True

    @property
    def is_asking(self) -> bool:
        """True while a reason or a note is asked for, which Esc cancels."""
        return self._session is not None and self._session.mode != "entry"

    @property
    def types_text(self) -> bool:
        """True while a note is typed."""
        return self._session is not None and self._session.mode in ("go_to", "note")

    # Keys.

    def process_key(self, name: str) -> bool:
        """Give the key `name` to the session, then to the keymap; explain a character that neither takes."""
        self._message = ""
        if self._auto_saver is not None:
            self._auto_saver.retry()
        is_done = self._dispatch(name)
        if self.is_current:
            self.redraw()
        return is_done

    def _dispatch(self, name: str) -> bool:
        session = self._session
        if session is None:
            return super().process_key(name)
        if session.mode == "entry":
            key = self.ratui.keymap.find_answer_key(name)
            entry = session.entries_by_key.get(key)
            if entry is not None and entry == self.reading.values.get(session.field):
                self.action_keep()  # the same answer once more keeps the joint
                return True
        before = self.reading
        if session.process_key(name):
            if self.reading.values != before.values:
                self._after_change()
            return True
        if super().process_key(name):
            return True
        if len(name) == 1:
            session.explain_refusal(name, self.explain_signature_key(name))
        return len(name) == 1

    def perform(self, name: str) -> None:
        """Perform the action `name` and show its outcome."""
        super().perform(name)
        if self.is_current:
            self.redraw()

    def action_keep(self) -> None:
        """Keep the joint as it is and go to the next; first ask for a field that is open."""
        if self._session is None:
            self.action_forward()
            return
        is_refused = self._session.refuses_key(self.reading.joint_fields(self.item.site), shows_unseen=True)
        if not is_refused and not self._ask_for_open_field():
            self._mark_reviewed()
            self._go_to_next()

    def action_forward(self) -> None:
        """Show the next joint."""
        self._go_to(self._place + 1)

    def action_back(self) -> None:
        """Show the previous joint."""
        self._go_to(self._place - 1)

    def action_next_field(self) -> None:
        """Go to the next field of the joint; without fields to enter, to its next film."""
        if self._session is not None:
            self._session.next_field()
        else:
            self.show_next_film()

    def select_field(self, field: Field) -> bool:
        """Make `field`, one of the joint on the screen, the active one; return False if nothing can be changed."""
        if self._session is None:
            return False
        self._message = ""
        self._session.select_field(field)
        self.redraw()
        return True

    def action_reasons(self) -> None:
        """Ask for the reason why the field is not assessable."""
        if self._session is not None:
            self._session.ask_reason()

    def action_flag(self) -> None:
        """Flag the joint, or remove its flag."""
        if self._session is not None:
            self._session.toggle_flag()

    def action_note(self) -> None:
        """Ask for a note on the joint."""
        if self._session is not None:
            self._session.ask_note()

    def action_undo(self) -> None:
        """Undo the last change of this review, and show its joint."""
        last = self._find_undoable()
        if self._session is None or last is None:
            self._message = self.t("review.nothing_to_undo")
            return
        self._session.undo()
        field = self._session.field
        self._go_to([item.site for item in self._items].index(field.site))
        self._session.field = field

    def action_leave(self) -> None:
        """Leave the review at this joint; show the films side by side first if they are not."""
        if not self.return_to_pair():
            self.dismiss(ReviewResult(is_finished=False, site=self.item.site))

    def _find_undoable(self) -> LogEntry | None:
        """Return the last change, if this review made it."""
        last = rd.find_undoable(self.reading)
        if self._session is None or last is None or last.number <= self._initial_log_length:
            return None
        return last

    # From joint to joint.

    def _after_change(self) -> None:
        """Go to the next joint, unless the change has opened other fields of this one."""
        if self._ask_for_open_field():
            return
        self._mark_reviewed()
        change = texts.format_last_entry(self.t, self.reading, self.reading.log[-1], self._films.visits)
        undo = self.ratui.keymap.key_label("review.undo")
        self._message = self.t("review.changed", change=change, key=undo)
        self._go_to_next()

    def _mark_reviewed(self) -> None:
        """Record that the rater has reviewed the joint in its present state."""
        self._reviewed[self.item.site] = rd.joint_state(self.reading, self.item.site)

    def _ask_for_open_field(self) -> bool:
        """Make the first open field of the joint the active one; return False if there is none."""
        opened = [field for field in self.reading.joint_fields(self.item.site) if field not in self.reading.values]
        if opened and self._session is not None:
            self._session.field = opened[0]
            self._message = self.t("review.still_open", scale=opened[0].scale)
        return bool(opened)

    def _go_to_next(self) -> None:
        """Go to the next joint that is still pending, from the first again after the last; finish if there is none."""
        pending = {item.site for item in rd.list_review_items(self.reading, self._reviewed)}
        places = range(len(self._items))
        rotated = (*places[self._place + 1 :], *places[: self._place])
        upcoming = next((place for place in rotated if self._items[place].site in pending), None)
        if upcoming is None:
            self.dismiss(ReviewResult(is_finished=True, site=self.item.site))
        else:
            self._go_to(upcoming)

    def _go_to(self, place: int) -> None:
        if 0 <= place < len(self._items) and place != self._place:
            self._place = place
            if self.joint_viewer.mode == "difference":
                self.joint_viewer.set_mode("pair")
            self._select_place()

    def _select_place(self) -> None:
        """Make the field that a change is likely in the active one; without fields to enter, its film."""
        field = rd.find_field_to_change(self.reading, self.item)
        if self._session is not None:
            self._session.field = field
        elif self.item.reasons:
            self.joint_viewer.place = self.reading.order.index(field.time)

    # Drawing.

    def show_message(self, text: str) -> None:
        """Show `text` until the next key."""
        self._message = text
        self._draw_message()

    def redraw(self) -> None:
        """Draw the films and all texts."""
        if not self.has_widgets:
            return
        reading, site, item = self.reading, self.reading.site(self.item.site), self._find_present_item()
        upcoming = [each.site for each in self._items[self._place + 1 : self._place + 1 + _PREPARED_JOINTS]]
        beside = rd.find_compared_place(reading, item, self.active_place, self.field.scale if self.field else "")
        self.joint_viewer.show(self._films, site.key, upcoming, self.active_place, beside)
        is_coarse = self.check_coarse()
        which = "review.place" if self._auto_saver else "review.read_only_place"
        progress = [self.t(which, number=self._place + 1, total=len(self._items))]
        head = format_head(self.t, reading, site.key, progress, self.app.size.width, greys=self.format_greys())
        self.query_one("#head", Static).update(head)
        self.query_one("#why", Static).update(
            format_reasons(self.t, reading, item, self._films.visits, self._predictions.get(site.key, ()))
        )
        for side in ("L", "R"):
            self.query_one(f"#edge{side}", Static).update(texts.format_edge(side, site.side, self.app.size.height))
        self.draw_film_texts(self._films, site.key, self._format_line, is_coarse=is_coarse)
        pair = self.joint_viewer.compared
        self.query_one(JointSpaceLine).show_pair(self.t, reading, self._films.visits, site.key, pair)
        self._draw_message()
        self.update_key_bar()

    def _format_line(self, time: int) -> Text:
        """Return the fields of the joint at `time`."""
        if self._session is not None:
            return format_field_line(self.t, self._session, time)
        return texts.format_fields(self.t, self.reading, self.item.site, time, None)

    def format_keys(self) -> Text:
        """Return the keys that are possible at the joint on the screen."""
        keymap, width = self.ratui.keymap, self.app.size.width
        return format_review_keys(self.t, self.reading, self._session, keymap, self.check_action, width)

    def _draw_message(self) -> None:
        self.draw_text_line(self._session)
        saver = self._auto_saver
        if saver is not None and saver.save_error:
            leave = self.ratui.keymap.key_label("review.leave")
            text = Text(f" {texts.format_save_error(self.t, saver, leave)}", ALARM)
        else:
            text = Text(f" {self._message or (self._session.message if self._session else '')}", NOTE)
        text = texts.add_note(text, self.format_turn_note(self._films), self.app.size.width)
        self.query_one("#message", Static).update(text)

"""The scoring screen: one joint at all time points side by side, scored field by field.

The `ScoringSession` decides which field is active and what a key enters, the `CaseFlow` which screen comes before and after.
This module connects them with the films.
"""

from __future__ import annotations

from contextlib import ExitStack

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.events import Resize

from ratui.reading import Field, Reading
from ratui.study import Case, ReadingSession
from ratui.tui.entry import text as texts
from ratui.tui.entry.scoring_session import ScoringSession
from ratui.tui.entry.visit_names import UNNAMED
from ratui.tui.graphics.viewport import CaseFilms
from ratui.tui.screens.case_flow import CaseFlow, CaseResult, ScoringResult
from ratui.tui.screens.film_screen import FilmScreen
from ratui.tui.screens.scoring.hand_map import MAP_FROM, MAP_WIDTH, draw_hand_map
from ratui.tui.screens.scoring.text import (
    count_key_rows,
    format_field_line,
    format_head,
    format_scoring_keys,
    format_status,
)
from ratui.tui.theme import ALARM, NOTE, QUIET
from ratui.tui.tour.panel import TourPanel, TourPlace
from ratui.tui.widgets.joint_viewer import JointViewer
from ratui.tui.widgets.plain_widgets import KeyBar, PlainHorizontal, TextRows
from ratui.tui.widgets.text_line import TextLine

__all__ = ["ScoringScreen"]

_PREPARED_JOINTS = 2
"""Number of joints whose pictures are prepared while one is scored."""


class ScoringScreen(FilmScreen[CaseResult]):
    """The screen that scores one case.

    Parameters
    ----------
    case, session
        The case, and the rater's reading of it, open for writing.
    resources
        Closed together with the screen. They hold the lock of the reading.
    site
        The key of the site to begin at. If it is empty, scoring begins where the rater stopped.
    """

    NAME = "scoring"
    HAS_TOUR = True
    DEFAULT_CSS = f"""
    ScoringScreen .edge {{ width: 1; height: 1fr; }}
    ScoringScreen #map {{ width: {MAP_WIDTH}; }}
    ScoringScreen #keys {{ height: 4; }}
    ScoringScreen.wide #keys {{ height: 2; }}
    """

    def __init__(self, case: Case, session: ReadingSession, resources: ExitStack, *, site: str = "") -> None:
        super().__init__()
        self._flow = CaseFlow(self, case, session, resources, site=site)
        self._warned_unsaved = False

    def compose(self) -> ComposeResult:
        """Make the widgets: head, films between the edges, map, message and keys."""
        ratui = self.ratui
        yield TextRows(id="head", classes="line")
        with PlainHorizontal(classes="films"):
            yield TextRows(id="edgeL", classes="edge")
            yield JointViewer(ratui.graphics, ratui.frame_cache, ratui.film_store, self.display_watch, id="joint")
            yield TextRows(id="edgeR", classes="edge")
            yield TextRows(id="map")
        if ratui.study.reveals:
            from ratui.tui.widgets.answer_panel import AnswerPanel
            from ratui.tui.widgets.joint_space_line import JointSpaceLine

            yield JointSpaceLine(ratui.study, self.reading, self.redraw, is_answered=True)
            yield AnswerPanel(ratui.study.reveals)
        yield TextRows(id="message", classes="message")
        yield TextLine()
        yield KeyBar()

    def on_mount(self) -> None:
        """Open the first step of the case that is not done."""
        self._arrange()
        self.joint_viewer.view_settings = self.load_view_settings()
        self._flow.open()

    def on_unmount(self) -> None:
        """Release the reading."""
        self._flow.close()

    def on_resize(self, event: Resize) -> None:
        """Fit the screen to its new size."""
        self._arrange()
        self.redraw_soon()

    def fill_widgets(self) -> None:
        """Fill the widgets in the app's present language."""
        if self._session is not None:
            self._session.t = self.t
        self._arrange()
        self.redraw()

    def _arrange(self) -> None:
        self.query_one("#map").display = self.app.size.width >= MAP_FROM
        self.set_class(self._key_rows == 2, "wide")

    @property
    def _key_rows(self) -> int:
        """Number of rows that list the keys."""
        return count_key_rows(self.app.size.width)

    # The reading.

    @property
    def reading(self) -> Reading:
        """The reading as it stands."""
        return self._flow.reading

    @property
    def active_session(self) -> ScoringSession | None:
        """The session that asks for fields; None while regions are missing."""
        return self._session

    @property
    def scoring_session(self) -> ScoringSession:
        """The session that asks for the fields. There is none while regions are missing."""
        assert self._session is not None, "no field is asked for while regions are missing"
        return self._session

    @property
    def _session(self) -> ScoringSession | None:
        return self._flow.scoring_session

    def tour_place(self) -> TourPlace:
        """Return the reading and its active field."""
        return TourPlace(self.reading, self._session.field if self._session else None)

    # Keys.

    def process_key(self, name: str) -> bool:
        """Give the key `name` to the session, then to the keymap; explain a character that neither takes."""
        if self._session is None:
            return super().process_key(name)
        self._message = ""
        site = self._session.site
        if self._session.process_key(name):
            self._after_key(site)
            return True
        if super().process_key(name):
            return True
        if len(name) == 1:
            self._session.explain_refusal(name, self.explain_signature_key(name))
            self.redraw()
            return True
        return False

    def perform(self, name: str) -> None:
        """Perform the action `name` and show its outcome."""
        site = self._session.site if self._session else ""
        super().perform(name)
        if site:
            self._after_key(site)

    def _after_key(self, before: str) -> None:
        """Show the outcome of a key; `before` is the key of the site that was active."""
        session = self.scoring_session
        if session.site != before:
            self.joint_viewer.set_whole_film(False)
            if self.joint_viewer.mode == "difference":
                self.joint_viewer.set_mode("pair")
        self.redraw()
        if session.is_finished:
            session.is_finished = False
            self._flow.finish_scoring()

    @property
    def is_asking(self) -> bool:
        """True while a reason, a joint or a note is asked for, which Esc cancels."""
        return self._session is not None and self._session.mode != "entry"

    @property
    def types_text(self) -> bool:
        """True while the name of a joint or a note is typed."""
        return self._session is not None and self._session.mode in ("go_to", "note")

    def check_action(self, action: str, parameters: tuple[object, ...] = ()) -> bool:
        """Return whether `action` is possible at the active field."""
        if self._session is None:
            return action in ("help", "leave")
        return self.can_show(action) and self._session.is_possible(action)

    # Actions of the scoring session.

    def action_normal(self) -> None:
        """Enter grade 0 in all open fields of the joint."""
        self.scoring_session.enter_normal()

    def action_same(self) -> None:
        """Copy the answer of the previous time point, or let one answer count for both of two time points."""
        self.scoring_session.enter_same()

    def action_undo(self) -> None:
        """Undo the last entry."""
        self.scoring_session.undo()

    def action_clear(self) -> None:
        """Clear the active field."""
        self.scoring_session.clear()

    def action_reasons(self) -> None:
        """Ask for the reason why the field is not assessable."""
        self.scoring_session.ask_reason()

    def action_flag(self) -> None:
        """Flag the joint, or remove its flag."""
        self.scoring_session.toggle_flag()

    def action_note(self) -> None:
        """Ask for a note on the joint."""
        self.scoring_session.ask_note()

    def action_go_to(self) -> None:
        """Ask for the name of a joint to go to."""
        self.scoring_session.ask_joint()

    def action_answers(self) -> None:
        """Show the answers of others at the joint, or hide them."""
        self.scoring_session.toggle_answers()

    def action_previous_joint(self) -> None:
        """Go to the previous joint."""
        self.scoring_session.move_by(-1)

    def action_next_joint(self) -> None:
        """Go to the next joint."""
        self.scoring_session.move_by(1)

    def action_next_field(self) -> None:
        """Go to the next field of the joint."""
        self.scoring_session.next_field()

    # The mouse.

    def select_field(self, field: Field) -> bool:
        """Make `field` the active one; return False while there is no session."""
        if self._session is None:
            return False
        self._message = ""
        site = self._session.site
        self._session.select_field(field)
        self._after_key(site)
        return True

    def select_site(self, site: str) -> bool:
        """Go to the joint `site`, to its first open field; return False while there is no session."""
        if self._session is None:
            return False
        fields = self.reading.joint_fields(site)
        return self.select_field(next((field for field in fields if field not in self.reading.values), fields[0]))

    # Other screens.

    def action_regions(self) -> None:
        """Open the regions."""
        self._flow.open_regions()

    def action_overview(self) -> None:
        """Open the overview."""
        self._flow.open_overview()

    def action_leave(self) -> None:
        """Save and leave the case. Warn once if the disk refuses; show the films side by side first if they are not."""
        if self.return_to_pair():
            return
        auto_saver = self._flow.auto_saver
        if not auto_saver.retry() and not self._warned_unsaved:
            self._warned_unsaved = True
            why, key = self.t.translate_error(auto_saver.save_error), self.ratui.keymap.key_label("scoring.leave")
            self._message = self.t("scoring.leaving_unsaved", count=len(auto_saver.unsaved), why=why, key=key)
            self.ratui.unsaved_warning = self._message
            return
        if not auto_saver.save_error and self.reading.log:
            auto_saver.save(self.reading)  # with the time spent since the last entry
        self.dismiss(ScoringResult.LEFT)

    # Drawing.

    def redraw(self) -> None:
        """Draw the films and all texts."""
        films = self._flow.films
        if self._session is None or films is None or not self.is_attached or not self.has_widgets:
            return
        session, reading = self._session, self.reading
        site = reading.site(session.site)
        keys = [each.key for each in reading.sites]
        start = keys.index(session.site) + 1
        # An entry that waits for confirmation is compared with the visit from which it would be an unlikely change.
        other = session.pending.unlikely.find_other_time(session.field.time) if session.pending else None
        beside = None if other is None else reading.order.index(other)
        self.joint_viewer.show(films, session.site, keys[start : start + _PREPARED_JOINTS], self.active_place, beside)
        is_coarse = self.check_coarse()
        width = self.app.size.width
        progress = [texts.format_progress(self.t, reading, bar) for bar in (16, 8, 0)]
        scale, greys = session.field.scale, self.format_greys()
        head = format_head(self.t, reading, session.site, progress, width, scale=scale, greys=greys)
        self._update("head", head)
        for side in ("L", "R"):
            self._update(f"edge{side}", texts.format_edge(side, site.side, self.app.size.height))
        self.draw_film_texts(
            films, session.site, lambda time: format_field_line(self.t, session, time), is_coarse=is_coarse
        )
        self._draw_message()
        if self.is_touring:
            for panel in self.query_children(TourPanel):
                panel.update_step(self.t)  # the marked field may be another one
        if self.ratui.study.reveals:
            self._show_answers_of_others(films, session)
        self.update_key_bar()
        if self.query_one("#map").display:
            height = self.query_one("#map").size.height or 20  # the height is 0 before the first layout
            rows = draw_hand_map(self.t, reading, session.site, MAP_WIDTH, height, films.visits)
            self._update("map", rows)

    def _show_answers_of_others(self, films: CaseFilms, session: ScoringSession) -> None:
        """Show the answers of others, or when they will be shown; in an adjudication also the measured joint spaces."""
        from ratui.tui.widgets.answer_panel import AnswerPanel
        from ratui.tui.widgets.joint_space_line import JointSpaceLine

        summary = self.ratui.study.summarize_answers(session.reading)
        self.query_one(AnswerPanel).show(self.t, session, self.ratui.keymap, summary)
        line = self.query_one(JointSpaceLine)
        if session.is_comparing:
            line.show_pair(self.t, session.reading, films.visits, session.site, self.joint_viewer.compared)
        else:
            line.clear()

    def format_keys(self) -> Text:
        """Return the keys that are possible at the active field."""
        keymap, width = self.ratui.keymap, self.app.size.width
        return format_scoring_keys(self.t, self.scoring_session, keymap, self.check_action, width, self._key_rows)

    def _draw_message(self) -> None:
        """Draw the message on the left and the time of the last save on the right; a refused save takes the whole line."""
        self.draw_text_line(self._session)
        t, auto_saver = self.t, self._flow.auto_saver
        if auto_saver.save_error:
            message = texts.format_save_error(t, auto_saver, self.ratui.keymap.key_label("scoring.leave"))
            if self._message:
                mark = "" if self._message == self.ratui.unsaved_warning else f"{t('scoring.unsaved_mark')} · "
                message = f"{mark}{self._message}"
            text = Text(f" {message}", ALARM)
        else:
            self._warned_unsaved = False
            message = self._message or self.scoring_session.message
            visits = self._flow.films.visits if self._flow.films else UNNAMED
            left = Text(f" {message}", NOTE) if message else format_status(t, self.scoring_session, visits)
            saved = (
                f"{t('scoring.saved', time=format(auto_saver.saved_at, '%H:%M:%S'))} " if auto_saver.saved_at else ""
            )
            if message and left.cell_len + cell_len(saved) >= self.app.size.width:
                saved = ""  # the message is cut only if it does not fit into the whole line
            note = self.format_turn_note(self._flow.films) if self._flow.films else ""
            left = texts.add_note(left, note, self.app.size.width - cell_len(saved) - 1)
            text = texts.join_ends(left, Text(saved, QUIET), self.app.size.width)
        self._update("message", text)

    def _update(self, id: str, text: Text) -> None:
        """Show `text` in the widget `id`."""
        self.query_one(f"#{id}", TextRows).update(text)

    def show_message(self, text: str) -> None:
        """Show `text` until the next key."""
        self._message = text
        if self._session is not None:
            self._draw_message()

"""The base class of the screens that show the films of one joint: contrast, zoom, alternation, difference, resolution.

It makes no entry. In a study blinded to order nothing here tells which film is the earlier.
"""

from __future__ import annotations

from collections.abc import Callable

from rich.text import Text
from textual.events import Click
from textual.screen import ScreenResultType

from ratui.reading import MAX_NOTE_LENGTH, Field, Reading
from ratui.regions.upright_bones import Turns
from ratui.tui.entry.answer_gate import AnswerGate, DisplayWatch
from ratui.tui.entry.scoring_session import ScoringSession
from ratui.tui.entry.text import clicked_field, clicked_site, format_title
from ratui.tui.graphics.film_window import next_place
from ratui.tui.graphics.viewport import CaseFilms
from ratui.tui.i18n.reading_phrases import format_error
from ratui.tui.screens.display_screen import DisplayScreen
from ratui.tui.screens.film_titles import FilmTitles
from ratui.tui.screens.scoring.text import format_typing_hint
from ratui.tui.widgets.film_view import FilmFailed, FilmsAligned
from ratui.tui.widgets.text_line import TextLine

__all__ = ["FilmScreen"]


_FEW_GREYS = 64
"""Number of greys below which the screen states the number. Sixel images have 64 where the terminal allows it."""


class FilmScreen(DisplayScreen[ScreenResultType]):
    """A screen with a `JointViewer` of the id ``joint``, and the actions that change how its films are shown."""

    def __init__(self) -> None:
        super().__init__()
        self._unaligned_site = ""
        """The key of the last site whose films could not be aligned."""
        self._coarse_warning = ""
        """The message about films that are too coarse; empty before it was shown. It is shown once."""
        self._drawn_turns: Turns | None = None
        """The turns of the films that the texts on the screen state."""
        self._is_redraw_due = False
        """True while `redraw_soon` waits."""
        self.display_watch = DisplayWatch()
        """The record of the films that were displayed. It stays when a change of the language makes another viewer."""

    def make_gate(self) -> AnswerGate:
        """Return the gate that decides which keys can be answers to the films on this screen."""
        return AnswerGate(self.display_watch, self.ratui.key_queue.repeats)

    async def retranslate(self) -> None:
        """Make the widgets again in the app's present language, and show the films as before."""
        shown = self.joint_viewer.view_settings
        await super().retranslate()
        self.joint_viewer.set_view_settings(shown)
        self.redraw()

    def explain_signature_key(self, name: str) -> str:
        """Return where the reading is signed, if the key `name` does that; a rater who has finished looks for it here."""
        keymap = self.ratui.keymap
        if name != keymap.key("overview.sign"):
            return ""
        return self.t(f"{self.NAME}.sign_there", key=name, overview=keymap.key_label("scoring.overview"))

    def perform(self, name: str) -> None:
        """Perform the action `name`. Discard an entry that waits for confirmation: the command palette leaves it waiting."""
        if self.active_session is not None:
            self.active_session.discard_pending()
        super().perform(name)

    def on_film_failed(self, event: FilmFailed) -> None:
        """Show why a film cannot be shown."""
        self.show_message(format_error(self.t, event.error, with_location=False))

    def draw_text_line(self, session: ScoringSession | None) -> None:
        """Show the line of text in the place of the message while `session` asks for text, and hide it otherwise."""
        line = self.query_one(TextLine)
        is_typing = session is not None and session.mode in ("go_to", "note")
        self.query_one("#message").display = not is_typing
        if session is None or not is_typing:
            if line.is_open:
                line.close()
            return
        if not line.is_open:
            prompt = self.t("scoring.go_to" if session.mode == "go_to" else "scoring.write_note")

            def change(text: str) -> None:
                session.typed_text = text
                line.show_hint(format_typing_hint(self.t, session))

            line.open(prompt, session.typed_text, MAX_NOTE_LENGTH, change)
        line.show_hint(format_typing_hint(self.t, session))

    # The mouse. A click selects what is scored next and enters nothing.

    def on_click(self, event: Click) -> None:
        """Make the field or the joint under the mouse the active one; elsewhere, show what can be clicked."""
        if self.is_asking:
            return
        field, site = clicked_field(event.style), clicked_site(event.style)
        if not ((field is not None and self.select_field(field)) or (site is not None and self.select_site(site))):
            self.show_message(self.t("scoring.click_ignored"))

    def select_field(self, field: Field) -> bool:
        """Make `field` the active one; return False if that is impossible."""
        return False

    def select_site(self, site: str) -> bool:
        """Go to the joint `site`; return False if that is impossible."""
        return False

    # Alternation and difference.

    def action_blink(self) -> None:
        """Show the films in turn in the same place, aligned with each other. The active field follows the shown film."""
        films = self.joint_viewer
        if not self.can_show("blink"):
            self._message = self.t("scoring.only_film")
        elif films.mode == "alone":
            self.show_next_film()
        else:
            self._show_alone()

    def _show_alone(self) -> None:
        """Show the film of the active field alone."""
        films, keys = self.joint_viewer, self.ratui.keymap
        films.show_film(self.active_place)
        films.set_mode("alone")
        blink, leave = (keys.key_label(f"{self.NAME}.{action}") for action in ("blink", "leave"))
        self._message = self.t(
            "scoring.one_film" if self._has_two else "scoring.one_of_films", blink=blink, leave=leave
        )

    def show_next_film(self) -> None:
        """Make the next film of the joint the active one, and the same scale on that film the active field."""
        session, order = self.active_session, self.reading.order
        times = {field.time for field in self.reading.joint_fields(self.joint_viewer.site)}
        place = next_place([place for place, time in enumerate(order) if time in times], self.joint_viewer.place)
        if session is not None and session.field.time != order[place]:
            counterparts = self.reading.counterparts(session.field)
            session.field = next(each for each in counterparts if each.time == order[place])
        self.joint_viewer.show_film(place)

    def action_difference(self) -> None:
        """Show the difference of the active film and the one before it, or the films side by side again."""
        films = self.joint_viewer
        if not self.can_show("difference"):
            self._message = self.t("scoring.only_film")
            return
        films.set_mode("pair" if films.mode == "difference" else "difference")
        if films.mode == "difference":
            self._message = self.t("scoring.difference_on" if self._has_two else "scoring.difference_of_on")

    @property
    def _has_two(self) -> bool:
        return len(self.reading.order) == 2

    def can_show(self, action: str) -> bool:
        """Return False for an action that compares films, if the reading has one visit only."""
        return len(self.reading.order) > 1 or action not in ("blink", "difference", "same")

    def return_to_pair(self) -> bool:
        """Show the films side by side; return False if they were shown so already."""
        if self.joint_viewer.mode == "pair":
            return False
        self.joint_viewer.set_mode("pair")
        self._message = self.t("scoring.side_by_side")
        return True

    # The film of the active field.

    @property
    def reading(self) -> Reading:
        """The reading as it stands."""
        raise NotImplementedError

    @property
    def active_session(self) -> ScoringSession | None:
        """The session that asks for fields; None if nothing can be entered now."""
        return None

    @property
    def field(self) -> Field | None:
        """The active field; None if nothing can be entered now."""
        return self.active_session.field if self.active_session else None

    @property
    def active_place(self) -> int:
        """Place of the film that the active field belongs to, 0 for the leftmost; without a field, of the shown film."""
        return self.reading.order.index(self.field.time) if self.field else self.joint_viewer.place

    def is_active_film(self, place: int) -> bool:
        """Return True if the next answer is for the film at `place` and this film is on the screen."""
        films, session = self.joint_viewer, self.active_session
        if session is None or films.mode == "difference" or (films.mode == "alone" and place != films.place):
            return False
        return any(field.time == self.reading.order[place] for field in session.waiting_fields)

    def on_films_aligned(self, event: FilmsAligned) -> None:
        """Show why the films, or the bones of a joint, could not be aligned."""
        if event.problem:
            self._unaligned_site = event.site if event.problem != "bones" else ""
            self.show_message(self.t(f"scoring.not_aligned_{event.problem}"))
        self.redraw()

    def on_joint_viewer_ready(self) -> None:
        """Draw again if the films have been turned in the meantime, because the texts say so."""
        if self.joint_viewer.turns != self._drawn_turns:
            self.redraw()

    def on_joint_viewer_resolution_changed(self) -> None:
        """Draw again, because the texts depend on the resolution. Each film reports a change of its size."""
        self.redraw_soon()

    def redraw_soon(self) -> None:
        """Draw once after the next layout, however often this is called before."""
        if not self._is_redraw_due:
            self._is_redraw_due = True
            self.call_after_refresh(self._redraw_once)

    def _redraw_once(self) -> None:
        self._is_redraw_due = False
        self.redraw()

    # Resolution.

    def check_coarse(self) -> bool:
        """Return whether the films are too coarse to judge erosions; the first time, show which keys help.

        During the tour, which names the grades of its films, nothing is reported; it is once the tour has ended.
        """
        if self.is_touring:
            return False
        self._report_few_greys()
        resolution = self.joint_viewer.resolution
        # After a resize the message about the resolution is still on the screen: write it again, or remove it.
        is_warning = bool(self._message) and self._message == self._coarse_warning
        if resolution is None or resolution.is_sufficient or self.joint_viewer.shows_whole_film:
            self._message = "" if is_warning else self._message
            return False
        if is_warning or (not self._coarse_warning and not self._message):
            keys = self.ratui.keymap
            self._message = self._coarse_warning = self.t(
                "scoring.coarse_help",
                pixels=f"{resolution.pixels_per_mm:.1f}",
                zoom=keys.key_label(f"{self.NAME}.zoom"),
                blink=keys.key_label(f"{self.NAME}.blink"),
            )
        return True

    def _report_few_greys(self) -> None:
        """Show the number of greys once in a session, if it is low."""
        graphics = self.ratui.graphics
        if graphics.levels < _FEW_GREYS and not self._message and not self.ratui.has_reported_greys:
            self.ratui.has_reported_greys = True
            self._message = self.t("scoring.few_greys", greys=graphics.levels, why=graphics.colours_why)

    def draw_film_texts(
        self, films: CaseFilms, site: str, format_line: Callable[[int], Text], *, is_coarse: bool
    ) -> None:
        """Draw the title above each film that is shown, and below it the line that `format_line` makes of its time.

        Where what a key asks for does not exist, a message says so: a difference of films that cannot be aligned, in whose
        place they stand side by side, or a long bone that could be upright.
        """
        if self.joint_viewer.lacks_difference:
            self.joint_viewer.set_mode("pair")
            self._message = self.t("scoring.no_difference")
        if self._message == self.t("scoring.upright_on") and not films.find_bones(site):
            self._message = self.t("scoring.no_bone")
        titles = self.make_titles(films, site, is_coarse)
        self._drawn_turns = self.joint_viewer.turns
        for place in self.joint_viewer.window:
            is_active = self.is_active_film(place)
            loading = format_title(self.t("scoring.loading_film"), is_active)
            self.joint_viewer.set_title(place, format_title(titles.format(place), is_active), loading)
            self.joint_viewer.set_line(place, format_line(self.reading.order[place]))

    def format_turn_note(self, films: CaseFilms) -> str:
        """Return why the films on the screen do not stand upright although they should; empty if they do.

        It is also empty at a joint without a long bone, such as those of the wrist: there is nothing to turn.
        """
        viewer, reading = self.joint_viewer, self.reading
        if not viewer.view_settings.is_upright:
            return ""
        unclear = viewer.turns.unclear if viewer.turns is not None else ()
        records = [films.record(viewer.site, place) for place in range(len(reading.order))]
        names = [
            films.visits.name(self.t, reading.order, time, blinded=reading.is_blinded)
            for time, record in zip(reading.order, records, strict=True)
            if record is not None and record.id in unclear
        ]
        return self.t("scoring.unclear_bone", films=", ".join(names)) if names else ""

    def make_titles(self, films: CaseFilms, site: str, is_coarse: bool) -> FilmTitles:
        """Return the titles of the films of `site`, as they are shown now."""
        blink, is_unaligned = self.ratui.keymap.key_label(f"{self.NAME}.blink"), self._unaligned_site == site
        return FilmTitles(self.t, self.reading, films, site, self.joint_viewer, blink, is_coarse, is_unaligned)

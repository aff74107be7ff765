"""The regions screen: each film whole with the boxes of its joints, the active one enlarged, for the rater to confirm.

Accepted boxes are saved at once. Boxes that cannot be right are refused. Nothing here depends on scores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress

from rich.text import Text
from textual.app import ComposeResult
from textual.events import Resize
from textual.widgets import Static

from ratui.errors import FilmError
from ratui.imaging import Orientation
from ratui.regions import RegionFault
from ratui.regions.case_regions import CaseRegions
from ratui.regions.editor import RegionEditor
from ratui.regions.propagation import BoxPropagation, ConfirmedRegions, PropagatedRegions
from ratui.scheme import Site
from ratui.study import Case, FilmRecord
from ratui.tui.i18n.reading_phrases import format_error
from ratui.tui.input.actions import Action
from ratui.tui.input.key_rows import KeyItem, drop_to_fit, format_key_rows
from ratui.tui.screens.regions import text as region_text
from ratui.tui.screens.regions.box_moving_screen import BoxMovingScreen
from ratui.tui.textual_internals import run_in_thread
from ratui.tui.widgets.film_view import FilmFailed
from ratui.tui.widgets.plain_widgets import KeyBar
from ratui.tui.widgets.region_viewer import RegionViewer, Scene

__all__ = ["RegionsScreen"]

_ARROWS = ("left", "up", "down", "right")
_LEGEND_ROWS = 32
"""Height of the screen from which the legend of the boxes has a line of its own."""
_ANYTIME = {"help", "leave", "next_film", "previous_film"}
"""Actions that are possible before the boxes are placed."""


class RegionsScreen(BoxMovingScreen):
    """The screen on which a rater confirms the regions of a case, film by film.

    Parameters
    ----------
    case
        The case.
    order
        The time points as they stand on the screen, left first.
    film, site
        The film and the site to begin at. If they are empty, it is the first film that lacks regions.
    writing
        Function that returns the context of each save. On entry it raises StoreError if nothing may be saved any more.
    """

    NAME = "regions"
    DEFAULT_CSS = "RegionsScreen #keys { height: 3; }"

    def __init__(
        self,
        case: Case,
        order: tuple[int, ...],
        *,
        film: str = "",
        site: str = "",
        writing: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        super().__init__()
        self._case = case
        self._order = order
        self._initial = (film, site)
        self._writing = writing
        self._film_index = 0
        self._faults: tuple[RegionFault, ...] = ()
        self._message = ""
        self._confirming = ""
        """Action that is carried out when its key is pressed again, because it was questioned; empty for none."""
        self._has_tried_other_hand = False
        """True once the second hand of this film has been placed again, after the first was accepted."""

    def compose(self) -> ComposeResult:
        """Make the widgets: head, films, message and keys."""
        app = self.ratui
        yield Static(id="head", classes="line title", markup=False)
        yield RegionViewer(app.graphics, app.frame_cache, app.film_store, id="films")
        yield Static(id="legend", classes="line", markup=False)
        yield Static(id="message", classes="message", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        """Open the first film."""
        self._case_regions = CaseRegions(self.ratui.study, self._case, self._order)
        self._propagation = BoxPropagation(self.ratui.film_store, self.ratui.scheme, self._case.id)
        film, site = self._initial
        names = [record.id for record, _ in self._case_regions.films]
        self._open_film(names.index(film) if film in names else self._case_regions.first_incomplete_film() or 0, site)

    def on_resize(self, event: Resize) -> None:
        """Fit the screen to its new size."""
        self.call_after_refresh(self._draw)

    def fill_widgets(self) -> None:
        """Fill the widgets in the app's present language."""
        self._draw()

    def on_film_failed(self, event: FilmFailed) -> None:
        """Show why a film cannot be shown."""
        self._message = format_error(self.t, event.error)
        self._update_message()  # the films are not drawn again, because that would fail again

    def on_film_view_resized(self) -> None:
        """Fit the lines below the films to their width."""
        if self._editor is not None:
            self._update_lines(self._editor)

    # From film to film.

    def _open_film(self, index: int, site: str = "") -> None:
        """Show the film with the number `index` at once, and its boxes when they have been placed."""
        self._has_tried_other_hand = self._has_tried_other_hand and index == self._film_index
        self._film_index = index
        self._editor, self._faults = None, ()
        self.stop_moving()
        missing, confirmed = self._case_regions.missing_sites(index), self._case_regions.confirmed_regions()
        if missing and confirmed:
            self._draw()
            run_in_thread(self, lambda: self._propagate(index, missing, confirmed, site), group="propagation")
        else:
            self._start_editing(index, PropagatedRegions({}), site)

    def _propagate(self, index: int, missing: Sequence[Site], confirmed: ConfirmedRegions, site: str) -> None:
        """Place the boxes of the `missing` sites in a thread, from the regions `confirmed` on other films."""
        try:
            propagated = self._propagation.propagate(self._case_regions.films[index][0], missing, confirmed)
        except FilmError:
            propagated = PropagatedRegions({}, failed=True)  # the viewer shows what is wrong with the film
        self.app.call_from_thread(self._start_editing, index, propagated, site)

    def _start_editing(self, index: int, propagated: PropagatedRegions, site: str = "") -> None:
        if index != self._film_index or not self.is_attached:
            return
        editor = self._case_regions.open_editor(index, propagated)
        self._editor = editor.select_site(site) if site in editor.regions else editor
        self._message = region_text.format_opening_note(
            self.t, self._editor, propagated.failed, self.ratui.keymap.key_label("regions.mirror")
        )
        self._draw()
        self._prepare_next_film()

    def _prepare_next_film(self) -> None:
        """Place the boxes of the next film in a thread, assuming that those of this film are accepted unchanged."""
        index = self._film_index + 1
        if index < len(self._case_regions.films) and self._current_editor.unaccepted:
            confirmed = self._case_regions.confirmed_regions(self._current_editor)
            film, sites = self._case_regions.films[index]
            run_in_thread(self, lambda: self._propagate_ahead(film, sites, confirmed), group="ahead")

    def _propagate_ahead(self, film: FilmRecord, sites: Sequence[Site], confirmed: ConfirmedRegions) -> None:
        with suppress(FilmError):  # it is reported when the film is opened
            self._propagation.propagate(film, sites, confirmed)

    # Keys.

    def process_key(self, name: str) -> bool:
        """Do what the key `name` stands for; accept the unshifted key of ``+`` and the shifted one of ``-`` too."""
        return super().process_key({"=": "+", "_": "-"}.get(name, name))

    def perform(self, name: str) -> None:
        """Perform the action `name`; ignore it if it needs boxes and none have been shown yet."""
        if self._editor is None and name not in _ANYTIME:
            return
        self._message, self._faults = "", ()
        if name != self._confirming:
            if self.is_asking:
                name = {"accept": "accept_unsupported", "leave": "cancel"}.get(name, name)
            self._confirming = ""
        super().perform(name)

    def action_accept(self) -> None:
        """Accept the active box and go on."""
        if self._accept([self._current_editor.site.key]):
            self._advance()

    def action_accept_all(self) -> None:
        """Accept all boxes of the film and go on; ask first if neither the image nor a rater supports some of them.

        On a film of both hands whose boxes no image supports, accept those of the active hand: the other is placed from it.
        """
        keys = self.keys_to_accept
        unsupported = set(keys) & set(self._current_editor.unsupported)
        if not unsupported:
            self._accept_all()
        elif not self._refuse(keys):
            self._confirming = "accept_all"
            key = self.ratui.keymap.key_label("regions.accept")
            self.show_message(self.t("regions.accept_unsupported", count=len(unsupported), total=len(keys), key=key))

    @property
    def keys_to_accept(self) -> tuple[str, ...]:
        """Keys of the sites that "accept all" accepts."""
        editor = self._current_editor
        hand = () if self._has_tried_other_hand else editor.hand_to_accept
        return hand or editor.unaccepted or tuple(site.key for site in editor.sites)

    @property
    def is_asking(self) -> bool:
        """True while the screen asks whether boxes without support are accepted."""
        return self._confirming == "accept_all"

    def action_accept_unsupported(self) -> None:
        """Accept all boxes, although the rater was told that no image supports some of them."""
        self._accept_all()

    def action_cancel(self) -> None:
        """Clear the question."""
        self._draw()

    def _accept_all(self) -> None:
        if self._accept(self.keys_to_accept):
            self._advance()

    def _advance(self) -> None:
        """Go to the next box that is not accepted, on this film or on another; leave the screen if there is none."""
        incomplete = None if self._current_editor.unaccepted else self._case_regions.first_incomplete_film()
        if self._current_editor.other_hand_is_next and not self._has_tried_other_hand:
            self._has_tried_other_hand = True
            self._open_film(self._film_index)
        elif self._current_editor.unaccepted:
            self._set_editor(self._current_editor.select_next_unaccepted())
        elif incomplete is not None:
            self._open_film(incomplete)
        else:
            self.dismiss()

    def _accept(self, keys: Iterable[str]) -> bool:
        """Accept and save the boxes of the sites `keys`; return False, and accept none, if one of them cannot be right.

        Raise StoreError, and accept none, if they cannot be saved.
        """
        sites = list(keys)
        if self._refuse(sites):
            return False
        accepted = self._current_editor.accept(sites, self.ratui.rater)
        with self._writing():
            self._case_regions.save(accepted)
        self._editor = accepted
        return True

    def _refuse(self, keys: Iterable[str]) -> bool:
        """Return True, and show the first fault, if a box of the sites `keys` cannot be right."""
        self._faults = self._current_editor.find_acceptance_faults(keys)
        if self._faults:
            self._set_editor(self._current_editor.select_site(self._faults[0].site))
        return bool(self._faults)

    def action_next(self) -> None:
        """Go to the next box."""
        self._set_editor(self._current_editor.step(1))

    def action_previous(self) -> None:
        """Go to the previous box."""
        self._set_editor(self._current_editor.step(-1))

    def action_swap(self) -> None:
        """Arrange the boxes for the next way in which the hands may lie on the film."""
        swapped = self._current_editor.next_arrangement()
        self._message = region_text.format_arrangement(self.t, swapped, is_new=swapped is not self._current_editor)
        self._set_editor(swapped)

    def action_turn(self) -> None:
        """Turn the displayed film clockwise by a quarter."""
        self._turn_film("turn", Orientation.TURNED_90)

    def action_mirror(self) -> None:
        """Exchange left and right in the displayed film."""
        self._turn_film("mirror", Orientation.MIRRORED)

    def _turn_film(self, action: str, change: Orientation) -> None:
        """Display the film with `change`, and record that; boxes that are not accepted are placed again."""
        (film, _), study = self._case_regions.films[self._film_index], self.ratui.study
        if self._confirming != action and study.is_signed(self._case.id, film.id):
            self._confirming = action
            self.show_message(self.t("regions.turn_signed", key=self.ratui.keymap.key_label(f"regions.{action}")))
            return
        turned = film.orientation.then(change)
        with self._writing():
            study.set_orientation(self._case.id, film.id, turned, by=self.ratui.rater, even_if_signed=True)
        self._case = study.case(self._case.id)
        self._case_regions = CaseRegions(study, self._case, self._order)
        self._open_film(self._film_index)

    def action_absent(self) -> None:
        """Mark the joint as not on the film, or remove the mark."""
        self._set_editor(self._current_editor.toggle_absent())

    def action_undo(self) -> None:
        """Undo the last change of the boxes."""
        if not self._current_editor.history:
            self._message = self.t("regions.nothing_to_undo")
        self._set_editor(self._current_editor.undo())

    def action_next_film(self) -> None:
        """Show the next film."""
        self._open_film((self._film_index + 1) % len(self._case_regions.films))

    def action_previous_film(self) -> None:
        """Show the previous film."""
        self._open_film((self._film_index - 1) % len(self._case_regions.films))

    def action_leave(self) -> None:
        """Leave the regions."""
        self.dismiss()

    def check_action(self, action: str, parameters: tuple[object, ...] = ()) -> bool:
        """Return whether `action` is possible now."""
        return action != "undo" or (self._editor is not None and bool(self._editor.history))

    def show_message(self, text: str) -> None:
        """Show `text` until the next action."""
        self._message = text
        self._draw()

    # Drawing.

    def _draw(self, *, is_moving: bool = False) -> None:
        """Draw the film, its boxes and the texts; while a box `is_moving`, draw the whole film only when the keys pause."""
        if not self.has_widgets:
            return
        (film, sites), study, t = self._case_regions.films[self._film_index], self.ratui.study, self.t
        editor = self._editor
        site = editor.site if editor else sites[0]
        head = region_text.format_head(
            t, self._case, study, film, site, self._order, self._film_index + 1, len(self._case_regions.films)
        )
        self.query_one("#head", Static).update(head)
        viewer = self.query_one(RegionViewer)
        if editor is None:
            viewer.update_lines("", "")
            viewer.show(Scene(self._case.id, film))
            self._message = t("regions.propagating")
        else:
            self._update_lines(editor)
            faulty = tuple(key for fault in self._faults for key in (fault.site, fault.other) if key)
            scene = Scene(self._case.id, film, editor.sites, dict(editor.regions), editor.site.key, faulty)
            viewer.show(scene, is_moving=is_moving)
        self._update_message()
        self.update_key_bar()

    def _update_lines(self, editor: RegionEditor) -> None:
        self.query_one(RegionViewer).update_lines(region_text.format_count(self.t, editor), self._format_state(editor))

    def _format_state(self, editor: RegionEditor) -> Text:
        """Return why the active box is refused, or else its state; of the hand while its boxes move together."""
        width = self.query_one(RegionViewer).state_width
        if self._moves_hand:
            rotate = (self.ratui.keymap.key_label(f"regions.rotate_{way}") for way in ("left", "right"))
            return region_text.format_hand_state(self.t, editor, " ".join(rotate), width)
        return self._format_fault(has_room=True) or region_text.format_box_state(self.t, editor, width)

    def _format_fault(self, *, has_room: bool) -> Text:
        """Return why the active box is refused, if it is and the line below the box `has_room` for it, or has not."""
        key, width = self.ratui.keymap.key_label, self.query_one(RegionViewer).state_width
        text = region_text.format_fault(self.t, self._current_editor, self._faults, key)
        return text if (text.cell_len <= width) == has_room else Text()

    def label_of(self, action: Action) -> str:
        """Return the label of `action`; from a joint that is scored, the screen leads back to it."""
        if action.name == "leave" and self._initial[1]:
            return self.t("regions.back_to_joint")
        if action.name == "whole_hand" and self._moves_hand:
            return self.t("regions.move_one")
        return super().label_of(action)

    def format_keys(self) -> Text:
        """Return the keys in three rows, with four arrows as one key."""
        items = self.list_key_items(only_possible=False)  # "undo" keeps its place, so that no key moves
        items[2:2] = [KeyItem(self._label_of_arrows(action), self.t(f"regions.{action}")) for action in ("move", "go")]
        return format_key_rows(*drop_to_fit(items, self.app.size.width, keep=self.help_key, row_count=3))

    def _label_of_arrows(self, action: str) -> str:
        """Return the keys of `action` in four directions as one label: ``Shift-←↑↓→``."""
        first, *others = (self.ratui.keymap.key_label(f"regions.{action}_{way}") for way in _ARROWS)
        modifier = first[: first.rfind("-") + 1] if len(first) > 1 else ""
        return first + "".join(label.removeprefix(modifier) for label in others)

    def _update_message(self) -> None:
        """Show the message, and the legend of the boxes: on small screens in the same line, while there is no message."""
        legend, editor = Text(""), self._editor
        if editor is not None:
            refused = [key for fault in self._faults for key in (fault.site, fault.other) if key]
            width, uses_signs = self.app.size.width, self.query_one(RegionViewer).uses_signs
            legend = region_text.format_legend(self.t, editor, refused, uses_signs=uses_signs, width=width)
        line, has_room = self.query_one("#legend", Static), self.app.size.height >= _LEGEND_ROWS
        line.display = has_room
        line.update(legend)
        message = Text(f" {self._message}") if self._message else Text() if has_room else legend
        self.query_one("#message", Static).update((editor and self._format_fault(has_room=False)) or message)

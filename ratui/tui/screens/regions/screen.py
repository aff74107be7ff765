"""Where the joints are: each film whole with its boxes on it, the current one enlarged; the rater mostly accepts.

Accepting saves at once, and refuses what can't be true. Nothing here knows of scores.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.events import Resize
from textual.widgets import Static

from ratui.errors import FilmError
from ratui.regions import RegionFault
from ratui.regions.case_regions import CaseRegions
from ratui.regions.editor import RegionEditor
from ratui.regions.initial import StepSize, move_box, resize_box
from ratui.regions.propagation import BoxPropagation, ConfirmedRegions, PropagatedRegions
from ratui.scheme import Site
from ratui.study import Case, FilmRecord
from ratui.tui.screens.base import KeyScreen
from ratui.tui.screens.regions import text as region_text
from ratui.tui.widgets.key_bar import KeyBar, KeyItem, drop_to_fit, format_key_rows
from ratui.tui.widgets.region_viewer import RegionViewer, Scene
from ratui.tui.workers import run_in_thread

__all__ = ["RegionsScreen"]

_FAR, _GROW = 0.5, 1.08
_ANYTIME = {"help", "leave", "next_film", "previous_film"}


class RegionsScreen(KeyScreen[None]):
    """The regions of `case`, film by film; `order` is how its time points stand on the screen.

    Opens at the first film that lacks some, or at `site` of `film` where both are given.
    """

    NAME = "regions"
    CSS = """
    RegionsScreen #keys { height: 3; }
    """

    def __init__(self, case: Case, order: tuple[int, ...], *, film: str = "", site: str = "") -> None:
        super().__init__()
        self._case = case
        self._order = order
        self._wanted = (film, site)
        self._film_index = 0
        self._editor: RegionEditor | None = None
        self._faults: tuple[RegionFault, ...] = ()
        self._step_size = StepSize()
        self._note = ""
        self._has_tried_other_hand = False

    def compose(self) -> ComposeResult:
        app = self.ratui
        yield Static(id="head", classes="line title", markup=False)
        yield RegionViewer(app.graphics, app.frame_cache, app.film_store, id="films")
        yield Static(id="message", classes="message", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        study = self.ratui.study
        self._case_regions = CaseRegions(study, self._case, self._order)
        self._propagation = BoxPropagation(self.ratui.film_store, study.scheme, self._case.id)
        film, site = self._wanted
        names = [record.id for record, _ in self._case_regions.films]
        self._open_film(names.index(film) if film in names else self._case_regions.first_incomplete_film() or 0, site)

    def on_resize(self, event: Resize) -> None:
        self.call_after_refresh(self._draw)

    def fill_widgets(self) -> None:
        self._draw()

    def on_region_viewer_failed(self, message: RegionViewer.Failed) -> None:
        self._note = message.why
        self._update_message()  # and nothing is drawn anew: it would fail anew

    # From film to film.

    def _open_film(self, index: int, site: str = "") -> None:
        """Shows the film at once, and its boxes as soon as it is known where they go."""
        self._has_tried_other_hand = self._has_tried_other_hand and index == self._film_index
        self._film_index = index
        self._editor, self._faults, self._step_size = None, (), StepSize()
        missing, placed = self._case_regions.missing_sites(index), self._case_regions.confirmed_regions()
        if missing and placed:
            self._draw()
            run_in_thread(self, lambda: self._propagate(index, missing, placed, site), group="following")
        else:
            self._start_editing(index, PropagatedRegions({}), site)

    def _propagate(self, index: int, missing: Sequence[Site], placed: ConfirmedRegions, site: str) -> None:
        try:
            propagated = self._propagation.propagate(self._case_regions.films[index][0], missing, placed)
        except FilmError:
            propagated = PropagatedRegions({}, failed=True)  # the film itself says what is wrong with it
        self.app.call_from_thread(self._start_editing, index, propagated, site)

    def _start_editing(self, index: int, propagated: PropagatedRegions, site: str = "") -> None:
        if index != self._film_index or not self.is_attached:
            return
        boxes = self._case_regions.open_editor(index, propagated)
        self._editor = boxes.select_site(site) if site in boxes.regions else boxes
        self._note = region_text.format_opening_note(self.t, self._editor, propagated.failed)
        self._draw()
        self._prepare_next_film()

    def _prepare_next_film(self) -> None:
        """Follows the boxes as they are to the next film meanwhile: mostly they are accepted as they are."""
        following = self._film_index + 1
        if following < len(self._case_regions.films) and self._current_editor.unaccepted:
            placed = self._case_regions.confirmed_regions(self._current_editor)
            film, sites = self._case_regions.films[following]
            run_in_thread(self, lambda: self._propagate_ahead(film, sites, placed), group="ahead")

    def _propagate_ahead(self, film: FilmRecord, sites: Sequence[Site], placed: ConfirmedRegions) -> None:
        try:
            self._propagation.propagate(film, sites, placed)
        except FilmError:
            return  # it will be met again when the film is opened

    # Keys.

    def process_key(self, name: str) -> bool:
        # The same key on another layout: + needs no Shift then.
        return super().process_key({"=": "+", "_": "-"}.get(name, name))

    def perform(self, name: str) -> None:
        if self._editor is None and name not in _ANYTIME:
            return  # no box is accepted or moved that hasn't been seen
        self._note, self._faults = "", ()
        super().perform(name)

    def action_accept(self) -> None:
        if self._accept([self._current_editor.site.key]):
            self._advance()

    def action_accept_all(self) -> None:
        if self._accept(self._current_editor.unaccepted or [site.key for site in self._current_editor.sites]):
            self._advance()

    def _advance(self) -> None:
        """To the next box that waits: of this film, or of the next one that has any."""
        lacking = None if self._current_editor.unaccepted else self._case_regions.first_incomplete_film()
        if self._other_hand_is_next() and not self._has_tried_other_hand:
            self._has_tried_other_hand = True
            self._open_film(self._film_index)
        elif self._current_editor.unaccepted:
            self._set_editor(self._current_editor.select_next_unaccepted())
        elif lacking is not None:
            self._open_film(lacking)
        else:
            self.dismiss()

    def _accept(self, keys: Iterable[str]) -> bool:
        """Saves `keys` as accepted; refuses them all where one can't be true. Raises StoreError, and then nothing is."""
        wanted = list(keys)
        found = self._current_editor.find_acceptance_faults(wanted)
        if found:
            self._faults = found
            self._set_editor(self._current_editor.select_site(found[0].site))
            return False
        accepted = self._current_editor.accept(wanted, self.ratui.rater)
        self._case_regions.save(accepted)
        self._editor = accepted
        return True

    def _other_hand_is_next(self) -> bool:
        """Whether this film shows two hands and the one that is accepted now tells where the joints of the other are."""
        waiting = [
            index
            for index, site in enumerate(self._current_editor.sites)
            if site.key in self._current_editor.unaccepted
        ]
        sides = {self._current_editor.sites[index].side for index in waiting}
        return (
            self._current_editor.film.side == "B"
            and len(sides) == 1
            and set(waiting) <= set(self._current_editor.uncertain_indices)
        )

    def _move(self, dx: int, dy: int, step: float | None = None) -> None:
        box = self._current_editor.region.box
        if box is None:
            return
        if step is None:
            self._step_size = self._step_size.next((dx, dy), time.monotonic())
            step = self._step_size.step
        self._set_editor(
            self._current_editor.with_box(move_box(box, dx * step, dy * step, self._current_editor.film)), moving=True
        )

    def action_move_left(self) -> None:
        self._move(-1, 0)

    def action_move_right(self) -> None:
        self._move(1, 0)

    def action_move_up(self) -> None:
        self._move(0, -1)

    def action_move_down(self) -> None:
        self._move(0, 1)

    def action_far_left(self) -> None:
        self._move(-1, 0, _FAR)

    def action_far_right(self) -> None:
        self._move(1, 0, _FAR)

    def action_far_up(self) -> None:
        self._move(0, -1, _FAR)

    def action_far_down(self) -> None:
        self._move(0, 1, _FAR)

    def action_larger(self) -> None:
        self._resize(_GROW)

    def action_smaller(self) -> None:
        self._resize(1 / _GROW)

    def _resize(self, factor: float) -> None:
        box = self._current_editor.region.box
        if box is not None:
            self._set_editor(
                self._current_editor.with_box(resize_box(box, factor, self._current_editor.film)), moving=True
            )

    def action_next(self) -> None:
        self._set_editor(self._current_editor.step(1))

    def action_previous(self) -> None:
        self._set_editor(self._current_editor.step(-1))

    def action_swap(self) -> None:
        swapped = self._current_editor.next_arrangement()
        same = swapped is self._current_editor
        self._note = self.t("regions.nothing_to_swap") if same else region_text.format_arrangement(self.t, swapped)
        self._set_editor(swapped)

    def action_absent(self) -> None:
        self._set_editor(self._current_editor.toggle_absent())

    def action_undo(self) -> None:
        if not self._current_editor.history:
            self._note = self.t("regions.nothing_to_undo")
        self._set_editor(self._current_editor.undo())

    def action_next_film(self) -> None:
        self._open_film((self._film_index + 1) % len(self._case_regions.films))

    def action_previous_film(self) -> None:
        self._open_film((self._film_index - 1) % len(self._case_regions.films))

    def action_leave(self) -> None:
        self.dismiss()

    def check_action(self, action: str, parameters: tuple[object, ...] = ()) -> bool:
        return action != "undo" or (self._editor is not None and bool(self._editor.history))

    def show_message(self, text: str) -> None:
        self._note = text
        self._draw()

    # Drawing.

    @property
    def _current_editor(self) -> RegionEditor:
        assert self._editor is not None, "no action runs before there are boxes"
        return self._editor

    def _set_editor(self, boxes: RegionEditor, *, moving: bool = False) -> None:
        if boxes.index != (self._editor.index if self._editor else -1):
            self._step_size = StepSize()
        self._editor = boxes
        self._draw(moving=moving)

    def _draw(self, *, moving: bool = False) -> None:
        if not self.is_mounted:
            return
        (film, sites), study, t = self._case_regions.films[self._film_index], self.ratui.study, self.t
        boxes = self._editor
        site = boxes.site if boxes else sites[0]
        head = region_text.format_head(
            t, self._case.id, study, film, site, self._order, self._film_index + 1, len(self._case_regions.films)
        )
        self.query_one("#head", Static).update(head)
        films = self.query_one(RegionViewer)
        if boxes is None:
            films.update_lines("", "")
            films.show(Scene(self._case.id, film))
            self._note = t("regions.laying")
        else:
            keys = {name: self.ratui.keymap.key_label(f"regions.{name}") for name in ("swap", "absent")}
            state = (
                region_text.format_fault(t, boxes, self._faults[0], keys)
                if self._faults
                else region_text.format_box_state(t, boxes)
            )
            films.update_lines(region_text.format_count(t, boxes), state)
            wrong = tuple(key for fault in self._faults for key in (fault.site, fault.other) if key)
            scene = Scene(self._case.id, film, boxes.sites, dict(boxes.regions), boxes.site.key, wrong)
            films.show(scene, moving=moving)
        self._update_message()
        self.update_key_bar()

    def format_keys(self) -> Text:
        """Return the keys in three rows, the arrows as one key."""
        arrows = "".join(self.ratui.keymap.key_label(f"regions.move_{way}") for way in ("left", "up", "down", "right"))
        items = self.list_key_items(only_possible=False)
        items.insert(2, KeyItem(arrows, self.t("regions.move")))
        return format_key_rows(*drop_to_fit(items, self.app.size.width - 2, keep=self.help_key, row_count=3))

    def _update_message(self) -> None:
        self.query_one("#message", Static).update(Text(f" {self._note}"))

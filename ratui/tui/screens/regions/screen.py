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
from ratui.tui.screens.regions import text as words
from ratui.tui.widgets.region_viewer import RegionFilms, Scene
from ratui.tui.workers import in_thread

__all__ = ["RegionsScreen"]

_FAR, _GROW = 0.5, 1.08
_ANYTIME = {"help", "leave", "next_film", "previous_film"}


class RegionsScreen(KeyScreen):
    """The regions of `case`, film by film; `order` is how its time points stand on the screen.

    Opens at the first film that lacks some, or at `site` of `film` where both are given.
    """

    NAME = "regions"

    def __init__(self, case: Case, order: tuple[int, ...], *, film: str = "", site: str = "") -> None:
        super().__init__()
        self._case = case
        self._order = order
        self._wanted = (film, site)
        self._at_film = 0
        self._boxes: RegionEditor | None = None
        self._faults: tuple[RegionFault, ...] = ()
        self._pace = StepSize()
        self._note = ""
        self._tried_other_hand = False

    def compose(self) -> ComposeResult:
        app = self.ratui
        yield Static(id="head", classes="line title", markup=False)
        yield RegionFilms(app.graphics, app.frames, app.library, id="films")
        yield Static(id="message", classes="message", markup=False)
        yield Static(id="keys", classes="keys")

    def on_mount(self) -> None:
        study = self.ratui.study
        self._case_regions = CaseRegions(study, self._case, self._order)
        self._follower = BoxPropagation(self.ratui.library, study.scheme, self._case.id)
        film, site = self._wanted
        names = [record.id for record, _ in self._case_regions.films]
        self._open_film(names.index(film) if film in names else self._case_regions.first_incomplete_film() or 0, site)

    def on_resize(self, event: Resize) -> None:
        self.call_after_refresh(self._draw)

    def refill(self) -> None:
        self._draw()

    def on_region_films_failed(self, message: RegionFilms.Failed) -> None:
        self._note = message.why
        self._tell()  # and nothing is drawn anew: it would fail anew

    # From film to film.

    def _open_film(self, index: int, site: str = "") -> None:
        """Shows the film at once, and its boxes as soon as it is known where they go."""
        self._tried_other_hand = self._tried_other_hand and index == self._at_film
        self._at_film = index
        self._boxes, self._faults, self._pace = None, (), StepSize()
        missing, placed = self._case_regions.missing_sites(index), self._case_regions.confirmed_regions()
        if missing and placed:
            self._draw()
            in_thread(self, lambda: self._follow(index, missing, placed, site), group="following")
        else:
            self._begin(index, PropagatedRegions({}), site)

    def _follow(self, index: int, missing: Sequence[Site], placed: ConfirmedRegions, site: str) -> None:
        try:
            propagated = self._follower.propagate(self._case_regions.films[index][0], missing, placed)
        except FilmError:
            propagated = PropagatedRegions({}, failed=True)  # the film itself says what is wrong with it
        self.app.call_from_thread(self._begin, index, propagated, site)

    def _begin(self, index: int, propagated: PropagatedRegions, site: str = "") -> None:
        if index != self._at_film or not self.is_attached:
            return
        boxes = self._case_regions.open_editor(index, propagated)
        self._boxes = boxes.select_site(site) if site in boxes.regions else boxes
        self._note = words.opening(self.t, self._boxes, propagated.failed)
        self._draw()
        self._look_ahead()

    def _look_ahead(self) -> None:
        """Follows the boxes as they are to the next film meanwhile: mostly they are accepted as they are."""
        following = self._at_film + 1
        if following < len(self._case_regions.films) and self._now.unaccepted:
            placed = self._case_regions.confirmed_regions(self._now)
            film, sites = self._case_regions.films[following]
            in_thread(self, lambda: self._follow_ahead(film, sites, placed), group="ahead")

    def _follow_ahead(self, film: FilmRecord, sites: Sequence[Site], placed: ConfirmedRegions) -> None:
        try:
            self._follower.propagate(film, sites, placed)
        except FilmError:
            return  # it will be met again when the film is opened

    # Keys.

    def pressed(self, name: str) -> bool:
        # The same key on another layout: + needs no Shift then.
        return super().pressed({"=": "+", "_": "-"}.get(name, name))

    def perform(self, name: str) -> None:
        if self._boxes is None and name not in _ANYTIME:
            return  # no box is accepted or moved that hasn't been seen
        self._note, self._faults = "", ()
        super().perform(name)

    def do_accept(self) -> None:
        if self._confirm([self._now.site.key]):
            self._go_on()

    def do_accept_all(self) -> None:
        if self._confirm(self._now.unaccepted or [site.key for site in self._now.sites]):
            self._go_on()

    def _go_on(self) -> None:
        """To the next box that waits: of this film, or of the next one that has any."""
        lacking = None if self._now.unaccepted else self._case_regions.first_incomplete_film()
        if self._other_hand_follows() and not self._tried_other_hand:
            self._tried_other_hand = True
            self._open_film(self._at_film)
        elif self._now.unaccepted:
            self._set(self._now.select_next_unaccepted())
        elif lacking is not None:
            self._open_film(lacking)
        else:
            self.dismiss(True)

    def _confirm(self, keys: Iterable[str]) -> bool:
        """Saves `keys` as accepted; refuses them all where one can't be true. Raises StoreError, and then nothing is."""
        wanted = list(keys)
        found = self._now.find_acceptance_faults(wanted)
        if found:
            self._faults = found
            self._set(self._now.select_site(found[0].site))
            return False
        accepted = self._now.accept(wanted, self.ratui.rater)
        self._case_regions.save(accepted)
        self._boxes = accepted
        return True

    def _other_hand_follows(self) -> bool:
        """Whether this film shows two hands and the one that is accepted now tells where the joints of the other are."""
        waiting = [index for index, site in enumerate(self._now.sites) if site.key in self._now.unaccepted]
        sides = {self._now.sites[index].side for index in waiting}
        return self._now.film.side == "B" and len(sides) == 1 and set(waiting) <= set(self._now.uncertain_indices)

    def _move(self, dx: int, dy: int, step: float | None = None) -> None:
        box = self._now.region.box
        if box is None:
            return
        if step is None:
            self._pace = self._pace.next((dx, dy), time.monotonic())
            step = self._pace.step
        self._set(self._now.with_box(move_box(box, dx * step, dy * step, self._now.film)), moving=True)

    def do_move_left(self) -> None:
        self._move(-1, 0)

    def do_move_right(self) -> None:
        self._move(1, 0)

    def do_move_up(self) -> None:
        self._move(0, -1)

    def do_move_down(self) -> None:
        self._move(0, 1)

    def do_far_left(self) -> None:
        self._move(-1, 0, _FAR)

    def do_far_right(self) -> None:
        self._move(1, 0, _FAR)

    def do_far_up(self) -> None:
        self._move(0, -1, _FAR)

    def do_far_down(self) -> None:
        self._move(0, 1, _FAR)

    def do_larger(self) -> None:
        self._resize(_GROW)

    def do_smaller(self) -> None:
        self._resize(1 / _GROW)

    def _resize(self, factor: float) -> None:
        box = self._now.region.box
        if box is not None:
            self._set(self._now.with_box(resize_box(box, factor, self._now.film)), moving=True)

    def do_next(self) -> None:
        self._set(self._now.step(1))

    def do_previous(self) -> None:
        self._set(self._now.step(-1))

    def do_swap(self) -> None:
        swapped = self._now.next_arrangement()
        same = swapped is self._now
        self._note = self.t("regions.nothing_to_swap") if same else words.arrangement(self.t, swapped)
        self._set(swapped)

    def do_absent(self) -> None:
        self._set(self._now.toggle_absent())

    def do_undo(self) -> None:
        if not self._now.history:
            self._note = self.t("regions.nothing_to_undo")
        self._set(self._now.undo())

    def do_next_film(self) -> None:
        self._open_film((self._at_film + 1) % len(self._case_regions.films))

    def do_previous_film(self) -> None:
        self._open_film((self._at_film - 1) % len(self._case_regions.films))

    def do_leave(self) -> None:
        self.dismiss(False)

    def possible(self, name: str) -> bool:
        return name != "undo" or (self._boxes is not None and bool(self._boxes.history))

    def say(self, text: str) -> None:
        self._note = text
        self._draw()

    # Drawing.

    @property
    def _now(self) -> RegionEditor:
        assert self._boxes is not None, "no action runs before there are boxes"
        return self._boxes

    def _set(self, boxes: RegionEditor, *, moving: bool = False) -> None:
        if boxes.index != (self._boxes.index if self._boxes else -1):
            self._pace = StepSize()
        self._boxes = boxes
        self._draw(moving=moving)

    def _draw(self, *, moving: bool = False) -> None:
        if not self.is_mounted:
            return
        (film, sites), study, t = self._case_regions.films[self._at_film], self.ratui.study, self.t
        boxes = self._boxes
        site = boxes.site if boxes else sites[0]
        head = words.head(
            t, self._case.id, study, film, site, self._order, self._at_film + 1, len(self._case_regions.films)
        )
        self.query_one("#head", Static).update(head)
        films = self.query_one(RegionFilms)
        if boxes is None:
            films.say("", "")
            films.show(Scene(self._case.id, film))
            self._note = t("regions.laying")
        else:
            keys = {name: self.ratui.keymap.shown(f"regions.{name}") for name in ("swap", "absent")}
            state = words.fault(t, boxes, self._faults[0], keys) if self._faults else words.state(t, boxes)
            films.say(words.count(t, boxes), state)
            wrong = tuple(key for fault in self._faults for key in (fault.site, fault.other) if key)
            scene = Scene(self._case.id, film, boxes.sites, dict(boxes.regions), boxes.site.key, wrong)
            films.show(scene, moving=moving)
        self._tell()
        self.query_one("#keys", Static).update(words.keys(t, self.ratui.keymap, self.app.size.width))

    def _tell(self) -> None:
        self.query_one("#message", Static).update(Text(f" {self._note}"))

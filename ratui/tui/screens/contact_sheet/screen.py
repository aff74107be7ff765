"""One joint over all cases that the rater has read, with the scores beneath: to see whether one has stayed true to oneself.

Only the rater's own readings are read here, never another's; nothing is changed here.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.widgets import Static
from textual.worker import get_current_worker

from ratui.errors import RatuiError
from ratui.terminal import Display
from ratui.tui.entry import text as texts
from ratui.tui.graphics.viewport import CaseFilms, Viewport, ViewSettings, load_case_films
from ratui.tui.screens.base import KeyScreen
from ratui.tui.screens.contact_sheet.cell import ContactCell
from ratui.tui.screens.contact_sheet.model import CaseCard, make_card, paste_side_by_side, select_cards
from ratui.tui.theme import PLAIN
from ratui.tui.widgets.key_bar import KeyBar
from ratui.tui.workers import run_in_thread

__all__ = ["ContactSheetScreen", "count_cells"]

_WIDTHS = (38, 26, 58)
"""How many characters a pair of pictures is wide, in the order of the key."""
_BATCH = 25


def count_cells(width: int, room: tuple[int, int], display: Display) -> tuple[int, int, int]:
    """How many pairs of square pictures, together `width` characters wide, fit into `room` (width, height): across, down,
    and how many lines high each is, without its caption."""
    high = max(int(width / 2 * display.cell[0] / display.cell[1]), 3)
    high = min(high, max(room[1] - 1, 3))
    return max(room[0] // (width + 2), 1), max(room[1] // (high + 1), 1), high


class ContactSheetScreen(KeyScreen[str]):
    """Shows `site`, or another that the rater steps to; `open_case(case, site)` opens what Enter is pressed on."""

    NAME = "contact"
    DEFAULT_CSS = """
    ContactSheetScreen #sheet { height: 1fr; }
    ContactSheetScreen #sheet Horizontal { height: auto; }
    """

    def __init__(self, open_case: Callable[[str, str], None], site: str = "") -> None:
        super().__init__()
        self._open_case = open_case
        self._site = site
        self._cards: dict[str, CaseCard] = {}
        self._visible: list[CaseCard] = []
        self._cursor = ""
        self._by_score = False
        self._zoom = 0
        self._cells: list[ContactCell] = []
        self._across = 1
        self._films: dict[str, CaseFilms] = {}
        self._failed: dict[str, str] = {}
        self._loading = True
        self._opened_case = ""

    def compose(self) -> ComposeResult:
        yield Static(id="head", classes="line title", markup=False)
        yield Vertical(id="sheet")
        yield Static(id="message", classes="message", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        scheme = self.ratui.study.scheme
        self._site = self._site or scheme.sites[0].key
        self.fill_widgets()
        run_in_thread(self, self._read, group="readings")

    def fill_widgets(self) -> None:
        self._cells = []
        self.call_after_refresh(self._create_cells)

    def on_resize(self, event: Resize) -> None:
        self.call_after_refresh(self._create_cells)

    def on_screen_resume(self) -> None:
        if self._opened_case:
            # It may have been read further meanwhile.
            reading = self.ratui.study.reading(self.ratui.rater, self._opened_case)
            if reading is not None:
                self._cards[self._opened_case] = make_card(reading)
            self._films.pop(self._opened_case, None)
            self._opened_case = ""
            self._draw()

    # The readings.

    def _read(self) -> None:
        """Reads the rater's own readings, case by case; what is damaged is named and left out."""
        worker, study, rater = get_current_worker(), self.ratui.study, self.ratui.rater
        batch: list[CaseCard] = []
        failed: dict[str, str] = {}
        for case in study.cases():
            if worker.is_cancelled:
                return
            try:
                reading = study.reading(rater, case)
            except RatuiError as error:
                failed[case] = str(error)
                continue
            if reading is not None and reading.values:
                batch.append(make_card(reading))
            if len(batch) == _BATCH:
                self.app.call_from_thread(self._receive_cards, batch, {}, False)
                batch = []
        self.app.call_from_thread(self._receive_cards, batch, failed, True)

    def _receive_cards(self, cards: list[CaseCard], failed: dict[str, str], last: bool) -> None:
        if not self.is_mounted:
            return
        self._cards.update({each.case: each for each in cards})
        self._loading = not last
        self._draw()
        if failed:
            self.show_message(next(iter(failed.values())))

    # Keys.

    def process_key(self, name: str) -> bool:
        self.show_message("")
        return super().process_key(name)

    def action_open(self) -> None:
        """Opens the case under the cursor at this joint."""
        if self._cursor:
            self._opened_case = self._cursor
            self._open_case(self._cursor, self._site)

    def action_left(self) -> None:
        self._step(-1)

    def action_right(self) -> None:
        self._step(1)

    def action_up(self) -> None:
        self._step(-self._across)

    def action_down(self) -> None:
        self._step(self._across)

    def action_previous_page(self) -> None:
        self._step(-len(self._cells))

    def action_next_page(self) -> None:
        self._step(len(self._cells))

    def action_next_site(self) -> None:
        self._step_site(1)

    def action_previous_site(self) -> None:
        self._step_site(-1)

    def action_other_side(self) -> None:
        """The same joint of the other hand or foot."""
        side, _, joint = self._site.partition(".")
        self._site = f"{'R' if side == 'L' else 'L'}.{joint}"
        self._draw()

    def action_sort(self) -> None:
        """By case, or by score."""
        self._by_score = not self._by_score
        self._draw()

    def action_zoom(self) -> None:
        self._zoom = (self._zoom + 1) % len(_WIDTHS)
        self.call_later(self._create_cells)

    def action_leave(self) -> None:
        self.dismiss(self._site)

    def _step(self, by: int) -> None:
        if self._visible:
            place = self._place + by
            self._cursor = self._visible[min(max(place, 0), len(self._visible) - 1)].case
            self._draw()

    def _step_site(self, by: int) -> None:
        keys = [site.key for site in self.ratui.study.scheme.sites]
        self._site = keys[(keys.index(self._site) + by) % len(keys)]
        self._draw()

    @property
    def _place(self) -> int:
        return next((place for place, each in enumerate(self._visible) if each.case == self._cursor), 0)

    # Drawing.

    async def _create_cells(self) -> None:
        """Makes as many cells as fit."""
        room, width = self.query_one("#sheet").size, _WIDTHS[self._zoom]
        width = min(width, max(room.width - 2, 10))
        across, down, high = count_cells(width, (room.width, room.height), self.ratui.graphics)
        graphics, frame_cache = self.ratui.graphics, self.ratui.frame_cache
        self._across = across
        self._cells = [ContactCell(graphics, frame_cache, (width, high)) for _ in range(across * down)]
        rows = [Horizontal(*self._cells[start : start + across]) for start in range(0, len(self._cells), across)]
        box = self.query_one("#sheet", Vertical)
        await box.remove_children()
        await box.mount_all(rows)
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        if not self.is_mounted or not self._cells:
            return
        self._visible = select_cards(self._cards.values(), self._site, by_score=self._by_score)
        self._cursor = self._visible[self._place].case if self._visible else ""
        first = self._place // len(self._cells) * len(self._cells)
        page = self._visible[first : first + len(self._cells)]
        ahead = self._visible[first + len(self._cells) : first + 2 * len(self._cells)]
        self._head(first, len(page))
        for cell, each in zip(self._cells, (*page, *[None] * len(self._cells)), strict=False):
            cell.caption(self._caption(each) if each else Text(""))
        self.update_key_bar()
        self._show(page, ahead)

    def _head(self, first: int, count: int) -> None:
        t, scheme = self.t, self.ratui.study.scheme
        left = f" {t('contact.title')} · {texts.format_site_title(t, scheme, scheme.site(self._site))}"
        right = t("contact.by_score" if self._by_score else "contact.by_case")
        if self._visible:
            right += f" · {t('contact.place', first=first + 1, last=first + count, total=len(self._visible))}"
        gap = max(self.app.size.width - cell_len(left) - cell_len(right) - 1, 2)
        self.query_one("#head", Static).update(left + " " * gap + right)
        if self._loading:
            self.show_message(t("contact.loading"))
        elif not self._visible:
            self.show_message(t("contact.none"))

    def _caption(self, each: CaseCard) -> Text:
        mark, here = each.marks[self._site], each.case == self._cursor
        said = self._failed.get(each.case, mark.scores) + (" ⚑" if mark.flagged else "")
        text = f"{'▸' if here else ' '}{each.case}  {said}"
        width = self._cells[0].view.size.width
        return Text(set_cell_size(text, max(width, 1)), "bold reverse" if here else PLAIN, no_wrap=True)

    # Pictures.

    def _show(self, page: list[CaseCard], ahead: list[CaseCard]) -> None:
        """Shows what is ready, and has a worker make the rest: this page first, then the next."""
        jobs: list[tuple[ContactCell | None, CaseCard]] = []
        for cell, each in zip(self._cells, (*page, *[None] * len(self._cells)), strict=False):
            key = self._key(each) if each else None
            if key is None or not cell.view.show(key):
                cell.view.blank()
                if each:
                    jobs.append((cell, each))
        jobs += [(None, each) for each in ahead]
        if jobs and self._pixels[0]:
            site, size = self._site, self._pixels
            run_in_thread(self, lambda: self._prepare(jobs, site, size), group="pictures")

    @property
    def _pixels(self) -> tuple[int, int]:
        """The pixels of one picture: both time points."""
        return self._cells[0].view.pixel_size

    def _viewports(self, each: CaseCard, site: str, size: tuple[int, int]) -> tuple[Viewport | None, ...] | None:
        """What of which film a picture is made of; None where it isn't known yet."""
        films = self._films.get(each.case)
        if films is None:
            return None
        graphics = self.ratui.graphics
        half = ((size[0] - graphics.pixels_per_cell[0]) // len(each.order), size[1])
        return films.make_viewports(site, [half] * len(each.order), graphics, ViewSettings())

    def _key(self, each: CaseCard) -> Hashable | None:
        viewports = self._viewports(each, self._site, self._pixels)
        return None if viewports is None else _key(viewports)

    def _prepare(self, jobs: list[tuple[ContactCell | None, CaseCard]], site: str, size: tuple[int, int]) -> None:
        """Makes the pictures of `jobs`, in a thread of its own."""
        worker, ratui = get_current_worker(), self.ratui
        view = self._cells[0].view
        for cell, each in jobs:
            if worker.is_cancelled:
                return
            try:
                if each.case not in self._films:
                    case = ratui.study.case(each.case)
                    self._films[each.case] = load_case_films(ratui.study, case, each.order)
                viewports = self._viewports(each, site, size) or ()
                key = _key(viewports)
                if not view.has_frame(key):
                    images = tuple(
                        ratui.film_store.render(viewport.view) if viewport else None for viewport in viewports
                    )
                    view.prepare(paste_side_by_side(images, size, ratui.graphics.pixels_per_cell[0]), key)
            except RatuiError as error:
                self.app.call_from_thread(self._report_failure, each.case, error.problem)
                continue
            if cell is not None and not worker.is_cancelled:
                self.app.call_from_thread(self._ready, cell, site, key)

    def _ready(self, cell: ContactCell, site: str, key: Hashable) -> None:
        if cell.is_attached and site == self._site:
            cell.view.show(key)

    def _report_failure(self, case: str, why: str) -> None:
        if self.is_mounted and self._failed.get(case) != why:
            self._failed[case] = why
            self._draw()


def _key(viewports: tuple[Viewport | None, ...]) -> Hashable:
    return ("contact", *(viewport and viewport.key for viewport in viewports))

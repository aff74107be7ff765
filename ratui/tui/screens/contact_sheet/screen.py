"""The contact sheet: one joint in all cases that the rater has read, with the scores below each picture.

It shows raters whether they score alike from case to case. It reads the rater's own readings only, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.widgets import Static
from textual.worker import get_current_worker

from ratui.errors import RatuiError
from ratui.tui.entry import text as texts
from ratui.tui.graphics.view_settings import ViewSettings
from ratui.tui.graphics.viewport import CaseFilms, load_case_films
from ratui.tui.i18n.lock_phrases import shorten
from ratui.tui.i18n.reading_phrases import format_error
from ratui.tui.screens.base import KeyScreen
from ratui.tui.screens.contact_sheet.model import (
    ORDERS,
    CaseCard,
    SheetOrder,
    count_cells,
    find_width,
    make_card,
    select_cards,
)
from ratui.tui.textual_internals import run_in_thread
from ratui.tui.theme import CHOSEN, NOTE, PLAIN, SELECTED
from ratui.tui.widgets.joint_cell import JointCell
from ratui.tui.widgets.plain_widgets import KeyBar

__all__ = ["ContactSheetScreen"]

_WIDTHS = (38, 26, 58)
"""Widths of two pictures in cells, in the order in which the zoom key goes through them."""
_VIEW = ViewSettings(has_marks=False, is_upright=False)
_BATCH = 25
"""Number of readings that are loaded before the screen is drawn again."""


class ContactSheetScreen(KeyScreen[str]):
    """The contact sheet. Its result is the key of the site that it showed last.

    Parameters
    ----------
    open_case
        Called with the case and the site that the rater opens.
    site
        The key of the site to show first. If it is empty, the first site of the scheme is.
    """

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
        """The cards that have entries at the site, in the order of the screen."""
        self._selected_case = ""
        self._order: SheetOrder = "case"
        self._zoom = 0
        self._cells: list[JointCell] = []
        self._cells_across = 1
        self._most_films = 2
        """Largest number of visits of a case: the cells have room for as many pictures."""
        self._films: dict[str, CaseFilms] = {}
        self._failed: dict[str, RatuiError] = {}
        """The errors of cases whose pictures cannot be made."""
        self._is_loading = True
        self._opened_case = ""

    def compose(self) -> ComposeResult:
        """Make the widgets: head, sheet, message and keys."""
        yield Static(id="head", classes="line title", markup=False)
        yield Vertical(id="sheet")
        yield Static(id="message", classes="message", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        """Begin to load the readings."""
        self._site = self._site or self.ratui.study.scheme.sites[0].key
        self.fill_widgets()
        run_in_thread(self, self._load_cards, group="readings")

    def fill_widgets(self) -> None:
        """Make the cells again."""
        self._cells = []
        self.call_after_refresh(self._create_cells)

    def on_resize(self, event: Resize) -> None:
        """Make as many cells as fit now."""
        self.call_after_refresh(self._create_cells)

    def on_screen_resume(self) -> None:
        """Read the case that was open again, because the rater may have changed it."""
        if self._opened_case:
            reading = self.ratui.study.reading(self.ratui.rater, self._opened_case)
            if reading is not None:
                self._cards[self._opened_case] = make_card(reading)
            self._films.pop(self._opened_case, None)
            self._opened_case = ""
            self._draw()

    # The readings.

    def _load_cards(self) -> None:
        """Load the rater's own readings in a thread; report the first that is damaged, and leave the damaged ones out."""
        worker, study, rater = get_current_worker(), self.ratui.study, self.ratui.rater
        batch: list[CaseCard] = []
        failed: dict[str, RatuiError] = {}
        for case in study.cases():
            if worker.is_cancelled:
                return
            try:
                reading = study.reading(rater, case)
            except RatuiError as error:
                failed[case] = error
                continue
            if reading is not None and reading.values:
                batch.append(make_card(reading))
            if len(batch) == _BATCH:
                self.app.call_from_thread(self._receive_cards, batch, {}, False)
                batch = []
        self.app.call_from_thread(self._receive_cards, batch, failed, True)

    def _receive_cards(self, cards: list[CaseCard], failed: dict[str, RatuiError], is_last: bool) -> None:
        if not self.has_widgets:
            return
        self._cards.update({card.case: card for card in cards})
        self._is_loading = not is_last
        if is_last:
            self.show_message("")  # the sheet may have been drawn before, with the message that readings are loaded
        most = max((len(card.order) for card in self._cards.values()), default=2)
        if most != self._most_films or is_last:
            self._most_films = most
            self.call_later(self._create_cells)
        self._draw()
        if failed:
            self.show_message(format_error(self.t, next(iter(failed.values()))))

    # Keys.

    def process_key(self, name: str) -> bool:
        """Clear the message, and do what the key `name` stands for."""
        self.show_message("")
        return super().process_key(name)

    def action_open(self) -> None:
        """Open the selected case at this joint."""
        if self._selected_case:
            self._opened_case = self._selected_case
            self._open_case(self._selected_case, self._site)

    def action_left(self) -> None:
        """Select the previous case."""
        self._step(-1)

    def action_right(self) -> None:
        """Select the following case."""
        self._step(1)

    def action_up(self) -> None:
        """Select the case above."""
        self._step(-self._cells_across)

    def action_down(self) -> None:
        """Select the case below."""
        self._step(self._cells_across)

    def action_previous_page(self) -> None:
        """Go back by a page."""
        self._step(-len(self._cells))

    def action_next_page(self) -> None:
        """Go on by a page."""
        self._step(len(self._cells))

    def action_next_site(self) -> None:
        """Show the next joint of the scheme."""
        self._step_site(1)

    def action_previous_site(self) -> None:
        """Show the previous joint of the scheme."""
        self._step_site(-1)

    def action_other_side(self) -> None:
        """Show the same joint of the other hand or foot."""
        side, _, joint = self._site.partition(".")
        self._site = f"{'R' if side == 'L' else 'L'}.{joint}"
        self._draw()

    def action_sort(self) -> None:
        """Use the next order: by case, highest score first, largest change first. The selected case stays selected."""
        self._order = ORDERS[(ORDERS.index(self._order) + 1) % len(ORDERS)]
        self._draw()

    def action_zoom(self) -> None:
        """Use the next size of the pictures."""
        self._zoom = (self._zoom + 1) % len(_WIDTHS)
        self.call_later(self._create_cells)

    def action_leave(self) -> None:
        """Leave the contact sheet."""
        self.dismiss(self._site)

    def _step(self, by: int) -> None:
        if self._visible:
            index = self._selected_index + by
            self._selected_case = self._visible[min(max(index, 0), len(self._visible) - 1)].case
            self._draw()

    def _step_site(self, by: int) -> None:
        keys = [site.key for site in self.ratui.study.scheme.sites]
        self._site = keys[(keys.index(self._site) + by) % len(keys)]
        self._draw()

    @property
    def _selected_index(self) -> int:
        return next((index for index, card in enumerate(self._visible) if card.case == self._selected_case), 0)

    # Drawing.

    async def _create_cells(self) -> None:
        """Make as many cells as fit into the sheet."""
        room, least = self.query_one("#sheet").size, _WIDTHS[self._zoom] * self._most_films // 2
        # Few cases get larger pictures in the usual size, so that they fill the screen.
        count = len(self._cards) if self._zoom == 0 and not self._is_loading else room.width * room.height
        width = find_width(least, count, (room.width, room.height), self.ratui.graphics, self._most_films)
        across, down, height = count_cells(width, (room.width, room.height), self.ratui.graphics, self._most_films)
        graphics, frame_cache = self.ratui.graphics, self.ratui.frame_cache
        self._cells_across = across
        self._cells = [JointCell(graphics, frame_cache) for _ in range(across * down)]
        for cell in self._cells:
            cell.view.styles.width, cell.view.styles.height = width, height
            cell.styles.width, cell.styles.height = width + 2, height + 1
        rows = [Horizontal(*self._cells[start : start + across]) for start in range(0, len(self._cells), across)]
        sheet = self.query_one("#sheet", Vertical)
        await sheet.remove_children()
        await sheet.mount_all(rows)
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        """Draw the page that contains the selected case."""
        if not self.has_widgets or not self._cells:
            return
        self._visible = select_cards(self._cards.values(), self._site, self._order)
        self._selected_case = self._visible[self._selected_index].case if self._visible else ""
        page_size = len(self._cells)
        first = self._selected_index // page_size * page_size
        page = self._visible[first : first + page_size]
        next_page = self._visible[first + page_size : first + 2 * page_size]
        self._draw_head(first, len(page))
        for cell, card in zip(self._cells, (*page, *[None] * page_size), strict=False):
            cell.visible = card is not None  # an empty place would be a black box on a light background
            cell.show_caption(self._format_caption(card) if card else Text(""))
        self.update_key_bar()
        self._draw_pictures(page, next_page)

    def _draw_head(self, first: int, count: int) -> None:
        t, scheme = self.t, self.ratui.study.scheme
        left = f" {t('contact.title')} · {texts.format_site_title(t, scheme, scheme.site(self._site))}"
        is_blinded = self.ratui.study.config.blinded
        right = t(f"contact.by_{self._order}{'_blinded' if is_blinded and self._order != 'case' else ''}")
        if self._visible:
            right += f" · {t('contact.place', first=first + 1, last=first + count, total=len(self._visible))}"
        width = self.app.size.width - 1
        if cell_len(left) + cell_len(right) + 2 > width:
            left = left.replace(f"{t('contact.title')} · ", "", 1)
        self.query_one("#head", Static).update(texts.join_ends(Text(left), Text(right), width))
        if self._is_loading:
            self.show_message(t("contact.loading"))
        elif not self._visible:
            self.show_message(t("contact.none"))

    def _format_caption(self, card: CaseCard) -> Text:
        mark, is_selected = card.marks[self._site], card.case == self._selected_case
        error = self._failed.get(card.case)
        end = ""
        if self._order == "change" and mark.change is not None:
            end = f" ({mark.change:+d})" if mark.change else " (0)"
        end += " ⚑" if mark.is_flagged else ""
        opened = f" ◇ {self.t('contact.open_fields')}" if mark.is_open and not error else ""
        width = max(self._cells[0].view.size.width, 1)
        start = f"{'▸' if is_selected else ' '}{card.case}  "
        scores = self.t.translate_error(error.problem) if error else mark.named_scores
        if not error and cell_len(start + scores + end + opened) > width:
            scores = mark.scores
        text = start + scores + end
        if opened and cell_len(text + opened) > width:
            opened = " ◇"
        text = shorten(text, width - cell_len(opened))
        line = Text(text, no_wrap=True)
        line.append(opened, "" if is_selected else NOTE)
        line.append(" " * max(width - line.cell_len, 0))
        selected = CHOSEN if self.app.no_color else SELECTED
        line.stylize_before(selected if is_selected else PLAIN)
        return line

    # Pictures.

    def _draw_pictures(self, page: list[CaseCard], next_page: list[CaseCard]) -> None:
        """Show the pictures that are ready; make the others in a thread, this page before the next."""
        jobs: list[tuple[JointCell | None, CaseCard]] = []
        for cell, card in zip(self._cells, (*page, *[None] * len(self._cells)), strict=False):
            key = self._picture_key(card) if card else None
            if key is None or not cell.view.show(key):
                cell.view.blank()
                if card:
                    jobs.append((cell, card))
        jobs += [(None, card) for card in next_page]
        if jobs and self._picture_size[0]:
            site, size = self._site, self._picture_size
            run_in_thread(self, lambda: self._prepare(jobs, site, size), group="pictures")

    @property
    def _picture_size(self) -> tuple[int, int]:
        """Width and height of a picture of all visits, in pixels."""
        return self._cells[0].view.pixel_size

    def _picture_key(self, card: CaseCard) -> Hashable | None:
        """Return the key of the picture of a case, or None while the case's films are not loaded."""
        films, cell = self._films.get(card.case), self._cells[0]
        if films is None:
            return None
        places = range(len(card.order))
        return cell.find_key(cell.make_viewports(films, self._site, places, self._picture_size, _VIEW))

    def _prepare(self, jobs: list[tuple[JointCell | None, CaseCard]], site: str, size: tuple[int, int]) -> None:
        """Make the pictures of `jobs` in a thread; show those that have a cell."""
        worker, ratui = get_current_worker(), self.ratui
        maker = self._cells[0]
        for cell, card in jobs:
            if worker.is_cancelled:
                return
            try:
                if card.case not in self._films:
                    case = ratui.study.case(card.case)
                    self._films[card.case] = load_case_films(ratui.study, case, card.order)
                viewports = maker.make_viewports(self._films[card.case], site, range(len(card.order)), size, _VIEW)
                key = maker.prepare(ratui.film_store, viewports, size)
            except RatuiError as error:
                self.app.call_from_thread(self._report_failure, card.case, error)
                continue
            if cell is not None and not worker.is_cancelled:
                self.app.call_from_thread(self._show_picture, cell, site, key)

    def _show_picture(self, cell: JointCell, site: str, key: Hashable) -> None:
        if cell.is_attached and site == self._site:
            cell.view.show(key)

    def _report_failure(self, case: str, error: RatuiError) -> None:
        if self.has_widgets and str(self._failed.get(case)) != str(error):
            self._failed[case] = error
            self._draw()

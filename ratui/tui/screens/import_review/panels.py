"""The panels of the plan: the list, and the selected film with those that compete with it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from ratui.tui.i18n.catalog import Catalog
from ratui.tui.screens.import_review.films import CompetingFilms
from ratui.tui.widgets.virtual_list import VirtualList

__all__ = ["SelectedFilm", "fit_panels"]

_ROOMY = 30
"""Smallest height of a screen with panels; a lower one has no room for their borders."""
_FEWEST = 3


class SelectedFilm(Vertical):
    """The selected film with those that compete with it, and what is known about it."""

    DEFAULT_CSS = """
    SelectedFilm { height: 1fr; }
    SelectedFilm #details { height: 3; padding: 0 1; }
    SelectedFilm.panel #details { padding: 0; }
    """

    def __init__(self, films: CompetingFilms) -> None:
        super().__init__()
        self._films = films

    def compose(self) -> ComposeResult:
        """Lay out the films and the text below them."""
        yield self._films
        yield Static(id="details", markup=False)

    def show_details(self, lines: Sequence[str]) -> None:
        """Show those `lines` that are not empty."""
        self.query_one("#details", Static).update(Text("\n").join(Text(line) for line in lines if line))


def fit_panels(t: Catalog, films: VirtualList, selected: SelectedFilm, count: int, height: int) -> None:
    """Make the list as tall as its `count` films need, at most a third of the screen of `height` rows.

    Where there is room, the list and the selected film become panels with titles.
    """
    is_roomy = height >= _ROOMY
    for panel, title in ((films, t("import.panel_films")), (selected, t("import.panel_selected"))):
        panel.set_class(is_roomy, "panel")
        panel.border_title = title if is_roomy else ""
    films.styles.height = min(max(count, _FEWEST), height * 3 // 10) + (2 if is_roomy else 0)

"""The panels beside the list on a wide screen: the selected case with its films, and the rater's progress."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Static

from ratui.study import CaseState, Study
from ratui.terminal import Display, FrameCache
from ratui.tui.graphics.film_store import FilmStore
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.screens.worklist.model import WorklistProgress
from ratui.tui.screens.worklist.preview import CasePreview
from ratui.tui.screens.worklist.text import format_case_summary, format_progress_panel

__all__ = ["SidePanel"]

_SHARE = 36
"""Percentage of the screen's width."""


class SidePanel(Vertical):
    """The panels beside the list. The parameters are those of `CasePreview`."""

    DEFAULT_CSS = f"""
    SidePanel {{ width: {_SHARE}%; margin: 0 0 0 1; }}
    SidePanel CasePreview {{ height: 1fr; }}
    SidePanel #pace {{ height: auto; }}
    """

    def __init__(self, study: Study, rater: str, store: FilmStore, display: Display, frame_cache: FrameCache) -> None:
        super().__init__(id="side")
        self._preview = CasePreview(study, rater, store, display, frame_cache, id="preview")
        self._pace = Static(id="pace", classes="panel", markup=False)

    def compose(self) -> ComposeResult:
        """Lay out both panels."""
        yield self._preview
        yield self._pace

    def show_case(self, t: Catalog, state: CaseState | None) -> None:
        """Show the case of `state`, or no panel without one. The panel keeps its place, so that the others do too."""
        self._preview.visible = state is not None
        _set_title(self._preview, t("worklist.panel_case"))
        self._preview.show(t, state, format_case_summary(t, state) if state else "")

    def show_progress(self, t: Catalog, progress: WorklistProgress | None) -> None:
        """Show the rater's `progress`, or no panel while it is not known."""
        self._pace.display = progress is not None
        if progress is not None:
            _set_title(self._pace, t("worklist.panel_progress"))
            width = self.app.size.width * _SHARE // 100 - 5  # without margin, border and padding
            text = format_progress_panel(t, progress, width)
            if self._pace.content != text:  # each update lays out the screen
                self._pace.update(text)


def _set_title(panel: Widget, title: str) -> None:
    """Set the title of `panel` if it has changed: each change draws the panel again."""
    if panel.border_title != title:
        panel.border_title = title

"""The keys that move the selection in a long list, the same for every screen that shows one."""

from __future__ import annotations

from textual.screen import ScreenResultType

from ratui.tui.screens.base import KeyScreen
from ratui.tui.widgets.virtual_list import VirtualList

__all__ = ["ListScreen"]


class ListScreen(KeyScreen[ScreenResultType]):
    """A screen with a `VirtualList`, one line of which is selected."""

    @property
    def list_length(self) -> int:
        """Number of lines in the list."""
        raise NotImplementedError

    def step(self, by: int) -> None:
        """Select the line that is `by` lines below the selected one, or else the last or the first line."""
        raise NotImplementedError

    def action_up(self) -> None:
        """Select the line above."""
        self.step(-1)

    def action_down(self) -> None:
        """Select the line below."""
        self.step(1)

    def action_previous_page(self) -> None:
        """Go up by a page."""
        self.step(-self.query_one(VirtualList).page_size)

    def action_next_page(self) -> None:
        """Go down by a page."""
        self.step(self.query_one(VirtualList).page_size)

    def action_first(self) -> None:
        """Select the first line."""
        self.step(-self.list_length)

    def action_last(self) -> None:
        """Select the last line."""
        self.step(self.list_length)

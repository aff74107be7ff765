"""The case that is open above the worklist from the start, so that the widgets of the worklist are made later."""

from __future__ import annotations

from ratui.tui.screens.list_screen import ListScreen
from ratui.tui.widgets.virtual_list import VirtualList

__all__ = ["FirstCaseScreen"]

_LOAD_AFTER = 1.0
"""Seconds after the opening of the first case at which the states of all cases are loaded. Its films are shown by then."""


class FirstCaseScreen(ListScreen[None]):
    """A list of cases, one of which may be open from the start.

    The widgets are then made when that case is left: their making, and the loading of all cases, would delay its films. A
    subclass composes nothing while `is_covered`.

    Parameters
    ----------
    first_case
        The ID of a case to open at once; empty for none.
    """

    def __init__(self, first_case: str = "") -> None:
        super().__init__()
        self._first_case = first_case
        self.is_covered = bool(first_case)
        """True before the widgets are made."""
        self._opened_case = ""
        """The ID of the case that was opened last, and whose state may have changed; empty for none."""
        self.message = ""
        """The message that was shown last. The outcome of the first case comes before the widgets."""

    def open_case(self, case: str, site: str = "") -> None:
        """Open `case` at `site`, or where the rater stopped."""
        raise NotImplementedError

    def load_cases(self) -> None:
        """Load the states of all cases, unless they are known."""
        raise NotImplementedError

    def refresh_case(self, case: str) -> None:
        """Read the state of `case` again."""
        raise NotImplementedError

    def note_opened_case(self, case: str) -> None:
        """Read the state of `case` again when it is left."""
        self._opened_case = case

    def start(self) -> None:
        """Open the first case, or else load and list all cases."""
        if self.is_covered:
            self.call_later(self._open_first_case)
        else:
            self.fill_widgets()
            self.load_cases()

    async def _open_first_case(self) -> None:
        self.open_case(self._first_case)
        if self.app.screen is self:  # it does not open
            await self._make_widgets()
        else:
            self.set_timer(_LOAD_AFTER, self.load_cases)

    def on_screen_resume(self) -> None:
        """Update the case that was open. Make the widgets if it was the first one."""
        if self.is_covered and self._opened_case:
            self.call_next(self._make_widgets)
        elif self._opened_case:
            self._refresh_opened_case()

    async def _make_widgets(self) -> None:
        self.is_covered = False
        await self.recompose()
        self.fill_widgets()
        self.show_message(self.message)
        self.load_cases()
        if self._opened_case:
            self._refresh_opened_case()

    def _refresh_opened_case(self) -> None:
        self.refresh_case(self._opened_case)
        self._opened_case = ""

    @property
    def has_widgets(self) -> bool:
        """False before the widgets are made, and while the app ends."""
        return super().has_widgets and bool(self.query(VirtualList))

    @property
    def takes_messages(self) -> bool:
        """True also before the widgets are made: they show the last message."""
        return self.is_covered or super().takes_messages

    def show_message(self, text: str) -> None:
        """Show `text` in the message line as soon as there is one; clear the line if it is empty."""
        self.message = text
        if self.has_widgets:
            super().show_message(text)

"""A titled panel with lines, one of which may be selected. The screen handles the keys."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.events import Click
from textual.message import Message
from textual.widgets import Static

from ratui.tui.theme import CHOSEN, SELECTED

__all__ = ["ChoicePanel"]


class ChoicePanel(Static):
    """A panel whose lines can be selected; a mark stands before the selected one.

    Parameters
    ----------
    id
        Textual's ID of the widget.
    """

    class LinePicked(Message):
        """The user clicked on the line `row` of `panel`."""

        def __init__(self, panel: ChoicePanel, row: int) -> None:
            super().__init__()
            self.panel = panel
            self.row = row

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, classes="panel", markup=False)
        self._first = 0
        self._shown = 0

    @property
    def line_width(self) -> int:
        """Cells that a line may have behind its mark."""
        return max(self.content_size.width - 2, 0)

    def show_lines(self, lines: Sequence[Text], selected: int | None) -> None:
        """Show `lines`, or as many of them around the one at `selected` as the panel has room for."""
        # A panel whose height follows from its lines has no height before it shows them.
        room = self.content_size.height if self.styles.height is not None and not self.styles.height.is_auto else 0
        room = room or len(lines)
        self._first = min(max((selected or 0) - room // 2, 0), max(len(lines) - room, 0))
        visible = lines[self._first : self._first + room]
        self._shown = len(visible)
        chosen = CHOSEN if self.app.no_color else SELECTED
        text = Text(no_wrap=True)
        for row, line in enumerate(visible, self._first):
            text.append("\n" if row > self._first else "")
            shown = Text("▸ " if row == selected else "  ")
            shown.append_text(line)
            if row == selected:
                shown.truncate(self.line_width + 2, pad=True)
                shown = Text(shown.plain, chosen)
            text.append_text(shown)
        if self.content != text:
            self.update(text)

    def on_click(self, event: Click) -> None:
        """Report the line under the mouse."""
        offset = event.get_content_offset(self)
        if offset is not None and offset.y < self._shown:
            self.post_message(self.LinePicked(self, self._first + offset.y))

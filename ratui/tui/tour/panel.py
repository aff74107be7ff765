"""The two lines of the tour above the message line: the key to press next, and how to end the tour."""

from __future__ import annotations

from collections.abc import Callable

from rich.text import Text
from textual.widgets import Static

from ratui.reading import LogEntry
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.input.actions import Keymap
from ratui.tui.theme import HEADING, QUIET, WAITING
from ratui.tui.tour.tour import STEPS, Tour

__all__ = ["TourPanel"]

_GRADES = "0–5"


class TourPanel(Static):
    """The lines that show `tour`. `log` returns the log of the reading on the screen."""

    def __init__(self, tour: Tour, keymap: Keymap, log: Callable[[], tuple[LogEntry, ...]]) -> None:
        super().__init__(markup=False)
        self._tour = tour
        self._keymap = keymap
        self._log = log
        self._seen_entries = len(log())
        self._ended = False

    def update_step(self, t: Catalog) -> None:
        """Show the present step, or that the tour has ended."""
        step = self._tour.step
        text = Text()
        if step is None:
            text.append(f"{t('tour.ended')}\n", HEADING)
        else:
            key = self._keymap.key_label(step.key) if step.key else _GRADES
            text.append(f" {t('tour.place', step=self._tour.number, of=len(STEPS))} ", WAITING)
            text.append(f" {t(f'tour.{step.name}', key=key)}\n")
            text.append(t("tour.skip"), QUIET)
        self.update(text)

    def note_key(self, key: str, t: Catalog) -> None:
        """Go to the next step if `key`, which the screen has processed, did what the step asks for.

        The key after the last step removes the panel.
        """
        log = self._log()
        events: set[str] = {entry.kind for entry in log[self._seen_entries :]}
        self._seen_entries = len(log)
        # A key that made an entry counts by its entry, because the same key may do nothing at another field.
        action = self._keymap.find("scoring", key)
        if action is not None and not events:
            events = {action.id}
        if self._ended:
            self.remove()
        elif self._tour.advance_on(events):
            self._ended = self._tour.step is None
            self.update_step(t)

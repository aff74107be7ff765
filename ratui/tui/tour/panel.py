"""The tour's two lines on the scoring screen: which key comes now, and how to be rid of the tour. It takes no key itself."""

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
    """Shows `tour`; `log` is the log of the reading on the screen."""

    def __init__(self, tour: Tour, keymap: Keymap, log: Callable[[], tuple[LogEntry, ...]]) -> None:
        super().__init__(markup=False)
        self._tour = tour
        self._keymap = keymap
        self._log = log
        self._seen_entries = len(log())
        self._ended = False

    def update_step(self, t: Catalog) -> None:
        """Shows the present step, or the farewell."""
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
        """Goes on if `key`, which the screen has acted on, is what the step asked for. The farewell goes at the next key."""
        log = self._log()
        happened: set[str] = {entry.kind for entry in log[self._seen_entries :]}
        self._seen_entries = len(log)
        action = self._keymap.find("scoring", key)
        if action is not None and not happened:
            happened = {action.id}
        if self._ended:
            self.remove()
        elif self._tour.advance_on(happened):
            self._ended = self._tour.step is None
            self.update_step(t)

"""A line with the measured joint space beside the films; hidden if there is none that the reader may see."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.message import Message
from textual.widgets import Static
from textual.worker import get_current_worker

from ratui.errors import RatuiError
from ratui.reading import Reading
from ratui.study import Study
from ratui.study.joint_spaces.joint_space_access import PlacedChanges, load_unblinded_joint_space
from ratui.tui.entry.joint_space import format_joint_space, format_joint_space_of_visits
from ratui.tui.entry.visit_names import VisitNames
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.textual_internals import run_in_thread

__all__ = ["JointSpaceLine"]


class JointSpaceLine(Static):
    """One line of text. It has its place on the screen if any joint of the case has measurements that may be shown.

    They are loaded once, in a thread, so that no key waits for them.

    Parameters
    ----------
    study, reading
        The study as its reader sees it, and the reading on the screen.
    on_loaded
        Called when there are measurements to show, so that the screen draws them.
    is_answered
        True for the measurements that an adjudicator sees only at joints that they have answered.
    known
        The measurements, if another screen has loaded them; None to load them.
    """

    DEFAULT_CSS = """
    JointSpaceLine { height: 1; width: 1fr; padding: 0 1; }
    """

    class Loaded(Message):
        """The measurements that may be shown."""

        def __init__(self, changes: PlacedChanges) -> None:
            super().__init__()
            self.changes = changes

    def __init__(
        self,
        study: Study,
        reading: Reading,
        on_loaded: Callable[[], None],
        *,
        is_answered: bool = False,
        known: PlacedChanges | None = None,
    ) -> None:
        super().__init__(id="joint_space", markup=False)
        self._study = study
        self._reading = reading
        self._on_loaded = on_loaded
        self._is_answered = is_answered
        self.changes = known
        """The measurements that may be shown; None while they are being loaded."""
        self.display = bool(known)

    def on_mount(self) -> None:
        """Load the measurements. A reading that is not signed has none, and no thread looks for them."""
        if self.changes is None and (self._is_answered or self._reading.signed_at is not None):
            run_in_thread(self, self._load, group="measurements")

    def _load(self) -> None:
        try:
            found = load_unblinded_joint_space(self._study, self._reading, is_answered=self._is_answered)
        except RatuiError:
            found = {}  # a damaged file must not prevent the display of the reading; `ratui check` reports it
        if not get_current_worker().is_cancelled:
            self.post_message(self.Loaded(found))

    def on_joint_space_line_loaded(self, event: Loaded) -> None:
        """Show the measurements."""
        event.stop()
        self.changes = event.changes
        self.display = bool(event.changes)
        if event.changes:
            self._on_loaded()

    def show_pair(self, t: Catalog, reading: Reading, visits: VisitNames, site: str, places: Sequence[int]) -> None:
        """Show the change of `site` between the films at `places` on the screen."""
        if self.display:
            measured = (self.changes or {}).get(site, {})
            self.update(format_joint_space(t, reading, visits, measured, places, self._width), layout=False)

    def show_visits(self, t: Catalog, reading: Reading, visits: VisitNames, site: str) -> None:
        """Show the changes of `site` between all visits, as far as they fit."""
        if self.display:
            measured = (self.changes or {}).get(site, {})
            self.update(format_joint_space_of_visits(t, reading, visits, measured, self._width), layout=False)

    def clear(self) -> None:
        """Show nothing; the line keeps its place."""
        self.update("", layout=False)

    @property
    def _width(self) -> int:
        return max(self.app.size.width - 2, 20)

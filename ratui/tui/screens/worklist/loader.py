"""The loading of case states in a thread, so that the worklist appears before every case has been examined."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.screen import Screen
from textual.worker import get_current_worker

from ratui.errors import RatuiError
from ratui.study import CaseState, Study
from ratui.tui.textual_internals import run_in_thread

__all__ = ["CaseStateLoader"]


class CaseStateLoader:
    """Loads the states of one rater's cases for `screen`, in batches.

    Parameters
    ----------
    screen
        The screen that the states are for. The thread ends with it.
    study, rater
        The study, and the rater whose progress the states describe.
    on_states
        Called in the app's thread with a batch of states, and whether it contains all cases.
    on_progress
        Called in the app's thread with the number of cases examined so far, while the study's index is rebuilt.
    """

    def __init__(
        self,
        screen: Screen[None],
        study: Study,
        rater: str,
        *,
        on_states: Callable[[list[CaseState], bool], None],
        on_progress: Callable[[int], None],
    ) -> None:
        self._screen = screen
        self._study = study
        self._rater = rater
        self._on_states = on_states
        self._on_progress = on_progress

    def read_state(self, case: str) -> CaseState:
        """Return the state of `case`; a case that cannot be read is ``unreadable``, with the reason as its note."""
        try:
            return self._study.state(self._rater, case)
        except RatuiError as error:
            return CaseState(case, "unreadable", 0, 0, 0.0, error.problem)

    def load(self, cases: Sequence[str], first: int = 0) -> None:
        """Load the states of the `first` cases, then those of all `cases`, in this order. Cancel an earlier call."""
        run_in_thread(self._screen, lambda: self._load(cases, first), group="states")

    def _load(self, cases: Sequence[str], first: int) -> None:
        worker, app = get_current_worker(), self._screen.app
        states = [self.read_state(case) for case in cases[:first]]
        if len(states) < len(cases):
            if states and not worker.is_cancelled:
                app.call_from_thread(self._on_states, states, False)
            found = self._study.states(self._rater, progress=lambda done, total: self._report_progress(done))
            by_case = {state.case: state for state in found}
            states = [by_case[case] for case in cases if case in by_case]
        if not worker.is_cancelled:
            app.call_from_thread(self._on_states, states, True)

    def _report_progress(self, count: int) -> None:
        if not get_current_worker().is_cancelled:
            self._screen.app.call_from_thread(self._on_progress, count)

"""The filter of the worklist, the choice of the next case, and the rater's progress.

Pure functions of case states, in the order of the cases. Nothing here depends on which time point is the earlier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ratui.study import CaseState
from ratui.tui.i18n.catalog import Catalog

__all__ = [
    "FEWEST_TIMED",
    "WorklistProgress",
    "find_case",
    "find_case_after",
    "find_matches",
    "find_next_case",
    "find_selection_after",
    "format_state",
    "is_open",
    "make_search_text",
]

FEWEST_TIMED = 3
"""Number of timed cases from which a pace is stated."""
_LAST_CASES = 20
"""Number of cases that were signed last, from which the pace comes: raters become faster."""


def is_open(state: CaseState) -> bool:
    """Return whether the rater can still do something in the case."""
    return state.stage not in ("signed", "unreadable")


def format_state(t: Catalog, state: CaseState) -> str:
    """Return the name of the case's stage; a case without any entry is waiting, not being read."""
    if state.stage == "reading" and not state.done:
        return t("worklist.stage_waiting")
    return t(f"worklist.stage_{state.stage}")


def make_search_text(t: Catalog, state: CaseState) -> str:
    """Return the text that the filter searches: name, stage and flags of the case, in lower case."""
    flagged = t("worklist.flagged") if state.flags else ""
    return f"{state.case} {format_state(t, state)} {state.stage} {flagged}".casefold()


def find_matches(typed: str, texts: Sequence[str]) -> list[int]:
    """Return the indices of the `texts`, from `make_search_text`, that contain every word of `typed`."""
    words = typed.casefold().split()
    return [index for index, text in enumerate(texts) if all(word in text for word in words)]


def find_next_case(states: Sequence[CaseState], after: int | None = None) -> int | None:
    """Return the index of the case to do next, or None if all are done.

    It is the first open case behind the index `after`, and from the first case again behind the last. Without `after`, at
    the start of a session, a case that the rater has begun comes before all others.
    """
    indices = range(len(states))
    if after is None:
        begun = (index for index in indices if is_open(states[index]) and states[index].done)
        first = next(begun, None)
        if first is not None:
            return first
        after = -1
    rotated = (*indices[after + 1 :], *indices[: after + 1])
    return next((index for index in rotated if is_open(states[index])), None)


def find_case_after(states: Sequence[CaseState], case: str) -> str:
    """Return the ID of the open case to read after `case`, which itself does not count; empty if there is none."""
    place = find_case(states, case) or 0
    others = [state for state in states if state.case != case]
    index = find_next_case(others, after=place - 1)
    return "" if index is None else others[index].case


def find_case(states: Sequence[CaseState], case: str) -> int | None:
    """Return the index of the state of `case`; None if it is unknown."""
    return next((index for index, state in enumerate(states) if state.case == case), None)


def find_selection_after(states: Sequence[CaseState], left: str, signed: str) -> int | None:
    """Return the index of the case `left`, or of the open case behind it if it is the case `signed`; None if unknown."""
    index = find_case(states, left)
    return find_next_case(states, after=index) if index is not None and left == signed else index


@dataclass(frozen=True)
class WorklistProgress:
    """The progress of a rater over the whole study. Cases that cannot be read are left out."""

    signed: int
    """Number of signed cases."""
    remaining: int
    """Number of cases that are not signed."""
    case_seconds: float | None
    """Median time of the last signed cases in seconds, long pauses left out; None before `FEWEST_TIMED` were timed."""
    seconds_left: float | None
    """Expected time for the open fields in seconds; None like `case_seconds`."""
    timed: int = 0
    """Number of cases from which the times come."""

    @property
    def total(self) -> int:
        """Number of cases."""
        return self.signed + self.remaining

    @classmethod
    def from_states(cls, states: Sequence[CaseState]) -> WorklistProgress:
        """Return the progress over `states`."""
        signed = [state for state in states if state.stage == "signed"]
        remaining = [state for state in states if is_open(state)]
        timed = [state for state in signed if state.seconds > 0 and state.total]
        last = sorted(timed, key=_signed_at)[-_LAST_CASES:]
        if len(last) < FEWEST_TIMED:
            return cls(len(signed), len(remaining), None, None)
        from statistics import median  # imported here, because it is loaded for a timed rater only

        # The pace is per field, not per case: a case that was begun has fewer fields left, and one with feet has more.
        pace = median(state.seconds / state.total for state in last)
        left = pace * sum(state.total - state.done for state in remaining)
        return cls(len(signed), len(remaining), median(state.seconds for state in last), left, len(last))


def _signed_at(state: CaseState) -> str:
    """Return the time of the last signature of a case, as a text that sorts by time; empty if it is unknown."""
    return state.history.rpartition(" ")[2]

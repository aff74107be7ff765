"""What a rater has before them: which cases match what was typed, which comes next, how far all is and what the rest takes.

Pure functions of case states, in the order of the cases; nothing here depends on which time point came first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ratui.study import CaseState
from ratui.tui.i18n.catalog import Catalog

__all__ = ["WorklistProgress", "find_matches", "find_next_case", "format_state", "is_open", "make_search_text"]


def is_open(state: CaseState) -> bool:
    """Whether there is still something to do for the rater."""
    return state.stage not in ("signed", "unreadable")


def format_state(t: Catalog, state: CaseState) -> str:
    """What the worklist calls the stage of `state`; a case that waits with no entry yet isn't called read."""
    if state.stage == "reading" and not state.done:
        return t("worklist.stage_waiting")
    return t(f"worklist.stage_{state.stage}")


def make_search_text(t: Catalog, state: CaseState) -> str:
    """What typed words are looked for in: the case's name, its stage, and whether it has flags."""
    flagged = t("worklist.flagged") if state.flags else ""
    return f"{state.case} {format_state(t, state)} {state.stage} {flagged}".casefold()


def find_matches(typed: str, texts: Sequence[str]) -> list[int]:
    """Which of `texts`, each as `make_search_text` gives it, hold every word of `typed`."""
    words = typed.casefold().split()
    return [place for place, text in enumerate(texts) if all(word in text for word in words)]


def find_next_case(states: Sequence[CaseState], after: int | None = None) -> int | None:
    """The case to do next: the first open one behind `after` or, from there round, before it. At the start of a sitting
    (`after` None) a case that was begun goes before one that wasn't. None where all are done."""
    places = range(len(states))
    if after is None:
        begun = (place for place in places if is_open(states[place]) and states[place].done)
        first = next(begun, None)
        if first is not None:
            return first
        after = -1
    turned = (*places[after + 1 :], *places[: after + 1])
    return next((place for place in turned if is_open(states[place])), None)


@dataclass(frozen=True)
class WorklistProgress:
    """How far a rater is: `signed` of `total` cases that can be read, `remaining` to go.

    `case_seconds` is the mean time of a signed case, `seconds_left` what the open fields will take at the pace of the
    signed ones; both None before one was timed. Time without a key isn't in either.
    """

    signed: int
    remaining: int
    case_seconds: float | None
    seconds_left: float | None

    @property
    def total(self) -> int:
        return self.signed + self.remaining

    @classmethod
    def from_states(cls, states: Sequence[CaseState]) -> WorklistProgress:
        """The progress that `states` add up to."""
        signed = [state for state in states if state.stage == "signed"]
        still = [state for state in states if is_open(state)]
        timed = [state for state in signed if state.seconds > 0 and state.total]
        if not timed:
            return cls(len(signed), len(still), None, None)
        spent = sum(state.seconds for state in timed)
        # By the field, not by the case: a case begun has less left, and one with feet takes longer.
        pace = spent / sum(state.total for state in timed)
        left = pace * sum(state.total - state.done for state in still)
        return cls(len(signed), len(still), spent / len(timed), left)

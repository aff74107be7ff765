"""The groups of the worklist: cases in progress, due, done and not readable, and the lines that show them.

Pure functions of case states. Within a group the cases keep their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias

from ratui.study import CaseState

__all__ = ["GROUPS", "Group", "ListLine", "count_groups", "find_group", "lay_out", "step_group"]

Group: TypeAlias = Literal["progress", "due", "done", "unreadable"]
GROUPS: tuple[Group, ...] = ("progress", "due", "done", "unreadable")
"""The groups from top to bottom: what was begun comes first."""


class ListLine(NamedTuple):
    """A line of the list: the top of a group with its name, a case, or the bottom of a group."""

    kind: Literal["top", "case", "bottom"]
    group: Group
    number: int = -1
    """Index of the state of a case."""
    total: int = 0
    """Number of cases of the group, at its top."""


def find_group(state: CaseState) -> Group:
    """Return the group of a case. One that is signed but whose films have changed is in progress: it has to be reopened."""
    match state.stage:
        case "unreadable":
            return "unreadable"
        case "signed":
            return "done"
        case "review" | "changed":
            return "progress"
    return "progress" if state.done else "due"


def count_groups(states: Sequence[CaseState]) -> dict[Group, int]:
    """Return the number of cases in each group that has any, from top to bottom."""
    found = [find_group(state) for state in states]
    return {group: found.count(group) for group in GROUPS if group in found}


def step_group(states: Sequence[CaseState], shown: Group | None, by: int) -> Group | None:
    """Return the group `by` places behind the one that is shown now, cyclically; None stands for all groups."""
    choices: list[Group | None] = [None, *count_groups(states)]
    place = choices.index(shown) if shown in choices else 0
    return choices[(place + by) % len(choices)]


def lay_out(states: Sequence[CaseState], visible: Sequence[int], *, has_bottoms: bool) -> list[ListLine]:
    """Return the lines that show the states with the indices `visible`, group by group.

    `has_bottoms` is true if each group is a panel that is closed below its last case.
    """
    return list(_lay_out(states, visible, has_bottoms))


def _lay_out(states: Sequence[CaseState], visible: Sequence[int], has_bottoms: bool) -> Iterator[ListLine]:
    members: dict[Group, list[int]] = {group: [] for group in GROUPS}
    for index in visible:
        members[find_group(states[index])].append(index)
    for group, indices in members.items():
        if indices:
            yield ListLine("top", group, total=len(indices))
            yield from (ListLine("case", group, index) for index in indices)
            if has_bottoms:
                yield ListLine("bottom", group)

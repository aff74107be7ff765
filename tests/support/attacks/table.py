"""The table of attacks: what an attack does, who makes it, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

__all__ = ["ATTACKS", "HEAD", "Attack", "Attacker", "Outcome", "attack", "format_row"]

Attacker: TypeAlias = Literal[
    "accident", "rater", "trainer", "owner", "group member", "another site", "another account"
]
"""The person or program that makes an attack. An accident is a damaged disk, a killed process or a wrong command."""


@dataclass(frozen=True)
class Outcome:
    """The result of an attack.

    Attributes
    ----------
    trials
        Number of times that the attack was made.
    refused
        Trials without an effect: ratui or the kernel refused them.
    noticed
        Trials with an effect that a command reported.
    lost
        Saved entries that can't be read after the attack and a repair.
    outside
        Files outside the study that were read, changed or opened to others.
    """

    trials: int
    refused: int = 0
    noticed: int = 0
    lost: int = 0
    outside: int = 0

    @property
    def unnoticed(self) -> int:
        """Trials that had an effect and were not reported."""
        return self.trials - self.refused - self.noticed


@dataclass(frozen=True)
class Attack:
    """One row of the table.

    Attributes
    ----------
    topic
        Name of the module that contains the attack.
    what
        Description of the attack in a few words.
    by
        Who makes it.
    run
        Makes the attack in an empty folder. Raises `fault_harness.count.Unavailable` if this machine lacks what it needs.
    """

    topic: str
    what: str
    by: Attacker
    run: Callable[[Path], Outcome]


ATTACKS: list[Attack] = []
"""All attacks of the modules imported so far."""


def attack(what: str, *, by: Attacker) -> Callable[[Callable[[Path], Outcome]], Callable[[Path], Outcome]]:
    """Register the decorated function, which makes the attack `what` in an empty folder, as a row of the table."""

    def register(run: Callable[[Path], Outcome]) -> Callable[[Path], Outcome]:
        ATTACKS.append(Attack(run.__module__.rpartition(".")[2], what, by, run))
        return run

    return register


HEAD = (
    "| attack | by | trials | refused | noticed | unnoticed | entries lost | files outside touched |\n"
    "|---|---|---|---|---|---|---|---|"
)


def format_row(row: Attack, outcome: Outcome) -> str:
    """Return the line of the table for `row`."""
    numbers = (
        outcome.trials,
        outcome.refused,
        outcome.noticed,
        outcome.unnoticed,
        outcome.lost,
        outcome.outside,
    )
    return f"| {row.what} | {row.by} | {' | '.join(f'{each:,}' for each in numbers)} |"

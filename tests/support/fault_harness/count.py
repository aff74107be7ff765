"""The counts of one row of the table."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["HEAD", "Count", "Unavailable"]


class Unavailable(Exception):
    """Raised if this machine lacks what a fault needs."""


@dataclass
class Count:
    """Counts: `trials` faults, `saved` acknowledged entries, `lost` ones of them, `unnoticed` damages, and `crashes`.

    `beyond` marks a fault after which no store could keep all entries: its losses show that the fault works.
    """

    fault: str
    store: str
    trials: int = 0
    saved: int = 0
    lost: int = 0
    unnoticed: int = 0
    crashes: int = 0
    beyond: bool = False

    @property
    def row(self) -> str:
        return (
            f"| {self.fault}{' *' * self.beyond} | {self.store} | {self.trials:,} | {self.saved:,} | {self.lost:,} | "
            f"{self.unnoticed:,} | {self.crashes:,} |"
        )


HEAD = (
    "| fault | store | trials | entries acknowledged | of them lost | damage unnoticed | crashes |\n"
    "|---|---|---|---|---|---|---|"
)

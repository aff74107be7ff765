"""What a row of the table counts."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["HEAD", "Count", "Unavailable"]


class Unavailable(Exception):
    """What this machine lacks for a fault."""


@dataclass
class Count:
    """`trials` faults done; `saved` entries acknowledged; of those `lost`; `unnoticed` damages; `crashes` of any kind.

    `beyond` marks a fault after which no store could have all entries: its losses show what a fault does.
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

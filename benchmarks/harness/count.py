"""What a row of the table counts."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Count"]


@dataclass
class Count:
    """`trials` faults done; `saved` entries acknowledged; of those `lost`; `unnoticed` damages; `crashes` of any kind."""

    fault: str
    store: str
    trials: int = 0
    saved: int = 0
    lost: int = 0
    unnoticed: int = 0
    crashes: int = 0

    @property
    def row(self) -> str:
        return (
            f"| {self.fault} | {self.store} | {self.trials:,} | {self.saved:,} | {self.lost:,} | "
            f"{self.unnoticed:,} | {self.crashes:,} |"
        )


HEAD = (
    "| fault | store | trials | entries acknowledged | of them lost | damage unnoticed | crashes |\n"
    "|---|---|---|---|---|---|---|"
)

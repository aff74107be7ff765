"""The capabilities of a terminal as a value: graphics protocol, size of a cell, speed of the connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["PROTOCOLS", "Display", "Protocol"]

Protocol: TypeAlias = Literal["kitty", "sixel", "halfcell"]
PROTOCOLS: tuple[Protocol, ...] = ("kitty", "sixel", "halfcell")
"""Ways to draw images: Kitty's graphics protocol, Sixel, and characters with two grey values each."""


@dataclass(frozen=True)
class Display:
    """Capabilities of a terminal for images."""

    protocol: Protocol
    """Way to draw images."""
    cell: tuple[int, int] = (10, 20)
    """Size of a character in pixels, as (width, height)."""
    levels: int = 256
    """Number of greys that an image may have."""
    why: str = ""
    """Reason for the choice of the protocol, in a few words."""
    round_trip: float | None = None
    """Seconds until the terminal answered; None if it did not."""
    rate: float | None = None
    """Bytes per second of the connection; None if not measured, because the terminal answered at once or not at all."""
    multiplexer: str = ""
    """``tmux`` or ``screen`` inside one of these, otherwise empty."""
    is_cell_measured: bool = True
    """False if `cell` is a guess."""
    max_sixel_size: tuple[int, int] = (1000, 1000)
    """Largest Sixel image that the terminal accepts, as (width, height) in pixels. xterm shows nothing of a larger one."""

    @property
    def pixels_per_cell(self) -> tuple[int, int]:
        """Image pixels in a character, as (columns, rows)."""
        return (1, 2) if self.protocol == "halfcell" else self.cell

    @property
    def pixel_aspect(self) -> float:
        """Width of an image pixel divided by its height."""
        return self.cell[0] / self.pixels_per_cell[0] / (self.cell[1] / self.pixels_per_cell[1])

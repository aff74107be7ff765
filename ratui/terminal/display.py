"""What a terminal can show and what its line carries, as a value. It asks nothing and draws nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["PROTOCOLS", "Display", "Protocol"]

Protocol: TypeAlias = Literal["kitty", "sixel", "halfcell"]
PROTOCOLS: tuple[Protocol, ...] = ("kitty", "sixel", "halfcell")


@dataclass(frozen=True)
class Display:
    """How images get onto this terminal.

    `cell` is the size of a character in pixels (width, height); `levels` how many greys an image may use; `why` says in
    a few words how this was chosen; `round_trip` is how long the terminal took to answer, in seconds, None if it didn't.
    `rate` is what the line carries, in bytes a second, None where it wasn't measured since the answer came at once.
    `multiplexer` is ``tmux`` or ``screen`` inside one of those, else empty; `measured` is false where `cell` is a guess.
    `largest` is the largest Sixel image it takes (width, height): xterm shows nothing of a larger one.
    """

    protocol: Protocol
    cell: tuple[int, int] = (10, 20)
    levels: int = 256
    why: str = ""
    round_trip: float | None = None
    rate: float | None = None
    multiplexer: str = ""
    is_cell_measured: bool = True
    max_sixel_size: tuple[int, int] = (1000, 1000)

    @property
    def pixels_per_cell(self) -> tuple[int, int]:
        """How many image pixels a character holds, across and down."""
        return (1, 2) if self.protocol == "halfcell" else self.cell

    @property
    def pixel_aspect(self) -> float:
        """Width of an image pixel divided by its height."""
        return self.cell[0] / self.pixels_per_cell[0] / (self.cell[1] / self.pixels_per_cell[1])

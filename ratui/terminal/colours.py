"""The number of colours of a terminal, and the grey levels that its characters can have.

The terminal's own answer counts most. Without an answer, the multiplexer, ``COLORTERM`` and the terminfo entry of ``TERM``
decide, in this order. If nothing names a number of colours, few are assumed: colours that a terminal does not know become
noise, which could be taken for findings.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from ratui.terminal.multiplexer import TmuxClient
from ratui.terminal.queries import STYLE

__all__ = [
    "COLOUR_QUERY",
    "Colours",
    "GreyPalette",
    "detect_colours",
    "make_grey_palette",
    "parse_colours",
    "read_colour_count",
]

Colours: TypeAlias = Literal["truecolor", "256", "16", "none"]
"""Colours of characters: 24 bits, the palette of xterm with 256, the 16 (or 8) ANSI colours, or no colours."""

COLOUR_QUERY = b"\x1b[48;2;134;96;174m" + STYLE.data + b"\x1b[m"
"""Set a background with 24 bits, ask for the present style (DECRQSS), and reset it.

A terminal without true colour reports the nearest colour that it has. Of 256 colours that is number 97, a violet.
"""
_TRUE_COLOUR = re.compile(rb"48[:;]2[:;][0-9:;]*134[:;]96[:;]174$")
_PALETTE_COLOUR = re.compile(rb"48[:;]5[:;](\d+)")
_ANSI_BACKGROUND = re.compile(rb"(?:^|;)(?:4|10)[0-7](?:;|$)")
_TRUE_COLOURS = 1 << 24

# The palette of xterm: six greys on the diagonal of the colour cube, and the ramp 232 to 255.
_CUBE_GREYS = {0: 16, 95: 59, 135: 102, 175: 145, 215: 188, 255: 231}
_RAMP_GREYS = {8 + 10 * step: 232 + step for step in range(24)}
_ANSI_GREYS = {0: 0, 127: 8, 229: 7, 255: 15}
"""Grey levels of the ANSI colours as in xterm. Other terminals have similar ones."""


@dataclass(frozen=True)
class GreyPalette:
    """The greys that the two halves of a character can have."""

    nearest: npt.NDArray[np.uint8]
    """Grey level on the screen for each of the 256 grey levels, shape (256,)."""
    foreground: tuple[str, ...]
    """Sequence that selects the colour of the upper half for each of the 256 grey levels."""
    background: tuple[str, ...]
    """The same for the lower half."""
    numbers: tuple[int, ...] | None
    """Number of the colour in the terminal's palette for each of the 256 grey levels; None with 24 bits or no colours."""

    @property
    def greys(self) -> int:
        """Number of different greys."""
        return len(set(self.nearest.tolist()))  # `np.unique` would load numpy.ma


@lru_cache(maxsize=4)
def make_grey_palette(colours: Colours) -> GreyPalette:
    """Return the greys of characters in a terminal with these colours. Grey levels become the nearest ones, undithered.

    Without colours all levels are black, and the sequences are empty.
    """
    if colours == "truecolor":
        return GreyPalette(
            np.arange(256, dtype=np.uint8),
            tuple(f"\x1b[38;2;{level};{level};{level}m" for level in range(256)),
            tuple(f"\x1b[48;2;{level};{level};{level}m" for level in range(256)),
            None,
        )
    if colours == "none":
        return GreyPalette(np.zeros(256, np.uint8), ("",) * 256, ("",) * 256, None)
    known = _ANSI_GREYS if colours == "16" else {**_CUBE_GREYS, **_RAMP_GREYS}
    shown = np.array(sorted(known))
    nearest = shown[np.abs(np.arange(256)[:, None] - shown[None]).argmin(axis=1)].astype(np.uint8)
    numbers = tuple(known[level] for level in nearest.tolist())
    if colours == "256":
        foreground = tuple(f"\x1b[38;5;{number}m" for number in numbers)
        background = tuple(f"\x1b[48;5;{number}m" for number in numbers)
    else:
        foreground = tuple(f"\x1b[{number + (30 if number < 8 else 82)}m" for number in numbers)
        background = tuple(f"\x1b[{number + (40 if number < 8 else 92)}m" for number in numbers)
    return GreyPalette(nearest, foreground, background, numbers)


def parse_colours(answer: bytes) -> Colours | None:
    """Return the colours that the terminal's `answer` to `COLOUR_QUERY` shows; None if it does not tell."""
    found = STYLE.pattern.search(answer)
    if found is None:
        return None
    if _TRUE_COLOUR.search(found[1]):
        return "truecolor"
    palette = _PALETTE_COLOUR.search(found[1])
    if palette:
        return "256" if int(palette[1]) >= 16 else "16"
    return "16" if _ANSI_BACKGROUND.search(found[1]) else None


def detect_colours(
    environment: Mapping[str, str],
    *,
    in_multiplexer: bool = False,
    tmux_clients: Sequence[TmuxClient] = (),
    reported: Colours | None = None,
) -> tuple[Colours, str]:
    """Return the colours of the terminal, and the reason in a few words.

    Parameters
    ----------
    environment
        The environment variables.
    in_multiplexer
        True inside tmux or GNU screen. They inherit ``COLORTERM`` from the terminal around them, and may still not pass
        true colours on.
    tmux_clients
        The terminals that tmux draws on, from `read_tmux`. The one with the fewest colours counts.
    reported
        The terminal's answer, from `parse_colours`; None if it gave none.

    Returns
    -------
    colours
        The colours.
    why
        The source, such as ``TERM=xterm-256color``.
    """
    term, color_term = environment.get("TERM", ""), environment.get("COLORTERM", "")
    count = read_colour_count(term)
    by_term = f"TERM={term}" if term else "TERM is not set"
    if count is not None and count < 8:
        return "none", by_term
    if tmux_clients:
        count, client = min(((_count_colours(each), each) for each in tmux_clients), key=lambda pair: pair[0])
        return _by_count(count), f"tmux's client {client.title}"
    if not in_multiplexer:
        if reported is not None:
            return reported, "reported by the terminal"
        if color_term in ("truecolor", "24bit"):
            return "truecolor", f"COLORTERM={color_term}"
        if count is not None and count >= _TRUE_COLOURS:
            return "truecolor", by_term
    return _by_count(min(count or 8, 256)), by_term


def _count_colours(client: TmuxClient) -> int:
    return _TRUE_COLOURS if client.has_true_colour else client.palette_size


def _by_count(count: int) -> Colours:
    if count >= _TRUE_COLOURS:
        return "truecolor"
    return "256" if count >= 256 else "16" if count >= 8 else "none"


def read_colour_count(term: str) -> int | None:
    """Return the number of colours of the terminal type `term`: 0 without colours, 1 << 24 with true colour.

    The terminfo entry counts. If there is none, the number follows from the name, or is None.
    """
    count = _read_terminfo(term)
    if count is not None:
        return count
    if term.endswith("-direct"):
        return _TRUE_COLOURS
    return 256 if "256color" in term else None


def _read_terminfo(term: str) -> int | None:
    try:
        import curses
    except ImportError:
        return None
    try:
        # Only the first call in a process reads an entry. ratui asks for the TERM of its environment alone.
        curses.setupterm(term, sys.__stdout__.fileno() if sys.__stdout__ else 1)
    except (curses.error, OSError, ValueError):
        return None
    has_true_colour = curses.tigetflag("RGB") > 0 or curses.tigetflag("Tc") > 0
    return _TRUE_COLOURS if has_true_colour else max(curses.tigetnum("colors"), 0)

"""Asks the terminal once what it can show. One request that a capable and a mute terminal both end.

The fence is the primary device attributes query, which practically every terminal answers: what has not been answered
before it isn't there. It must run before the app takes the terminal over, and never changes a setting for good.
"""

from __future__ import annotations

import os
import re
import select
import termios
import time
import tty
from fcntl import ioctl
from struct import unpack

from ratui.errors import DisplayError, clean
from ratui.terminal.display import PROTOCOLS, Display

__all__ = ["QUERY", "parse_answers", "probe"]

# A one-pixel Kitty image to judge, the size of a cell, the colour registers for Sixel (read, then as many as we want,
# then read again), and the fence.
QUERY = b"\x1b_Gi=4211,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[16t\x1b[?1;3;64S\x1b[?1;1;0S\x1b[c"
_FENCE = re.compile(rb"\x1b\[\?([0-9;]*)c")
_KITTY = re.compile(rb"\x1b_Gi=4211;OK")
_CELL = re.compile(rb"\x1b\[6;(\d+);(\d+)t")
_REGISTERS = re.compile(rb"\x1b\[\?1;0;(\d+)S")


def probe(override: str = "auto", *, deadline: float = 2.0) -> Display:
    """What the controlling terminal can show. `override` names a protocol that is taken unseen.

    A terminal that answers nothing within `deadline` seconds shows half-cells; one that began to answer is given three
    times as long. Raises DisplayError for an unknown `override` and where there is no terminal.
    """
    if override not in ("auto", *PROTOCOLS):
        raise DisplayError(
            f"there are no graphics called {clean(override)}", "--graphics", f"Take auto, {', '.join(PROTOCOLS)}"
        )
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError as error:
        raise DisplayError("there is no terminal to show films on", "", "Run this in a terminal") from error
    try:
        answer, seconds = _ask(terminal, deadline)
        cell = _cell_by_ioctl(terminal)
    finally:
        os.close(terminal)
    return parse_answers(answer, seconds, override=override, cell=cell)


def parse_answers(
    answer: bytes, seconds: float | None, *, override: str = "auto", cell: tuple[int, int] | None = None
) -> Display:
    """The display that `answer` speaks of; `seconds` is when the fence came, None where it didn't.

    `cell` is what the operating system says of the cell's size, for terminals that don't say themselves.
    """
    fence = _FENCE.search(answer)
    found = _CELL.search(answer)
    size = (int(found[2]), int(found[1])) if found else cell
    if size is None or not (2 <= size[0] <= 200 and 2 <= size[1] <= 400):
        size = (10, 20)
    registers = [int(count) for count in _REGISTERS.findall(answer)]
    greys = min(64, registers[-1]) if registers and registers[-1] >= 2 else 64
    if override == "kitty":
        return Display("kitty", size, 256, "asked for", seconds)
    if override == "sixel":
        return Display("sixel", size, greys, "asked for", seconds)
    if override == "halfcell":
        return Display("halfcell", size, 256, "asked for", seconds)
    if _KITTY.search(answer):
        return Display("kitty", size, 256, "the terminal speaks Kitty's graphics", seconds)
    if fence and b"4" in fence[1].split(b";")[1:]:
        return Display("sixel", size, greys, f"the terminal speaks Sixel, with {greys} greys", seconds)
    if seconds is None:
        return Display("halfcell", size, 256, "the terminal answered no question, so half-cells are safe", None)
    return Display("halfcell", size, 256, "the terminal has no graphics, so half-cells", seconds)


def _ask(terminal: int, deadline: float) -> tuple[bytes, float | None]:
    """What the terminal says to QUERY, and when the fence came."""
    try:
        before = termios.tcgetattr(terminal)
    except termios.error:
        return b"", None
    answer = b""
    try:
        tty.setraw(terminal, termios.TCSAFLUSH)
        begun = time.monotonic()
        os.write(terminal, QUERY)
        ends = begun + deadline
        while (left := ends - time.monotonic()) > 0:
            ready, _, _ = select.select([terminal], [], [], left)
            if not ready:
                break
            if not answer:
                ends = max(ends, begun + 3 * (time.monotonic() - begun))
            chunk = os.read(terminal, 4096)
            if not chunk:
                break
            answer += chunk
            if _FENCE.search(answer) or len(answer) > 65_536:
                return answer, time.monotonic() - begun
        return answer, None
    finally:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, before)


def _cell_by_ioctl(terminal: int) -> tuple[int, int] | None:
    try:
        rows, columns, width, height = unpack("HHHH", ioctl(terminal, termios.TIOCGWINSZ, b"\0" * 8))
    except OSError:
        return None
    return (width // columns, height // rows) if rows and columns and width and height else None

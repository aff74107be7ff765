"""Asks the terminal once what it can show, before the app takes it over, and never changes a setting for good.

First the question that practically every terminal answers, alone; only one that answers is asked the rest, with that
question again as the fence: what has not been answered before it isn't there. So nothing can answer late, when the
answer would be taken for keys.
"""

from __future__ import annotations

import os
import re
import select
import sys
import termios
import time
import tty
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fcntl import ioctl
from struct import unpack

from ratui.errors import DisplayError, clean_text
from ratui.terminal.display import PROTOCOLS, Display

__all__ = ["FILLER", "HELLO", "LOCAL_ROUND_TRIP", "PLAIN_QUERY", "QUERY", "parse_answers", "probe", "read_cell_size"]

HELLO = b"\x1b[c"
# The size of a cell, the colour registers for Sixel (read, then as many as we want, then read again), the largest Sixel
# image it takes, and the fence.
PLAIN_QUERY = b"\x1b[16t\x1b[?1;3;64S\x1b[?1;1;0S\x1b[?2;1;0S" + HELLO
# First a one-pixel Kitty image to judge. A multiplexer passes none on, and takes the question for the window's title.
QUERY = b"\x1b_Gi=4211,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\" + PLAIN_QUERY
FILLER = b"\x1b[m" * 8192 + HELLO
"""24 kB that change nothing, and the fence: how long they take tells what the line carries."""
LOCAL_ROUND_TRIP = 0.008
"""A terminal that answers faster is on this machine or beside it, and its line needs no measuring."""
_FENCE = re.compile(rb"\x1b\[\?([0-9;]*)c")
_KITTY = re.compile(rb"\x1b_Gi=4211;OK")
_CELL = re.compile(rb"\x1b\[6;(\d+);(\d+)t")
_REGISTERS = re.compile(rb"\x1b\[\?1;0;(\d+)S")
_LARGEST = re.compile(rb"\x1b\[\?2;0;(\d+);(\d+)S")


def probe(override: str = "auto", *, deadline: float = 2.0) -> Display:
    """What the controlling terminal can show. `override` names a protocol that is taken whatever the terminal says.

    A terminal that answers nothing within `deadline` seconds shows half-cells; one that answered once is given ten
    times as long as that took, at least `deadline`. Raises DisplayError for an unknown `override`, and where there is
    no terminal, or films couldn't be written to it or keys not read from it.
    """
    if override not in ("auto", *PROTOCOLS):
        raise DisplayError(
            f"there are no graphics called {clean_text(override)}", "--graphics", f"Take auto, {', '.join(PROTOCOLS)}"
        )
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError as error:
        raise DisplayError("there is no terminal to show films on", "", "Run this in a terminal") from error
    try:
        for stream, name in ((sys.__stdin__, "its input"), (sys.__stderr__, "its error output")):
            if stream is None or not stream.isatty():
                raise DisplayError(f"{name} is not the terminal", "", "Run it without < and | and 2>")
        multiplexer = _multiplexer(os.environ)
        answer, seconds, rate = _ask(terminal, deadline, PLAIN_QUERY if multiplexer else QUERY)
        cell = read_cell_size(terminal)
    finally:
        os.close(terminal)
    return parse_answers(answer, seconds, override=override, cell=cell, rate=rate, multiplexer=multiplexer)


def parse_answers(
    answer: bytes,
    seconds: float | None,
    *,
    override: str = "auto",
    cell: tuple[int, int] | None = None,
    rate: float | None = None,
    multiplexer: str = "",
) -> Display:
    """The display that `answer` speaks of; `seconds` is how long the fence took, None where it didn't come.

    `cell` is what the operating system says of the cell's size, for terminals that don't say themselves.
    """
    fence = _FENCE.search(answer)
    found = _CELL.search(answer)
    said = (int(found[2]), int(found[1])) if found else None
    size = next((each for each in (said, cell) if each and 2 <= each[0] <= 200 and 2 <= each[1] <= 400), None)
    registers = [int(count) for count in _REGISTERS.findall(answer)]
    greys = min(64, registers[-1]) if registers and registers[-1] >= 2 else 64

    room = _LARGEST.search(answer)
    largest = (int(room[1]), int(room[2])) if room and int(room[1]) >= 100 and int(room[2]) >= 100 else (1000, 1000)

    def display(protocol: str, why: str) -> Display:
        levels = greys if protocol == "sixel" else 256
        return Display(protocol, size or (10, 20), levels, why, seconds, rate, multiplexer, size is not None, largest)  # type: ignore[arg-type]

    if override != "auto":
        return display(override, "asked for")
    if _KITTY.search(answer):
        return display("kitty", "the terminal speaks Kitty's graphics")
    if fence and b"4" in fence[1].split(b";")[1:]:
        return display("sixel", f"the terminal speaks Sixel, with {greys} greys")
    if seconds is None:
        return display("halfcell", "the terminal answered no question, so half-cells are safe")
    if multiplexer:
        return display("halfcell", f"{multiplexer} passes no graphics on, so half-cells")
    return display("halfcell", "the terminal has no graphics, so half-cells")


def read_cell_size(terminal: int) -> tuple[int, int] | None:
    """The size of a cell in pixels as the operating system has it, None where it hasn't."""
    try:
        rows, columns, width, height = unpack("HHHH", ioctl(terminal, termios.TIOCGWINSZ, b"\0" * 8))
    except OSError:
        return None
    return (width // columns, height // rows) if rows and columns and width and height else None


def _multiplexer(environment: Mapping[str, str]) -> str:
    if environment.get("TMUX"):
        return "tmux"
    return "screen" if environment.get("STY") else ""


def _ask(terminal: int, deadline: float, query: bytes) -> tuple[bytes, float | None, float | None]:
    """What the terminal says to `query`, how long a round trip took, and what the line carries in bytes a second."""
    try:
        with _raw(terminal):
            hello, first = _exchange(terminal, HELLO, deadline)
            if first is None:
                return hello, None, None
            patience = max(deadline, 10 * first)
            answer, second = _exchange(terminal, query, patience)
            if second is None:
                return hello, first, None
            round_trip = min(first, second)
            rate = None
            if round_trip > LOCAL_ROUND_TRIP:
                _, took = _exchange(terminal, FILLER, patience + 5.0)
                rate = len(FILLER) / max(took - round_trip, 1e-3) if took else None
            return answer, round_trip, rate
    except (termios.error, OSError):
        return b"", None, None


def _exchange(terminal: int, question: bytes, deadline: float) -> tuple[bytes, float | None]:
    """The answer to `question` up to the fence, and the seconds it took; None where the fence didn't come."""
    answer = b""
    begun = time.monotonic()
    waiting = memoryview(question)
    while (left := begun + deadline - time.monotonic()) > 0:
        # A line that is full must not stop us from giving up in time: written piece by piece, as it takes them.
        ready, writable, _ = select.select([terminal], [terminal] if waiting else [], [], left)
        try:
            if writable:
                waiting = waiting[os.write(terminal, waiting) :]
            chunk = os.read(terminal, 4096) if ready else None
        except BlockingIOError:
            continue
        if chunk is not None:
            if not chunk:
                break
            answer += chunk
            if _FENCE.search(answer):
                return answer, time.monotonic() - begun
            if len(answer) > 65_536:
                break
    return answer, None


@contextmanager
def _raw(terminal: int) -> Iterator[None]:
    """The terminal without echo and line editing; at the end as before, with what wasn't read thrown away."""
    before = termios.tcgetattr(terminal)
    try:
        tty.setraw(terminal, termios.TCSAFLUSH)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, before)

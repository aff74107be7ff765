"""Questions to the terminal about its graphics, before the app starts.

The first question is one that practically every terminal answers. If an answer comes, the other questions follow, and the
first one again as a fence: a feature without an answer before the fence does not exist. Thus no answer can come late
and be taken for keys. The settings of the terminal are restored at the end.
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
from contextlib import contextmanager, suppress
from fcntl import ioctl
from struct import unpack

from ratui.errors import DisplayError, clean_text
from ratui.terminal.display import PROTOCOLS, Display

__all__ = ["FILLER", "HELLO", "LOCAL_ROUND_TRIP", "PLAIN_QUERY", "QUERY", "parse_answers", "probe", "read_cell_size"]

HELLO = b"\x1b[c"
"""Question for the device attributes (DA1), which serves as the fence."""
PLAIN_QUERY = b"\x1b[16t\x1b[?1;3;64S\x1b[?1;1;0S\x1b[?2;1;0S" + HELLO
"""Questions for the size of a cell, the Sixel colours (set 64, then read), the largest Sixel image, and the fence."""
# The Kitty question asks about an image of one pixel. A multiplexer does not pass it on, and shows it as window title.
QUERY = b"\x1b_Gi=4211,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\" + PLAIN_QUERY
FILLER = b"\x1b[m" * 8192 + HELLO
"""24 kB without a visible effect, and the fence. The time until the answer measures the bandwidth."""
LOCAL_ROUND_TRIP = 0.008
"""Round trip in seconds below which a terminal counts as local, so that its bandwidth needs no measurement."""
_FENCE = re.compile(rb"\x1b\[\?([0-9;]*)c")
_KITTY = re.compile(rb"\x1b_Gi=4211;OK")
_CELL = re.compile(rb"\x1b\[6;(\d+);(\d+)t")
_REGISTERS = re.compile(rb"\x1b\[\?1;0;(\d+)S")
_LARGEST = re.compile(rb"\x1b\[\?2;0;(\d+);(\d+)S")


def probe(override: str = "auto", *, deadline: float = 2.0) -> Display:
    """Return the graphics capabilities of the controlling terminal.

    Parameters
    ----------
    override
        ``auto``, or one of `PROTOCOLS` to use it whatever the terminal answers.
    deadline
        Seconds to wait for the first answer. Without an answer, images are drawn with half-cells. Later answers may
        take ten times as long as the first one, or `deadline` if that is longer.

    Returns
    -------
    Display
        The capabilities.

    Raises
    ------
    DisplayError
        If `override` is unknown, if there is no terminal, or if input or error output is not the terminal.
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
        # Textual reads keys from stdin and writes the screen to stderr.
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
    """Return the capabilities that the terminal's `answer` describes.

    Parameters
    ----------
    answer
        All bytes that the terminal answered.
    seconds
        Round trip; None if the fence was not answered.
    override
        ``auto``, or the protocol to use.
    cell
        Size of a cell according to the operating system, as (width, height) in pixels. Used if the terminal gives none.
    rate
        Bytes per second; None if not measured.
    multiplexer
        ``tmux``, ``screen`` or empty.

    Returns
    -------
    Display
        The capabilities.
    """
    fence = _FENCE.search(answer)
    found = _CELL.search(answer)
    reported = (int(found[2]), int(found[1])) if found else None
    # Terminals are known to report nonsense, such as 0 × 0: take the first plausible size.
    size = next((each for each in (reported, cell) if each and 2 <= each[0] <= 200 and 2 <= each[1] <= 400), None)
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
    # Attribute 4 of DA1 means Sixel. The first number is the class of the terminal.
    if fence and b"4" in fence[1].split(b";")[1:]:
        return display("sixel", f"the terminal speaks Sixel, with {greys} greys")
    if seconds is None:
        return display("halfcell", "the terminal answered no question, so half-cells are safe")
    if multiplexer:
        return display("halfcell", f"{multiplexer} passes no graphics on, so half-cells")
    return display("halfcell", "the terminal has no graphics, so half-cells")


def read_cell_size(terminal: int) -> tuple[int, int] | None:
    """Return the size of a cell according to the operating system.

    Parameters
    ----------
    terminal
        File descriptor of the terminal.

    Returns
    -------
    tuple of int, or None
        Width and height in pixels; None if the operating system does not know them.
    """
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
    """Return the answer to `query`, the round trip in seconds, and the bandwidth in bytes per second."""
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
    """Return the answer to `question` up to the fence, and the seconds it took; None if the fence was not answered."""
    answer = b""
    begun = time.monotonic()
    waiting = memoryview(question)
    while (left := begun + deadline - time.monotonic()) > 0:
        # Write in pieces: a blocked connection must not delay the end of the wait.
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
    """Switch off echo and line editing. At the end restore the settings, and discard unread input."""
    before = termios.tcgetattr(terminal)
    try:
        tty.setraw(terminal, termios.TCSAFLUSH)
        yield
    finally:
        with suppress(termios.error):  # the terminal may be gone, and a signal that says so must not be lost
            termios.tcsetattr(terminal, termios.TCSAFLUSH, before)

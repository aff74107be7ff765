"""Questions to the terminal about its graphics, before the app starts.

The first question is one that practically every terminal answers. If an answer comes, the other questions follow, and the
first one again as a fence: a feature without an answer before the fence does not exist. Thus no answer can come late
and be taken for keys. The questions that are strings are sent last, and not to a multiplexer, which would display them.
The settings of the terminal are restored at the end.
"""

from __future__ import annotations

import codecs
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from fcntl import ioctl
from struct import unpack

from ratui.errors import DisplayError, clean_text
from ratui.terminal.answers import parse_answers
from ratui.terminal.colours import COLOUR_QUERY, detect_colours, parse_colours
from ratui.terminal.display import LOCAL_ROUND_TRIP, PROTOCOLS, Display
from ratui.terminal.image_files import Medium, list_media, offer_pixel, remove_leftovers
from ratui.terminal.iterm2 import may_be_iterm2
from ratui.terminal.multiplexer import TmuxClient, identify_multiplexer, read_tmux, suspect_multiplexer
from ratui.terminal.queries import (
    CELL_SIZE,
    CURSOR_POSITION,
    DEVICE_ATTRIBUTES,
    ITERM2_CELL_SIZE,
    KITTY_FILE,
    KITTY_GRAPHICS,
    KITTY_SHARED_MEMORY,
    LARGEST_SIXEL,
    SECONDARY_ATTRIBUTES,
    SIXEL_REGISTERS,
    SIXEL_REGISTERS_SET,
    TERMINAL_VERSION,
)

__all__ = [
    "FILLER",
    "GRAPHICS_QUERY",
    "HELLO",
    "QUERY",
    "UTF8_QUERY",
    "probe",
    "read_cell_size",
    "require_utf8_locale",
    "require_utf8_terminal",
]

HELLO = DEVICE_ATTRIBUTES.data
"""Question for the device attributes (DA1), which serves as the fence."""
UTF8_QUERY = b"\r\xc3\xb1" + CURSOR_POSITION.data + b"\r\x1b[K"
"""A letter of two bytes in UTF-8, the question for the position of the cursor, and the removal of the letter.

Each of the bytes is a printable character of its own in Latin-1. The letter has one column in every terminal with UTF-8.
"""
QUERY = (
    UTF8_QUERY
    + b"".join(
        query.data
        for query in (
            TERMINAL_VERSION,
            SECONDARY_ATTRIBUTES,
            CELL_SIZE,
            SIXEL_REGISTERS_SET,
            SIXEL_REGISTERS,
            LARGEST_SIXEL,
        )
    )
    + HELLO
)
"""Questions that are harmless everywhere, and the fence."""
GRAPHICS_QUERY = KITTY_GRAPHICS.data + COLOUR_QUERY + HELLO
"""Questions for Kitty's graphics and for true colour, and the fence. Only for terminals that are not multiplexers."""
FILLER = b"\x1b[m" * 8192 + HELLO
"""24 kB without a visible effect, and the fence. The time until the answer measures the bandwidth."""
_MEDIUM_QUERIES = {"s": KITTY_SHARED_MEMORY, "t": KITTY_FILE}
_FENCE = DEVICE_ATTRIBUTES.pattern


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
        If `override` is unknown or cannot be displayed inside a multiplexer, if there is no terminal, if input or error
        output is not the terminal, or if the locale or the terminal has no UTF-8.
    """
    if override not in ("auto", *PROTOCOLS):
        raise DisplayError(
            f"there is no graphics protocol named {clean_text(override)}",
            "--graphics",
            f"Choose auto, {', '.join(PROTOCOLS)}",
        )
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError as error:
        raise DisplayError("films can only be shown in a terminal", "", "Run this in a terminal") from error
    try:
        # Textual reads keys from stdin and writes the screen to stderr.
        for stream, name in ((sys.__stdin__, "its input"), (sys.__stderr__, "its error output")):
            if stream is None or not stream.isatty():
                raise DisplayError(
                    f"{name} is not connected to the terminal", "", "Run it without redirection (<, |, 2>)"
                )
        require_utf8_locale(os.environ)
        suspected = suspect_multiplexer(os.environ)
        remove_leftovers()
        asks_media = override in ("auto", "kitty") and not _is_remote(os.environ)
        answer, seconds, rate, medium = _ask(terminal, deadline, suspected, asks_media=asks_media)
        cell = read_cell_size(terminal)
    finally:
        os.close(terminal)
    identified = identify_multiplexer(answer)
    multiplexer = suspected if identified is None else identified
    tmux = read_tmux(os.environ) if multiplexer == "tmux" else None
    clients = tmux.clients if tmux is not None else ()
    require_utf8_terminal(answer, clients)
    return parse_answers(
        answer,
        seconds,
        override=override,
        cell=cell,
        rate=rate,
        multiplexer=multiplexer,
        tmux=tmux,
        colours=detect_colours(
            os.environ,
            in_multiplexer=bool(multiplexer),
            tmux_clients=clients,
            reported=parse_colours(answer),
        ),
        medium=medium,
    )


def _is_remote(environment: Mapping[str, str]) -> bool:
    """Return True if the terminal is on another machine, according to the environment: one question less on a slow line."""
    return any(environment.get(name) for name in ("SSH_CONNECTION", "SSH_TTY"))


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


def require_utf8_locale(environment: Mapping[str, str]) -> None:
    """Raise `DisplayError` if this process cannot write the characters of the screens, because its locale has no UTF-8."""
    for stream in (sys.__stderr__, sys.__stdout__):
        encoding = codecs.lookup(stream.encoding if stream is not None else "utf-8").name.upper()
        if encoding != "UTF-8":
            names = ("PYTHONIOENCODING", "LC_ALL", "LC_CTYPE", "LANG")
            name = next((each for each in names if environment.get(each)), "")
            raise DisplayError(
                f"the locale has the encoding {encoding}, and ratui needs UTF-8",
                f"{name}={environment[name]}" if name else "",
                "Set another locale: export LC_ALL=C.UTF-8",
            )


def require_utf8_terminal(answer: bytes, tmux_clients: Sequence[TmuxClient] = ()) -> None:
    """Raise `DisplayError` if the terminal's `answer` to `UTF8_QUERY`, or tmux, shows that it does not decode UTF-8."""
    position = CURSOR_POSITION.pattern.search(answer)
    if position and int(position[2]) == 3:  # each byte of the letter was displayed as a character
        raise DisplayError(
            "the terminal does not decode UTF-8",
            "",
            "Start it in a locale with UTF-8, such as LC_ALL=C.UTF-8 xterm, or screen -U",
        )
    if not all(client.is_utf8 for client in tmux_clients):
        raise DisplayError(
            "tmux sends no UTF-8 to the terminal", "", "Attach with tmux -u, or set LC_ALL=C.UTF-8 before tmux attach"
        )


def _ask(
    terminal: int, deadline: float, suspected: str, *, asks_media: bool
) -> tuple[bytes, float | None, float | None, Medium]:
    """Return the answers to all questions, the round trip in seconds, the bytes per second, and the medium for images.

    `suspected` is the multiplexer that the environment names. It counts if the terminal does not identify itself.
    The terminal is asked for a medium if `asks_media` is true and it speaks Kitty's graphics.
    """
    medium: Medium = ""
    try:
        with _raw(terminal):
            hello, first = _exchange(terminal, HELLO, deadline)
            if first is None:
                return hello, None, None, medium
            patience = max(deadline, 10 * first)
            answer, second = _exchange(terminal, QUERY, patience)
            if second is None:
                return hello, first, None, medium
            round_trip = min(first, second)
            identified = identify_multiplexer(answer)
            if not (suspected if identified is None else identified):
                query = ITERM2_CELL_SIZE.data if may_be_iterm2(answer, os.environ) else b""
                graphics, third = _exchange(terminal, query + GRAPHICS_QUERY, patience)
                if third is None:
                    return answer, round_trip, None, medium
                answer += graphics
                round_trip = min(round_trip, third)
                reply = KITTY_GRAPHICS.pattern.search(answer)
                if asks_media and reply and reply[1] == b"OK":
                    medium, is_answered = _ask_media(terminal, patience)
                    if not is_answered:
                        return answer, round_trip, None, medium
            rate = None
            if round_trip > LOCAL_ROUND_TRIP:
                _, took = _exchange(terminal, FILLER, patience + 5.0)
                rate = len(FILLER) / max(took - round_trip, 1e-3) if took else None
            return answer, round_trip, rate, medium
    except (termios.error, OSError):
        return b"", None, None, medium


def _ask_media(terminal: int, patience: float) -> tuple[Medium, bool]:
    """Return the first medium of which the terminal took an image, empty for none, and whether it answered the fence."""
    with ExitStack() as stack:
        offered = {medium: image for medium in list_media() if (image := stack.enter_context(offer_pixel(medium)))}
        if not offered:
            return "", True
        queries = {medium: _MEDIUM_QUERIES[medium] for medium in offered}
        question = b"".join(queries[medium].data.replace(b"NAME", offered[medium].name.encode()) for medium in offered)
        answer, took = _exchange(terminal, question + HELLO, patience)
        if took is None:
            return "", False
        for medium, image in offered.items():
            reply = queries[medium].pattern.search(answer)
            # A terminal that says OK to everything has not deleted the image.
            if reply and reply[1] == b"OK" and image.is_taken():
                return medium, True
        return "", True


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

"""A report on the terminal, advice to improve it, and the display of the test card. No setting is changed."""

from __future__ import annotations

import os
import select
import shutil
import sys
import termios
import time
import tty
from collections.abc import Mapping
from contextlib import suppress

from ratui.errors import DisplayError, clean_text
from ratui.terminal.colours import Colours
from ratui.terminal.display import FENCE, MIN_PIXELS_PER_MM, Display, estimate_joint_resolution
from ratui.terminal.frames import Frame, encode
from ratui.terminal.multiplexer import TmuxState, read_tmux
from ratui.terminal.test_card import draw_test_card

_COLOURS: Mapping[Colours, str] = {"truecolor": "true colour", "256": "256", "16": "8 or 16", "none": "none"}

__all__ = ["RULER_CHARACTERS", "describe_ruler", "describe_terminal", "find_pixel_mm", "list_advice", "show_test_card"]

RULER_CHARACTERS = 60
"""Length of the line that the user measures, in characters. It goes from the middle of its first character, where a terminal
draws the bar of ``├``, to the middle of its last one, so that it is drawn by one character more."""


def describe_terminal(
    display: Display, columns: int, rows: int, environment: Mapping[str, str] = os.environ
) -> list[tuple[str, str]]:
    """Return a description of the terminal as pairs of a name and a text.

    Parameters
    ----------
    display
        The capabilities of the terminal.
    columns, rows
        Size of the terminal in characters.
    environment
        The environment variables.

    Returns
    -------
    list of tuple
        Pairs such as ``("greys", "256")``.
    """
    across, down = display.cell
    guessed = "" if display.is_cell_measured else " (a guess: the terminal doesn't say)"
    names = (environment.get("TERM_PROGRAM"), environment.get("TERM"), display.terminal or display.multiplexer)
    name = " ".join(filter(None, names))
    line = f"answers in {1000 * display.round_trip:.1f} ms" if display.round_trip else "doesn't answer"
    if display.rate:
        line += f", carries {display.rate / 1000:,.0f} kB a second"
    resolution = estimate_joint_resolution(display, columns, rows)
    judged = (
        "enough to judge erosions"
        if resolution >= MIN_PIXELS_PER_MM
        else f"too few to judge erosions, which takes {MIN_PIXELS_PER_MM:.0f}"
    )
    return [
        ("terminal", clean_text(name or "unknown")),
        *([("tmux", _describe_tmux(read_tmux(environment)))] if display.multiplexer == "tmux" else []),
        ("films as", f"{display.protocol}: {display.why}"),
        ("colours", f"{_COLOURS[display.colours]}: {display.colours_why or 'assumed'}"),
        ("greys", str(display.levels) if display.can_show_films else f"{display.levels}, too few to score films"),
        ("size", f"{columns} × {rows} characters of {across} × {down} pixels{guessed}"),
        ("line", line),
        ("joints", f"about {resolution:.1f} pixels a millimetre side by side: {judged}"),
    ]


def describe_ruler(display: Display, pixel_mm: float | None) -> list[str]:
    """Return a line to measure on the screen, and what it is measured for, as lines of text.

    Parameters
    ----------
    display
        The capabilities of the terminal.
    pixel_mm
        Size of a pixel of the screen in mm, as measured before; None if it was not.
    """
    if not display.is_cell_measured:
        return [f"{'ruler':<10}no life size: the terminal doesn't tell how many pixels a character has"]
    line = f"{'ruler':<10}├{'─' * (RULER_CHARACTERS - 1)}┤"
    if pixel_mm is None:
        return [line, f"{'':<10}no life size: measure from bar to bar in mm, and run ratui doctor --ruler MM"]
    length = RULER_CHARACTERS * display.cell[0] * pixel_mm
    return [line, f"{'':<10}{length:.0f} mm if a pixel is {pixel_mm:g} mm; otherwise run ratui doctor --ruler MM"]


def find_pixel_mm(display: Display, length_mm: float) -> float:
    """Return the size of a pixel in mm if the line of `describe_ruler` is `length_mm` long.

    Raises
    ------
    DisplayError
        If the terminal does not tell the size of its characters.
    """
    if not display.is_cell_measured:
        problem = "the terminal doesn't tell how many pixels a character has, so that the ruler can't be used"
        raise DisplayError(problem, "", "Use another terminal; ratui doctor shows a ruler where it can be used")
    return length_mm / (RULER_CHARACTERS * display.cell[0])


def _describe_tmux(tmux: TmuxState | None) -> str:
    """Return the facts about tmux and its clients on one line."""
    if tmux is None:
        return "doesn't tell what its clients support: it runs on another machine, or doesn't answer"
    clients = [f"{client.title} ({clean_text(', '.join(sorted(client.features)), 200)})" for client in tmux.clients]
    passthrough = "on" if tmux.allows_passthrough else "off"
    return f"{clean_text(tmux.version)}, allow-passthrough {passthrough}, clients: {'; '.join(clients) or 'none'}"


def list_advice(display: Display, columns: int, rows: int) -> list[str]:
    """Return advice for sharper or faster films, one line each, or an empty list if there is none.

    Parameters
    ----------
    display
        The capabilities of the terminal.
    columns, rows
        Size of the terminal in characters.

    Returns
    -------
    list of str
        Sentences for the user.
    """
    lines = []
    try:
        display.require_films()
    except DisplayError as error:
        lines.append(str(error))
    if display.multiplexer == "tmux" and display.protocol == "halfcell":
        lines += _tmux_advice()
    elif display.multiplexer == "screen" and display.protocol == "halfcell":
        lines.append("screen passes no graphics on: run ratui outside it")
    elif display.protocol == "halfcell" and display.round_trip is None:
        lines.append("the terminal answered nothing: if it has graphics, name them with --graphics kitty or sixel")
    elif display.protocol == "halfcell":
        lines.append(
            "a terminal with graphics shows ten times as many pixels: kitty, Ghostty, WezTerm, foot, iTerm2, xterm"
        )
    if estimate_joint_resolution(display, columns, rows) < MIN_PIXELS_PER_MM:
        lines.append("a larger window or a smaller font gives films more pixels; so do zoom and one film at a time")
    if display.rate and display.rate < 1e6:
        lines.append(
            "the line is slow: films come coarse first and fine when the keys rest. Compression (ssh -C) helps"
        )
    return lines


def _tmux_advice() -> list[str]:
    tmux = read_tmux(os.environ)
    kitty = f": now {tmux.explain_missing_kitty()}" if tmux and tmux.explain_missing_kitty() else ""
    sixel = f": now {tmux.explain_missing_sixel()}" if tmux and tmux.explain_missing_sixel() else ""
    return [
        "inside tmux films are half-cells: for sharp ones run ratui outside it",
        f"or in kitty (from 0.28 on) or Ghostty after: tmux set -g allow-passthrough on, from tmux 3.3 on{kitty}",
        f"or in a Sixel terminal, with a tmux from 3.4 on that was built with Sixel{sixel}",
    ]


def show_test_card(display: Display, columns: int, rows: int) -> tuple[int, float | None]:
    """Show the test card at the top of an empty screen, and leave the cursor below it.

    Parameters
    ----------
    display
        The capabilities of the terminal.
    columns, rows
        Size of the card in characters.

    Returns
    -------
    byte_count
        Number of bytes sent.
    seconds
        Seconds until the terminal had processed them; None if it does not answer.
    """
    across, down = display.pixels_per_cell
    frame = encode(display, draw_test_card((columns * across, rows * down), display.pixel_aspect))
    return frame.byte_count, _paint(frame, columns, rows, answers=display.round_trip is not None)


def _paint(frame: Frame, columns: int, rows: int, *, answers: bool) -> float | None:
    """Write `frame` to standard output, and return the seconds until the fence is answered; None if it is not."""
    height = shutil.get_terminal_size().lines
    # Scroll the present text away instead of erasing it.
    data = "\n" * height + "\x1b[H" + "\x1b7" + "".join(frame.parts(0, 0, columns, rows, 1)) + "\x1b8"
    data += f"\x1b[{rows + 1};1H"
    begun = time.monotonic()
    sys.stdout.write(data)
    if not answers:
        sys.stdout.flush()
        return None
    terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    before = termios.tcgetattr(terminal)
    try:
        tty.setraw(terminal, termios.TCSADRAIN)
        sys.stdout.write(FENCE)
        sys.stdout.flush()
        answer = b""
        while b"R" not in answer:
            if not select.select([terminal], [], [], 10.0)[0]:
                return None
            chunk = os.read(terminal, 256)
            if not chunk:  # the terminal is gone
                return None
            answer += chunk
        return time.monotonic() - begun
    finally:
        with suppress(termios.error):  # the terminal may be gone, and a signal that says so must not be lost
            termios.tcsetattr(terminal, termios.TCSAFLUSH, before)
        os.close(terminal)

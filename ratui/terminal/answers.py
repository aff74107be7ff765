"""Choice of the graphics protocol from the terminal's answers, and its adaptation to the clients of tmux."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ratui.errors import DisplayError, clean_text
from ratui.terminal.colours import Colours, detect_colours, make_grey_palette
from ratui.terminal.display import Display
from ratui.terminal.image_files import MEDIA, Medium
from ratui.terminal.iterm2 import parse_iterm2_cell
from ratui.terminal.multiplexer import TmuxState
from ratui.terminal.queries import (
    CELL_SIZE,
    DEVICE_ATTRIBUTES,
    KITTY_GRAPHICS,
    LARGEST_SIXEL,
    SIXEL_REGISTERS,
    TERMINAL_VERSION,
)

__all__ = ["adapt_to_clients", "parse_answers"]


def parse_answers(
    answer: bytes,
    seconds: float | None,
    *,
    override: str = "auto",
    cell: tuple[int, int] | None = None,
    rate: float | None = None,
    multiplexer: str = "",
    tmux: TmuxState | None = None,
    colours: tuple[Colours, str] = ("truecolor", ""),
    medium: Medium = "",
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
    tmux
        Clients of tmux; None if it did not answer.
    colours
        The colours of characters and the reason, from `detect_colours`.
    medium
        The medium through which the terminal took a Kitty image; empty if images are sent as control sequences.

    Returns
    -------
    Display
        The capabilities.

    Raises
    ------
    DisplayError
        If the multiplexer cannot display the protocol `override`.
    """
    fence = DEVICE_ATTRIBUTES.pattern.search(answer)
    found = CELL_SIZE.pattern.search(answer)
    reported = (int(found[2]), int(found[1])) if found else None
    # Terminals are known to report nonsense, such as 0 × 0: take the first plausible size.
    size = next((each for each in (reported, cell) if each and 2 <= each[0] <= 200 and 2 <= each[1] <= 400), None)
    registers = [int(count) for state, count in SIXEL_REGISTERS.pattern.findall(answer) if state == b"0" and count]
    greys = min(64, registers[-1]) if registers and registers[-1] >= 2 else 64

    room = LARGEST_SIXEL.pattern.search(answer)
    room_size = (int(room[2]), int(room[3])) if room and room[1] == b"0" and room[2] else (0, 0)
    version = TERMINAL_VERSION.pattern.search(answer)
    # Attribute 4 of DA1 means Sixel. The first number is the class of the terminal.
    has_sixel = fence is not None and b"4" in fence[1].split(b";")[1:]
    reply = KITTY_GRAPHICS.pattern.search(answer)
    iterm2_cell = parse_iterm2_cell(answer)

    def display(protocol: str, why: str) -> Display:
        return Display(
            protocol,  # type: ignore[arg-type]
            (protocol == "iterm2" and iterm2_cell) or size or (10, 20),
            levels={"sixel": greys, "halfcell": make_grey_palette(colours[0]).greys}.get(protocol, 256),
            why=why,
            round_trip=seconds,
            rate=rate,
            multiplexer=multiplexer,
            is_cell_measured=bool(size or iterm2_cell),
            max_sixel_size=room_size if min(room_size) >= 100 else (1000, 1000),
            uses_placeholders=protocol == "kitty" and multiplexer == "tmux",
            medium=medium if protocol == "kitty" and not multiplexer else "",
            terminal=clean_text(version[1].decode()) if version else "",
            colours=colours[0],
            colours_why=colours[1],
        )

    if multiplexer:
        missing = _explain_missing(multiplexer, tmux, has_sixel=has_sixel)
        if override != "auto":
            _check_override(override, multiplexer, missing)
            return display(override, "asked for")
        if not missing["kitty"]:
            return display("kitty", "tmux passes Kitty's graphics on to its clients, which place them by characters")
        if not missing["sixel"]:
            return display("sixel", f"tmux and its clients speak Sixel, with {greys} greys")
        return display("halfcell", f"{missing['sixel']}, so half-cells")
    if override != "auto":
        return display(override, "asked for")
    if reply and reply[1] == b"OK":
        through = f", and takes images through {MEDIA[medium]}" if medium else ""
        return display("kitty", f"the terminal speaks Kitty's graphics{through}")
    if iterm2_cell:  # before Sixel, which has fewer greys
        return display("iterm2", "the terminal shows inline images of iTerm2")
    if has_sixel:
        return display("sixel", f"the terminal speaks Sixel, with {greys} greys")
    if seconds is None:
        return display("halfcell", "the terminal answered no question, so half-cells are safe")
    return display("halfcell", "the terminal has no graphics, so half-cells")


def _explain_missing(multiplexer: str, tmux: TmuxState | None, *, has_sixel: bool) -> dict[str, str]:
    """Return the reason why each graphics protocol cannot be displayed inside a multiplexer; empty if it can."""
    if multiplexer == "screen":
        return dict.fromkeys(("kitty", "iterm2", "sixel"), "GNU screen passes no graphics on")
    iterm2 = "tmux does not know images of iTerm2"
    if tmux is None:
        unknown = "tmux does not tell here what its clients support"
        return {"kitty": unknown, "iterm2": iterm2, "sixel": unknown if has_sixel else "this tmux has no Sixel"}
    return {
        "iterm2": iterm2,
        "kitty": tmux.explain_missing_kitty(),
        "sixel": tmux.explain_missing_sixel() if has_sixel else "this tmux has no Sixel",
    }


def _check_override(override: str, multiplexer: str, missing: dict[str, str]) -> None:
    """Raise DisplayError if the protocol `override` cannot be displayed inside `multiplexer`."""
    reason = missing.get(override)
    if not reason:
        return
    remedy = f"Run ratui outside {multiplexer}, or use --graphics auto"
    if "allow-passthrough" in reason:
        remedy = "Run: tmux set -g allow-passthrough on"
    elif "true colour" in reason:
        remedy = "Run: tmux set -as terminal-features ',*:RGB' and attach again"
    raise DisplayError(f"{override} images cannot be displayed inside {multiplexer}: {reason}", "--graphics", remedy)


def adapt_to_clients(first: Display, tmux: TmuxState, environment: Mapping[str, str]) -> Display:
    """Return the capabilities for the clients that are attached to tmux now.

    Parameters
    ----------
    first
        The capabilities at the start of the app.
    tmux
        The present state of tmux.
    environment
        The environment variables.

    Returns
    -------
    Display
        The same protocol as in `first` if all clients display it, otherwise half-cells.
    """
    colours, why = detect_colours(environment, in_multiplexer=True, tmux_clients=tmux.clients)
    missing = ""
    if first.protocol == "kitty":
        missing = tmux.explain_missing_kitty()
    elif first.protocol == "sixel":
        missing = tmux.explain_missing_sixel()
    display = replace(first, colours=colours, colours_why=why)
    if missing or first.protocol == "halfcell":
        display = replace(
            display,
            protocol="halfcell",
            levels=make_grey_palette(colours).greys,
            why=f"{missing}, so half-cells" if missing else first.why,
            uses_placeholders=False,
        )
    return display

"""Terminal multiplexers: recognition of tmux and GNU screen, and what the clients attached to tmux can display.

tmux answers the queries of a program itself, whatever the terminals of its clients can. Only tmux knows these, and tells
them on request.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from ratui.errors import clean_text
from ratui.terminal.queries import SECONDARY_ATTRIBUTES, TERMINAL_VERSION

__all__ = ["TmuxClient", "TmuxState", "identify_multiplexer", "read_tmux", "suspect_multiplexer"]

_TIMEOUT = 2.0
"""Seconds that tmux may take to answer. It takes some milliseconds; a stopped server never answers."""
_SEPARATOR = "|"
_MIN_KITTY = (0, 28)
"""First version of kitty that displays images by Unicode placeholders."""
_MIN_TMUX = (3, 3)
# tmux lists a client's capabilities below a line with its device. It uses true colour if it knows `setrgbf`, which it
# derives from `Tc`, from `RGB` or from its own option.
_TRUE_COLOUR = re.compile(
    r"^Terminal \d+: \S+ for (\S+), [^\n]*\n(?: +\d+: [^\n]*\n)*? +\d+: setrgbf: \(string\)", re.MULTILINE
)
_COLOURS = re.compile(
    r"^Terminal \d+: \S+ for (\S+), [^\n]*\n(?: +\d+: [^\n]*\n)*? +\d+: colors: \(number\) (\d+)$", re.MULTILINE
)
_VERSION = re.compile(r"(\d+)\.(\d+)")


@dataclass(frozen=True)
class TmuxClient:
    """A terminal attached to tmux."""

    tty: str
    """Device of the terminal."""
    process: int
    """Process ID of the client."""
    name: str
    """Name in the terminfo database, such as ``xterm-256color``."""
    kind: str
    """Name and version that the terminal reported to tmux, such as ``kitty(0.32.2)``; empty if it reported none."""
    features: frozenset[str]
    """Features that tmux uses, such as ``sixel``."""
    is_utf8: bool
    """True if tmux sends UTF-8 to the terminal."""
    has_true_colour: bool
    """True if tmux sends colours of 24 bits to the terminal, and not the nearest one of a palette."""
    palette_size: int = 256
    """Number of colours in the palette that tmux uses on the terminal."""

    @property
    def title(self) -> str:
        """Name of the terminal for messages."""
        return clean_text(self.kind or self.name or "an unknown terminal")

    @property
    def has_placeholders(self) -> bool:
        """True if the terminal displays Kitty images by Unicode placeholders."""
        if self.kind.startswith("kitty"):
            return _version(self.kind) >= _MIN_KITTY
        return self.kind.startswith("ghostty")


@dataclass(frozen=True)
class TmuxState:
    """The state of the tmux in which a program runs."""

    version: str
    """Version, such as ``3.3a``."""
    allows_passthrough: bool
    """True if tmux passes sequences on to its clients (its option ``allow-passthrough``)."""
    clients: tuple[TmuxClient, ...]
    """Terminals attached to the sessions that contain the program's window. Empty while tmux is detached."""

    def explain_missing_sixel(self) -> str:
        """Return the reason why Sixel images are not displayed on all clients; empty if they are."""
        if not self.clients:
            return "tmux has no client attached"
        lacking = [client.title for client in self.clients if "sixel" not in client.features]
        return f"tmux reports no Sixel for its client {', '.join(lacking)}" if lacking else ""

    def explain_missing_kitty(self) -> str:
        """Return the reason why Kitty images are not displayed on all clients; empty if they are."""
        if _version(self.version) < _MIN_TMUX:
            return f"tmux {clean_text(self.version)} is older than 3.3"
        if not self.clients:
            return "tmux has no client attached"
        for client in self.clients:
            if not client.has_placeholders:
                return f"tmux's client {client.title} is not kitty from 0.28 on"
            if not client.has_true_colour:
                return f"tmux uses no true colour on its client {client.title}"
            if not client.is_utf8:
                return f"tmux sends no UTF-8 to its client {client.title}"
        return "" if self.allows_passthrough else "tmux's option allow-passthrough is off"


def read_tmux(environment: Mapping[str, str], *, timeout: float = _TIMEOUT) -> TmuxState | None:
    """Ask the tmux that started this program for its clients.

    Parameters
    ----------
    environment
        The environment variables. ``TMUX`` names the socket.
    timeout
        Seconds to wait for the answer.

    Returns
    -------
    TmuxState or None
        None outside tmux, on another machine than tmux, or if tmux does not answer.
    """
    socket = environment.get("TMUX", "").split(",")[0]
    program = shutil.which("tmux", path=environment.get("PATH"))
    if not socket or program is None:
        return None
    pane = environment.get("TMUX_PANE")
    target = ["-t", pane] if pane else []
    client = _SEPARATOR.join(
        f"#{{{name}}}"
        for name in (
            "session_id",
            "client_tty",
            "client_pid",
            "client_utf8",
            "client_termname",
            "client_termfeatures",
            "client_termtype",
        )
    )
    command = [program, "-u", "-S", socket]
    command += ["display-message", "-p", *target, "#{version}|#{allow-passthrough}|#{window_id}"]
    command += [";", "list-windows", "-a", "-F", "window|#{session_id}|#{window_id}"]
    command += [";", "list-clients", "-F", f"client|{client}"]
    command += [";", "show-messages", "-T"]  # the capabilities of all clients
    try:
        answer = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False, env=dict(environment)
        ).stdout.decode(errors="replace")
    except (OSError, subprocess.SubprocessError):
        return None
    return _parse_state(answer)


def _parse_state(answer: str) -> TmuxState | None:
    """Return the state that the output of `read_tmux`'s command describes."""
    lines = answer.splitlines()
    head = lines[0].split(_SEPARATOR) if lines else []
    if len(head) != 3 or not head[2]:
        return None
    version, passthrough, window = head
    rows = [line.split(_SEPARATOR, 7) for line in lines[1:]]
    sessions = {row[1] for row in rows if row[0] == "window" and row[2:] == [window]}
    true_colour = set(_TRUE_COLOUR.findall(answer))
    palettes = {tty: int(count) for tty, count in _COLOURS.findall(answer)}
    clients = tuple(
        TmuxClient(
            tty=tty,
            process=int(process) if process.isdigit() else 0,
            name=name,
            kind=kind,
            features=frozenset(features.split(",")),
            is_utf8=utf8 == "1",
            has_true_colour="RGB" in features.split(",") or tty in true_colour,
            palette_size=256 if "256" in features.split(",") else palettes.get(tty, 256 if "256color" in name else 8),
        )
        for row in rows
        if row[0] == "client" and len(row) == 8 and row[1] in sessions
        for _, _, tty, process, utf8, name, features, kind in [row]
    )
    return TmuxState(version, passthrough in ("1", "2", "on", "all"), clients)


def suspect_multiplexer(environment: Mapping[str, str]) -> str:
    """Return the multiplexer that the environment names, although it may be that of another machine.

    ssh forwards ``TERM``, but not ``TMUX`` and ``STY``.

    Returns
    -------
    str
        ``tmux``, ``screen`` or empty.
    """
    if environment.get("TMUX"):
        return "tmux"
    if environment.get("STY"):
        return "screen"
    term = environment.get("TERM", "")
    # Both programs use the name "screen". tmux answers DA2 and XTVERSION, which decide.
    return next((name for name in ("tmux", "screen") if term == name or term.startswith((f"{name}-", f"{name}."))), "")


def identify_multiplexer(answer: bytes) -> str | None:
    """Return the multiplexer that answered the queries for the version and the secondary attributes.

    Returns
    -------
    str or None
        ``tmux`` or ``screen``; empty for a terminal that is neither; None if there is no answer.
    """
    version = TERMINAL_VERSION.pattern.search(answer)
    if version:
        return "tmux" if version[1].lower().startswith(b"tmux") else ""
    attributes = SECONDARY_ATTRIBUTES.pattern.search(answer)
    if attributes:
        return {b"84": "tmux", b"83": "screen"}.get(attributes[1], "")
    return None


def _version(text: str) -> tuple[int, int]:
    found = _VERSION.search(text)
    return (int(found[1]), int(found[2])) if found else (0, 0)

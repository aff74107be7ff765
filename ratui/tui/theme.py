"""The few colours of the app, by what they mean; the style sheets know them by the same names (``$waiting``).

No state is told by colour alone: what waits is reversed, what warns is bold and says so in words. Blue and amber stay apart
in every colour vision; red and green are never set against each other.
"""

from __future__ import annotations

import sys

from textual.theme import Theme

__all__ = [
    "ACCENT",
    "ALARM",
    "BRIGHT",
    "HEADING",
    "KEY",
    "NOTE",
    "PLAIN",
    "QUIET",
    "SELECTED",
    "THEME",
    "WAITING",
    "supports_colours",
]

_ACCENT, _WAITING, _QUIET, _PLAIN, _ALARM = "#8fb8d8", "#e0b050", "#8a8a8a", "#c8c8c8", "#ffffff"

PLAIN = _PLAIN
"""Text that is simply there."""
QUIET = _QUIET
"""What is done, or can wait: labels, empty fields, signed cases. Still 6:1 against black."""
BRIGHT = "bold white"
"""What was answered."""
ACCENT = _ACCENT
"""Names and titles."""
HEADING = f"bold {_ACCENT}"
KEY = f"bold {_ACCENT}"
"""A key on the bottom lines."""
WAITING = f"bold {_WAITING} on black reverse"
"""The one field that waits for an answer: a block, with and without colour."""
NOTE = f"bold {_WAITING}"
"""A word to the rater: why a key does nothing here, what it asks."""
SELECTED = "bold white on #24506e"
"""The selected row of a list; a mark before it says so too."""
ALARM = f"bold {_ALARM} on black reverse"
"""What must not be overlooked: an entry that is not on the disk."""

THEME = Theme(
    name="ratui",
    primary=_ACCENT,
    secondary=_ACCENT,
    accent=_ACCENT,
    warning=_WAITING,
    error=_ALARM,
    success=_ACCENT,
    foreground=_PLAIN,
    background="#000000",
    surface="#101010",
    panel="#1a1a1a",
    dark=True,
    variables={"waiting": _WAITING, "quiet": _QUIET, "plain": _PLAIN, "alarm": _ALARM, "cursor": "#24506e"},
)


def supports_colours() -> bool:
    """Whether the terminal knows any colours, as far as its description says; yes where nothing is known of it."""
    try:
        import curses

        curses.setupterm(fd=sys.__stdout__.fileno() if sys.__stdout__ else 1)
        return curses.tigetnum("colors") != -1
    except (ImportError, OSError, ValueError):
        return True
    except curses.error:
        return True

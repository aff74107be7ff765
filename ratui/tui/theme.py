"""The colours of the app, named by their meaning. Style sheets use the same names (``$waiting``).

No state is shown by colour alone: the active field is reversed, and warnings are bold and have a text. Blue and amber
differ for people with any colour vision deficiency; red and green never appear as opposites.
"""

from __future__ import annotations

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
]

_ACCENT, _WAITING, _QUIET, _PLAIN, _ALARM = "#8fb8d8", "#e0b050", "#8a8a8a", "#c8c8c8", "#ffffff"
_LINE = "#444444"  # thin borders of panels: darker than every text, so that films stay the brightest

PLAIN = _PLAIN
"""Style of ordinary text."""
QUIET = _QUIET
"""Style of secondary text: labels, empty fields, signed cases. Its contrast with black is 6:1."""
BRIGHT = "bold white"
"""Style of answers."""
ACCENT = _ACCENT
"""Style of names and titles."""
HEADING = f"bold {_ACCENT}"
"""Style of the headings of tables and lists."""
KEY = f"bold {_ACCENT}"
"""Style of a key in the key bar."""
WAITING = f"bold {_WAITING} on black reverse"
"""Style of the active field. Reversed, so that it is a block also without colours."""
NOTE = f"bold {_WAITING}"
"""Style of messages to the rater, such as the reason why a key does nothing."""
SELECTED = "bold white on #24506e"
"""Style of the selected row of a list, which also has a mark in front."""
ALARM = f"bold {_ALARM} on black reverse"
"""Style of alarms: an entry could not be saved."""

# Textual's error colour is white: red would be the only state that differs by colour alone.
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
    variables={
        "waiting": _WAITING,
        "quiet": _QUIET,
        "plain": _PLAIN,
        "alarm": _ALARM,
        "line": _LINE,
        "cursor": "#24506e",
    },
)

"""The colours of the app, named by their meaning, in several palettes. Style sheets use the same names (``$waiting``).

No state is shown by colour alone: the active field is reversed, and warnings are bold and have a text. Blue and amber
differ for people with any colour vision deficiency; red and green never appear as opposites. Films are on black in every
palette, and on dark ones no text but an alarm is as bright as a film.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from functools import cache

from rich.style import Style
from rich.theme import Theme as ConsoleTheme
from textual.theme import Theme

__all__ = [
    "ACCENT",
    "ALARM",
    "BRIGHT",
    "CHOSEN",
    "EDGE",
    "HEADING",
    "KEY",
    "LINE",
    "NOTE",
    "PALETTES",
    "PLAIN",
    "QUIET",
    "SELECTED",
    "WAITING",
    "Palette",
    "find_colour",
    "find_film_colour",
    "find_style",
    "make_console_theme",
    "make_theme",
    "use_palette",
]

PLAIN = "$plain"
"""Style of ordinary text."""
LINE = "$line"
"""Style of the borders of panels."""
QUIET = "$quiet"
"""Style of secondary text: labels, empty fields, signed cases. Its contrast with the background is 4.5:1 or more."""
BRIGHT = "bold $bright"
"""Style of answers."""
ACCENT = "$accent"
"""Style of names and titles."""
HEADING = "bold $accent"
"""Style of the headings of tables and lists."""
KEY = "bold $accent"
"""Style of a key in the key bar."""
WAITING = "bold $waiting on $background reverse"
"""Style of the active field. Reversed, so that it is a block also without colours."""
NOTE = "bold $waiting"
"""Style of messages to the rater, such as the reason why a key does nothing."""
SELECTED = "bold $selected on $cursor"
"""Style of the selected row of a list, which also has a mark in front."""
CHOSEN = "bold $bright on $background reverse"
"""Style of a name that stands out: the joint that is scored, and the selected row of a list without colours."""
EDGE = "$accent on $background reverse"
"""Style of the edge of the screen that shows the side of the hand."""
ALARM = "bold $alarm on $background reverse"
"""Style of alarms: an entry could not be saved."""
_STYLES = (PLAIN, LINE, QUIET, BRIGHT, ACCENT, HEADING, WAITING, NOTE, SELECTED, CHOSEN, EDGE, ALARM)


@dataclass(frozen=True)
class Palette:
    """Colours by their meaning, as hexadecimal RGB.

    Attributes
    ----------
    accent, waiting, quiet, plain, bright, alarm
        Names and titles; what waits for an answer, and messages; secondary text; text; answers; alarms.
    selected, cursor
        Text and background of the selected row.
    background, surface, panel
        Backgrounds: of screens, of lines within them, and of headings.
    line
        Borders of panels.
    is_dark
        True for bright text on a dark background.
    """

    accent: str
    waiting: str
    quiet: str
    plain: str
    bright: str
    alarm: str
    selected: str
    cursor: str
    background: str
    surface: str
    panel: str
    line: str
    is_dark: bool = True


PALETTES = {
    "dark": Palette(
        accent="#8fb8d8",
        waiting="#e0b050",
        quiet="#8a8a8a",
        plain="#c8c8c8",
        bright="#f0f0f0",
        alarm="#ffffff",
        selected="#ffffff",
        cursor="#24506e",
        background="#000000",
        surface="#101010",
        panel="#1a1a1a",
        line="#3a4a58",
    ),
    "light": Palette(
        accent="#1f4e79",
        waiting="#6e4200",
        quiet="#4c4c4c",
        plain="#262626",
        bright="#000000",
        alarm="#000000",
        selected="#ffffff",
        cursor="#1f4e79",
        background="#dcdcd6",
        surface="#d2d2cc",
        panel="#c6c6c0",
        line="#9a9a92",
        is_dark=False,
    ),
    "high-contrast": Palette(
        accent="#9fdcff",
        waiting="#ffd75f",
        quiet="#c0c0c0",
        plain="#f0f0f0",
        bright="#ffffff",
        alarm="#ffffff",
        selected="#ffffff",
        cursor="#00508c",
        background="#000000",
        surface="#000000",
        panel="#202020",
        line="#808080",
    ),
    # The sky blue and the orange of Okabe and Ito (2008), which differ for every kind of colour vision.
    "colour-blind": Palette(
        accent="#56b4e9",
        waiting="#e69f00",
        quiet="#8a8a8a",
        plain="#c8c8c8",
        bright="#f0f0f0",
        alarm="#ffffff",
        selected="#ffffff",
        cursor="#004b73",
        background="#000000",
        surface="#101010",
        panel="#1a1a1a",
        line="#3a4a58",
    ),
    "grey": Palette(
        accent="#b4b4b4",
        waiting="#f0f0f0",
        quiet="#8a8a8a",
        plain="#c8c8c8",
        bright="#f0f0f0",
        alarm="#ffffff",
        selected="#ffffff",
        cursor="#4a4a4a",
        background="#000000",
        surface="#101010",
        panel="#1a1a1a",
        line="#4a4a4a",
    ),
}
"""The palettes by name, the usual one first."""


def make_theme(name: str) -> Theme:
    """Return Textual's theme for the palette `name`. Raise KeyError if there is none."""
    palette = PALETTES[name]
    # Textual's error colour is that of alarms: red would be the only state that differs by colour alone.
    return Theme(
        name=f"ratui-{name}",
        primary=palette.accent,
        secondary=palette.accent,
        accent=palette.accent,
        warning=palette.waiting,
        error=palette.alarm,
        success=palette.accent,
        foreground=palette.plain,
        background=palette.background,
        surface=palette.surface,
        panel=palette.panel,
        dark=palette.is_dark,
        variables={
            name: getattr(palette, name)
            for name in ("waiting", "quiet", "plain", "bright", "alarm", "selected", "cursor", "line")
        },
    )


def make_console_theme(name: str) -> ConsoleTheme:
    """Return the styles of the palette `name` for Rich's console, which resolves those of parts of a text."""
    return ConsoleTheme({style: _resolve(style, PALETTES[name]) for style in _STYLES}, inherit=False)


_used = PALETTES["dark"]


def use_palette(name: str) -> None:
    """Let `find_style` return the styles of the palette `name`. Raise KeyError if there is none."""
    global _used
    _used = PALETTES[name]
    find_style.cache_clear()


def find_colour(name: str) -> str:
    """Return the colour `name` in the palette that is used now, as hexadecimal RGB."""
    return str(getattr(_used, name))


def find_film_colour(name: str) -> str:
    """Return the colour `name` for marks on a film, which is on black in every palette, as hexadecimal RGB."""
    return str(getattr(_used if _used.is_dark else PALETTES["dark"], name))


@cache
def find_style(style: str) -> Style:
    """Return one of the styles above, or a combination such as ``"bold $quiet"``, in the palette that is used now."""
    return _resolve(style, _used)


def _resolve(style: str, palette: Palette) -> Style:
    colours = {field.name: getattr(palette, field.name) for field in fields(palette)}
    return Style.parse(re.sub(r"\$([a-z]+)", lambda found: str(colours[found[1]]), style))

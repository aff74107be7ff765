"""The lines of the start screen's panels."""

from __future__ import annotations

import os
from pathlib import Path

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from ratui.errors import clean_text
from ratui.scheme import Scheme
from ratui.terminal import Display
from ratui.tui.graphics.limb_drawing import LimbLayout, center_text, draw_limb
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.i18n.lock_phrases import shorten
from ratui.tui.input.actions import Keymap
from ratui.tui.recent_studies import RecentStudy
from ratui.tui.screens.start.model import ACTIONS, StudyState
from ratui.tui.theme import ACCENT, KEY, PLAIN, QUIET

__all__ = ["draw_joints", "format_action", "format_steps", "format_study", "format_terminal", "shorten_path"]

_STEPS = ("new", "import", "read", "status", "report")
_NAME, _RATER = 24, 14
"""Least widths of the columns of a study's name and rater, in cells."""
_FINGERS = 5


def format_action(t: Catalog, keymap: Keymap, action: str, width: int) -> Text:
    """Return the line of `action` in `width` cells: key, name and description."""
    label_width = max(cell_len(t(f"actions.start.{name}.label")) for name in ACTIONS) + 2
    key_width = max(cell_len(keymap.key_label(f"start.{name}")) for name in ACTIONS) + 2
    text = Text(no_wrap=True)  # a style of its own would apply to the appended parts too
    text.append(set_cell_size(keymap.key_label(f"start.{action}"), key_width), KEY)
    text.append(set_cell_size(t(f"actions.start.{action}.label"), label_width), PLAIN)
    text.append(shorten(t(f"actions.start.{action}.help"), max(width - key_width - label_width, 0)), QUIET)
    return text


def format_study(t: Catalog, study: RecentStudy, width: int, state: StudyState | None) -> Text:
    """Return the line of a remembered study in `width` cells: name, rater, the folder that contains it, and its state.

    Without a `state`, the study was not looked at yet. The name of a folder may come from another person: characters that
    control a terminal are replaced.
    """
    shown, state_style = _format_state(t, state)
    rater = t("start.rater", rater=clean_text(study.rater, 40)) if study.rater else ""
    name_width, rater_width = max(_NAME, width * 3 // 10), max(_RATER, width // 6)
    room = max(width - name_width - rater_width - cell_len(shown) - 2, 0)
    style = QUIET if state is not None and state.kind in ("missing", "unreadable") else PLAIN
    text = Text(no_wrap=True)
    text.append(_column(clean_text(study.folder.name or "/", 200), name_width), style)
    text.append(_column(rater, rater_width), QUIET)
    text.append(set_cell_size(shorten_path(study.folder.parent, room), room), QUIET)
    text.append(f"  {shown}", state_style)
    return text


def _format_state(t: Catalog, state: StudyState | None) -> tuple[str, str]:
    """Return the state of a study and its style; empty if nothing is known of it."""
    if state is None or state.kind == "unknown":
        return "", PLAIN
    if state.kind != "readable":
        return f"✗ {t(f'start.{state.kind}')}", ACCENT
    if not state.total:
        return t("start.no_cases"), QUIET
    done = t("start.progress", signed=state.signed, total=state.total)
    return (f"✓ {done}", PLAIN) if state.signed == state.total else (done, PLAIN)


def draw_joints(t: Catalog, scheme: Scheme, width: int, rows: int) -> Text:
    """Return a drawing of a left hand with the names of its joints, in `width` by `rows` cells."""
    layout = LimbLayout(width, rows, (width + 1) // _FINGERS)
    sites = [site for site in scheme.sites if site.side == "L"]

    def format_label(site: str) -> list[tuple[str, str]]:
        return [(center_text(t.translate_scheme(site.partition(".")[2]), layout.label_width), PLAIN)]

    drawn = Text("\n").join(draw_limb(scheme, sites, layout, format_label))
    drawn.no_wrap = True
    return drawn


def format_steps(t: Catalog, width: int, *, is_spaced: bool = False) -> Text:
    """Return the commands from a new study to its results, a line of at most `width` cells for each.

    With `is_spaced`, an empty line separates them.
    """
    commands = [t(f"start.step_{name}") for name in _STEPS]
    longest = max(cell_len(command) for command in commands) + 2
    text = Text(no_wrap=True)
    for number, (name, command) in enumerate(zip(_STEPS, commands, strict=True), 1):
        text.append(f"{number}  ", KEY)
        text.append(set_cell_size(command, longest), PLAIN)
        text.append(shorten(t(f"start.step_{name}_help"), max(width - longest - 3, 0)), QUIET)
        text.append("\n" * (1 + is_spaced) if number < len(_STEPS) else "")
    return text


def format_terminal(t: Catalog, display: Display) -> str:
    """Return how this terminal shows films."""
    if not display.can_show_films:
        return t("start.no_films", greys=display.levels)
    if display.protocol == "halfcell":
        return t("start.films_coarse", greys=display.levels)
    return t("start.films_sharp", protocol=display.protocol, greys=display.levels)


def _column(text: str, width: int) -> str:
    return set_cell_size(shorten(text, width - 2), width)


def shorten_path(path: Path, width: int) -> str:
    """Return `path` in at most `width` cells: the home directory as ``~``, and a long path without its beginning."""
    text = clean_text(path, 4096)
    home = clean_text(os.path.expanduser("~"), 4096)  # noqa: PTH111 - Path.home() fails without a home
    if text == home or text.startswith(f"{home}/"):
        text = f"~{text.removeprefix(home)}"
    if cell_len(text) <= width:
        return text
    while text and cell_len(text) >= width:
        text = text[1:]
    return f"…{text}" if width > 0 else ""

"""The report of ``ratui doctor``: what the terminal can display, a test card, and a ruler for the size of its pixels."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap

import click

from ratui.terminal import (
    TEST_CARD_CHECKS,
    describe_ruler,
    describe_terminal,
    find_pixel_mm,
    list_advice,
    probe,
    show_test_card,
)
from ratui.tui.user_settings import read_user_settings, save_setting, settings_file

__all__ = ["show_report", "wrap_line"]

_BEGINNING = re.compile(r"advice: |\S+(?: \S+)?\s{2,}|\s+(?:- )?")
"""Beginning of a line, below the end of which its further lines start."""
_LEAST_ROWS = 8
"""Least height of the test card in rows."""


def show_report(graphics: str, ruler_mm: float | None = None) -> None:
    """Print the report. With `ruler_mm`, the measured length of the ruler, store the size of a pixel in the settings first.

    Raises
    ------
    SettingsError
        If the settings are invalid or cannot be saved, or if no screen has such pixels.
    DisplayError
        If the protocol `graphics` is impossible here.
    """
    display = probe(graphics)
    if ruler_mm is not None:
        save_setting("pixel_mm", find_pixel_mm(display, ruler_mm), settings_file())
    pixel_mm = read_user_settings(settings_file()).pixel_mm
    columns, rows = shutil.get_terminal_size()
    lines = [f"{name:<10}{text}" for name, text in describe_terminal(display, columns, rows)]
    lines += describe_ruler(display, pixel_mm)
    hints = [f"advice: {hint}" for hint in list_advice(display, columns, rows)]
    if sys.stdout.isatty():
        checks = [part for check in TEST_CARD_CHECKS for part in wrap_line(f"  - {check}", columns)]
        lines = [part for line in lines for part in wrap_line(line, columns)]
        hints = [part for hint in hints for part in wrap_line(hint, columns)]
        others = len(checks) + 4
        if rows - others - len(lines) - len(hints) < _LEAST_ROWS:
            # A low screen has the report first, so that the card and what it should show stay on it together.
            for line in (*lines, *hints):
                click.echo(line)
            lines, hints = [], []
        height = max(rows - others - len(lines) - len(hints), _LEAST_ROWS)
        size, took = show_test_card(display, columns - 1, height)
        if took is not None:
            lines.append(f"{'card':<10}{size / 1000:,.0f} kB, displayed after {1000 * took:.0f} ms")
        lines += ["", "The test card is correct if you see", *checks]
    else:
        lines.append("card      not shown: the output is not a terminal")
    for line in (*lines, *hints):
        click.echo(line)


def wrap_line(line: str, width: int) -> list[str]:
    """Return `line` in lines of at most `width` characters, broken between words; all but the first are indented."""
    beginning = _BEGINNING.match(line)
    indent = " " * (beginning.end() if beginning else 0)
    return textwrap.wrap(line, max(width, 40), subsequent_indent=indent, break_on_hyphens=False) or [line]

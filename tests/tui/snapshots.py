"""Pictures of screens as text: the characters of all cells, and the runs of reversed cells.

Text is used instead of SVG: an SVG capture contains Textual's own styles, fonts and ids, so it changes with each release,
and its differences are hard to read. ``RATUI_SNAPSHOTS=write python -m pytest tests/tui/test_snapshots.py`` writes the
pictures again; `git diff` then shows what changes for a rater.
"""

from __future__ import annotations

import os
import re
from difflib import unified_diff
from itertools import groupby
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot

from ratui.tui.widgets.film_view import FilmView

__all__ = ["check", "list_films", "picture"]

FOLDER = Path(__file__).parent / "snapshots"
_FILM = re.compile("▀{4,}")
_MASKS = (
    (re.compile(r"C-[A-Z0-9]{6}"), "C-XXXXXX"),  # pseudonyms are random
    (re.compile(r"\b\d\d:\d\d:\d\d\b"), "00:00:00"),
    (re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d\b"), "2000-01-01 00:00"),
)


def picture(pilot: Pilot[None]) -> str:
    """Return the text of the screen with run-dependent values masked, followed by the reversed cells by row and column."""
    lines: list[str] = []
    reversed_: dict[str, list[int]] = {}
    for row, strip in enumerate(pilot.app.screen._compositor.render_strips(), 1):
        column, text = 1, ""
        for segment in strip:
            if segment.style and segment.style.reverse and segment.text.strip():
                reversed_.setdefault(f"column {column}: {_masked(segment.text)}".rstrip(), []).append(row)
            text += segment.text
            column += cell_len(segment.text)
        for left, width in list_films(pilot, row - 1):  # no character with two cells precedes a film
            text = f"{text[:left]}{'▀' * width}{text[left + width :]}"
        lines.append(_masked(_FILM.sub(lambda run: "▒" * len(run.group()), text)).rstrip())
    folded = [line for same in _runs(lines) for line in _folded(*same)]
    told = [f"{_rows(rows)}, {what}" for what, rows in reversed_.items()]
    return "\n".join([*folded, *(["", "Reversed", *told] if told else [])]) + "\n"


def list_films(pilot: Pilot[None], row: int) -> list[tuple[int, int]]:
    """Return the first column and the width of each film in screen row `row`. The painter writes films."""
    regions = [
        view.region for view in pilot.app.screen.query(FilmView) if view.key is not None and not view.HAS_OVERLAY
    ]
    return [(region.x, region.width) for region in regions if region.y <= row < region.bottom]


def _runs(lines: list[str]) -> list[tuple[str, int]]:
    return [(line, len(list(same))) for line, same in groupby(lines)]


def _folded(line: str, count: int) -> list[str]:
    return [f"{line}  × {count}"] if count > 1 and "▒" in line else [line] * count


def _rows(rows: list[int]) -> str:
    return f"row {rows[0]}" if len(rows) == 1 else f"rows {rows[0]}–{rows[-1]}"


def _masked(text: str) -> str:
    for pattern, mask in _MASKS:
        text = pattern.sub(mask, text)
    return text


def check(pilot: Pilot[None], name: str) -> None:
    """Compare the screen with the stored picture `name`; write it if RATUI_SNAPSHOTS is ``write``."""
    file, seen = FOLDER / f"{name}.txt", picture(pilot)
    if os.environ.get("RATUI_SNAPSHOTS") == "write":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(seen, encoding="utf-8")
        return
    if not file.exists():
        pytest.fail(f"there is no picture {file.name} yet: RATUI_SNAPSHOTS=write makes it")
    kept = file.read_text(encoding="utf-8")
    if seen != kept:
        pytest.fail(
            "\n".join(unified_diff(kept.splitlines(), seen.splitlines(), file.name, "the screen now", lineterm=""))
        )

"""How commands say what they found: as a table, as CSV, as JSON, into a file that is there whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ratui.errors import StudyError, clean_text

if TYPE_CHECKING:
    from ratui.study import Study

__all__ = ["ProgressBar", "format_columns", "print_notices", "to_csv", "to_json", "write_output"]


def format_columns(headers: Sequence[str], rows: Iterable[Sequence[object]], *, text_columns: int = 1) -> list[str]:
    """Lines of a table; its first `text_columns` columns stand left, figures right."""
    cells = [[clean_text(head) for head in headers], *([clean_text(value, 60) for value in row] for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(headers))]
    return [
        "  ".join(
            f"{cell:<{width}}" if place < text_columns else f"{cell:>{width}}"
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def to_csv(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table as comma-separated values, a line each, empty for None."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(headers)
    writer.writerows(rows)
    return buffer.getvalue()


def to_json(document: Any) -> str:
    """`document` as JSON; what isn't a number there is null, as JSON has no other word for it."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_output(content: str | bytes, path: Path) -> None:
    """Writes `content` to `path`, or to the output where it is ``-``. Raises StudyError where the disk refuses."""
    if str(path) == "-":
        click.echo(content, nl=False)
        return
    from ratui.files import write_bytes

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content.encode() if isinstance(content, str) else content, copy=False)
    except OSError as error:
        raise StudyError(f"it can't be written: {error.strerror}", path, "Choose another place") from error
    click.echo(f"written: {clean_text(path, 200)}", err=True)


def print_notices(study: Study) -> None:
    """Says on stderr what was found damaged and read from a second copy."""
    for notice in study.notices:
        click.echo(f"note: {clean_text(notice, 300)}. ratui check {clean_text(study.path)} --repair mends it", err=True)


class ProgressBar:
    """Progress on stderr: a bar on a terminal, a line for each finished stage elsewhere."""

    def __call__(self, stage: str, done: int, of: int) -> None:
        if sys.stderr.isatty():
            filled = round(24 * done / max(of, 1))
            end = "\n" if done >= of else ""
            click.echo(f"\r{stage:<18} {'█' * filled}{'░' * (24 - filled)} {done}/{of} {end}", nl=False, err=True)
        elif done >= of:
            click.echo(f"{stage}: {of}", err=True)

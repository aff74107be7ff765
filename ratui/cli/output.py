"""Output of commands: tables, CSV, JSON, and files that are written completely or not at all."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ratui.errors import StudyError, clean_text

if TYPE_CHECKING:
    from ratui.study import Study
    from ratui.study.readings.late_changes import LateChanges

__all__ = ["format_columns", "print_late_changes", "print_notices", "to_csv", "to_json", "write_output"]


def format_columns(headers: Sequence[str], rows: Iterable[Sequence[object]], *, text_columns: int = 1) -> list[str]:
    """Return the lines of a table with aligned columns.

    The first `text_columns` columns are aligned left, the others, which contain numbers, right.
    """
    cells = [[clean_text(head) for head in headers], *([clean_text(value, 60) for value in row] for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(headers))]
    return [
        "  ".join(
            f"{cell:<{width}}" if place < text_columns else f"{cell:>{width}}"
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def to_csv(headers: Sequence[str], rows: Iterable[Sequence[object]], *, ids: Collection[str] = ()) -> str:
    """Return a table as CSV with a header line; None becomes an empty cell, and no spreadsheet runs a cell.

    IDs in the columns `ids` that a spreadsheet would change, such as ``007``, get an underscore, as in the exports.
    """
    from ratui.results.text_table import protect_id, protect_text

    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(headers)
    protects = [protect_id if header in ids else protect_text for header in headers]
    writer.writerows([protect(cell) for protect, cell in zip(protects, row, strict=True)] for row in rows)
    return buffer.getvalue()


def to_json(document: Any) -> str:
    """Return `document` as JSON; raise ValueError for numbers that are not finite."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_output(content: str | bytes, path: Path) -> None:
    """Write `content` to the file `path`, or to standard output if `path` is ``-``.

    Raises StudyError if the file cannot be written.
    """
    if str(path) == "-":
        click.echo(content, nl=False)
        return
    from ratui.files import write_bytes

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content.encode() if isinstance(content, str) else content, copy=False)
    except OSError as error:
        raise StudyError(f"it can't be written: {error.strerror}", path, "Choose another file") from error
    click.echo(f"written: {clean_text(path, 200)}", err=True)


def print_notices(study: Study) -> None:
    """Print the damaged files that were read from a second copy, on standard error."""
    for notice in study.notices:
        click.echo(
            f"note: {clean_text(notice, 300)}. To repair: ratui check {clean_text(study.path)} --repair", err=True
        )


def print_late_changes(late: LateChanges, *, with_raters: bool = True) -> None:
    """Print the readings that were changed after the release of their case, on standard error, for results with them."""
    from ratui.results.progress import describe_late_changes

    for line in describe_late_changes(late, with_raters=with_raters):
        click.echo(f"note: {clean_text(line, 200)}", err=True)

"""Records of what commands take out of a study, in its journal: what, how much, and the digest of the files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ratui.errors import StudyError

if TYPE_CHECKING:
    from ratui.results.released import ReleasedReadings
    from ratui.study import Study

__all__ = ["digest_files", "record_results"]


def record_results(
    study: Study, event: str, released: ReleasedReadings, description: str = "", files: Iterable[Path] = ()
) -> None:
    """Record that results were shown or written.

    Parameters
    ----------
    study
        The study.
    event
        The command, such as ``export``.
    released
        The readings that the results contain.
    description
        What was chosen, such as the formats. It must contain no score and no path.
    files
        The files that were written. Their digest is recorded, not their names.

    Raises
    ------
    StudyError
        If a file can't be read, or the journal can't be written.
    """
    from ratui.results.text_table import format_count
    from ratui.study.activity import record_activity

    readings = sum(map(len, released.readings.values()))
    parts = [f"{format_count(readings, 'reading')} of {format_count(len(released.readings), 'case')}"]
    parts += ["interim, also of cases that some rater has not signed"] if released.interim else []
    parts += [description] if description else []
    paths = list(files)
    if paths:
        parts.append(f"SHA-256 {digest_files(paths)} of {format_count(len(paths), 'file')}")
    if not record_activity(study, event, "; ".join(parts)):
        click.echo(f"note: this {event} is not recorded in the study: it is read-only or has an older format", err=True)


def digest_files(paths: Iterable[Path]) -> str:
    """Return one SHA-256 of the content of files, in the order of their names. Raises StudyError.

    For a single file it is the one that ``sha256sum`` prints; for several, that of their digests, one a line.
    """
    from ratui.files import file_digest

    try:
        digests = [file_digest(path) for path in sorted(paths)]
    except OSError as error:
        raise StudyError(f"it can't be read: {error.strerror}", error.filename or "", "Export again") from error
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("".join(f"{digest}\n" for digest in digests).encode()).hexdigest()

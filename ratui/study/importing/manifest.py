"""Read a manifest, a CSV file with what the films' files do not say: patient, time point, side, view, day, spacing.

It may name files in its own folder only, and every value is checked before a film is imported. Errors name the line and
never repeat its content, which may name a patient.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ratui.bounded_parsing import read_bounded
from ratui.errors import StudyError
from ratui.scheme import Scheme

__all__ = ["ManifestRow", "read_manifest"]

_COLUMNS = {"file", "patient", "time", "side"}
_OPTIONAL = {"view", "day", "spacing"}
_SIDES = {"l": "L", "left": "L", "r": "R", "right": "R", "b": "B", "both": "B"}
_LARGEST = 20_000_000  # bytes
_MAX_ROWS = 100_000
_MAX_COMMAS = 1_000_000


@dataclass(frozen=True)
class ManifestRow:
    """The description of one film.

    Attributes
    ----------
    path
        The film's file.
    patient
        Patient ID.
    time
        Time point, 0 or 1.
    side
        ``L``, ``R`` or ``B``.
    view
        Key of a view in the scheme.
    day
        Day of the examination, counted from any day, or None.
    spacing
        Size of a pixel in millimetres, (between rows, between columns), or None.
    """

    path: Path
    patient: str
    time: int
    side: str
    view: str
    day: int | None
    spacing: tuple[float, float] | None


def read_manifest(path: Path, scheme: Scheme) -> list[ManifestRow]:
    """Return the rows of a manifest.

    Required columns are ``file``, ``patient``, ``time`` and ``side``; ``view``, ``day`` and ``spacing`` are optional.

    Raises
    ------
    StudyError
        If the file can't be read, or a value is not valid; the error names the line.
    """
    try:
        text = read_bounded(path, _LARGEST).decode("utf-8-sig")
        _check_complexity(text, path)
        reader = csv.DictReader(io.StringIO(text, newline=""))
        columns = {(name or "").strip().lower() for name in reader.fieldnames or ()}
        if not columns >= _COLUMNS:
            missing = ", ".join(sorted(_COLUMNS - columns))
            raise StudyError(
                f"the manifest lacks the columns {missing}",
                path,
                "Its first line names the columns, with commas between",
            )
        rows = [_parse_row(path, reader.line_num, raw, scheme) for raw in reader]
    except OSError as error:
        raise StudyError(f"the manifest can't be read: {error.strerror}", path, "Check the path") from error
    except (ValueError, csv.Error) as error:
        raise StudyError("the manifest can't be read", path, "Save it as CSV in UTF-8") from error
    if len({row.path for row in rows}) < len(rows):
        raise StudyError("the manifest names a file twice", path, "Name each film once")
    return rows


def _check_complexity(text: str, path: Path) -> None:
    """Raise StudyError if the table needs much more memory than its text: it has very many rows or columns."""
    if text.count("\n") + text.count("\r") > _MAX_ROWS or text.count(",") > _MAX_COMMAS:
        raise StudyError("the manifest has too many rows or columns", path, "Split it")


def _parse_row(
    manifest: Path, line: int, raw: Mapping[str | None, str | list[str] | None], scheme: Scheme
) -> ManifestRow:
    values = {str(key).strip().lower(): value.strip() for key, value in raw.items() if isinstance(value, str)}

    def fail(problem: str) -> StudyError:
        known = ", ".join(sorted(_COLUMNS | _OPTIONAL))
        return StudyError(problem, f"{manifest}, line {line}", f"Correct that line; columns are {known}")

    file = values.get("file", "")
    try:
        target = (manifest.parent / file).resolve()
    except (OSError, ValueError, RuntimeError) as error:  # a loop of links, a zero byte
        raise fail("the file must be in the manifest's folder") from error
    if not file or Path(file).is_absolute() or not target.is_relative_to(manifest.parent.resolve()):
        raise fail("the file must be in the manifest's folder")
    patient = values.get("patient", "")
    if not patient:
        raise fail("the patient is missing")
    if values.get("time") not in ("0", "1"):
        raise fail("the time must be 0 (earlier) or 1 (later)")
    side = _SIDES.get(values.get("side", "").lower())
    if side is None:
        raise fail("the side must be L, R or B")
    view = values.get("view") or next(iter(scheme.views))
    if view not in scheme.views:
        raise fail(f"the view must be one of {', '.join(scheme.views)}")
    day = values.get("day") or None
    if day is not None and not re.fullmatch(r"-?\d{1,6}", day):
        raise fail("the day must be a whole number")
    spacing = None
    if values.get("spacing"):
        try:
            mm = float(values["spacing"])
        except ValueError:
            mm = 0.0
        if not 0.01 <= mm <= 2:
            raise fail("the spacing must be mm per pixel, 0.01 to 2")
        spacing = (mm, mm)
    return ManifestRow(target, patient, int(values["time"]), side, view, int(day) if day else None, spacing)

"""Read and write a manifest, a CSV file with decisions on films: patient, time point, side, view, day, spacing.

It may name files in its own folder only, and every value is checked before a film is imported. Errors name the line and
never repeat its content, which may name a patient.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from ratui.bounded_parsing import read_bounded
from ratui.errors import StudyError, clean_text
from ratui.files import write_bytes
from ratui.scheme import Scheme
from ratui.study.case import MOST_VISITS

__all__ = ["ManifestRow", "read_manifest", "write_manifest"]

_COLUMNS = ("file", "patient", "time", "side")
_OPTIONAL = ("issuer", "view", "day", "spacing", "take", "override")
_WRITTEN = (*_COLUMNS, *_OPTIONAL, "reason")
_SIDES = {"l": "L", "left": "L", "r": "R", "right": "R", "b": "B", "both": "B"}
_ANSWERS = {
    "": None,
    "yes": True,
    "y": True,
    "1": True,
    "true": True,
    "no": False,
    "n": False,
    "0": False,
    "false": False,
}
_UNREAD = "not read: "
_LARGEST = 20_000_000  # bytes
_MAX_ROWS = 100_000
_MAX_DELIMITERS = 1_000_000


@dataclass(frozen=True)
class ManifestRow:
    """The decision on one film.

    Attributes
    ----------
    path
        The film's file.
    patient
        Patient ID.
    time
        Number of the visit, 0 to 7; None only for a film that is not taken.
    side
        ``L``, ``R`` or ``B``; empty only for a film that is not taken.
    view
        Key of a view in the scheme, or empty for the view that the film names.
    day
        Day of the examination, counted from any day, or None.
    spacing
        Size of a pixel in millimetres, (between rows, between columns), or None.
    issuer
        Issuer of the patient ID, or empty.
    is_taken
        False for a film that must not be imported.
    is_override
        True if the row decides even where the film's header contradicts it.
    """

    path: Path
    patient: str
    time: int | None
    side: str
    view: str
    day: int | None
    spacing: tuple[float, float] | None
    issuer: str = ""
    is_taken: bool = True
    is_override: bool = False


def read_manifest(path: Path, scheme: Scheme, visit_names: Sequence[str] = ()) -> list[ManifestRow]:
    """Return the rows of a manifest. The column ``time`` has the number of the visit, 0 to 7, or one of `visit_names`.

    Required columns are ``file``, ``patient``, ``time`` and ``side``; ``issuer``, ``view``, ``day``, ``spacing``, ``take``
    and ``override`` are optional, and others are ignored. Commas, semicolons or tabs separate the columns. Empty rows are
    skipped, and so are those about what was not read (see `write_manifest`). Names of files may contain backslashes in
    place of ``/``, and accents in either form of Unicode.

    Raises
    ------
    StudyError
        If the file can't be read, or a value is not valid; the error names the line.
    """
    try:
        text = _decode(read_bounded(path, _LARGEST))
        first, delimiter = _find_header(text)
        _check_complexity(text, delimiter, path)
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
        if first:  # a line such as "sep=;", by which spreadsheets know the delimiter
            next(reader.reader)
        names = [(name or "").strip().lower() for name in reader.fieldnames or ()]
        columns = set(names)
        if any(names.count(name) > 1 for name in (*_COLUMNS, *_OPTIONAL)):
            raise StudyError("the manifest has a column twice", path, "Remove one of them")
        missing = ", ".join(column for column in _COLUMNS if column not in columns)
        if missing:
            raise StudyError(
                f"the manifest lacks the columns {missing}",
                path,
                "Its first line names the columns, with commas between",
            )
        folder = _ManifestFolder(path)
        rows, is_empty = [], True
        for raw in reader:
            values, is_empty = _strip(raw), False
            if any(cell.strip() for cell in raw.get(None) or ()):
                problem = "the row has more cells than the first line"
                raise StudyError(problem, f"{path}, line {reader.line_num}", "Put texts with commas in quotation marks")
            if any(values.values()) and not _is_unread(values):
                rows.append(_parse_row(folder, reader.line_num, values, scheme, visit_names))
    except OSError as error:
        raise StudyError(f"the manifest can't be read: {error.strerror}", path, "Check the path") from error
    except (ValueError, csv.Error) as error:
        raise StudyError("the manifest can't be read", path, "Save it as CSV in UTF-8") from error
    if is_empty:
        raise StudyError("the manifest has no rows", path, "Add a row for each film")
    if len({row.path for row in rows}) < len(rows):
        raise StudyError("the manifest names a file twice", path, "Name each film once")
    return rows


def write_manifest(
    path: Path, rows: Iterable[tuple[ManifestRow, str]], unread: Iterable[tuple[Path, str]] = ()
) -> None:
    """Write rows with their reasons, for the account alone, so that `read_manifest` returns the same rows.

    `unread` are paths and reasons of what an import does not read. These rows inform a person; they are not read again.

    Raises
    ------
    StudyError
        If a film is outside the folder of `path`, or the file can't be written.
    """
    folder = path.absolute().parent.resolve()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_WRITTEN)
    for row, reason in rows:
        if not row.path.is_relative_to(folder):
            raise StudyError(
                "a manifest can name films in its own folder only", path, "Save it in a folder that contains all films"
            )
        writer.writerow(
            [
                row.path.relative_to(folder).as_posix(),
                row.patient,
                "" if row.time is None else row.time,
                row.side,
                row.issuer,
                row.view,
                "" if row.day is None else row.day,
                row.spacing[0] if row.spacing else "",
                "yes" if row.is_taken else "no",
                "yes" if row.is_override else "",
                reason,
            ]
        )
    for origin, reason in unread:
        name = origin.relative_to(folder) if origin.is_relative_to(folder) else origin
        values = dict.fromkeys(_WRITTEN, "") | {"file": clean_text(name, 4000), "take": "no"}
        writer.writerow((values | {"reason": f"{_UNREAD}{clean_text(reason)}"}).values())
    try:
        write_bytes(path, text.getvalue().encode("utf-8"), copy=False, private=True)
    except (OSError, UnicodeEncodeError) as error:
        raise StudyError("the manifest can't be written", path, "Choose another file") from error


def _decode(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16")
    if b"\0" in data[:2]:  # UTF-16 without a mark: each Latin letter has a byte of zero
        return data.decode("utf-16-be" if data[:1] == b"\0" else "utf-16-le")
    return data.decode("utf-8-sig")


def _find_header(text: str) -> tuple[bool, str]:
    """Return whether a line before the header names the delimiter, and the delimiter."""
    line = text.partition("\n")[0].strip()
    stated = re.fullmatch(r"sep=(.?)", line, re.IGNORECASE)
    if stated:
        return True, stated[1] or "\t"
    return False, max(",;\t", key=line.count)


def _check_complexity(text: str, delimiter: str, path: Path) -> None:
    """Raise StudyError if the table needs much more memory than its text: it has very many rows or columns."""
    if text.count("\n") + text.count("\r") > _MAX_ROWS or text.count(delimiter) > _MAX_DELIMITERS:
        raise StudyError("the manifest has too many rows or columns", path, "Split it")


def _strip(raw: Mapping[str | None, str | list[str] | None]) -> dict[str, str]:
    return {str(key).strip().lower(): value.strip() for key, value in raw.items() if key and isinstance(value, str)}


def _is_unread(values: Mapping[str, str]) -> bool:
    """Return whether `write_manifest` wrote a row for something that was not read, and nobody has changed the answer."""
    return values.get("reason", "").startswith(_UNREAD) and _ANSWERS.get(values.get("take", "").lower()) is False


class _ManifestFolder:
    """The folder of a manifest, in which it finds files."""

    def __init__(self, manifest: Path) -> None:
        self.manifest = manifest
        self._root = manifest.parent.resolve()
        self._entries: dict[Path, dict[str, str]] = {}

    def find(self, name: str) -> Path | None:
        """Return the file that a row names, which may not exist, or None if it is not in this folder."""
        if "\0" in name or Path(name).is_absolute():
            return None
        path = self._root / name
        try:
            if not path.exists():
                if PureWindowsPath(name).anchor:
                    return None
                path = self._root
                for part in name.replace("\\", "/").split("/"):
                    path = path / self._find_spelling(path, part)
            path = path.resolve()
        except (OSError, RuntimeError):  # a loop of links, a name that is too long
            return None
        return path if name and path != self._root and path.is_relative_to(self._root) else None

    def _find_spelling(self, folder: Path, part: str) -> str:
        """Return the name of the entry of `folder` that equals `part` except for the form of its accents, else `part`."""
        if folder not in self._entries:
            names = [each.name for each in folder.iterdir()] if folder.is_dir() else []
            self._entries[folder] = {unicodedata.normalize("NFC", each): each for each in sorted(names)}
        return self._entries[folder].get(unicodedata.normalize("NFC", part), part)


def _parse_row(
    folder: _ManifestFolder, line: int, values: Mapping[str, str], scheme: Scheme, visit_names: Sequence[str]
) -> ManifestRow:
    def fail(problem: str) -> StudyError:
        known = ", ".join((*_COLUMNS, *_OPTIONAL))
        return StudyError(problem, f"{folder.manifest}, line {line}", f"Correct that line; columns are {known}")

    def answer(column: str) -> bool | None:
        try:
            return _ANSWERS[values.get(column, "").lower()]
        except KeyError:
            raise fail(f"the column {column} must be yes, no or empty") from None

    target = folder.find(values.get("file", ""))
    if target is None:
        raise fail("the file must be in the manifest's folder")
    is_taken = answer("take") is not False
    patient, time, side = (values.get(column, "") for column in ("patient", "time", "side"))
    if is_taken and not patient:
        raise fail("the patient is missing")
    visits = {str(number): number for number in range(MOST_VISITS)}
    named = {name.casefold(): number for number, name in enumerate(visit_names)}
    if visits.get(time, named.get(time)) != named.get(time, visits.get(time)):
        raise fail(f"the time {time} is the number of one visit and the name of another one")
    visits |= named
    if time.casefold() not in visits and (is_taken or time):
        raise fail("the time must be the number of the visit, from 0 to 7, or its name in the charter")
    if side.lower() not in _SIDES and (is_taken or side):
        raise fail("the side must be L, R or B")
    view = values.get("view", "")
    if view and view not in scheme.views:
        raise fail(f"the view must be one of {', '.join(scheme.views)}")
    day = values.get("day") or None
    if day is not None and not re.fullmatch(r"-?[0-9]{1,6}", day):
        raise fail("the day must be a whole number")
    spacing = None
    if values.get("spacing"):
        try:
            mm = float(values["spacing"].replace(",", "."))
        except ValueError:
            mm = 0.0
        if not 0.01 <= mm <= 2:
            raise fail("the spacing must be mm per pixel, 0.01 to 2")
        spacing = (mm, mm)
    return ManifestRow(
        target,
        patient,
        visits.get(time.casefold()),
        _SIDES.get(side.lower(), ""),
        view,
        int(day) if day else None,
        spacing,
        values.get("issuer", ""),
        is_taken,
        answer("override") is True,
    )

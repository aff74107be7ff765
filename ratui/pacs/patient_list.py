"""The list of the patients to fetch: patient IDs, with an issuer and a date of birth where the ID alone is ambiguous."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, field
from pathlib import Path

from ratui.bounded_parsing import read_bounded
from ratui.errors import PacsError
from ratui.study.importing.headers.dates import extract_birth_digits, parse_date

__all__ = ["ListedPatient", "read_patient_list"]

_MAX_BYTES = 10_000_000
_MAX_PATIENTS = 100_000
_COLUMNS = {"patient": 64, "issuer": 64, "birth_date": 10}
_FORM = "Write one patient ID in each line, or CSV with the columns patient[, issuer, birth_date]"


@dataclass(frozen=True)
class ListedPatient:
    """A patient of the list. Values that the list does not give are empty.

    Attributes
    ----------
    line
        Number of the line, by which messages name the patient.
    id, issuer
        Patient ID and Issuer of Patient ID.
    birth_date
        Date of birth, in DICOM form (YYYYMMDD).
    """

    line: int = field(compare=False)
    id: str = field(repr=False)
    issuer: str = field(default="", repr=False)
    birth_date: str = field(default="", repr=False)


def read_patient_list(path: Path) -> tuple[ListedPatient, ...]:
    """Return the patients in a list, each once, in its order.

    The file has one patient ID in each line, or it is a CSV file (comma, semicolon or tab) with the header ``patient`` and
    optionally ``issuer`` and ``birth_date`` (YYYY-MM-DD or YYYYMMDD). Blank lines are ignored.

    Raises
    ------
    PacsError
        If it can't be read, names no patient, or has a value with which a PACS would return other patients, such as a
        wildcard. The message names the line, not the value.
    """
    try:
        text = read_bounded(path, _MAX_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise PacsError(f"the list can't be read: {error.strerror}", path) from error
    except ValueError as error:
        raise PacsError("the list is not a text in UTF-8", path, _FORM) from error
    lines = text.splitlines()
    first = next((line for line in lines if line.strip()), "")
    delimiter = next((each for each in ";\t," if each in first), ",")
    names = [name.strip().strip('"').lower() for name in first.split(delimiter)]  # some programs quote all cells
    is_table = names[0] == "patient" or "patient" in names
    if is_table and not (set(names) <= set(_COLUMNS) and len(set(names)) == len(names)):
        raise PacsError("the list has other columns", path, _FORM)
    patients: dict[ListedPatient, None] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or (is_table and line is first):
            continue
        cells = _split(line, delimiter, path, number) if is_table else [line]
        if len(cells) > len(names) and is_table:
            raise PacsError("it has more cells than there are columns", f"{path}, line {number}", _FORM)
        values = dict(zip(names if is_table else ["patient"], (cell.strip() for cell in cells), strict=False))
        patients.setdefault(_patient(values, path, number))
    if not patients:
        raise PacsError("the list names no patient", path, _FORM)
    if len(patients) > _MAX_PATIENTS:
        raise PacsError(f"the list has more than {_MAX_PATIENTS} patients", path, "Divide it")
    return tuple(patients)


def _split(line: str, delimiter: str, path: Path, number: int) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(line), delimiter=delimiter, strict=True))
    except (csv.Error, StopIteration) as error:
        raise PacsError("it is not a row of CSV", f"{path}, line {number}", _FORM) from error


def _patient(values: dict[str, str], path: Path, number: int) -> ListedPatient:
    where = f"{path}, line {number}"
    if not values.get("patient"):
        raise PacsError("it has no patient ID, which would ask for all patients", where, _FORM)
    for name, text in values.items():
        # Wildcards and the backslash, which separates values, would match other patients (PS3.4 C.2.2.2).
        if len(text) > _COLUMNS[name] or not text.isprintable() or re.search(r"[*?\\]", text):
            raise PacsError(
                f"the {name} is too long, or has a wildcard (* ?), a backslash or a control character", where
            )
    return ListedPatient(number, values["patient"], values.get("issuer", ""), _birth_date(values, where))


def _birth_date(values: dict[str, str], where: str) -> str:
    """Return the date of birth in DICOM form, or an empty text. Raises PacsError if it is no date, or stands for none."""
    text = values.get("birth_date", "")
    if not text:
        return ""
    day = parse_date(text) if re.fullmatch(r"[0-9]{8}|[0-9]{4}-[0-9]{2}-[0-9]{2}", text) else None
    if day is None:
        raise PacsError("the date of birth is not of the form YYYY-MM-DD", where)
    digits = f"{day:%Y%m%d}"
    if not extract_birth_digits(digits):
        raise PacsError("the date of birth stands for an unknown one", where, "Leave it empty")
    return digits

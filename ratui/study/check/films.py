"""Compare the file of a film with the file that was imported.

A film has one copy only, so damage is reported and not repaired.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from ratui.errors import RatuiError
from ratui.files import file_digest
from ratui.imaging import read_stored_film
from ratui.study.case import Case, FilmRecord
from ratui.study.study import Study

__all__ = ["FilmFault", "find_film_fault"]

FilmFault = tuple[str, str, Callable[[], object] | None, str]
"""The fault, its proven repair, the function that repairs it, and advice if nothing does; see `CheckFinding`."""
_ADVICE = "Restore it from a backup"


def find_film_fault(study: Study, case: Case, film: FilmRecord) -> FilmFault | None:
    """Return what is wrong with the file of `film`, or None."""
    path = study.film_path(case.id, film.id)
    if not path.exists():
        return "it is missing", "", None, _ADVICE
    if not film.file:
        return _check_unsealed_film(study, case, film, path)
    try:
        same = file_digest(path) == film.file
    except OSError as error:
        return f"it can't be read: {error.strerror}", "", None, _ADVICE
    return None if same else ("it is not the file that was imported", "", None, _ADVICE)


def _check_unsealed_film(study: Study, case: Case, film: FilmRecord, path: Path) -> FilmFault:
    """Check a film that was imported in format 1, which recorded a digest of its pixels but none of its file."""
    try:
        data = path.read_bytes()
        pixels = np.ascontiguousarray(read_stored_film(data, path).pixels)
    except OSError as error:
        return f"it can't be read: {error.strerror}", "", None, _ADVICE
    except RatuiError as error:
        return error.problem, "", None, _ADVICE
    if hashlib.sha256(pixels.tobytes()).hexdigest() != film.digest:
        return "its pixels are not those that were imported", "", None, _ADVICE

    def note_digest() -> None:
        now = study.case(case.id)
        films = tuple(replace(each, file=file_digest(path)) if each.id == film.id else each for each in now.films)
        study.save_case(Case(case.id, films))

    return "its file has no checksum (format 1)", "its checksum noted", note_digest, ""

"""Compare the file of a film with the file that was imported.

A film has one copy only, so damage is reported and not repaired.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ratui.errors import RatuiError, StoreError
from ratui.imaging import MAX_FILE_BYTES, read_stored_film
from ratui.study.case import Case, FilmRecord
from ratui.study.study import Study

__all__ = ["FilmFault", "find_film_fault"]

FilmFault = tuple[str, str, Callable[[], object] | None, str]
"""The fault, its proven repair, the function that repairs it, and advice if nothing does; see `CheckFault`."""
_ADVICE = "Restore it from a backup"
_DEADLINE = 600.0  # seconds for reading one film


def find_film_fault(study: Study, case: Case, film: FilmRecord) -> FilmFault | None:
    """Return the problem of the file of `film`, or None."""
    inside = f"films/{case.id}/{film.id}.dcm"
    try:
        if not film.file:
            return _check_unsealed_film(study, case, film, inside)
        same = study.folder.digest(inside, MAX_FILE_BYTES, deadline=_DEADLINE) == film.file
    except FileNotFoundError:
        return "it is missing", "", None, _ADVICE
    except StoreError as error:
        return error.problem, "", None, _ADVICE
    return None if same else ("it is not the file that was imported", "", None, _ADVICE)


def _check_unsealed_film(study: Study, case: Case, film: FilmRecord, inside: str) -> FilmFault:
    """Check a film that was imported in format 1, which recorded a digest of its pixels but none of its file."""
    data = study.folder.read(inside, MAX_FILE_BYTES, deadline=_DEADLINE)
    try:
        pixels = np.ascontiguousarray(read_stored_film(data, study.path / inside).pixels)
    except RatuiError as error:
        return error.problem, "", None, _ADVICE
    if hashlib.sha256(pixels.tobytes()).hexdigest() != film.digest:
        return "its pixels are not those that were imported", "", None, _ADVICE

    def note_digest() -> None:
        now = study.case(case.id)
        films = tuple(
            replace(each, file=hashlib.sha256(data).hexdigest()) if each.id == film.id else each for each in now.films
        )
        study.save_case(replace(now, films=films))

    return "its file has no checksum (format 1)", "its checksum noted", note_digest, ""

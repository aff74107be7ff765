"""The parts of a stored reading, from the tables of its file: the reading, its time and displays, and its evidence.

`ratui.study.readings.reading_session` writes these tables.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from ratui.errors import StoreError, clean_text
from ratui.reading import Reading, reading_from_document
from ratui.scheme import Scheme
from ratui.stored_values import as_list, as_number
from ratui.study.case import Case
from ratui.study.readings.reading_session import DisplayUse, ReadingEvidence, Records
from ratui.study.store import StoredTables

__all__ = [
    "has_film_entry",
    "hash_film",
    "stored_displays",
    "stored_evidence",
    "stored_meta",
    "stored_positions",
    "stored_reading",
    "stored_seconds",
]

_MOST_SECONDS = 1e9
_HASH_BYTES = 16


def stored_meta(stored: StoredTables | None) -> Mapping[str, Any]:
    """Return the record ``meta`` of a reading's file; empty if there is no file."""
    records = stored.tables.get("meta", []) if stored else []
    return records[0] if records else {}


def stored_positions(stored: StoredTables | None) -> tuple[tuple[str, ...], ...]:
    """Return the IDs of the films at each position in a reading's file; empty if the file does not state them."""
    positions = stored_meta(stored).get("positions", ())
    if not isinstance(positions, list) or not all(isinstance(films, list) for films in positions):
        return ()
    found = tuple(tuple(str(film) for film in films) for films in positions)
    return found if any(found) else ()


def has_film_entry(stored: StoredTables | None) -> bool:
    """Return whether the log of a reading's file says that films were added or withdrawn."""
    return any(entry.get("kind") == "films" for entry in (stored.tables.get("log", ()) if stored else ()))


def stored_reading(
    stored: StoredTables | None,
    scheme: Scheme,
    where: object,
    rater: str,
    case: str,
    order: Sequence[int] | None = None,
) -> tuple[Reading | None, float]:
    """Return the reading in the tables of `reading_to_tables` and the seconds spent on it; (None, 0) without a file.

    `order` is the time point at each position, as in `reading_from_document`. Raises StoreError, naming the file `where`,
    if the tables are not the reading of `case` by `rater` in `scheme`.
    """
    if stored is None:
        return None, 0.0
    meta, tables = stored_meta(stored), stored.tables
    document = {"meta": meta, "fields": tables.get("fields", []), "log": tables.get("log", [])}
    reading = reading_from_document(scheme, document, where, order)
    if (reading.rater, reading.case) != (rater, case):
        raise StoreError("it is the reading of another rater or case", where, "See: ratui check STUDY")
    return reading, stored_seconds(stored, where)


def stored_displays(stored: StoredTables | None, where: object) -> tuple[DisplayUse, ...]:
    """Return how the films of a stored reading were displayed. Raises StoreError, naming the file `where`."""
    try:
        records = as_list(stored_meta(stored).get("displays", []))
    except ValueError as error:
        raise StoreError(
            f"its displays are invalid: {clean_text(error)}", where, "Restore the file from its backup copy"
        ) from error
    return tuple(DisplayUse.from_record(record, where) for record in records)


def stored_seconds(stored: StoredTables | None, where: object) -> float:
    """Return the time spent on a stored reading, in seconds. Raises StoreError, naming the file `where`."""
    try:
        return as_number(stored_meta(stored).get("seconds", 0.0), 0.0, _MOST_SECONDS)
    except ValueError as error:
        raise StoreError(
            f"its time is invalid: {clean_text(error)}", where, "Restore the file from its backup copy"
        ) from error


def stored_evidence(
    stored: StoredTables | None, positions: Sequence[Sequence[str]], case: Case, study: str
) -> ReadingEvidence:
    """Return the evidence in a stored reading, or of a new one.

    The films are stated when the reading is first saved, and not changed later.

    Parameters
    ----------
    stored
        Tables of the reading, or None.
    positions
        IDs of the films at each position.
    case
        The case with its films.
    study
        ID of the study.
    """
    tables = stored.tables if stored else {}
    films: Records = tables.get("seen", [])
    if not films:
        digests = {film.id: film.file for film in case.films}
        films = [
            {"position": position, "film": film, "content": hash_film(study, digests.get(film, ""))}
            for position, at_position in enumerate(positions)
            for film in at_position
        ]
    seconds = tuple(entry.get("seconds") for entry in tables.get("log", []))
    return ReadingEvidence(films, seconds, tables.get("times", []))


def hash_film(study: str, digest: str) -> str:
    """Return the keyed hash of a film's content.

    Parameters
    ----------
    study
        ID of the study, the key: the hash of one film differs between studies.
    digest
        SHA-256 of the film's file, or empty if it is unknown.

    Returns
    -------
    str
        Hexadecimal digits, or an empty text for an unknown digest.
    """
    if not digest:
        return ""
    return hashlib.blake2b(digest.encode(), key=study.encode(), digest_size=_HASH_BYTES).hexdigest()

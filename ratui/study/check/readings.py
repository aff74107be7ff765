"""Rebuild a reading from its log: if both copies are damaged, or if its fields contradict the log.

The log is the record of what happened and is protected by its chain of checksums; fields, flags and notes follow from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ratui.errors import RatuiError
from ratui.reading import migrate_document, reading_from_log, reading_to_document
from ratui.scheme import Scheme
from ratui.stored_values import ODD_VALUE_ERRORS
from ratui.study.check.copies import CopyBytes
from ratui.study.readings.reading_evidence import rebuild_use
from ratui.study.store import StudyFile
from ratui.study.store.salvage import find_contradiction, salvage
from ratui.study.store.seal import Records, open_seal, seal
from ratui.study.store.tables import sealed_name

__all__ = ["rebuild_fields", "salvage_tables"]


def salvage_tables(file: StudyFile, read: CopyBytes, scheme: Scheme) -> bytes | None:
    """Return an intact file made from the intact records of two damaged copies, or None if that can't be proven.

    For any table file; missing fields of a reading are rebuilt from its log.

    Parameters
    ----------
    file
        The file.
    read
        The bytes of both copies.
    scheme
        The scheme of the study.
    """
    path = file.path
    copies = read.present
    if len(copies) > 1 and _is_intact(copies[1], path) and find_contradiction(*copies):
        copies = copies[:1]  # the second copy was made by other means: only the damaged file itself counts
    # Copies of different saves must not be mixed, unless a log determines the other records.
    for files in ([each] for each in copies):
        found = salvage(files)
        if found.is_complete:
            return seal(found.tables, sealed_name(path))
    found = salvage(copies)
    if found.counts is None or "log" not in found.counts or set(found.missing) - {"fields"}:
        return None
    return _rebuild_from_log(path, found.tables, scheme)


def _is_intact(data: bytes, path: Path) -> bool:
    try:
        open_seal(data, sealed_name(path))
    except ValueError:
        return False
    return True


def rebuild_fields(file: StudyFile, data: bytes, scheme: Scheme) -> bytes | None:
    """Return `data`, an intact file whose fields contradict its log, with fields, flags and notes rebuilt from the log.

    Returns None if the log describes no valid reading.
    """
    return _rebuild_from_log(file.path, open_seal(data).tables, scheme)


def _rebuild_from_log(path: Path, tables: Mapping[str, Records], scheme: Scheme) -> bytes | None:
    try:
        stored = {"meta": next(iter(tables["meta"].values())), "fields": [], "log": list(tables["log"].values())}
        document = migrate_document(stored, path)
        made = reading_to_document(reading_from_log(scheme, document, path))
        use = rebuild_use({name: list(records.values()) for name, records in tables.items()})
        # Values that do not follow from the log are kept. The oldest format that can be written has no slots without a film.
        kept = {name: value for name, value in document["meta"].items() if name != "unfilmed"}
        meta = {"1": {**kept, **made["meta"], **use}}
        return seal(
            {**tables, "meta": meta, "fields": _number(made["fields"]), "log": _number(document["log"])},
            sealed_name(path),
        )
    except (RatuiError, *ODD_VALUE_ERRORS, StopIteration):
        return None


def _number(records: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return {str(number): dict(record) for number, record in enumerate(records, start=1)}

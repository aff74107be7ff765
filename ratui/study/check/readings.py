"""A reading whose files are both damaged, or whose fields don't follow from its log: rebuilt where its log proves it.

The log is the record of what happened, held together by its chain; all else is only its outcome. Pure, apart from reading.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ratui.errors import RatuiError
from ratui.files import second_copy_path
from ratui.reading import reading_from_log, reading_to_document
from ratui.scheme import Scheme
from ratui.study.store.seal import Records, open_seal, salvage, seal
from ratui.study.store.tables import read_file, sealed_name

__all__ = ["rebuild_fields", "salvage_tables"]


def salvage_tables(path: Path, scheme: Scheme, folder: int) -> bytes | None:
    """Return the whole file, made of the records of its two damaged copies whose checksums hold; None without proof.

    For any file of tables; fields of a reading are made anew from its log where theirs are missing. `folder` is the
    descriptor of the file's folder.
    """
    copies = []
    for each in (path, second_copy_path(path)):
        try:
            copies.append(read_file(each, folder=folder))
        except (FileNotFoundError, RatuiError):
            continue
    # Two copies of different saves must not be mixed, except where a log binds the records together.
    for files in ([each] for each in copies):
        found = salvage(files)
        if found.is_complete:
            return seal(found.tables, sealed_name(path))
    found = salvage(copies)
    if found.counts is None or "log" not in found.counts or set(found.missing) - {"fields"}:
        return None
    return _rebuild_from_log(path, found.tables, scheme)


def rebuild_fields(path: Path, data: bytes, scheme: Scheme) -> bytes | None:
    """`data`, a whole file of a reading that contradicts its log, with the fields, flags and notes that the log leads to.

    None where the log leads to no reading.
    """
    return _rebuild_from_log(path, open_seal(data).tables, scheme)


def _rebuild_from_log(path: Path, tables: Mapping[str, Records], scheme: Scheme) -> bytes | None:
    try:
        meta = next(iter(tables["meta"].values()))
        reading = reading_from_log(scheme, {"meta": meta, "log": list(tables["log"].values())}, path)
    except (RatuiError, KeyError, StopIteration):
        return None
    made = reading_to_document(reading)
    records = {str(number): record for number, record in enumerate(made["fields"], start=1)}
    # What the file keeps of a reading besides, such as the time spent on it, no log can tell: it stays.
    return seal({**tables, "meta": {"1": {**meta, **made["meta"]}}, "fields": records}, sealed_name(path))

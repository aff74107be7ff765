"""A reading whose files are both damaged, or whose fields don't follow from its log: rebuilt where its log proves it.

The log is the record of what happened, held together by its chain; fields are only its outcome. Pure, apart from reading.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ratui.errors import RatuiError
from ratui.reading import Reading, from_document, to_document
from ratui.scheme import Scheme
from ratui.study.store.disk import copy_of
from ratui.study.store.seal import Records, open_seal, salvage, seal
from ratui.study.store.tables import known_as, read_file

__all__ = ["rebuilt", "salvaged"]


def salvaged(path: Path, scheme: Scheme) -> bytes | None:
    """The whole file, out of the records of its two damaged copies that are provably as they were; None without proof.

    For any file of tables; fields of a reading are made anew from its log where theirs are missing.
    """
    copies = []
    for each in (path, copy_of(path)):
        try:
            copies.append(read_file(each))
        except (FileNotFoundError, RatuiError):
            continue
    # Two copies of different saves must not be mixed, except where a log binds the records together.
    for files in ([each] for each in copies):
        found = salvage(files)
        if found.whole:
            return seal(found.tables, known_as(path))
    found = salvage(copies)
    if found.counts is None or "log" not in found.counts or set(found.missing) - {"fields"}:
        return None
    return _from_log(path, found.tables, scheme)


def rebuilt(path: Path, data: bytes, scheme: Scheme) -> bytes | None:
    """`data`, a whole file of a reading whose fields contradict its log, with the fields that the log leads to."""
    return _from_log(path, open_seal(data).tables, scheme)


def _from_log(path: Path, tables: Mapping[str, Records], scheme: Scheme) -> bytes | None:
    """The file with the fields that its log leads to, if that is a reading without contradiction; else None."""
    held: dict[tuple[str, str, int], dict[str, Any]] = {}
    try:
        for entry in tables["log"].values():
            for change in entry["changes"]:
                field = (change["site"], change["scale"], change["time"])
                held.pop(field, None)
                if change["new"]:
                    held[field] = change["new"]
        fields = [{"site": site, "scale": scale, "time": time, **new} for (site, scale, time), new in held.items()]
        meta = next(iter(tables["meta"].values()))
        document = {"meta": meta, "fields": fields, "log": list(tables["log"].values())}
        reading: Reading = from_document(scheme, document, path)
    except (RatuiError, KeyError, TypeError, AttributeError, StopIteration):
        return None
    made = to_document(reading)
    records = {str(number): record for number, record in enumerate(made["fields"], start=1)}
    return seal({**tables, "fields": records}, known_as(path))

"""The form in which tables are stored: every record with a checksum, the log as a chain, and a seal over all bytes.

Pure: bytes in, values out. A file that was changed by one bit is told from one that wasn't, and in a changed one the
records that are still as they were written can be told from the rest.

::

    {"meta": {"1": {…, "sum": "…"}},
     "log":  {"1": {…, "sum": "…"}, "2": {…, "sum": "… depends on the sum before it"}},
     "seal": {"1": {"format": 2, "of": "anna/C-1", "counts": {…}, "head": "… last sum of the log", …}}}

It stays a TinyDB file: other programs see the tables, a table ``seal`` and a value ``sum`` in each record. Later formats
keep the seal, so that an older ratui can tell "newer" from "damaged".
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = [
    "FORMAT",
    "BrokenSealError",
    "NewerFormatError",
    "SalvagedTables",
    "SealedTables",
    "UnsealedError",
    "open_seal",
    "read_log_chain",
    "salvage",
    "seal",
]

FORMAT = 2
"""The format of a sealed file. Files of format 1 had no checksums."""

CHAINED = "log"
"""The table whose records only ever grow in number; each of its sums covers all records before it."""

Records: TypeAlias = dict[str, dict[str, Any]]

_SUM = 32
_END = re.compile(rb'"sum":"([0-9a-f]{64})"\}\}\}')
_END_LENGTH = len('"sum":""}}}') + 64


class BrokenSealError(ValueError):
    """The bytes are not what was written; the text says in a few words how that shows."""


class UnsealedError(ValueError):
    """The bytes are tables of format 1, which have neither seal nor checksums."""


class NewerFormatError(ValueError):
    """The seal is whole, and its format is newer than this version knows."""


@dataclass(frozen=True)
class SealedTables:
    """What a whole file holds. `sealed_as` is what it was written as; `head` the last sum of its log, empty without one."""

    tables: dict[str, Records]
    sealed_as: str
    head: str


def seal(tables: Mapping[str, Mapping[str, Mapping[str, Any]]], of: str) -> bytes:
    """`tables` (name → id → record) as the bytes of a sealed file that is to be known as `of`.

    Raises ValueError for what JSON can't hold and for a record with a value ``sum`` of its own.
    """
    parts, counts, head = [], {}, ""
    for name, records in tables.items():
        if name == "seal":
            raise ValueError("no table can be called seal")
        texts, before = [], ""
        for id, record in records.items():
            if "sum" in record:
                raise ValueError("no record can have a value called sum")
            body = _dump(record)
            total = _checksum(name, str(id), before if name == CHAINED else "", body)
            texts.append(f'"{id}":{body[:-1]}{"," if record else ""}"sum":"{total}"}}')
            before = total
        if name == CHAINED:
            head = before
        counts[name] = len(texts)
        parts.append(f"{_dump(name)}:{{{','.join(texts)}}}")
    last = _dump({"format": FORMAT, "of": of, "counts": counts, "head": head})
    check = _checksum("seal", "1", "", last)
    parts.append(f'"seal":{{"1":{last[:-1]},"check":"{check}",')
    text = ("{" + ",".join(parts)).encode()
    return text + b'"sum":"' + hashlib.sha256(text).hexdigest().encode() + b'"}}}'


def open_seal(data: bytes, of: str | None = None) -> SealedTables:
    """The tables in `data`, if they are what was sealed. Raises Broken, Newer, or Unsealed for format 1.

    With `of`, a whole file that was written as something else is broken too: it doesn't belong where it was found.
    """
    end = _END.fullmatch(data, max(len(data) - _END_LENGTH, 0))
    if end is None:
        return _without_seal(data)
    if hashlib.sha256(data[: end.start()]).hexdigest().encode() != end[1]:
        raise BrokenSealError("its bytes are not those that were written")
    try:
        tables = json.loads(data)
        last = tables.pop("seal")["1"]
        number, written_as, head = last["format"], str(last["of"]), str(last["head"])
        if not isinstance(number, int) or number < FORMAT:
            raise BrokenSealError("its seal has an impossible format")
        if number > FORMAT:
            raise NewerFormatError(f"it has format {number}, this version reads up to {FORMAT}")
        for records in tables.values():
            for record in records.values():
                del record["sum"]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, BrokenSealError | NewerFormatError):
            raise
        raise BrokenSealError("its seal is whole, its tables are not") from error
    if of is not None and written_as != of:
        raise BrokenSealError(f"it is the file of {written_as}")
    return SealedTables(tables, written_as, head)


def _without_seal(data: bytes) -> SealedTables:
    """Raises Unsealed with the tables of format 1 as its argument, or Broken: a file that had a seal and lost it."""
    try:
        tables = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BrokenSealError("it is no JSON file") from error
    if not isinstance(tables, dict) or not all(
        isinstance(records, dict) and all(isinstance(record, dict) for record in records.values())
        for records in tables.values()
    ):
        raise BrokenSealError("it holds no tables")
    if any("sum" in record for records in tables.values() for record in records.values()):
        raise BrokenSealError("its seal is missing")
    raise UnsealedError(tables)


def read_log_chain(data: bytes) -> tuple[str, ...]:
    """The sums of the log in a sealed file, in order: of two logs with the same beginning, so begin their chains.

    They are computed from the records anew, not taken from them. Raises ValueError for what is no JSON.
    """
    sums, before = [], ""
    for id, record in json.loads(data).get(CHAINED, {}).items():
        before = _checksum(CHAINED, id, before, _dump({key: value for key, value in record.items() if key != "sum"}))
        sums.append(before)
    return tuple(sums)


@dataclass(frozen=True)
class SalvagedTables:
    """The records of broken files whose checksums still hold. `counts` is None where every seal's own record is lost.

    The log is given as far as its chain can be followed; `is_complete` says whether every record that was sealed is here.
    """

    tables: dict[str, Records]
    counts: dict[str, int] | None
    head: str

    @property
    def is_complete(self) -> bool:
        return self.counts is not None and self.missing == ()

    @property
    def missing(self) -> tuple[str, ...]:
        """The tables of which records are missing."""
        counts = self.counts or {}
        return tuple(name for name, count in counts.items() if len(self.tables.get(name, {})) != count)


def salvage(files: Sequence[bytes]) -> SalvagedTables:
    """What of broken copies of one file is provably as it was written; the first copy's record counts where both hold.

    The shape of a file around its records isn't needed: a checksum tells which table and id a record belongs to.
    """
    loose: dict[str, list[dict[str, Any]]] = {}
    seals = []
    for data in files:
        for id, raw in _loose_records(data):
            if "check" in raw:
                seals.append(raw)
            else:
                loose.setdefault(id, []).append(raw)
    counts, head = _longest_log(seals)
    found: dict[str, Records] = {}
    for name in counts or ():
        before = ""
        ids = map(str, range(1, len(loose) + 1)) if name == CHAINED else loose
        found[name] = {}
        for id in ids:
            record = next((r for r in loose.get(id, ()) if _has_valid_checksum(name, id, before, r)), None)
            if record is None and name == CHAINED:
                break
            if record is not None:
                before = str(record["sum"]) if name == CHAINED else ""
                found[name][id] = {key: value for key, value in record.items() if key != "sum"}
        if name == CHAINED and before != head:
            found[name] = {}  # the chain doesn't lead to where the seal says; nothing of it is proven
    return SalvagedTables(found, counts, head)


def _has_valid_checksum(table: str, id: str, before: str, record: Mapping[str, Any]) -> bool:
    body = _dump({key: value for key, value in record.items() if key != "sum"})
    return record.get("sum") == _checksum(table, id, before, body)


def _longest_log(seals: list[dict[str, Any]]) -> tuple[dict[str, int] | None, str]:
    """The counts and the head of the log of the seal record, of those that hold, with the longest log."""
    best: tuple[dict[str, int] | None, str] = (None, "")
    for raw in seals:
        body = _dump({key: value for key, value in raw.items() if key not in ("check", "sum")})
        if raw["check"] == _checksum("seal", "1", "", body):
            counts = {str(name): int(count) for name, count in raw["counts"].items()}
            if best[0] is None or counts.get(CHAINED, 0) > best[0].get(CHAINED, 0):
                best = counts, str(raw["head"])
    return best


def _loose_records(data: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    """Everything in `data` that looks like ``"7":{…}``, whatever stands around it."""
    text = data.decode("utf-8", "replace")
    decoder = json.JSONDecoder()
    for match in re.finditer(r'"(\d{1,9})":(?=\{)', text):
        try:
            value, _ = decoder.raw_decode(text, match.end())
            _dump(value)  # NaN and lone surrogates are nothing that was written here
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield match[1], value


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _dump(value: object) -> str:
    return _ENCODER.encode(value)


def _checksum(table: str, id: str, before: str, body: str) -> str:
    text = f"{table}\n{id}\n{before}\n{body}".encode()
    return hashlib.blake2b(text, digest_size=_SUM // 2).hexdigest()

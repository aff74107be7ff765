"""The stored form of tables: a checksum in every record, a chain of checksums in the log, a seal over all bytes.

Pure functions from bytes to values and back. One changed bit is noticed, and in a changed file the records that are still
intact can be identified.

::

    {"meta": {"1": {…, "sum": "…"}},
     "seen": {"1": {…, "sum": "…"}, "2": {…, "sum": "… depends on the sum before it"}},
     "log":  {"1": {…, "sum": "… depends on the last sum of seen"}, …},
     "seal": {"1": {"format": 2, "of": "anna/C-1", "counts": {…}, "head": "… last sum of the log", …}}}

The result is still a TinyDB file: other programs see the tables, one more table ``seal``, and a value ``sum`` in each
record. Later formats must keep the seal, so that an older ratui can distinguish "newer" from "damaged".

A checksum protects against accidents, not against forgery: anyone who can write the file can also seal it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from ratui.bounded_parsing import parse_json

__all__ = [
    "BEGIN",
    "CHAINED",
    "CHAINS",
    "FORMAT",
    "BrokenSealError",
    "Chains",
    "NewerFormatError",
    "SealedRecords",
    "SealedTables",
    "UnsealedError",
    "dump",
    "has_intact_seal",
    "open_seal",
    "read_chains",
    "read_log_chain",
    "record_checksum",
    "seal",
]

FORMAT = 2
"""Format of a sealed file. Files of format 1 had no checksums."""

CHAINED = "log"
"""Name of the table that only grows; the checksum of each of its records covers all records before it."""

BEGIN = "seen"
"""Name of the table with the films of a reading. The chain of the log begins with it; files of older versions have none."""

CHAINS = (BEGIN, CHAINED, "times")
"""Tables whose records are chained; ``times`` has a chain of its own."""

Records: TypeAlias = dict[str, dict[str, Any]]

_SUM = 32  # hexadecimal digits of a record's checksum
_END = re.compile(rb'"sum":"([0-9a-f]{64})"\}\}\}')
_HALF_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")
"""Mark of a text that may contain half a surrogate pair."""
_END_LENGTH = len('"sum":""}}}') + 64


class BrokenSealError(ValueError):
    """The bytes are not what was written; the text says in a few words how that was noticed."""


class UnsealedError(ValueError):
    """The bytes are tables of format 1, which have neither seal nor checksums; the argument contains them."""


class NewerFormatError(ValueError):
    """The seal is intact, and its format is newer than this version knows."""


@dataclass(frozen=True)
class SealedTables:
    """The content of an intact file.

    Attributes
    ----------
    tables
        Records by table and ID, without their checksums.
    sealed_as
        Name under which the file was sealed, such as ``anna/C-1``.
    head
        Checksum of the last record of the log; empty without a log.
    """

    tables: dict[str, Records]
    sealed_as: str
    head: str


class _SealedRecord(NamedTuple):
    """A record with its ID, its checksum, and its text in a sealed file."""

    id: str
    record: Mapping[str, Any]
    sum: str
    text: str


class SealedRecords:
    """The records of one table in a sealed file.

    `seal` keeps them from one state of a file to the next, and converts only what is new: the first ones stay if these are
    the same objects with the same IDs. So no record may be changed in place.
    """

    def __init__(self, table: str) -> None:
        self._table = table
        self._begin = ""
        self._records: list[_SealedRecord] = []  # one list, so that an interruption leaves whole records

    def __len__(self) -> int:
        return len(self._records)

    @property
    def head(self) -> str:
        """Checksum of the last record; without one, that with which the chain begins."""
        return self._records[-1].sum if self._records else self._begin

    @property
    def text(self) -> str:
        """Texts of all records, with commas between them."""
        return ",".join(each.text for each in self._records)

    def update(self, records: Mapping[str, Mapping[str, Any]], begin: str) -> None:
        """Convert `records` by ID. A chain begins with the checksum `begin`. Raises ValueError as `seal` does."""
        now = [(str(id), record) for id, record in records.items()]
        if begin != self._begin:
            self._records.clear()
        pairs = enumerate(zip(self._records, now, strict=False))
        different = (number for number, (old, (id, new)) in pairs if old.record is not new or old.id != id)
        kept = next(different, min(len(self._records), len(now)))
        del self._records[kept:]
        self._begin = begin
        for id, record in now[kept:]:
            if "sum" in record:
                raise ValueError("no record can have a value called sum")
            body = dump(record)
            total = _checksum(self._table, id, self.head if self._table in CHAINS else "", body)
            text = f'"{id}":{body[:-1]}{"," if record else ""}"sum":"{total}"}}'
            self._records.append(_SealedRecord(id, record, total, text))


def seal(
    tables: Mapping[str, Mapping[str, Mapping[str, Any]]], of: str, kept: dict[str, SealedRecords] | None = None
) -> bytes:
    """Return the bytes of a sealed file.

    Parameters
    ----------
    tables
        Records by table and ID.
    of
        Name of the file, ``<folder>/<stem>``, which `open_seal` compares.
    kept
        The tables as sealed before; empty at first. They become those of this call.

    Raises
    ------
    ValueError
        If a value can't be represented in JSON, a table is called ``seal``, or a record has a value ``sum``.
    """
    parts: list[str] = []
    counts: dict[str, int] = {}
    heads: dict[str, str] = {}
    kept = {} if kept is None else kept
    for name, records in tables.items():
        if name == "seal":
            raise ValueError("no table can be called seal")
        if name == BEGIN and CHAINED in heads:
            raise ValueError("the log can't come before the films that its chain begins with")
        table = kept.setdefault(name, SealedRecords(name))
        table.update(records, heads.get(BEGIN, "") if name == CHAINED else "")
        heads[name] = table.head
        counts[name] = len(table)
        parts.append(f"{dump(name)}:{{{table.text}}}")
    last = dump({"format": FORMAT, "of": of, "counts": counts, "head": heads.get(CHAINED, "")})
    check = _checksum("seal", "1", "", last)
    parts.append(f'"seal":{{"1":{last[:-1]},"check":"{check}",')
    text = ("{" + ",".join(parts)).encode()
    return text + b'"sum":"' + hashlib.sha256(text).hexdigest().encode() + b'"}}}'


def open_seal(data: bytes, of: str | None = None) -> SealedTables:
    """Return the tables in a sealed file.

    Parameters
    ----------
    data
        The bytes of the file.
    of
        If given, an intact file with another name counts as broken: it is not where it belongs.

    Raises
    ------
    BrokenSealError
        If the bytes are not what was sealed.
    NewerFormatError
        If a newer version sealed them.
    UnsealedError
        If they are tables of format 1.
    """
    end = _END.fullmatch(data, max(len(data) - _END_LENGTH, 0))
    if end is None:
        return _without_seal(data)
    if hashlib.sha256(data[: end.start()]).hexdigest().encode() != end[1]:
        raise BrokenSealError("its bytes have changed since it was written")
    try:
        tables = _parse(data)
        last = tables.pop("seal")["1"]
        number, written_as, head = last["format"], str(last["of"]), str(last["head"])
        if not isinstance(number, int) or number < FORMAT:
            raise BrokenSealError("its seal has an invalid format")
        if number > FORMAT:
            raise NewerFormatError(f"it has format {number}, this version reads up to {FORMAT}")
        for records in tables.values():
            for record in records.values():
                del record["sum"]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, BrokenSealError | NewerFormatError):
            raise
        raise BrokenSealError("its seal is intact, but its tables are damaged") from error
    if of is not None and written_as != of:
        raise BrokenSealError(f"its content belongs to the file {written_as}")
    return SealedTables(tables, written_as, head)


def has_intact_seal(data: bytes) -> bool:
    """Return whether `data` ends with a seal of all bytes before it; do not check the tables."""
    end = _END.fullmatch(data, max(len(data) - _END_LENGTH, 0))
    return end is not None and hashlib.sha256(data[: end.start()]).hexdigest().encode() == end[1]


def _parse(data: bytes) -> Any:
    """Return the JSON value in `data`. Raises ValueError for values that `seal` never writes: NaN, lone surrogates."""
    value = parse_json(data.decode(), finite=True)
    if b"\\u" in data and _HALF_PAIR.search(data):
        dump(value).encode()  # an escaped backslash before the text ``ud800`` is fine
    return value


def _without_seal(data: bytes) -> SealedTables:
    """Raise UnsealedError with the tables of format 1, or BrokenSealError for a file that has lost its seal."""
    try:
        tables = _parse(data)
    except (ValueError, RecursionError) as error:
        raise BrokenSealError("it is not a JSON file") from error
    if not isinstance(tables, dict) or not all(
        isinstance(records, dict) and all(isinstance(record, dict) for record in records.values())
        for records in tables.values()
    ):
        raise BrokenSealError("it contains no tables")
    if any("sum" in record for records in tables.values() for record in records.values()):
        raise BrokenSealError("its seal is missing")
    raise UnsealedError(tables)


def read_log_chain(data: bytes) -> tuple[str, ...]:
    """Return one checksum for each record of the log in a sealed file, in order.

    Each checksum covers its record and all records before it. So two logs that begin with the same n records have the
    same first n checksums. They are computed from the records; the checksums and the seal in `data` are ignored.

    Parameters
    ----------
    data
        Content of a sealed file.

    Returns
    -------
    tuple of str
        Hexadecimal checksums; empty if the file has no log.

    Raises
    ------
    ValueError
        If `data` is not JSON.
    AttributeError
        If `data` is JSON, but not an object of tables.
    """
    return _chain(parse_json(data), CHAINED)


def _chain(tables: Mapping[str, Records], name: str) -> tuple[str, ...]:
    """Return the checksums of a chained table, computed from its records and those before it."""
    before = (_chain(tables, BEGIN) or ("",))[-1] if name == CHAINED else ""
    sums = []
    for id, record in tables.get(name, {}).items():
        before = _checksum(name, id, before, dump({key: value for key, value in record.items() if key != "sum"}))
        sums.append(before)
    return tuple(sums)


@dataclass(frozen=True)
class Chains:
    """The chained tables of a file: the checksums of the records of ``seen``, ``log`` and ``times``, in order."""

    films: tuple[str, ...]
    log: tuple[str, ...]
    times: tuple[str, ...]

    def continues(self, earlier: Chains) -> bool:
        """Return whether these chains begin with those of an `earlier` state of the file."""
        return self.films == earlier.films and all(
            now[: len(before)] == before for now, before in ((self.log, earlier.log), (self.times, earlier.times))
        )


def read_chains(tables: Mapping[str, Records]) -> Chains:
    """Return the checksums of the chained tables, computed from their records; checksums in the records are ignored."""
    return Chains(*(_chain(tables, name) for name in CHAINS))


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def dump(value: object) -> str:
    """Return `value` as the one JSON text that a sealed file contains for it. Raises ValueError for NaN."""
    return _ENCODER.encode(value)


def record_checksum(table: str, id: str, before: str, body: bytes) -> str:
    """Return the checksum of the record `id` of `table` with the JSON text `body`; in the log `before` is the last one."""
    text = f"{table}\n{id}\n{before}\n".encode() + body
    return hashlib.blake2b(text, digest_size=_SUM // 2).hexdigest()


def _checksum(table: str, id: str, before: str, body: str) -> str:
    return record_checksum(table, id, before, body.encode())

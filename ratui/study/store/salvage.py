"""Recover intact records from damaged copies of a table file, in time proportional to their size.

The damaged structure is not parsed. A record begins with ``"7":{`` and ends with its checksum, and the bytes between the
two are what the checksum covers. So records are found by these two marks, and only a record whose checksum is right is
parsed. A file that someone made on purpose costs no more time than a damaged one.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ratui.bounded_parsing import parse_json
from ratui.study.store.seal import BEGIN, CHAINED, CHAINS, Records, dump, record_checksum

__all__ = ["SalvagedTables", "find_contradiction", "salvage"]

_MARK = re.compile(rb'"([0-9]{1,9})":\{|"sum":"([0-9a-f]{32})"')
_SEAL = re.compile(rb'"check":"([0-9a-f]{32})"')
_MOST_MARKS = 200_000
"""Marks of one file that are examined. A reading has about ten thousand."""
_MOST_SEALS = 1000
_LONGEST_SEAL = 10_000  # bytes
_MOST_WORK = 400_000_000
"""Limit of the work: bytes that are hashed, plus `_HASH_WORK` a checksum, plus `_PARSE_WORK` a byte that is parsed.

This takes a few seconds. Files of ratui need a tenth of it.
"""
_HASH_WORK = 2000
_PARSE_WORK = 30
_MOST_OPENINGS = 4
"""Openings before a checksum that are tried. An intact record has one; damaged records before it may add theirs."""
_MOST_TABLES = 8
"""Tables of a file; files of ratui have at most five."""


@dataclass(frozen=True)
class SalvagedTables:
    """The records of broken files whose checksums are still right.

    Attributes
    ----------
    tables
        Intact records by table and ID. A chained table is complete, or empty if a part of it is lost.
    counts
        Number of records by table when the file was sealed; None if the seal's own record is lost.
    head
        Checksum of the last record of the log when the file was sealed.
    """

    tables: dict[str, Records]
    counts: dict[str, int] | None
    head: str

    @property
    def is_complete(self) -> bool:
        """True if every record that was sealed has been found."""
        return self.counts is not None and self.missing == ()

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of the tables that lack records."""
        counts = self.counts or {}
        return tuple(name for name, count in counts.items() if len(self.tables.get(name, {})) != count)


@dataclass(frozen=True, slots=True)
class _Part:
    """Bytes of a file that may be a record: everything from the opening brace to the comma before the checksum."""

    id: str
    body: memoryview
    total: str

    def has_checksum(self, table: str, before: str = "") -> bool:
        return record_checksum(table, self.id, before, bytes(self.body) + b"}") == self.total

    @property
    def work(self) -> int:
        """Work of `has_checksum`, see `_MOST_WORK`."""
        return len(self.body) + _HASH_WORK

    def parse(self) -> dict[str, Any] | None:
        """Return the record, or None if no version of ratui can have written these bytes."""
        body = bytes(self.body) + b"}"
        try:
            record = parse_json(body.decode())
            # Not equal for NaN, lone surrogates, and a name that occurs twice.
            return record if dump(record).encode() == body and "sum" not in record else None
        except (ValueError, RecursionError):
            return None


def salvage(files: Sequence[bytes]) -> SalvagedTables:
    """Collect the records of broken copies of one file that are provably as they were written.

    The structure of the file around the records is not needed: a checksum also covers the record's table and ID. If both
    copies have an intact record, the first one's counts. The search ends early in files that ratui cannot have written.
    """
    counts, head = _longest_log(files)
    if counts is None:
        return SalvagedTables({}, None, "")
    found: dict[str, Records] = {name: {} for name in counts}
    single = [name for name in counts if name not in CHAINS]
    chains = [name for name in CHAINS if name in counts]
    chained: dict[str, list[_Part]] = {}
    left = _MOST_WORK
    for part in _parts(files):
        left -= part.work * max(len(single), 1)
        if left < 0:
            break
        table = next((name for name in single if part.has_checksum(name)), None)
        if table is None:
            if chains:
                chained.setdefault(part.id, []).append(part)
        elif part.id not in found[table]:
            left -= _PARSE_WORK * len(part.body)
            if left >= 0 and (record := part.parse()) is not None:
                found[table][part.id] = record
    end = ""
    for name in chains:
        found[name], end, left = _follow_chain(name, chained, end if name == CHAINED else "", left)
        if len(found[name]) != counts[name] or (name == CHAINED and end != head):
            found[name] = {}  # if the chain does not end as the seal says, nothing of it is proven
    return SalvagedTables(found, counts, head)


def _follow_chain(name: str, parts: Mapping[str, Sequence[_Part]], before: str, left: int) -> tuple[Records, str, int]:
    """Return the records of a chained table after the checksum `before`, and their last checksum.

    The records end before the first one that is lost. The third value is what is `left` of the work.
    """
    records: Records = {}
    while left >= 0:
        id = str(len(records) + 1)
        for part in parts.get(id, ()):
            left -= part.work
            if left < 0 or part.has_checksum(name, before):
                break
        else:
            return records, before, left
        left -= _PARSE_WORK * len(part.body)
        record = part.parse() if left >= 0 else None
        if record is None:
            break
        records[id], before = record, part.total
    return {}, "", left


def _longest_log(files: Sequence[bytes]) -> tuple[dict[str, int] | None, str]:
    """Return counts and head from the intact seal record with the longest log."""
    best: tuple[dict[str, int] | None, str] = (None, "")
    for part in _seals(files):
        last = part.parse() if part.has_checksum("seal") else None
        counts = last.get("counts") if last is not None else None
        if last is None or not isinstance(counts, dict) or len(counts) > _MOST_TABLES:
            continue
        if not all(type(count) is int for count in counts.values()):
            continue
        if best[0] is None or counts.get(CHAINED, 0) > best[0].get(CHAINED, 0):
            best = counts, str(last.get("head", ""))
    return best


def _seals(files: Sequence[bytes]) -> Iterator[_Part]:
    """Yield what may be the seal's own record."""
    for data in files:
        for mark in islice(_SEAL.finditer(data), _MOST_SEALS):
            start = data.rfind(b'"1":{', max(0, mark.start() - _LONGEST_SEAL), mark.start())
            if start >= 0:
                yield _part(data, b"1", start + len('"1":'), mark.start(), mark[1])


def _parts(files: Sequence[bytes]) -> Iterator[_Part]:
    """Yield what may be a record, file by file and from the front to the back."""
    for data in files:
        openings: deque[re.Match[bytes]] = deque(maxlen=_MOST_OPENINGS)
        for mark in islice(_MARK.finditer(data), _MOST_MARKS):
            if mark[1] is not None:
                openings.append(mark)
                continue
            for opening in reversed(openings):  # the nearest opening first
                yield _part(data, opening[1], opening.end() - 1, mark.start(), mark[2])
            openings.clear()


def _part(data: bytes, id: bytes, start: int, end: int, total: bytes) -> _Part:
    # A comma stands before the checksum unless the record is empty.
    end -= data[end - 1 : end] == b"," and end - start > 1
    return _Part(id.decode(), memoryview(data)[start:end], total.decode())


def find_contradiction(damaged: bytes, copy: bytes) -> str:
    """Return why an intact `copy` can't be the second copy of a `damaged` file with a log, or an empty text.

    A second copy is of the same save as the file, or of the next one. So each intact record of the damaged log must be in
    the log of the copy; if both are of the same save, this holds for all other tables, too.

    Parameters
    ----------
    damaged
        Bytes of the damaged file.
    copy
        Bytes of an intact file. One without tables, such as ``study.toml``, is not compared.
    """
    if not copy.startswith(b"{"):
        return ""
    tables: Mapping[str, Records] = parse_json(copy)
    if CHAINED not in tables:
        return ""
    sums = {(name, id): record["sum"] for name, records in tables.items() for id, record in records.items()}
    parts = []
    left = _MOST_WORK
    for part in _parts([damaged]):
        left -= part.work * (len(CHAINS) * _MOST_OPENINGS + _MOST_TABLES)
        if left < 0:
            return "it has more parts than any file of ratui"
        parts.append(part)
    counts, head = _longest_log([damaged])
    lengths, why = _compare_chains(parts, sums, len(tables.get(BEGIN, {})))
    if counts is not None:
        lengths = {name: counts.get(name, 0) for name in CHAINS}
        length = lengths[CHAINED]
        if not why and length and sums.get((CHAINED, str(length))) != head:
            why = "its log does not contain the log of the damaged file"
    if why or any(length != len(tables.get(name, {})) for name, length in lengths.items()):
        return why
    for part in parts:
        for name in tables.keys() - {*CHAINS, "seal"}:
            if part.has_checksum(name) and sums.get((name, part.id)) != part.total:
                return f"record {part.id} of its {name} differs"
    return ""


def _compare_chains(
    parts: Sequence[_Part], sums: Mapping[tuple[str, str], object], films: int
) -> tuple[dict[str, int], str]:
    """Compare the intact records of chained tables with the checksums of a copy, which has a number of `films`.

    Return the number of the last intact record by table, and a difference or an empty text.
    """
    stated: dict[str, list[str]] = {"0": [""]}
    for part in parts:
        known = stated.setdefault(part.id, [])
        if part.total not in known and len(known) < _MOST_OPENINGS:
            known.append(part.total)
    films_end = str(sums.get((BEGIN, str(films)), ""))
    lengths = dict.fromkeys(CHAINS, 0)
    for part in parts:
        for name in CHAINS:
            is_first = (name, part.id) == (CHAINED, "1")
            # The record before may be damaged: then its checksum, as stated in the file, still proves this one.
            if any(
                part.has_checksum(name, before)
                for before in ([films_end] if is_first else stated.get(str(int(part.id) - 1), []))
            ):
                if sums.get((name, part.id)) != part.total:
                    return lengths, f"record {part.id} of its {name} differs"
                lengths[name] = max(lengths[name], int(part.id))
    return lengths, ""

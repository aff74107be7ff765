"""Journals of a study: one append-only chain of records per account for the files that are not readings.

A record is appended and fsynced before its file is replaced, so that no change is on the disk without its record. A second
record, ``done``, follows the change. A journal is a file of lines::

    {"n":1,"at":"2026-11-28T19:30:00.123+00:00","do":"write","path":"regions/C-1.json","before":"","after":"5f…","chain":"…"}
    {"n":2,"at":"2026-11-28T19:30:00.126+00:00","do":"done","of":1,"chain":"…"}

``before`` and ``after`` are the SHA-256 of the file's content, empty for no file. ``chain`` is the SHA-256 of the record and
of the ``chain`` before it. So a line can't be changed, removed or inserted without a change of every line after it.

``do`` is ``write``; ``done`` or ``undone`` (the write number ``of`` did or did not take place); ``first`` (the file existed
before the journal); ``accept`` (an unrecorded change was accepted by hand). An ``event`` is something that changes no file
of the study, such as an export; it has the values ``event`` and ``detail`` in place of a path.

Each account writes only its own file, so that a damaged journal does not stop other accounts. `history` compares the records
with the files.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ratui.bounded_parsing import parse_json
from ratui.study.store.open_folder import NO_LINK

__all__ = [
    "JOURNAL_SUFFIX",
    "LARGEST_JOURNAL",
    "JournalFile",
    "JournalRecord",
    "parse_journal",
    "read_journal",
    "read_journals",
]

JOURNAL_SUFFIX = ".jsonl"
_KINDS = ("write", "first", "accept")
_OUTCOMES = ("done", "undone")
_EVENT = "event"
_TEXTS = ("at", "path", "before", "after", "chain", "event", "detail")
_DIGEST = re.compile(r"(?:[0-9a-f]{64})?")
LARGEST_JOURNAL = 64_000_000
"""Limit of a journal's size in bytes: 150,000 changes. An account begins another one when half of it is reached."""
_MOST_OF_ACCOUNT = 256_000_000  # bytes of all journals of one account that are read


@dataclass(frozen=True)
class JournalRecord:
    """A record of a journal.

    Attributes
    ----------
    number
        Its number in the journal, from 1.
    at
        Time, ISO 8601 in UTC.
    kind
        ``write``, ``first``, ``accept``, ``done``, ``undone`` or ``event``.
    path
        The file inside the study; empty for ``done``, ``undone`` and ``event``.
    before, after
        SHA-256 of its content before and after; empty for no file.
    of
        Number of the write that is ``done`` or ``undone``; 0 for other kinds.
    chain
        SHA-256 of this record and of the chain before it.
    event, detail
        Name and description of an event; empty for other kinds.
    """

    number: int
    at: str
    kind: str
    path: str = ""
    before: str = ""
    after: str = ""
    of: int = 0
    chain: str = ""
    event: str = ""
    detail: str = ""

    def to_line(self, chain_before: str) -> tuple[str, bytes]:
        """Return the chain value of this record after `chain_before`, and its line."""
        body: dict[str, Any] = {"n": self.number, "at": self.at, "do": self.kind}
        if self.kind in _OUTCOMES:
            body["of"] = self.of
        elif self.kind == _EVENT:
            body |= {"event": self.event, "detail": self.detail}
        else:
            body |= {"path": self.path, "before": self.before, "after": self.after}
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        chain = hashlib.sha256(f"{chain_before}\n{text}".encode()).hexdigest()
        return chain, f'{text[:-1]},"chain":"{chain}"}}\n'.encode()

    @classmethod
    def from_line(cls, line: bytes) -> JournalRecord:
        """Return the record in a line. Raises ValueError for anything else; the chain is not checked."""
        try:
            raw = parse_json(line, max_items=1000)
            if not isinstance(raw, dict) or raw.get("do") not in (*_KINDS, *_OUTCOMES, _EVENT):
                raise ValueError("not a record")
            texts = {name: raw.get(name, "") for name in _TEXTS}
            numbers = {"n": raw["n"], "of": raw.get("of", 0)}
            if not all(isinstance(text, str) for text in texts.values()) or not all(
                type(number) is int for number in numbers.values()
            ):
                raise ValueError("a value has the wrong type")
            if not all(_DIGEST.fullmatch(texts[name]) for name in ("before", "after", "chain")):
                raise ValueError("a digest is not valid")
            return cls(
                numbers["n"],
                texts["at"],
                str(raw["do"]),
                texts["path"],
                texts["before"],
                texts["after"],
                numbers["of"],
                texts["chain"],
                texts["event"],
                texts["detail"],
            )
        except (KeyError, RecursionError, UnicodeDecodeError) as error:
            raise ValueError("not a record") from error


@dataclass(frozen=True)
class JournalFile:
    """A journal as read from the disk.

    Attributes
    ----------
    name
        Its file name without the suffix: the account's name, with a number after a point if it is not the first.
    uid
        Number of the account that owns the file.
    records
        Its records, in order. Records after a damaged line are included if they continue the chain that the line before
        them states.
    problem
        Description of the first damage or change; empty for an intact journal.
    """

    name: str
    uid: int
    records: tuple[JournalRecord, ...]
    problem: str = ""

    @property
    def head(self) -> str:
        """Chain value of the last record; empty without records."""
        return self.records[-1].chain if self.records else ""

    def outcomes(self) -> Mapping[int, str]:
        """Return ``done`` or ``undone`` by the number of the write."""
        return {record.of: record.kind for record in self.records if record.kind in _OUTCOMES}


def read_journals(folder: int) -> tuple[JournalFile, ...]:
    """Return all journals in the folder with the open descriptor `folder`, by name. Raises OSError.

    If one account has more journals than ratui writes, the rest of them is not read and has a `problem`.
    """
    found = []
    left: Counter[int] = Counter()
    for entry in sorted(name for name in os.listdir(folder) if name.endswith(JOURNAL_SUFFIX)):
        name = entry.removesuffix(JOURNAL_SUFFIX)
        seen = os.stat(entry, dir_fd=folder, follow_symlinks=False)
        left[seen.st_uid] += seen.st_size
        if left[seen.st_uid] > _MOST_OF_ACCOUNT:
            found.append(
                JournalFile(name, seen.st_uid, (), "not read: its account has more journals than ratui writes")
            )
        else:
            found.append(read_journal(folder, name))
    return tuple(found)


def read_journal(folder: int, name: str) -> JournalFile:
    """Return the journal `name` in the folder with the open descriptor `folder`. A damaged one has a `problem`.

    An unfinished last line is no damage: its writer was interrupted before the change that it announces.
    """
    try:
        descriptor = os.open(f"{name}{JOURNAL_SUFFIX}", NO_LINK, dir_fd=folder)
    except OSError as error:
        return JournalFile(name, -1, (), f"it can't be read: {error.strerror}")
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return JournalFile(name, found.st_uid, (), "it is not a regular file")
        if found.st_size > LARGEST_JOURNAL:
            return JournalFile(name, found.st_uid, (), "it is larger than any that ratui writes")
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(LARGEST_JOURNAL)
    except OSError as error:
        return JournalFile(name, -1, (), f"it can't be read: {error.strerror}")
    finally:
        os.close(descriptor)
    records, problem = parse_journal(data)
    return JournalFile(name, found.st_uid, records, problem)


def parse_journal(data: bytes) -> tuple[tuple[JournalRecord, ...], str]:
    """Return the records in the bytes of a journal, and the first problem or an empty text."""
    records: list[JournalRecord] = []
    problem, chain, expected = "", "", 1
    for number, line in enumerate(data[: data.rfind(b"\n") + 1].splitlines(), start=1):
        try:
            record = JournalRecord.from_line(line)
        except ValueError:
            problem = problem or f"line {number} is damaged"
            expected += 1
            continue
        if record.to_line(chain)[1] != line + b"\n":
            problem = problem or f"line {number} does not continue the chain of the lines before it"
        elif record.number != expected or not _is_valid_outcome(record, records):
            problem = problem or f"line {number} is out of order"
        else:
            records.append(record)
        # Go on with the chain that the line states: one damaged line then hides no later record.
        chain, expected = record.chain, record.number + 1
    return tuple(records), problem


def _is_valid_outcome(record: JournalRecord, before: list[JournalRecord]) -> bool:
    """Return whether a record ``done`` or ``undone`` follows its write directly, as `_OpenJournal` writes them."""
    if record.kind not in _OUTCOMES:
        return True
    return record.of == record.number - 1 and (
        not before or before[-1].number != record.of or before[-1].kind == "write"
    )

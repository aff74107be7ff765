"""The state of a study at one moment, as digests: its facts, its journals, its readings and its other files.

A fact is a value that never changes once it is stored: the pixels, spacing, visit and day of a film, the order in which a
rater sees the visits, and the settings that decide about both. Journals and logs of readings only grow. All other files may
change, but each change has a record in a journal.

A state is read from a study, or from a backup without unpacking it.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ratui.errors import StoreError
from ratui.reading import migrate_document
from ratui.study.store.folder import StudyFolder
from ratui.study.store.journal import JOURNAL_SUFFIX, LARGEST_JOURNAL, parse_journal
from ratui.study.store.journaling import JOURNAL, PRIVATE_JOURNAL, is_recorded, list_recorded_files
from ratui.study.store.seal import Records, has_intact_seal, open_seal, read_chains, record_checksum

__all__ = [
    "LISTED",
    "ArchiveSource",
    "FolderSource",
    "ReadingState",
    "StateSource",
    "StudyState",
    "read_log",
    "read_state",
]

LISTED = ", in the list of films"
"""End of the name of a visit in the list that all may read. A blinded study of format 3 has visits in ``private`` only."""
RESTORED = "restored"
"""Folder with restored readings that wait for the accounts of their raters."""
_LARGEST_FILE = 64_000_000
_DIGEST_BYTES = 16
_PRIVATE = ("private/", "visit ", "film ", "order ", "films/")
"""Beginnings of the names of facts and files that only managers may know."""
_ODD = (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError, StoreError)


class StateSource(Protocol):
    """A study or a backup from which a state can be read."""

    def names(self) -> Iterable[str]:
        """Return the paths of all files that count, sorted."""
        ...

    def read(self, name: str) -> bytes | None:
        """Return the bytes of a file, of its intact copy if one is damaged; None without the file. Raises StoreError."""
        ...


class FolderSource:
    """The files of a study's folder."""

    def __init__(self, folder: StudyFolder) -> None:
        self._folder = folder

    def names(self) -> Iterable[str]:
        """Return the paths of all recorded files, readings and journals that this account can list."""
        folder = self._folder
        found = list_recorded_files(folder)
        for above in ("readings", RESTORED):
            for rater in folder.folders(above):
                try:
                    names = folder.files(f"{above}/{rater}", ".json")
                except StoreError:
                    continue  # its account has closed it; the check of the access reports that
                found += [f"readings/{rater}/{name}" for name in names if name[0] != "."]
        for above in (JOURNAL, PRIVATE_JOURNAL):
            try:
                found += [f"{above}/{name}" for name in folder.files(above, JOURNAL_SUFFIX)]
            except StoreError:
                continue  # this account can't open ``private``
        return sorted(set(found))

    def damaged(self) -> Iterator[str]:
        """Yield the path of each table file whose first copy is damaged, also if its second copy is intact."""
        for name in self.names():
            if name.endswith(".json"):
                try:
                    data = self._folder.read(name, _LARGEST_FILE)
                except FileNotFoundError:
                    continue
                if not has_intact_seal(data):
                    yield name

    def read(self, name: str) -> bytes | None:
        """Return the bytes of the first intact copy of a file, or of a damaged one; None without the file.

        A reading may wait in the folder of restored readings until its rater goes on.
        """
        largest = LARGEST_JOURNAL if name.endswith(JOURNAL_SUFFIX) else _LARGEST_FILE
        first: bytes | None = None
        copies = [name, f"{name}.bak"]
        if name.startswith("readings/"):
            copies += [f"{RESTORED}/{copy.partition('/')[2]}" for copy in copies]
        for copy in copies:
            try:
                data = self._folder.read(copy, largest)
            except FileNotFoundError:
                continue
            if not name.endswith(".json") or has_intact_seal(data):
                return data
            first = first or data
        return first


class ArchiveSource:
    """The files of an open backup; `sums` are the SHA-256 of its files by name, which `read` verifies."""

    def __init__(self, sums: Mapping[str, str], read: Callable[[str], bytes]) -> None:
        self._sums = sums
        self._read = read

    def names(self) -> Iterable[str]:
        """Return the paths of all recorded files, readings and journals in the backup."""
        found = {name for name in self._sums if is_recorded(name) or _is_chain(name)}
        waiting = {name for name in self._sums if name.startswith(f"{RESTORED}/") and name.count("/") == 2}
        return sorted(found | {f"readings/{name.partition('/')[2]}" for name in waiting if name.endswith(".json")})

    def read(self, name: str) -> bytes | None:
        """Return the bytes of a file; None without it."""
        if name.startswith("readings/") and name not in self._sums:
            name = f"{RESTORED}/{name.partition('/')[2]}"
        return self._read(name) if name in self._sums else None


def _is_chain(name: str) -> bool:
    """Return whether the file `name` is a reading or a journal."""
    return (name.startswith("readings/") and name.endswith(".json")) or (
        name.startswith((f"{JOURNAL}/", f"{PRIVATE_JOURNAL}/")) and name.endswith(JOURNAL_SUFFIX)
    )


@dataclass(frozen=True)
class ReadingState:
    """The state of one reading.

    Attributes
    ----------
    chains
        Number of records and last checksum of each chained table of the file: films, log, times.
    entries
        Number of log entries, and the last checksum of the log in today's format, without times. A file of an older format
        is converted when it is next saved; this checksum stays.
    seconds
        Time spent on the reading.
    displays
        By protocol: entries, those made too coarsely, and the smallest resolution.
    digest
        SHA-256 of the file: if it is the same, all other values are.
    """

    chains: Sequence[Sequence[Any]]
    entries: Sequence[Any]
    seconds: float = 0.0
    displays: Mapping[str, Sequence[float]] = field(default_factory=dict)
    digest: str = ""


@dataclass
class StudyState:
    """The state of a study.

    Attributes
    ----------
    facts
        Hash of each fact by its name, such as ``film C-1 0a1b: spacing``.
    journals
        Number of records and last chain value of each journal, by its path.
    readings
        State of each reading, by its path.
    files
        SHA-256 of each recorded file, by its path.
    """

    facts: dict[str, str] = field(default_factory=dict)
    journals: dict[str, Sequence[Any]] = field(default_factory=dict)
    readings: dict[str, ReadingState] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> StudyState:
        """Return the state in the values of `to_record`. Raises KeyError, TypeError or ValueError for anything else."""
        return cls(
            {str(name): str(value) for name, value in record["facts"].items()},
            {str(name): (int(count), str(head)) for name, (count, head) in record["journals"].items()},
            {str(name): ReadingState(**values) for name, values in record["readings"].items()},
            {str(name): str(digest) for name, digest in record["files"].items()},
        )

    def to_record(self) -> dict[str, Any]:
        """Return the state as values for JSON."""
        readings = {
            name: {
                "chains": [list(chain) for chain in state.chains],
                "entries": list(state.entries),
                "seconds": state.seconds,
                "displays": {protocol: list(use) for protocol, use in state.displays.items()},
                "digest": state.digest,
            }
            for name, state in self.readings.items()
        }
        journals = {name: list(journal) for name, journal in self.journals.items()}
        return {"facts": self.facts, "journals": journals, "readings": readings, "files": self.files}

    def split_private(self) -> tuple[StudyState, StudyState]:
        """Return the part that each member of the study may know, and the part that only managers may know.

        The films that a case has at this moment are private: they are often those of the first visit only.
        """
        parts = (StudyState(readings=self.readings), StudyState())
        for name in ("facts", "journals", "files"):
            for key, value in getattr(self, name).items():
                getattr(parts[key.startswith(_PRIVATE)], name)[key] = value
        return parts

    def merge(self, other: StudyState) -> StudyState:
        """Return the state with the parts of both."""
        return StudyState(
            {**self.facts, **other.facts},
            {**self.journals, **other.journals},
            {**self.readings, **other.readings},
            {**self.files, **other.files},
        )


def read_state(source: StateSource, *, readings: bool = True) -> StudyState:
    """Return the state of a study, without its readings if `readings` is False.

    Files that are damaged are left out: ``ratui check`` reports them. Raises StoreError if the study can't be listed.
    """
    state = StudyState()
    for name in source.names():
        if name.startswith("readings/") and not readings:
            continue
        try:
            data = source.read(name)
            if data is None:
                continue
            if name.endswith(JOURNAL_SUFFIX):
                records, problem = parse_journal(data)
                if not problem:
                    state.journals[name] = (len(records), records[-1].chain if records else "")
            elif name.startswith("readings/"):
                state.readings[name] = _read_reading(data)
            else:
                state.files[name] = hashlib.sha256(data).hexdigest()
                state.facts.update(_hash_facts(name, data))
        except _ODD:
            continue
    return state


def _hash_facts(name: str, data: bytes) -> Mapping[str, str]:
    found = {}
    for fact, value in _facts(name, data):
        text = json.dumps(value, separators=(",", ":"), sort_keys=True)
        found[fact] = hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).hexdigest()
    return found


def _facts(name: str, data: bytes) -> Iterator[tuple[str, Any]]:
    """Yield the facts in one file."""
    parts = name.split("/")
    if name == "study.toml":
        settings = tomllib.loads(data.decode())
        for key in ("id", "blinded", "scheme"):
            yield f"setting {key}", settings[key]
        for rater in settings["raters"]:
            yield f"setting rater {rater}", True
    elif parts[0] == "films":
        tables = open_seal(data).tables
        for film in tables["films"].values():
            yield from _film_facts(parts[1], film)
        for record in tables.get("positions", {}).values():
            count = len(record["positions"])
            for position, films in enumerate(record["positions"]):
                for film in films:
                    yield f"order of {count} visits of {parts[1]} for {record['rater']}: {film}", position
    elif parts[:2] == ["private", "visits"]:
        for visit in open_seal(data).tables["visits"].values():
            yield from _visit_facts(parts[2].removesuffix(".json"), visit["film"], visit["visit"], visit["day"])


def _film_facts(case: str, film: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    about = f"film {film['id']} of {case}"
    yield f"{about}: view", [film[key] for key in ("side", "view", "rows", "columns")]
    yield f"{about}: aspect", film.get("aspect", 1.0)
    yield f"{about}: spacing", film["spacing"]
    if film.get("spacing_source"):
        yield f"{about}: origin of the spacing", film["spacing_source"]
    yield f"{about}: content", film["file"]
    if "time" in film:
        yield from _visit_facts(case, film["id"], film["time"], film.get("day"), LISTED)


def _visit_facts(case: str, film: str, visit: int, day: int | None, where: str = "") -> Iterator[tuple[str, Any]]:
    yield f"visit of film {film} of {case}{where}", visit
    yield f"visit of film {film} of {case}: day{where}", day


def _read_reading(data: bytes) -> ReadingState:
    tables = open_seal(data).tables
    meta = next(iter(tables["meta"].values()))
    chains = read_chains(tables)
    return ReadingState(
        [_head(chain) for chain in (chains.films, chains.log, chains.times)],
        _head(read_log(tables)),
        float(meta.get("seconds", 0.0)),
        {
            str(use["protocol"]): [int(use["entries"]), int(use["below"]), float(use["least"])]
            for use in meta.get("displays", [])
        },
        hashlib.sha256(data).hexdigest(),
    )


def _head(chain: Sequence[str]) -> tuple[int, str]:
    return len(chain), chain[-1] if chain else ""


def read_log(tables: Mapping[str, Records]) -> tuple[str, ...]:
    """Return the checksums of a reading's log in today's format, without times, whatever the format of its file is.

    Raises an error of one of several kinds if `tables` are not those of a reading.
    """
    stored = {name: list(tables.get(name, {}).values()) for name in ("fields", "log")}
    document = migrate_document({"meta": next(iter(tables["meta"].values())), **stored})
    found: list[str] = []
    for number, entry in enumerate(document["log"], start=1):
        # The order of the values in a file depends on its format.
        body = json.dumps({key: value for key, value in entry.items() if key != "seconds"}, sort_keys=True)
        found.append(record_checksum("log", str(number), found[-1] if found else "", body.encode()))
    return tuple(found)

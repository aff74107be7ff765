"""Evidence in a reading's file of how the reading was made: its films, and the time spent at each entry.

Table ``seen`` has one record for each film that the case had when the reading was first saved: ``position`` on the screen,
``film`` (its ID) and ``content``, a keyed hash of the film's file. The chain of the log begins with it; films that came
later are named in the log. Each record of the log has ``seconds``, the time spent on the reading
at that entry. Table ``times`` has a record for each save without an entry, such as at the end of a session. Both tables are
chained, so that neither can be changed later without a change of every checksum after it.

Readings of format 3 and older have neither; their entries stay without ``seconds``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, TypeAlias

from ratui.study.case import Case
from ratui.study.display_use import DisplayUse, add_entry
from ratui.study.store import StoredTables

__all__ = ["ReadingEvidence", "find_clock_steps", "find_evidence_faults", "hash_film", "rebuild_use"]

Records: TypeAlias = Sequence[Mapping[str, Any]]
_LARGEST_STEP = timedelta(seconds=2)
"""Backward step of a clock that is not reported: network time moves clocks by less."""
_MOST_STEPS = 10  # reported for one reading
_HASH_BYTES = 16


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


@dataclass(frozen=True)
class ReadingEvidence:
    """The evidence in one reading's file.

    Attributes
    ----------
    films
        Records of the table ``seen``.
    seconds
        Time spent at each entry of the log, in seconds; None for entries of older versions.
    times
        Records of the table ``times``.
    """

    films: Records = ()
    seconds: tuple[float | None, ...] = ()
    times: Records = ()

    @classmethod
    def from_tables(
        cls, stored: StoredTables | None, positions: Sequence[Sequence[str]], case: Case, study: str
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
        return cls(films, seconds, tables.get("times", []))

    def after_save(self, entries: int, spent: float, before: float) -> ReadingEvidence:
        """Return the evidence after a save.

        Parameters
        ----------
        entries
            Number of log entries.
        spent
            Time spent on the reading, in seconds.
        before
            The same at the last save.
        """
        spent = round(spent, 1)
        if entries > len(self.seconds):
            return replace(self, seconds=(*self.seconds, *[spent] * (entries - len(self.seconds))))
        if spent == round(before, 1):
            return self
        return replace(self, times=(*self.times, {"entries": entries, "seconds": spent}))

    def add_to(self, tables: Mapping[str, Sequence[dict[str, Any]]]) -> dict[str, Records]:
        """Return the tables of a reading with this evidence; the records of the log are changed in place."""
        log = tables["log"]
        for entry, seconds in zip(log, self.seconds, strict=True):
            if seconds is not None:
                entry["seconds"] = seconds
        others = {name: records for name, records in tables.items() if name != "log"}
        return {**others, "seen": self.films, "log": log, "times": self.times}


def find_evidence_faults(tables: Mapping[str, Records], case: Case, study: str) -> list[str]:
    """Find contradictions between the parts of a reading's file, and between its films and those of the case.

    Parameters
    ----------
    tables
        Tables of the file. One without the table ``seen`` is of an older version, and has no faults.
    case
        The case with its films as they are now.
    study
        ID of the study.

    Raises
    ------
    KeyError, TypeError, ValueError
        If a value has another type than ratui writes.
    """
    if "seen" not in tables:
        return []
    others = _find_other_films(tables["seen"], tables["log"], case, study)
    return [*others, *_find_time_faults(tables), *_find_display_faults(tables)]


def _later_films(log: Records) -> list[tuple[str, str]]:
    """Return the ID and the keyed hash of each film that was added after the first save, as the log names them."""
    notes = [str(entry["note"]).split() for entry in log if entry["kind"] == "films"]
    added = [word[1:].partition(":") for words in notes for word in words if word.startswith("+")]
    return [(film, content) for film, _, content in added]


def _find_other_films(seen: Records, log: Records, case: Case, study: str) -> list[str]:
    present = {film.id: hash_film(study, film.file) for film in case.films}
    withdrawn = dict(case.withdrawn)
    found = []
    for film, content in [*((str(record["film"]), record["content"]) for record in seen), *_later_films(log)]:
        if film in withdrawn:
            continue
        if film not in present:
            found.append(f"it was made on the film {film}, which the case does not have")
        elif content and content != present[film]:
            found.append(f"it was made on another version of the film {film}")
    return found


def rebuild_use(tables: Mapping[str, Records]) -> Mapping[str, Any]:
    """Return the values ``seconds`` and ``displays`` of a reading's ``meta`` that follow from its log.

    Empty for readings of older versions. Errors as in `find_evidence_faults`.
    """
    spent = _spent(tables)
    if "seen" not in tables or not spent or not all("seconds" in entry for entry in tables["log"]):
        return {}
    return {"seconds": spent[-1], "displays": [use.to_record() for use in _displays(tables)]}


def _spent(tables: Mapping[str, Records]) -> list[float]:
    """Return the time spent at each save, in seconds."""
    log, times = tables["log"], tables.get("times", [])
    steps = [
        (float(number), float(entry["seconds"])) for number, entry in enumerate(log, start=1) if "seconds" in entry
    ]
    steps += [(int(record["entries"]) + 0.5, float(record["seconds"])) for record in times]
    return [seconds for _, seconds in sorted(steps, key=lambda step: step[0])]


def _displays(tables: Mapping[str, Records]) -> tuple[DisplayUse, ...]:
    """Return the displays of the entries in the log."""
    uses: tuple[DisplayUse, ...] = ()
    for entry in tables["log"]:
        if (display := entry["display"]) is not None:
            uses = add_entry(
                uses, str(display["protocol"]), float(display["pixels_per_mm"]), enough=display["is_sufficient"] is True
            )
    return uses


def _find_time_faults(tables: Mapping[str, Records]) -> list[str]:
    spent = _spent(tables)
    if not spent:
        return []
    if any(now < before for before, now in pairwise(spent)):
        return ["the time spent on it decreases in its log"]
    stated = float(tables["meta"][0]["seconds"])
    return [] if stated == spent[-1] else [f"it states {stated:g} s of reading, but its log {spent[-1]:g} s"]


def _find_display_faults(tables: Mapping[str, Records]) -> list[str]:
    uses = _displays(tables)
    expected = {use.protocol: use for use in uses}
    stated = {use.protocol: use for use in map(DisplayUse.from_record, tables["meta"][0]["displays"])}
    if all("seconds" in entry for entry in tables["log"]):
        agrees = stated == expected
    else:  # entries of older versions have no display
        agrees = all(
            use.protocol in stated
            and stated[use.protocol].entries >= use.entries
            and stated[use.protocol].below >= use.below
            and stated[use.protocol].least <= use.least
            for use in uses
        )
    return [] if agrees else ["the displays that it states are not those of its log"]


def find_clock_steps(log: Records) -> list[str]:
    """Return remarks on entries whose time is before that of the entry before them: the clock was set back."""
    found = []
    last: datetime | None = None
    for number, entry in enumerate(log, start=1):
        if entry["at"] is None:
            continue
        at = datetime.fromisoformat(entry["at"])
        if last is not None and last - at > _LARGEST_STEP:
            found.append(f"the clock was set back by {last - at} before entry {number}")
        last = at
    return found[:_MOST_STEPS]

"""Check the evidence in a reading's file of how the reading was made: its films, and the time spent at each entry.

`ratui.study.readings.reading_session` describes its tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from ratui.study.case import Case
from ratui.study.readings.reading_session import DisplayUse, Records, add_entry
from ratui.study.readings.stored_reading import hash_film

__all__ = ["find_clock_steps", "find_evidence_faults", "rebuild_use"]

_LARGEST_STEP = timedelta(seconds=2)
"""Backward step of a clock that is not reported: network time moves clocks by less."""
_MOST_STEPS = 10  # reported for one reading


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

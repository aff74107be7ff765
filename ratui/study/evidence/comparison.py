"""Comparison of a study with an earlier state of it: a sealed root or a backup.

Facts must be the same, journals and logs must continue those of before, and a file may have changed only if a journal has a
record of it since then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ratui.errors import StoreError
from ratui.study.evidence.state import LISTED, ReadingState, StateSource, StudyState, read_log, read_state
from ratui.study.store.journal import JournalRecord, parse_journal
from ratui.study.store.journaling import journal_of
from ratui.study.store.seal import Records, open_seal, read_chains

__all__ = ["Difference", "compare_states"]

_ODD = (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError)


@dataclass(frozen=True)
class Difference:
    """A difference to an earlier state.

    Attributes
    ----------
    item
        The file or the fact.
    problem
        Description.
    is_fault
        False for a change that is recorded in a journal, or that can't be compared.
    """

    item: str
    problem: str
    is_fault: bool = True


def compare_states(before: StudyState, source: StateSource, since: str) -> list[Difference]:
    """Compare a study with an earlier state of it.

    Parameters
    ----------
    before
        The earlier state.
    source
        The study as it is now.
    since
        Name of the earlier state for messages, such as ``the backup``.

    Raises
    ------
    StoreError
        The study can't be listed.
    """
    now = read_state(source, readings=False)
    found = list(_compare_facts(before.facts, now.facts, since))
    changes: dict[str, JournalRecord] = {}
    broken: set[str] = set()
    for name, (count, head) in before.journals.items():
        records, problem = _continued_journal(source, name, int(count), str(head), since)
        if problem:
            found.append(Difference(name, problem))
            broken.add(name.rpartition("/")[0])
        changes.update({record.path: record for record in records if record.path})
    for name in sorted(set(now.journals) - set(before.journals)):
        changes.update({record.path: record for record in _records(source, name) if record.path})
    for name, state in before.readings.items():
        problem = _compare_reading(source, name, state, since)
        if problem:
            found.append(Difference(name, problem))
    for name, digest in before.files.items():
        if now.files.get(name) != digest:
            has_record = name in changes and journal_of(name) not in broken
            found.append(_changed_file(name, name in now.files, changes[name] if has_record else None, since))
    return found


def _compare_facts(before: Mapping[str, str], now: Mapping[str, str], since: str) -> Iterator[Difference]:
    can_see_visits = any(name.startswith("visit ") for name in now)
    for name, value in before.items():
        if now.get(name) == value:
            continue
        if name not in now and name.endswith(LISTED) and now.get(name.removesuffix(LISTED)) == value:
            continue  # moved into ``private`` by the conversion to format 3
        if name not in now:
            # An order of visits is drawn anew when a visit is added: then it has another name.
            if name.startswith("order ") or (name.startswith("visit ") and not can_see_visits):
                continue
            yield Difference(name, f"it is missing, but was there in {since}")
        else:
            yield Difference(name, f"it differs from {since}; it can't change in a study")
    if not can_see_visits and any(name.startswith("visit ") for name in before):
        yield Difference("private", f"not compared with {since}: this account can't open it", is_fault=False)


def _records(source: StateSource, name: str) -> Sequence[JournalRecord]:
    try:
        data = source.read(name)
    except StoreError:
        data = None
    return parse_journal(data)[0] if data is not None else ()


def _continued_journal(
    source: StateSource, name: str, count: int, head: str, since: str
) -> tuple[Sequence[JournalRecord], str]:
    """Return the records of a journal after the first `count`, and a problem unless it continues the journal of before."""
    if name.startswith("private/") and not any(each.startswith("private/") for each in source.names()):
        return (), ""  # this account can't open it
    records = _records(source, name)
    if count and (len(records) < count or records[count - 1].chain != head or records[count - 1].number != count):
        return (), f"it does not continue the journal in {since}"
    return records[count:], ""


def _compare_reading(source: StateSource, name: str, before: ReadingState, since: str) -> str:
    """Return a problem unless the reading `name` continues its state of before."""
    try:
        data = source.read(name)
    except StoreError as error:
        return error.problem
    if data is None:
        return f"it is missing, but was there in {since}" if before.entries[0] else ""
    if hashlib.sha256(data).hexdigest() == before.digest:
        return ""
    try:
        tables = open_seal(data).tables
    except ValueError:
        return ""  # damaged: ``ratui check`` reports that
    try:
        problem = _compare_chains(tables, before, since)
        return problem or _compare_use(next(iter(tables["meta"].values())), before, since)
    except (StoreError, *_ODD):
        return "it has values that ratui does not write"


def _compare_chains(tables: Mapping[str, Records], before: ReadingState, since: str) -> str:
    films, log, times = before.chains
    if not films[
        0
    ]:  # of an older version: it may have got its films since then, with which the chain of its log begins
        return "" if _begins_with(read_log(tables), before.entries) else f"its log does not continue the log in {since}"
    chains = read_chains(tables)
    if len(chains.films) != films[0] or not _begins_with(chains.films, films):
        return f"its films are not those in {since}"
    if not _begins_with(chains.log, log):
        has_entries = _begins_with(read_log(tables), before.entries)
        problem = "the times of its entries differ from" if has_entries else "its log does not continue the log in"
        return f"{problem} {since}"
    return "" if _begins_with(chains.times, times) else f"the times of its saves differ from {since}"


def _begins_with(chain: Sequence[str], head: Sequence[Any]) -> bool:
    count, last = head
    return not count or (len(chain) >= count and chain[count - 1] == last)


def _compare_use(meta: Mapping[str, Any], before: ReadingState, since: str) -> str:
    """Return a problem if the time spent or a number of entries on a display is smaller than before."""
    if float(meta.get("seconds", 0.0)) < before.seconds:
        return f"it states less time of reading than in {since}"
    uses = {use["protocol"]: use for use in meta.get("displays", [])}
    for protocol, (entries, below, least) in before.displays.items():
        use = uses.get(protocol)
        if use is None or use["entries"] < entries or use["below"] < below or use["least"] > least:
            return f"its displays contradict those in {since}"
    return ""


def _changed_file(name: str, exists: bool, record: JournalRecord | None, since: str) -> Difference:
    what = "changed" if exists else "removed"
    if record is None:
        return Difference(name, f"it was {what} since {since}, and no journal records it")
    at = record.at[:16].replace("T", " ")
    return Difference(name, f"{what} since {since}, as recorded at {at} UTC", is_fault=False)

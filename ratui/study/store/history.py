"""Comparison of the journals with the present content of the files.

Pure functions. The changes of a file by all accounts are the edges of a graph whose nodes are contents. In a complete
record, the edges form one walk from "no file" to the present content that uses each edge once. This needs no common clock.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from ratui.study.store.journal import JournalFile, JournalRecord

__all__ = ["FileChange", "changes_by_path", "expected_contents", "explain_content", "first_content"]

_MOST_UNCERTAIN = 10
"""Interrupted writes of one file that are tried in all combinations: 1024 of them."""


@dataclass(frozen=True)
class FileChange:
    """A recorded change of one file.

    Attributes
    ----------
    account
        Name of the journal.
    record
        The record.
    is_certain
        False if the write was interrupted: it may have taken place or not.
    """

    account: str
    record: JournalRecord
    is_certain: bool = True

    def __str__(self) -> str:
        return f"{self.account}, {self.record.at[:16].replace('T', ' ')} UTC"


def changes_by_path(journals: Iterable[JournalFile]) -> Mapping[str, Sequence[FileChange]]:
    """Return the recorded changes of each file in all journals, those of one journal in their order."""
    found: dict[str, list[FileChange]] = defaultdict(list)
    for journal in journals:
        outcomes = journal.outcomes()
        for record in journal.records:
            if record.path:
                certain = record.kind != "write" or outcomes.get(record.number) == "done"
                found[record.path].append(FileChange(journal.name, record, certain))
    return found


def explain_content(changes: Sequence[FileChange], present: str) -> str:
    """Return why the recorded changes of a file do not lead to its `present` content, or an empty text if they do.

    Parameters
    ----------
    changes
        Recorded changes of one file, by any number of accounts.
    present
        SHA-256 of its content; empty if there is no file.
    """
    if any(_is_walk(edges, present) for edges in _possible(changes)):
        return ""
    if not any(change.is_certain for change in changes):
        return "no journal records its content" if present else "it is missing, and no journal records its removal"
    # Of changes at the same time the last one: those of one account are in their order.
    last = max(reversed([change for change in changes if change.is_certain]), key=lambda change: change.record.at)
    if not present:
        return f"it was removed without a record; the last recorded change: {last}"
    if present in expected_contents(changes):
        return f"changes before the present content are not recorded; the last recorded change: {last}"
    if any(present in (change.record.before, change.record.after) for change in changes):
        return f"it was replaced by an earlier version; the last recorded change: {last}"
    return f"it was changed without a record; the last recorded change: {last}"


def expected_contents(changes: Sequence[FileChange]) -> frozenset[str]:
    """Return the digests with which the recorded changes of a file can end; more than one after an interrupted write."""
    ends: set[str] = set()
    for edges in _possible(changes):
        degrees = _degrees(edges)
        ends |= {content for content, degree in degrees.items() if degree < 0} or {""}
    return frozenset(ends)


def first_content(changes: Sequence[FileChange]) -> str:
    """Return the content with which the recorded changes of a file begin, if it is not "no file" and is certain."""
    degrees = _degrees([change.record for change in changes if change.is_certain])
    starts = [content for content, degree in degrees.items() if degree > 0]
    return starts[0] if len(starts) == 1 else ""


def _possible(changes: Sequence[FileChange]) -> Iterable[list[JournalRecord]]:
    """Yield the changes that took place, for each combination of interrupted writes, the likeliest first."""
    certain = [change.record for change in changes if change.is_certain]
    uncertain = [change.record for change in changes if not change.is_certain][-_MOST_UNCERTAIN:]
    for count in range(len(uncertain) + 1):
        for some in combinations(uncertain, count):
            yield [*certain, *some]


def _degrees(edges: Sequence[JournalRecord]) -> Counter[str]:
    """Return by content how often it was replaced minus how often it came into being."""
    degrees: Counter[str] = Counter()
    for edge in edges:
        degrees[edge.before] += 1
        degrees[edge.after] -= 1
    return degrees


def _is_walk(edges: Sequence[JournalRecord], present: str) -> bool:
    """Return whether `edges` form one walk from no content to `present` (Euler's condition)."""
    degrees = _degrees(edges)
    degrees[""] -= 1
    degrees[present] += 1
    if any(degrees.values()):
        return False
    if not edges:
        return not present
    neighbours: dict[str, set[str]] = defaultdict(set)
    for edge in edges:
        neighbours[edge.before].add(edge.after)
        neighbours[edge.after].add(edge.before)
    reached: set[str] = set()
    border = [""]
    while border:
        content = border.pop()
        if content not in reached:
            reached.add(content)
            border += neighbours[content]
    return all(edge.before in reached for edge in edges)

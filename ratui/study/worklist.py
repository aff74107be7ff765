"""Worklists: the progress of each rater in each case, and an index of it, so that a large worklist opens at once.

The index is a cache of this account, outside the study: see `ratui.study.worklist_cache`. Its entry for a case counts only
while the case's files have the signatures that the entry records. It can be deleted at any time. A save does not touch it,
so that saving costs the same in a study of any size.
"""

from __future__ import annotations

import hashlib
import json
import stat
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any, Literal, TypeAlias, get_args

from ratui.bounded_parsing import parse_json
from ratui.errors import RatuiError, StoreError, clean_text
from ratui.scheme import Scheme
from ratui.stored_values import ODD_VALUE_ERRORS, as_list, as_number, as_text, as_time
from ratui.study.case import Case
from ratui.study.readings.film_changes import stored_film_changes
from ratui.study.readings.restored import RESTORED
from ratui.study.store import StudyFolder
from ratui.study.store.folder import FileSignature
from ratui.study.worklist_cache import WorklistCache

__all__ = [
    "CaseState",
    "Progress",
    "RaterWorklist",
    "Stage",
    "StudyFiles",
    "WorklistIndex",
    "summarize_reading",
]

_FORMAT = 9
_MOST_ITEMS = 50_000_000  # of the index; about thirty a case
_PROGRESS_STEP = 100  # cases between two calls of `progress`

Stage: TypeAlias = Literal["unassigned", "unreadable", "regions", "reading", "review", "signed", "changed"]
"""Next step of a rater in a case: ``regions`` to confirm, ``reading`` to complete, ``review`` to do and sign.

A ``changed`` case is signed, but its films have changed since; its rater has to reopen it.
A rater does not read an ``unassigned`` case: worklists leave it out.
"""
_STAGES = frozenset(get_args(Stage))
Progress: TypeAlias = Callable[[int, int], None]
"""Called with the number of cases done and the number of all cases."""
_FileSignature: TypeAlias = list[int] | None
"""[inode, modification time in ns, bytes] of a file, None without one; a list because JSON returns lists."""


@dataclass(frozen=True)
class CaseState:
    """Progress of a rater in the case `case`.

    Attributes
    ----------
    case
        Name of the case.
    stage
        Next step.
    done, total
        Number of fields answered, and of all fields.
    seconds
        Time spent on the case, in seconds.
    note
        Reason why the case can't be read, or a warning of damage; else empty.
    joints, joints_total
        Number of sites with all fields answered, and of all sites.
    flags
        Number of sites that the rater has flagged.
    history
        Signatures and reopenings in their order, such as ``sign 2027-01-10T09:00:00.000+00:00``, separated by commas.
    is_open
        True if the case is in a block that was opened for the rater, or was begun; see `reading_blocks`.
    visits
        Number of visits with films.
    """

    case: str
    stage: Stage
    done: int
    total: int
    seconds: float
    note: str = ""
    joints: int = 0
    joints_total: int = 0
    flags: int = 0
    history: str = ""
    is_open: bool = False
    visits: int = 0


_Row: TypeAlias = tuple[list[_FileSignature], CaseState]


def summarize_reading(
    case: Case,
    scheme: Scheme,
    fields: Sequence[Mapping[str, Any]],
    meta: Mapping[str, Any],
    are_regions_complete: bool,
    note: str = "",
    where: object = "",
    log: Sequence[Mapping[str, Any]] = (),
) -> CaseState:
    """Return the progress of a reading of `case` from its stored records, without building the reading.

    Parameters
    ----------
    case, scheme
        The case and the scheme of the study.
    fields, meta
        Records of the reading's file; empty if the reading is not begun.
    are_regions_complete
        Every site has a confirmed region on each film.
    note
        Text for `CaseState.note`.
    where
        The reading's file, for errors.
    log
        Records of the reading's log.

    Raises
    ------
    StoreError
        If the records contain values that a reading cannot have.
    """
    try:
        changes, times = stored_film_changes(case, scheme, meta)
        fields = [
            record
            for record in fields
            if as_text(record["site"]) not in changes.removed
            and (record["site"], times[record["time"]]) not in changes.lost
        ]
        filled = Counter(as_text(record["site"]) for record in fields)
        seconds = as_number(meta.get("seconds", 0.0), 0.0)
        flags = len(as_list(meta.get("flags", [])))
        is_signed = meta.get("signed") is not None and bool(as_time(meta["signed"]))
        turns = [(entry["kind"], as_time(entry["at"])) for entry in log if entry["kind"] in ("sign", "reopen")]
    except ODD_VALUE_ERRORS as error:
        raise StoreError(f"this is not a reading: {clean_text(error)}", where, "See: ratui check STUDY") from error
    sites = case.sites(scheme)
    filmed = Counter(slot.site for slot, _ in case.slots(scheme))
    expected = {site.key: filmed[site.key] * len(site.joint.scales) for site in sites}
    total = sum(expected.values())
    stage: Stage = "review" if len(fields) == total else "reading"
    if is_signed:
        stage = "changed" if changes else "signed"
    elif not are_regions_complete:
        stage = "regions"
    return CaseState(
        case.id,
        stage,
        len(fields),
        total,
        seconds,
        note,
        joints=sum(filled[site.key] == expected[site.key] for site in sites),
        joints_total=len(sites),
        flags=flags,
        history=",".join(f"{kind} {at.isoformat(timespec='milliseconds')}" for kind, at in turns),
        visits=len(case.times),
    )


class StudyFiles:
    """The signatures of all files of films and regions at one moment. `cases` is sorted. Raises StudyError."""

    def __init__(self, study: StudyFolder) -> None:
        found = study.signatures_below("films", "films.json")
        self.cases = tuple(sorted(case for case, films in found.items() if films is not None))
        self._films = {case: _to_list(signature) for case, signature in found.items()}
        self._regions = _file_signatures(study, "regions")

    def signatures(self, case: str, readings: Mapping[str, _FileSignature]) -> list[_FileSignature]:
        """Return the signatures of the files that the state of `case` depends on: films, regions, reading.

        `readings` contains the signatures of the rater's files by name.
        """
        name = f"{case}.json"
        return [self._films[case], self._regions.get(name), readings.get(name)]


class RaterWorklist:
    """The worklist of one rater.

    Parameters
    ----------
    study
        Folder of the study.
    rater
        Name of the rater.
    study_id
        ID of the study.
    scheme_digest
        Digest of the scheme: an index of another scheme does not count.
    """

    def __init__(self, study: StudyFolder, rater: str, study_id: str, scheme_digest: str) -> None:
        self._study = study
        self._cache = WorklistCache(study_id, study.path)
        self._rater = rater
        # Readings of a restored study may wait in the first folder; those in the second one count before them.
        self._folders = (f"{RESTORED}/{rater}", f"readings/{rater}")
        self._about = f"{_FORMAT} {self._cache.name} {rater} {scheme_digest}"
        self._rows: dict[str, _Row] | None = None

    def states(
        self, files: StudyFiles, state: Callable[[str, str], CaseState], progress: Progress | None = None
    ) -> tuple[CaseState, ...]:
        """Return the states of all cases, and save the index if it changed.

        Parameters
        ----------
        files
            Current signatures of the study's files.
        state
            Computes the state of a rater and case; called for cases whose files changed since the index was saved.
        progress
            Called now and then if many states must be computed, as without an index.
        """
        known = self._load() if self._rows is None else self._rows
        readings = {
            name: found for each in self._folders for name, found in _file_signatures(self._study, each).items()
        }
        rows: dict[str, _Row] = {}
        computed = 0
        for number, case in enumerate(files.cases):
            current = files.signatures(case, readings)
            row = known.get(case)
            if row is None or row[0] != current:
                row = (current, self._compute_state(state, case))
                computed += 1
                if progress and computed % _PROGRESS_STEP == 0:
                    progress(number + 1, len(files.cases))
            rows[case] = row
        self._rows = rows
        if progress and computed >= _PROGRESS_STEP:
            progress(len(rows), len(rows))
        if computed or len(rows) != len(known):
            self._save(rows)
        return tuple(row[1] for row in rows.values())

    def _compute_state(self, state: Callable[[str, str], CaseState], case: str) -> CaseState:
        try:
            return state(self._rater, case)
        except RatuiError as error:
            return CaseState(case, "unreadable", 0, 0, 0.0, error.problem)

    def _load(self) -> Mapping[str, _Row]:
        """Return the saved index; empty if there is none or its checksum is wrong."""
        try:
            total, _, body = (self._cache.read(self._rater) or b"").partition(b"\n")
            if total != self._checksum(body):
                return {}
            return {row[1][0]: (list(row[0]), _state(row[1])) for row in parse_json(body, max_items=_MOST_ITEMS)}
        except ODD_VALUE_ERRORS:
            return {}

    def _save(self, rows: Mapping[str, _Row]) -> None:
        body = json.dumps([[found, astuple(state)] for found, state in rows.values()], separators=(",", ":")).encode()
        self._cache.write(self._rater, self._checksum(body) + b"\n" + body)

    def _checksum(self, body: bytes) -> bytes:
        return hashlib.sha256(self._about.encode() + b"\n" + body).hexdigest().encode()


class WorklistIndex:
    """The worklists of a study's raters, each kept in memory after its first use.

    Parameters
    ----------
    study
        Folder of the study.
    study_id
        ID of the study.
    scheme_digest
        Digest of the scheme.
    """

    def __init__(self, study: StudyFolder, study_id: str, scheme_digest: str) -> None:
        self._study, self._study_id, self._scheme_digest = study, study_id, scheme_digest
        self._by_rater: dict[str, RaterWorklist] = {}

    def states(
        self,
        raters: Sequence[str],
        files: StudyFiles,
        state: Callable[[str, str], CaseState],
        progress: Progress | None = None,
    ) -> dict[str, tuple[CaseState, ...]]:
        """Return the states of all cases by rater; see `RaterWorklist.states`. `progress` counts over all raters."""
        result: dict[str, tuple[CaseState, ...]] = {}
        was_reported = False

        def report(done: int, of: int) -> None:
            nonlocal was_reported
            was_reported = True
            if progress:
                progress(len(result) * of + done, len(raters) * of)

        for rater in raters:
            worklist = self._by_rater.get(rater)
            if worklist is None:
                worklist = RaterWorklist(self._study, rater, self._study_id, self._scheme_digest)
                self._by_rater[rater] = worklist
            result[rater] = worklist.states(files, state, report)
        if was_reported:
            report(0, len(files.cases))
        return result


def _to_list(signature: FileSignature) -> _FileSignature:
    return None if signature is None else list(signature)


def _file_signatures(study: StudyFolder, inside: str) -> dict[str, _FileSignature]:
    """Return the signatures of the JSON files in a folder by name; empty if the folder can't be read."""
    try:
        found = study.scan(inside)
    except StoreError:
        return {}
    return {
        name: [entry.st_ino, entry.st_mtime_ns, entry.st_size]
        for name, entry in found.items()
        if name.endswith(".json") and stat.S_ISREG(entry.st_mode)
    }


def _state(raw: list[Any]) -> CaseState:
    state = CaseState(*raw)
    if state.stage not in _STAGES:
        raise ValueError("no stage")
    return state

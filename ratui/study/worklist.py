"""How far a rater is with each case, kept in an index so that a study of any size opens its worklist at once.

The index is a cache: what it says of a case counts only while the case's files are the very ones it was made from, and
it can be deleted at any time. A save never touches it, so that its cost doesn't grow with the study.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any, TypeAlias, get_args

from ratui.errors import RatuiError, StoreError
from ratui.scheme import Scheme
from ratui.study.case import Case, CaseState, Stage
from ratui.study.store.atomic_write import write_bytes
from ratui.study.store.descriptors import open_directory
from ratui.study.store.tables import read_file

__all__ = ["INDEX", "Progress", "RaterWorklist", "StudyFiles", "WorklistIndex", "summarize_reading"]

INDEX = ".worklist.json"
_FORMAT = 3
_LARGEST = 200_000_000

_PROGRESS = 100
"""Cases looked at between two words of how far it is."""

Progress: TypeAlias = Callable[[int, int], None]
_FileSignature: TypeAlias = list[int] | None
"""[inode, modification time in ns, bytes] of a file, None without one: a list, as JSON gives it back."""
_Row: TypeAlias = tuple[list[_FileSignature], CaseState]


def summarize_reading(
    case: Case,
    scheme: Scheme,
    fields: Sequence[Mapping[str, Any]],
    meta: Mapping[str, Any],
    are_regions_complete: bool,
    note: str = "",
) -> CaseState:
    """How far a reading of `case` is, from its stored `fields` and `meta`; both empty where it isn't begun."""
    sites = case.sites(scheme)
    filled = Counter(str(record["site"]) for record in fields)
    total = 2 * sum(len(site.joint.scales) for site in sites)
    stage: Stage = "review" if len(fields) == total else "reading"
    if meta.get("signed"):
        stage = "signed"
    elif not are_regions_complete:
        stage = "regions"
    return CaseState(
        case.id,
        stage,
        len(fields),
        total,
        float(meta.get("seconds", 0.0)),
        note,
        joints=sum(filled[site.key] == 2 * len(site.joint.scales) for site in sites),
        joints_total=len(sites),
        flags=len(meta.get("flags", ())),
    )


class StudyFiles:
    """One look at which files of films and regions are there, and which they are; `cases` are sorted."""

    def __init__(self, study: Path) -> None:
        root = str(study / "films")
        with os.scandir(root) as entries:
            folders = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        found = {name: _file_signature(f"{root}/{name}/films.json") for name in folders}
        self.cases = tuple(sorted(case for case, films in found.items() if films is not None))
        self._films = found
        self._regions = _file_signatures(study / "regions")

    def signatures(self, case: str, readings: Mapping[str, _FileSignature]) -> list[_FileSignature]:
        """What the state of `case` was made from, with the files of `readings` by name."""
        name = f"{case}.json"
        return [self._films[case], self._regions.get(name), readings.get(name)]


class RaterWorklist:
    """The worklist of `rater` in the study at `path`. `scheme_digest` is what every state depends on besides the files."""

    def __init__(self, path: Path, rater: str, scheme_digest: str) -> None:
        self._readings = path / "readings" / rater
        self._about = f"{_FORMAT} {rater} {scheme_digest}"
        self._rows: dict[str, _Row] | None = None

    def states(
        self, files: StudyFiles, state: Callable[[str, str], CaseState], progress: Progress | None = None
    ) -> tuple[CaseState, ...]:
        """The states of all cases; those whose files have changed since the index was made are asked of `state`.

        `progress` gets (done, of) now and then where many have, as when there is no index yet.
        """
        known = self._load() if self._rows is None else self._rows
        readings = _file_signatures(self._readings)
        rows: dict[str, _Row] = {}
        fresh = 0
        for number, case in enumerate(files.cases):
            seen = files.signatures(case, readings)
            row = known.get(case)
            if row is None or row[0] != seen:
                row = (seen, self._compute_state(state, case))
                fresh += 1
                if progress and fresh % _PROGRESS == 0:
                    progress(number + 1, len(files.cases))
            rows[case] = row
        self._rows = rows
        if progress and fresh >= _PROGRESS:
            progress(len(rows), len(rows))
        if fresh or len(rows) != len(known):
            self._save(rows)
        return tuple(row[1] for row in rows.values())

    def _compute_state(self, state: Callable[[str, str], CaseState], case: str) -> CaseState:
        try:
            return state(self._readings.name, case)
        except RatuiError as error:
            return CaseState(case, "unreadable", 0, 0, 0.0, error.problem)

    def _load(self) -> Mapping[str, _Row]:
        """The index as it was saved; empty where there is none, or none that can be trusted."""
        try:
            total, _, body = read_file(self._readings / INDEX, _LARGEST, follow=False).partition(b"\n")
            if total != self._checksum(body):
                return {}
            return {row[1][0]: (list(row[0]), _state(row[1])) for row in json.loads(body)}
        except (OSError, ValueError, TypeError, IndexError, StoreError):
            return {}

    def _save(self, rows: Mapping[str, _Row]) -> None:
        body = json.dumps([[seen, astuple(state)] for seen, state in rows.values()], separators=(",", ":")).encode()
        # A manager who may not write here, a rater without a folder, or a full disk: then the index is made again next
        # time. The folder belongs to the rater, who may put a link in its place at any moment: it is not followed.
        with contextlib.suppress(OSError, StoreError):
            folder = open_directory(self._readings)
            try:
                data = self._checksum(body) + b"\n" + body
                write_bytes(Path(INDEX), data, copy=False, folder=folder)
            finally:
                os.close(folder)

    def _checksum(self, body: bytes) -> bytes:
        return hashlib.sha256(self._about.encode() + b"\n" + body).hexdigest().encode()


class WorklistIndex:
    """The worklists of a study's raters, each kept once it was asked for."""

    def __init__(self, path: Path, scheme_digest: str) -> None:
        self._path, self._about = path, scheme_digest
        self._by_rater: dict[str, RaterWorklist] = {}

    def states(
        self,
        raters: Sequence[str],
        files: StudyFiles,
        state: Callable[[str, str], CaseState],
        progress: Progress | None = None,
    ) -> dict[str, tuple[CaseState, ...]]:
        """The states of all cases for each of `raters`; `progress` counts the cases of all of them."""
        result: dict[str, tuple[CaseState, ...]] = {}
        was_reported = False

        def report(done: int, of: int) -> None:
            nonlocal was_reported
            was_reported = True
            if progress:
                progress(len(result) * of + done, len(raters) * of)

        for rater in raters:
            worklist = self._by_rater.setdefault(rater, RaterWorklist(self._path, rater, self._about))
            result[rater] = worklist.states(files, state, report)
        if was_reported:
            report(0, len(files.cases))
        return result


def _file_signature(path: str) -> _FileSignature:
    try:
        found = os.stat(path)  # noqa: PTH116 - ten thousand paths are dear
    except OSError:
        return None
    return [found.st_ino, found.st_mtime_ns, found.st_size]


def _file_signatures(folder: Path) -> dict[str, _FileSignature]:
    result: dict[str, _FileSignature] = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(".json"):
                    found = entry.stat()
                    result[entry.name] = [found.st_ino, found.st_mtime_ns, found.st_size]
    except OSError:
        return result
    return result


_STAGES = frozenset(get_args(Stage))


def _state(raw: list[Any]) -> CaseState:
    state = CaseState(*raw)
    if state.stage not in _STAGES:
        raise ValueError("no stage")
    return state

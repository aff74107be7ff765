"""Import the films that arrive in a folder, once they have stopped growing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from ratui.bounded_parsing import parse_json, read_bounded
from ratui.errors import DamagedError
from ratui.files import make_folder, write_bytes
from ratui.study.importing.files.sources import list_source_files
from ratui.study.importing.import_report import ImportReport

__all__ = ["Signature", "WatchedFolder"]

Signature: TypeAlias = tuple[int, int]
"""Size in bytes and time of modification in nanoseconds."""

_PATIENCE = 10  # times the settling time that a settled file waits for others that still grow
_LARGEST = 200_000_000  # bytes of the record


class WatchedFolder:
    """The files of a folder that are ready to be imported, and a record of what was done with the others.

    Files that arrive together are imported together, so that all visits of a patient are known to one import: a batch
    is ready when nothing in the folder has changed for the settling time, or when a file has waited ten times as long. The
    record is beside the key of the pseudonyms, because it contains names of files. A restart continues with it.

    Parameters
    ----------
    folder
        The folder, searched by the rules of `open_sources`.
    record
        File of the record.
    settle
        Settling time in seconds.
    list_files
        Returns the signature of each file in a folder; other lists are for tests.

    Raises
    ------
    DamagedError
        If the record can't be read.
    """

    def __init__(
        self,
        folder: Path,
        record: Path,
        settle: float,
        list_files: Callable[[Path], dict[Path, Signature]] | None = None,
    ) -> None:
        self.folder = folder
        self._record, self._settle = record, settle
        self._list_files = list_files or list_source_files
        self._seen: dict[Path, tuple[Signature, float]] = {}  # signature, and the time when it was first seen
        self._done: dict[str, Signature] = {}
        self._refused: set[str] = set()
        self._outcomes: dict[str, str] = {}  # reasons by origin, of what was refused or not read
        self._load()

    def find_batch(self, now: float) -> set[Path]:
        """Look at the folder, and return the files to import now; refused ones of earlier batches are among them.

        `now` is the time of a monotonic clock in seconds.
        """
        found = self._list_files(self.folder)
        before, self._seen = self._seen, {}
        for path, signature in found.items():
            known, since = before.get(path, (None, now))
            self._seen[path] = (signature, since if known == signature else now)
        new = [path for path, signature in found.items() if self._done.get(str(path)) != signature]
        settled = [path for path in new if now - self._seen[path][1] >= self._settle]
        if not settled:
            return set()
        waited = max(now - self._seen[path][1] for path in settled)
        if len(settled) < len(new) and waited < _PATIENCE * self._settle:
            return set()
        return {*settled, *(path for path in found if str(path) in self._refused and path not in new)}

    def find_others(self, batch: Iterable[Path]) -> set[Path]:
        """Return the files of the folder that are not in `batch`: they are done, or they still grow."""
        return set(self._seen) - set(batch)

    def add_report(self, batch: Iterable[Path], report: ImportReport) -> ImportReport:
        """Record the outcome of a batch, and return the report without what an earlier report of this folder contains.

        Raises StoreError if the record can't be written.
        """
        refused = {item.path for item in report.rejected} | {item.origin for item in report.skipped}
        for path in batch:
            self._done[str(path)] = self._seen[path][0]
            # A film in an archive has the archive's path as the begin of its origin.
            if path in refused or any(origin.is_relative_to(path) for origin in refused):
                self._refused.add(str(path))
            else:
                self._refused.discard(str(path))
        new = replace(
            report,
            rejected=tuple(item for item in report.rejected if self._is_new(item.path, item.reason)),
            skipped=tuple(item for item in report.skipped if self._is_new(item.origin, item.reason)),
        )
        self._save()
        return new

    def _is_new(self, origin: Path, reason: str) -> bool:
        is_new = self._outcomes.get(str(origin)) != reason
        self._outcomes[str(origin)] = reason
        return is_new

    def _load(self) -> None:
        try:
            raw = parse_json(read_bounded(self._record, _LARGEST))
            if raw["folder"] != str(self.folder.resolve()):
                return  # another folder was watched before: nothing of this one is done
            self._done = {str(path): (int(size), int(time)) for path, (size, time) in raw["done"].items()}
            self._refused = {str(path) for path in raw["refused"]}
            self._outcomes = {str(origin): str(reason) for origin, reason in raw["outcomes"].items()}
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            remedy = "Remove it; films that are in the study are then refused as known"
            raise DamagedError("the record of the watched folder can't be read", self._record, remedy) from error

    def _save(self) -> None:
        document = {
            "folder": str(self.folder.resolve()),
            "done": self._done,
            "refused": sorted(self._refused),
            "outcomes": self._outcomes,
        }
        make_folder(self._record.parent)
        write_bytes(self._record, json.dumps(document).encode(), copy=False, private=True)

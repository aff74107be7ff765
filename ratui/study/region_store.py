"""The table files of a study that every member may change: confirmed regions and proposals of models."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from ratui.files import check_name
from ratui.reading import Slot
from ratui.scheme import Scheme
from ratui.study.case import Case, Region, regions_from_records, regions_to_records
from ratui.study.config import SEALED_FORMAT, StudyConfig
from ratui.study.layout import list_models
from ratui.study.store import FileLock, StoredTables, StudyFile, StudyFolder, StudyLock, write_tables
from ratui.study.store.open_folder import FileSignature
from ratui.study.store.tables import read_intact

__all__ = ["RegionStore"]


class RegionStore:
    """The regions and proposals of a study; the base class of `Study`.

    Parameters
    ----------
    folder
        The study's folder.
    config, scheme
        Settings and scheme of the study.
    """

    def __init__(self, folder: StudyFolder, config: StudyConfig, scheme: Scheme) -> None:
        self.folder = folder
        """The folder, through which every file inside it is opened."""
        self.config = config
        self.scheme = scheme
        self._study_lock = StudyLock(folder)
        self._notices: dict[str, None] = {}
        # A cache; an entry counts while the signature of its file is unchanged.
        self._complete: dict[str, tuple[FileSignature, Case, bool]] = {}

    def add_notice(self, file: Path, notice: str) -> None:
        """Add a message about `file` to `notices`; an empty `notice` adds nothing."""
        if notice:
            self._notices[f"{file.relative_to(self.folder.path)}: {notice}"] = None

    @property
    def notices(self) -> tuple[str, ...]:
        """Messages about damaged files whose second copy was read; ``ratui check --repair`` repairs them."""
        return tuple(self._notices)

    def _read(self, file: StudyFile) -> StoredTables | None:
        """Return the records of a table file and note damage that the second copy made good. Raises StoreError."""
        stored = read_intact(file, unsealed=self.config.stored_format < SEALED_FORMAT)
        if stored is not None:
            self.add_notice(file.path, stored.notice)
        return stored

    def regions(self, case: str) -> tuple[Region, ...]:
        """Return the regions that raters have set or confirmed; empty before the first. Raises StoreError."""
        return self._read_regions(self._regions_file(case))

    def _regions_file(self, case: str) -> StudyFile:
        return self.folder.file(f"regions/{check_name(case, 'case')}.json")

    def _read_regions(self, file: StudyFile) -> tuple[Region, ...]:
        stored = self._read(file)
        records = stored.tables.get("regions", []) if stored else []
        return regions_from_records(records, self.scheme, file.path)

    def save_regions(self, case: str, regions: Iterable[Region], *, films: Collection[str] | None = None) -> None:
        """Replace the regions of `case`, or only those on `films` if given. Raises StoreError.

        With `films`, regions that another rater saves on other films of the case at the same time are kept.
        """
        file = self._regions_file(case)
        with FileLock(file.with_suffix(".lock"), wait=5.0):
            stored = self._read_regions(file)
            kept = [] if films is None else [region for region in stored if region.film not in films]
            with self._study_lock.shared():
                write_tables(file, {"regions": regions_to_records((*kept, *regions))})

    def proposal_models(self) -> tuple[str, ...]:
        """Return the names of the models that have proposed regions, the newest last."""
        return tuple(list_models(self.folder, "proposals", by_time=True))

    def proposals(self, case: str) -> tuple[Region, ...]:
        """Return the regions proposed for `case` by the newest model that has any for it; empty if none has."""
        for model in reversed(self.proposal_models()):
            if self.folder.exists(self._proposals_file(model, case).inside):
                return self.proposals_of(model, case)
        return ()

    def _proposals_file(self, model: str, case: str) -> StudyFile:
        return self.folder.file(f"proposals/{check_name(model, 'model')}/{check_name(case, 'case')}.json")

    def proposals_of(self, model: str, case: str) -> tuple[Region, ...]:
        """Return the regions that `model` has proposed for `case`; empty if there are none. Raises StoreError."""
        return self._read_regions(self._proposals_file(model, case))

    def save_proposals(self, model: str, case: str, regions: Iterable[Region]) -> None:
        """Replace the regions that `model` proposes for `case`. Raises StoreError."""
        file = self._proposals_file(model, case)
        self._read(file)  # raises an error for a file of a newer format
        with self._study_lock.shared():
            write_tables(file, {"regions": regions_to_records(regions)})

    def absent_slots(self, case: Case) -> frozenset[Slot]:
        """Return the slots of `case` whose site is not on its film according to the saved regions."""
        return case.absent_slots(self.scheme, self.regions(case.id))

    def are_regions_complete(self, case: Case) -> bool:
        """Return whether every site of `case` is confirmed on each of its films, as present or as absent."""
        now = self.folder.signature(self._regions_file(case.id).inside)
        last = self._complete.get(case.id)
        if last is not None and last[:2] == (now, case):
            return last[2]
        complete = case.is_confirmed(self.scheme, self.regions(case.id))
        self._complete[case.id] = now, case, complete
        return complete

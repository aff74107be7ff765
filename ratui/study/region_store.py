"""The table files of a study that every member may change: confirmed regions, orientations of films, proposals of models.

The file of a case's regions has a table ``orientations``, with a record for each film whose orientation a person or a model
has set. Every member of a study may write it, because a rater who confirms boxes may turn the film. Boxes in files are
those of the stored film, so that no box changes when a film is turned.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ratui.errors import StoreError, StudyError, clean_text
from ratui.files import check_name
from ratui.imaging import Orientation
from ratui.reading import Slot
from ratui.scheme import Scheme
from ratui.stored_values import ODD_VALUE_ERRORS, as_list, as_text
from ratui.study.case import Case, FilmRecord, Region, regions_from_records, regions_to_records
from ratui.study.config_files import SEALED_FORMAT, StudyConfig, read_settings
from ratui.study.layout import list_models
from ratui.study.store import FileLock, StoredTables, StudyFile, StudyFolder, StudyLock, write_tables
from ratui.study.store.folder import FileSignature
from ratui.study.store.tables import read_intact

__all__ = ["FilmOrientation", "RegionStore", "orient_case", "read_orientations"]


@dataclass(frozen=True)
class FilmOrientation:
    """The orientation of one film.

    Attributes
    ----------
    film
        ID of the film.
    orientation
        The change from the stored to the displayed film.
    by
        Name of the rater who set it, or of the model; empty for a manager.
    is_model
        True if a model set it.
    """

    film: str
    orientation: Orientation
    by: str = ""
    is_model: bool = False

    def to_record(self) -> dict[str, Any]:
        """Return the values as stored in a file."""
        return {"film": self.film, "orientation": self.orientation.value, "by": self.by, "is_model": self.is_model}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> FilmOrientation:
        """Return the values in a stored record. Raises an error of `ODD_VALUE_ERRORS` for anything else."""
        if not isinstance(record["is_model"], bool):
            raise ValueError("a value in place of true or false")
        return cls(
            check_name(as_text(record["film"]), "film"),
            Orientation(as_text(record["orientation"], 10)),
            as_text(record["by"]),
            record["is_model"],
        )


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
        self.settings_read: object = None
        """Signatures of both copies of the settings when they were last read again; None before that."""
        # A cache; an entry counts while the signature of its file is unchanged.
        self._complete: dict[str, tuple[FileSignature, Case, bool]] = {}
        self._orientations: dict[str, tuple[FileSignature, Mapping[str, FilmOrientation]]] = {}
        self._last_read: dict[str, tuple[str, FileSignature, StoredTables | None]] = {}
        """Content of the file that was read last, by folder: a case and its regions, or a reading and its displays, are
        often read one after the other."""

    def check_unlocked(self) -> None:
        """Raise StudyLocked if a manager has locked the study: nothing in it may change then."""
        self._study_lock.check_unlocked()

    def refresh_settings(self) -> None:
        """Read the settings again if their file has changed since. Raises StudyError if they are those of another study."""
        now = self._study_lock.settings_signatures()
        if now == self.settings_read:
            return
        config, notice = read_settings(self.folder)
        if (config.id, config.scheme) != (self.config.id, self.config.scheme):
            raise StudyError("another study is in this folder now", self.folder.path, "Leave ratui, and start it again")
        self.add_notice(self.folder.path / "study.toml", notice)
        self.config, self.settings_read = config, now

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

    def regions(self, case: str | Case) -> tuple[Region, ...]:
        """Return the regions that raters have set or confirmed; empty before the first. Raises StoreError.

        Boxes are those of the displayed films: as they are now, or those of `case` if it is given as a `Case`.
        """
        file = self._regions_file(_name(case))
        return _to_displayed(self._to_regions(self._read_once(file), file), self._turned_films(case))

    def stored_regions(self, case: str) -> tuple[Region, ...]:
        """Return the regions as `regions` does, with the boxes of the stored films, for exports and merges."""
        file = self._regions_file(case)
        return self._to_regions(self._read_once(file), file)

    def orientations(self, case: str) -> Mapping[str, FilmOrientation]:
        """Return the orientations of the films of `case` that were set, by film. Raises StoreError."""
        file = self._regions_file(case)
        now = self.folder.signature(file.inside)
        last = self._orientations.get(case)
        if last is not None and last[0] == now:
            return last[1]
        stored = self._read_once(file)
        found: Mapping[str, FilmOrientation] = read_orientations(stored.tables, file.path) if stored else {}
        if last is not None and last[1] == found:
            found = last[1]  # the same object, so that what was derived from it is not computed again
        self._orientations[case] = now, found
        return found

    def displayed_films(self, case: str) -> Mapping[str, FilmRecord]:
        """Return the films of `case` by ID, in their orientations, with the time point 0. Raises StudyError."""
        raise NotImplementedError

    def _turned_films(self, case: str | Case) -> Mapping[str, FilmRecord]:
        """Return the films of `case` that are displayed turned or mirrored, by ID."""
        if isinstance(case, Case):
            films: Iterable[FilmRecord] = case.films
        elif any(each.orientation is not Orientation.UPRIGHT for each in self.orientations(case).values()):
            films = self.displayed_films(case).values()
        else:
            films = ()
        return {film.id: film for film in films if film.orientation is not Orientation.UPRIGHT}

    def _regions_file(self, case: str) -> StudyFile:
        return self.folder.file(f"regions/{check_name(case, 'case')}.json")

    def _read_once(self, file: StudyFile, *, anew: bool = False) -> StoredTables | None:
        """Return the records of a table file as `_read` does, without reading the last one of a folder twice.

        With `anew`, read it in any case, so that damage is noticed which the signature of the file does not show.
        """
        kind = file.inside.partition("/")[0]
        now = self.folder.signature(file.inside)
        last = self._last_read.get(kind)
        if last is not None and last[:2] == (file.inside, now) and not anew:
            return last[2]
        stored = self._read(file)
        self._last_read[kind] = (file.inside, now, stored)
        return stored

    def _to_regions(self, stored: StoredTables | None, file: StudyFile) -> tuple[Region, ...]:
        records = stored.tables.get("regions", []) if stored else []
        return regions_from_records(records, self.scheme, file.path)

    def save_regions(
        self, case: str | Case, regions: Iterable[Region], *, films: Collection[str] | None = None
    ) -> None:
        """Replace the regions of `case`, or only those on `films` if given. Raises StoreError.

        Boxes are those of the displayed films, see `regions`. With `films`, regions that another rater saves on other
        films of the case at the same time are kept.
        """
        id = _name(case)
        with self.regions_lock(id):
            known = self.stored_regions(id)
            kept = [] if films is None else [region for region in known if region.film not in films]
            new = _to_stored(regions, self._turned_films(case), known)
            self.write_regions(id, (*kept, *new), self.orientations(id).values())

    def remove_film_regions(self, case: str, films: Collection[str]) -> None:
        """Remove the regions and the orientations of `films`, which are no films of `case` any more. Raises StoreError."""
        with self.regions_lock(case):
            regions, orientations = self.stored_regions(case), self.orientations(case).values()
            left = [region for region in regions if region.film not in films]
            turned = [each for each in orientations if each.film not in films]
            if len(left) < len(regions) or len(turned) < len(orientations):
                self.write_regions(case, left, turned)

    def write_regions(
        self, case: str, regions: Iterable[Region], orientations: Iterable[FilmOrientation]
    ) -> None:  # fmt: skip
        """Replace the file of the regions of `case`; the caller holds its lock. Boxes are those of the stored films."""
        tables = {"regions": regions_to_records(regions)}
        if turned := sorted(orientations, key=lambda each: each.film):
            tables["orientations"] = [each.to_record() for each in turned]
        with self._study_lock.shared():
            write_tables(self._regions_file(case), tables)

    def regions_lock(self, case: str) -> FileLock:
        """Return the lock of the file of the regions of `case`, which waits for 5 seconds. Raises StudyLocked."""
        self._study_lock.check_unlocked()
        return FileLock(self._regions_file(case).with_suffix(".lock"), wait=5.0)

    def proposal_models(self) -> tuple[str, ...]:
        """Return the names of the models that have proposed regions, the newest last."""
        return tuple(list_models(self.folder, "proposals", by_time=True))

    def proposals(self, case: str | Case) -> tuple[Region, ...]:
        """Return the regions proposed for `case` by the newest model that has any for it; empty if none has.

        Boxes are those of the displayed films, see `regions`.
        """
        for model in reversed(self.proposal_models()):
            if self.folder.exists(self._proposals_file(model, _name(case)).inside):
                return self.proposals_of(model, case)
        return ()

    def _proposals_file(self, model: str, case: str) -> StudyFile:
        return self.folder.file(f"proposals/{check_name(model, 'model')}/{check_name(case, 'case')}.json")

    def proposals_of(self, model: str, case: str | Case) -> tuple[Region, ...]:
        """Return the regions that `model` has proposed for `case`; empty if there are none. Raises StoreError."""
        file = self._proposals_file(model, _name(case))
        return _to_displayed(self._to_regions(self._read(file), file), self._turned_films(case))

    def save_proposals(self, model: str, case: str | Case, regions: Iterable[Region]) -> None:
        """Replace the regions that `model` proposes for `case`. Raises StoreError."""
        file = self._proposals_file(model, _name(case))
        known = self._to_regions(self._read(file), file)  # raises an error for a file of a newer format
        stored = _to_stored(regions, self._turned_films(case), known)
        with self._study_lock.shared():
            write_tables(file, {"regions": regions_to_records(stored)})

    def absent_slots(self, case: Case) -> frozenset[Slot]:
        """Return the slots of `case` whose site is not on its film according to the saved regions."""
        return case.absent_slots(self.scheme, self.stored_regions(case.id))

    def are_regions_complete(self, case: Case) -> bool:
        """Return whether every site of `case` is confirmed on each of its films, as present or as absent."""
        now = self.folder.signature(self._regions_file(case.id).inside)
        last = self._complete.get(case.id)
        if last is not None and last[:2] == (now, case):
            return last[2]
        complete = case.is_confirmed(self.scheme, self.stored_regions(case.id))
        self._complete[case.id] = now, case, complete
        return complete


def read_orientations(tables: Mapping[str, Sequence[Mapping[str, Any]]], where: object) -> dict[str, FilmOrientation]:
    """Return the orientations by film in the tables of a regions file. Raises StoreError, naming the file `where`."""
    try:
        found = [FilmOrientation.from_record(record) for record in as_list(tables.get("orientations", []))]
        if len({each.film for each in found}) < len(found):
            raise ValueError("two orientations of one film")
    except (*ODD_VALUE_ERRORS, StudyError) as error:
        problem = f"not an orientation of a film: {clean_text(error)}"
        raise StoreError(problem, where, "Restore the file from its backup copy") from error
    return {each.film: each for each in found}


def orient_case(case: Case, orientations: Mapping[str, FilmOrientation]) -> Case:
    """Return `case` with each film in its orientation; films without one are upright."""
    if not any(film.id in orientations for film in case.films):
        return case
    films = tuple(
        film.with_orientation(orientations[film.id].orientation) if film.id in orientations else film
        for film in case.films
    )
    return replace(case, films=films)


def _to_displayed(regions: Iterable[Region], films: Mapping[str, FilmRecord]) -> tuple[Region, ...]:
    """Return regions of stored films with their boxes in the displayed `films`; those of other films stay."""
    return tuple(
        replace(region, box=film.to_displayed(region.box))
        if region.box is not None and (film := films.get(region.film)) is not None
        else region
        for region in regions
    )


def _to_stored(
    regions: Iterable[Region], films: Mapping[str, FilmRecord], known: Iterable[Region] = ()
) -> tuple[Region, ...]:
    """Return regions of the displayed `films` with their boxes in the stored ones; those of other films stay.

    `known` are the regions in the file. The box of a region that did not change is returned exactly as it is there:
    arithmetic with floating point numbers would change its last digit.
    """
    stored = {(region.site, region.film): region.box for region in known}
    result = []
    for region in regions:
        film = films.get(region.film)
        if region.box is not None and film is not None:
            before = stored.get((region.site, region.film))
            unchanged = before is not None and film.to_displayed(before) == region.box
            region = replace(region, box=before if unchanged else film.to_stored(region.box))
        result.append(region)
    return tuple(result)


def _name(case: str | Case) -> str:
    return case.id if isinstance(case, Case) else case

"""The class `Study`: settings, cases, films, regions, proposals and readings of a study folder.

All code above this layer reads and writes a study through this class. It contains no rule of the score and no screen.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ratui.errors import StudyError, clean_text
from ratui.files import check_name
from ratui.imaging import Film
from ratui.reading import Entry, Field, Reading, Slot, start_reading
from ratui.scheme import Scheme
from ratui.study.accounts import check_account, find_account_rater
from ratui.study.case import Case, Region, regions_from_records
from ratui.study.config import StudyConfig, create_study, load_study
from ratui.study.film_files import load_film
from ratui.study.intact import intact_reading
from ratui.study.reading_evidence import ReadingEvidence
from ratui.study.reading_session import (
    DisplayUse,
    ReadingSession,
    stored_displays,
    stored_meta,
    stored_positions,
    stored_reading,
)
from ratui.study.store import FileLock, LockHolder, StoredTables, StudyFile, StudyFolder, StudyLock
from ratui.study.store.open_folder import FileSignature
from ratui.study.store.tables import read_intact, restore_from_copy, write_tables
from ratui.study.worklist import CaseState, Progress, StudyFiles, WorklistIndex, summarize_reading

if TYPE_CHECKING:
    import pandas

__all__ = ["Study"]

_COPY_READ = "damaged; its second copy is intact and was read"


class Study:
    """An open study folder, with its settings `config` and its scheme. Make one with `create` or `open`."""

    def __init__(self, path: Path, config: StudyConfig, scheme: Scheme) -> None:
        self.path = path
        self.folder = StudyFolder(path)
        """The folder, through which every file inside it is opened."""
        self.config = config
        self.scheme = scheme
        self._study_lock = StudyLock(self.folder)
        self._worklists = WorklistIndex(self.folder, config.id, config.scheme)
        self._notices: dict[str, None] = {}
        # Caches; an entry counts while the signature of its file is unchanged.
        self._cases: dict[str, tuple[FileSignature, Case]] = {}
        self._complete: dict[str, tuple[FileSignature, Case, bool]] = {}

    @classmethod
    def create(
        cls,
        path: Path,
        scheme: Scheme | str,
        raters: Sequence[str],
        *,
        blinded: bool = False,
        title: str = "",
        group: str = "",
    ) -> Study:
        """Create a study in the folder `path` and return it.

        Parameters
        ----------
        path
            A folder that does not exist or is empty.
        scheme
            A scheme, the name of a shipped one, such as ``mtss-hands``, or the path of a ``.toml`` file.
        raters
            Names of the raters, at least one.
        blinded
            Do not show raters which time point is earlier.
        title
            Title for people; the folder's name if empty.
        group
            Name of a Unix group that shares the study; empty for a study of its owner alone.

        Raises
        ------
        StudyError, SchemeError
            If the folder is not empty, or a name, the group or the scheme is not valid.
        """
        config, chosen = create_study(Path(path), scheme, raters, blinded=blinded, title=title, group=group)
        return cls(Path(path), config, chosen)

    @classmethod
    def open(cls, path: Path) -> Study:
        """Open the study in the folder `path`. Raises StudyError if there is none that this version can open."""
        path = Path(path)
        config, scheme, notices = load_study(path)
        study = cls(path, config, scheme)
        for file, notice in notices.items():
            study.add_notice(file, notice)
        return study

    def add_notice(self, file: Path, notice: str) -> None:
        """Add a message about `file` to `notices`; an empty `notice` adds nothing."""
        if notice:
            self._notices[f"{file.relative_to(self.path)}: {notice}"] = None

    def __repr__(self) -> str:
        noun = "case" if (count := len(self.cases())) == 1 else "cases"
        return f"Study({str(self.path)!r}, {count} {noun}, raters: {', '.join(self.config.raters)})"

    def to_frame(
        self, raters: Sequence[str] = (), *, interim: bool = False, exclude_coarse: bool = False
    ) -> pandas.DataFrame:
        """Return the released readings as a pandas data frame, one row per field.

        `raters` limits the rows. `interim`, for the study's owner, includes cases that not all raters have signed.
        `exclude_coarse` leaves out entries made on films displayed too coarsely. Columns are those of ``scores.csv``.
        Raises StudyError for an unknown rater or without pandas.

        Examples
        --------
        >>> import ratui
        >>> frame = ratui.open_study("sample_data/study").to_frame(interim=True)
        >>> frame[["case", "reader", "time", "site", "scale", "score"]].head(2).to_dict("records")[0]["scale"]
        'ERO'
        """
        # The one import upwards: results depend on studies, and analysts look for the data frame here.
        from ratui.results.frame import build_frame

        return build_frame(self, raters, interim=interim, exclude_coarse=exclude_coarse)

    @property
    def notices(self) -> tuple[str, ...]:
        """Messages about damaged files whose second copy was read; ``ratui check --repair`` repairs them."""
        return tuple(self._notices)

    def exclusive(self) -> AbstractContextManager[None]:
        """Prevent every save in the study for the duration of the block, at most a moment. Raises StoreError."""
        return self._study_lock.exclusive()

    @contextmanager
    def snapshot(self) -> Iterator[Study]:
        """Yield an unchanging copy of the study while others go on saving; its notices become those of this study.

        The copy is removed when the block ends. Raises StoreError if none can be made.
        """
        from ratui.study.snapshot import snapshot

        with snapshot(self) as copy:
            try:
                yield copy
            finally:
                self._notices.update(copy._notices)

    def _read(self, file: StudyFile) -> StoredTables | None:
        """Return the records of a table file and note damage that the second copy made good. Raises StoreError."""
        stored = read_intact(file, unsealed=self.config.stored_format < 2)
        if stored is not None:
            self.add_notice(file.path, stored.notice)
        return stored

    # Cases and films.

    def cases(self) -> tuple[str, ...]:
        """Return the names of all cases, sorted."""
        return StudyFiles(self.folder).cases

    def _films_file(self, case: str) -> StudyFile:
        return self.folder.file(f"films/{check_name(case, 'case')}/films.json")

    def case(self, id: str) -> Case:
        """Return the case named `id`. Raises StudyError if there is none."""
        file = self._films_file(id)
        now = self.folder.signature(file.inside)
        last = self._cases.get(id)
        if last is not None and last[0] == now is not None:
            return last[1]
        stored = self._read(file)
        if stored is None:
            raise StudyError(f"there is no case {clean_text(id)}", self.path, "See: ratui status STUDY")
        case = Case.from_records(id, stored.tables.get("films"), self.scheme, file.path)
        self._cases[id] = now, case
        return case

    def save_case(self, case: Case) -> None:
        """Store the list of films of `case`. Raises StoreError."""
        file = self._films_file(case.id)
        self._read(file)  # raises an error for a file of a newer format, which must not be replaced
        with self._study_lock.shared():
            write_tables(file, {"films": [film.to_record() for film in case.films]})

    def film_path(self, case: str, film: str) -> Path:
        """Return the path of the file of one film."""
        return self.path / "films" / check_name(case, "case") / f"{check_name(film, 'film')}.dcm"

    def film(self, case: str, film: str) -> Film:
        """Return one film, decoded. Raises FilmError if it can't be read or is not the file that was imported."""
        return load_film(self.folder, self.case(case), check_name(film, "film"))

    # Regions and proposals.

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
            records = [region.to_record() for region in (*kept, *regions)]
            with self._study_lock.shared():
                write_tables(file, {"regions": records})

    def proposal_models(self) -> tuple[str, ...]:
        """Return the names of the models that have proposed regions, the newest last."""
        return tuple(self.folder.folders("proposals", by_time=True))

    def proposals(self, case: str) -> tuple[Region, ...]:
        """Return the regions proposed for `case` by the newest model that has any for it; empty if none has."""
        for model in reversed(self.proposal_models()):
            file = self.folder.file(f"proposals/{model}/{check_name(case, 'case')}.json")
            if self.folder.exists(file.inside):
                return self._read_regions(file)
        return ()

    def save_proposals(self, model: str, case: str, regions: Iterable[Region]) -> None:
        """Replace the regions that `model` proposes for `case`. Raises StoreError."""
        file = self.folder.file(f"proposals/{check_name(model, 'model')}/{check_name(case, 'case')}.json")
        self._read(file)  # raises an error for a file of a newer format
        with self._study_lock.shared():
            write_tables(file, {"regions": [region.to_record() for region in regions]})

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

    # Readings.

    def order(self, rater: str, case: str) -> tuple[int, int]:
        """Return the time points in the order in which `rater` sees them, left first.

        In a blinded study the order depends on the rater, the case and the study's secret; otherwise it is (0, 1).
        """
        if not self.config.blinded:
            return (0, 1)
        drawn = hmac.new(self.config.secret.encode(), f"{rater}\0{case}".encode(), hashlib.sha256).digest()
        return (1, 0) if drawn[0] & 1 else (0, 1)

    def check_rater(self, rater: str) -> str:
        """Return `rater` if the study has them and this account may enter their readings. Raises StudyError otherwise."""
        if rater not in self.config.raters:
            known = ", ".join(self.config.raters)
            raise StudyError(f"{clean_text(rater)} is not a rater of this study", self.path, f"Its raters are: {known}")
        check_account(self.folder, rater)
        return rater

    def account_rater(self) -> str:
        """Return the rater whose readings belong to this account, or an empty text."""
        return find_account_rater(self.folder, self.config.raters)

    def reading(self, rater: str, case: str) -> Reading | None:
        """Return the reading of `case` by `rater` as last saved, or None. Raises StoreError if its file is damaged."""
        file = self._reading_file(rater, case)
        stored = self._read(file)
        order = self._order(stored, rater, case) if stored else ()
        return stored_reading(stored, self.scheme, file.path, rater, case, order)[0]

    def _order(self, stored: StoredTables | None, rater: str, case: str) -> tuple[int, ...]:
        """Return the time point at each position of a stored reading, or of one that is not begun."""
        positions = stored_positions(stored)
        return self.case(case).order_of(positions) if positions else self.order(rater, case)

    def displays(self, rater: str, case: str) -> tuple[DisplayUse, ...]:
        """Return the displays on which `rater` has read `case`. Raises StoreError if the file is damaged."""
        file = self._reading_file(rater, case)
        return stored_displays(self._read(file), file.path)

    @contextmanager
    def open_reading(self, rater: str, case: str, *, take_over: LockHolder | None = None) -> Iterator[ReadingSession]:
        """Open the reading of `case` by `rater` for writing, and begin it if there is none.

        With `take_over` it is taken from this holder: a process of the same account, or one that is not known to run; that
        process can save nothing more. A damaged file whose second copy is intact is set aside and restored; the session's
        `notice` says so.

        Raises
        ------
        HeldByOther
            If the reading is open in another process; the error says whose and where.
        StudyError
            If the case can't be read, this account may not read as `rater`, or both copies of the file are damaged.
        """
        self.check_rater(rater)
        film_case = self.case(case)
        why = film_case.unreadable_reason(self.scheme)
        if why:
            raise StudyError(f"it can't be read: {why}", case, "Import its other films")
        file = self._reading_file(rater, case)
        self.folder.make_folder(file.parent, group=0o050)  # in a shared study, only this rater may write here
        with FileLock(file.with_suffix(".lock"), take_over=take_over) as lock:
            stored = self._read(file)
            order = self._order(stored, rater, case)
            reading, seconds = stored_reading(stored, self.scheme, file.path, rater, case, order)
            notice = stored.notice if stored else ""
            if notice:
                restore_from_copy(file)
                notice = "its file was damaged; it was set aside and restored from the second copy, nothing is lost"
            if reading is None:
                sites = film_case.sites(self.scheme)
                reading = start_reading(self.scheme, case, rater, sites, order=order, blinded=self.config.blinded)
            if not reading.positions:
                reading = replace(reading, positions=film_case.films_at(reading.order))
            displays = stored_displays(stored, file.path)
            evidence = ReadingEvidence.from_tables(stored, reading.positions, film_case, self.config.id)
            yield ReadingSession(file, lock, self._study_lock.shared, reading, seconds, notice, displays, evidence)

    def signed_readings(self, case: str) -> tuple[Reading, ...]:
        """Return the signed readings of `case`, in the order of the study's raters; damaged ones only add a notice.

        For managers and the trainer: a rater must not see them before their own reading is signed.
        """
        readings = (intact_reading(self, rater, case) for rater in self.config.raters)
        return tuple(reading for reading in readings if reading is not None and reading.signed_at)

    def other_answers(self, case: str, site: str) -> tuple[Mapping[Field, Entry], ...]:
        """Return what others answered at `site`; empty in a plain study, see `results.adjudication`."""
        return ()

    def state(self, rater: str, case: str) -> CaseState:
        """Return the progress of `rater` in `case`. Raises StoreError if its file is damaged."""
        film_case = self.case(case)
        why = film_case.unreadable_reason(self.scheme)
        if why:
            return CaseState(case, "unreadable", 0, 0, 0.0, why)
        file = self._reading_file(rater, case)
        stored = self._read(file)
        note = _COPY_READ if stored and stored.notice else ""
        fields, meta = stored.tables.get("fields", ()) if stored else (), stored_meta(stored)
        complete = bool(meta.get("signed")) or self.are_regions_complete(film_case)
        return summarize_reading(film_case, self.scheme, fields, meta, complete, note, file.path)

    def states(self, rater: str, *, progress: Progress | None = None) -> tuple[CaseState, ...]:
        """Return the progress of `rater` in each case, in the order of `cases`, from an index that is updated first.

        A case with damaged files is returned as unreadable, with the reason. `progress` is called with (done, total) if many
        states must be computed.
        """
        return self._states([check_name(rater, "rater")], progress)[rater]

    def all_states(self, *, progress: Progress | None = None) -> dict[str, tuple[CaseState, ...]]:
        """Return `states` of each rater by name."""
        return self._states(self.config.raters, progress)

    def _states(self, raters: Sequence[str], progress: Progress | None) -> dict[str, tuple[CaseState, ...]]:
        found = self._worklists.states(raters, StudyFiles(self.folder), self.state, progress)
        for rater, states in found.items():
            for state in states:
                if state.note == _COPY_READ:  # from the index: the file itself was not read just now
                    self.add_notice(self.reading_path(rater, state.case), state.note)
        return found

    def _reading_file(self, rater: str, case: str) -> StudyFile:
        return self.folder.file(f"readings/{check_name(rater, 'rater')}/{check_name(case, 'case')}.json")

    def reading_path(self, rater: str, case: str) -> Path:
        """Return the path of the file of one reading."""
        return self._reading_file(rater, case).path

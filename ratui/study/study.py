"""The class `Study`: settings, cases, films, regions, proposals and readings of a study folder.

All code above this layer reads and writes a study through this class. It contains no rule of the score and no screen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ratui.errors import StoreError, StudyError, clean_text
from ratui.files import check_name
from ratui.imaging import Orientation
from ratui.reading import Reading, start_reading
from ratui.scheme import Scheme
from ratui.study.config_files import CONSENSUS, StudyConfig, create_study, load_study
from ratui.study.intact import intact_case, intact_reading
from ratui.study.readings.film_changes import adapt_reading, is_current, stored_times
from ratui.study.readings.reading_permission import ReadingPermission, check_is_rater, check_rater_access
from ratui.study.readings.reading_session import DisplayUse, ReadingSession, now
from ratui.study.readings.restored import find_reading, take_over_restored
from ratui.study.readings.stored_reading import (
    has_film_entry,
    stored_displays,
    stored_evidence,
    stored_meta,
    stored_positions,
    stored_reading,
)
from ratui.study.region_store import FilmOrientation
from ratui.study.store import FileLock, LockHolder, StoredTables, StudyFile, StudyFolder
from ratui.study.store.tables import restore_from_copy
from ratui.study.study_cases import StudyCases
from ratui.study.worklist import CaseState, Progress, StudyFiles, WorklistIndex, summarize_reading

if TYPE_CHECKING:
    import pandas

__all__ = ["Study"]

_COPY_READ = "damaged; its second copy is intact and was read"


class Study(StudyCases):
    """An open study folder, with its settings `config` and its scheme. Make one with `create` or `open`.

    Films and readings have time points, which in a blinded study only managers may know. `as_rater` returns the study as
    one rater sees it, with positions on the screen in place of time points.
    """

    def __init__(
        self, path: Path, config: StudyConfig, scheme: Scheme, *, view: str = "", folder: StudyFolder | None = None
    ) -> None:
        super().__init__(path, config, scheme, view, folder or StudyFolder(path))
        self._worklists = WorklistIndex(self.folder, config.id, config.scheme)

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
        managers: str = "",
        raters_per_case: int = 0,
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
        managers
            Name of a Unix group whose members manage the study, beside its owner; empty for none.
        raters_per_case
            Number of raters who read each case; 0 for all of them.

        Raises
        ------
        StudyError, SchemeError
            If the folder is not empty, or a name, the group or the scheme is not valid.
        """
        config, chosen = create_study(
            Path(path),
            scheme,
            raters,
            blinded=blinded,
            title=title,
            group=group,
            managers=managers,
            raters_per_case=raters_per_case,
        )
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

    def as_rater(self, rater: str) -> Study:
        """Return the study as `rater` sees it. It shows positions in place of time points, and opens no private file.

        It contains the readings of this rater only. Raises StudyError for an unknown rater.
        """
        if self.view == rater:
            return self
        if rater != CONSENSUS:
            check_is_rater(self.folder, self.config, rater)
        seen = Study(self.path, self.config, self.scheme, view=rater, folder=self.folder)
        seen._notices = self._notices
        return seen

    def __repr__(self) -> str:
        noun = "case" if (count := len(self.cases())) == 1 else "cases"
        return f"Study({str(self.path)!r}, {count} {noun}, raters: {', '.join(self.config.raters)})"

    def to_frame(
        self, raters: Sequence[str] = (), *, interim: bool = False, exclude_coarse: bool = False
    ) -> pandas.DataFrame:
        """Return the released readings as a pandas data frame, one row per field.

        `raters` limits the rows. `interim`, for managers, includes cases that not all raters have signed.
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

    def exclusive(self) -> AbstractContextManager[None]:
        """Prevent every save in the study for the duration of the block, at most a moment. Raises StoreError."""
        return self._study_lock.exclusive()

    @contextmanager
    def snapshot(self) -> Iterator[Study]:
        """Yield an unchanging copy of the study while others go on saving; its notices become those of this study.

        The copy is removed when the block ends. Raises StoreError if none can be made.
        """
        from ratui.study.copies.snapshot import snapshot

        with snapshot(self) as copy:
            copy._is_manager = self.is_manager  # whoever makes a snapshot owns its folder
            try:
                yield copy
            finally:
                self._notices.update(copy._notices)

    # Readings.

    def check_rater(self, rater: str) -> str:
        """Return `rater` if this account may enter their readings, and they are qualified. Raises StudyError otherwise."""
        check_rater_access(self.folder, self.config, rater)
        return rater

    def reading(self, rater: str, case: str) -> Reading | None:
        """Return the reading of `case` by `rater` as last saved, or None. Raises StoreError if its file is damaged.

        Raises StudyError in the view of another rater, and if only managers may know the time points.
        """
        if self.view not in ("", rater):
            raise StudyError(f"the view of {self.view} contains no other readings", self.path)
        file = self._reading_file(rater, case)
        stored = self._read_once(file, anew=True)
        order = self._stored_order(stored, rater, case) if stored else None
        return stored_reading(stored, self.scheme, file.path, rater, case, order)[0]

    def _stored_order(self, stored: StoredTables | None, rater: str, case: str) -> tuple[int, ...] | None:
        """Return the time point at each position of a stored reading, or of one that is not begun.

        In a rater's view these are the rater's positions now; None if the reading has the same. They may differ if visits
        were added or withdrawn since it was begun. Raises StoreError if they differ otherwise, or if its films are others.
        """
        films, own = self.case(case), stored_positions(stored)
        order = tuple(stored_times(films, own).values()) if own else films.order_of(self._positions_of(rater, case))
        if not self.view or (all(own) and order == tuple(range(len(order)))):
            return None if self.view else order
        if set(order) == set(films.times) and not has_film_entry(stored):
            raise StoreError("the reading was made with the films at other positions", case, "See: ratui check STUDY")
        return order

    def displays(self, rater: str, case: str) -> tuple[DisplayUse, ...]:
        """Return the displays on which `rater` has read `case`. Raises StoreError if the file is damaged."""
        file = self._reading_file(rater, case)
        return stored_displays(self._read_once(file), file.path)

    @contextmanager
    def open_reading(self, rater: str, case: str, *, take_over: LockHolder | None = None) -> Iterator[ReadingSession]:
        """Open the reading of `case` by `rater` for writing, and begin it if there is none.

        With `take_over` it is taken from this holder: a process of the same account, or one that is not known to run; that
        process can save nothing more. A damaged file whose second copy is intact is set aside and restored; the session's
        `notice` says so.

        Raises
        ------
        LockedByOther
            If the reading is open in another process; the error says whose and where.
        StudyLocked
            If a manager has locked the study.
        StudyError
            If the case can't be read, this account may not read as `rater`, or both copies of the file are damaged.
        """
        rules = ReadingPermission(self, self._study_lock, rater, case)
        rules.check_opening()
        film_case = self.case(case)
        why = film_case.unreadable_reason(self.scheme)
        if why:
            raise StudyError(f"it can't be read: {why}", case, "Import its other films")
        take_over_restored(self.folder, rater)
        folder = f"readings/{rater}"
        self.folder.make_folder(folder, group=0o050)  # in a shared study, only this rater may write here
        with ExitStack() as opened:
            file = opened.enter_context(self.folder.holding(folder)).file(f"{folder}/{film_case.id}.json")
            lock = opened.enter_context(FileLock(file.with_suffix(".lock"), take_over=take_over))
            source = self._reading_file(rater, case)
            stored = self._read(source)
            order = self._stored_order(stored, rater, case)
            reading, seconds = stored_reading(stored, self.scheme, file.path, rater, case, order)
            notice = stored.notice if stored else ""
            if notice and source.inside == file.inside:
                restore_from_copy(file)
                notice = "its file was damaged; it was set aside and restored from the second copy, nothing is lost"
            if reading is None:
                reading = start_reading(
                    self.scheme,
                    case,
                    rater,
                    film_case.sites(self.scheme),
                    order=order or film_case.times,
                    blinded=self.config.blinded,
                    unfilmed=film_case.unfilmed_slots(self.scheme),
                )
            if not reading.positions:
                reading = replace(reading, positions=film_case.films_at(reading.order))
            displays = stored_displays(stored, file.path)
            evidence = stored_evidence(stored, reading.positions, film_case, self.config.id)
            shared, check, tail = rules.shared, rules.check, stored.tail if stored else b""
            session = ReadingSession(file, lock, shared, check, reading, seconds, notice, displays, evidence, tail)
            adapted = adapt_reading(
                reading, film_case, self.config.id, self.positions(case).get(rater, ()), timestamp=now()
            )
            if adapted is not reading:
                session.save(adapted)
                if not notice:
                    notice = "films were added to this case or withdrawn from it: read what is open, then sign"
                session.notice = notice
            yield session

    def is_signed(self, case: str, film: str) -> bool:
        """Return whether a signed reading was made on a film, as far as this account may know. Raises StoreError."""
        for rater in (*self.config.raters, CONSENSUS):
            try:
                stored = self._read(self._reading_file(rater, case))
            except StoreError as error:
                if isinstance(error.__cause__, PermissionError):  # of another rater, in a shared study
                    continue
                raise
            positions = stored_positions(stored)
            if stored_meta(stored).get("signed") and (not positions or any(film in films for films in positions)):
                return True
        return False

    def set_orientation(
        self,
        case: str,
        film: str,
        orientation: Orientation,
        *,
        by: str = "",
        is_model: bool = False,
        even_if_signed: bool = False,
    ) -> None:
        """Record the orientation of a film. No box changes its place on the film, and no stored pixel changes.

        Parameters
        ----------
        case, film
            The film.
        orientation
            The change from the stored to the displayed film.
        by
            Name of the rater who turned the film, or of the model.
        is_model
            True if a model did.
        even_if_signed
            Also turn a film on which a signed reading was made.

        Raises
        ------
        StudyError
            If there is no such film, or a signed reading was made on it.
        StoreError
            If the file can't be read or written.
        """
        if film not in self.displayed_films(case):
            raise StudyError(f"there is no film {clean_text(film)}", case, "See: ratui status STUDY")
        if not even_if_signed and self.is_signed(case, film):
            problem = "a signed reading was made on this film as it is shown now"
            raise StudyError(problem, case, "Turn it only if it is displayed wrongly, and confirm that")
        with self.regions_lock(case):
            known = dict(self.orientations(case))
            known[film] = FilmOrientation(film, orientation, by, is_model)
            self.write_regions(case, self.stored_regions(case), known.values())

    def signed_readings(self, case: str) -> tuple[Reading, ...]:
        """Return the signed readings of `case`, in the order of the study's raters; damaged ones only add a notice.

        Readings of other films than the case has now are left out, see `film_changes`.

        For managers: a rater must not see them before their own reading is signed. Raises StudyError for other accounts.
        """
        self.check_manager("see readings before every rater has signed")
        films = intact_case(self, case)
        if films is None:
            return ()
        readings = (intact_reading(self, rater, case) for rater in self.config.raters)
        signed = (reading for reading in readings if reading is not None and reading.signed_at)
        return tuple(reading for reading in signed if is_current(reading, films))

    def state(self, rater: str, case: str) -> CaseState:
        """Return the progress of `rater` in `case`. Raises StoreError if its file is damaged."""
        if rater not in self.positions(case):
            if self.config.has_assignments:
                return CaseState(case, "unassigned", 0, 0, 0.0)
            why = f"its films have no order for {rater} yet; a manager runs: ratui seal STUDY"
            return CaseState(case, "unreadable", 0, 0, 0.0, why)
        film_case = self.shown_case(rater, case)
        why = film_case.unreadable_reason(self.scheme)
        if why:
            return CaseState(case, "unreadable", 0, 0, 0.0, why, visits=len(film_case.times))
        file = self._reading_file(rater, case)
        stored = self._read(file)
        note = _COPY_READ if stored and stored.notice else ""
        fields, meta = stored.tables.get("fields", ()) if stored else (), stored_meta(stored)
        complete = bool(meta.get("signed")) or self.are_regions_complete(film_case)
        log = stored.tables.get("log", ()) if stored else ()
        found = summarize_reading(film_case, self.scheme, fields, meta, complete, note, file.path, log)
        return replace(found, is_open=stored is not None or rater in self.film_list(case).blocks)

    def states(self, rater: str, *, progress: Progress | None = None) -> tuple[CaseState, ...]:
        """Return the progress of `rater` in each case that they read, by name, from an index that is updated first.

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
            found[rater] = tuple(state for state in states if self._is_listed(rater, state))
            for state in found[rater]:
                if state.note == _COPY_READ:  # from the index: the file itself was not read just now
                    self.add_notice(self.reading_path(rater, state.case), state.note)
        return found

    def _reading_file(self, rater: str, case: str) -> StudyFile:
        return find_reading(self.folder, rater, case)

    def reading_path(self, rater: str, case: str) -> Path:
        """Return the path of the file of one reading, in ``restored`` if it exists only there."""
        return self._reading_file(rater, case).path

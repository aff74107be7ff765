"""The cases of a study on the disk: the film lists that every member reads, and the visits that only managers read."""

from __future__ import annotations

import contextlib
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ratui.errors import RatuiError, StoreError, StudyError, clean_text
from ratui.files import check_name
from ratui.scheme import Scheme
from ratui.stored_values import ODD_VALUE_ERRORS
from ratui.study.case import Case, FilmRecord
from ratui.study.config_files import CONSENSUS, SPLIT_FORMAT, StudyConfig
from ratui.study.region_store import FilmOrientation, orient_case
from ratui.study.store import StoredTables, StudyFile, StudyFolder, StudyLock, write_tables
from ratui.study.store.folder import FileSignature
from ratui.study.visits import (
    FilmList,
    Positions,
    Visit,
    choose_raters,
    continue_positions,
    film_to_public_record,
    to_visits,
)

__all__ = ["CaseStore"]


class CaseStore:
    """The film lists and visits in a study's folder. An entry in memory counts while its file is unchanged.

    Parameters
    ----------
    folder
        The study's folder.
    read
        Function that returns the tables of a file, or None without one.
    orientations
        Function that returns the recorded orientations of the films of a case, by film.
    lock
        The study's lock.
    scheme
        The study's scheme.
    """

    def __init__(
        self,
        folder: StudyFolder,
        read: Callable[[StudyFile], StoredTables | None],
        orientations: Callable[[str], Mapping[str, FilmOrientation]],
        lock: StudyLock,
        scheme: Scheme,
    ) -> None:
        self._folder = folder
        self._scheme = scheme
        self._read = read
        self._read_orientations = orientations
        self._lock = lock
        self._lists: dict[str, tuple[FileSignature, FilmList]] = {}
        self._cases: dict[str, tuple[FileSignature, FilmList, Case]] = {}
        self._oriented: dict[tuple[str, str], tuple[Case, Mapping[str, FilmOrientation], Case]] = {}
        self._loads: Counter[str] | None = None
        """Number of cases of each rater; None before it is needed."""
        self._shown: dict[tuple[str, str], tuple[FilmList, Case]] = {}

    def films_file(self, case: str) -> StudyFile:
        """Return the file with the film list of `case`."""
        return self._folder.file(f"films/{check_name(case, 'case')}/films.json")

    def visits_file(self, case: str) -> StudyFile:
        """Return the file with the visits of `case`."""
        return self._folder.file(f"private/visits/{check_name(case, 'case')}.json")

    def film_list(self, case: str, config: StudyConfig) -> FilmList:
        """Return the film list of `case`. Raises StudyError if there is no such case, StoreError if it is damaged."""
        file = self.films_file(case)
        now = self._folder.signature(file.inside)
        last = self._lists.get(case)
        if last is not None and last[0] == now is not None:
            return last[1]
        stored = self._read(file)
        if stored is None:
            raise StudyError(f"there is no case {clean_text(case)}", self._folder.path, "See: ratui status STUDY")
        try:
            found = FilmList.from_tables(case, stored.tables, config, self._scheme)
        except (*ODD_VALUE_ERRORS, StudyError) as error:
            raise StoreError(
                f"not a list of films: {clean_text(error)}", file.path, "See: ratui check STUDY"
            ) from error
        self._lists[case] = now, found
        return found

    def visits(self, case: str) -> Mapping[str, Visit]:
        """Return the visits of `case` by film; empty without a file.

        Raises StudyError if this account may not read them, StoreError if the file is damaged.
        """
        file = self.visits_file(case)
        try:
            stored = self._read(file)
            records: Sequence[Mapping[str, object]] = stored.tables["visits"] if stored else ()
            found = [Visit.from_record(record) for record in records]
        except StoreError as error:
            if isinstance(error.__cause__, PermissionError):
                raise self._not_permitted(case) from error
            raise
        except ODD_VALUE_ERRORS as error:
            raise StoreError(
                f"not a list of visits: {clean_text(error)}", file.path, "See: ratui check STUDY"
            ) from error
        return {visit.film: visit for visit in found}

    def _not_permitted(self, case: str) -> StudyError:
        return StudyError(
            "only managers of the study may know the visits of its films", case, "Ask a manager of the study"
        )

    def case(self, case: str, config: StudyConfig) -> Case:
        """Return `case` with its time points. Raises StudyError if this account may not know them, StoreError."""
        return self._orient(self._upright_case(case, config), "")

    def _upright_case(self, case: str, config: StudyConfig) -> Case:
        listed = self.film_list(case, config)
        now = None
        if not listed.has_times:
            try:
                now = self._folder.signature(self.visits_file(case).inside)
            except StoreError as error:
                if isinstance(error.__cause__, PermissionError):
                    raise self._not_permitted(case) from error
                raise
        last = self._cases.get(case)
        if last is not None and last[0] == now and last[1] is listed:
            return last[2]
        if now is None and not listed.has_times and not self._folder.exists("private/visits"):
            problem = "the visits of its films are not in this copy of the study"
            raise StudyError(problem, case, "Ask a manager of the study")
        found = listed.to_case(() if listed.has_times else self.visits(case).values())
        self._cases[case] = now, listed, found
        return found

    def shown_case(self, rater: str, case: str, config: StudyConfig) -> Case:
        """Return `case` as `rater` sees it, with positions in place of time points. Opens no private file.

        Raises StudyError if the case is not assigned to the rater, StoreError.
        """
        return self._orient(self._upright_shown_case(rater, case, config), rater)

    def _upright_shown_case(self, rater: str, case: str, config: StudyConfig) -> Case:
        listed = self.film_list(case, config)
        last = self._shown.get((rater, case))
        if last is not None and last[0] is listed:
            return last[1]
        found = listed.to_shown_case(rater)
        self._shown[rater, case] = listed, found
        return found

    def _orient(self, case: Case, view: str) -> Case:
        """Return `case` with its films in their orientations. `view` is the rater who sees it, empty for none."""
        try:
            orientations = self._read_orientations(case.id)
        except StoreError:
            # Without the file there are no boxes either, and whoever reads them gets this error.
            return case
        if not orientations:
            return case
        last = self._oriented.get((case.id, view))
        if last is not None and last[0] is case and last[1] is orientations:
            return last[2]
        found = orient_case(case, orientations)
        self._oriented[case.id, view] = case, orientations, found
        return found

    def displayed_films(self, case: str, config: StudyConfig) -> tuple[FilmRecord, ...]:
        """Return the films of `case` in their orientations; all have the time point 0. Raises StudyError, StoreError."""
        records = self.film_list(case, config).records
        films = tuple(FilmRecord.from_record({**record, "time": 0, "day": None}) for record in records)
        return orient_case(Case(case, films), self._read_orientations(case)).films

    def save(
        self,
        case: Case,
        config: StudyConfig,
        positions: Mapping[str, Positions] | None = None,
        *,
        split: bool = False,
        blocks: Mapping[str, int] | None = None,
    ) -> None:
        """Store the films and visits of `case`, and the positions of its raters. Raises StoreError.

        Raters keep their positions, see `continue_positions`; `positions` replaces those of before. So do they keep their
        blocks, to which `blocks` are added.
        """
        file = self.films_file(case.id)
        # Reading raises an error for a file of a newer format, which must not be replaced.
        before = self.film_list(case.id, config) if self._read(file) is not None else None
        case = _with_known_aspects(case, before)
        if not split and not self.is_split(case.id, config):
            if case.withdrawn:
                raise StoreError("its study has an earlier format", file.path, "Run: ratui check STUDY --repair")
            with self._lock.shared():
                write_tables(file, {"films": [film.to_record() for film in case.films]})
            return
        visits = to_visits(case, self.visits(case.id))
        known = before.positions if before is not None and positions is None else positions or {}
        raters = (*self._choose_raters(known, config), CONSENSUS)
        continued = continue_positions(
            known, {visit.film: visit.visit for visit in visits}, raters, blinded=config.blinded
        )
        records = tuple(film_to_public_record(film, with_times=not config.blinded) for film in case.films)
        at = {visit.film: visit for visit in visits}
        withdrawn = tuple(
            {"id": film} | ({} if config.blinded else {"time": at[film].visit}) for film, _ in case.withdrawn
        )
        opened = {**(before.blocks if before is not None else {}), **(blocks or {})}
        opened = {rater: opened[rater] for rater in continued if rater in opened}
        listed = FilmList(case.id, records, continued, withdrawn, opened)
        with self._lock.shared():
            # First: a listed film without a visit could not be shown to managers.
            # The salts are random: a checksum of a file, even a public one, does not allow to try out its content. The
            # journal keeps the checksum of each earlier list, which could be that of the films of the first visit.
            private, public = ([{"salt": secrets.token_hex(16)}] for _ in range(2))
            write_tables(self.visits_file(case.id), {"salt": private, "visits": [each.to_record() for each in visits]})
            write_tables(file, {"salt": public, **listed.to_tables()})
        if self._loads is not None:
            self._loads.update(set(raters) - known.keys())

    def _choose_raters(self, known: Mapping[str, Positions], config: StudyConfig) -> tuple[str, ...]:
        """Return the raters of a case: those who read it already, or as many as read each new case."""
        if not config.has_assignments:
            return config.raters
        if known:
            return tuple(rater for rater in config.raters if rater in known)
        if self._loads is None:
            self._loads = Counter()
            for case in self._folder.folders("films"):
                with contextlib.suppress(RatuiError):  # a damaged list, which the check reports
                    self._loads.update(self.film_list(case, config).positions.keys())
        return choose_raters(config.active_raters, config.raters_per_case, self._loads)

    def is_split(self, case: str, config: StudyConfig) -> bool:
        """Return whether the visits of `case` are in a file of their own, as from format 3 on."""
        return config.stored_format >= SPLIT_FORMAT or self._folder.exists(self.visits_file(case).inside)


def _with_known_aspects(case: Case, before: FilmList | None) -> Case:
    """Return `case` as stored, where a film in the list `before` has exactly the shape of its pixels there.

    The shape in a turned film is a reciprocal, which cannot always be inverted to the last digit.
    """
    known = {str(record["id"]): float(record.get("aspect", 1.0)) for record in (before.records if before else ())}
    films = (
        replace(film.as_stored(), aspect=known[film.id])
        if film.orientation.swaps_sides and film.id in known
        else film.as_stored()
        for film in case.films
    )
    return replace(case, films=tuple(films))

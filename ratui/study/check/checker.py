"""Check every file of a study: settings, films, regions, proposals, readings, access, leftovers and journals.

With repair, faults with a proven repair are repaired; a damaged file without one is set aside, so that the rest of the
study opens. A reading that is open in another process is not changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from ratui.errors import DamagedError, RatuiError, StoreError
from ratui.study.campaign.charter_changes import change_settings
from ratui.study.campaign.qualifications import RESULTS
from ratui.study.case import Case, FilmRecord
from ratui.study.check.access import check_access
from ratui.study.check.copies import compare_copies, read_copies
from ratui.study.check.fault_list import FaultList
from ratui.study.check.film_uids import check_film_uids
from ratui.study.check.films import find_film_fault
from ratui.study.check.leftovers import check_leftovers
from ratui.study.check.report import CheckReport
from ratui.study.check.restored import check_restored
from ratui.study.check.table_files import TableFileChecker, is_plain, report_copies
from ratui.study.config_files import (
    CONSENSUS,
    FORMAT,
    SEALED_FORMAT,
    SPLIT_FORMAT,
    check_settings_seal,
    read_settings,
    write_settings,
)
from ratui.study.copies.upgrade import UpgradeResult, convert_readings, find_earlier_readings, upgrade_study
from ratui.study.joint_spaces.joint_space import JOINT_SPACE, PRIVATE_JOINT_SPACE
from ratui.study.layout import EVALUATION
from ratui.study.model_results.reading_order import ORDER
from ratui.study.readings.restored import RESTORED
from ratui.study.store import StudyFolder, StudyLock
from ratui.study.store.study_lock import LOCK_FILES
from ratui.study.study import Study

__all__ = ["StudyChecker"]

Progress = Callable[[int, int], None]


class StudyChecker:
    """The check of all files of a study. Make one for each check and call `run`; see `check_study` for the parameters."""

    def __init__(self, path: Path, repair: bool, progress: Progress) -> None:
        self._path = path
        self._folder = StudyFolder(path)
        self._progress = progress
        self._faults = FaultList(repair)

    def run(self) -> CheckReport:
        """Check each file, and repair what can be proven. Raises StudyError if there is no study that can be opened."""
        self._check_settings()
        study = Study.open(self._path)
        self._folder = study.folder
        is_unsealed = study.config.stored_format < SEALED_FORMAT
        group, managers = study.config.group, study.config.managers
        if group:
            self._check_lock_files()
        self._faults.extend(list(check_access(self._path, group, self._faults.repair, managers)))
        tables = TableFileChecker(study, self._faults, is_unsealed=is_unsealed)
        cases = study.cases()
        folders = ["private/visits", PRIVATE_JOINT_SPACE, "regions", JOINT_SPACE]
        folders += [f"{name}/{each}" for name in ("proposals", "readings", RESTORED) for each in self._subfolders(name)]
        runs = [f"models/{run}" for run in self._subfolders("models")]
        folders += [f"{run}/answers" for run in runs]
        of = len(cases) + len(folders)
        for number, case in enumerate(cases):
            self._progress(number, of)
            tables.check_folder(f"films/{case}")
            self._check_films(study, case)
        for number, folder in enumerate(folders, start=len(cases)):
            self._progress(number, of)
            tables.check_folder(folder)
        for inside in (RESULTS, f"models/{ORDER}", *(f"{run}/{EVALUATION}" for run in runs)):
            file = self._folder.file(inside)
            if any(self._exists(each.inside) for each in (file, file.second_copy)):
                tables.check(file)
        check_film_uids(study, self._faults)
        self._check_raters(study)
        check_restored(study, self._faults)
        check_leftovers(study, self._faults)
        if is_unsealed:
            self._migrate(study)
        self._upgrade()
        self._progress(of, of)
        return self._faults.report()

    def _subfolders(self, inside: str) -> list[str]:
        """Return the names of the folders in `inside`; none if that is a link, which `check_access` reports."""
        try:
            return self._folder.folders(inside)
        except StoreError:
            return []

    def _exists(self, inside: str) -> bool:
        try:
            return self._folder.exists(inside)
        except StoreError:
            return False  # its folder is a link, reported by `check_access`

    # Settings.

    def _check_settings(self) -> None:
        config, notice = read_settings(self._path)
        path, scheme = self._path / "study.toml", self._path / "scheme.toml"
        if config.stored_format < SEALED_FORMAT:
            return

        def sealed(data: bytes) -> None:
            check_settings_seal(data, path)

        def digest(data: bytes) -> None:
            if hashlib.sha256(data).hexdigest() != config.scheme:
                raise DamagedError("the scheme has changed since the study was created", scheme)

        for name, check in (("study.toml", sealed), ("scheme.toml", digest)):
            self._faults.files += 1
            by_hand = "If it was changed by hand: ratui seal STUDY" if notice and name == "study.toml" else ""
            file = self._folder.file(name)
            try:
                if not (is_plain(file) and is_plain(file.second_copy)):
                    continue
                read = read_copies(file)
                advice = by_hand or "Restore it from a backup"
                report_copies(self._faults, read, compare_copies(read, check), advice)
            except StoreError as error:
                self._faults.add(name, error.problem, advice=error.remedy)

    def _check_lock_files(self) -> None:
        """Report missing lock files of a shared study, which its raters can't create."""

        def create() -> None:
            try:
                StudyLock(self._folder).create_files()
            except OSError as error:
                raise StoreError(f"can't be created: {error.strerror}", self._path, "Check its owner") from error

        for name in LOCK_FILES:
            if not self._exists(name):
                self._faults.add(name, "it is missing: no rater can save", "created", create)

    # Films.

    def _check_films(self, study: Study, case: str) -> None:
        try:
            known = study.unordered_case(case)
        except RatuiError:
            return  # reported by `TableFileChecker`
        for film in known.films:
            self._check_film(study, known, film)
        listed = {f"{film.id}.dcm" for film in known.films}
        for name in self._folder.files(f"films/{case}", ".dcm"):
            if name not in listed:
                inside = f"films/{case}/{name}"
                note = f"{inside}: no case lists it; an import was interrupted before it could"
                self._faults.add_note(note, "set aside", partial(self._folder.set_aside, inside))

    def _check_film(self, study: Study, case: Case, film: FilmRecord) -> None:
        self._faults.files += 1
        file = self._folder.file(f"films/{case.id}/{film.id}.dcm")
        found = find_film_fault(study, case, film) if is_plain(file) else None
        if found is not None:
            self._faults.add(file.inside, *found)

    # The rest.

    def _check_raters(self, study: Study) -> None:
        for event in study.config.events:
            if event.action == "left" and event.rater in study.config.departed:
                self._faults.notes.append(f"the rater {event.rater} left on {event.at[:10]}: {event.reason}")
        for name in self._subfolders("readings"):
            if name.startswith("."):
                continue  # restored readings are being taken over
            if name not in (*study.config.raters, CONSENSUS):
                problem = "the study has no rater of that name, so these readings count nowhere"
                advice = f"If it was a rater of this study: ratui raters STUDY --add {name}"
                self._faults.add(f"readings/{name}", problem, advice=advice)

    def _upgrade(self) -> None:
        """Convert a study of format 2, or note that its raters can read what they need not know."""
        study = Study.open(self._path)
        if study.config.stored_format > SEALED_FORMAT and study.config.blinded:
            left = convert_readings(study) if self._faults.repair else len(find_earlier_readings(study))
            if remark := UpgradeResult(left).remark:
                self._faults.notes.append(remark)
        if study.config.stored_format == SPLIT_FORMAT and self._faults.repair:
            config = replace(study.config, stored_format=FORMAT)
            note, remedy = (
                "study.toml: the study has format 3, which records no exports",
                f"converted to format {FORMAT}",
            )
            self._faults.add_note(note, remedy, lambda: change_settings(study, config))
        if study.config.stored_format != SEALED_FORMAT:
            return

        def upgrade() -> None:
            if remark := upgrade_study(study).remark:
                self._faults.notes.append(remark)

        remedy = "converted to format 3"
        if study.config.blinded:
            problem = "raters can read the order of the visits (format 2)"
            self._faults.add("study.toml", problem, remedy, upgrade)
        else:
            self._faults.add_note("study.toml: the study has format 2", remedy, upgrade)

    def _migrate(self, study: Study) -> None:
        scheme = self._folder.read("scheme.toml")
        config = replace(study.config, scheme=hashlib.sha256(scheme).hexdigest(), stored_format=SEALED_FORMAT)

        def migrate() -> None:
            if not self._faults.can_be_converted:
                raise StoreError("some of its files could not be converted", self._path, "Repair them first")
            self._folder.write("scheme.toml", scheme)
            write_settings(self._folder, config)

        self._faults.add("study.toml", "the study has format 1", "converted to format 2", migrate)

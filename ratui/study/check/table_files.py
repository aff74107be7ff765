"""Check a table file: its two copies, its seal, and whether its content is possible.

A file is read without a lock first. Only if its copies differ, both are read again while nothing is saved. Everything is
computed outside the lock, because a file that was made on purpose may take seconds.
"""

from __future__ import annotations

import stat
import time
from collections.abc import Mapping
from typing import Any

from ratui.errors import DamagedError, RatuiError, StoreError
from ratui.study.campaign.display_tests import DISPLAY_TESTS, parse_display_tests
from ratui.study.case import FilmsWithdrawn, regions_from_records
from ratui.study.check.copies import (
    CopyBytes,
    FileCopies,
    check_tables,
    compare_copies,
    is_interrupted_save,
    read_copies,
    replace_damaged,
    restore_copies,
    set_both_aside,
)
from ratui.study.check.evidence import check_evidence
from ratui.study.check.fault_list import FaultList
from ratui.study.check.readings import rebuild_fields, salvage_tables
from ratui.study.config_files import CONSENSUS
from ratui.study.joint_spaces.joint_space import check_joint_space
from ratui.study.model_results.model_reports import read_evaluation
from ratui.study.model_results.predictions import load_film_verdicts, load_predictions
from ratui.study.model_results.reading_order import read_stored_order
from ratui.study.store import FileLock, LockedByOther, StudyFile
from ratui.study.store.seal import UnsealedError, open_seal, seal
from ratui.study.store.tables import sealed_name
from ratui.study.study import Study

__all__ = ["TableFileChecker", "is_plain", "report_copies"]

_MOMENT = 0.5  # seconds after which a save that was between its two renames has ended


class TableFileChecker:
    """Checks the table files of one study.

    Parameters
    ----------
    study
        The study.
    faults
        Faults are added to this list.
    is_unsealed
        The study has format 1, whose files have no checksums.
    """

    def __init__(self, study: Study, faults: FaultList, *, is_unsealed: bool) -> None:
        self._study = study
        self._can_lock = True
        self._faults = faults
        self._is_unsealed = is_unsealed

    def check_folder(self, inside: str) -> None:
        """Check the table files in the folder `inside`, and second copies whose file is missing."""
        folder = self._study.folder
        try:
            names = folder.files(inside)
        except StoreError:
            return  # a link or no folder, reported by `check_access`
        found = {name for name in names if name.endswith(".json") and not name.startswith(".")}
        found |= {name.removesuffix(".bak") for name in names if name.endswith(".json.bak")}
        for name in sorted(found):
            self.check(folder.file(f"{inside}/{name}"))

    def check(self, file: StudyFile) -> None:
        """Check `file`; to repair it, check it again as its only writer, because a save may have changed it meanwhile."""
        self._faults.files += 1
        faults, before = self._faults, len(self._faults)
        notes, tidy_up = len(faults.notes), faults.tidy_up
        repair = faults.repair
        try:
            if not (is_plain(file) and is_plain(file.second_copy)):
                return  # reported by `check_access`
            faults.repair = False
            self._check_copies(file, self._read(file))
            faults.repair = repair
            if repair and (len(faults) > before or faults.tidy_up > tidy_up):
                with FileLock(file.with_suffix(".lock")):
                    faults.remove_after(before)
                    del faults.notes[notes:]
                    self._check_copies(file, read_copies(file))
        except LockedByOther as error:
            faults.advise_after(before, error.problem)
        except StoreError as error:
            faults.add(file.inside, error.problem, advice=error.remedy)
        finally:
            faults.repair = repair

    def _read(self, file: StudyFile) -> CopyBytes:
        """Return both copies; if they differ, as they are while nothing is saved."""
        copies = read_copies(file)
        if copies.first == copies.second:
            return copies
        if self._can_lock:
            try:
                with self._study.exclusive():
                    return read_copies(file)
            except StoreError:  # this account may not lock the study, or another account keeps the lock
                self._can_lock = False
        time.sleep(_MOMENT)
        return read_copies(file)

    def _check_copies(self, file: StudyFile, read: CopyBytes) -> None:
        copies = compare_copies(read, check_tables(file, unsealed=self._is_unsealed), twins=not self._is_unsealed)
        advice = "Restore it from a backup"
        if is_reading(file):
            advice += ", or have the case read again"
        if copies.data is None:
            whole = salvage_tables(file, read, self._study.scheme)
            if whole is not None:
                remedy = "rebuilt from its records, whose checksums are right"
                problem = f"both copies are damaged: {copies.problem}"
                self._faults.add(file.inside, problem, remedy, lambda: replace_damaged(file, whole))
            else:
                self._report_unrepairable(file, copies.problem, advice)
            return
        report_copies(self._faults, read, copies, advice)
        if self._is_unsealed:
            self._add_seal(file, copies.data)
        self._check_content(file, copies.data)

    def _report_unrepairable(self, file: StudyFile, problem: str, advice: str) -> None:
        if self._faults.repair:
            set_both_aside(file)
            problem += "; both copies were set aside, so that the rest of the study opens"
        else:
            problem = f"both copies are damaged: {problem}"
        self._faults.add(file.inside, problem, advice=advice)

    def _add_seal(self, file: StudyFile, data: bytes) -> None:
        """Seal a file of format 1."""
        try:
            open_seal(data)
        except UnsealedError as error:
            tables = error.args[0]
            try:
                sealed = seal(tables, sealed_name(file))
            except (ValueError, RecursionError):
                self._faults.add(file.inside, "it has values that a sealed file can't have", advice="Inspect the file")
                return
            problem = "it has no checksums (format 1)"
            self._faults.add(file.inside, problem, "sealed", lambda: file.folder.write(file.inside, sealed))

    def _check_content(self, file: StudyFile, data: bytes) -> None:
        """Check what checksums can't show: whether the content is possible."""
        study = self._study
        folders = file.parent.split("/")
        try:
            match folders:
                case ["readings" | "restored", _] if file.name == DISPLAY_TESTS:
                    parse_display_tests(_list_records(data), file.path)
                case ["readings" | "restored", rater]:
                    if rater not in (*study.config.raters, CONSENSUS):
                        return  # reported as readings of an unknown rater
                    if rater in study.config.departed and rater not in study.positions(file.stem):
                        self._faults.notes.append(f"{file.inside}: {rater} has left the study; it does not count")
                        return
                    # The rater's view: an account that is no manager can check it, too.
                    study.as_rater(rater).reading(rater, file.stem)
                    study.displays(rater, file.stem)
                    self._check_evidence(file, data)
                case ["regions"] if study.folder.is_folder(f"films/{file.stem}"):
                    case_there = study.unordered_case(file.stem)
                    known = {film.id for film in case_there.films} | dict(case_there.withdrawn).keys()
                    strange = {region.film for region in study.regions(file.stem)} - known
                    strange |= study.orientations(file.stem).keys() - known
                    if strange:
                        self._faults.add(file.inside, f"it names {len(strange)} films that the case does not have")
                case ["films", case]:
                    study.film_list(case)
                case ["private", "visits"]:
                    self._check_visits(file)
                case ["proposals", _]:
                    regions_from_records(open_seal(data).tables.get("regions", {}).values(), study.scheme, file.path)
                case ["models", run, "answers"]:
                    load_predictions(study, file.stem, run=run)
                    load_film_verdicts(study, file.stem, run=run)
                case ["models", _, "measurements"] | ["private", "joint_space"]:
                    check_joint_space(study, file)
                case ["models", run]:
                    read_evaluation(study, run)
                case ["models"]:
                    read_stored_order(study)
        except (DamagedError, UnsealedError):
            pass  # reported above, and not repaired
        except FilmsWithdrawn as error:
            self._faults.notes.append(f"{file.inside}: {error.problem}; it counts when others are imported and read")
        except RatuiError as error:
            can_rebuild = is_reading(file) and not self._is_unsealed
            fields = rebuild_fields(file, data, study.scheme) if can_rebuild else None
            remedy = "fields rebuilt from the log" if fields else ""
            self._faults.add(
                file.inside, error.problem, remedy, lambda: replace_damaged(file, fields or b""), error.remedy
            )

    def _check_visits(self, file: StudyFile) -> None:
        """Read the visits of a case. They are written before its list of films, which an interrupted import lacks."""
        study, case = self._study, file.stem
        listed = f"films/{case}/films.json"
        if not study.folder.exists(listed) and not study.folder.exists(f"{listed}.bak"):
            # The journals show a list that was removed.
            self._faults.notes.append(f"{file.inside}: an import was interrupted before it could list the films")
            return
        present = study.case(case)
        known = {film.id for film in present.films} | dict(present.withdrawn).keys()
        if count := len(study.visits(case).keys() - known):
            note = f"films that no case lists: {count}; an import was interrupted before it could"
            self._faults.notes.append(f"{file.inside}: {note}")

    def _check_evidence(self, file: StudyFile, data: bytes) -> None:
        if self._is_unsealed:
            return
        found = check_evidence(self._study, file, data)
        advice = "Compare with a backup: ratui check STUDY --against BACKUP"
        for problem, is_proven in found.faults:
            remedy = "rebuilt from the log" if is_proven else ""
            self._faults.add(
                file.inside, problem, remedy, lambda: file.folder.write(file.inside, found.rebuilt), advice
            )
        self._faults.notes += [f"{file.inside}: {remark}" for remark in found.remarks]


def report_copies(faults: FaultList, read: CopyBytes, copies: FileCopies, advice: str) -> None:
    """Add what is wrong with the copies of a file: a fault, or a note if only a save was interrupted."""
    file = copies.file
    if copies.has_only_intact and is_interrupted_save(read):
        note = f"{file.inside}: a save was interrupted; what was acknowledged before it is intact"
        faults.add_note(note, copies.remedy, lambda: restore_copies(copies))
    elif copies.problem:
        faults.add(file.inside, copies.problem, copies.remedy, lambda: restore_copies(copies), advice)


def is_reading(file: StudyFile) -> bool:
    """Return whether `file` is in the place of a reading."""
    return (
        file.name != DISPLAY_TESTS
        and file.inside.count("/") == 2
        and file.inside.startswith(("readings/", "restored/"))
    )


def _list_records(data: bytes) -> dict[str, list[Mapping[str, Any]]]:
    """Return the records of a sealed file by their table."""
    return {name: list(records.values()) for name, records in open_seal(data).tables.items()}


def is_plain(file: StudyFile) -> bool:
    """Return whether `file` is a regular file or missing, and no link or special file. Raises StoreError."""
    found = file.folder.find(file.inside)
    return found is None or stat.S_ISREG(found.st_mode)

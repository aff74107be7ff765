"""Check every file of a study: settings, films, regions, proposals, readings, access, leftovers and journals.

A repair needs proof; a damaged file without one is set aside. A reading open in another process is not changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path

from ratui.errors import DamagedError, RatuiError, StoreError, clean_text
from ratui.files import remove_leftovers, second_copy_path, write_bytes
from ratui.study.case import Case, FilmRecord
from ratui.study.check.access import check_access
from ratui.study.check.copies import (
    FileCopies,
    check_tables,
    compare_copies,
    replace_damaged,
    restore_copies,
    set_both_aside,
)
from ratui.study.check.evidence import check_evidence
from ratui.study.check.films import find_film_fault
from ratui.study.check.journals import add_journal_findings
from ratui.study.check.readings import rebuild_fields, salvage_tables
from ratui.study.check.report import CheckFinding, CheckReport
from ratui.study.config import CONSENSUS, FORMAT, check_settings_seal, read_settings, write_settings
from ratui.study.layout import SNAPSHOT_PREFIX
from ratui.study.model_reports import EVALUATION
from ratui.study.predictions import ORDER
from ratui.study.store import FileLock, HeldByOther, StudyFile, set_aside
from ratui.study.store.descriptors import is_folder, is_missing, is_regular, open_inside, walk_no_links
from ratui.study.store.seal import UnsealedError, open_seal, seal
from ratui.study.store.tables import read_file, sealed_name
from ratui.study.study import Study
from ratui.study.worklist import INDEX, CaseState

__all__ = ["check_study"]

Progress = Callable[[int, int], None]
_ABANDONED = 86_400.0
"""Seconds after which an existing snapshot was left behind by a process that was killed."""


def check_study(path: Path, *, repair: bool = False, progress: Progress | None = None) -> CheckReport:
    """Return everything that is wrong in the study at `path`.

    Parameters
    ----------
    path
        Folder of the study.
    repair
        Repair what can be proven.
    progress
        Called with (steps done, steps in all).

    Raises
    ------
    StudyError
        If there is no study that this version can open.
    """
    path = Path(path)
    before = read_settings(path)[0].stored_format
    report = _StudyChecker(path, repair, progress or (lambda done, of: None)).run()
    return add_journal_findings(report, Study.open(path), format_before=before, repair=repair)


class _StudyChecker:
    def __init__(self, path: Path, repair: bool, progress: Progress) -> None:
        self._path = path
        self._repair = repair
        self._progress = progress
        self._findings: list[CheckFinding] = []
        self._notes: list[str] = []
        self._files = 0

    def run(self) -> CheckReport:
        self._check_settings()
        study = Study.open(self._path)
        self._is_unsealed_format = study.config.stored_format < FORMAT
        self._findings += check_access(self._path, study.config.group, self._repair)
        cases = study.cases()
        folders = [
            self._path / "regions",
            *_subfolders(self._path / "proposals"),
            *_subfolders(self._path / "readings"),
        ]
        models = self._path / "models"
        folders += [answers for run in _subfolders(models) if is_folder(answers := run / "answers")]
        of = len(cases) + len(folders)
        for number, case in enumerate(cases):
            self._progress(number, of)
            self._check_films(study, case)
        for number, folder in enumerate(folders, start=len(cases)):
            self._progress(number, of)
            if not is_folder(folder):
                continue  # a link, reported by `check_access`
            for file in sorted(folder.glob("*.json")):
                if not file.name.startswith("."):
                    self._check_file(study, file)
            self._check_orphaned_copies(study, folder)
        for file in (models / ORDER, *(run / EVALUATION for run in _subfolders(models))):
            if is_folder(file.parent) and (file.exists() or second_copy_path(file).exists()):
                self._check_file(study, file)
        self._check_raters(study)
        self._check_worklist_index(study)
        self._check_leftovers()
        if self._is_unsealed_format:
            self._migrate(study)
        self._progress(of, of)
        return CheckReport(tuple(self._findings), tuple(self._notes), self._files)

    def _add_finding(
        self, file: Path, problem: str, remedy: str = "", act: Callable[[], object] | None = None, advice: str = ""
    ) -> bool:
        """Add a finding and, with `repair`, repair it by calling `act`; return whether it was repaired."""
        repaired = False
        advice = "" if remedy else advice
        if remedy and act is not None and self._repair:
            try:
                act()
                repaired = True
            except RatuiError as error:
                advice = f"{error.problem}. {error.remedy}"
        self._findings.append(CheckFinding(str(file.relative_to(self._path)), problem, remedy, repaired, advice))
        return repaired

    # Settings.

    def _check_settings(self) -> None:
        config, notice = read_settings(self._path)
        file = self._path / "study.toml"
        if config.stored_format < FORMAT:
            return
        scheme = self._path / "scheme.toml"

        def sealed(data: bytes) -> None:
            check_settings_seal(data, file)

        def digest(data: bytes) -> None:
            if hashlib.sha256(data).hexdigest() != config.scheme:
                raise DamagedError("the scheme has changed since the study was created", scheme)

        for path, check in ((file, sealed), (scheme, digest)):
            self._files += 1
            advice = "If it was changed by hand: ratui seal STUDY" if notice and path == file else ""
            try:
                with self._open_folder(path) as folder:
                    if not _is_link_or_special(path, folder):
                        copies = compare_copies(path, check, folder, self._path)
                        self._repair_copies(copies, advice or "Restore it from a backup", folder)
            except StoreError as error:
                self._add_finding(path, error.problem, advice=error.remedy)

    def _open_folder(self, file: Path) -> AbstractContextManager[int]:
        """Open the folder of `file` without following a link inside the study. Raises StoreError."""
        return open_inside(self._path, file.relative_to(self._path).parent)

    def _repair_copies(self, copies: FileCopies, advice: str, folder: int) -> bytes | None:
        if copies.problem:
            act = partial(restore_copies, copies, folder)
            self._add_finding(copies.path, copies.problem, copies.remedy, act, advice)
        return copies.data

    # Films.

    def _check_films(self, study: Study, case: str) -> None:
        folder = self._path / "films" / case
        if not (is_folder(folder.parent) and is_folder(folder)):
            return  # a link, reported by `check_access`
        file = folder / "films.json"
        self._check_file(study, file)
        self._check_orphaned_copies(study, folder)
        try:
            known = study.case(case)
        except RatuiError:
            return  # reported by `_check_file`
        for film in known.films:
            self._check_film(study, known, film)
        listed = {film.id for film in known.films}
        for path in sorted(folder.glob("*.dcm")):
            if path.stem not in listed and not path.is_symlink():
                problem = "no case lists it; an import was interrupted before it could"
                self._add_finding(path, problem, "set aside", partial(self._set_aside, path))

    def _set_aside(self, path: Path) -> None:
        with self._open_folder(path) as folder:
            set_aside(path, folder=folder)

    def _check_film(self, study: Study, case: Case, film: FilmRecord) -> None:
        self._files += 1
        path = study.film_path(case.id, film.id)
        with self._open_folder(path) as folder:
            readable = is_missing(path.name, folder) or is_regular(path.name, folder)
        found = find_film_fault(study, case, film) if readable else None
        if found is not None:
            self._add_finding(path, *found)

    # Tables.

    def _check_orphaned_copies(self, study: Study, folder: Path) -> None:
        """Check second copies whose file is missing."""
        for copy in sorted(folder.glob("*.json.bak")):
            first = copy.with_name(copy.name.removesuffix(".bak"))
            if not first.exists() and not first.is_symlink():
                self._check_file(study, first)

    def _check_file(self, study: Study, file: Path) -> None:
        """Check a table file while nothing is saved; to repair it, check it again as its only writer.

        The second check is needed because a save may have changed the file between the two locks.
        """
        self._files += 1
        reading = file.parent.parent.name == "readings"
        before, repair = len(self._findings), self._repair
        try:
            with self._open_folder(file) as folder:
                if _is_link_or_special(file, folder):
                    return  # reported by `check_access`
                self._repair = False
                with study.exclusive():
                    self._check_sealed_file(study, file, reading, folder)
                self._repair = repair
                if repair and len(self._findings) > before:
                    with FileLock(_lock_file(study, file)):
                        del self._findings[before:]
                        self._check_sealed_file(study, file, reading, folder)
        except HeldByOther as error:
            self._findings[before:] = [replace(each, advice=error.problem) for each in self._findings[before:]]
        except StoreError as error:
            self._add_finding(file, error.problem, advice=error.remedy)
        finally:
            self._repair = repair

    def _check_sealed_file(self, study: Study, file: Path, reading: bool, folder: int) -> None:
        unsealed = self._is_unsealed_format
        check = check_tables(file, unsealed=unsealed)
        copies = compare_copies(file, check, folder, self._path, twins=not unsealed)
        advice = "Restore it from a backup" if not reading else "Restore it from a backup, or have the case read again"
        if copies.data is None:
            whole = salvage_tables(file, study.scheme, folder)
            if whole is not None:
                remedy = "rebuilt from its records, whose checksums are right"
                self._add_finding(
                    file,
                    f"both copies are damaged: {copies.problem}",
                    remedy,
                    lambda: replace_damaged(file, whole, folder),
                )
            else:
                self._report_unrepairable(file, copies.problem, advice, folder)
            return
        data = self._repair_copies(copies, advice, folder)
        if data is None:
            return
        if self._is_unsealed_format:
            self._add_seal(file, data, folder)
        self._check_content(study, file, data, reading, folder)

    def _report_unrepairable(self, file: Path, problem: str, advice: str, folder: int) -> None:
        if self._repair:
            set_both_aside(file, folder)
            problem += "; both copies were set aside, so that the rest of the study opens"
        self._add_finding(file, f"both copies are damaged: {problem}" if not self._repair else problem, advice=advice)

    def _add_seal(self, file: Path, data: bytes, folder: int) -> None:
        """Seal a file of format 1."""
        try:
            open_seal(data)
        except UnsealedError as error:
            tables = error.args[0]
            sealed = seal(tables, sealed_name(file))
            problem = "it has no checksums (format 1)"
            self._add_finding(file, problem, "sealed", lambda: write_bytes(file, sealed, folder=folder))

    def _check_content(self, study: Study, file: Path, data: bytes, reading: bool, folder: int) -> None:
        """Check what checksums can't show: whether the content is possible."""
        try:
            if reading:
                study.reading(file.parent.name, file.stem)
                self._check_evidence(study, file, data, folder)
            elif file.parent.name == "regions" and not (self._path / "films" / file.stem).is_symlink():
                known = {film.id for film in study.case(file.stem).films}
                strange = {region.film for region in study.regions(file.stem)} - known
                if strange:
                    self._add_finding(file, f"it names {len(strange)} films that the case does not have")
        except DamagedError:
            pass  # reported above, and not repaired
        except RatuiError as error:
            fields = rebuild_fields(file, data, study.scheme) if reading and not self._is_unsealed_format else None
            remedy = "fields rebuilt from the log" if fields else ""
            self._add_finding(
                file, error.problem, remedy, lambda: replace_damaged(file, fields or b"", folder), error.remedy
            )

    def _check_evidence(self, study: Study, file: Path, data: bytes, folder: int) -> None:
        if self._is_unsealed_format:
            return
        found = check_evidence(study, file, data)
        advice = "Compare with a backup: ratui check STUDY --against BACKUP"
        for problem, is_proven in found.faults:
            remedy = "rebuilt from the log" if is_proven else ""
            self._add_finding(file, problem, remedy, lambda: write_bytes(file, found.rebuilt, folder=folder), advice)
        self._notes += [f"{file.relative_to(self._path)}: {remark}" for remark in found.remarks]

    # The rest.

    def _check_raters(self, study: Study) -> None:
        for folder in _subfolders(self._path / "readings"):
            if folder.name not in (*study.config.raters, CONSENSUS):
                problem = "the study has no rater of that name, so these readings count nowhere"
                self._add_finding(folder, problem, advice="Name the rater in study.toml, then: ratui seal STUDY")

    def _check_worklist_index(self, study: Study) -> None:
        readings = self._path / "readings"
        if not all(is_folder(self._path / name) for name in ("films", "regions", "readings")):
            return  # a link, reported by `check_access`
        for rater in study.config.raters:
            if (readings / rater).is_symlink():
                continue  # reported by `check_access`
            wrong = (shown.case for shown in study.states(rater) if not _matches_files(study, rater, shown))
            for case in wrong:
                with study.exclusive():  # a save may have come between the two reads
                    shown = next(state for state in study.states(rater) if state.case == case)
                    if _matches_files(study, rater, shown):
                        continue
                file = readings / rater / INDEX
                remove = partial(self._remove, file)
                self._add_finding(file, "the worklist's index is wrong", "removed; it will be built again", remove)
                break

    def _remove(self, file: Path) -> None:
        with self._open_folder(file) as folder, contextlib.suppress(FileNotFoundError):
            os.unlink(file.name, dir_fd=folder)

    def _check_leftovers(self) -> None:
        for entry in walk_no_links(self._path, skip=SNAPSHOT_PREFIX):
            if entry.descriptor is None:
                continue
            folder = clean_text(entry.inside)
            names = os.listdir(entry.descriptor)  # noqa: PTH208 - of a descriptor
            old = [name for name in names if ".damaged-" in name]
            if old:
                self._notes.append(
                    f"{folder}: files set aside as damaged: {len(old)}; remove them when they are not needed any more"
                )
            if self._repair:
                removed = remove_leftovers(entry.descriptor)
                if removed:
                    self._notes.append(f"{folder}: {removed} unfinished files removed")

        for path in self._path.glob(f"{SNAPSHOT_PREFIX}*"):
            with contextlib.suppress(OSError):
                if self._repair and is_folder(path) and time.time() - path.lstat().st_mtime > _ABANDONED:
                    shutil.rmtree(path)  # follows no link, even one that replaces the folder meanwhile
                    self._notes.append(f"{path.name}: left by a backup that was killed; removed")

    def _migrate(self, study: Study) -> None:
        scheme = read_file(self._path / "scheme.toml")
        config = replace(study.config, scheme=hashlib.sha256(scheme).hexdigest(), stored_format=FORMAT)

        def migrate() -> None:
            if any(finding.remedy and not finding.repaired for finding in self._findings):
                raise StoreError("some of its files could not be converted", self._path, "Repair them first")
            write_bytes(self._path / "scheme.toml", scheme)
            write_settings(self._path, config)

        self._add_finding(self._path / "study.toml", "the study has format 1", "converted to format 2", migrate)


def _matches_files(study: Study, rater: str, shown: CaseState) -> bool:
    """Return whether the index agrees with the case's files; damaged files are reported elsewhere."""
    try:
        return shown.stage == "unreadable" or study.state(rater, shown.case) == shown
    except RatuiError:
        return True


def _subfolders(path: Path) -> list[Path]:
    """Return the folders in `path`, none of them a link."""
    return sorted(entry for entry in path.iterdir() if is_folder(entry)) if is_folder(path) else []


def _lock_file(study: Study, file: Path) -> StudyFile:
    return study.folder.file(file.relative_to(study.path).with_suffix(".lock").as_posix())


def _is_link_or_special(file: Path, folder: int) -> bool:
    """Return whether a copy of `file` is there that is no regular file."""
    names = (file.name, second_copy_path(file).name)
    return any(not is_missing(name, folder) and not is_regular(name, folder) for name in names)

"""The whole study, file by file: settings, films, regions, proposals, readings, access, leftovers.

It reads everything and, where asked, mends what can be proven; what can't stays as it is, or is set aside so that the
rest opens. A reading that somebody has open is not touched.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from ratui.errors import DamagedError, RatuiError, StoreError, clean
from ratui.study.case import Case, CaseState, FilmRecord
from ratui.study.check.access import check_access
from ratui.study.check.copies import Copies, check_tables, look_at, mend, rewrite
from ratui.study.check.films import film_fault
from ratui.study.check.readings import rebuilt, salvaged
from ratui.study.check.report import Finding, Report
from ratui.study.config import CONSENSUS, FORMAT, check_seal, read_settings, write_settings
from ratui.study.layout import SNAPSHOT
from ratui.study.model_reports import EVALUATION
from ratui.study.predictions import ORDER
from ratui.study.store import Held, Lock, remove_leftovers, set_aside, write_bytes
from ratui.study.store.atomic_write import copy_of
from ratui.study.store.seal import Unsealed, open_seal, seal
from ratui.study.store.tables import known_as, read_file
from ratui.study.study import Study

__all__ = ["check_study"]

Progress = Callable[[int, int], None]
_ABANDONED = 86_400.0
"""Seconds after which a picture of the study that is still there belongs to nobody."""


def check_study(path: Path, *, repair: bool = False, progress: Progress | None = None) -> Report:
    """Everything that is wrong in the study at `path`; with `repair`, what can be proven is mended.

    Raises StudyError where there is no study that this version can open.
    """
    return _Check(Path(path), repair, progress or (lambda done, of: None)).run()


class _Check:
    def __init__(self, path: Path, repair: bool, progress: Progress) -> None:
        self._path = path
        self._repair = repair
        self._progress = progress
        self._findings: list[Finding] = []
        self._notes: list[str] = []
        self._files = 0

    def run(self) -> Report:
        self._settings()
        study = Study.open(self._path)
        self._old = study.config.stored < FORMAT
        self._findings += check_access(self._path, study.config.group, self._repair)
        cases = study.cases()
        folders = [self._path / "regions", *_folders(self._path / "proposals"), *_folders(self._path / "readings")]
        models = self._path / "models"
        folders += [answers for run in _folders(models) if (answers := run / "answers").is_dir()]
        of = len(cases) + len(folders)
        for number, case in enumerate(cases):
            self._progress(number, of)
            self._films(study, case)
        for number, folder in enumerate(folders, start=len(cases)):
            self._progress(number, of)
            for file in sorted(folder.glob("*.json")):
                if not file.name.startswith("."):
                    self._tables(study, file)
            self._lonely_copies(study, folder)
        for file in (models / ORDER, *(run / EVALUATION for run in _folders(models))):
            if file.exists() or copy_of(file).exists():
                self._tables(study, file)
        self._raters(study)
        self._index(study)
        self._leftovers()
        if self._old:
            self._bring_up(study)
        self._progress(of, of)
        return Report(tuple(self._findings), tuple(self._notes), self._files)

    def _found(
        self, file: Path, what: str, remedy: str = "", act: Callable[[], object] | None = None, advice: str = ""
    ) -> bool:
        """Notes a finding and, with `repair`, mends it by `act`; says whether it was mended."""
        mended = False
        advice = "" if remedy else advice
        if remedy and act is not None and self._repair:
            try:
                act()
                mended = True
            except RatuiError as error:
                advice = f"{error.what}. {error.remedy}"
        self._findings.append(Finding(str(file.relative_to(self._path)), what, remedy, mended, advice))
        return mended

    # Settings.

    def _settings(self) -> None:
        config, notice = read_settings(self._path)
        file = self._path / "study.toml"
        if config.stored < FORMAT:
            return
        scheme = self._path / "scheme.toml"

        def sealed(data: bytes) -> None:
            check_seal(data, file)

        def digest(data: bytes) -> None:
            if hashlib.sha256(data).hexdigest() != config.scheme:
                raise DamagedError("it is not the scheme that the study was made with", scheme)

        for path, check in ((file, sealed), (scheme, digest)):
            self._files += 1
            copies = look_at(path, check)
            advice = "If it was changed by hand: ratui seal STUDY" if notice and path == file else ""
            self._copies(copies, advice or "Restore it from a backup")

    def _copies(self, copies: Copies, advice: str) -> bytes | None:
        if copies.what:
            self._found(copies.path, copies.what, copies.remedy, lambda: mend(copies), advice)
        return copies.data

    # Films.

    def _films(self, study: Study, case: str) -> None:
        folder = self._path / "films" / case
        file = folder / "films.json"
        self._tables(study, file)
        self._lonely_copies(study, folder)
        try:
            known = study.case(case)
        except RatuiError:
            return  # found above
        for film in known.films:
            self._film(study, known, film)
        listed = {film.id for film in known.films}
        for path in sorted(folder.glob("*.dcm")):
            if path.stem not in listed:
                what = "no case lists it; an import was interrupted before it could"
                self._found(path, what, "set aside", lambda path=path: set_aside(path))  # type: ignore[misc]

    def _film(self, study: Study, case: Case, film: FilmRecord) -> None:
        self._files += 1
        found = film_fault(study, case, film)
        if found is not None:
            self._found(study.film_path(case.id, film.id), *found)

    # Tables.

    def _lonely_copies(self, study: Study, folder: Path) -> None:
        """Second copies whose first is gone."""
        for copy in sorted(folder.glob("*.json.bak")):
            first = copy.with_name(copy.name.removesuffix(".bak"))
            if not first.exists():
                self._tables(study, first)

    def _tables(self, study: Study, file: Path) -> None:
        """Looks at a file while nobody saves; where something is wrong and may be mended, again as its only writer."""
        self._files += 1
        reading = file.parent.parent.name == "readings"
        before, repair = len(self._findings), self._repair
        try:
            self._repair = False
            with study.still():
                self._sealed(study, file, reading)
            self._repair = repair
            if repair and len(self._findings) > before:
                with Lock(file.with_suffix(".lock")):
                    del self._findings[before:]
                    self._sealed(study, file, reading)
        except Held as error:
            self._findings[before:] = [replace(each, advice=error.what) for each in self._findings[before:]]
        except StoreError as error:
            self._found(file, error.what, advice=error.remedy)
        finally:
            self._repair = repair

    def _sealed(self, study: Study, file: Path, reading: bool) -> None:
        copies = look_at(file, check_tables(file, unsealed=self._old), twins=not self._old)
        advice = "Restore it from a backup" if not reading else "Restore it from a backup, or have the case read again"
        if copies.data is None:
            whole = salvaged(file, study.scheme)
            if whole is not None:
                remedy = "made anew from its records, whose checksums hold"
                self._found(file, f"both copies are damaged: {copies.what}", remedy, lambda: rewrite(file, whole))
            else:
                self._beyond_proof(file, copies.what, advice)
            return
        data = self._copies(copies, advice)
        if data is None:
            return
        if self._old:
            self._seal(file, data)
        self._meaning(study, file, data, reading)

    def _beyond_proof(self, file: Path, what: str, advice: str) -> None:
        if self._repair:
            for each in (file, copy_of(file)):
                if each.exists():
                    set_aside(each)
            what += "; both copies were set aside, so that the rest opens"
        self._found(file, f"both copies are damaged: {what}" if not self._repair else what, advice=advice)

    def _seal(self, file: Path, data: bytes) -> None:
        """Gives a file of format 1 its seal."""
        try:
            open_seal(data)
        except Unsealed as error:
            tables = error.args[0]
            sealed = seal(tables, known_as(file))
            self._found(file, "it has no checksums (format 1)", "sealed", lambda: write_bytes(file, sealed))

    def _meaning(self, study: Study, file: Path, data: bytes, reading: bool) -> None:
        """What checksums can't tell: whether what the file says can be."""
        try:
            if reading:
                study.reading(file.parent.name, file.stem)
            elif file.parent.name == "regions":
                known = {film.id for film in study.case(file.stem).films}
                strange = {region.film for region in study.regions(file.stem)} - known
                if strange:
                    self._found(file, f"it speaks of {len(strange)} films that the case does not have")
        except DamagedError:
            pass  # found above, and not mended
        except RatuiError as error:
            fields = rebuilt(file, data, study.scheme) if reading and not self._old else None
            remedy = "fields rebuilt from the log" if fields else ""
            self._found(file, error.what, remedy, lambda: rewrite(file, fields or b""), error.remedy)

    # The rest.

    def _raters(self, study: Study) -> None:
        for folder in _folders(self._path / "readings"):
            if folder.name not in (*study.config.raters, CONSENSUS):
                what = "the study has no rater of that name, so these readings count nowhere"
                self._found(folder, what, advice="Name the rater in study.toml, then: ratui seal STUDY")

    def _index(self, study: Study) -> None:
        for rater in study.config.raters:
            wrong = (shown.case for shown in study.states(rater) if not _as_it_is(study, rater, shown))
            for case in wrong:
                with study.still():  # a save may have come between the two looks
                    shown = next(state for state in study.states(rater) if state.case == case)
                    if _as_it_is(study, rater, shown):
                        continue
                file = self._path / "readings" / rater / ".worklist.json"
                remove = partial(file.unlink, missing_ok=True)
                self._found(file, "the worklist's index is wrong", "removed, to be made again", remove)
                break

    def _leftovers(self) -> None:
        for folder in self._walk():
            old = [file for file in folder.glob("*.damaged-*") if file.is_file()]
            if old:
                self._notes.append(
                    f"{clean(folder.relative_to(self._path))}: files set aside as damaged: {len(old)}; "
                    "remove them when nobody needs them"
                )
            if self._repair:
                removed = remove_leftovers(folder)
                if removed:
                    self._notes.append(f"{clean(folder.relative_to(self._path))}: {removed} unfinished files removed")

        for folder in self._path.glob(f"{SNAPSHOT}*"):
            with contextlib.suppress(OSError):
                if self._repair and time.time() - folder.stat().st_mtime > _ABANDONED:
                    shutil.rmtree(folder)
                    self._notes.append(f"{folder.name}: left by a backup that was killed; removed")

    def _walk(self) -> Iterator[Path]:
        for folder, names, _ in os.walk(self._path):
            names[:] = sorted(name for name in names if not name.startswith(SNAPSHOT))
            yield Path(folder)

    def _bring_up(self, study: Study) -> None:
        scheme = read_file(self._path / "scheme.toml")
        config = replace(study.config, scheme=hashlib.sha256(scheme).hexdigest(), stored=FORMAT)

        def bring_up() -> None:
            if any(finding.remedy and not finding.mended for finding in self._findings):
                raise StoreError("some of its files could not be brought up", self._path, "Mend them first")
            write_bytes(self._path / "scheme.toml", scheme)
            write_settings(self._path, config)

        self._found(self._path / "study.toml", "the study has format 1", "brought up to format 2", bring_up)


def _as_it_is(study: Study, rater: str, shown: CaseState) -> bool:
    """Whether the index says of a case what its files say; damaged ones are found elsewhere."""
    try:
        return shown.stage == "unreadable" or study.state(rater, shown.case) == shown
    except RatuiError:
        return True


def _folders(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.is_dir()) if path.is_dir() else []

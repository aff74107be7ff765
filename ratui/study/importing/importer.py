"""Import radiographs of a hospital into a study: plan, de-identify and list them, and report files that are rejected.

A bad file never stops an import. Of a patient, only the pseudonym, the time point and the side are stored in the study.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from ratui.errors import RatuiError
from ratui.study.accounts import act_as_owner
from ratui.study.campaign.charter import PlannedVisit
from ratui.study.importing import FilmConverter, FilmRequest, ReaderProcess
from ratui.study.importing.files.sources import LocatedConverter, Sources, open_sources
from ratui.study.importing.film_storing import Progress, explain_rejection, list_taken_films, store_films
from ratui.study.importing.import_report import ImportedFilm, ImportReport, RejectedFile, find_exit_code
from ratui.study.importing.persons.pseudonyms import KeyFile
from ratui.study.importing.planning.import_plan import Decision, ImportPlan
from ratui.study.importing.planning.known_study import name_late_rejections, read_known_study
from ratui.study.importing.planning.manifest import ManifestRow, read_manifest
from ratui.study.importing.planning.planner import FilmSource, plan_films
from ratui.study.importing.reader.header_reader import digest_file
from ratui.study.importing.reader.picture_reader import check_picture_kind, find_picture_kind
from ratui.study.store import FileLock
from ratui.study.study import Study

__all__ = ["ImportReport", "ImportedFilm", "OpenImport", "RejectedFile", "import_films", "open_import"]


class OpenImport:
    """An import whose files, key and converter are open; see `open_import`.

    Attributes
    ----------
    study
        The study.
    files
        The files to import by their origin: a film in an archive is in a temporary folder.
    skipped
        Files, folders, links and entries of archives that are not read, each with a reason.
    """

    def __init__(
        self,
        study: Study,
        keys: KeyFile,
        sources: Sources,
        manifest: Path | None,
        rows: Mapping[Path, ManifestRow],
        converter: FilmConverter,
        visits: int | None = None,
    ) -> None:
        self.study = study
        charter = study.config.charter
        count = visits or max(2, len(charter.visits))
        unplanned = (PlannedVisit(charter.visit_name(number)) for number in range(len(charter.visits), count))
        self._visits = (*charter.visits[:count], *unplanned)
        self.files = {
            path: file for path, file in sources.files.items() if manifest is None or path != manifest.resolve()
        }
        self.skipped = sources.skipped
        self._keys, self._rows = keys, rows
        self._converter = LocatedConverter(converter, sources.files)

    def plan(self, progress: Progress | None = None) -> ImportPlan:
        """Read the headers of all files and return the plan. `progress` is called with (files read, files in all)."""
        found = []
        for number, file in enumerate(self.files):
            if progress:
                progress(number, len(self.files))
            found.append(self._read(file, self._rows.get(file)))
        known = read_known_study(self.study, self._keys, self._visits)
        plan = plan_films(found, self.study.scheme, known, today=datetime.now(UTC).date(), verify=self._digest_pixels)
        if progress:
            progress(len(self.files), len(self.files))
        headers = {file.path: file.header for file in found if file.header}
        plan = replace(plan, skipped=self.skipped, visit_names=tuple(visit.name for visit in self._visits))
        return name_late_rejections(plan, headers, self.study, self._keys)

    def execute(self, plan: ImportPlan, progress: Progress | None = None) -> ImportReport:
        """Import the films that `plan` takes, and return a report on all files.

        `progress` is called with (films done, films in all). Raises StoreError if the key can't be written.
        """
        rejected = {row.path: row.reason for row in plan.rows if row.decision is not Decision.TAKE}
        films = list_taken_films(plan, self._keys)
        for film in films:
            self._keys.assign_case(film.patient)
            if film.patient in plan.records:
                self._keys.record_person(film.patient, plan.records[film.patient])
        if films:  # before the first film is stored: no film may be in the study whose patient is not in the key
            self._keys.save(self.study)
        imported = store_films(self.study, films, self._converter, self._keys, rejected, progress)
        place = {row.path: number for number, row in enumerate(plan.rows)}
        imported.sort(key=lambda film: place[film.path])
        left = tuple(RejectedFile(row.path, rejected[row.path]) for row in plan.rows if row.path in rejected)
        return ImportReport(tuple(imported), left, self._keys.path, self.skipped)

    @property
    def key_path(self) -> Path:
        """Path of the file that links patients to cases."""
        return self._keys.path

    def exit_code(self, films: int) -> int:
        """Return the exit code of a command that imports `films` films, see `ImportReport.exit_code`."""
        return find_exit_code(films, self.skipped)

    def _read(self, file: Path, row: ManifestRow | None) -> FilmSource:
        try:
            if row is not None and (kind := find_picture_kind(self.files[file])):
                check_picture_kind(file, kind)
                return FilmSource(file, row=row, content=digest_file(self.files[file]))
            header = self._converter.read_header(file)
            return FilmSource(file, header, row, content=header.content)
        except RatuiError as error:
            if row is not None and row.is_override:
                return FilmSource(file, row=row)  # the conversion will tell whether the picture can be read
            return FilmSource(file, row=row, problem=explain_rejection(error))

    def _digest_pixels(self, path: Path, side: str) -> str:
        """Return the digest of the decoded picture. Raises FilmError if it can't be converted."""
        return self._converter.convert(path, FilmRequest("C-PLAN", side, self._keys.uid_key.hex())).digest


@contextmanager
def open_import(
    study: Study,
    paths: Iterable[Path],
    *,
    manifest: Path | None = None,
    key: Path | None = None,
    second_key: bool = False,
    converter: FilmConverter | None = None,
    excluded: Collection[Path] = (),
    visits: int | None = None,
) -> Iterator[OpenImport]:
    """Open an import, to plan it and to execute the plan; no other import can run meanwhile.

    The parameters and errors are those of `import_films`.
    """
    study.check_unlocked()
    names = study.config.charter.visit_names
    rows = {row.path: row for row in read_manifest(manifest, study.scheme, names)} if manifest else {}
    with ExitStack() as stack:
        with act_as_owner(study.folder, "films"):  # a lock file of root would exclude the owner
            stack.enter_context(FileLock(study.folder.file("import.lock")))
        sources = stack.enter_context(open_sources(paths, rows, excluded=excluded))
        keys = KeyFile.open(study, key, second=second_key)
        reader = converter or stack.enter_context(ReaderProcess())
        yield OpenImport(study, keys, sources, manifest, rows, reader, visits)


def import_films(
    study: Study,
    paths: Iterable[Path],
    *,
    manifest: Path | None = None,
    key: Path | None = None,
    second_key: bool = False,
    progress: Progress | None = None,
    converter: FilmConverter | None = None,
    excluded: Collection[Path] = (),
    visits: int | None = None,
) -> ImportReport:
    """Import radiographs into a study.

    Parameters
    ----------
    study
        The study.
    paths
        DICOM files, folders that are searched for them, ZIP and tar archives, and DICOMDIR files.
    manifest
        CSV file that describes films, see `read_manifest`. Pictures such as PNG files need it.
    key
        File that links patients to cases; the default is in the user's data folder, named after the study.
    second_key
        Accept a `key` that knows none of the study's cases, see `KeyFile.open`.
    progress
        Called with (films done, films in all).
    converter
        Converter of files; the default reads each file in a separate process.
    excluded
        Files in `paths` to leave out without a message.
    visits
        Number of visits of a patient at most, 1 to 8: as many examinations are the visits in their order, and with more a
        person chooses. The default is the number of visits in the charter, or two. A manifest may name any visit.

    Returns
    -------
    ImportReport
        The imported and the rejected files.

    Raises
    ------
    StudyError
        If nothing can be imported: a path does not exist, the manifest is wrong, there is no file, another import runs, or
        the key is not that of the first import.
    """
    opened = open_import(
        study,
        paths,
        manifest=manifest,
        key=key,
        second_key=second_key,
        converter=converter,
        excluded=excluded,
        visits=visits,
    )
    with opened as current:
        return current.execute(current.plan(), progress)

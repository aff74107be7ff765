"""Import radiographs of a hospital into a study: plan, de-identify and list them, and report files that are rejected.

A bad file never stops an import. Of a patient, only the pseudonym, the time point and the side are stored in the study.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import ChainMap, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from ratui.errors import FilmError, RatuiError
from ratui.study.accounts import act_as_owner
from ratui.study.case import Case, FilmRecord
from ratui.study.charter import PlannedVisit
from ratui.study.film_files import write_films
from ratui.study.importing import FilmConverter, FilmRequest, ReaderProcess
from ratui.study.importing.candidates import ImportCandidate, list_candidates
from ratui.study.importing.files.sources import LocatedConverter, Sources, open_sources
from ratui.study.importing.film_days import check_day, has_first_visits_only
from ratui.study.importing.import_report import ImportedFilm, ImportReport, RejectedFile, find_exit_code
from ratui.study.importing.persons.pseudonyms import KeyFile
from ratui.study.importing.planning.import_plan import Decision, ImportPlan
from ratui.study.importing.planning.late_rejections import name_late_rejections
from ratui.study.importing.planning.manifest import ManifestRow, read_manifest
from ratui.study.importing.planning.planner import FilmSource, KnownStudy, plan_films
from ratui.study.importing.planning.stored_pixels import (
    find_pixel_digests,
    find_withdrawn_digests,
    list_withdrawn_digests,
)
from ratui.study.importing.reader.picture_digest import digest_file
from ratui.study.importing.reader.picture_reader import check_picture_kind, find_picture_kind
from ratui.study.store import FileLock
from ratui.study.study import Study
from ratui.study.withdrawal import list_dependent_readings

__all__ = ["ImportReport", "ImportedFilm", "OpenImport", "RejectedFile", "import_films", "open_import"]

Progress = Callable[[int, int], None]
_IMPORT_AGAIN = "To import it again, name it in a manifest with yes in the column override"
_ONE_VISIT = (
    "this study is blinded and shared: raters would see which films came first. "
    "Import the films of two or more visits together"
)


_LATE_VISIT = (
    "this study is blinded and shared, and its reading has begun: raters would see that this visit is the last. "
    "Import all visits before the case is read"
)


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
        cases, persons = set(self.study.cases()), self._keys.persons
        in_study = frozenset(person.key for person in persons if self._keys.find_case(person.key) in cases)
        known_only = frozenset(
            person
            for person in in_study
            if (count := len(self._keys.days(person)))
            and has_first_visits_only(self.study, self._keys.find_case(person), count)
        )
        withdrawn = list_withdrawn_digests(self.study, {each: self._keys.find_case(each) for each in in_study})
        known = KnownStudy(persons, self._keys.digest, self._keys.dates, in_study, known_only, withdrawn, self._visits)
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
        candidates = list_candidates(plan, self._keys)
        for candidate in candidates:
            self._keys.assign_case(candidate.patient)
            if candidate.patient in plan.records:
                self._keys.record_person(candidate.patient, plan.records[candidate.patient])
        if candidates:
            self._keys.save(
                self.study
            )  # before the first film: no film may be in the study whose patient is not in the key
        imported = _import_candidates(self.study, candidates, self._converter, self._keys, rejected, progress)
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
            return FilmSource(file, row=row, problem=_rejection_reason(error))

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


def _import_candidates(
    study: Study,
    candidates: list[ImportCandidate],
    converter: FilmConverter,
    keys: KeyFile,
    rejected: dict[Path, str],
    progress: Progress | None,
) -> list[ImportedFilm]:
    """Import the films case by case and return them; add what is not imported to `rejected`."""
    by_case: dict[str, list[ImportCandidate]] = defaultdict(list)
    for candidate in candidates:
        by_case[keys.assign_case(candidate.patient)].append(candidate)
    imported: list[ImportedFilm] = []
    known, done = set(study.cases()), 0
    stored_pixels = find_pixel_digests(study, known)

    def report_progress() -> None:
        nonlocal done
        if progress:
            progress(done, len(candidates))
        done += 1

    for case_id, group in by_case.items():
        try:
            case = study.case(case_id) if case_id in known else Case(case_id, ())
            imported += _import_case(study, case, group, converter, keys, stored_pixels, rejected, report_progress)
        except RatuiError as error:
            rejected.update((candidate.path, _rejection_reason(error)) for candidate in group)
    if progress:
        progress(len(candidates), len(candidates))
    return imported


def _import_case(
    study: Study,
    case: Case,
    candidates: list[ImportCandidate],
    converter: FilmConverter,
    keys: KeyFile,
    stored_pixels: dict[str, str],
    rejected: dict[Path, str],
    on_film: Callable[[], None],
) -> list[ImportedFilm]:
    """Convert the films of one case, store them together, and return them; add what is not imported to `rejected`.

    `stored_pixels` are the cases of the study's films by digest; those of the new films are added.

    Raises RatuiError if they can't be stored. They are stored at once, so that neither their names, their times nor their
    places on the disk reveal which film was read first.
    """
    imported: list[ImportedFilm] = []
    withdrawn = find_withdrawn_digests(study, case)
    is_closed = bool(case.withdrawn) and not case.films
    files: dict[str, bytes] = {}
    new_pixels: dict[str, str] = {}
    stored, days = case, defaultdict(set)
    for candidate in candidates:
        days[candidate.time].add(candidate.day)
    for candidate in candidates:
        on_film()
        try:
            if is_closed and not candidate.is_override:  # the patient may have withdrawn the consent
                raise FilmError("all films of its case were withdrawn from the study", candidate.path, _IMPORT_AGAIN)
            others = days[candidate.time]
            check_day(stored, candidate.time, candidate.day, others, candidate.path, is_override=candidate.is_override)
            known_pixels: Mapping[str, str] = ChainMap(new_pixels, stored_pixels)
            if candidate.is_override:  # a person stated that an equal picture of another patient is right
                known_pixels = {digest: there for digest, there in known_pixels.items() if there == case.id}
            record, data = _convert_film(study, case, known_pixels, candidate, converter, keys)
            if record.digest in withdrawn and not candidate.is_override:
                raise FilmError("it was withdrawn from the study", candidate.path, _IMPORT_AGAIN)
        except RatuiError as error:
            rejected[candidate.path] = _rejection_reason(error)
            continue
        case = replace(case, films=(*case.films, record))
        new_pixels[record.digest] = case.id
        files[record.id] = data
        note = _join(record.note, candidate.note)
        visit = study.config.charter.visit_name(record.time)
        imported.append(ImportedFilm(candidate.path, case.id, record.time, candidate.side, note, record.id, visit))
    is_alone = len({film.number for film in case.films}) < 2 and len(study.config.charter.visits) != 1
    why = _ONE_VISIT if is_alone else _LATE_VISIT if _is_late_visit(study, stored, case) else ""
    if files and why and study.config.blinded and study.config.group:
        rejected.update((candidate.path, why) for candidate in candidates if candidate.path not in rejected)
        return []
    if files:
        with act_as_owner(study.folder, "films"):
            write_films(study.folder, case, files, rewrite=study.config.blinded)
            study.save_case(case)
        stored_pixels.update(new_pixels)
    return imported


def _is_late_visit(study: Study, before: Case, after: Case) -> bool:
    """Return whether `after` has a visit that `before` lacks, although a reading of the case has begun."""
    if {film.number for film in after.films} <= {film.number for film in before.films} or not before.films:
        return False
    return bool(list_dependent_readings(study, before.id, [film.id for film in before.films])[0])


def _convert_film(
    study: Study,
    case: Case,
    stored_pixels: Mapping[str, str],
    candidate: ImportCandidate,
    converter: FilmConverter,
    keys: KeyFile,
) -> tuple[FilmRecord, bytes]:
    """Convert one film; return its record and the bytes of its file. Raises RatuiError."""
    part = study.scheme.views[candidate.view].part
    converted = converter.convert(
        candidate.path, FilmRequest(case.id, candidate.side, keys.uid_key.hex(), candidate.spacing)
    )
    there = stored_pixels.get(converted.digest) or stored_pixels.get(converted.plain_digest)
    if there == case.id:
        raise FilmError("the same film is in the study already", candidate.path, "Nothing to do")
    if there:
        raise FilmError(
            f"the same film is in the study already, as one of another patient, case {there}",
            candidate.path,
            "Check the patient ID of both files",
        )
    if case.has_film(candidate.time, candidate.side, part, study.scheme):
        problem = f"{study.config.charter.visit_name(candidate.time)} of this case has a film of that side already"
        raise FilmError(problem, candidate.path, "Choose one of the two in a manifest")
    record = FilmRecord(
        id=secrets.token_hex(6),
        time=candidate.time,
        side=candidate.side,
        view=candidate.view,
        rows=converted.rows,
        columns=converted.columns,
        day=candidate.day,
        spacing=converted.spacing,
        spacing_source=converted.spacing_source,
        digest=converted.digest,
        file=hashlib.sha256(converted.data).hexdigest(),
        note=converted.note,
        aspect=converted.aspect,
    )
    return record, converted.data


def _join(*notes: str) -> str:
    return "; ".join(filter(None, notes))


def _rejection_reason(error: RatuiError) -> str:
    return f"{error.problem}. {error.remedy}" if error.remedy else error.problem

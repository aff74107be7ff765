"""Import radiographs of a hospital into a study: identify, de-identify and list them, and report files that are rejected.

A bad file never stops an import. Of a patient, only the pseudonym, the time point and the side are stored in the study.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections import ChainMap, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from ratui.errors import FilmError, RatuiError
from ratui.study.case import Case, FilmRecord
from ratui.study.film_files import write_films
from ratui.study.importing import FilmConverter, FilmRequest, ReaderProcess
from ratui.study.importing.identification import identify
from ratui.study.importing.import_report import ImportedFilm, ImportReport, RejectedFile
from ratui.study.importing.manifest import ManifestRow, read_manifest
from ratui.study.importing.pseudonyms import KeyFile
from ratui.study.importing.sources import LocatedConverter, Sources, open_sources
from ratui.study.store import FileLock
from ratui.study.study import Study

__all__ = ["ImportReport", "ImportedFilm", "RejectedFile", "import_films"]

Progress = Callable[[int, int], None]
_ONE_VISIT = (
    "this study is blinded and shared: raters would see which films came first. "
    "Import the films of both time points together"
)


@dataclass(frozen=True)
class _ImportCandidate:
    path: Path
    patient: str
    side: str
    view: str
    time: int | None
    exam_date: date | None
    day: int | None = None
    spacing: tuple[float, float] | None = None
    note: str = ""


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
) -> ImportReport:
    """Import radiographs into a study.

    Parameters
    ----------
    study
        The study.
    paths
        DICOM files, folders that are searched for them, ZIP and tar archives, and DICOMDIR files.
    manifest
        CSV file that describes films, see `read_manifest`. PNG files need it.
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
    rows = {row.path: row for row in read_manifest(manifest, study.scheme)} if manifest else {}
    with FileLock(study.folder.file("import.lock")), open_sources(paths, rows, excluded=excluded) as sources:
        keys = KeyFile.open(study, key, second=second_key)
        if converter is not None:
            return _import(study, sources, manifest, rows, keys, converter, progress)
        with ReaderProcess() as reader:
            return _import(study, sources, manifest, rows, keys, reader, progress)


def _import(
    study: Study,
    sources: Sources,
    manifest: Path | None,
    rows: dict[Path, ManifestRow],
    keys: KeyFile,
    converter: FilmConverter,
    progress: Progress | None,
) -> ImportReport:
    converter = LocatedConverter(converter, sources.files)
    files = [file for file in sources.files if manifest is None or file != manifest.resolve()]
    rejected: dict[Path, str] = {}
    candidates: list[_ImportCandidate] = []
    for file in files:
        try:
            candidates.append(_read_candidate(file, rows.get(file), study, converter))
        except RatuiError as error:
            rejected[file] = _rejection_reason(error)
    candidates = _assign_time_points(study, keys, candidates, rejected)
    candidates = _count_manifest_days(keys, candidates, rows)
    for candidate in candidates:
        keys.assign_case(candidate.patient)
    if candidates:
        keys.save(study)  # before the first film: no film may be in the study whose patient is not in the key
    by_case: dict[str, list[_ImportCandidate]] = defaultdict(list)
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
    place = {file: number for number, file in enumerate(files)}
    imported.sort(key=lambda film: place[film.path])
    left = tuple(RejectedFile(file, rejected[file]) for file in files if file in rejected)
    return ImportReport(tuple(imported), left, keys.path, sources.skipped)


def _count_manifest_days(
    keys: KeyFile, candidates: list[_ImportCandidate], rows: Mapping[Path, ManifestRow]
) -> list[_ImportCandidate]:
    """Return the candidates with the days of a manifest counted from the patient's first examination."""
    result = {
        candidate.path: replace(candidate, day=keys.count_days(candidate.patient, candidate.day))
        for candidate in sorted(candidates, key=lambda each: each.day or 0)
        if candidate.path in rows and candidate.day is not None
    }
    return [result.get(candidate.path, candidate) for candidate in candidates]


def find_pixel_digests(study: Study, cases: Iterable[str]) -> dict[str, str]:
    """Return the case of each digest of pixels in the study; those of damaged film lists are left out."""
    found: dict[str, str] = {}
    for case in sorted(cases):
        with contextlib.suppress(RatuiError):  # a film of a damaged case is refused when it is saved
            # Up to format 2 of a study, the film list itself contains the digests.
            found.update({film.digest: case for film in study.case(case).films if film.digest})
            found.update({visit.pixels: case for visit in study.visits(case).values() if visit.pixels})
    return found


def _read_candidate(file: Path, row: ManifestRow | None, study: Study, converter: FilmConverter) -> _ImportCandidate:
    if row is not None:
        return _ImportCandidate(file, row.patient, row.side, row.view, row.time, None, row.day, row.spacing)
    if file.suffix.lower() == ".png":
        raise FilmError("a PNG file does not name its patient", file, "Name it in a manifest")
    header = converter.read_header(file)
    identity = identify(header, study.scheme.views)
    if identity.rejection:
        raise FilmError(identity.rejection, file)
    patient = header.patient_id or header.name
    if not patient:
        raise FilmError("it names no patient", file, "Name it in a manifest")
    if identity.doubts:
        raise FilmError("; ".join(identity.doubts), file, "Name it in a manifest")
    note = "; ".join(identity.contradictions)
    return _ImportCandidate(file, patient, identity.side, identity.part, None, header.exam_date(), note=note)


def _assign_time_points(
    study: Study, keys: KeyFile, candidates: list[_ImportCandidate], rejected: dict[Path, str]
) -> list[_ImportCandidate]:
    """Return the candidates with time points: those of the manifest, or the order of the patient's two dates.

    Dates of an earlier import are used if there was one, so that a second run accepts what the first could not. Candidates
    without a time point are added to `rejected`.
    """
    dates: dict[str, set[date]] = defaultdict(set)
    for candidate in candidates:
        if candidate.time is None and candidate.exam_date:
            dates[candidate.patient].add(candidate.exam_date)
    known = set(study.cases())
    result = []
    for candidate in candidates:
        if candidate.time is not None:
            result.append(candidate)
            continue
        there, before = keys.find_case(candidate.patient) in known, keys.days(candidate.patient)
        days = before if there or dates[candidate.patient] <= set(before) else sorted(dates[candidate.patient])
        if candidate.exam_date is None:
            rejected[candidate.path] = "it has no date to tell its time point. Name it in a manifest"
        elif there and candidate.exam_date not in days:
            rejected[candidate.path] = "its case is in the study already. Name it in a manifest to add it"
        elif len(days) > 2:
            rejected[candidate.path] = f"its patient has {len(days)} dates. Name the two to compare in a manifest"
        else:
            keys.record_days(candidate.patient, days)
            time = days.index(candidate.exam_date)
            result.append(replace(candidate, time=time, day=(candidate.exam_date - days[0]).days))
    return result


def _import_case(
    study: Study,
    case: Case,
    candidates: list[_ImportCandidate],
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
    files: dict[str, bytes] = {}
    new_pixels: dict[str, str] = {}
    for candidate in candidates:
        on_film()
        try:
            known_pixels = ChainMap(new_pixels, stored_pixels)
            record, data = _convert_film(study, case, known_pixels, candidate, converter, keys)
        except RatuiError as error:
            rejected[candidate.path] = _rejection_reason(error)
            continue
        case = replace(case, films=(*case.films, record))
        new_pixels[record.digest] = case.id
        files[record.id] = data
        note = "; ".join(filter(None, [record.note, candidate.note]))
        imported.append(ImportedFilm(candidate.path, case.id, record.time, candidate.side, note))
    if files and len({film.number for film in case.films}) < 2 and study.config.blinded and study.config.group:
        rejected.update((candidate.path, _ONE_VISIT) for candidate in candidates if candidate.path not in rejected)
        return []
    if files:
        write_films(study.folder, case, files, rewrite=study.config.blinded)
        study.save_case(case)
        stored_pixels.update(new_pixels)
    return imported


def _convert_film(
    study: Study,
    case: Case,
    stored_pixels: Mapping[str, str],
    candidate: _ImportCandidate,
    converter: FilmConverter,
    keys: KeyFile,
) -> tuple[FilmRecord, bytes]:
    """Convert one film; return its record and the bytes of its file. Raises RatuiError."""
    assert candidate.time is not None
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
        raise FilmError(
            f"time point {candidate.time} of this case has a film of that side already",
            candidate.path,
            "Choose one of the two in a manifest",
        )
    record = FilmRecord(
        id=secrets.token_hex(6),
        time=candidate.time,
        side=candidate.side,
        view=candidate.view,
        rows=converted.rows,
        columns=converted.columns,
        day=candidate.day,
        spacing=converted.spacing,
        digest=converted.digest,
        file=hashlib.sha256(converted.data).hexdigest(),
        note=converted.note,
        aspect=converted.aspect,
    )
    return record, converted.data


def _rejection_reason(error: RatuiError) -> str:
    return f"{error.problem}. {error.remedy}" if error.remedy else error.problem

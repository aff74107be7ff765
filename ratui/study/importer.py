"""Films of a hospital into a study: recognised, de-identified, listed; what can't be taken is named with its reason.

A bad file never ends an import, and nothing of a patient but the pseudonym, the time point and the side is kept.
"""

from __future__ import annotations

import hashlib
import io
import re
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image

from ratui.errors import FilmError, RatuiError, StudyError, clean
from ratui.imaging import LARGEST_SIDE, Pixels, dicom_bytes, read_film, read_header
from ratui.study.deidentify import deidentified
from ratui.study.manifest import ManifestRow, read_manifest
from ratui.study.pseudonym import KeyFile
from ratui.study.records import Case, FilmRecord
from ratui.study.store import make_folder, write_bytes
from ratui.study.study import Study

__all__ = ["ImportReport", "Refused", "Taken", "import_films"]

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Taken:
    """A film that is now in the study."""

    path: Path
    case: str
    time: int
    side: str


@dataclass(frozen=True)
class Refused:
    """A file that isn't, and why."""

    path: Path
    why: str


@dataclass(frozen=True)
class ImportReport:
    """What an import took and what it refused, in the order of the files."""

    taken: tuple[Taken, ...]
    refused: tuple[Refused, ...]


@dataclass(frozen=True)
class _Candidate:
    path: Path
    patient: str
    side: str
    view: str
    time: int | None
    when: date | None
    day: int | None = None
    spacing: tuple[float, float] | None = None


def import_films(
    study: Study,
    paths: Iterable[Path],
    *,
    manifest: Path | None = None,
    key: Path | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Takes the films in `paths` (files and folders) and in `manifest` into `study`.

    Raises StudyError where nothing can be begun: a path that isn't there, a wrong manifest, no file at all.
    """
    rows = {row.path: row for row in read_manifest(manifest, study.scheme)} if manifest else {}
    files = list(dict.fromkeys([*rows, *(file.resolve() for path in paths for file in _files(path))]))
    files = [file for file in files if manifest is None or file != manifest.resolve()]
    if not files:
        raise StudyError(
            "there is no file to import", ", ".join(map(str, paths)), "Give DICOM files or a folder of them"
        )
    keys = KeyFile.open(study, key)
    refused: dict[Path, str] = {}
    candidates: list[_Candidate] = []
    for file in files:
        try:
            candidates.append(_candidate(file, rows.get(file), study))
        except RatuiError as error:
            refused[file] = _reason(error)
    candidates = _with_times(study, keys, candidates, refused)
    taken: list[Taken] = []
    cases: dict[str, Case] = {id: study.case(id) for id in study.cases()}
    for number, candidate in enumerate(candidates):
        if progress:
            progress(number, len(candidates), clean(candidate.path.name))
        case_id = keys.case_of(candidate.patient)
        try:
            case = _take(study, cases.get(case_id, Case(case_id, ())), candidate)
        except RatuiError as error:
            refused[candidate.path] = _reason(error)
            continue
        keys.save(study)
        study.save_case(case)
        cases[case_id] = case
        taken.append(Taken(candidate.path, case_id, case.films[-1].time, candidate.side))
    if progress:
        progress(len(candidates), len(candidates), "")
    return ImportReport(tuple(taken), tuple(Refused(file, refused[file]) for file in files if file in refused))


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
        if not found:
            raise StudyError("the folder holds no file", path, "Give DICOM files or a folder of them")
        return found
    if not path.exists():
        raise StudyError("there is no such file or folder", path, "Check the path")
    return [path]


def _candidate(file: Path, row: ManifestRow | None, study: Study) -> _Candidate:
    if row is not None:
        return _Candidate(file, row.patient, row.side, row.view, row.time, None, row.day, row.spacing)
    if file.suffix.lower() == ".png":
        raise FilmError("a PNG file doesn't say whose it is", file, "Name it in a manifest")
    header = read_header(file)
    patient = str(header.get("PatientID", "") or header.get("PatientName", "")).strip()
    if not patient:
        raise FilmError("it names no patient", file, "Name it in a manifest")
    side = _side(header)
    if side is None:
        raise FilmError("it doesn't say which side it shows", file, "Name it in a manifest")
    return _Candidate(file, patient, side, _view(header, study), None, _date(header))


def _side(header: pydicom.Dataset) -> str | None:
    for keyword in ("ImageLaterality", "Laterality"):
        value = str(header.get(keyword, "")).strip().upper()
        if value in ("L", "R", "B"):
            return value
    text = " ".join(str(header.get(k, "")) for k in ("SeriesDescription", "ProtocolName", "StudyDescription")).upper()
    words = set(re.findall(r"[A-Z]+", text))
    if words & {"BOTH", "BILATERAL", "BIL"} or {"LEFT", "RIGHT"} <= words:
        return "B"
    if words & {"LEFT", "LT"}:
        return "L"
    return "R" if words & {"RIGHT", "RT"} else None


def _view(header: pydicom.Dataset, study: Study) -> str:
    text = f"{header.get('BodyPartExamined', '')} {header.get('StudyDescription', '')}".lower()
    for view in study.scheme.views:
        if view in text:
            return view
    return next(iter(study.scheme.views))


def _date(header: pydicom.Dataset) -> date | None:
    for keyword in ("AcquisitionDate", "StudyDate", "ContentDate"):
        text = str(header.get(keyword, ""))[:8]
        try:
            return datetime.strptime(text, "%Y%m%d").date()
        except ValueError:
            continue
    return None


def _with_times(
    study: Study, keys: KeyFile, candidates: list[_Candidate], refused: dict[Path, str]
) -> list[_Candidate]:
    """`candidates` with their time points: the manifest's, or the order of the two dates that a patient has."""
    dates: dict[str, set[date]] = defaultdict(set)
    for candidate in candidates:
        if candidate.time is None and candidate.when:
            dates[candidate.patient].add(candidate.when)
    known = set(study.cases())
    result = []
    for candidate in candidates:
        if candidate.time is not None:
            result.append(candidate)
            continue
        days = sorted(dates[candidate.patient])
        if candidate.when is None:
            refused[candidate.path] = "it has no date to tell its time point. Name it in a manifest"
        elif keys.case_of(candidate.patient) in known:
            refused[candidate.path] = "its case is in the study already. Name it in a manifest to add it"
        elif len(days) > 2:
            refused[candidate.path] = f"its patient has {len(days)} dates. Name the two to compare in a manifest"
        else:
            time = days.index(candidate.when)
            result.append(replace(candidate, time=time, day=(candidate.when - days[0]).days))
    return result


def _take(study: Study, case: Case, candidate: _Candidate) -> Case:
    """`case` with the film of `candidate`, which is on the disk by then. Raises RatuiError where it can't be taken."""
    assert candidate.time is not None
    part = study.scheme.views[candidate.view].part
    if candidate.path.suffix.lower() == ".png":
        pixels, spacing = _png(candidate.path), candidate.spacing
        aspect = spacing[0] / spacing[1] if spacing else 1.0
        bits = 8 * pixels.dtype.itemsize
        dataset = pydicom.dcmread(io.BytesIO(dicom_bytes(pixels, bits=bits, spacing=spacing)))
    else:
        film = read_film(candidate.path)
        pixels, spacing = film.pixels, candidate.spacing or film.spacing
        aspect = spacing[0] / spacing[1] if spacing else film.aspect
        dataset = pydicom.dcmread(candidate.path)
    digest = hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()
    for other in case.films:
        if other.digest == digest:
            raise FilmError("the same film is in the study already", candidate.path, "Nothing to do")
    sides = ("L", "R") if candidate.side == "B" else (candidate.side,)
    if any(case.film(candidate.time, side, part, study.scheme) for side in sides):
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
        rows=int(pixels.shape[0]),
        columns=int(pixels.shape[1]),
        day=candidate.day,
        spacing=spacing,
        digest=digest,
        aspect=aspect,
    )
    path = study.film_path(case.id, record.id)
    make_folder(path.parent)
    write_bytes(path, deidentified(dataset, case.id, candidate.side), copy=False)
    return Case(case.id, (*case.films, record))


def _png(path: Path) -> Pixels:
    """The grey levels of a PNG file, 8 or 16 bits. Raises FilmError for anything but one grey image."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            if max(image.size) > LARGEST_SIDE or min(image.size) < 16:
                raise FilmError(f"its size {image.size} is not that of a radiograph", path, "Give the film itself")
            image.load()
            mode = image.mode
            values = np.asarray(image)
    except FileNotFoundError as error:
        raise FilmError("there is no such file", path, "Check the manifest") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise FilmError("it is not a readable PNG file", path, "Export it again") from error
    if values.ndim == 3 and mode == "RGB" and (values == values[..., :1]).all():
        values = values[..., 0]  # a grey film that was saved as colour
    if values.ndim != 2 or mode == "P":
        raise FilmError("it is a colour image, not a grey film", path, "Export the original radiograph")
    if values.dtype == np.bool_:
        raise FilmError("it has two levels only", path, "Export the original radiograph")
    return values if values.dtype == np.uint8 else values.astype(np.uint16)


def _reason(error: RatuiError) -> str:
    return f"{error.what}. {error.remedy}" if error.remedy else error.what

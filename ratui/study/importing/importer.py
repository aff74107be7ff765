"""Films of a hospital into a study: recognised, de-identified, listed; what can't be taken is named with its reason.

A bad file never ends an import, and nothing of a patient but the pseudonym, the time point and the side is kept.
"""

from __future__ import annotations

import csv
import hashlib
import io
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

from ratui.errors import FilmError, RatuiError, StudyError, clean
from ratui.study.case import Case, FilmRecord
from ratui.study.importing import Intake, Isolated, Wish
from ratui.study.importing.manifest import ManifestRow, read_manifest
from ratui.study.importing.pseudonyms import KeyFile
from ratui.study.store import Lock, make_folder, write_bytes
from ratui.study.study import Study

__all__ = ["ImportReport", "Refused", "Taken", "import_films"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Taken:
    """A film that is now in the study. `path` is where it came from, `note` what a person should look at, or empty."""

    path: Path
    case: str
    time: int
    side: str
    note: str = ""


@dataclass(frozen=True)
class Refused:
    """A file that isn't, and why, in words that repeat nothing of the file."""

    path: Path
    why: str


@dataclass(frozen=True)
class ImportReport:
    """What an import took and what it refused, in the order of the files. `key` is where the key to the cases lies.

    Paths may name patients: they are for whoever may see the key.
    """

    taken: tuple[Taken, ...]
    refused: tuple[Refused, ...]
    key: Path

    def save_list(self) -> Path:
        """Writes which file became what beside the key, for its owner alone, and returns where. Raises StoreError.

        Lines are numbered as the command line numbers its output, which names no file.
        """
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        path = self.key.with_name(f"{self.key.stem}-import-{now}-{secrets.token_hex(2)}.csv")
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(["number", "file", "outcome"])
        taken = [(item.path, f"case {item.case}, time point {item.time}, {item.side}") for item in self.taken]
        for number, (file, outcome) in enumerate([*taken, *((r.path, r.why) for r in self.refused)], start=1):
            rows.writerow([number, clean(file, 4000), outcome])
        make_folder(path.parent)
        write_bytes(path, text.getvalue().encode(), copy=False, private=True)
        return path


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
    intake: Intake | None = None,
) -> ImportReport:
    """Takes the films in `paths` (files and folders) and in `manifest` into `study`.

    Each file is read in another process, or by `intake` where one is given. `progress` gets (done, of). Raises
    StudyError where nothing can be begun: a path that isn't there, a wrong manifest, no file at all, another import.
    """
    rows = {row.path: row for row in read_manifest(manifest, study.scheme)} if manifest else {}
    files = list(dict.fromkeys([*rows, *(file.resolve() for path in paths for file in _files(path))]))
    files = [file for file in files if manifest is None or file != manifest.resolve()]
    if not files:
        raise StudyError(
            "there is no file to import", ", ".join(map(str, paths)), "Give DICOM files or a folder of them"
        )
    with Lock(study.path / "import.lock"):
        keys = KeyFile.open(study, key)
        if intake is not None:
            return _import(study, files, rows, keys, intake, progress)
        with Isolated() as isolated:
            return _import(study, files, rows, keys, isolated, progress)


def _import(
    study: Study,
    files: list[Path],
    rows: dict[Path, ManifestRow],
    keys: KeyFile,
    intake: Intake,
    progress: Progress | None,
) -> ImportReport:
    refused: dict[Path, str] = {}
    candidates: list[_Candidate] = []
    for file in files:
        try:
            candidates.append(_candidate(file, rows.get(file), study, intake))
        except RatuiError as error:
            refused[file] = _reason(error)
    candidates = _with_times(study, keys, candidates, refused)
    for candidate in candidates:
        keys.case_of(candidate.patient)
    if candidates:
        keys.save(study)  # before the first film: a film whose patient nobody can find again must never be there
    taken: list[Taken] = []
    known = set(study.cases())
    for number, candidate in enumerate(candidates):
        if progress:
            progress(number, len(candidates))
        case_id = keys.case_of(candidate.patient)
        try:
            case = study.case(case_id) if case_id in known else Case(case_id, ())
            case, note = _take(study, case, candidate, intake, keys)
        except RatuiError as error:
            refused[candidate.path] = _reason(error)
            continue
        study.save_case(case)
        known.add(case_id)
        assert candidate.time is not None
        taken.append(Taken(candidate.path, case_id, candidate.time, candidate.side, note))
    if progress:
        progress(len(candidates), len(candidates))
    left = tuple(Refused(file, refused[file]) for file in files if file in refused)
    return ImportReport(tuple(taken), left, keys.path)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
        if not found:
            raise StudyError("the folder holds no file", path, "Give DICOM files or a folder of them")
        return found
    if not path.exists():
        raise StudyError("there is no such file or folder", path, "Check the path")
    return [path]


def _candidate(file: Path, row: ManifestRow | None, study: Study, intake: Intake) -> _Candidate:
    if row is not None:
        return _Candidate(file, row.patient, row.side, row.view, row.time, None, row.day, row.spacing)
    if file.suffix.lower() == ".png":
        raise FilmError("a PNG file doesn't say whose it is", file, "Name it in a manifest")
    seen = intake.look(file)
    if not seen.patient:
        raise FilmError("it names no patient", file, "Name it in a manifest")
    if not seen.side:
        raise FilmError("it doesn't say which side it shows", file, "Name it in a manifest")
    when = date.fromisoformat(seen.when) if seen.when else None
    views = study.scheme.views
    view = next((view for view in views if view in seen.words), next(iter(views)))
    return _Candidate(file, seen.patient, seen.side, view, None, when)


def _with_times(
    study: Study, keys: KeyFile, candidates: list[_Candidate], refused: dict[Path, str]
) -> list[_Candidate]:
    """`candidates` with their time points: the manifest's, or the order of the two dates that a patient has.

    Dates of an earlier import count where there was one: run again, it takes what it could not take before.
    """
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
        there, before = keys.known(candidate.patient) in known, keys.days(candidate.patient)
        days = before if there or dates[candidate.patient] <= set(before) else sorted(dates[candidate.patient])
        if candidate.when is None:
            refused[candidate.path] = "it has no date to tell its time point. Name it in a manifest"
        elif there and candidate.when not in days:
            refused[candidate.path] = "its case is in the study already. Name it in a manifest to add it"
        elif len(days) > 2:
            refused[candidate.path] = f"its patient has {len(days)} dates. Name the two to compare in a manifest"
        else:
            keys.note_days(candidate.patient, days)
            time = days.index(candidate.when)
            result.append(replace(candidate, time=time, day=(candidate.when - days[0]).days))
    return result


def _take(study: Study, case: Case, candidate: _Candidate, intake: Intake, keys: KeyFile) -> tuple[Case, str]:
    """`case` with the film of `candidate`, which is on the disk by then, and a note. Raises RatuiError otherwise."""
    assert candidate.time is not None
    part = study.scheme.views[candidate.view].part
    made = intake.make(candidate.path, Wish(case.id, candidate.side, keys.uid_key.hex(), candidate.spacing))
    for other in case.films:
        if other.digest == made.digest:
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
        rows=made.rows,
        columns=made.columns,
        day=candidate.day,
        spacing=made.spacing,
        digest=made.digest,
        file=hashlib.sha256(made.data).hexdigest(),
        note=made.note,
        aspect=made.aspect,
    )
    path = study.film_path(case.id, record.id)
    make_folder(path.parent)
    write_bytes(path, made.data, copy=False)
    return Case(case.id, (*case.films, record)), made.note


def _reason(error: RatuiError) -> str:
    return f"{error.what}. {error.remedy}" if error.remedy else error.what

"""Find films of a study that share one DICOM UID, as imports of earlier versions could write them.

Exports name a film by its UID. With a shared one, a presentation state of one hand would be drawn over another. A film gets
a new UID only while nothing depends on its file: no reading was begun on it, and no root of the study contains its digest.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from dataclasses import replace
from functools import partial

from ratui.errors import RatuiError, StoreError
from ratui.imaging import MAX_FILE_BYTES
from ratui.imaging.dicom_reader import read_instance_uid
from ratui.study.case import FilmRecord
from ratui.study.check.fault_list import FaultList
from ratui.study.evidence.roots import root_numbers
from ratui.study.film_files import read_film_data, write_films
from ratui.study.importing.reader.own_films import replace_instance_uid
from ratui.study.study import Study
from ratui.study.withdrawal import list_dependent_readings

__all__ = ["check_film_uids"]

_HEAD_BYTES = 4096  # of a film's file; the UID is in its first few hundred
_ADVICE = "Withdraw the film, then import it again: it gets a UID of its own"


def check_film_uids(study: Study, faults: FaultList) -> None:
    """Add a fault for each film whose UID another film has. A repair gives it a new one where nothing depends on it."""
    films: dict[str, list[tuple[str, FilmRecord]]] = defaultdict(list)
    for case in study.cases():
        try:
            records = study.unordered_case(case).films
        except RatuiError:
            continue  # reported with its table file
        for record in records:
            uid = _read_uid(study, case, record)
            if uid:
                films[uid].append((case, record))
    for same in films.values():
        for case, record in same if len(same) > 1 else ():
            remedy = "" if _is_needed(study, case, record) else "given a UID of its own"
            problem = f"{len(same)} films have the same UID, so that exports confuse them"
            act = partial(_give_new_uid, study, case, record.id)
            faults.add(f"films/{case}/{record.id}.dcm", problem, remedy, act, _ADVICE)


def _read_uid(study: Study, case: str, film: FilmRecord) -> str:
    """Return the UID of a film, or an empty text if its file can't be read, which is reported elsewhere."""
    try:
        with study.folder.opened_file(f"films/{case}/{film.id}.dcm", MAX_FILE_BYTES) as (descriptor, _):
            return read_instance_uid(os.pread(descriptor, _HEAD_BYTES, 0))
    except (OSError, RatuiError):
        return ""


def _is_needed(study: Study, case: str, film: FilmRecord) -> bool:
    """Return whether a reading was begun on the film, or a root contains the digest of its file."""
    try:
        return bool(root_numbers(study.folder)) or bool(list_dependent_readings(study, case, (film.id,))[0])
    except RatuiError:
        return True


def _give_new_uid(study: Study, case: str, film: str) -> None:
    """Write the film's file anew with another UID, and note its digest. Raises RatuiError."""
    now = study.case(case)
    record = next(each for each in now.films if each.id == film)
    data = read_film_data(study.folder, case, film)
    if hashlib.sha256(data).hexdigest() != record.file:
        raise StoreError("it is not the file that was imported", case, "Restore it from a backup")
    new = replace_instance_uid(data, study.folder.path / f"films/{case}/{film}.dcm", case, record.side)
    changed = replace(record, file=hashlib.sha256(new).hexdigest())
    films = tuple(changed if each.id == film else each for each in now.films)
    write_films(study.folder, now, {film: new}, rewrite=study.config.blinded)
    study.save_case(replace(now, films=films))

"""Find films of a study that key object notes reject which arrive after them. They are named, and not removed."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from ratui.errors import RatuiError
from ratui.imaging import read_stored_film
from ratui.imaging.dicom_reader import read_stored_dataset
from ratui.study.case import FilmRecord
from ratui.study.film_files import read_film_data
from ratui.study.importing.persons.pseudonyms import KeyFile
from ratui.study.importing.planning.import_plan import ImportPlan
from ratui.study.importing.planning.rejections import rejected_images
from ratui.study.importing.reader.deidentification import hash_uids
from ratui.study.importing.reader.film_header import FilmHeader
from ratui.study.study import Study

__all__ = ["name_late_rejections"]


def name_late_rejections(
    plan: ImportPlan, headers: Mapping[Path, FilmHeader], study: Study, keys: KeyFile
) -> ImportPlan:
    """Return `plan` with the rejected films of the study in the reasons of the key object notes.

    Parameters
    ----------
    plan
        The plan of an import into `study`.
    headers
        Headers of its files.
    study, keys
        The study and its key. Films of which a repair changed the UID are not found.
    """
    rows = {row.path: row for row in plan.rows}
    for path, header in headers.items():
        images = rejected_images(header)
        case = keys.find_case(rows[path].patient) if images else ""
        films = _find_rejected_films(study, case, images, keys.uid_key) if case else []
        if films:
            named = f"{', '.join(film.id for film in films)} of case {case}"
            reason = f"{rows[path].reason}. It rejects film {named} in the study, too: see ratui withdraw"
            rows[path] = replace(rows[path], reason=reason)
    return replace(plan, rows=tuple(rows.values()))


def _find_rejected_films(study: Study, case: str, images: Collection[tuple[str, str]], key: bytes) -> list[FilmRecord]:
    found = []
    with contextlib.suppress(RatuiError):  # a damaged case is reported by `ratui check`
        for film in study.case(case).films:
            with contextlib.suppress(RatuiError):
                if _is_among(study, case, film, images, key):
                    found.append(film)
    return found


def _is_among(study: Study, case: str, film: FilmRecord, images: Collection[tuple[str, str]], key: bytes) -> bool:
    """Return whether a film was made from one of `images`: its UIDs are computed from theirs again."""
    path, data = study.film_path(case, film.id), read_film_data(study.folder, case, film.id)
    dataset, pixels = read_stored_dataset(data, path), read_stored_film(data, path).pixels
    own = {keyword: str(dataset.get(keyword, "")) for keyword in ("StudyInstanceUID", "SOPInstanceUID")}
    for study_uid, uid in images:
        old = {"StudyInstanceUID": study_uid, "SOPInstanceUID": uid}
        if hash_uids(old, pixels, case=case, key=key).items() >= own.items():
            return True
    return False

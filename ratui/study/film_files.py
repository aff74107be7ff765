"""The files of films in a study. A film has one copy, which never changes after its import."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from io import BufferedReader, FileIO
from typing import TYPE_CHECKING

from ratui.errors import FilmError, StoreError
from ratui.imaging import MAX_FILE_BYTES, Film, Orientation, read_stored_film, turn_film
from ratui.study.case import Case
from ratui.study.store import StudyFolder

if TYPE_CHECKING:
    import pydicom

__all__ = ["is_lossy_film", "load_film", "read_film_data", "read_film_header", "read_intact_film_data", "write_films"]

_FILE_TIME = 946_684_800  # 2000-01-01: the times of all files of films are equal and reveal no order
_DEADLINE = 600.0  # seconds for reading one film, which may be large and on a slow disk


def load_film(folder: StudyFolder, case: Case, film: str, orientation: Orientation | None = None) -> Film:
    """Return one film of `case` as it is displayed, decoded and turned.

    Its orientation is the recorded one, or `orientation`. Every use of a film's pixels beyond its stored form takes them
    from here: display, registration, training and proposals. Raises FilmError if the film can't be read or is not the file
    that was imported.
    """
    data = read_intact_film_data(folder, case, film)
    if orientation is None:
        record = next((record for record in case.films if record.id == film), None)
        orientation = record.orientation if record else Orientation.UPRIGHT
    return turn_film(read_stored_film(data, folder.path / f"films/{case.id}/{film}.dcm"), orientation)


def read_intact_film_data(folder: StudyFolder, case: Case, film: str) -> bytes:
    """Return the bytes of the file of a film. Raises FilmError if it can't be read or is not the file that was imported."""
    data = read_film_data(folder, case.id, film)
    record = next((record for record in case.films if record.id == film), None)
    if record and record.file and hashlib.sha256(data).hexdigest() != record.file:
        path = folder.path / f"films/{case.id}/{film}.dcm"
        raise FilmError("its file was damaged after its import", path, "Restore it from a backup")
    return data


def is_lossy_film(folder: StudyFolder, case: str, film: str) -> bool:
    """Return whether the header of a film says that it was compressed with loss. Raises FilmError if it can't be read."""
    from ratui.imaging.dicom_reader import read_stored_dataset

    path = folder.path / f"films/{case}/{film}.dcm"
    dataset = read_stored_dataset(read_film_data(folder, case, film), path)
    return str(dataset.get("LossyImageCompression", "")) == "01"


def read_film_data(folder: StudyFolder, case: str, film: str) -> bytes:
    """Return the bytes of the file of a film, unchecked. Raises FilmError if it can't be read."""
    inside = f"films/{case}/{film}.dcm"
    try:
        return folder.read(inside, MAX_FILE_BYTES, deadline=_DEADLINE)
    except FileNotFoundError as error:
        raise FilmError("there is no such file", folder.path / inside, "Restore it from a backup") from error
    except StoreError as error:
        raise FilmError(error.problem, folder.path / inside, "Restore it from a backup") from error


def read_film_header(folder: StudyFolder, case: str, film: str) -> pydicom.Dataset:
    """Return the header of the file of a film, without reading its pixels. Raises FilmError if it can't be read."""
    from ratui.imaging.dicom_reader import read_stored_header

    inside = f"films/{case}/{film}.dcm"
    try:
        with folder.opened_file(inside, MAX_FILE_BYTES) as (descriptor, _), FileIO(descriptor, closefd=False) as file:
            return read_stored_header(BufferedReader(file), folder.path / inside)
    except FileNotFoundError as error:
        raise FilmError("there is no such file", folder.path / inside, "Restore it from a backup") from error
    except StoreError as error:
        raise FilmError(error.problem, folder.path / inside, "Restore it from a backup") from error


def write_films(folder: StudyFolder, case: Case, new: Mapping[str, bytes], *, rewrite: bool = False) -> None:
    """Store new films of `case`, so that the files do not reveal the order in which they came.

    Parameters
    ----------
    folder
        The study's folder.
    case
        The case with all its films.
    new
        Bytes of the new films, by film.
    rewrite
        Write the other films of the case again, too. Otherwise the times of their last change and their numbers on the disk
        could reveal that they are the earlier ones.

    Raises
    ------
    FilmError, StoreError
        If a film can't be read or written.
    """
    others = [film.id for film in case.films if film.id not in new] if rewrite else []
    files = dict(new) | {film: read_film_data(folder, case.id, film) for film in others}
    folder.make_folder(f"films/{case.id}")
    folder.write_together(
        f"films/{case.id}", {f"{film}.dcm": data for film, data in files.items()}, modified=_FILE_TIME
    )

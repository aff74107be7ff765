"""Verify, copy and change films that ratui wrote. No other file is accepted."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from ratui.errors import FilmError
from ratui.imaging import MAX_FILE_BYTES, Film, SpacingSource, film_from_dataset
from ratui.imaging.dicom_reader import read_stored_dataset
from ratui.study.importing.reader.deidentification import (
    CURRENT_VERSION,
    KNOWN_VERSIONS,
    RetainedAttributes,
    draw_uid,
    encode_film,
    extract_retained_attributes,
)
from ratui.study.importing.reader.film_maker import TEXT_NOTE, rewrite_tables

__all__ = ["FilmSize", "copy_stored_film", "replace_instance_uid", "verify_stored_film"]

_IMPORT_INSTEAD = "Import the film from its source instead"
_OWN_UID = re.compile(r"2\.25\.(0|[1-9]\d{0,38})")  # from `make_uid`, or random


@dataclass(frozen=True)
class FilmSize:
    """The size of a stored film; most attributes are those of `ConvertedFilm`. `file` is the SHA-256 of its file."""

    rows: int
    columns: int
    spacing: tuple[float, float] | None
    aspect: float
    file: str = field(default="", compare=False)
    note: str = field(default="", compare=False)
    spacing_source: SpacingSource = SpacingSource.UNKNOWN


def verify_stored_film(path: Path, case: str, side: str) -> FilmSize:
    """Return the size of the film at `path` after a proof that the file is exactly what an import writes.

    The film is decoded and encoded again with the same UIDs. Both files must be equal byte by byte. So the file contains
    nothing but an image, its grey transform, words from closed lists, and UIDs without a meaning.

    Parameters
    ----------
    path
        The file. Links and special files are refused without waiting.
    case, side
        Pseudonym and side that the file must name.

    Raises
    ------
    FilmError
        If it is another kind of file, too large, or not exactly what this or an earlier version of ratui writes.
    """
    data = _read_regular_file(path)
    film, attributes, version = _read_own_film(data, path, case, side)
    note = TEXT_NOTE if attributes.words.get("BurnedInAnnotation") == "YES" else ""
    file = hashlib.sha256(data).hexdigest()
    # Version 1 wrote each spacing as if it were that of the detector.
    source = film.spacing_source if version == CURRENT_VERSION else SpacingSource.UNKNOWN
    return FilmSize(film.rows, film.columns, film.spacing, film.aspect, file, note, source)


def replace_instance_uid(data: bytes, path: Path, case: str, side: str) -> bytes:
    """Return `data`, the content of a film that ratui wrote, with a random UID in place of its SOP Instance UID.

    Nothing else changes. The parameters and errors are those of `verify_stored_film`.
    """
    film, attributes, version = _read_own_film(data, path, case, side)
    uids = {**attributes.uids, "SOPInstanceUID": draw_uid()}
    return encode_film(film, replace(attributes, uids=uids), case=case, side=side, version=version)


def copy_stored_film(
    data: bytes, path: Path, side: str, *, case: str, new_case: str, make_uid: Callable[[str], str]
) -> bytes:
    """Return `data`, the content of a film that ratui wrote for `case`, as a film of `new_case`.

    Parameters
    ----------
    data, path
        The content of the film's file, and its place for error messages.
    side
        Side of the film.
    case, new_case
        Names of the cases.
    make_uid
        Function that returns the UID in place of an old one.

    Raises
    ------
    FilmError
        If the file is not exactly what this or an earlier version of ratui writes.
    """
    film, attributes, version = _read_own_film(data, path, case, side)
    uids = {keyword: make_uid(uid) for keyword, uid in attributes.uids.items()}
    return encode_film(film, replace(attributes, uids=uids), case=new_case, side=side, version=version)


def _read_own_film(data: bytes, path: Path, case: str, side: str) -> tuple[Film, RetainedAttributes, str]:
    """Return film, attributes and version of a file that ratui wrote. Raises FilmError for any other file."""
    dataset = read_stored_dataset(data, path)
    film = rewrite_tables(film_from_dataset(dataset, path, is_own=True))
    attributes = extract_retained_attributes(dataset)
    version = str(dataset.file_meta.get("ImplementationVersionName", ""))
    is_known = KNOWN_VERSIONS.fullmatch(version)
    if not is_known or not all(_OWN_UID.fullmatch(uid) for uid in attributes.uids.values()):
        raise FilmError("it is not a film that ratui wrote", path, _IMPORT_INSTEAD)
    if "SOPInstanceUID" not in attributes.uids:
        raise FilmError("it is not a film that ratui wrote", path, _IMPORT_INSTEAD)
    if encode_film(film, attributes, case=case, side=side, version=version) != data:
        raise FilmError("it contains data that an import does not write", path, _IMPORT_INSTEAD)
    return film, attributes, version


def _read_regular_file(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - of a descriptor
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise FilmError("it is not a regular file", path, "Remove it")
            if found.st_size > MAX_FILE_BYTES:
                raise FilmError("the file is too large to be a film", path, "Remove it")
            return file.read(MAX_FILE_BYTES)
    except OSError as error:
        problem = "it is a symbolic link" if error.errno == errno.ELOOP else f"it can't be read: {error.strerror}"
        raise FilmError(problem, path, "Check it") from error

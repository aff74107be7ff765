"""Read one foreign file: its header, and the de-identified film made from it.

No error message repeats text of the file, because it may name a person. Nothing is written to the disk.
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import io
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import pydicom

from ratui.errors import FilmError
from ratui.imaging import (
    MAX_FILE_BYTES,
    Film,
    LookupTable,
    Pixels,
    SpacingSource,
    Window,
    film_from_dataset,
    read_film,
    read_header,
)
from ratui.imaging.dicom_reader import read_stored_dataset
from ratui.study.importing.reader.burned_in_text import seems_to_contain_text
from ratui.study.importing.reader.deidentification import (
    CURRENT_VERSION,
    KNOWN_VERSIONS,
    RetainedAttributes,
    deidentify,
    encode_film,
    extract_retained_attributes,
    random_uid,
)
from ratui.study.importing.reader.film_header import FilmHeader, read_film_header
from ratui.study.importing.reader.lookup_tables import rewrite_tables
from ratui.study.importing.reader.picture_reader import find_picture_kind, read_picture

__all__ = [
    "TEXT_NOTE",
    "ConvertedFilm",
    "FilmConverter",
    "FilmRequest",
    "FilmSize",
    "InProcessConverter",
    "convert_film",
    "copy_stored_film",
    "pixel_digest",
    "replace_instance_uid",
    "verify_stored_film",
]

TEXT_NOTE = "its header says that text is burned into the picture: look whether it names the patient"
"""Note of a film whose header says so."""
_LOSSY = {"LossyImageCompression": "01", "LossyImageCompressionMethod": "ISO_10918_1"}  # a JPEG picture
_IMPORT_INSTEAD = "Import the film from its source instead"
# Origins of a spacing that a DICOM file can't state, and those that it states instead.
_STORED_SOURCES = {SpacingSource.MANIFEST: SpacingSource.STATED}
_OWN_UID = re.compile(r"2\.25\.(0|[1-9]\d{0,38})")  # from `new_uid`, or random


@dataclass(frozen=True)
class FilmRequest:
    """Parameters of a conversion.

    Attributes
    ----------
    case
        Pseudonym to write into the film.
    side
        ``L``, ``R`` or ``B``.
    key
        Secret for the hashed UIDs, in hexadecimal digits.
    spacing
        Size of a pixel in millimetres, (between rows, between columns), if a manifest gives it.
    """

    case: str
    side: str
    key: str
    spacing: tuple[float, float] | None = None


@dataclass(frozen=True)
class ConvertedFilm:
    """A de-identified film.

    Attributes
    ----------
    data
        Bytes of the new DICOM file.
    rows, columns
        Size of the image in pixels.
    spacing
        Size of a pixel in millimetres, (between rows, between columns), or None.
    digest
        Keyed digest of the pixels, see `pixel_digest`.
    plain_digest
        SHA-256 of the pixels, as films of earlier versions have it. Do not store it.
    aspect
        Height of a pixel divided by its width.
    note
        Warning for a person, or empty.
    spacing_source
        Origin of `spacing`.
    """

    data: bytes
    rows: int
    columns: int
    spacing: tuple[float, float] | None
    digest: str
    aspect: float = 1.0
    note: str = ""
    plain_digest: str = field(default="", repr=False)
    spacing_source: SpacingSource = SpacingSource.UNKNOWN


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


class FilmConverter(Protocol):
    """An object that reads and converts foreign files; both methods raise FilmError."""

    def read_header(self, path: Path) -> FilmHeader:
        """Return what the header of `path` says about the film."""
        ...

    def convert(self, path: Path, request: FilmRequest) -> ConvertedFilm:
        """Return the film in `path`, de-identified."""
        ...


class InProcessConverter:
    """A converter in this process, for trusted files such as simulated ones."""

    def read_header(self, path: Path) -> FilmHeader:
        """Return what the header of `path` says about the film. Raises FilmError."""
        return read_film_header(path)

    def convert(self, path: Path, request: FilmRequest) -> ConvertedFilm:
        """Return the film in `path`, de-identified. Raises FilmError."""
        return convert_film(path, request)


def convert_film(path: Path, request: FilmRequest) -> ConvertedFilm:
    """Return the film in the DICOM or picture file at `path`, de-identified. Raises FilmError.

    The new file is decoded again and compared with the source: the pixels bit by bit, and every value of the grey transform.
    """
    kind = find_picture_kind(path)
    if kind:
        picture = read_picture(path, kind)
        bits = 8 * picture.pixels.dtype.itemsize
        film = Film(picture.pixels, bits, picture.is_inverted, spacing=request.spacing, notes=picture.notes)
        film = replace(film, spacing_source=SpacingSource.MANIFEST if request.spacing else SpacingSource.UNKNOWN)
        attributes = (
            RetainedAttributes(_LOSSY, ratio=round(picture.ratio, 2)) if picture.ratio else RetainedAttributes()
        )
    else:
        film = rewrite_tables(read_film(path))
        attributes = _add_loss(extract_retained_attributes(read_header(path)), film)
    if film.pixels.min() == film.pixels.max():
        raise FilmError("all its pixels are equal", path, "Export it again")
    notes = list(film.notes)
    if attributes.words.get("BurnedInAnnotation") == "YES":
        notes.insert(0, TEXT_NOTE)
    elif seems_to_contain_text(film.pixels):
        notes.insert(0, "text seems to be burned into the picture: look whether it names the patient")
        attributes = replace(attributes, words={**attributes.words, "BurnedInAnnotation": "YES"})
    key = bytes.fromhex(request.key)
    data = deidentify(film, attributes, case=request.case, side=request.side, key=key)
    _compare(film, data, path)
    rows, columns = film.pixels.shape
    aspect = request.spacing[0] / request.spacing[1] if request.spacing else film.aspect
    spacing = request.spacing or film.spacing
    source = SpacingSource.MANIFEST if request.spacing else film.spacing_source
    plain = hashlib.sha256(np.ascontiguousarray(film.pixels).tobytes()).hexdigest()
    return ConvertedFilm(
        data, int(rows), int(columns), spacing, pixel_digest(film.pixels, key), aspect, "; ".join(notes), plain, source
    )


def _add_loss(attributes: RetainedAttributes, film: Film) -> RetainedAttributes:
    """Return the attributes with the loss that the compressed image of `film` shows, whatever the header says."""
    if not film.lossy:
        return attributes
    words = {**attributes.words, "LossyImageCompression": "01"}
    words.setdefault("LossyImageCompressionMethod", film.lossy)
    ratio = attributes.ratio or round(film.lossy_ratio or 1.0, 2)
    return replace(attributes, words=words, ratio=ratio)


def pixel_digest(pixels: Pixels, key: bytes) -> str:
    """Return the digest by which a film is recognised in one study, an HMAC-SHA-256 with a key derived from `key`.

    Nobody without the key can compute it from a film, or compare the films of two studies.
    """
    pixel_key = hmac.digest(key, b"pixels", "sha256")
    return hmac.new(pixel_key, np.ascontiguousarray(pixels).tobytes(), hashlib.sha256).hexdigest()


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
    uids = {**attributes.uids, "SOPInstanceUID": random_uid()}
    return encode_film(film, replace(attributes, uids=uids), case=case, side=side, version=version)


def copy_stored_film(
    data: bytes, path: Path, side: str, *, case: str, new_case: str, new_uid: Callable[[str], str]
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
    new_uid
        Function that returns the UID in place of an old one.

    Raises
    ------
    FilmError
        If the file is not exactly what this or an earlier version of ratui writes.
    """
    film, attributes, version = _read_own_film(data, path, case, side)
    uids = {keyword: new_uid(uid) for keyword, uid in attributes.uids.items()}
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


def _compare(film: Film, data: bytes, path: Path) -> None:
    """Raise FilmError if the new file does not show the same as `film`."""
    new = film_from_dataset(pydicom.dcmread(io.BytesIO(data)), path, is_own=True)
    same = (
        new.pixels.dtype == film.pixels.dtype
        and np.array_equal(new.pixels, film.pixels)
        and (new.bits_stored, new.is_inverted, new.padding) == (film.bits_stored, film.is_inverted, film.padding)
        and np.allclose((new.slope, new.intercept), (film.slope, film.intercept), rtol=1e-9)
        and np.allclose(new.spacing or (0, 0), film.spacing or (0, 0), rtol=1e-9)
        and np.allclose(new.detector_spacing or (0, 0), film.detector_spacing or (0, 0), rtol=1e-9)
        and new.spacing_source == _STORED_SOURCES.get(film.spacing_source, film.spacing_source)
        and np.isclose(new.aspect, film.aspect, rtol=1e-3)
        and _same_table(new.modality_table, film.modality_table)
        and len(new.contrasts) == len(film.contrasts)
        and all(_same_contrast(*pair) for pair in zip(new.contrasts, film.contrasts, strict=True))
    )
    if not same:
        raise FilmError("it can't be stored without a change to its greys", path, "Report it to the authors of ratui")


def _same_contrast(one: object, other: object) -> bool:
    if isinstance(one, LookupTable) and isinstance(other, LookupTable):
        return _same_table(one, other)
    if isinstance(one, Window) and isinstance(other, Window):
        numbers = (one.centre, one.width), (other.centre, other.width)
        return one.function == other.function and bool(np.allclose(*numbers, rtol=1e-9))
    return False


def _same_table(one: LookupTable | None, other: LookupTable | None) -> bool:
    if one is None or other is None:
        return one is other
    return (one.first, one.bits) == (other.first, other.bits) and np.array_equal(one.values, other.values)

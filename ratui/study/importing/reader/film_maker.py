"""Make a de-identified film from one foreign file.

No error message repeats text of the file, because it may name a person. Nothing is written to the disk.
"""

from __future__ import annotations

import hashlib
import hmac
import io
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pydicom

from ratui.errors import FilmError
from ratui.imaging import (
    Contrast,
    Film,
    LookupTable,
    Pixels,
    SpacingSource,
    Window,
    film_from_dataset,
    read_film,
    read_header,
)
from ratui.study.importing.reader.burned_in_text import seems_to_contain_text
from ratui.study.importing.reader.deidentification import (
    RetainedAttributes,
    deidentify,
    extract_retained_attributes,
)
from ratui.study.importing.reader.film_header import FilmHeader
from ratui.study.importing.reader.header_reader import read_film_header
from ratui.study.importing.reader.picture_reader import find_picture_kind, read_picture

__all__ = [
    "TEXT_NOTE",
    "ConvertedFilm",
    "FilmConverter",
    "FilmRequest",
    "InProcessConverter",
    "convert_film",
    "digest_pixels",
    "rewrite_tables",
]

TEXT_NOTE = "its header says that text is burned into the picture: look whether it names the patient"
"""Note of a film whose header says so."""
_LOSSY = {"LossyImageCompression": "01", "LossyImageCompressionMethod": "ISO_10918_1"}  # a JPEG picture
# Origins of a spacing that a DICOM file can't state, and those that it states instead.
_STORED_SOURCES = {SpacingSource.MANIFEST: SpacingSource.STATED}
_MOST_TABLES, _MOST_WINDOWS = 8, 16
_SEGMENT = 8  # entries of a modality table between two that are kept exactly
# The letters of a text differ by less than this from their mean. A text can be in the low bytes of a rising table.
_LETTER_RANGE = 64


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
        Keyed digest of the pixels, see `digest_pixels`.
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
        data, int(rows), int(columns), spacing, digest_pixels(film.pixels, key), aspect, "; ".join(notes), plain, source
    )


def _add_loss(attributes: RetainedAttributes, film: Film) -> RetainedAttributes:
    """Return the attributes with the loss that the compressed image of `film` shows, whatever the header says."""
    if not film.lossy:
        return attributes
    words = {**attributes.words, "LossyImageCompression": "01"}
    words.setdefault("LossyImageCompressionMethod", film.lossy)
    ratio = attributes.ratio or round(film.lossy_ratio or 1.0, 2)
    return replace(attributes, words=words, ratio=ratio)


def digest_pixels(pixels: Pixels, key: bytes) -> str:
    """Return the digest by which a film is recognised in one study, an HMAC-SHA-256 with a key derived from `key`.

    Nobody without the key can compute it from a film, or compare the films of two studies.
    """
    pixel_key = hmac.digest(key, b"pixels", "sha256")
    return hmac.new(pixel_key, np.ascontiguousarray(pixels).tobytes(), hashlib.sha256).hexdigest()


def rewrite_tables(film: Film) -> Film:
    """Return `film` with tables that contain a curve and no text, and with a note about each table that was left out.

    A table is a list of up to 65,536 free numbers, in which a text can be written. A curve of greys needs much less: it
    rises or falls everywhere, and a table for the display needs 256 levels. What a table contains beyond that is removed.

    - A table that both rises and falls is left out.
    - A VOI table gets the 256 levels that a display has. The displayed greys do not change.
    - A modality table with more than 512 levels becomes straight between every eighth entry, where this changes it by less
      than 64 units. Smooth tables change by a rounding error.

    A second application changes nothing.
    """
    notes = list(film.notes)
    modality = film.modality_table
    if modality is not None:
        modality = replace(modality, values=_straighten(modality.values)) if _is_monotone(modality.values) else None
        if modality is None:
            notes.append("its modality table both rises and falls, and was left out")
    tables: list[Contrast] = []
    for contrast in film.contrasts:
        if isinstance(contrast, LookupTable):
            if _is_monotone(contrast.values):
                tables.append(replace(contrast, values=_reduce_to_display_levels(contrast)))
            else:
                notes.append("its grey table both rises and falls, and was left out")
    windows = [contrast for contrast in film.contrasts if not isinstance(contrast, LookupTable)]
    contrasts = (*tables[:_MOST_TABLES], *windows[:_MOST_WINDOWS])
    return replace(film, modality_table=modality, contrasts=contrasts, notes=tuple(notes), _cache={})


def _is_monotone(values: npt.NDArray[np.uint16]) -> bool:
    steps = np.diff(values.astype(np.int32))
    return bool((steps >= 0).all() or (steps <= 0).all())


def _reduce_to_display_levels(table: LookupTable) -> npt.NDArray[np.uint16]:
    white = (1 << table.bits) - 1
    levels = np.rint(table.values.astype(np.float64) * (255.0 / white))
    return np.rint(levels * (white / 255.0)).astype(np.uint16)


def _straighten(values: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    count = len(values)
    exact = values.astype(np.int64)
    if np.ptp(exact) < 2 * 256:  # too few levels for letters in the low bytes
        return values
    knots = np.unique(np.append(np.arange(0, count, _SEGMENT), count - 1))
    straight = np.rint(np.interp(np.arange(count), knots, exact[knots])).astype(np.int64)
    differs = np.abs(straight - exact) >= _LETTER_RANGE
    bent = np.zeros(len(knots), bool)
    bent[np.searchsorted(knots, np.flatnonzero(differs), side="right") - 1] = True
    keep = bent[np.searchsorted(knots, np.arange(count), side="right") - 1]
    return np.where(keep, exact, straight).astype(np.uint16)


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
        and _have_same_table(new.modality_table, film.modality_table)
        and len(new.contrasts) == len(film.contrasts)
        and all(_have_same_contrast(*pair) for pair in zip(new.contrasts, film.contrasts, strict=True))
    )
    if not same:
        raise FilmError("it can't be stored without a change to its greys", path, "Report it to the authors of ratui")


def _have_same_contrast(one: object, other: object) -> bool:
    if isinstance(one, LookupTable) and isinstance(other, LookupTable):
        return _have_same_table(one, other)
    if isinstance(one, Window) and isinstance(other, Window):
        numbers = (one.centre, one.width), (other.centre, other.width)
        return one.function == other.function and bool(np.allclose(*numbers, rtol=1e-9))
    return False


def _have_same_table(one: LookupTable | None, other: LookupTable | None) -> bool:
    if one is None or other is None:
        return one is other
    return (one.first, one.bits) == (other.first, other.bits) and np.array_equal(one.values, other.values)

"""Read one foreign file: its header, and the de-identified film made from it.

No error message repeats text of the file, because it may name a person. Nothing is written to the disk.
"""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Protocol

import numpy as np
import pydicom
from PIL import Image

from ratui.errors import FilmError
from ratui.imaging import (
    MAX_PIXELS,
    MAX_SIDE,
    Film,
    LookupTable,
    Pixels,
    Window,
    film_from_dataset,
    read_film,
    read_header,
)
from ratui.imaging.dicom_reader import check_file
from ratui.study.importing.deidentification import (
    RetainedAttributes,
    deidentify,
    extract_retained_attributes,
    seems_to_contain_text,
)

__all__ = ["ConvertedFilm", "FilmConverter", "FilmHeader", "FilmRequest", "InProcessConverter"]


@dataclass(frozen=True)
class FilmHeader:
    """The identification in a header.

    Attributes
    ----------
    patient
        Patient ID, or the name if there is no ID; may be empty.
    side
        ``L``, ``R``, ``B`` or empty.
    words
        Body part and study description in lower case, from which the view is recognized.
    exam_date
        ISO date, or empty.
    """

    patient: str
    side: str
    words: str
    exam_date: str  # ISO date, or empty


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
        SHA-256 of the pixels.
    aspect
        Height of a pixel divided by its width.
    note
        Warning for a person, or empty.
    """

    data: bytes
    rows: int
    columns: int
    spacing: tuple[float, float] | None
    digest: str
    aspect: float = 1.0
    note: str = ""


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


def read_film_header(path: Path) -> FilmHeader:
    """Return what the header of the DICOM file at `path` says about the film. Raises FilmError."""
    header = read_header(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            patient = str(header.get("PatientID", "") or header.get("PatientName", "")).strip()
            words = f"{header.get('BodyPartExamined', '')} {header.get('StudyDescription', '')}".lower()
            exam_date = _date(header)
            return FilmHeader(patient, _side(header), words, exam_date.isoformat() if exam_date else "")
        except Exception as error:  # a damaged element makes its parser raise almost anything
            raise FilmError(f"its header is damaged ({type(error).__name__})", path, "Export it again") from error


def _side(header: pydicom.Dataset) -> str:
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
    return "R" if words & {"RIGHT", "RT"} else ""


def _date(header: pydicom.Dataset) -> date | None:
    for keyword in ("AcquisitionDate", "StudyDate", "ContentDate"):
        text = str(header.get(keyword, ""))[:8]
        try:
            return datetime.strptime(text, "%Y%m%d").date()
        except ValueError:
            continue
    return None


def convert_film(path: Path, request: FilmRequest) -> ConvertedFilm:
    """Return the film in the DICOM or PNG file at `path`, de-identified. Raises FilmError.

    The new file is decoded again and compared with the source: the pixels bit by bit, and every value of the grey transform.
    """
    if path.suffix.lower() == ".png":
        pixels = _png(path)
        film, attributes = (
            Film(pixels, bits_stored=8 * pixels.dtype.itemsize, spacing=request.spacing),
            RetainedAttributes(),
        )
    else:
        film, attributes = read_film(path), extract_retained_attributes(read_header(path))
    data = deidentify(film, attributes, case=request.case, side=request.side, key=bytes.fromhex(request.key))
    _compare(film, data, path)
    note = ""
    if attributes.words.get("BurnedInAnnotation") == "YES":
        note = "its header says that text is burned into the picture: look whether it names the patient"
    elif seems_to_contain_text(film.pixels):
        note = "text seems to be burned into the picture: look whether it names the patient"
    rows, columns = film.pixels.shape
    digest = hashlib.sha256(np.ascontiguousarray(film.pixels).tobytes()).hexdigest()
    aspect = request.spacing[0] / request.spacing[1] if request.spacing else film.aspect
    return ConvertedFilm(data, int(rows), int(columns), request.spacing or film.spacing, digest, aspect, note)


def _compare(film: Film, data: bytes, path: Path) -> None:
    """Raise FilmError if the new file does not show the same as `film`."""
    new = film_from_dataset(pydicom.dcmread(io.BytesIO(data)), path)
    same = (
        new.pixels.dtype == film.pixels.dtype
        and np.array_equal(new.pixels, film.pixels)
        and (new.bits_stored, new.is_inverted, new.padding) == (film.bits_stored, film.is_inverted, film.padding)
        and np.allclose((new.slope, new.intercept), (film.slope, film.intercept), rtol=1e-9)
        and np.allclose(new.spacing or (0, 0), film.spacing or (0, 0), rtol=1e-9)
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


def _png(path: Path) -> Pixels:
    """Return the grey levels of a PNG file with 8 or 16 bits. Raises FilmError for anything but one grey image."""
    check_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=["PNG"]) as image:
                width, height = image.size
                if max(width, height) > MAX_SIDE or min(width, height) < 16 or width * height > MAX_PIXELS:
                    remedy = "Give the film itself"
                    raise FilmError(f"its size {width} × {height} is not that of a radiograph", path, remedy)
                image.load()
                mode = image.mode
                values = np.asarray(image)
    except FileNotFoundError as error:
        raise FilmError("there is no such file", path, "Check the manifest") from error
    except Image.DecompressionBombError as error:
        raise FilmError("its size is not that of a radiograph", path, "Give the film itself") from error
    except (OSError, ValueError, SyntaxError) as error:
        raise FilmError("it is not a readable PNG file", path, "Export it again") from error
    if values.ndim == 3 and mode == "RGB" and (values == values[..., :1]).all():
        values = values[..., 0]  # a grey film that was saved in colour
    if values.ndim != 2 or mode == "P":
        raise FilmError("it is a colour image, not a grey film", path, "Export the original radiograph")
    if values.dtype == np.bool_:
        raise FilmError("it has two levels only", path, "Export the original radiograph")
    return values if values.dtype == np.uint8 else values.astype(np.uint16)

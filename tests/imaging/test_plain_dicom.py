"""The reader of plain films reads a film as pydicom does, or leaves it to pydicom."""

from dataclasses import fields
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from ratui.errors import FilmError
from ratui.imaging import Film, LookupTable, Window, encode_dicom, read_stored_film
from ratui.imaging.dicom_reader import film_from_dataset, read_stored_dataset
from ratui.imaging.plain_dicom import _KEYWORDS, _PlainHeader, read_plain_film
from ratui.study.importing.reader.deidentification import RetainedAttributes, deidentify

SAMPLE = Path(__file__).parents[2] / "sample_data/study/films"
WINDOWS = {
    "WindowCenter": ["100", "2e2"],
    "WindowWidth": ["50.5", "7"],
    "VOILUTFunction": "LINEAR_EXACT",
    "WindowCenterWidthExplanation": ["BONE", "SOFT TISSUE"],
    "PixelPaddingValue": 3,
    "PixelPaddingRangeLimit": 5,
    "PresentationLUTShape": "INVERSE",
    "RescaleSlope": "1.5",
    "RescaleIntercept": "-10",
    "EstimatedRadiographicMagnificationFactor": "1.1",
    "PixelSpacingCalibrationType": "GEOMETRY",
}
INSERTED = (b"\0", b" ", b"\\", b"\0\0", b"  ", b"1", b"-", b"\xfe\xff\0\xe0", b"\x28\0\x08\0IS\2\x002 ")
LETTERS = b" \\0123456789.eE+-ABCLUSDOBW\0\xff"


def pixels_of(bits: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(bits).integers(0, 1 << bits, (20, 23))


def plain_files() -> list[bytes]:
    """Return films of all depths in both forms, with and without windows, padding and a magnification."""
    return [
        encode_dicom(
            pixels_of(bits), bits=bits, spacing=(0.1, 0.123456), inverted=True, compress=packs, attributes=more
        )
        for bits in (6, 8, 12, 16)
        for packs in (True, False)
        for more in (WINDOWS, {"PixelAspectRatio": ["3", "4"]})
    ]


def read_by_pydicom(data: bytes) -> Film | FilmError:
    try:
        return film_from_dataset(read_stored_dataset(data, Path("film")), Path("film"), is_own=True)
    except FilmError as error:
        return error


def is_same(one: Film, other: Film | FilmError) -> bool:
    return (
        isinstance(other, Film)
        and all(getattr(one, f.name) == getattr(other, f.name) for f in fields(Film) if f.init and f.name != "pixels")
        and one.pixels.dtype == other.pixels.dtype
        and np.array_equal(one.pixels, other.pixels)
    )


def alter(data: bytes, random: Random) -> bytes:
    """Return `data` with one to three bytes before the pixels' own replaced, removed or added, or cut off."""
    film, kind = bytearray(data), random.randrange(6)
    end = film.find(b"\xe0\x7f\x10\x00") + 90
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        place = random.randrange(128, min(end, len(film)))
        match kind:
            case 0:
                film[place] = random.randrange(256)
            case 1:
                film[place] ^= 1 << random.randrange(8)
            case 2:
                del film[place : place + random.choice((1, 2, 4))]
            case 3:
                film[place:place] = random.choice(INSERTED)
            case 4:
                film = film[: random.randrange(132, len(film) + 1)]
            case 5:
                film[place] = random.choice(LETTERS)
        if len(film) <= 132:
            break
    return bytes(film)


def test_plain_films_are_read_as_pydicom_reads_them() -> None:
    samples = [path.read_bytes() for path in sorted(SAMPLE.glob("*/*.dcm"))[:2]]
    for data in [*plain_files(), *samples]:
        film = read_plain_film(data)
        assert film is not None
        assert is_same(film, read_by_pydicom(data))


@pytest.mark.parametrize("signed", [False, True])
def test_imported_films_are_plain(signed: bool) -> None:
    pixels = pixels_of(12).astype(np.int16 if signed else np.uint16) - (2048 if signed else 0)
    windows = (Window(40.0, 400.5, "LINEAR", "BONE"), Window(1e-3, 7.0, "LINEAR", ""))
    film = Film(pixels, 12, contrasts=windows, padding=(-5, -3) if signed else (3, 3), spacing=(0.1, 0.2), slope=0.25)
    data = deidentify(film, RetainedAttributes({}, {}), case="C-1", side="L", key=b"key")
    found = read_plain_film(data)
    assert found is not None
    assert is_same(found, read_by_pydicom(data))
    assert found.contrasts == windows
    assert np.array_equal(found.pixels, pixels)


def test_an_altered_film_is_read_as_pydicom_reads_it_or_left_to_it() -> None:
    random, files, read = Random(1), plain_files(), 0
    for _ in range(900):
        data = alter(random.choice(files), random)
        film = read_plain_film(data)
        if film is not None:
            read += 1
            assert is_same(film, read_by_pydicom(data)), data
    assert read > 80, "some altered films are still plain"


@pytest.mark.parametrize("form", [True, False])
def test_the_size_in_the_header_must_be_that_of_the_pixels(form: bool) -> None:
    data = encode_dicom(pixels_of(12), bits=12, compress=form)
    rows = data.index(b"\x28\0\x10\0US\2\0") + 8
    other = data[:rows] + (21).to_bytes(2, "little") + data[rows + 2 :]
    assert read_plain_film(other) is None
    with pytest.raises(FilmError):
        read_stored_film(other, Path("film"))


def test_a_film_with_a_table_is_left_to_pydicom() -> None:
    table = LookupTable(0, np.arange(4096, dtype=np.uint16), 12)
    film = Film(pixels_of(12).astype(np.uint16), 12, contrasts=(table,))
    data = deidentify(film, RetainedAttributes({}, {}), case="C-1", side="L", key=b"key")
    assert read_plain_film(data) is None
    (found,) = read_stored_film(data, Path("film")).contrasts
    assert isinstance(found, LookupTable)
    assert np.array_equal(found.values, table.values)


def test_an_element_that_the_reader_does_not_know_is_an_error_and_not_missing() -> None:
    header = _PlainHeader({})
    assert header.get("PixelSpacing") is None
    assert "NumberOfFrames" in _KEYWORDS
    with pytest.raises(KeyError):
        header.get("BodyPartExamined")

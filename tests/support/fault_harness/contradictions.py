"""Films in each coding and file format whose pixels are known, and the same pixels under headers that contradict them.

An import must take the known pixels or refuse the file. The same seed makes the same files.
"""

from __future__ import annotations

import contextlib
import io
import random
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from openjpeg.utils import encode_array
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from ratui.errors import FilmError
from ratui.imaging import encode_dicom, read_stored_film
from ratui.study.importing import FilmRequest, ReaderProcess
from tests.support.fault_harness.fuzz import mutated

__all__ = ["REQUEST", "KnownFilm", "contradict", "damage_pictures", "find_outcome", "known_films"]

REQUEST = FilmRequest("C-X", "L", "00")

_SHAPE = (84, 60)
_SYNTAXES = (
    *(ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian),
    *(RLELossless, JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless),
)
# Elements of a header and the values that are tried.
_CLAIMS: dict[str, tuple[Any, ...]] = {
    "BitsStored": (8, 9, 10, 11, 12, 13, 14, 16),
    "HighBit": (7, 9, 11, 12, 13, 15),
    "BitsAllocated": (8, 16),
    "PixelRepresentation": (0, 1),
    "Rows": (_SHAPE[1], _SHAPE[0] - 1, _SHAPE[0] + 1, _SHAPE[0] // 2, 2 * _SHAPE[0]),
    "Columns": (_SHAPE[0], _SHAPE[1] - 1, _SHAPE[1] + 1, _SHAPE[1] // 2, 2 * _SHAPE[1]),
    "SamplesPerPixel": (1, 3),
    "PlanarConfiguration": (0, 1),
    "NumberOfFrames": (1, 2),
    "PhotometricInterpretation": ("MONOCHROME2", "RGB", "YBR_FULL_422", "PALETTE COLOR"),
}


@dataclass(frozen=True)
class KnownFilm:
    """A file and the pixels that an import of it must give.

    Attributes
    ----------
    name
        Name of the file.
    data
        Its bytes.
    pixels
        The pixels, shape (rows, columns).
    """

    name: str
    data: bytes
    pixels: npt.NDArray[Any]


def _greys(bits: int) -> npt.NDArray[np.uint16]:
    """Return a smooth picture, like a finger, that uses nearly all values of `bits`."""
    down, across = np.mgrid[0 : _SHAPE[0], 0 : _SHAPE[1]]
    bone = np.exp(-(((across - 31) / 13.0) ** 2)) * (0.8 + 0.2 * np.cos(down / 8.0))
    noise = np.random.default_rng(bits).normal(0, 0.001, bone.shape)
    top = (1 << bits) - 1
    return np.clip((0.01 + 0.96 * bone + noise) * top, 0, top).astype(np.uint16)


def _dicom(pixels: npt.NDArray[Any], bits: int, syntax: UID) -> bytes:
    """Return a film with `pixels` in the coding `syntax`."""
    values = pixels if bits > 8 else pixels.astype(np.uint8)
    dataset = pydicom.dcmread(io.BytesIO(encode_dicom(values, bits=bits, compress=False, laterality="L")))
    dataset.PatientID, dataset.StudyDate = "P", "20200302"
    if syntax == JPEG2000Lossless:
        dataset.PixelData = encapsulate([bytes(encode_array(values, bits_stored=bits))])
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = syntax
    elif syntax != ExplicitVRLittleEndian:
        plugin = "pyjpegls" if syntax == JPEGLSLossless else "pydicom"
        dataset.compress(syntax, encoding_plugin=plugin, generate_instance_uid=False)
    return _written(dataset)


def _written(dataset: pydicom.Dataset) -> bytes:
    made = io.BytesIO()
    dataset.save_as(made, enforce_file_format=True)
    return made.getvalue()


def _picture(image: Image.Image, kind: str, **options: object) -> bytes:
    made = io.BytesIO()
    image.save(made, kind, **options)
    return made.getvalue()


def known_films() -> list[KnownFilm]:
    """Return a film in each coding and each file format without loss."""
    films = []
    for bits in (8, 12, 16):
        for syntax in (ExplicitVRLittleEndian, RLELossless, JPEGLSLossless, JPEG2000Lossless):
            greys = _greys(bits)
            films.append(KnownFilm(f"{syntax.keyword}-{bits}.dcm", _dicom(greys, bits, syntax), greys))
    grey, deep = _greys(8).astype(np.uint8), _greys(16)
    colours = Image.fromarray(np.repeat(grey[..., None], 3, axis=2))
    palette = Image.fromarray(255 - grey).convert("P")
    palette.putpalette(np.repeat(np.arange(256, dtype=np.uint8)[::-1], 3).tobytes())
    opaque = Image.fromarray(np.dstack([grey, np.full_like(grey, 255)]))
    pictures = {
        "grey.png": (_picture(Image.fromarray(grey), "PNG"), grey),
        "deep.png": (_picture(Image.fromarray(deep), "PNG"), deep),
        "palette.png": (_picture(palette, "PNG"), grey),
        "opaque.png": (_picture(opaque, "PNG"), grey),
        "colours.png": (_picture(colours, "PNG"), grey),
        "plain.tif": (_picture(Image.fromarray(deep), "TIFF"), deep),
        "lzw.tif": (_picture(Image.fromarray(deep), "TIFF", compression="tiff_lzw"), deep),
        "deflate.tif": (_picture(colours, "TIFF", compression="tiff_adobe_deflate"), grey),
        "grey.bmp": (_picture(Image.fromarray(grey), "BMP"), grey),
        "colours.bmp": (_picture(colours, "BMP"), grey),
    }
    films += [KnownFilm(name, data, pixels) for name, (data, pixels) in pictures.items()]
    for name, options in (("grey.jpg", {}), ("progressive.jpg", {"progressive": True})):
        data = _picture(Image.fromarray(grey), "JPEG", quality=92, **options)
        with Image.open(io.BytesIO(data)) as image:
            films.append(KnownFilm(name, data, np.asarray(image)))
    return films


def contradict(films: list[KnownFilm], count: int, seed: int) -> Iterator[KnownFilm]:
    """Yield `count` films of `films` with the same bytes of pixels under other elements of the header."""
    rng = random.Random(seed)
    sources = [film for film in films if film.name.endswith(".dcm")]
    made = 0
    while made < count:
        film = rng.choice(sources)
        data = _claimed(film.data, rng)
        if data is not None:
            yield KnownFilm(f"{made:04d}-{film.name}", data, film.pixels)
            made += 1


def damage_pictures(films: list[KnownFilm], count: int, seed: int) -> Iterator[KnownFilm]:
    """Yield `count` damaged picture files of `films`, with the pixels that an independent reading gives."""
    rng = random.Random(seed)
    sources = [film for film in films if not film.name.endswith(".dcm")]
    for number in range(count):
        film = sources[number % len(sources)]
        data = mutated(film.data, rng)
        pixels = film.pixels
        # A PNG file has a checksum of its pixels. The other formats can't show a changed byte.
        if not film.name.endswith(".png"):
            with warnings.catch_warnings(), contextlib.suppress(Exception), Image.open(io.BytesIO(data)) as image:
                warnings.simplefilter("ignore")
                pixels = np.asarray(image if image.mode.startswith("I") else image.convert("L"))
        yield KnownFilm(f"{number:04d}-{film.name}", data, pixels)


def find_outcome(reader: ReaderProcess, film: KnownFilm, folder: Path) -> str:
    """Convert a film as an import does; return ``right`` or ``wrong`` pixels, or the reason of a refusal."""
    path = folder / film.name
    path.write_bytes(film.data)
    try:
        data = reader.convert(path, REQUEST).data
    except FilmError as error:
        return error.problem
    finally:
        path.unlink()
    return "right" if np.array_equal(read_stored_film(data, path).pixels, film.pixels) else "wrong"


def _claimed(data: bytes, rng: random.Random) -> bytes | None:
    """Return the film with one to three other elements, or None if pydicom does not write it."""
    dataset = pydicom.dcmread(io.BytesIO(data))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for keyword in rng.sample(list(_CLAIMS), rng.randint(1, 3)):
            setattr(dataset, keyword, rng.choice(_CLAIMS[keyword]))
        if rng.random() < 0.3:
            dataset.file_meta.TransferSyntaxUID = rng.choice(_SYNTAXES)
        try:
            return _written(dataset)
        except Exception:  # such as uncompressed pixels under a compression
            return None

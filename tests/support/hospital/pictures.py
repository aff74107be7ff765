"""Pictures of the simulated films, stored with the bit depths and transfer syntaxes of real devices."""

from __future__ import annotations

import io
from random import Random
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom import Dataset
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

from tests.support.hospital.jpeg_lossless import encode_jpeg_lossless

__all__ = ["add_picture", "draw_picture"]

_Choice = TypeVar("_Choice")

_PORTRAIT, _LANDSCAPE, _SQUARE = (300, 240), (240, 300), (280, 280)
_LARGE = 8.4  # factor to the size of a plate of 24 × 30 cm read with 10 pixels per millimetre
_LARGE_SHARE = 0.004
_DEPTHS = ((12, 50), (10, 15), (14, 10), (15, 5), (16, 5), (8, 15))
"""Bits Stored, and its share in per cent. The most frequent depth of computed radiography is 12."""
_SYNTAXES = (
    (ExplicitVRLittleEndian, 35),
    (ImplicitVRLittleEndian, 20),
    (JPEGLosslessSV1, 12),  # the most frequent form of archives
    (JPEG2000Lossless, 10),
    (JPEGLSLossless, 8),
    (RLELossless, 5),
    (JPEGBaseline8Bit, 5),  # only for 8 bits, else JPEG 2000
    (DeflatedExplicitVRLittleEndian, 3),
    (ExplicitVRBigEndian, 2),
)
_INVERTED_SHARE = 0.3  # MONOCHROME1, the form of many computed radiographs
_TURNED_SHARE = 0.03


def draw_picture(seed: int, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Return a picture between 0 and 1 of five bright rays on a dark ground; each seed gives a different one."""
    numbers = np.random.default_rng(seed)
    rows, columns = shape
    y, x = np.linspace(0, 1, rows, dtype=np.float32), np.linspace(0, 1, columns, dtype=np.float32)
    picture = 0.06 + 0.02 * numbers.random(shape, dtype=np.float32)
    for ray in range(5):
        centre, top, light = 0.22 + 0.14 * ray + 0.03 * numbers.random(), 0.1 + 0.1 * numbers.random(), numbers.random()
        along = 1 / (1 + np.exp((top - y) * 60))
        across = np.exp(-(((x - centre) / 0.035) ** 2))
        picture += np.outer(along, (0.35 + 0.2 * light) * across)
    return np.asarray(np.clip(picture, 0, 1), np.float32)


def add_picture(dataset: Dataset, seed: int, gamma: float = 1.0, *, of_both: bool = False) -> None:
    """Add a picture to `dataset`, and set its transfer syntax.

    Parameters
    ----------
    dataset
        The header, with file meta information.
    seed
        Number of the picture. It also decides size, depth, orientation and transfer syntax.
    gamma
        Exponent of the brightness.
    of_both
        True for a film of both sides: its plate lies across, or it is square.
    """
    random = Random(seed)
    shapes = ((_LANDSCAPE, 90), (_SQUARE, 10)) if of_both else ((_PORTRAIT, 75), (_SQUARE, 20), (_LANDSCAPE, 5))
    rows, columns = _weighted(shapes, random)
    scale = _LARGE if random.random() < _LARGE_SHARE else 1
    shape = (int(rows * scale), int(columns * scale))
    bits = _weighted(_DEPTHS, random)
    syntax = _weighted(_SYNTAXES, random)
    picture = draw_picture(seed, shape) ** gamma
    if random.random() < _TURNED_SHARE:
        picture = np.rot90(picture, random.choice((1, 2, 3)))
    inverted = random.random() < _INVERTED_SHARE
    if inverted:
        picture = 1 - picture
    if syntax == JPEGBaseline8Bit and bits != 8:
        syntax = JPEG2000Lossless
    stored = np.ascontiguousarray((picture * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16))
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8 * stored.itemsize, bits, bits - 1
    dataset.PixelRepresentation = 0
    dataset.LossyImageCompression = "00"
    _store(dataset, stored, UID(syntax))


def _store(dataset: Dataset, stored: npt.NDArray[np.generic], syntax: UID) -> None:
    if syntax == JPEGBaseline8Bit:
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.PixelData = encapsulate([_jpeg(stored)])
        dataset["PixelData"].VR = "OB"
        dataset.LossyImageCompression = "01"
        dataset.LossyImageCompressionMethod, dataset.LossyImageCompressionRatio = "ISO_10918_1", 5
        return
    if syntax == JPEGLosslessSV1:
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.PixelData = encapsulate([encode_jpeg_lossless(stored, dataset.BitsStored)])
        dataset["PixelData"].VR = "OB"
        return
    big = syntax == ExplicitVRBigEndian
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if syntax.is_compressed else syntax
    dataset.PixelData = stored.astype(stored.dtype.newbyteorder(">" if big else "<")).tobytes()
    if len(dataset.PixelData) % 2:
        dataset.PixelData += b"\0"
    dataset["PixelData"].VR = "OW" if stored.itemsize > 1 or syntax == ImplicitVRLittleEndian else "OB"
    if syntax == DeflatedExplicitVRLittleEndian:
        dataset.file_meta.TransferSyntaxUID = syntax
    elif syntax.is_compressed:
        dataset.compress(syntax, generate_instance_uid=False)


def _jpeg(stored: npt.NDArray[np.generic]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(stored).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _weighted(choices: tuple[tuple[_Choice, int], ...], random: Random) -> _Choice:
    return random.choices([choice for choice, _ in choices], [weight for _, weight in choices])[0]

"""DICOM films with header elements that some real films have: tables, several windows, signed values, both polarities."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from ratui.imaging import encode_dicom

SIZE = (64, 80)


def ramp(bits: int, *, signed: bool = False) -> np.ndarray[Any, Any]:
    """Return a ramp over the whole range of `bits`, with noise, of shape SIZE."""
    count = SIZE[0] * SIZE[1]
    values = np.linspace(0, (1 << bits) - 1, count) + np.random.default_rng(bits).normal(0, 3, count)
    values = np.clip(np.rint(values), 0, (1 << bits) - 1)
    if signed:
        values -= 1 << (bits - 1)
    kind = "i" if signed else "u"
    return values.reshape(SIZE).astype(f"<{kind}{1 if bits <= 8 else 2}")


def table(first: int, values: list[int], bits: int, *, signed: bool = False) -> Dataset:
    """Return an item of a sequence of lookup tables."""
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if signed else "US", [len(values), first, bits])
    item.add_new("LUTData", "US", values)
    item.LUTExplanation = "bone"
    return item


def film_with(
    path: Path,
    pixels: np.ndarray[Any, Any],
    *,
    bits: int,
    high_bit: int | None = None,
    modality: Dataset | None = None,
    grey_tables: tuple[Dataset, ...] = (),
    **elements: object,
) -> Path:
    """Write a film of `pixels`, unchanged, with the given tables and `elements` by keyword."""
    blank = np.zeros(pixels.shape, np.uint8 if pixels.dtype.itemsize == 1 else np.uint16)
    path.write_bytes(encode_dicom(blank, bits=min(bits, 8) if blank.dtype.itemsize == 1 else bits, compress=False))
    dataset = pydicom.dcmread(path)
    dataset.PixelData = pixels.tobytes()
    dataset.BitsAllocated, dataset.BitsStored = 8 * pixels.dtype.itemsize, bits
    dataset.HighBit = bits - 1 if high_bit is None else high_bit
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    if modality is not None:
        modality.ModalityLUTType = "US"
        dataset.ModalityLUTSequence = Sequence([modality])
    if grey_tables:
        dataset.VOILUTSequence = Sequence(list(grey_tables))
    for keyword, value in elements.items():
        if keyword == "PixelPaddingValue":
            dataset.add_new(keyword, "SS" if dataset.PixelRepresentation else "US", value)
        else:
            setattr(dataset, keyword, value)
    dataset.save_as(path)
    return path

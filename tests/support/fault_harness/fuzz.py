"""Malicious films: pydicom's own test files, and mutations of their bytes and of the sizes that a header claims.

The same seed makes the same files.
"""

from __future__ import annotations

import io
import random
import struct
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import pydicom
from pydicom.data import get_testdata_file
from pydicom.uid import AllTransferSyntaxes

__all__ = ["mutated", "mutations", "own_test_files"]

_NUMBERS = (
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "SamplesPerPixel",
    "NumberOfFrames",
    "PlanarConfiguration",
)
_CHANGES = ("byte",) * 8 + ("length", "length", "drop", "double", "cut")
_EXTREMES = (0, 1, 2, 7, 8, 15, 16, 32, 255, 4096, 65_535)


def own_test_files() -> list[Path]:
    """Return every file that pydicom includes for its own tests."""
    folder = Path(str(get_testdata_file("CT_small.dcm", download=False))).parent
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".py")


def mutations(sources: Sequence[Path], count: int, seed: int) -> Iterator[tuple[Path, bytes]]:
    """Yield `count` mutations, each with its source file: sources in turn, in an order drawn by `seed`."""
    rng = random.Random(seed)
    order = list(sources)
    rng.shuffle(order)
    for number in range(count):
        source = order[number % len(order)]
        data = source.read_bytes()
        made = _claimed(data, rng) if rng.random() < 0.4 else None
        yield source, made or mutated(data, rng)


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Return `data` with random changes: flipped bytes, huge lengths, deleted or repeated parts, a truncated end."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 12)):
        # Half of the changes affect the headers; the preamble has no content.
        end = rng.choice((2000, len(changed)))
        at = rng.randrange(min(132, len(changed)), max(min(end, len(changed)), 133))
        match rng.choice(_CHANGES):
            case "byte":
                changed[at : at + 1] = bytes([rng.randrange(256)])
            case "length":
                changed[at : at + 4] = rng.choice([b"\xff" * 4, b"\0" * 4, struct.pack("<I", 2**31 - 1)])
            case "drop":
                del changed[at : at + rng.randint(1, 64)]
            case "double":
                changed[at:at] = changed[max(at - 64, 0) : at]
            case "cut":
                del changed[at:]
    return bytes(changed)


def _claimed(data: bytes, rng: random.Random) -> bytes | None:
    """Return the same picture under a header that claims another size, depth or coding; None without a picture."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = pydicom.dcmread(io.BytesIO(data), force=True)
            if "PixelData" not in dataset:
                return None
            for keyword in rng.sample(_NUMBERS, rng.randint(1, 3)):
                setattr(dataset, keyword, rng.choice(_EXTREMES))
            if rng.random() < 0.3:
                dataset.file_meta.TransferSyntaxUID = rng.choice(AllTransferSyntaxes)
            if rng.random() < 0.3:
                dataset["PixelData"]._value = dataset.PixelData[: rng.randrange(1 + len(dataset.PixelData))]
            made = io.BytesIO()
            dataset.save_as(made, enforce_file_format=False)
        except Exception:  # not every file can be written again; those are mutated as bytes
            return None
    return made.getvalue()

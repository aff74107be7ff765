"""A quick digest of the stored picture in a file, by which copies of a film with other headers are suspected.

It is computed from samples of the encoded bytes, without decoding. Equal pictures in equal encoding have equal digests;
files with equal digests are decoded and compared.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom.uid import DeflatedExplicitVRLittleEndian

from ratui.errors import FilmError

__all__ = ["digest_file", "picture_digest"]

_SAMPLES, _SAMPLE = 64, 4096  # number and bytes


def picture_digest(path: Path) -> str:
    """Return a digest of samples of a DICOM file from its pixels on, or an empty text if there are none.

    The header must have been read before. A deflated file has no digest, because its header is in the same stream.
    """
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(file, stop_before_pixels=True)
        if dataset.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
            return ""
        return _digest_samples(file, file.tell())  # pydicom stops at the element with the pixels


def digest_file(path: Path) -> str:
    """Return the digest of a file without a header, such as a PNG file. Raises FilmError if it can't be read."""
    try:
        with path.open("rb") as file:
            return _digest_samples(file, 0)
    except OSError as error:
        raise FilmError(f"it can't be read: {error.strerror}", path, "Check the path") from error


def _digest_samples(file: BinaryIO, start: int) -> str:
    end = file.seek(0, os.SEEK_END)
    if end <= start:
        return ""
    digest = hashlib.sha256(f"{end - start}".encode())
    for number in range(_SAMPLES):
        file.seek(start + (end - start) * number // _SAMPLES)
        digest.update(file.read(_SAMPLE))
    return digest.hexdigest()

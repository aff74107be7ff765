"""A quick digest of the stored picture in a file, by which copies of a film with other headers are suspected.

It is computed from samples of the encoded bytes, without decoding. Equal pictures in equal encoding have equal digests;
files with equal digests are decoded and compared.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import BinaryIO

from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from ratui.errors import FilmError

__all__ = ["digest_file", "picture_digest"]

_SAMPLES, _SAMPLE = 64, 4096  # number and bytes


def picture_digest(path: Path, header: Dataset, offset: int) -> str:
    """Return a digest of samples of a DICOM file from its pixels on, or an empty text if there are none.

    A deflated file has no digest, because its header is in the same stream.

    Parameters
    ----------
    path
        The file.
    header, offset
        Its header, and the offset of its pixels in bytes.

    Raises
    ------
    FilmError
        If it can't be read.
    """
    if header.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        return ""
    return digest_file(path, offset)


def digest_file(path: Path, offset: int = 0) -> str:
    """Return the digest of a file from the byte `offset` on. Raises FilmError if it can't be read."""
    try:
        with path.open("rb") as file:
            return _digest_samples(file, offset)
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

"""The digest of the stored picture in a DICOM file, by which copies of a film with other headers are found.

It is computed from the encoded bytes, without decoding. Equal digests prove equal pictures; different ones prove nothing.
"""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path

import pydicom
from pydicom.uid import DeflatedExplicitVRLittleEndian

from ratui.errors import FilmError

__all__ = ["digest_file", "picture_digest"]

_BLOCK = 1 << 20  # bytes


def picture_digest(path: Path) -> str:
    """Return the SHA-256 of all bytes of a DICOM file from its pixels on, or an empty text if there are none.

    The header must have been read before. A deflated file has no digest, because its header is in the same stream.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(file, stop_before_pixels=True)
        if dataset.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
            return ""
        # pydicom stops at the element with the pixels.
        blocks = 0
        while block := file.read(_BLOCK):
            digest.update(block)
            blocks += 1
    return digest.hexdigest() if blocks else ""


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a whole file, the digest of a picture without a header. Raises FilmError."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FilmError(f"it can't be read: {error.strerror}", path, "Check the path") from error

"""Limits on a file, checked before memory is allocated for it: its length, its inflated length, its image size.

A check reads a few bytes or inflates without keeping the result. No error repeats text from the file.
"""

from __future__ import annotations

import stat
import struct
import zlib
from pathlib import Path

import pydicom
from pydicom.encaps import generate_frames
from pydicom.uid import UID

from ratui.errors import FilmError
from ratui.imaging.pydicom_internals import read_meta_information

__all__ = ["MAX_FILE_BYTES", "MAX_PIXELS", "check_codestream", "check_file"]

MAX_FILE_BYTES = 600_000_000
"""Maximum size of a film's file in bytes, also after inflating."""
MAX_PIXELS = 80_000_000
"""Maximum of rows times columns. A film of 43 cm × 43 cm at 50 µm has 74 million pixels."""
_MAX_TILES = 16_384  # of a JPEG 2000 image; a decoder allocates memory for each
_DEFLATED = "1.2.840.10008.1.2.1.99"  # Deflated Explicit VR Little Endian (PS3.5 A.5)
_CHUNK_BYTES = 1 << 20


def check_file(path: Path) -> None:
    """Raise FilmError if `path` is not a regular file, is too large, or inflates to too many bytes."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise FilmError("it is no plain file", path, "Give DICOM files")
        if found.st_size > MAX_FILE_BYTES:
            raise FilmError("it is larger than any film", path, "Give the film itself")
    except FileNotFoundError as error:
        raise FilmError("there is no such file", path, "Check the path") from error
    except OSError as error:
        raise FilmError(f"it can't be read: {error.strerror}", path, "Check its permissions") from error
    try:
        with path.open("rb") as file:
            syntax = str(read_meta_information(file).get("TransferSyntaxUID", ""))
            start = file.tell()
    except Exception:  # not a DICOM file, or a damaged one; the reader of the file reports it
        return
    # A UID that pydicom knows has a name other than its digits.
    if syntax and UID(syntax).name == syntax:
        raise FilmError("it stores its pixels in a way that isn't known", path, "Ask for it uncompressed")
    if syntax == _DEFLATED:
        _check_inflated_size(path, start)


def _check_inflated_size(path: Path, start: int) -> None:
    """Raise FilmError if the bytes from `start` on inflate to more than MAX_FILE_BYTES."""
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)  # negative: raw deflate data without a zlib header
    total = 0
    try:
        with path.open("rb") as file:
            file.seek(start)
            data = file.read(_CHUNK_BYTES)
            while data and not inflate.eof:
                total += len(inflate.decompress(data, _CHUNK_BYTES))
                if total > MAX_FILE_BYTES:
                    raise FilmError("it inflates to more than any film holds", path, "Ask for it uncompressed")
                data = inflate.unconsumed_tail or file.read(_CHUNK_BYTES)
    except (OSError, zlib.error) as error:
        raise FilmError("its deflated part is damaged", path, "Ask for it uncompressed") from error


def check_codestream(dataset: pydicom.Dataset, path: Path) -> None:
    """Raise FilmError if a compressed image has another size than its DICOM header says.

    A decoder allocates memory for the size in the compressed data, not for the size in the header.
    """
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    if not syntax.is_encapsulated:
        return
    try:
        frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    except Exception as error:  # pydicom raises many types for damaged frames
        raise FilmError("its compressed pixels are damaged", path, "Ask for it uncompressed") from error
    try:
        size = _read_codestream_size(frame)
    except (struct.error, IndexError, ValueError) as error:
        raise FilmError("its compressed pixels are damaged", path, "Ask for it uncompressed") from error
    if size is not None and size != (dataset.Rows, dataset.Columns):
        raise FilmError("its compressed picture has another size than its header says", path, "Ask for it uncompressed")


def _read_codestream_size(frame: bytes) -> tuple[int, int] | None:
    """Return (rows, columns) of a JPEG, JPEG-LS or JPEG 2000 image, or None for other kinds, such as RLE."""
    # SOI marker, common to JPEG (ITU-T T.81) and JPEG-LS (T.87).
    if frame[:2] == b"\xff\xd8":
        return _read_jpeg_size(frame)
    # SOC and SIZ markers of JPEG 2000 (ITU-T T.800), at the start or after the boxes of a JP2 file.
    offset = 0 if frame[:4] == b"\xff\x4f\xff\x51" else frame.find(b"\xff\x4f\xff\x51", 0, 65_536)
    return _read_jpeg_2000_size(frame, offset + 4) if offset >= 0 else None


def _read_jpeg_size(frame: bytes) -> tuple[int, int]:
    """Return (rows, columns) of the frame header (ITU-T T.81 B.2.2). Raises ValueError if there is none."""
    offset = 2
    while offset < len(frame):
        if frame[offset] != 0xFF:
            raise ValueError("no marker found")
        marker = frame[offset + 1]
        if marker == 0xFF:  # a fill byte
            offset += 1
            continue
        (length,) = struct.unpack_from(">H", frame, offset + 2)
        # SOF55 of JPEG-LS, or SOF0 to SOF15 without DHT (C4), JPG (C8) and DAC (CC).
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            rows, columns, components = struct.unpack_from(">HHB", frame, offset + 5)
            if components != 1:
                raise ValueError("not one component")
            return rows, columns
        offset += 2 + length
    raise ValueError("no frame header found")


def _read_jpeg_2000_size(frame: bytes, offset: int) -> tuple[int, int]:
    """Return (rows, columns) of the SIZ segment at `offset` (ITU-T T.800 A.5.1). Raises ValueError if it is invalid."""
    right, down, left, top, tile_across, tile_down, _, _, components = struct.unpack_from(">8IH", frame, offset + 4)
    columns, rows = right - left, down - top
    if columns <= 0 or rows <= 0 or not tile_across or not tile_down or components != 1:
        raise ValueError("an impossible size")
    # Numbers of tiles, rounded up.
    if -(-columns // tile_across) * -(-rows // tile_down) > _MAX_TILES:
        raise ValueError("too many tiles")
    return rows, columns

"""Changes to picture files that no library makes: more chunks, other numbers of bits, two pictures in one file."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

__all__ = ["four_bits", "replaced", "twice", "with_chunk"]


def with_chunk(path: Path, kind: bytes, content: bytes) -> Path:
    """Insert a chunk before the pixels of a PNG file."""
    data = path.read_bytes()
    start = data.index(b"IDAT") - 4
    chunk = struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    path.write_bytes(data[:start] + chunk + data[start:])
    return path


def four_bits(path: Path) -> Path:
    """Write the 16 greys of a PNG file of 4 bits."""
    greys = np.add.outer(np.arange(40), np.arange(60)) % 16
    rows = b"".join(b"\0" + bytes(row[::2] << 4 | row[1::2]) for row in greys.astype(np.uint8))
    parts = [(b"IHDR", struct.pack(">IIBBBBB", 60, 40, 4, 0, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    chunks = (
        struct.pack(">I", len(part)) + kind + part + struct.pack(">I", zlib.crc32(kind + part)) for kind, part in parts
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    return path


def twice(path: Path) -> Path:
    """Append the file to itself."""
    path.write_bytes(path.read_bytes() * 2)
    return path


def replaced(path: Path, tag: bytes, bits: int) -> Path:
    """Replace the number of bits in a TIFF file."""
    data = path.read_bytes()
    assert tag in data
    path.write_bytes(data.replace(tag, tag[:-4] + struct.pack("<HH", bits, 0)))
    return path

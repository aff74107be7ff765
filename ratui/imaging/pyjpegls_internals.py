"""The decoder of pyjpegls, without the package around it.

`jpeg_ls` offers the same function, but it asks for its own version first and loads the standard library's readers of
packages and e-mails for that, which takes longer than decoding a film. ``tests/imaging/test_plain_dicom.py`` compares what
it decodes with what pydicom does.
"""

from __future__ import annotations

try:
    from _CharLS import decode_from_buffer
except ImportError:  # another version of pyjpegls
    from jpeg_ls import decode_from_buffer

__all__ = ["WRITTEN_FOR", "decode_from_buffer"]

WRITTEN_FOR = "pyjpegls 1.5"

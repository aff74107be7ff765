"""Find damage in a JPEG image that decoders hide: they fill missing parts with one grey and report no error."""

from __future__ import annotations

import os

import numpy as np

__all__ = ["is_jpeg_damaged"]

_LONGEST_MESSAGE = 4096


def is_jpeg_damaged(frame: bytes) -> bool:
    """Return whether the decoder warns of damage in a JPEG image of 8 bits.

    The JPEG library reports such damage in one way only: it prints a line to the standard error output. So that output leads
    into a pipe while the image is decoded. Call this in a process that reads foreign files and has one thread.
    A JPEG image has no checksum: damage that leaves it valid can't be found.
    """
    import cv2  # takes a moment to import: only compressed foreign films need it

    reading, writing = os.pipe()
    kept = os.dup(2)
    try:
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)  # a full pipe must not stop the decoder
        os.dup2(writing, 2)
        try:
            image = cv2.imdecode(np.frombuffer(frame, np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error:
            image = None
        finally:
            os.dup2(kept, 2)
        return image is None or _has_text(reading)
    finally:
        for descriptor in (reading, writing, kept):
            os.close(descriptor)


def _has_text(pipe: int) -> bool:
    try:
        return bool(os.read(pipe, _LONGEST_MESSAGE))
    except BlockingIOError:
        return False

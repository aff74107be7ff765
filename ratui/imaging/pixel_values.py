"""Compare the stored values of a film with the depth and the sign in its header. Pure functions on arrays.

A header may state fewer bits than the values use, another High Bit, or another sign. The values win where the truth is
clear: the compressed image itself states the depth, or one interpretation alone gives an image without jumps. Otherwise the
film is refused with the true cause. No value is reduced without a note.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ratui.imaging.film import Pixels

__all__ = ["AmbiguousPixelsError", "HeaderDepth", "StoredValues", "interpret_decoded", "interpret_native"]

_Values = npt.NDArray[np.int32]
_CLEAR = 2.0  # the jumps of all other interpretations are at least this much larger
_FEWEST_BITS = 6  # of a film, see `check_header`
_MIN_PAIRS = 16  # neighbouring pixels by which interpretations are compared


class AmbiguousPixelsError(ValueError):
    """The values contradict the header, and nothing shows which of the two is right."""


@dataclass(frozen=True)
class HeaderDepth:
    """The elements of a header that describe a stored value (PS3.3 C.7.6.3.1).

    Attributes
    ----------
    allocated, stored
        Bits Allocated and Bits Stored.
    high_bit
        High Bit. It counts for uncompressed pixels only.
    is_signed
        Pixel Representation.
    overlay_bits
        Mask of the bits in which the header says that overlays are stored (Overlay Bit Position, PS3.3 C.9.2).
    """

    allocated: int
    stored: int
    high_bit: int
    is_signed: bool
    overlay_bits: int = 0


@dataclass(frozen=True)
class StoredValues:
    """The stored values of a film.

    Attributes
    ----------
    pixels
        Values, shape (rows, columns), of 8 or 16 bits; unsigned ones of the smallest type for `bits`.
    bits
        Depth of a value.
    note
        Contradiction that was resolved, or empty.
    """

    pixels: Pixels
    bits: int
    note: str = ""


def interpret_native(words: npt.NDArray[Any], header: HeaderDepth) -> StoredValues:
    """Return the values in uncompressed `words`, shape (rows, columns), of an unsigned type of `header.allocated` bits.

    Raises
    ------
    AmbiguousPixelsError
        If the words use bits above the stated ones and nothing shows their meaning.
    """
    wide = words.astype(np.int32)
    stored, allocated, shift = header.stored, header.allocated, header.high_bit + 1 - header.stored
    # An impossible high bit counts as the usual one (PS3.5 section 8.1.1).
    shift = shift if 0 < shift <= allocated - stored else 0
    note = ""
    if shift and int(wide.max()) < 1 << stored and np.ptp(wide & ((1 << shift) - 1)):
        # The bits that the header calls unused are used, and those above them are not.
        note, shift = "its High Bit contradicts its pixels; the pixels were used", 0
    plain = (wide >> shift) & ((1 << stored) - 1)
    stated = _to_signed(plain, stored, header.is_signed)
    above = (wide & ~header.overlay_bits) >> (shift + stored)
    extension = (stated >> 31) & ((1 << (allocated - shift - stored)) - 1)
    if np.ptp(above) and not (header.is_signed and np.array_equal(above, extension)):
        return _use_all_bits(wide, stated, header)
    # Bits without information, overlays (PS3.5 section 8.1.2), or the sign of the value once more.
    if header.is_signed and int(stated.min()) < 0 and _choose([stated, plain]) == 1:
        return StoredValues(_narrow(plain, stored, False), stored, _sign_note(signed=False))
    return StoredValues(_narrow(stated, allocated if header.is_signed else stored, header.is_signed), stored, note)


def _use_all_bits(wide: _Values, stated: _Values, header: HeaderDepth) -> StoredValues:
    """Return values that use more bits than stated, as unsigned or as signed numbers. Raises AmbiguousPixelsError."""
    bits = int(wide.max()).bit_length()
    signed = _to_signed(wide, header.allocated, True)
    chosen = _choose([wide, signed, stated])
    if chosen == 0:
        return StoredValues(_narrow(wide, bits, False), bits, _depth_note(header.stored, bits))
    if chosen == 1:
        return StoredValues(_narrow(signed, header.allocated, True), header.allocated, _sign_note(signed=True))
    # The stated bits may be right and an overlay be in the bits above, but a bright marker looks the same.
    raise AmbiguousPixelsError(f"its pixels use {bits} bits, but its header states {header.stored}")


def interpret_decoded(
    values: npt.NDArray[Any], precision: int, stream_signed: bool | None, header: HeaderDepth
) -> StoredValues:
    """Return the values of a compressed image.

    Parameters
    ----------
    values
        Values as the compressed image states them, shape (rows, columns).
    precision
        Bits of a value in the compressed image.
    stream_signed
        Whether the compressed image states signed values; None if it can't state it, which JPEG 2000 alone can.
    header
        Depth in the header.

    Raises
    ------
    AmbiguousPixelsError
        If the sign in the header contradicts the compressed image, and nothing shows which is right.
    """
    if precision == header.stored and not stream_signed and not header.is_signed:
        return StoredValues(values, precision)  # the usual film
    wide = values.astype(np.int32)
    bits, note = header.stored, ""
    if precision < bits:
        bits = max(precision, _FEWEST_BITS)
        note = _depth_note(header.stored, bits)
    elif precision > bits and not _fits(wide & ~header.overlay_bits, bits, header.is_signed):
        bits, note = precision, _depth_note(bits, precision)
    low_bits = wide & ((1 << bits) - 1)
    stated = _to_signed(low_bits, bits, header.is_signed)
    if stream_signed is None or stream_signed == header.is_signed:
        return StoredValues(_narrow(stated, bits, header.is_signed), bits, note)
    stream = _to_signed(low_bits, bits, stream_signed)
    if np.array_equal(stream, stated):
        return StoredValues(_narrow(stated, bits, header.is_signed), bits, note)
    chosen = _choose([stream, stated])
    if chosen is None:
        kinds = ("signed", "unsigned") if stream_signed else ("unsigned", "signed")
        raise AmbiguousPixelsError(f"its compressed image has {kinds[0]} values, but its header states {kinds[1]} ones")
    if chosen == 0:
        return StoredValues(_narrow(stream, bits, stream_signed), bits, _sign_note(signed=stream_signed))
    return StoredValues(_narrow(stated, bits, header.is_signed), bits, note)


def _fits(values: _Values, bits: int, is_signed: bool) -> bool:
    """Return whether `bits` contain all values; unsigned values may be the two's complement of signed ones."""
    low, high = int(values.min()), int(values.max())
    if not is_signed or low < 0:
        return low >= -(1 << (bits - 1)) and high < 1 << (bits - (low < 0))
    above = np.unique(values >> (bits - 1))
    return high < 1 << bits or (len(above) <= 2 and above[0] == 0 and int(above[-1]) + 1 in (1 << k for k in range(17)))


def _to_signed(values: _Values, bits: int, is_signed: bool) -> _Values:
    """Return `values` of two's complement with `bits` bits as signed numbers."""
    sign = 1 << (bits - 1)
    return (values ^ sign) - sign if is_signed else values


def _narrow(values: _Values, bits: int, is_signed: bool) -> Pixels:
    return values.astype(f"{'i' if is_signed else 'u'}{1 if bits <= 8 else 2}")


def _choose(candidates: Sequence[_Values]) -> int | None:
    """Return the number of the interpretation whose neighbouring pixels differ much less than in all others.

    None if there is no such interpretation. Only neighbours are compared whose difference depends on the interpretation. A
    wrong one has a jump of a power of two wherever the true values cross it.
    """
    steps = [np.abs(np.diff(values, axis=1)) for values in candidates]
    contested = np.zeros(steps[0].shape, bool)
    for each in steps[1:]:
        contested |= each != steps[0]
    if int(contested.sum()) < _MIN_PAIRS:
        return None
    jumps = [float(np.median(each[contested])) for each in steps]
    best = int(np.argmin(jumps))
    others = [number for number, values in enumerate(candidates) if not np.array_equal(values, candidates[best])]
    return best if all(jumps[number] >= _CLEAR * max(jumps[best], 1.0) for number in others) else None


def _depth_note(stated: int, used: int) -> str:
    return f"its header states {stated} bits a pixel, but its pixels have {used}; the pixels were used"


def _sign_note(*, signed: bool) -> str:
    kinds = ("unsigned", "signed") if signed else ("signed", "unsigned")
    return f"its header states {kinds[0]} pixels, but they are {kinds[1]}; the pixels were used"

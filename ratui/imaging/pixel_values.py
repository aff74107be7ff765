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

__all__ = [
    "AmbiguousPixelsError",
    "HeaderDepth",
    "StoredValues",
    "check_layout",
    "interpret_decoded",
    "interpret_native",
    "interpret_stated",
]

_Values = npt.NDArray[np.int32]
_CLEAR = 2.0  # the jumps of all other interpretations are at least this much larger
_CLEAR_BYTES, _CLEAR_LINES = 8.0, 1.15  # as _CLEAR, for the order of bytes, and for lines of another length
_SAMPLED_ROWS, _SAMPLED_WORDS, _MEAN_OF = 64, 20_000, 8
_FEWEST_BITS = 6  # of a film, see `check_header`
_LEAST_HALF, _LEAST_SPREAD = 0.02, 1 / 64  # shares of the pixels, and of the range of values, see `_is_signed`
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


def interpret_stated(values: npt.NDArray[Any], header: HeaderDepth) -> StoredValues:
    """Return the values of a film that ratui wrote, whose header is right: `values` with the stated depth and sign."""
    mask = (1 << header.stored) - 1
    if not header.is_signed and values.dtype in (np.uint8, np.uint16):
        return StoredValues(values & values.dtype.type(mask), header.stored)
    kept = _to_signed(values.astype(np.int32) & mask, header.stored, True)
    return StoredValues(_narrow(kept, 8 * values.dtype.itemsize, header.is_signed), header.stored)


def check_layout(words: npt.NDArray[Any], unused: int = 0) -> None:
    """Raise AmbiguousPixelsError if uncompressed `words`, shape (rows, columns), make an image only in another layout.

    Their length does not show the number of columns, or the order of the two bytes of a word. Their neighbours do.

    Parameters
    ----------
    words
        Values of an unsigned type.
    unused
        Number of words after the picture that are not zero.
    """
    rows, columns = words.shape
    if words.dtype.itemsize == 2:
        part = words[:: max(1, rows // _SAMPLED_ROWS)].astype(np.int32)
        exchanged = part >> 8 | (part & 255) << 8
        if _measure_step(part) > _CLEAR_BYTES * _measure_step(exchanged):
            raise AmbiguousPixelsError("the order of the bytes in its pixels contradicts its header")
    sums = np.cumsum(words.ravel(), dtype=np.int64)
    stated = _measure_line_difference(sums, columns)
    for count in _find_divisors(words.size + unused):
        is_possible = abs(count - columns) < 2 * _MEAN_OF if unused else columns / 5 < count < 5 * columns
        if count == columns or not is_possible:
            continue
        found = _measure_line_difference(sums, count)
        # With words left over, the header is wrong if a layout without them is as smooth. Lines of the right length differ
        # less than those of all similar lengths; in a picture that changes slowly, shorter lines always differ less.
        limit = stated if unused else stated / _CLEAR_LINES
        if found < limit and all(
            found < _measure_line_difference(sums, count + step) / _CLEAR_LINES for step in (-_MEAN_OF, _MEAN_OF)
        ):
            raise AmbiguousPixelsError(f"its header states {columns} columns, but its pixels have {count}")


def _measure_step(words: _Values) -> float:
    """Return the mean difference of neighbours in a line, at least 1."""
    return max(float(np.abs(np.diff(words, axis=1)).mean()), 1.0)


def _measure_line_difference(sums: npt.NDArray[np.int64], columns: int) -> float:
    """Return the mean difference of pixels that are one line of `columns` apart, at least 1.

    `sums` are the sums of all pixels up to each one. Means of some neighbours are compared, because noise never repeats.
    """
    last = len(sums) - columns - _MEAN_OF
    places = np.arange(0, last, max(1, last // _SAMPLED_WORDS))
    here, there = (sums[start + _MEAN_OF] - sums[start] for start in (places, places + columns))
    return max(float(np.abs(there - here).mean()) / _MEAN_OF, 1.0)


def _find_divisors(count: int) -> list[int]:
    """Return the numbers of columns that an image of `count` words can have, with sides from 16."""
    low = [number for number in range(16, int(count**0.5) + 1) if count % number == 0]
    return sorted({*low, *(count // number for number in low)})


def interpret_native(words: npt.NDArray[Any], header: HeaderDepth) -> StoredValues:
    """Return the values in uncompressed `words`, shape (rows, columns), of an unsigned type of `header.allocated` bits.

    Raises
    ------
    AmbiguousPixelsError
        If the words use bits besides the stated ones and nothing shows their meaning.
    """
    stored, shift = header.stored, header.high_bit + 1 - header.stored
    # An impossible high bit counts as the usual one (PS3.5 section 8.1.1).
    shift = shift if 0 < shift <= header.allocated - stored else 0
    wide = words.astype(np.int32) & ~header.overlay_bits
    note = ""
    if np.ptp(wide & ((1 << shift) - 1)):
        if int(wide.max()) >= 1 << stored:
            raise AmbiguousPixelsError("its pixels use bits that its header calls unused")
        note, shift = "its High Bit contradicts its pixels; the pixels were used", 0
    wide >>= shift
    allocated = header.allocated - shift
    plain = wide & ((1 << stored) - 1)
    stated = _to_signed(plain, stored, header.is_signed)
    above = wide >> stored
    extension = (stated >> 31) & ((1 << (allocated - stored)) - 1)
    if np.ptp(above) and not (header.is_signed and np.array_equal(above, extension)):
        return _use_all_bits(wide, stated, allocated, stored)
    # Bits without information, overlays (PS3.5 section 8.1.2), or the sign of the value once more.
    if header.is_signed and int(stated.min()) < 0 and _choose([stated, plain]) == 1:
        return StoredValues(_narrow(plain, stored, False), stored, _sign_note(signed=False))
    if not header.is_signed and _is_signed(plain, stored):
        signed = _narrow(_to_signed(plain, stored, True), header.allocated, True)
        return StoredValues(signed, stored, _sign_note(signed=True))
    kept = header.allocated if header.is_signed else stored
    return StoredValues(_narrow(stated, kept, header.is_signed), stored, note)


def _use_all_bits(wide: _Values, stated: _Values, allocated: int, stored: int) -> StoredValues:
    """Return values that use more than the `stored` bits, as unsigned or signed numbers. Raises AmbiguousPixelsError."""
    bits = int(wide.max()).bit_length()
    signed = _to_signed(wide, allocated, True)
    chosen = _choose([wide, signed, stated])
    if chosen == 0:
        return StoredValues(_narrow(wide, bits, False), bits, _format_depth_note(stored, bits))
    if chosen == 1:
        return StoredValues(_narrow(signed, allocated, True), allocated, _sign_note(signed=True))
    # The stated bits may be right and an overlay be in the bits above, but a bright marker looks the same.
    raise AmbiguousPixelsError(f"its pixels use {bits} bits, but its header states {stored}")


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
        if stream_signed is None and _is_signed(values, precision):
            signed = _to_signed(values.astype(np.int32), precision, True)
            return StoredValues(_narrow(signed, precision, True), precision, _sign_note(signed=True))
        return StoredValues(values, precision)  # the usual film
    wide = values.astype(np.int32)
    bits, note = header.stored, ""
    if precision < bits:
        bits = max(precision, _FEWEST_BITS)
        note = _format_depth_note(header.stored, bits)
    elif precision > bits and not _fits(wide & ~header.overlay_bits, bits, header.is_signed):
        bits, note = precision, _format_depth_note(bits, precision)
    low_bits = wide & ((1 << bits) - 1)
    stated = _to_signed(low_bits, bits, header.is_signed)
    if stream_signed is None and header.is_signed and int(stated.min()) < 0 and _choose([stated, low_bits]) == 1:
        return StoredValues(_narrow(low_bits, bits, False), bits, _sign_note(signed=False))
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


def _is_signed(values: npt.NDArray[Any], bits: int) -> bool:
    """Return whether values that the header calls unsigned are clearly signed numbers of `bits` bits.

    Of some lines first, because this is rare. Black beside white looks like a small negative number beside a small one. So
    saturated pixels do not count, and both halves of the range must be in use, neither of them in a few similar greys only.
    """
    top = (1 << bits) - 1
    sample = values[:: max(1, len(values) // _SAMPLED_ROWS)]
    for half in (sample[sample <= top >> 1], sample[sample > top >> 1]):
        if len(half) < _LEAST_HALF * sample.size:
            return False
        low, high = np.percentile(half, [10.0, 90.0])
        if high - low < top * _LEAST_SPREAD:
            return False
    for part in (sample, values):
        plain = part.astype(np.int32)
        is_saturated = (plain == 0) | (plain == top)
        if _choose([plain, _to_signed(plain, bits, True)], is_saturated) != 1:
            return False
    return True


def _choose(candidates: Sequence[_Values], ignored: npt.NDArray[np.bool_] | None = None) -> int | None:
    """Return the number of the interpretation whose neighbouring pixels differ much less than in all others.

    None if there is no such interpretation. Only neighbours are compared whose difference depends on the interpretation,
    and of which none is `ignored`. A wrong one has a jump of a power of two wherever the true values cross it.
    """
    steps = [np.abs(np.diff(values, axis=1)) for values in candidates]
    contested = np.zeros(steps[0].shape, bool)
    for each in steps[1:]:
        contested |= each != steps[0]
    if ignored is not None:
        contested &= ~(ignored[:, :-1] | ignored[:, 1:])
    if int(contested.sum()) < _MIN_PAIRS:
        return None
    jumps = [float(np.median(each[contested])) for each in steps]
    best = int(np.argmin(jumps))
    others = [number for number, values in enumerate(candidates) if not np.array_equal(values, candidates[best])]
    return best if all(jumps[number] >= _CLEAR * max(jumps[best], 1.0) for number in others) else None


def _format_depth_note(stated: int, used: int) -> str:
    return f"its header states {stated} bits a pixel, but its pixels have {used}; the pixels were used"


def _sign_note(*, signed: bool) -> str:
    kinds = ("unsigned", "signed") if signed else ("signed", "unsigned")
    return f"its header states {kinds[0]} pixels, but they are {kinds[1]}; the pixels were used"

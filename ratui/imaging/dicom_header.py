"""Make a `Film` from pixels and the elements of its header: grey transformations, size of a pixel, notes on errors.

A damaged element is left out, with a note. No value is guessed.
"""

from __future__ import annotations

from collections.abc import MutableSequence, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ratui.errors import clean_text
from ratui.imaging.film import Contrast, Film, LookupTable, Pixels, SpacingSource, Window, WindowFunction
from ratui.imaging.pixel_values import StoredValues

__all__ = ["GREYS", "HeaderElements", "PixelSpacing", "make_film", "parse_number", "read_spacing"]

GREYS = ("MONOCHROME1", "MONOCHROME2")
"""Photometric interpretations of grey pixels."""
_FUNCTIONS: dict[str, WindowFunction] = {"LINEAR": "LINEAR", "LINEAR_EXACT": "LINEAR_EXACT", "SIGMOID": "SIGMOID"}
_SAME = 0.001  # relative difference of spacings that differ by rounding only
_MAX_MAGNIFICATION = 2.0


class HeaderElements(Protocol):
    """The elements of a header by keyword: a dataset of pydicom, or what reads the same values without it."""

    def get(self, keyword: str, default: Any = None, /) -> Any:
        """Return the value of an element, a list if it has several, or `default` if there is none."""
        ...


@dataclass(frozen=True)
class _GreyTransform:
    """Transformations from stored values to grey levels. The attributes are those of `Film`."""

    slope: float
    intercept: float
    modality_table: LookupTable | None
    contrasts: tuple[Contrast, ...]
    padding: tuple[int, int] | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class PixelSpacing:
    """The size of a pixel.

    Attributes
    ----------
    value
        Distance between pixel centres in mm as (row, column), or None.
    source
        Origin of `value`.
    detector
        Spacing at the detector, if the header has it besides `value`.
    magnification
        Factor by which `detector` was divided, or None.
    notes
        Contradictions that were resolved, and elements that were left out.
    """

    value: tuple[float, float] | None = None
    source: SpacingSource = SpacingSource.UNKNOWN
    detector: tuple[float, float] | None = None
    magnification: float | None = None
    notes: tuple[str, ...] = ()


def make_film(
    header: HeaderElements,
    values: StoredValues,
    *,
    notes: Sequence[str] = (),
    lossy: str = "",
    lossy_ratio: float | None = None,
) -> Film:
    """Return the film with the pixels `values` and the spacing and the grey transformations in `header`.

    Parameters
    ----------
    header
        The elements by keyword.
    values
        The stored values.
    notes
        Contradictions between header and pixels that were resolved.
    lossy, lossy_ratio
        See `Film`.
    """
    photometric = header.get("PhotometricInterpretation")
    # Rescaling, windows and tables are defined for grey images only (PS3.3 C.11.1 and C.11.2).
    grey = _read_grey_transform(header if photometric in GREYS else {}, values.pixels, values.bits)
    spacing = read_spacing(header)
    aspect = spacing.value[0] / spacing.value[1] if spacing.value else _read_aspect(header)
    return Film(
        pixels=values.pixels,
        bits_stored=values.bits,
        is_inverted=photometric == "MONOCHROME1",
        slope=grey.slope,
        intercept=grey.intercept,
        modality_table=grey.modality_table,
        contrasts=grey.contrasts,
        spacing=spacing.value,
        aspect=aspect,
        padding=grey.padding,
        notes=(*notes, *filter(None, [values.note, *spacing.notes]), *grey.notes),
        spacing_source=spacing.source,
        detector_spacing=spacing.detector,
        magnification=spacing.magnification,
        lossy=lossy,
        lossy_ratio=lossy_ratio,
    )


def parse_number(value: object, default: float | None = None) -> float | None:
    """Return the first number in a DICOM value, or `default` if it is missing, not a number or not finite."""
    if isinstance(value, MutableSequence):
        value = value[0] if len(value) else None
    try:
        number = float(str(value))
    except ValueError:
        return default
    return number if np.isfinite(number) else default


def read_spacing(dataset: HeaderElements) -> PixelSpacing:
    """Return the size of a pixel in `dataset`. Values that no detector has are left out.

    - Pixel Spacing with a calibration type, or smaller than Imager Pixel Spacing, is calibrated.
    - Imager Pixel Spacing is at the detector, also if Pixel Spacing repeats it. The magnification factor divides it.
    - Nominal Scanned Pixel Spacing is that of a digitised film, also if Pixel Spacing repeats it.
    - Pixel Spacing alone does not say where it was measured.
    """
    notes: list[str] = []
    pixel, imager, scanned = (
        _read_pair(dataset, keyword, notes)
        for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
    )
    is_typed = str(dataset.get("PixelSpacingCalibrationType") or "").strip() in ("GEOMETRY", "FIDUCIAL")
    if pixel and imager and not _is_same(pixel, imager):
        ratios = imager[0] / pixel[0], imager[1] / pixel[1]
        if all(1.0 <= ratio <= _MAX_MAGNIFICATION for ratio in ratios):
            return PixelSpacing(pixel, SpacingSource.CALIBRATED, imager, notes=tuple(notes))
        # No calibration makes a pixel larger than at the detector.
        pixel, is_typed = None, False
        notes.append("its spacings contradict each other; that at the detector was used")
    if pixel and is_typed:
        return PixelSpacing(pixel, SpacingSource.CALIBRATED, imager, notes=tuple(notes))
    if imager:
        factor = _read_magnification(dataset, notes)
        if factor > 1.0:
            value = imager[0] / factor, imager[1] / factor
            return PixelSpacing(value, SpacingSource.MAGNIFICATION, imager, factor, tuple(notes))
        return PixelSpacing(imager, SpacingSource.DETECTOR, notes=tuple(notes))
    if scanned and (pixel is None or _is_same(pixel, scanned)):
        return PixelSpacing(scanned, SpacingSource.SCAN, notes=tuple(notes))
    return PixelSpacing(pixel, SpacingSource.STATED if pixel else SpacingSource.UNKNOWN, notes=tuple(notes))


def _read_magnification(dataset: HeaderElements, notes: list[str]) -> float:
    """Return the magnification factor of a film, 1.0 if the header states none or an impossible one."""
    value = dataset.get("EstimatedRadiographicMagnificationFactor")
    if value in (None, ""):
        return 1.0
    factor = parse_number(value) or 0.0
    if 1.0 <= factor <= _MAX_MAGNIFICATION:
        return factor
    notes.append("its magnification factor is impossible and was left out")
    return 1.0


def _is_same(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return all(abs(a / b - 1.0) <= _SAME for a, b in zip(one, other, strict=True))


def _read_pair(dataset: HeaderElements, keyword: str, notes: list[str]) -> tuple[float, float] | None:
    """Return (row, column) in the value order of PS3.3 10.7.1.3, or None, with a note if the element is damaged."""
    value = dataset.get(keyword)
    if value in (None, "") or (isinstance(value, MutableSequence) and not len(value)):
        return None
    if isinstance(value, MutableSequence) and len(value) == 2:
        row, column = parse_number(value[0]), parse_number(value[1])
        # Values outside this range are no detector's; a zero or a negative one is an error in the file.
        if row and column and 0.01 <= row <= 2 and 0.01 <= column <= 2:
            return row, column
    notes.append(f"its {keyword} is impossible and was left out")
    return None


def _read_aspect(dataset: HeaderElements) -> float:
    """Return the height of a pixel divided by its width, for a film without spacing (PS3.3 C.7.6.3.1.7)."""
    value = dataset.get("PixelAspectRatio")
    if isinstance(value, MutableSequence) and len(value) == 2:
        down, across = parse_number(value[0]), parse_number(value[1])
        if down and across and 0.2 <= down / across <= 5:
            return down / across
    return 1.0


def _read_grey_transform(dataset: HeaderElements, pixels: Pixels, bits: int) -> _GreyTransform:
    """Return the grey transformations in `dataset`. `pixels` are its stored values of `bits` bits; their type is used."""
    notes: list[str] = []
    # 1. Modality LUT Module (PS3.3 C.11.1): a table or a rescaling. A slope of 0 would make every pixel equal.
    slope, intercept = _read_rescaling(dataset, notes)
    signed = pixels.dtype.kind == "i"
    modality = None
    for item in _read_items(dataset, "ModalityLUTSequence")[:1]:
        modality = _read_table(item, dataset, signed, "modality table", notes)
    # 2. VOI LUT Module (PS3.3 C.11.2). Inputs of its tables are signed if rescaling can make them negative (C.11.2.1.1).
    can_be_negative = modality is None and (signed or intercept < 0 or slope < 0)
    tables = [
        table
        for item in _read_items(dataset, "VOILUTSequence")
        if (table := _read_table(item, dataset, can_be_negative, "grey table", notes))
    ]
    # 3. Polarity: Photometric Interpretation (PS3.3 C.7.6.3.1.2) and Presentation LUT Shape (PS3.3 C.8.11.3, DX images).
    shape = str(dataset.get("PresentationLUTShape") or "")
    inverted = dataset.get("PhotometricInterpretation") == "MONOCHROME1"
    if shape in ("IDENTITY", "INVERSE") and (shape == "INVERSE") != inverted:
        # Real films contain a wrong shape, copied from another film. The photometric interpretation is always present.
        notes.append(
            f"it has both {'MONOCHROME1' if inverted else 'MONOCHROME2'} and {shape}, which contradict each other; "
            "the first was used. Invert the film if bone is dark"
        )
    return _GreyTransform(
        slope,
        intercept,
        modality,
        (*tables, *_read_windows(dataset, notes)),
        _read_padding(dataset, pixels, bits, notes),
        tuple(notes),
    )


def _read_rescaling(dataset: HeaderElements, notes: list[str]) -> tuple[float, float]:
    """Return slope and intercept; (1, 0) with a note if one of them is damaged."""
    slope, intercept = (
        parse_number(dataset.get("RescaleSlope", 1.0)),
        parse_number(dataset.get("RescaleIntercept", 0.0)),
    )
    if slope and intercept is not None:
        return slope, intercept
    notes.append("its rescaling is damaged and was left out")
    return 1.0, 0.0


def _read_windows(dataset: HeaderElements, notes: list[str]) -> list[Window]:
    """Return the windows of `dataset` (PS3.3 C.11.2.1.2), without damaged ones."""
    centres, widths = _as_list(dataset.get("WindowCenter")), _as_list(dataset.get("WindowWidth"))
    names = _as_list(dataset.get("WindowCenterWidthExplanation"))
    called = str(dataset.get("VOILUTFunction") or "LINEAR").strip()
    function = _FUNCTIONS.get(called)
    if function is None:
        notes.append("its window function is unknown; LINEAR was used")
        function = "LINEAR"
    if len(centres) != len(widths):
        notes.append(f"it gives {len(centres)} window centres and {len(widths)} widths; only pairs were used")
    windows = []
    for number, pair in enumerate(zip(centres, widths, strict=False)):
        centre, width = parse_number(pair[0]), parse_number(pair[1])
        # A width below 1 is not allowed for LINEAR (C.11.2.1.2.1), a width of 0 or less for no function (C.11.2.1.3).
        min_width = 1.0 if function == "LINEAR" else 0.0
        if centre is None or width is None or width < min_width or width <= 0:
            notes.append(f"its window {number + 1} is damaged and was left out")
            continue
        name = clean_text(names[number], 30) if number < len(names) else ""
        windows.append(Window(centre, width, function, name))
    return windows


def _read_table(item: HeaderElements, dataset: Any, signed: bool, kind: str, notes: list[str]) -> LookupTable | None:
    """Return the lookup table in a sequence `item` (PS3.3 C.11.1.1.1), or None with a note if it is damaged."""
    descriptor, data = _as_list(item.get("LUTDescriptor")), item.get("LUTData")
    try:
        count, first, bits = (int(value) for value in descriptor)
    except (TypeError, ValueError):
        count = first = bits = -1
    count = count or 65_536  # the descriptor has 16 bits, so the standard writes 65,536 as 0
    values = _read_table_entries(data, count, little=dataset.original_encoding[1] is not False) if count > 0 else None
    if values is None or not 1 <= bits <= 16:
        notes.append(f"its {kind} is damaged and was left out")
        return None
    if signed and first > 32_767:
        first -= 65_536  # a signed input, written as an unsigned number
    if int(values.max()) >= 1 << bits:
        notes.append(f"its {kind} has values with more than {bits} bits, the depth that it states")
        bits = int(values.max()).bit_length()
    return LookupTable(
        first, values, bits, clean_text(item.get("LUTExplanation") or item.get("ModalityLUTType") or "", 30)
    )


def _read_table_entries(data: Any, count: int, *, little: bool) -> np.ndarray[Any, np.dtype[np.uint16]] | None:
    """Return the `count` entries of a table, of one or two bytes each, or None if `data` has fewer.

    `data` is bytes (VR OW) or a list of 16-bit words (VR US or SS).
    """
    if isinstance(data, bytes):
        if len(data) >= 2 * count:
            return np.frombuffer(data, "<u2" if little else ">u2", count).astype(np.uint16)
        return np.frombuffer(data, np.uint8, count).astype(np.uint16) if len(data) >= count else None
    numbers = _as_list(data)
    if len(numbers) >= count:
        return np.array([int(number) & 0xFFFF for number in numbers[:count]], np.uint16)
    if 2 * len(numbers) >= count > 1:
        # Entries of one byte, two in a word, the first in the low byte.
        packed = np.array([int(number) & 0xFFFF for number in numbers], "<u2")
        return packed.view(np.uint8)[:count].astype(np.uint16)
    return None


def _read_padding(dataset: HeaderElements, pixels: Pixels, bits: int, notes: list[str]) -> tuple[int, int] | None:
    """Return the range of stored values without an image (PS3.3 C.7.5.1.1.2), or None.

    Its element is signed if the header calls the pixels signed. Their values may be otherwise.
    """
    low = parse_number(dataset.get("PixelPaddingValue"))
    if low is None:
        return None
    high = parse_number(dataset.get("PixelPaddingRangeLimit"), low)
    signed = pixels.dtype.kind == "i"
    ends = [int(value) for value in (low, low if high is None else high)]
    ends = [
        end - 65_536 if signed and end > 32_767 else end % (1 << bits) if not signed and end < 0 else end
        for end in ends
    ]
    if not all(-32_768 <= end <= 65_535 for end in ends):
        notes.append("its padding value is damaged and was left out")
        return None
    return min(ends), max(ends)


def _read_items(dataset: HeaderElements, keyword: str) -> list[Any]:
    return list(dataset.get(keyword) or [])


def _as_list(value: object) -> list[Any]:
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, (MutableSequence, tuple)) else [value]

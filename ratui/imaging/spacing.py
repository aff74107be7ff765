"""The size of a pixel in millimetres, and the plane in which it was measured.

A detector measures its own pixels. The hand is nearer to the tube, so that a pixel shows a smaller part of it.
The kinds of spacing are those of PS3.3 section 10.7.1.3.
"""

from __future__ import annotations

from collections.abc import MutableSequence
from dataclasses import dataclass

from ratui.imaging.dicom_header import HeaderElements, parse_number
from ratui.imaging.film import SpacingSource

__all__ = ["PixelSpacing", "read_spacing"]

_SAME = 0.001  # relative difference of spacings that differ by rounding only
_MAX_MAGNIFICATION = 2.0


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

"""Make a `Film` from decoded pixels and the elements of its header, independent of the reader that decoded them."""

from __future__ import annotations

from collections.abc import Sequence

from ratui.imaging.dicom_header import HeaderElements, read_aspect, read_grey_transform
from ratui.imaging.film import Film
from ratui.imaging.pixel_values import StoredValues
from ratui.imaging.spacing import read_spacing

__all__ = ["GREYS", "make_film"]

GREYS = ("MONOCHROME1", "MONOCHROME2")
"""Photometric interpretations of grey pixels."""


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
    grey = read_grey_transform(header if photometric in GREYS else {}, values.pixels, values.bits)
    spacing = read_spacing(header)
    aspect = spacing.value[0] / spacing.value[1] if spacing.value else read_aspect(header)
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

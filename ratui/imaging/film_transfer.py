"""Send a film from one process to another: a short head for JSON, and the numbers of pixels and tables as bytes.

The process that decodes foreign files may be under the control of such a file. So the receiver checks every value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ratui.errors import clean_text
from ratui.imaging.film import MAX_SIDE, Contrast, Film, LookupTable, SpacingSource, Window

__all__ = ["pack_film", "unpack_film"]

_TYPES = ("uint8", "uint16", "int8", "int16")
_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
_MOST_CONTRASTS, _MOST_NOTES = 64, 64


def pack_film(film: Film) -> tuple[dict[str, Any], bytes]:
    """Return the head of `film`, which JSON can represent, and the bytes of its pixels and tables."""
    tables: list[LookupTable] = []

    def describe(contrast: Contrast) -> dict[str, Any]:
        if isinstance(contrast, Window):
            return {
                "centre": contrast.centre,
                "width": contrast.width,
                "function": contrast.function,
                "name": clean_text(contrast.name, 30),
            }
        tables.append(contrast)
        return {
            "first": contrast.first,
            "count": len(contrast.values),
            "bits": contrast.bits,
            "name": clean_text(contrast.name, 30),
        }

    head = {
        "type": film.pixels.dtype.name,
        "shape": list(film.pixels.shape),
        "bits_stored": film.bits_stored,
        "is_inverted": film.is_inverted,
        "slope": film.slope,
        "intercept": film.intercept,
        "modality": describe(film.modality_table) if film.modality_table else None,
        "contrasts": [describe(contrast) for contrast in film.contrasts[:_MOST_CONTRASTS]],
        "spacing": film.spacing,
        "aspect": film.aspect,
        "padding": film.padding,
        "notes": [clean_text(note, 200) for note in film.notes[:_MOST_NOTES]],
        "spacing_source": film.spacing_source,
        "detector_spacing": film.detector_spacing,
        "magnification": film.magnification,
    }
    parts = [np.ascontiguousarray(film.pixels).tobytes(), *(table.values.astype("<u2").tobytes() for table in tables)]
    return head, b"".join(parts)


def unpack_film(head: Mapping[str, Any], data: bytes) -> Film:
    """Return the film that `pack_film` described. Raises ValueError, KeyError or TypeError if that is not one."""
    offset = 0

    def take(kind: str, count: int) -> np.ndarray[Any, np.dtype[Any]]:
        nonlocal offset
        values = np.frombuffer(data, kind, count, offset)  # raises ValueError if there are fewer bytes
        offset += values.nbytes
        return values

    def make_table(raw: Mapping[str, Any]) -> LookupTable:
        first, count, bits = int(raw["first"]), int(raw["count"]), int(raw["bits"])
        if not (1 <= count <= 65_536 and 1 <= bits <= 16 and -32_768 <= first <= 65_535):
            raise ValueError("not a table")
        return LookupTable(first, take("<u2", count).astype(np.uint16), bits, clean_text(raw["name"], 30))

    def make_window(raw: Mapping[str, Any]) -> Window:
        if raw["function"] not in _FUNCTIONS or _number(raw["width"]) <= 0:
            raise ValueError("not a window")
        return Window(_number(raw["centre"]), _number(raw["width"]), raw["function"], clean_text(raw["name"], 30))

    rows, columns = (int(side) for side in head["shape"])
    if head["type"] not in _TYPES or not (1 <= rows <= MAX_SIDE and 1 <= columns <= MAX_SIDE):
        raise ValueError("not an image")
    pixels = take(head["type"], rows * columns).reshape(rows, columns)
    if not 1 <= int(head["bits_stored"]) <= 8 * pixels.dtype.itemsize:
        raise ValueError("not a depth")
    modality = make_table(head["modality"]) if head["modality"] else None
    contrasts = tuple(
        make_window(raw) if "width" in raw else make_table(raw) for raw in head["contrasts"][:_MOST_CONTRASTS]
    )
    if offset != len(data):
        raise ValueError("more bytes than the film has")
    padding = head["padding"]
    return Film(
        pixels=pixels,
        bits_stored=int(head["bits_stored"]),
        is_inverted=head["is_inverted"] is True,
        slope=_number(head["slope"]),
        intercept=_number(head["intercept"]),
        modality_table=modality,
        contrasts=contrasts,
        spacing=_pair(head["spacing"]),
        aspect=_number(head["aspect"]),
        padding=(int(padding[0]), int(padding[1])) if padding else None,
        notes=tuple(clean_text(note, 200) for note in head["notes"][:_MOST_NOTES]),
        spacing_source=SpacingSource(head["spacing_source"]),
        detector_spacing=_pair(head["detector_spacing"]),
        magnification=None if head["magnification"] is None else _number(head["magnification"]),
    )


def _pair(value: Any) -> tuple[float, float] | None:
    return (_number(value[0]), _number(value[1])) if value else None


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("not a finite number")
    return number

"""Rewrite lookup tables of foreign films, so that their entries contain a curve and no text.

A table is a list of up to 65,536 free numbers, in which a text can be written. A curve of greys needs much less: it rises or
falls everywhere, and a table for the display needs 256 levels. What a table contains beyond that is removed here.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ratui.imaging import Contrast, Film, LookupTable

__all__ = ["rewrite_tables"]

_MOST_TABLES, _MOST_WINDOWS = 8, 16
_SEGMENT = 8  # entries of a modality table between two that are kept exactly
# The letters of a text differ by less than this from their mean. A text can be in the low bytes of a rising table.
_LETTER_RANGE = 64


def rewrite_tables(film: Film) -> Film:
    """Return `film` with tables that contain a curve only, and with a note about each table that was left out.

    - A table that both rises and falls is left out.
    - A VOI table gets the 256 levels that a display has. The displayed greys do not change.
    - A modality table with more than 512 levels becomes straight between every eighth entry, where this changes it by less
      than 64 units. Smooth tables change by a rounding error.

    A second application changes nothing.
    """
    notes = list(film.notes)
    modality = film.modality_table
    if modality is not None:
        modality = replace(modality, values=_straighten(modality.values)) if _is_monotone(modality.values) else None
        if modality is None:
            notes.append("its modality table both rises and falls, and was left out")
    tables: list[Contrast] = []
    for contrast in film.contrasts:
        if isinstance(contrast, LookupTable):
            if _is_monotone(contrast.values):
                tables.append(replace(contrast, values=_reduce_to_display_levels(contrast)))
            else:
                notes.append("its grey table both rises and falls, and was left out")
    windows = [contrast for contrast in film.contrasts if not isinstance(contrast, LookupTable)]
    contrasts = (*tables[:_MOST_TABLES], *windows[:_MOST_WINDOWS])
    return replace(film, modality_table=modality, contrasts=contrasts, notes=tuple(notes), _cache={})


def _is_monotone(values: npt.NDArray[np.uint16]) -> bool:
    steps = np.diff(values.astype(np.int32))
    return bool((steps >= 0).all() or (steps <= 0).all())


def _reduce_to_display_levels(table: LookupTable) -> npt.NDArray[np.uint16]:
    white = (1 << table.bits) - 1
    levels = np.rint(table.values.astype(np.float64) * (255.0 / white))
    return np.rint(levels * (white / 255.0)).astype(np.uint16)


def _straighten(values: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    count = len(values)
    exact = values.astype(np.int64)
    if np.ptp(exact) < 2 * 256:  # too few levels for letters in the low bytes
        return values
    knots = np.unique(np.append(np.arange(0, count, _SEGMENT), count - 1))
    straight = np.rint(np.interp(np.arange(count), knots, exact[knots])).astype(np.int64)
    differs = np.abs(straight - exact) >= _LETTER_RANGE
    bent = np.zeros(len(knots), bool)
    bent[np.searchsorted(knots, np.flatnonzero(differs), side="right") - 1] = True
    keep = bent[np.searchsorted(knots, np.arange(count), side="right") - 1]
    return np.where(keep, exact, straight).astype(np.uint16)

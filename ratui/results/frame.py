"""Released readings as a pandas data frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ratui.results.export.long_table import build_long_table
from ratui.results.export.signed_readings import ExportSource
from ratui.results.optional_dependencies import require
from ratui.results.released import collect_released_readings
from ratui.study import Study

if TYPE_CHECKING:
    import pandas

__all__ = ["build_frame"]

_PANDAS_TYPES = {"text": "string", "id": "string", "integer": "Int64", "number": "Float64"}
"""Nullable types: a missing score stays missing and does not turn integers into floats."""


def build_frame(
    study: Study, raters: Sequence[str] = (), *, interim: bool = False, exclude_coarse: bool = False
) -> pandas.DataFrame:
    """Return the released readings of `study`, one row per field.

    Parameters
    ----------
    study
        The study to read.
    raters
        IDs of the raters to include; all raters if empty.
    interim
        Include every signed reading, also of cases that some rater has not signed. Only for managers.
    exclude_coarse
        Leave out the entries that were made while the films were displayed too coarsely to judge erosions.

    Returns
    -------
    pandas.DataFrame
        Columns as in the export ``scores.csv``: case, reader, kind, time, day, film, site, side, joint, part, scale,
        entry, grade, finding, reason, score, maximum, protocol, pixels_per_mm, coarse, greys, seconds, acknowledged,
        terminal_columns, terminal_rows, cell_width, cell_height, late_change.

    Raises
    ------
    StudyError
        If a rater is unknown, if `interim` is not allowed, or if pandas is not installed.
    """
    pandas = require("pandas", "Study.to_frame")
    released = collect_released_readings(study, raters, interim=interim, exclude_coarse=exclude_coarse)
    table = build_long_table(ExportSource(study, released))
    frame = pandas.DataFrame(list(table.rows), columns=[column.name for column in table.columns])
    return frame.astype({column.name: _PANDAS_TYPES[column.kind] for column in table.columns})

"""Tables with a description of each column, written as CSV and Parquet, and the data dictionary of their columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from ratui.results.optional_dependencies import require
from ratui.results.text_table import protect_id, protect_text

__all__ = [
    "LATE_CHANGE",
    "Column",
    "Kind",
    "Table",
    "make_data_dictionary",
    "relink_table",
    "table_to_csv",
    "table_to_parquet",
]

Kind: TypeAlias = Literal["text", "integer", "number", "id"]
"""Type of a column. An ``id`` is a text that programs may take for something else, such as ``007``, ``1e5`` or ``NA``."""

_BATCH = 10_000
"""Number of rows that are written at once; more would take memory for a second copy of the table."""


@dataclass(frozen=True)
class Column:
    """A column of a table; `values` lists the possible values if they are few."""

    name: str
    kind: Kind
    meaning: str
    values: str = ""


LATE_CHANGE = Column(
    "late_change",
    "text",
    "reading: a reading of this result was opened again after all raters of the case had signed, when its rater could know "
    "the others' scores; consensus: the consensus is older than such a change; empty for none",
    "reading, consensus",
)


@dataclass(frozen=True)
class Table:
    """A table; `rows` have values in the order of `columns`, None for a missing value. `about` describes one row."""

    name: str
    about: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]


def table_to_csv(table: Table) -> str:
    """Return `table` as CSV with a header line (RFC 4180, so lines end in CR LF); missing values are empty.

    IDs are written by `protect_id`, all other texts by `protect_text`.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow([column.name for column in table.columns])
    for start in range(0, len(table.rows), _BATCH):
        by_column = zip(*table.rows[start : start + _BATCH], strict=True)
        cells = [_protect(column, each) for column, each in zip(table.columns, by_column, strict=True)]
        writer.writerows(zip(*cells, strict=True))
    return buffer.getvalue()


def _protect(column: Column, cells: Sequence[Any]) -> Sequence[Any]:
    """Return cells of `column` as `table_to_csv` and `table_to_parquet` write them."""
    # A column of a large table has few different texts, so each of them is looked at once.
    texts = {cell for cell in cells if isinstance(cell, str)}
    protect = protect_id if column.kind == "id" else protect_text
    changed = {text: written for text in texts if (written := protect(text)) != text}
    return [changed.get(cell, cell) for cell in cells] if changed else cells


def table_to_parquet(table: Table) -> bytes:
    """Return `table` as typed Parquet with column descriptions; raise StudyError if pyarrow is not installed.

    Texts and IDs are those of `table_to_csv`, so that a Parquet table can be joined with a CSV table.
    """
    arrow, parquet = require("pyarrow", "Parquet"), require("pyarrow.parquet", "Parquet")
    kinds = {"text": arrow.string(), "id": arrow.string(), "integer": arrow.int32(), "number": arrow.float64()}
    fields = [
        arrow.field(column.name, kinds[column.kind], metadata={"meaning": column.meaning}) for column in table.columns
    ]
    arrays = [
        arrow.array(_protect(column, [row[place] for row in table.rows]), type=kinds[column.kind])
        for place, column in enumerate(table.columns)
    ]
    buffer = io.BytesIO()
    schema = arrow.schema(fields, metadata={"about": table.about})
    parquet.write_table(arrow.table(arrays, schema=schema), buffer)
    return buffer.getvalue()


def relink_table(table: Table, study: str, subjects: Mapping[str, str]) -> Table:
    """Return `table` with the subject of each case: in a column of its own, or in SUBJID and USUBJID.

    Parameters
    ----------
    table
        A table with the column ``case``, or with the columns of CDISC. Other tables stay as they are.
    study
        ID of the study, with which USUBJID begins.
    subjects
        ID of the subject of each case. Other cases have no subject, and in the columns of CDISC keep their pseudonym.
    """
    names = [column.name for column in table.columns]
    if not {"case", "USUBJID"} & set(names):  # a table of raters
        return table
    if "case" in names:
        place = names.index("case")
        columns = [*table.columns]
        columns.insert(
            place + 1, Column("subject", "text", "ID of the subject, by the key file; empty if it lacks the case")
        )
        rows = [[*row[: place + 1], subjects.get(row[place]), *row[place + 1 :]] for row in table.rows]
        return replace(table, columns=columns, rows=rows)
    changed = []
    for row in table.rows:
        cells = dict(zip(names, row, strict=True))
        subject = subjects.get(cells["USUBJID"].removeprefix(f"{study}-"))
        if subject is not None:
            cells |= {"USUBJID": f"{study}-{subject}"} | ({"SUBJID": subject} if "SUBJID" in names else {})
        changed.append(list(cells.values()))
    return replace(table, rows=changed)


def make_data_dictionary(tables: Sequence[Table]) -> Table:
    """Return a table with the name, type and meaning of each column of `tables`."""
    columns = (
        Column("table", "text", "the table"),
        Column("column", "text", "the column"),
        Column("kind", "text", "type of its values", "text, integer, number"),
        Column("meaning", "text", "meaning of the column"),
        Column("values", "text", "possible values, if they are few"),
    )
    note = "; with an underscore in front if a spreadsheet would take it for a number, a date or a missing value"
    rows = [
        (table.name, c.name, "text", c.meaning + note, c.values)
        if c.kind == "id"
        else (table.name, c.name, c.kind, c.meaning, c.values)
        for table in tables
        for c in table.columns
    ]
    return Table("dictionary", "one column of a table", columns, rows)

"""Tables with the meaning of each column: written as CSV and Parquet, and with the data dictionary that explains them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ratui.results.optional_dependencies import require

__all__ = ["Column", "Kind", "Table", "data_dictionary", "table_to_csv", "table_to_parquet"]

Kind: TypeAlias = Literal["text", "integer", "number"]


@dataclass(frozen=True)
class Column:
    """One column: its name, kind, and meaning; `values` are those it may hold, where they are few."""

    name: str
    kind: Kind
    meaning: str
    values: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of values in the order of `columns`; None where there is none. `about` says what one row is."""

    name: str
    about: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]


def table_to_csv(table: Table) -> str:
    """`table` with a line of names; empty where there is no value, lines ended as RFC 4180 has it."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow([column.name for column in table.columns])
    writer.writerows(table.rows)
    return buffer.getvalue()


def table_to_parquet(table: Table) -> bytes:
    """`table` as Parquet, typed, each column with its meaning. Raises StudyError where pyarrow is missing."""
    arrow, parquet = require("pyarrow", "Parquet"), require("pyarrow.parquet", "Parquet")
    kinds = {"text": arrow.string(), "integer": arrow.int32(), "number": arrow.float64()}
    fields = [
        arrow.field(column.name, kinds[column.kind], metadata={"meaning": column.meaning}) for column in table.columns
    ]
    arrays = [
        arrow.array([row[place] for row in table.rows], type=kinds[column.kind])
        for place, column in enumerate(table.columns)
    ]
    buffer = io.BytesIO()
    schema = arrow.schema(fields, metadata={"about": table.about})
    parquet.write_table(arrow.table(arrays, schema=schema), buffer)
    return buffer.getvalue()


def data_dictionary(tables: Sequence[Table]) -> Table:
    """The data dictionary of `tables`, itself a table."""
    columns = (
        Column("table", "text", "the table"),
        Column("column", "text", "its column"),
        Column("kind", "text", "what it holds", "text, integer, number"),
        Column("meaning", "text", "what it means"),
        Column("values", "text", "what it may hold, where that is a short list"),
    )
    rows = [(table.name, c.name, c.kind, c.meaning, c.values) for table in tables for c in table.columns]
    return Table("dictionary", "one column of a table", columns, rows)

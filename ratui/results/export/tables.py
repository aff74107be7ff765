"""Tables with a description of each column, written as CSV and Parquet, and the data dictionary of their columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from ratui.results.optional_dependencies import require

__all__ = ["Column", "Kind", "Table", "data_dictionary", "relink_table", "table_to_csv", "table_to_parquet"]

Kind: TypeAlias = Literal["text", "integer", "number"]


@dataclass(frozen=True)
class Column:
    """A column of a table; `values` lists the possible values if they are few."""

    name: str
    kind: Kind
    meaning: str
    values: str = ""


@dataclass(frozen=True)
class Table:
    """A table; `rows` have values in the order of `columns`, None for a missing value. `about` describes one row."""

    name: str
    about: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]


def table_to_csv(table: Table) -> str:
    """Return `table` as CSV with a header line (RFC 4180, so lines end in CR LF); missing values are empty."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow([column.name for column in table.columns])
    writer.writerows(table.rows)
    return buffer.getvalue()


def table_to_parquet(table: Table) -> bytes:
    """Return `table` as typed Parquet with column descriptions; raise StudyError if pyarrow is not installed."""
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


def relink_table(table: Table, study: str, subjects: Mapping[str, str]) -> Table:
    """Return `table` with the subject of each case: in a column of its own, or in SUBJID and USUBJID.

    Parameters
    ----------
    table
        A table with the column ``case``, or with the columns of CDISC.
    study
        ID of the study, with which USUBJID begins.
    subjects
        ID of the subject of each case. Other cases have no subject, and in the columns of CDISC keep their pseudonym.
    """
    names = [column.name for column in table.columns]
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


def data_dictionary(tables: Sequence[Table]) -> Table:
    """Return a table with the name, type and meaning of each column of `tables`."""
    columns = (
        Column("table", "text", "the table"),
        Column("column", "text", "the column"),
        Column("kind", "text", "type of its values", "text, integer, number"),
        Column("meaning", "text", "meaning of the column"),
        Column("values", "text", "possible values, if they are few"),
    )
    rows = [(table.name, c.name, c.kind, c.meaning, c.values) for table in tables for c in table.columns]
    return Table("dictionary", "one column of a table", columns, rows)

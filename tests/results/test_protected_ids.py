"""IDs in tables for spreadsheets and pandas: a name that looks like something else stays a name."""

from __future__ import annotations

import csv
import io

import pytest

from ratui.cli.output import to_csv
from ratui.results.export.tables import Column, Table, protect_id, table_to_csv


@pytest.mark.parametrize("name", ["NA", "007", "1e5", "nan", "TRUE", "12e456789012", "1.5", "-inf", "null"])
def test_an_id_that_looks_like_something_else_survives_pandas_and_spreadsheets(name: str) -> None:
    pandas = pytest.importorskip("pandas", reason="pip install 'ratui[results]'")
    written = table_to_csv(
        Table("t", "a row", (Column("reader", "id", "a rater"), Column("n", "integer", "one")), [(name, 1)])
    )
    assert pandas.read_csv(io.StringIO(written))["reader"].tolist() == [f"_{name}"]


def test_ids_that_are_dates_or_formulas_in_a_spreadsheet_are_protected_and_others_are_not() -> None:
    names = ("MAR1", "1-2", "3 Oct", "=1+1", "@a", "_007", "anna", "R2", "e9", "nana", "march", "5877cc2776af", "")
    assert [name for name in names if protect_id(name) != name] == ["MAR1", "1-2", "3 Oct", "=1+1", "@a", "_007"]


def test_no_spreadsheet_runs_a_text() -> None:
    texts = [
        '=HYPERLINK("x")',
        "+cmd|calc",
        "-2+3",
        "@sum",
        "\tx",
        "-1.5",
        "+2e-3",
        "- none",
        "year 1",
        "a=b",
        -3,
        None,
    ]
    read = list(csv.reader(io.StringIO(to_csv(["name"], [[each] for each in texts]))))[1:]
    expected = ['_=HYPERLINK("x")', "_+cmd|calc", "_-2+3", "_@sum", "_\tx", "-1.5", "+2e-3", "_- none", "year 1", "a=b"]
    assert [cell for row in read for cell in row] == [*expected, "-3", ""]
    table = Table("t", "a row", (Column("visit", "text", "a name"),), [(each,) for each in texts[:4]])
    assert [row[0] for row in list(csv.reader(io.StringIO(table_to_csv(table))))[1:]] == expected[:4]

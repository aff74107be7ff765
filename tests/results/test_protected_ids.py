"""IDs in tables for spreadsheets and pandas: a name that looks like something else stays a name."""

from __future__ import annotations

import csv
import io
import itertools
import secrets
from pathlib import Path

import pytest

from ratui.cli.output import to_csv
from ratui.results.export import export
from ratui.results.export.tables import Column, Table, table_to_csv
from ratui.results.released import collect_released_readings
from ratui.results.text_table import protect_id
from ratui.results.totals import get_rule
from ratui.study import InProcessConverter, Study, import_films
from ratui.study.campaign.charter_changes import set_charter
from ratui.study.campaign.repeats import draw_repeats, load_repeats
from tests.films import confirm_template, hospital
from tests.support.commands import run_in_this_process
from tests.tui.readings import store_reading


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


def test_ids_of_digits_are_the_same_in_every_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pandas = pytest.importorskip("pandas", reason="pip install 'ratui[results]'")
    pytest.importorskip("pyarrow", reason="pip install 'ratui[results]'")
    rater, numbers = "007", itertools.count(1)
    monkeypatch.setattr(secrets, "token_hex", lambda count: f"{next(numbers):0{2 * count}}")
    study = Study.create(tmp_path / "study", "fingers", (rater,))
    set_charter(study, {"visits": ["NA", "1-2"]}, "names that look like something else")
    films = hospital(tmp_path / "hospital", 3, "L")
    import_films(study, [films], key=tmp_path / "key.json", converter=InProcessConverter())
    draw_repeats(study, 0.33)
    for case in study.cases():
        confirm_template(study, case, rater)
        store_reading(study, case, rater=rater, signed=True)
    films_of = {case: {film.id for film in study.case(case).films} for case in study.cases()}
    numbered = {rater, study.config.id}.union(*films_of.values())
    assert all(each.isdigit() for each in numbered)
    ids = numbered | {"NA", "1-2"}
    tables = tmp_path / "tables"
    export(
        study,
        collect_released_readings(study),
        tables,
        ("csv", "parquet", "mk", "adam"),
        get_rule("carried"),
        with_notes=True,
    )
    for name in ("status", "quality", "audit"):
        option = "--queries" if name == "quality" else "--csv"
        assert run_in_this_process(name, study.path, option, tables / f"{name}.csv").returncode == 0
    found: set[str] = set()
    for file in sorted(tables.glob("*.csv")):
        plain = pandas.read_csv(file, keep_default_na=False, dtype=str)
        cells = set(plain.to_numpy().ravel())
        assert not cells & ids, file.name
        found |= {each for each in ids if f"_{each}" in cells}
        if file.with_suffix(".parquet").exists():
            typed = pandas.read_parquet(file.with_suffix(".parquet"))
            for column in typed.select_dtypes(exclude="number"):
                assert typed[column].fillna("").tolist() == plain[column].tolist(), f"{file.name} {column}"
    (repeat,) = load_repeats(study)
    assert found >= ids - films_of[repeat]

"""The agreement of a rater with themselves: values against formulas, and against a study with known differences."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from ratui.reading import Field, GradeEntry, NotAssessableEntry
from ratui.results.agreement import measure_agreement
from ratui.results.agreement_tables import make_agreement_tables
from ratui.results.export.repeats_table import build_repeats_table
from ratui.results.export.signed_readings import ExportSource
from ratui.results.plots import list_plots
from ratui.results.released import collect_released_readings
from ratui.results.repeatability import draw_control_chart
from ratui.study import Study
from ratui.study.campaign.repeats import draw_repeats, load_repeats
from tests.films import make_study
from tests.support.commands import run_in_this_process
from tests.tui.readings import store_reading

_START = datetime(2027, 1, 10, tzinfo=UTC)


def _chart(values: list[float], order: list[int] | None = None):  # type: ignore[no-untyped-def]
    days = order or list(range(len(values)))
    return draw_control_chart([f"C-{day:02}" for day in days], [_START + timedelta(days=day) for day in days], values)


def test_limits_are_three_deviations_from_the_moving_range() -> None:
    values = [1.0, -2.0, 0.5, 3.0, -1.0, 0.0, 2.0, -1.5]
    chart = _chart(values)
    half = 3 * np.mean([abs(b - a) for a, b in pairwise(values)]) / 1.128
    assert chart.centre == pytest.approx(np.mean(values))
    assert (chart.lower, chart.upper) == pytest.approx((chart.centre - half, chart.centre + half))
    assert not chart.outside
    assert not chart.runs


def test_values_are_in_order_of_time() -> None:
    chart = _chart([5.0, 1.0, 3.0], [2, 0, 1])
    assert chart.cases == ("C-00", "C-01", "C-02")
    assert chart.differences == (1.0, 3.0, 5.0)


def test_a_sudden_value_is_outside_and_a_shift_is_a_run() -> None:
    calm = [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0]
    assert _chart([*calm, 12.0]).outside == ("C-10",)
    shifted = _chart([-1.0, -1.5, -1.0, -1.5, -1.0, -1.5, -1.0, -1.5, 1.0, 1.5, 1.0, 1.5, 1.0, 1.5, 1.0])
    assert shifted.runs == ("C-07",), "seven values above the mean are no run"


@pytest.mark.parametrize("values", [[], [2.0], [0.0, 9.0], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 9.0]])
def test_fewer_than_eight_repeats_have_no_limits(values: list[float]) -> None:
    chart = _chart(values)
    assert np.isnan([chart.lower, chart.upper]).all()
    assert np.isnan(chart.centre) == (len(values) < 2)
    assert not chart.has_limits
    assert not chart.outside


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Return a study of four repeated patients: bert's second readings differ from his first ones, anna's do not."""
    study = make_study(tmp_path, patients=4, sides="L")
    draw_repeats(study, 1.0)
    originals = sorted({each.original for each in load_repeats(study).values()})
    for number, case in enumerate(originals):
        (repeat,) = (each.case for each in load_repeats(study).values() if each.original == case)
        first = {Field("L.MCP2", "ERO", 1): GradeEntry(number)}
        second = {Field("L.MCP2", "ERO", 1): GradeEntry(min(number + number % 2 + 1, 5))}
        for name, answers in ((case, first), (repeat, first)):
            store_reading(study, name, answers, rater="anna", signed=True)
        for name, answers in ((case, first), (repeat, second)):
            store_reading(study, name, answers, rater="bert", signed=True)
    return study


def test_a_rater_is_compared_with_themselves(study: Study) -> None:
    agreement, scores = measure_agreement(study, collect_released_readings(study))
    assert agreement.kept_back == 0
    found = {(each.rater, each.scale, each.quantity): each for each in agreement.repeats}
    anna, bert = (found[rater, "total", "change"] for rater in ("anna", "bert"))
    differences = np.array([1.0, 2.0, 1.0, 2.0])
    assert anna.patients == bert.patients == 4
    assert anna.bias.value == 0.0
    assert anna.icc.value == pytest.approx(1.0)
    assert anna.detectable.value == 0.0
    assert bert.bias.value == pytest.approx(differences.mean())
    assert bert.detectable.value == pytest.approx(1.959964 * differences.std(ddof=1) / np.sqrt(2), rel=1e-5)
    assert bert.chart is not None
    assert sorted(bert.chart.differences) == [1.0, 1.0, 2.0, 2.0]
    assert found["bert", "total", "earlier"].bias.value == 0.0
    assert found["bert", "JSN", "change"].bias.value == 0.0
    tables = {table.title: table for table in make_agreement_tables(agreement)}
    assert tables["Drift of each rater"].rows[0][3:] == ["too few repeats", "–", "–", "–"]
    titles = [*tables]
    assert titles[-3:-1] == ["Each rater with themselves", "Drift of each rater"]
    assert list_plots(agreement, scores)["control-chart"]() is not None


def test_the_export_says_what_counts(study: Study) -> None:
    """A replaced joint has no score, but counts as the maximum if the charter says so."""
    study.config = replace(study.config, charter=replace(study.config.charter, surgery="maximum"))
    released = collect_released_readings(study)
    case, raters = next(iter(released.repeats.items()))
    field = Field("L.MCP3", "ERO", 1)
    second = replace(raters["anna"], values={**raters["anna"].values, field: NotAssessableEntry("replaced")})
    released = replace(released, repeats={case: {"anna": second}})
    table = build_repeats_table(ExportSource(study, released))
    names = [column.name for column in table.columns]
    (row,) = (
        dict(zip(names, row, strict=True)) for row in table.rows if row[names.index("site")] == "L.MCP3"
        if (row[names.index("scale")], row[names.index("time")]) == ("ERO", 1)
    )  # fmt: skip
    assert [row[name] for name in ("first_score", "second_score", "first_counted", "second_counted")] == [0, None, 0, 5]


def test_the_export_contains_both_scores_of_each_repeated_field(study: Study, tmp_path: Path) -> None:
    done = run_in_this_process("export", study.path, tmp_path / "out", "--format", "csv")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "out" / "repeats.csv").open() as file:
        rows = list(csv.DictReader(file))
    for rater, differences in (("anna", [0, 0, 0, 0]), ("bert", [1, 1, 2, 2])):
        own = [
            row
            for row in rows
            if (row["reader"], row["site"], row["scale"], row["time"]) == (rater, "L.MCP2", "ERO", "1")
        ]
        assert sorted(int(row["second_score"]) - int(row["first_score"]) for row in own) == differences
        assert sorted(row["order"] for row in own) == ["1", "2", "3", "4"]
        assert {row["case"] for row in own} == {repeat.original for repeat in load_repeats(study).values()}
    assert "repeats,first_score," in (tmp_path / "out" / "dictionary.csv").read_text()


def test_without_repeats_there_is_no_table(tmp_path: Path) -> None:
    study = make_study(tmp_path, patients=4, sides="L")
    for case in study.cases():
        for rater in ("anna", "bert"):
            store_reading(study, case, rater=rater, signed=True)
    agreement, scores = measure_agreement(study, collect_released_readings(study))
    assert agreement.repeats == ()
    assert "Each rater with themselves" not in [table.title for table in make_agreement_tables(agreement)]
    assert "control-chart" not in list_plots(agreement, scores)

"""Measured joint spaces in the results: joined with the final grades, correlated over patients, exported and reported."""

from __future__ import annotations

import csv
import itertools
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from ratui.reading import Field, GradeEntry
from ratui.results.bootstrap import draw_resamples
from ratui.results.export import export
from ratui.results.export.final_tables import build_adam_table
from ratui.results.export.signed_readings import ExportSource
from ratui.results.final_scores import compute_final_scores
from ratui.results.joint_space import (
    MeasuredChanges,
    collect_measured_changes,
    correlate,
    joint_space_table,
    load_released_measurements,
    make_graded_change_table,
)
from ratui.results.joint_space_measuring import list_measured_sites, measure_joint_spaces
from ratui.results.released import collect_released_readings
from ratui.results.report import render_report
from ratui.results.totals import get_rule
from ratui.study import CONSENSUS, InProcessConverter, Study, import_films
from ratui.study.joint_spaces.joint_space import OUTDATED, load_joint_space, save_joint_space
from tests.films import confirm_template, film_file
from tests.results.studies import read_study
from tests.support.fake_joint_space import FakeChange, fake_joint_space_change
from tests.tui.readings import store_reading

RULE = get_rule("carried")
NAN = float("nan")


def jsn(site: str, grade: int) -> dict[Field, GradeEntry]:
    return {Field(site, "JSN", 1): GradeEntry(grade)}


def collect(study: Study, **options: object) -> MeasuredChanges | None:
    released = collect_released_readings(study, **options)  # type: ignore[arg-type]
    return collect_measured_changes(study, released, compute_final_scores(study, released, RULE))


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Return a measured study of two patients, whose two raters grade one joint as narrower, by one and by two grades."""
    readings = {"anna": jsn("L.MCP2", 1), "bert": jsn("L.MCP2", 2)}
    study = read_study(tmp_path, readings, patients=2)
    measure_joint_spaces(study, fake_joint_space_change, workers=1)
    return study


def test_each_measurement_stands_beside_the_final_grade_of_its_joint(study: Study) -> None:
    found = collect(study)
    assert found is not None
    places = [(case, each) for case in study.cases() for each in load_joint_space(study, case)]
    assert found.cases.tolist() == [case for case, _ in places]
    assert found.mm.tolist() == [each.mm for _, each in places]
    for (_, each), graded in zip(places, found.graded, strict=True):
        expected = 1.5 if each.site == "L.MCP2" else NAN if "IP1" in each.site.split(".")[1:] else 0.0
        assert graded == pytest.approx(expected, nan_ok=True)


def test_the_consensus_is_the_final_grade_where_there_is_one(study: Study) -> None:
    first, second = study.cases()
    released = collect_released_readings(study)
    consensus = {first: replace(released.readings[first]["bert"], rater=CONSENSUS)}
    released = replace(released, consensus=consensus)
    final = compute_final_scores(study, released, RULE)
    for rule, expected in (("mean", [1.5, 1.5]), ("consensus_or_mean", [2.0, 1.5]), ("consensus", [2.0])):
        found = collect_measured_changes(study, released, replace(final, rule=rule))
        assert found is not None
        assert found.graded[np.nan_to_num(found.graded) > 0].tolist() == expected
        assert {*found.compared.cases.tolist()} == ({first} if rule == "consensus" else {first, second})


def test_unreliable_outdated_and_unsigned_measurements_do_not_count(study: Study) -> None:
    first, second = study.cases()
    stored = load_joint_space(study, first)
    save_joint_space(study, first, stored[1:])
    regions = [each for each in study.regions(first) if each.site != stored[1].site]
    study.save_regions(first, regions)
    found = collect(study)
    assert found is not None
    assert int((found.cases == first).sum()) == len(stored) - 1
    assert int((~found.is_reliable).sum()) == int(np.isnan(found.mm).sum()) == 1
    assert OUTDATED in {each.reason for each in load_joint_space(study, first)}
    assert load_released_measurements(study, collect_released_readings(study)).keys() == {first, second}


def test_measurements_of_a_case_that_a_rater_has_not_signed_are_kept_back(tmp_path: Path) -> None:
    study = read_study(tmp_path, {"anna": {}, "bert": None})
    measure_joint_spaces(study, fake_joint_space_change, workers=1)
    assert load_joint_space(study, study.cases()[0])
    assert load_released_measurements(study, collect_released_readings(study)) == {}
    interim = collect_released_readings(study, interim=True)
    found = collect_measured_changes(study, interim, compute_final_scores(study, interim, RULE))
    assert found is not None
    assert len(found.cases) == 0
    assert list(joint_space_table(found).rows[0]) == ["all joints", 0, 0, 0, "–", "–", 0, "–"]


def test_without_measurements_there_is_nothing(tmp_path: Path) -> None:
    study = read_study(tmp_path, {"anna": {}}, patients=1)
    assert collect(study) is None
    page = render_report(study, collect_released_readings(study), RULE, today=date(2026, 1, 1), with_plots=False)
    assert "Measured" not in page


def test_only_successive_visits_count() -> None:
    """A change over two visits is the sum of two others, and would count twice."""
    from types import SimpleNamespace

    from ratui.study.joint_spaces.joint_space import MeasuredChange

    found = [
        MeasuredChange("L.IP1", ("a", "b"), 1.0, mm, 0.1, 1.0, True, "", "", times)
        for mm, times in ((0.1, (0, 1)), (0.3, (0, 2)), (0.2, (1, 2)))
    ]
    released = SimpleNamespace(
        readings={"C": {}}, visit_numbers={"C": (0, 1, 2)}, computed={"joint spaces": {"C": tuple(found)}}
    )
    scores = SimpleNamespace(is_read=np.ones((1, 1), np.bool_), cases=("C",), fields=())
    final = SimpleNamespace(rule="mean", cases=("C",), sources=("raters",), raters=scores, consensus=scores)
    study = SimpleNamespace(scheme=SimpleNamespace(site=lambda _: SimpleNamespace(joint=SimpleNamespace(id="IP1"))))
    collected = collect_measured_changes(study, released, final)  # type: ignore[arg-type]
    assert collected is not None
    assert collected.mm.tolist() == [0.1, 0.2]


class TestCorrelation:
    def test_it_is_that_of_numpy(self) -> None:
        rng = np.random.default_rng(5)
        x = rng.normal(100, 1, 60)
        y = 0.5 * x + rng.normal(size=60)
        found = correlate(x, y, np.repeat(np.arange(12), 5), 0)
        assert found.value == pytest.approx(np.corrcoef(x, y)[0, 1])
        assert found.low < found.value < found.high

    def test_its_interval_draws_whole_patients(self) -> None:
        rng = np.random.default_rng(6)
        patients = np.repeat(np.arange(8), [1, 2, 3, 4, 5, 6, 7, 8])
        x, y = rng.normal(size=36), rng.normal(size=36)
        found = correlate(x, y, patients, 3)
        places = [np.flatnonzero(patients == patient) for patient in range(8)]
        draws = draw_resamples(8, np.random.default_rng(3))
        each = [np.concatenate([places[patient] for patient in draw]) for draw in draws]
        values = [np.corrcoef(x[rows], y[rows])[0, 1] for rows in each]
        assert (found.low, found.high) == pytest.approx(tuple(np.percentile(values, (2.5, 97.5))))

    def test_there_is_none_without_variation_and_no_interval_of_one_patient(self) -> None:
        assert np.isnan(correlate(np.array([]), np.array([]), [], 0).value)
        assert np.isnan(correlate(np.ones(4), np.arange(4.0), list("abcd"), 0).value)
        alone = correlate(np.arange(4.0), np.arange(4.0), ["a"] * 4, 0)
        assert alone.value == pytest.approx(1.0)
        assert np.isnan(alone.low)


def test_the_tables_count_joints_and_groups() -> None:
    found = MeasuredChanges(
        np.array(list("aabbcc")),
        np.array(["MCP2", "IP1", "MCP2", "IP1", "MCP2", "MCP2"]),
        np.array([-0.2, 0.1, 0.0, NAN, -0.4, -0.1]),
        np.array([True, True, True, False, True, True]),
        np.array([1.0, NAN, 0.0, NAN, 2.0, -0.5]),
    )
    every, mcp, ip = joint_space_table(found).rows
    assert list(every[:4]) == ["all joints", 6, "1 (16.7 %)", 5]
    assert str(every[4]).startswith("−0.120 (")
    assert every[5:7] == [f"{np.std([-0.2, 0.1, 0, -0.4, -0.1], ddof=1):.3f}", 4]
    assert list(mcp[:4]) == ["MCP2", 4, "0 (0.0 %)", 4]
    assert list(ip) == ["IP1", 2, "1 (50.0 %)", 1, "0.100", "–", 0, "–"]
    graded = {row[0]: row[1:] for row in make_graded_change_table(found).rows}
    assert {name: row[0] for name, row in graded.items()} == {
        "below 0": 1, "0": 1, "above 0, up to 1": 1, "above 1": 1,
    }  # fmt: skip
    assert graded["above 1"][1:] == ["−0.400", "–"]


def test_the_export_has_a_row_for_each_joint_and_pair(study: Study, tmp_path: Path) -> None:
    first = study.cases()[0]
    mixed = itertools.cycle([True, False])

    def measure(*_: object) -> FakeChange:
        return FakeChange(2.0, None, 0.1, 0.5, True) if next(mixed) else FakeChange(NAN, None, NAN, 0, False, "bones")

    measure_joint_spaces(study, measure, cases=[first], again=True, workers=1)
    released = collect_released_readings(study)
    export(study, released, tmp_path / "out", ("csv",), RULE)
    with (tmp_path / "out" / "joint_space.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["case"] for row in rows] == [case for case in study.cases() for _ in list_measured_sites(study.scheme)]
    good, bad = rows[:2]
    names = ("change_mm", "change_px", "sd", "ok", "reason")
    assert [good[name].removeprefix("-") for name in names] == ["", "2.0", "0.1", "1", ""]
    assert [bad[name] for name in names] == ["", "", "", "0", "bones"]
    assert {(row["time_from"], row["time_to"], row["successive"]) for row in rows} == {("0", "1", "1")}
    films = {film.id: film.time for film in study.case(first).films}
    assert (films[good["film_from"]], films[good["film_to"]]) == (0, 1)
    explained = (tmp_path / "out" / "dictionary.csv").read_text(encoding="utf-8")
    assert explained.count("\njoint_space,") == len(good)


def test_the_change_table_has_a_parameter_for_each_joint_measured_in_mm(study: Study) -> None:
    first, second = study.cases()
    stored = load_joint_space(study, first)
    unreliable = replace(stored[0], is_reliable=False, reason="bones")
    save_joint_space(study, first, [unreliable, replace(stored[1], mm=None), *stored[2:]])
    table = build_adam_table(ExportSource(study, collect_released_readings(study)), RULE)
    names = [column.name for column in table.columns]
    rows = [dict(zip(names, row, strict=True)) for row in table.rows]
    measured = [row for row in rows if str(row["PARAMCD"]).startswith("JS") and row["PARAMCD"] != "JSN"]
    expected = [(first, each) for each in stored[2:]] + [(second, each) for each in load_joint_space(study, second)]
    assert [(row["SUBJID"], row["AVAL"]) for row in measured] == [(case, each.mm) for case, each in expected]
    row = next(each for each in measured if each["PARAMCD"] == "JSRMCP2")
    assert row["PARAM"] == "Joint Space Change, Right MCP2 (mm)"
    assert (row["AVISITN"], row["AVISIT"]) == (1, study.config.charter.visit_name(1))
    assert row["ADY"] == 429, "the films are 428 days apart, and the first day is 1"
    assert (row["BASE"], row["CHG"], row["EVAL"], row["MISSRULE"]) == (None,) * 4
    assert len({(each["SUBJID"], each["PARAMN"], each["AVISITN"]) for each in rows}) == len(rows)


def test_the_change_table_has_changes_since_the_baseline_only(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "study", "fingers", ["anna"])
    for number, day in enumerate(("20200302", "20210504", "20220606")):
        film_file(tmp_path / "in" / f"a{number}.dcm", patient="A", day=day, seed=number)
    import_films(study, [tmp_path / "in"], key=tmp_path / "key.json", converter=InProcessConverter(), visits=3)
    (case,) = study.cases()
    confirm_template(study, case, "anna")
    store_reading(study, case, rater="anna", signed=True)
    measure_joint_spaces(study, fake_joint_space_change, workers=1)
    table = build_adam_table(ExportSource(study, collect_released_readings(study)), RULE)
    names = [column.name for column in table.columns]
    rows = [dict(zip(names, row, strict=True)) for row in table.rows]
    changes = {each.times: each.mm for each in load_joint_space(study, case) if each.site == "L.MCP2"}
    found = [(row["AVISITN"], row["AVAL"]) for row in rows if row["PARAMCD"] == "JSLMCP2"]
    assert found == [(1, changes[0, 1]), (2, changes[0, 2])]


def test_the_report_shows_tables_and_plot(study: Study) -> None:
    pytest.importorskip("matplotlib", reason="pip install 'ratui[results]'")
    page = render_report(study, collect_released_readings(study), RULE, today=date(2026, 1, 1))
    assert "<h3>Measured joint spaces</h3>" in page
    assert "<h3>Measured change by graded change</h3>" in page
    assert "Measured change of each joint space against its graded change" in page

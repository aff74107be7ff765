"""Fields that one rater has scored and another has not: one rule for disputes, agreement, report and exports."""

from __future__ import annotations

import csv
import io
import re
from datetime import date

import numpy as np
import pytest

from ratui.errors import StudyError
from ratui.reading import Field, GradeEntry, NotAssessableEntry
from ratui.results.adjudication import build_queue
from ratui.results.agreement import measure_agreement
from ratui.results.disputes import CaseDispute, DisputeLimits, find_disputes
from ratui.results.export.signed_readings import ExportSource
from ratui.results.export.tables import table_to_csv
from ratui.results.export.wide_table import build_wide_table
from ratui.results.released import ReleasedReadings, collect_released_readings
from ratui.results.report import render_report
from ratui.results.scores import collect_scores
from ratui.results.statistics import smallest_detectable_change
from ratui.results.totals import RULES, compute_change, compute_total, get_rule
from ratui.study import Study
from tests.results.studies import Special, read_study

# Both raters see 30 more points in ten joints; in five others anna finds a prosthesis, and bert sees 30 points more.
COMMON = [f"L.{joint}" for joint in ("MCP1", "MCP2", "MCP3", "MCP4", "MCP5", "PIP2", "PIP3", "PIP4", "PIP5", "IP1")]
REPLACED = [f"R.MCP{number}" for number in range(1, 6)]
BOTH: Special = {Field(site, "ERO", 1): GradeEntry(3) for site in COMMON}
ANNA: Special = BOTH | {
    Field(site, scale, time): NotAssessableEntry("replaced")
    for site in REPLACED
    for scale in ("ERO", "JSN")
    for time in (0, 1)
}
BERT: Special = BOTH | {
    Field(site, scale, 1): GradeEntry(grade) for site in REPLACED for scale, grade in (("ERO", 3), ("JSN", 3))
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return read_study(tmp_path_factory.mktemp("uneven"), {"anna": ANNA, "bert": BERT}, patients=2)


@pytest.fixture(scope="module")
def released(study: Study) -> ReleasedReadings:
    return collect_released_readings(study)


def disputes(study: Study, released: ReleasedReadings, rule: str) -> tuple[CaseDispute, ...]:
    return find_disputes(study, released, DisputeLimits(case=7), get_rule(rule))


@pytest.mark.parametrize(
    ("rule", "spread"), [("observed", 30), ("prorated", 60 - 30 * 100 / 75), ("complete", None), ("common", 0)]
)
def test_the_spread_follows_the_rule_of_the_exports(
    study: Study, released: ReleasedReadings, rule: str, spread: float | None
) -> None:
    for case in disputes(study, released, rule):
        assert case.spread == (None if spread is None else pytest.approx(spread))
        assert case.is_over_limit == (spread is not None and spread >= 7)


@pytest.mark.parametrize("rule", RULES)
def test_the_case_is_listed_with_the_reason_under_each_rule(
    study: Study, released: ReleasedReadings, rule: str
) -> None:
    found = disputes(study, released, rule)
    assert build_queue(found) == found
    assert [case.unscored for case in found] == [20, 20]
    assert {joint.site for joint in found[0].joints} == set(REPLACED)
    assert all(joint.unscored == 4 for joint in found[0].joints)
    assert found[0].to_record()["unscored"] == 20


def test_without_a_rule_all_three_ask_for_one(study: Study, released: ReleasedReadings) -> None:
    for ask in (lambda: measure_agreement(study, released), lambda: find_disputes(study, released, DisputeLimits())):
        with pytest.raises(StudyError, match="2 of 4 readings have fields without a score"):
            ask()


def test_the_detectable_change_is_that_of_the_exported_changes(study: Study, released: ReleasedReadings) -> None:
    for rule in map(get_rule, ("observed", "prorated", "common")):
        changes = np.array(
            [[compute_change(each, None, rule) for each in of_case.values()] for of_case in released.readings.values()]
        )
        if rule.name == "common":  # of a single reading, these are the fields of that reading
            changes[:] = 30
        found, _ = measure_agreement(study, released, rule)
        shown = next(each.mean for each in found.detectable if each.scale == "total")
        assert shown.value == pytest.approx(smallest_detectable_change(changes, 2).value)
        assert next(each.means for each in found.totals if (each.scale, each.quantity) == ("total", "change")) == tuple(
            changes.mean(axis=0)
        )


def test_under_a_strict_rule_only_the_patients_with_totals_are_compared(
    study: Study, released: ReleasedReadings
) -> None:
    found, _ = measure_agreement(study, released, get_rule("complete"))
    assert {each.patients for each in found.totals} == {0}
    assert np.isnan(found.detectable[0].one.value)


@pytest.mark.parametrize("rule", RULES)
def test_one_array_gives_the_totals_of_the_single_readings(released: ReleasedReadings, study: Study, rule: str) -> None:
    named = get_rule(rule)
    scores = collect_scores(study, released, named)
    for scale in ("ERO", "JSN", None):
        totals, changes = scores.totals(scale), scores.quantity(scores.quantities[-1], scale)
        for row, of_case in enumerate(released.readings.values()):
            for place, reading in enumerate(of_case.values()):
                if rule == "common" and reading.rater == "bert":
                    continue  # anna's missing fields count for bert only here
                for time in (0, 1):
                    one = compute_total(reading, time, scale, named).value
                    assert one == pytest.approx(totals[row, place, time], nan_ok=True) or np.isnan(
                        totals[row, place, time]
                    )
                    assert (one is None) == bool(np.isnan(totals[row, place, time]))
                change = compute_change(reading, scale, named)
                assert (change is None) == bool(np.isnan(changes[row, place]))
                assert change is None or change == pytest.approx(changes[row, place])


def test_the_report_shows_one_mean_and_states_the_rule(study: Study, released: ReleasedReadings) -> None:
    page = render_report(study, released, get_rule("observed"), today=date(2024, 1, 2), with_plots=False)
    rows = [re.findall(r"<t[dh][^>]*>([^<]*)", row) for row in re.findall(r"<tr>(.*?)</tr>", page)]
    table = page[page.index(">Totals<") : page.index(">Outcome<")]
    totals = [re.findall(r"<t[dh][^>]*>([^<]*)", row) for row in re.findall(r"<tr>(.*?)</tr>", table)]
    assert [row[4] for row in totals if row[1] == "change"] == ["30.0 (0.0)", "60.0 (0.0)"]
    assert not [head for row in rows for head in row if head.startswith("mean anna")]
    assert page.count("Fields without a score: observed") >= 4
    case = next(row for row in rows if row and row[0] == study.cases()[0] and row[3] == "30")
    assert case[-1] == "20"


def test_the_export_has_the_changes_of_the_tables(study: Study, released: ReleasedReadings) -> None:
    table = build_wide_table(ExportSource(study, released), get_rule("common"))
    rows = list(csv.DictReader(io.StringIO(table_to_csv(table))))
    assert [row["total_change"] for row in rows] == ["30.0"] * 4
    assert [row["ERO_1_assessed"] for row in rows] == ["15", "20"] * 2

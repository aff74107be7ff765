"""Final scores, progression and missing data, compared with figures worked out by hand."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ratui.errors import StudyError
from ratui.reading import Entry, Field, FieldChange, GradeEntry, LogEntry, NotAssessableEntry, Slot
from ratui.results.agreement import measure_agreement
from ratui.results.agreement_tables import make_agreement_tables
from ratui.results.disputes import CaseDispute, DisputeLimits, find_disputes, name_compared_quantity
from ratui.results.export import export
from ratui.results.export.redcap import DICTIONARY_COLUMNS, build_redcap_tables, make_event_names, make_variable_name
from ratui.results.export.signed_readings import ExportSource
from ratui.results.final_scores import compute_final_scores
from ratui.results.missing_data import make_missing_table, make_reopened_table
from ratui.results.outcome import make_final_score_table, summarize_final
from ratui.results.rater_totals import make_rater_totals_table, summarize_raters
from ratui.results.released import collect_released_readings
from ratui.results.scores import collect_scores
from ratui.results.totals import RULES, get_rule
from ratui.study import CONSENSUS, KeyFile, Study
from ratui.study.campaign.charter import PlannedVisit
from tests.results.made_up_readings import OBSERVED, fake_study, reading, release, three_visits
from tests.results.studies import NOTE, Special, read_study
from tests.support.commands import run_in_this_process as ratui


class TestVisits:
    def test_scores_stand_at_the_number_of_their_visit(self) -> None:
        scores = collect_scores(fake_study(), three_visits(), OBSERVED)
        assert scores.values.shape == (3, 2, len(scores.fields), 3)
        totals = scores.totals("ERO")
        assert totals[0].tolist() == [[1, 2, 5], [0, 2, 3]]
        assert np.array_equal(totals[1], [[0, np.nan, 1], [0, np.nan, 2]], equal_nan=True)
        assert np.array_equal(totals[2], [[4, np.nan, np.nan], [2, np.nan, np.nan]], equal_nan=True)

    def test_the_quantities_have_the_names_of_the_visits(self) -> None:
        study = fake_study(visits=(PlannedVisit("screening"), PlannedVisit("year 1")))
        scores = collect_scores(study, three_visits(), OBSERVED)
        assert [each.name for each in scores.quantities] == [
            "screening",
            "year 1",
            "visit 3",
            "change, screening to year 1",
            "change, screening to visit 3",
            "change, year 1 to visit 3",
        ]
        by_name = {each.name: scores.quantity(each, "ERO") for each in scores.quantities}
        assert by_name["change, screening to visit 3"][:2].tolist() == [[4, 3], [1, 2]]
        assert np.isnan(by_name["change, year 1 to visit 3"][1:]).all()

    def test_the_agreement_of_each_quantity_is_that_of_the_patients_who_have_it(self) -> None:
        found, _ = measure_agreement(fake_study(), three_visits(), OBSERVED)
        patients = {each.quantity: each.patients for each in found.totals if each.scale == "ERO"}
        assert patients == {
            "baseline": 3,
            "visit 2": 1,
            "visit 3": 2,
            "change, baseline to visit 2": 1,
            "change, baseline to visit 3": 2,
            "change, visit 2 to visit 3": 1,
        }
        means = {each.quantity: each.means for each in found.totals if each.scale == "ERO"}
        assert means["change, baseline to visit 3"] == (2.5, 2.5)

    def test_a_single_visit_has_no_table_or_column_of_changes(self) -> None:
        one = {
            case: {rater: reading(case, rater, {0: grade}) for rater, grade in (("anna", grade), ("bert", 2))}
            for case, grade in (("C-1", 1), ("C-2", 2), ("C-3", 4))
        }
        found, _ = measure_agreement(fake_study(), release(one, dict.fromkeys(one, (0,))), OBSERVED)
        tables = {table.title: table for table in make_agreement_tables(found)}
        assert "Smallest detectable change" not in tables
        sites = tables["Sites"]
        assert list(sites.headers)[-1] == "apart"
        assert {len(row) for row in sites.rows} == {len(sites.headers)}
        assert "change" not in sites.note

    @pytest.mark.parametrize("rule", RULES)
    def test_a_missing_visit_has_no_total_under_any_rule(self, rule: str) -> None:
        scores = collect_scores(fake_study(), three_visits(), get_rule(rule))
        assert np.isnan(scores.totals()[1:, :, 1]).all()
        assert np.isfinite(scores.totals()[1, :, [0, 2]]).all()

    def test_a_joint_without_a_film_at_one_visit_counts_as_missing_there(self) -> None:
        two = {"order": (0, 1, 2), "unfilmed": frozenset({Slot("L.MCP2", 1)})}
        found = release({"C-1": {"anna": reading("C-1", "anna", {0: 1, 2: 3}, **two)}}, {"C-1": (0, 1, 2)})
        expected = {"complete": np.nan, "observed": np.nan, "carried": 1.0, "prorated": np.nan, "common": np.nan}
        for name, total in expected.items():
            scores = collect_scores(fake_study(), found, get_rule(name))
            assert np.array_equal(scores.totals("ERO")[0, 0, 1], total, equal_nan=True), name
        assert make_missing_table(fake_study(), found).rows == [["not filmed", "0 of 2", "2 of 2", "0 of 2", "1 of 1"]]

    def test_a_field_takes_the_score_of_the_visit_before_or_else_of_the_next(self) -> None:
        gap = NotAssessableEntry("unreadable")
        one = release({"C-1": {"anna": reading("C-1", "anna", {0: 1, 1: gap, 2: 3})}}, {"C-1": (0, 1, 2)})
        assert collect_scores(fake_study(), one, get_rule("carried")).totals("ERO")[0, 0].tolist() == [1, 1, 3]
        one = release({"C-1": {"anna": reading("C-1", "anna", {0: gap, 1: gap, 2: 3})}}, {"C-1": (0, 1, 2)})
        assert collect_scores(fake_study(), one, get_rule("carried")).totals("ERO")[0, 0].tolist() == [3, 3, 3]


class TestFinalScores:
    def released(self) -> Any:
        readings = {
            "C-1": {
                rater: reading("C-1", rater, {0: 0, 1: grade}) for rater, grade in zip("abc", (1, 2, 5), strict=True)
            },
            "C-2": {
                rater: reading("C-2", rater, {0: 1, 1: grade}) for rater, grade in zip("abc", (1, 1, 4), strict=True)
            },
        }
        return release(
            readings, {"C-1": (0, 1), "C-2": (0, 1)}, consensus={"C-2": reading("C-2", CONSENSUS, {0: 1, 1: 5})}
        )

    @pytest.mark.parametrize(
        ("rule", "changes", "sources"),
        [
            ("mean", [8 / 3, 1], ("raters", "raters")),
            ("median", [2, 0], ("raters", "raters")),
            ("consensus", [np.nan, 4], ("", "consensus")),
            ("consensus_or_mean", [8 / 3, 4], ("raters", "consensus")),
        ],
    )
    def test_each_rule(self, rule: str, changes: list[float], sources: tuple[str, ...]) -> None:
        final = compute_final_scores(fake_study(final=rule), self.released(), OBSERVED)
        change = final.raters.main_change
        assert change is not None
        assert final.quantity(change, "ERO") == pytest.approx(changes, nan_ok=True)
        assert final.sources == sources
        assert f"Final score: {rule}" in make_final_score_table(final).note

    def test_no_final_score_if_a_rater_has_none_under_the_rule(self) -> None:
        gap = NotAssessableEntry("unreadable")
        readings = {"C-1": {"a": reading("C-1", "a", {0: 0, 1: 2}), "b": reading("C-1", "b", {0: 0, 1: gap})}}
        final = compute_final_scores(fake_study(), release(readings, {"C-1": (0, 1)}), get_rule("complete"))
        assert [final.quantity(each, "ERO").tolist() for each in final.raters.quantities[:1]] == [[0.0]]
        assert np.isnan([final.quantity(each, "ERO") for each in final.raters.quantities[1:]]).all()

    def test_a_joint_after_surgery_counts_as_the_maximum_if_the_charter_says_so(self) -> None:
        replaced = NotAssessableEntry("replaced")
        found = release({"C-1": {"a": reading("C-1", "a", {0: 2, 1: replaced})}}, {"C-1": (0, 1)})
        totals = {
            rule: collect_scores(fake_study(surgery=rule), found, get_rule("complete")).totals()[0, 0].tolist()
            for rule in ("scheme", "maximum")
        }
        assert totals["maximum"] == [2, 5 + 4]
        assert np.isnan(totals["scheme"][1])

    def test_quartiles_are_interpolated(self) -> None:
        readings = {f"C-{n}": {"a": reading(f"C-{n}", "a", {0: 0, 1: n})} for n in range(4)}
        final = compute_final_scores(fake_study(), release(readings, dict.fromkeys(readings, (0, 1))), OBSERVED)
        found = next(each for each in summarize_final(final) if (each.scale, each.quantity) == ("ERO", "change"))
        assert (found.patients, found.mean, found.quartiles) == (4, 1.5, (0.75, 1.5, 2.25))
        assert (found.smallest, found.largest) == (0, 3)


# Two patients with 428 days between their films. Anna sees 12 and 6 more points, Bert 6 and 6.
BERT: Special = {Field(f"L.MCP{n}", "ERO", 1): GradeEntry(3) for n in (1, 2)}
ANNA: Special = BERT | {Field(f"L.MCP{n}", "ERO", 1): GradeEntry(3) for n in (3, 4)}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    from tests.tui.readings import store_reading

    study = read_study(tmp_path_factory.mktemp("outcome"), {"anna": {}, "bert": {}}, patients=2)
    for case, special in zip(study.cases(), (ANNA, BERT), strict=True):
        for rater, entries in (("anna", special), ("bert", BERT)):
            study.reading_path(rater, case).unlink()
            (study.path / "readings" / rater / f"{case}.json.bak").unlink(missing_ok=True)
            store_reading(study, case, entries, rater=rater, signed=True, notes={"L.MCP2": NOTE})
    return Study.open(study.path)


class TestProgression:
    def test_patients_are_counted_by_each_definition(self, study: Study) -> None:
        from ratui.results.outcome import count_progression

        final = compute_final_scores(study, collect_released_readings(study), OBSERVED)
        found = next(each for each in count_progression(final) if each.scale == "ERO")
        # The raters differ by 6 and 0 points: the SD of the difference is 18 ** 0.5, so that the SDC of the mean of two
        # raters is 1.96 · 18 ** 0.5 / 2. The final changes are 9 and 6.
        assert found.detectable.value == pytest.approx(1.959964 * 18**0.5 / 2)
        assert found.detectable_lower.value == pytest.approx(1.281552 * 18**0.5 / 2)
        assert (found.over, found.over_lower, found.improved, found.over_points) == (2, 2, 0, 2)
        # 9 points in 428 days are 7.7 a year, 6 points 5.1.
        assert (found.dated, found.over_yearly, found.rapid) == (2, 2, 2)

    def test_the_lines_of_the_plot_are_the_detectable_changes(self, study: Study) -> None:
        pytest.importorskip("matplotlib", reason="pip install 'ratui[results]'")
        from ratui.results.plots import plot_final_change

        axes = plot_final_change(compute_final_scores(study, collect_released_readings(study), OBSERVED)).axes[0]
        dots, *lines = axes.get_lines()
        assert dots.get_xydata().tolist() == [[0.25, 6], [0.75, 9]]
        limits = [1.959964 * 18**0.5 / 2, 1.281552 * 18**0.5 / 2]
        assert sorted({abs(line.get_ydata()[0]) for line in lines if line.get_ydata()[0]}) == pytest.approx(
            sorted(limits)
        )


def test_redcap_gets_valid_names_and_the_final_scores(study: Study) -> None:
    dictionary, data = build_redcap_tables(ExportSource(study, collect_released_readings(study)), OBSERVED)
    assert [column.name for column in dictionary.columns] == list(DICTIONARY_COLUMNS)
    assert len(DICTIONARY_COLUMNS) == 18
    names = [row[0] for row in dictionary.rows]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z](_?[a-z0-9])*", name) and len(name) <= 26 for name in names)
    heads = [column.name for column in data.columns]
    # The first variable of the dictionary identifies the record, and comes first in the data.
    assert heads[0] == names[0]
    assert {*heads} == {*names, "redcap_event_name"}
    rows = [dict(zip(heads, row, strict=True)) for row in data.rows]
    assert [row["redcap_event_name"] for row in rows[:2]] == ["baseline_arm_1", "visit_2_arm_1"]
    assert [(row["ero_score"], row["ero_change"], row["visit_day"]) for row in rows[:2]] == [(0, None, 0), (9, 9, 428)]
    limits = {row[0]: (row[7], row[8], row[9]) for row in dictionary.rows}
    assert limits["total_score"] == ("number", "0", "172")


def test_names_for_redcap() -> None:
    assert make_event_names(["baseline", "Year 1 (12 months, repeated)"]) == [
        "baseline_arm_1",
        "year_1_12_months_r_arm_1",
    ]
    numbered = ["visit_1_arm_1", "visit_2_arm_1"]
    for names in (
        ["治療前", "治療後"],
        ["治療前", "visit 1"],
        ["week 1", "Week 1!"],
        ["a visit at the end of year 1", "a visit at the end of year 2"],
    ):
        assert make_event_names(names) == numbered
    assert make_variable_name("2nd scale, of a very long name") == "v_2nd_scale_of_a_very_long"


def read_csv(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


class TestExports:
    def test_final_scores_and_their_change_table(self, study: Study, tmp_path: Path) -> None:
        export(study, collect_released_readings(study), tmp_path, ("csv", "adam"), OBSERVED)
        rows = [row for row in read_csv(tmp_path / "final.csv") if row["scale"] == "ERO"]
        assert [(row["time"], row["score"], row["change"]) for row in rows] == [
            ("0", "0.0", ""),
            ("1", "9.0", "9.0"),
            ("0", "0.0", ""),
            ("1", "6.0", "6.0"),
        ]
        assert {row["source"] for row in rows} == {"raters"}
        assert [row["years"] for row in rows][1] == str(428 / 365.25)
        adam = [row for row in read_csv(tmp_path / "adam.csv") if row["PARAMCD"] == "ERO"]
        assert [(row["AVISITN"], row["AVAL"], row["BASE"], row["CHG"], row["ABLFL"]) for row in adam[:2]] == [
            ("0", "0.0", "0.0", "", "Y"),
            ("1", "9.0", "0.0", "9.0", ""),
        ]
        assert {row["DTYPE"] for row in adam} == {"AVERAGE"}
        assert [(row["CRIT1FL"], row["CRIT2FL"]) for row in adam[1::2]] == [("Y", "Y"), ("Y", "Y")]
        assert NOTE not in "".join(path.read_text() for path in tmp_path.iterdir())

    def test_notes_and_signing_times_only_if_asked_for(self, study: Study, tmp_path: Path) -> None:
        export(study, collect_released_readings(study), tmp_path, ("csv",), OBSERVED, with_notes=True)
        notes = read_csv(tmp_path / "notes.csv")
        assert {(row["site"], row["note"]) for row in notes} == {("L.MCP2", NOTE)}
        rows = read_csv(tmp_path / "readings.csv")
        assert [row["signed_at"] for row in rows] == ["2024-05-06T07:08:00Z"] * 4
        assert {row["reopened"] for row in rows} == {"0"}

    def test_the_holder_of_the_key_relinks_to_subjects(self, study: Study, tmp_path: Path) -> None:
        key = study.path.parent / "key.json"
        subjects = KeyFile.open(study, key).patients_by_case
        words = ("export", study.path, tmp_path / "out", "--format", "csv", "--format", "adam", "--format", "mk")
        done = ratui(*words, "--key", key)
        assert done.returncode == 0, done.stderr
        assert {row["case"]: row["subject"] for row in read_csv(tmp_path / "out" / "totals.csv")} == subjects
        for name in ("adam", "mk"):
            found = {row["USUBJID"] for row in read_csv(tmp_path / "out" / f"{name}.csv")}
            assert found == {f"{study.config.id}-{subject}" for subject in subjects.values()}
        assert ratui(*words).returncode == 0
        assert "subject" not in read_csv(tmp_path / "out" / "totals.csv")[0]
        assert "there is no key file" in ratui(*words, "--key", tmp_path / "nothing").stderr


def test_a_report_of_some_raters_states_the_reason(study: Study, tmp_path: Path) -> None:
    words = ("report", study.path, tmp_path / "r.html", "--no-plots", "--missing", "observed", "--rater", "anna")
    assert "need a reason" in ratui(*words).stderr
    done = ratui(*words, "--reason", "bert has left the study")
    assert done.returncode == 0, done.stderr
    assert "Results of anna only, without bert. Reason: bert has left the study." in (tmp_path / "r.html").read_text()


def test_the_report_says_who_has_left_and_why(tmp_path: Path) -> None:
    study = read_study(tmp_path, {"anna": {}, "bert": {}, "cleo": {}})
    assert ratui("raters", study.path, "--leave", "cleo", "--reason", "has moved").returncode == 0
    done = ratui("report", study.path, tmp_path / "r.html", "--no-plots")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "r.html").read_text()
    assert re.search(r"cleo has left \(\d{4}-\d\d-\d\d\): has moved\. The signed readings count\.", text)


def test_reopened_readings_and_settled_joints_are_listed(study: Study) -> None:
    released = collect_released_readings(study)
    case = study.cases()[0]
    anna = released.readings[case]["anna"]
    reopened = LogEntry(len(anna.log) + 1, anna.signed_at, "reopen", "", (), note="a slip")
    field, other = Field("L.MCP3", "ERO", 1), Field("L.MCP2", "ERO", 1)
    adopted = LogEntry(1, anna.signed_at, "adopt", "", (FieldChange(other, None, GradeEntry(3)),))
    entered = LogEntry(2, anna.signed_at, "enter", "2", (FieldChange(field, None, GradeEntry(2)),))
    consensus = replace(anna, rater=CONSENSUS, log=(adopted, entered))
    changed = replace(
        released,
        readings={case: {**released.readings[case], "anna": replace(anna, log=(*anna.log, reopened))}},
        consensus={case: consensus},
    )
    assert make_reopened_table(study, changed).rows == [
        [case, "anna", "opened again", "a slip", "2024-05-06"],
        [case, CONSENSUS, "adjudicated", "L.MCP3", "2024-05-06"],
    ]
    assert make_reopened_table(study, released).rows == []


def test_the_totals_of_raters_are_those_of_all_visits_and_changes() -> None:
    found = three_visits()
    study = fake_study()
    rows = summarize_raters(study, found, OBSERVED)
    anna, bert = ({each.quantity: each for each in rows if each.rater == rater} for rater in ("anna", "bert"))
    assert {name: each.values for name, each in anna.items()} == {
        "baseline": (1.0, 0.0, 4.0),
        "visit 2": (2.0,),
        "visit 3": (5.0, 1.0),
        "change, baseline to visit 2": (1.0,),
        "change, baseline to visit 3": (4.0, 1.0),
        "change, visit 2 to visit 3": (3.0,),
    }
    change = bert["change, baseline to visit 3"]
    assert (change.values, change.by_scale, change.without_total, change.dated) == (
        (3.0, 2.0),
        {"ERO": (3.0, 2.0), "JSN": (0.0, 0.0)},
        0,
        0,
    )
    table = make_rater_totals_table(rows, OBSERVED)
    assert [row[0] for row in table.rows] == ["anna", *[""] * 5, "bert", *[""] * 5]
    assert [row[1] for row in table.rows[:6]] == list(anna)


def disputes_of(released: Any, limit: float = 7.0) -> tuple[CaseDispute, ...]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ratui.results.disputes.intact_reading", lambda *_: None)
        return find_disputes(fake_study(), released, DisputeLimits(limit), OBSERVED)


def test_the_spread_of_a_case_is_the_largest_of_all_its_changes() -> None:
    found = disputes_of(three_visits())
    # C-1: 1 → 2 → 5 and 0 → 2 → 3 differ by 1, 1 and 2 in their changes. C-3 has one visit, with 4 and 2.
    assert {each.case: each.spread for each in found} == {"C-1": 2, "C-2": 1, "C-3": 2}
    assert name_compared_quantity(found) == "changes of the total (of cases with one visit, totals)"
    changes = disputes_of(
        release(
            {"C-1": {"a": reading("C-1", "a", {0: 4, 1: 4}), "b": reading("C-1", "b", {0: 1, 1: 1})}}, {"C-1": (0, 1)}
        )
    )
    assert changes[0].spread == 0, "a difference of the status alone"
    assert name_compared_quantity(changes) == name_compared_quantity([]) == "changes of the total"


def test_raters_of_a_single_visit_are_in_dispute_by_their_totals() -> None:
    unread = NotAssessableEntry("unreadable")
    grades: dict[str, tuple[int | Entry, int | Entry]] = {"C-1": (5, 1), "C-2": (2, 1), "C-3": (unread, 3)}
    given = {
        case: {rater: reading(case, rater, {0: grade}) for rater, grade in zip(("anna", "bert"), pair, strict=True)}
        for case, pair in grades.items()
    }
    found = disputes_of(release(given, dict.fromkeys(given, (0,))), limit=4)
    by_case = {each.case: (each.spread, each.is_over_limit) for each in found}
    assert by_case == {"C-1": (4, True), "C-2": (1, False), "C-3": (None, False)}
    assert name_compared_quantity(found) == "totals"


def test_one_rater_is_no_dispute() -> None:
    only = {"C-1": {"a": reading("C-1", "a", {0: 0, 1: 1})}}
    with pytest.raises(StudyError, match="two raters"):
        find_disputes(fake_study(), release(only, {"C-1": (0, 1)}), DisputeLimits(), OBSERVED)

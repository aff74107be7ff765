"""The report: one self-contained page that equals the entries and contains only released results."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from ratui.cli.main import commands
from ratui.errors import StudyError
from ratui.reading import Field, GradeEntry, reopen
from ratui.results.model_performance import evaluate_models, make_evaluation_table
from ratui.results.rater_totals import summarize_raters
from ratui.results.released import collect_released_readings
from ratui.results.report import render_report
from ratui.results.totals import get_rule
from ratui.study import DisplayUse, Study
from ratui.study.campaign.charter_changes import set_charter
from ratui.study.campaign.study_closing import lock_study
from ratui.study.model_results.predictions import FilmPrediction, load_predictions, save_predictions
from tests.model_answers import answer
from tests.results.studies import NOTE, Special, noisy_study, read_study
from tests.tui.readings import AT, store_reading
from tests.tui.visit_films import CASE, make_visits

pytestmark = pytest.mark.slow

TODAY = date(2024, 1, 2)
CARRIED = get_rule("carried")


class Page(HTMLParser):
    """The words of a page by its headings, and the addresses that it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sections: dict[str, list[str]] = {"": []}
        self.fetched: list[str] = []
        self._heading = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._heading = tag in ("h2", "h3")
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href")]
        assert tag not in ("script", "link", "iframe")

    def handle_data(self, data: str) -> None:
        if self._heading:
            self.sections[data] = []
        elif data.strip():
            self.sections[list(self.sections)[-1]].append(data.strip())
        self._heading = False

    def __getitem__(self, heading: str) -> str:
        return " ".join(self.sections[heading])


def page(study: Study, **more: object) -> Page:
    return Page(render_report(study, collect_released_readings(study), CARRIED, today=TODAY, **more))  # type: ignore[arg-type]


def test_it_opens_alone_and_holds_every_plot(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="pip install 'ratui[results]'")
    study = noisy_study(tmp_path, patients=3)
    text = render_report(study, collect_released_readings(study), CARRIED, today=TODAY)
    shown = Page(text)
    assert len(shown.fetched) == 5
    assert all(source.startswith("data:image/svg+xml;base64,") for source in shown.fetched)
    assert not re.search(r"url\(|@import|https?://", text)
    assert NOTE not in text


def test_methods_are_those_of_the_study(tmp_path: Path) -> None:
    study = noisy_study(tmp_path, patients=2)
    with study.open_reading("anna", study.cases()[0]) as session:
        session.save(session.reading, displays=(DisplayUse("kitty", 60, 0, 8.0), DisplayUse("halfcell", 20, 15, 2.0)))
    methods = page(study, with_plots=False)["Methods as run"]
    for words in ("anna, bert", "20 sites, ERO 0 to 100, JSN 0 to 72", "median 428 days", study.config.scheme, "known"):
        assert words in methods
    assert "kitty (75 %), halfcell (25 %); 15 of 80 entries with fewer pixels" in methods
    assert re.search(r"ratui \d+\.\d+\.\d+, Python 3", methods)


def test_a_study_without_order_says_so(tmp_path: Path) -> None:
    study = read_study(tmp_path, {"anna": {}, "bert": {}}, patients=2, blinded=True)
    set_charter(study, {"repeats_share": 0.5}, "planned, and never drawn")
    methods = page(Study.open(study.path), with_plots=False)["Methods as run"]
    assert "hidden: drawn for each rater and case" in methods
    assert "cases 2, and no hidden repeat was drawn" in methods


@pytest.mark.parametrize(
    ("visits", "words"),
    [
        (1, "with the film of its visit, and"),
        (2, "with both time points"),
        (3, "with the films of its visits side by side"),
    ],
)
def test_the_methods_describe_how_visits_were_shown(tmp_path: Path, visits: int, words: str) -> None:
    study = make_visits(tmp_path, visits)
    for rater in study.config.raters:
        store_reading(study, CASE, rater=rater, signed=True)
    shown = page(study, with_plots=False)
    assert words in shown["Methods as run"]
    assert ("between the first and the last visit" in shown["Methods as run"]) is (visits > 1)
    statuses = {1: ("baseline",), 2: ("earlier", "later", "change")}.get(
        visits, ("visit 3", "change, visit 2 to visit 3")
    )
    assert all(words in shown["Totals"] for words in statuses)


def test_the_report_names_the_lock_and_a_reading_that_is_open_again(tmp_path: Path) -> None:
    study = read_study(tmp_path, {"anna": {}, "bert": {}}, patients=3)
    with study.open_reading("anna", study.cases()[0]) as session:
        session.save(reopen(session.reading, "second thoughts", timestamp=AT + timedelta(days=1)))
    assert "locked" not in page(study, with_plots=False)["Methods as run"]
    lock_study(study, "data cleaned")
    methods = page(Study.open(study.path), with_plots=False)["Methods as run"]
    assert re.search(r"locked \d{4}-\d\d-\d\d \d\d:\d\d UTC by \S+: data cleaned", methods)
    assert "see the progress; 1 of them not signed again" in methods
    assert ": data cleaned" in CliRunner().invoke(commands, ["status", str(study.path)]).output


def test_unreleased_cases_are_counted_without_results(tmp_path: Path) -> None:
    study = read_study(tmp_path, {"anna": {Field("L.MCP2", "ERO", 1): GradeEntry(5)}, "bert": None}, patients=2)
    shown = page(study, with_plots=False)
    assert "Kept back because not every rater has signed: 2 cases" in shown["Methods as run"]
    assert "No agreement yet" in shown["Agreement"]
    assert "No case is released yet" in shown["Totals"]
    assert "L.MCP2" not in str(shown.sections)


ANNA: Special = {Field("L.MCP2", "ERO", 1): GradeEntry(5), Field("L.MCP3", "JSN", 1): GradeEntry(2)}


class TestTotals:
    def test_progression_is_by_the_year(self, tmp_path: Path) -> None:
        study = read_study(tmp_path, {"anna": ANNA, "bert": {}}, patients=2)
        *_, anna, _, _, bert = summarize_raters(study, collect_released_readings(study), CARRIED)
        assert (anna.rater, anna.quantity, anna.values) == ("anna", "change", (7, 7))
        assert anna.by_scale == {"ERO": (5, 5), "JSN": (2, 2)}
        # 7 points in 428 days are 5.97 a year.
        assert (anna.dated, anna.progressed, anna.rapid) == (2, 2, 2)
        assert (bert.dated, bert.progressed, bert.rapid) == (2, 0, 0)

    def test_patients_without_a_total_are_counted(self, tmp_path: Path) -> None:
        study = noisy_study(tmp_path, patients=2)
        found = summarize_raters(study, collect_released_readings(study), get_rule("complete"))
        assert [(each.patients, each.without_total) for each in found] == [(2, 0), (0, 2), (0, 2)] * 2


class TestModels:
    def study(self, tmp_path: Path, off: float, *, patients: int = 2) -> Study:
        later: Special = {Field("L.MCP2", "ERO", 1): GradeEntry(3)}
        study = read_study(tmp_path, {"anna": later, "bert": {}}, patients=patients)
        for case in study.cases():
            said = [
                answer(
                    site.key,
                    scale,
                    0.0,
                    off if (site.key, scale) == ("L.MCP2", "ERO") else 0.0,
                    site.joint.max_grade(scale),
                )
                for site in study.case(case).sites(study.scheme)
                for scale in site.joint.scales
            ]
            save_predictions(study, "scorer", case, said)
        return study

    def test_each_error_stands_beside_no_change_and_the_raters(self, tmp_path: Path) -> None:
        study = self.study(tmp_path, 2.0)
        ero, jsn = evaluate_models(study, collect_released_readings(study))
        # Anna reads one of 20 ERO joints as 3, bert as 0, and the model as 2.
        assert ero.change.value == pytest.approx((1 + 2) / 40)
        assert ero.no_change == pytest.approx(3 / 40)
        assert ero.raters == pytest.approx(3 / 20)
        assert (ero.changed.value, ero.no_change_changed) == (1, 3)
        assert ero.status.value == pytest.approx((0.5 + 1) / 40)
        assert jsn.change.value == 0
        assert np.isnan(jsn.changed.value)

    def test_scores_of_one_time_point_count_for_the_status_only(self, tmp_path: Path) -> None:
        study = self.study(tmp_path, 2.0)
        for case in study.cases():
            kept = [each for each in load_predictions(study, case) if each.site != "L.MCP2"]
            chances = (0.0, 1.0, 0.0, 0.0, 0.0, 0.0)
            save_predictions(study, "scorer", case, kept, [FilmPrediction("L.MCP2", "ERO", 1, 1, chances, 0.0)])
        ero, _ = evaluate_models(study, collect_released_readings(study))
        # Of 20 ERO joints one has no change; the model scores its later film as 1, anna as 3, bert as 0.
        assert ero.change.value == ero.no_change == 0
        assert ero.status.value == pytest.approx((2 + 1) / (2 * (19 * 2 + 1)))
        assert ero.single == 4
        assert (
            "4 scores have none at the other time point" in page(study, with_plots=False)["Models against the raters"]
        )

    def test_cases_that_it_has_learnt_from_do_not_count(self, tmp_path: Path) -> None:
        study = self.study(tmp_path, 2.0, patients=3)
        assert evaluate_models(study, collect_released_readings(study))[0].is_training_unknown
        split = {"train": list(study.cases()[:1]), "held_out": list(study.cases()[1:])}
        (study.path / "models" / "scorer" / "split.json").write_text(json.dumps(split))
        figures = evaluate_models(study, collect_released_readings(study))[0]
        assert (figures.cases, figures.is_training_unknown) == (2, False)
        split["train"] = list(study.cases())
        (study.path / "models" / "scorer" / "split.json").write_text(json.dumps(split))
        assert evaluate_models(study, collect_released_readings(study)) == ()

    def test_model_errors_are_in_the_report(self, tmp_path: Path) -> None:
        shown = page(self.study(tmp_path, 2.0), with_plots=False)["Models against the raters"]
        assert "scorer *" in shown
        assert "does not list its training cases" in shown

    def test_an_evaluation_of_the_trainer_is_taken_over(self, tmp_path: Path) -> None:
        figure = {"name": "Rate", "value": 0.9, "low": 0.8, "high": 0.95, "unit": "%", "baseline": 0.5}
        figure |= {"baseline_name": "never", "raters": None}
        (tmp_path / "report.json").write_text(json.dumps({"headline": [figure], "more": [], "cases": 4}))
        assert make_evaluation_table(tmp_path).rows == [["Rate", "90.0 %", "80.0 % to 95.0 %", "50.0 % (never)", ""]]
        with pytest.raises(StudyError, match="no evaluation here"):
            make_evaluation_table(tmp_path / "nowhere")


def test_disputes_and_consensus_are_reported_without_names(tmp_path: Path) -> None:
    anna: Special = {Field(f"L.MCP{n}", "ERO", 1): GradeEntry(3) for n in (1, 2, 3)}
    study = read_study(tmp_path, {"anna": anna, "bert": {}}, patients=2)
    shown = page(study, with_plots=False)["Disputes"]
    assert "2 of 2 cases (100 %)" in shown
    assert "A consensus is signed for 0 cases" in shown
    assert "L.MCP1" in shown
    assert "anna" not in shown

"""Commands that print results of a study."""

import csv
import io
import json
from pathlib import Path

import pytest

from tests.cli.test_commands import fails
from tests.films import make_study, without_pairs
from tests.results.studies import noisy_study
from tests.support.commands import run_in_this_process as ratui
from tests.support.commands import run_program
from tests.tui.readings import store_reading

pytestmark = pytest.mark.slow


class TestStatus:
    def test_shows_stage_minutes_and_missing_work(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        store_reading(study, study.cases()[0], rater="anna", signed=True, seconds=240)
        done = ratui("status", study.path)
        assert done.returncode == 0, done.stderr
        assert "signed 76/76 4.0 min" in done.stdout
        assert "bert: 76 fields in 20 joints" in done.stdout

    def test_unreadable_cases_are_counted_once_and_hide_no_other_case(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, patients=24, sides="L")
        first, *others = study.cases()
        for case in others:
            study.save_case(without_pairs(study.case(case)))
        lines = ratui("status", study.path).stdout.splitlines()
        missing = lines[lines.index("missing") + 1 :]
        assert missing == [
            "  23 can't be read by anybody: no side with films at both visits",
            f"  {first} anna: 38 fields in 10 joints",
            f"  {first} bert: 38 fields in 10 joints",
        ]

    def test_csv_and_json_are_equal(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        store_reading(study, study.cases()[0], rater="anna", signed=True, seconds=90)
        rows = list(csv.DictReader(io.StringIO(ratui("status", study.path, "--csv", "-").stdout)))
        document = json.loads(ratui("status", study.path, "--json").stdout)
        assert [{k: str(v) for k, v in row.items()} for row in document["cases"]] == rows
        assert rows[0]["minutes"] == "1.5"

    def test_html_is_self_contained(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        done = ratui("status", study.path, "--html", tmp_path / "status.html")
        assert done.returncode == 0, done.stderr
        text = (tmp_path / "status.html").read_text()
        assert text.startswith("<!DOCTYPE html>")
        assert study.cases()[0] in text

    def test_a_place_that_cannot_be_written_is_one_message(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        (tmp_path / "file").write_text("")
        assert "can't be written" in fails("status", study.path, "--csv", tmp_path / "file" / "x.csv")


class TestAgreement:
    def test_tables_json_and_plots(self, tmp_path: Path) -> None:
        study = noisy_study(tmp_path, patients=3)
        done = ratui("agreement", study.path, "--missing", "common", "--plots", tmp_path / "plots")
        assert done.returncode == 0, done.stderr
        for words in ("ICC(2,1)", "Quadratic-weighted kappa", "Bland–Altman", "Smallest detectable change", "L.MCP2"):
            assert words in done.stdout
        names = {file.name for file in (tmp_path / "plots").iterdir()}
        assert {"bland-altman-change.png", "bland-altman-change.svg", "disagreement-hand.png"} <= names
        document = json.loads(ratui("agreement", study.path, "--missing", "common", "--json").stdout)
        assert document["raters"] == ["anna", "bert"]
        assert document["totals"][0]["icc2"]["value"] <= 1

    def test_there_is_no_result_before_everybody_has_signed(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, patients=2)
        for case in study.cases():
            store_reading(study, case, rater="anna", signed=True)
            store_reading(study, case, rater="bert", signed=False)
        assert "no case has been signed by anna, bert" in fails("agreement", study.path)
        store_reading(study, study.cases()[0], rater="bert", signed=True)
        assert "one case has been signed by anna, bert" in fails("agreement", study.path)

    def test_plots_are_not_written_into_a_pipe(self, tmp_path: Path) -> None:
        study = noisy_study(tmp_path, patients=2)
        assert "--plots FOLDER" in ratui("agreement", study.path, "--missing", "common", "--show").stderr


def test_a_picture_keeps_its_shape_in_the_terminal() -> None:
    from ratui.cli.inline_images import fit_to_cells
    from ratui.terminal import Display

    for display in (
        Display("sixel", cell=(10, 20)),
        Display("halfcell", cell=(10, 20)),
        Display("kitty", cell=(7, 15)),
    ):
        for size in ((1000, 500), (400, 900)):
            columns, rows = fit_to_cells(size, display, 100, 40)
            assert columns <= 100
            assert rows <= 40
            shape = columns * display.cell[0] / (rows * display.cell[1])
            assert abs(shape / (size[0] / size[1]) - 1) < 0.06


class TestExport:
    def test_names_the_files_and_the_rule(self, tmp_path: Path) -> None:
        study = noisy_study(tmp_path, patients=1)
        assert "totals need a rule" in fails("export", study.path, tmp_path / "out")
        done = ratui(
            "export", study.path, tmp_path / "out", "--missing", "carried", "--format", "csv", "--format", "mk"
        )
        assert done.returncode == 0, done.stderr
        assert "2 readings of 1 case," in done.stdout
        assert "carried, a field takes its score of the other time point, of several the one before" in done.stdout
        assert {file.name for file in (tmp_path / "out").iterdir()} == {
            "scores.csv",
            "totals.csv",
            "final.csv",
            "mk.csv",
            "dictionary.csv",
        }

    def test_json_lists_the_files_and_what_is_kept_back(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, patients=2)
        for rater in ("anna", "bert"):
            store_reading(study, study.cases()[0], rater=rater, signed=True)
        done = ratui("export", study.path, tmp_path / "out", "--format", "coco", "--json")
        document = json.loads(done.stdout)
        assert document["files"] == ["regions.json"]
        assert document["kept_back"] == {study.cases()[1]: "not signed by anna, bert"}


class TestAdjudicate:
    def test_lists_disputes_and_names_nobody(self, tmp_path: Path) -> None:
        study = noisy_study(tmp_path, patients=3)
        done = ratui("adjudicate", study.path, "--list", "--threshold", "1", "--missing", "observed")
        assert done.returncode == 0, done.stderr
        assert "two raters' changes of the total differ by 1 points or more" in done.stdout
        assert "anna" not in done.stdout
        document = json.loads(ratui("adjudicate", study.path, "--list", "--missing", "observed", "--json").stdout)
        assert len(document["cases"]) == 3
        assert "anna" not in str(document)

    def test_a_model_that_has_not_scored_the_study_is_one_message(self, tmp_path: Path) -> None:
        study = noisy_study(tmp_path, patients=1)
        assert "Runs that have: none" in fails("adjudicate", study.path, "--model", "scorer")

    def test_without_a_terminal_nothing_is_opened(self, tmp_path: Path) -> None:
        study = noisy_study(tmp_path, patients=1)
        done = run_program("adjudicate", study.path, "--threshold", "0", "--missing", "observed")
        assert done.returncode == 1
        assert "only be shown in a terminal" in done.stderr
        assert not (study.path / "readings" / "consensus").exists()


class TestReport:
    def test_one_command_one_page(self, tmp_path: Path) -> None:
        study = noisy_study(tmp_path, patients=2)
        assert "totals need a rule" in fails("report", study.path, tmp_path / "report.html")
        done = ratui("report", study.path, tmp_path / "report.html", "--missing", "prorated")
        assert done.returncode == 0, done.stderr
        text = (tmp_path / "report.html").read_text()
        assert "prorated, in proportion" in text
        assert text.count("<img") == 5

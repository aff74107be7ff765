"""A whole reading campaign, small, of which every figure of the report must follow from the exports."""

import csv
import re
from html import unescape
from pathlib import Path

import pytest

from benchmarks.recompute import compare, compare_report
from benchmarks.recompute_formulas import Formulas
from benchmarks.rehearsal import Campaign, rehearse
from tests.support.commands import run_in_this_process

pytestmark = pytest.mark.slow


def run(*words: object) -> str:
    """Run a command of ratui in this process, and return what it printed."""
    done = run_in_this_process(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a campaign of six patients with three visits each and four raters, two per case."""
    folder = tmp_path_factory.mktemp("rehearsal") / "campaign"
    rehearse(folder, Campaign(6, 3, 4, size=(100, 82), scheme="fingers", repeats=0.34, plots=False), run)
    return folder


def read_table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_every_figure_of_the_report_follows_from_the_exports(campaign: Path) -> None:
    found = compare(campaign / "report.html", campaign / "out", Formulas(), campaign / "study" / "study.toml")
    assert found.wrong == []
    assert found.counts.total() > 1000


def test_also_under_a_rule_that_gives_some_raters_no_total(campaign: Path, tmp_path: Path) -> None:
    run("export", campaign / "study", tmp_path / "out", "--with-notes", "--missing", "complete")
    run("report", campaign / "study", tmp_path / "report.html", "--missing", "complete", "--no-plots")
    assert any(not row["total_change_0_2"] for row in read_table(tmp_path / "out" / "totals.csv"))
    assert compare_report(tmp_path / "report.html", tmp_path / "out") == []


def test_the_campaign_has_all_that_happens_in_a_trial(campaign: Path) -> None:
    readings = read_table(campaign / "out" / "readings.csv")
    assert any(row["reopened_after_release"] == "1" for row in readings)
    assert {row["reader"] for row in readings} >= {"r1", "r9", "consensus"}
    audit = (campaign / "audit.csv").read_text(encoding="utf-8")
    for words in ("protocol 1.1", "parental leave", "query of the sponsor", "data cleaned"):
        assert words in audit


def test_one_changed_score_is_noticed(campaign: Path, tmp_path: Path) -> None:
    rows = read_table(campaign / "out" / "scores.csv")
    empty = {(row["case"], row["site"], row["scale"]) for row in rows if not row["counted"]}
    row = next(
        row
        for row in rows
        if row["kind"] == "rater" and row["counted"] == "0" and (row["case"], row["site"], row["scale"]) not in empty
    )
    row["grade"] = row["score"] = row["counted"] = "1"
    for file in (campaign / "out").glob("*.csv"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with (tmp_path / "scores.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        writer.writeheader()
        writer.writerows(rows)
    wrong = compare_report(campaign / "report.html", tmp_path)
    assert any(line.startswith("totals.csv") and row["case"] in line for line in wrong)
    assert any(line.startswith("Status and change") for line in wrong)
    assert any(line.startswith("Sites") and row["site"] in line for line in wrong)


@pytest.mark.parametrize(
    ("heading", "old", "new"),
    [
        ("Final scores", ">6</td>", ">7</td>"),
        ("Methods as run", "from 2024-01-15", "from 2024-01-16"),
        ("Methods as run", "week 26: day 182 (−30", "week 26: day 182 (−31"),
        ("Versions of the charter", "points: 12.0", "points: 11.0"),
        ("Versions of the charter", "under version 1<", "under version 2<"),
    ],
)
def test_one_changed_figure_of_the_report_is_noticed(
    campaign: Path, tmp_path: Path, heading: str, old: str, new: str
) -> None:
    text = (campaign / "report.html").read_text(encoding="utf-8")
    place = text.index(f">{heading}<")
    changed = text[:place] + text[place:].replace(old, new, 1)
    assert changed != text
    (tmp_path / "report.html").write_text(changed, encoding="utf-8")
    wrong = compare_report(tmp_path / "report.html", campaign / "out", campaign / "study" / "study.toml")
    assert len(wrong) == 1
    assert wrong[0].startswith(heading)


def test_the_report_prints_the_charter_as_the_command_does(campaign: Path) -> None:
    report = (campaign / "report.html").read_text(encoding="utf-8")
    methods = unescape(re.sub("<[^>]+>", " ", report[: report.index(">Progress<")]))
    terms, shown = run("charter", campaign / "study").split("\n  version 1,")
    for line in terms.splitlines()[1:]:
        name, _, value = line.strip().partition("  ")
        assert f"{name} {value.strip()}".replace(" ", "") in methods.replace(" ", ""), name
    for words in ("protocol 1.0", "protocol 1.1: fewer points", "adjudication_points: 12.0 -> 8.0"):
        assert words in shown
        assert words in methods

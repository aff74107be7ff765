"""A whole reading campaign, small, of which every figure of the report must follow from the exports."""

import csv
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path

import pytest

import ratui.imaging
from benchmarks.recompute import compare, compare_report
from benchmarks.recompute_formulas import Formulas
from benchmarks.rehearsal import Campaign, rehearse, rehearse_without_charter
from ratui.results import joint_space_measuring
from tests.support.commands import run_in_this_process
from tests.support.fake_joint_space import failing_joint_space_change
from tests.support.in_process import draw_films_in_this_process

pytestmark = pytest.mark.slow


def run(*words: object) -> str:
    """Run a command of ratui in this process, and return what it printed."""
    done = run_in_this_process(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module", autouse=True)
def work_in_this_process() -> Iterator[None]:
    """Draw and measure in this process: starting others takes longer. Joint spaces of films of this size are made up."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ratui.imaging, "joint_space_change", failing_joint_space_change)
        patch.setattr(joint_space_measuring, "count_default_workers", lambda: 1)
        draw_films_in_this_process(patch)
        yield


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


def test_each_changed_figure_of_the_report_is_noticed(campaign: Path, tmp_path: Path) -> None:
    text = (campaign / "report.html").read_text(encoding="utf-8")
    changes = [
        ("Final scores", ">6</td>", ">7</td>"),
        ("Measured joint spaces", " %)</td>", "99 %)</td>"),
        ("Methods as run", "from 2024-01-15", "from 2024-01-16"),
        ("Methods as run", "week 26: day 182 (−30", "week 26: day 182 (−31"),
        ("Versions of the charter", "points: 12.0", "points: 11.0"),
        ("Versions of the charter", "under version 1<", "under version 2<"),
    ]
    for heading, old, new in changes:
        place = text.index(f">{heading}<")
        assert old in text[place:]
        text = text[:place] + text[place:].replace(old, new, 1)
    (tmp_path / "report.html").write_text(text, encoding="utf-8")
    wrong = compare_report(tmp_path / "report.html", campaign / "out", campaign / "study" / "study.toml")
    assert sorted(line.partition(":")[0] for line in wrong) == sorted(heading for heading, *_ in changes)


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


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a study without a charter: two visits, three raters who read all cases, a model, and plots."""
    pytest.importorskip("matplotlib", reason="pip install 'ratui[results]'")
    folder = tmp_path_factory.mktemp("rehearsal") / "plain"
    rehearse_without_charter(folder, Campaign(4, 2, 3, size=(100, 82), scheme="fingers", missing="complete"), run)
    return folder


def compare_plain(folder: Path, report: Path, exports: str) -> list[str]:
    """Compare a report on the study `plain` with all of its sources."""
    settings, predictions = folder / "study" / "study.toml", folder / "predictions.csv"
    return compare_report(report, folder / exports, settings, predictions)


def test_figures_and_plots_follow_without_a_charter_if_all_read_all(plain: Path) -> None:
    found = compare(
        plain / "report.html",
        plain / "out",
        Formulas(),
        plain / "study" / "study.toml",
        plain / "predictions.csv",
    )
    assert found.wrong == []
    assert found.counts["plots"] > 100
    assert found.counts["Models against the raters"] > 20


def test_figures_of_some_raters_follow_with_the_reason(plain: Path) -> None:
    assert compare_plain(plain, plain / "some.html", "some") == []
    assert "without r3. Reason: r3 did not finish." in (plain / "some.html").read_text(encoding="utf-8")


def test_changed_plots_and_models_are_noticed(plain: Path, tmp_path: Path) -> None:
    """A changed point, line, axis, label and error, each in another place, are all named."""
    text = (plain / "some.html").read_text(encoding="utf-8")
    place = text.index(">Models against the raters<")
    text = text[:place] + re.sub(r"(<td[^>]*>)(\d\.\d\d)(</td>)", r"\g<1>9.99\3", text[place:], count=1)

    def spoil(caption: str, pattern: str, change: Callable[[re.Match[str]], str]) -> None:
        nonlocal text
        picture = re.search(rf'alt="{caption}[^>]*;base64,([^"]*)"', text)
        assert picture is not None
        svg, count = re.subn(pattern, change, b64decode(picture[1]).decode(), count=1, flags=re.DOTALL)
        assert count == 1
        text = text.replace(picture[1], b64encode(svg.encode()).decode())

    def shift(match: re.Match[str]) -> str:
        return f"{match[1]}{float(match[2]) + 1}"

    spoil("Every patient&#x27;s change of the total", r'(line2d_15.*?<use [^>]*y=")([\d.]+)', shift)
    spoil("Change: each pair", r'(PathCollection_1.*?<use [^>]*x=")([\d.]+)', shift)
    spoil("Measured change of each joint", r'(PathCollection_1.*?<use [^>]*y=")([\d.]+)', shift)
    spoil("Every patient&#x27;s change of the final", r"(ytick_1.*?>)(−?\d+)(?=</text>)", lambda m: f"{m[1]}99")
    spoil("Where raters disagree", r"(>)(\d\.\d\d)(?=</text>)", lambda m: f"{m[1]}8.88")
    (tmp_path / "some.html").write_text(text, encoding="utf-8")
    wrong = compare_plain(plain, tmp_path / "some.html", "some")
    starts = ("Every patient's change of the total", "Change: each", "Every patient's change of the final")
    for start in (
        *starts,
        "Measured change of each joint",
        "Where raters disagree",
        "Models against the raters: scorer",
    ):
        assert any(line.startswith(start) for line in wrong), start
    assert all("Status at the last" not in line for line in wrong)

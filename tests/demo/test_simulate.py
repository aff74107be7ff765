"""The command ``ratui simulate``: what the study contains is what its patients have, at each visit."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from ratui.demo import simulate
from ratui.phantom import SimulatedRater
from ratui.study import Study
from tests.support.commands import run_in_this_process

pytestmark = pytest.mark.slow

_EXACT = SimulatedRater(shift=0.0, noise=0.0, miss_rate=0.0, false_finding_rate=0.0)


def _scores(study: Study) -> dict[tuple[str, int, str, str], int | None]:
    """Return the score of each field of the signed readings of rater ``ann``, by case, visit, site and scale."""
    found = {}
    for case in study.cases():
        reading = study.reading("ann", case)
        if reading is None:
            continue
        numbers = {film.time: film.number for film in study.case(case).films}
        for field in reading.fields:
            found[case, numbers[field.time], field.site, field.scale] = reading.score(field)
    return found


@pytest.mark.parametrize(("visits", "blinded"), [(2, True), (2, False)])
def test_readings_of_a_rater_without_errors_are_the_truth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visits: int, blinded: bool
) -> None:
    monkeypatch.setitem(simulate.RATERS, "exact", _EXACT)  # type: ignore[arg-type]
    arguments = ["--visits", str(visits), *(["--blinded"] if blinded else [])]
    done = run_in_this_process(
        *("simulate", tmp_path / "study", "--patients", "3", "--raters", "ann=exact", "--scheme", "fingers"),
        *("--rows", "100", "--seed", "5", "--severity", "2", "--truth", tmp_path / "truth.csv", *arguments),
    )
    assert done.returncode == 0, done.stderr
    with (tmp_path / "truth.csv").open() as file:
        truth = {
            (row["case"], int(row["visit"]), row["site"], row["scale"]): int(row["grade"])
            for row in csv.DictReader(file)
        }
    assert _scores(Study.open(tmp_path / "study")) == truth
    assert len({visit for _, visit, _, _ in truth}) == visits
    assert len(set(truth.values())) > 3


def test_the_rehearsal_of_the_managers_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).resolve().parents[2] / "docs" / "managers.md").read_text()
    line = next(each for each in page.splitlines() if each.startswith("ratui simulate "))
    done = run_in_this_process(*line.split()[1:], "--scheme", "fingers", "--rows", "80", "--patients", "2")
    assert done.returncode == 0, done.stderr
    study = Study.open(tmp_path / "rehearsal")
    assert all(len(study.signed_readings(case)) == 2 for case in study.cases())
    with (tmp_path / "truth.csv").open() as file:
        assert {row["case"] for row in csv.DictReader(file)} == {*study.cases()}


def test_films_of_many_visits_have_dates_before_the_first_reading(tmp_path: Path) -> None:
    words = ["--visits", "8", "--patients", "2", "--unread", "2", "--rows", "80", "--scheme", "fingers"]
    done = run_in_this_process("simulate", tmp_path / "study", *words, "--interval", "1000")
    assert done.returncode == 0, done.stderr
    study = Study.open(tmp_path / "study")
    assert [len(study.case(case).times) for case in study.cases()] == [8] * 2


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--raters", "ann=perfect"], "there is no kind of rater perfect"),
        (["--raters", "ann,ben,ann"], "ann is named twice"),
        (["--raters", "ann,../x"], "can't be the name of a rater"),
        (["--unread", "13"], "13 of 12 cases can't be left unread"),
        (["--raters-per-case", "4"], "4 raters can't read each case"),
        (["--truth", "kept.csv"], "the file exists already"),
        (["--visits", "8", "--interval", "1200"], "more than 20 years apart"),
        (["--key", "kept.csv"], "there is a key file here already"),
        (["--scheme", "nothing"], "there is no scheme"),
    ],
)
def test_odd_arguments_are_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("kept.csv").write_text("mine")
    done = run_in_this_process("simulate", "study", *arguments)
    assert done.returncode == 1
    assert what in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["kept.csv"]
    assert Path("kept.csv").read_text() == "mine"

"""Examinations: raters cannot read the truth, marking verifies films and readings, and the charter may require a pass."""

from __future__ import annotations

import copy
import json
import math
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from ratui.cli.main import commands
from ratui.errors import FilmError, StoreError, StudyError
from ratui.practice import Examination, make_examination, mark_examination, measure_answers, open_examination
from ratui.practice.examination import DEFAULT_MARKS, check_examination_fits, count_planned_visits
from ratui.practice.marking import measure_quantities
from ratui.practice.record import check_owner, make_record, record_digest, save_qualifications
from ratui.practice.truth import KnownAnswer
from ratui.reading import Entry, Field, GradeEntry, NotAssessableEntry, enter, find_next_open_field, reopen, sign
from ratui.results.statistics import icc_agreement
from ratui.study import Study
from ratui.study.campaign.charter import Qualification
from ratui.study.campaign.charter_changes import set_charter
from ratui.study.campaign.qualifications import Figures, find_shortfalls
from ratui.study.check import check_study
from ratui.study.copies.package import package
from ratui.study.copies.restore import restore
from ratui.study.store import read_intact, write_tables
from ratui.study.withdrawal import withdraw_films
from tests.films import make_study

Answer = Callable[[Field, KnownAnswer], Entry]
AT = datetime(2027, 1, 1, tzinfo=UTC)

pytestmark = pytest.mark.usefixtures("read_films_here")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the examination ``exam`` and its truth: anna answers well, bert at random, cho not at all."""
    folder = tmp_path_factory.mktemp("examination")
    study, examination = make_examination(
        folder / "exam",
        folder / "truth.json",
        "fingers",
        ("anna", "bert", "cho"),
        cases=3,
        seed=987654321,
        size=(150, 123),
        progress=lambda *_: None,
    )
    rng = np.random.default_rng(1)
    for case in study.cases():
        answer(study, examination, case, "anna", lambda field, known: known.entry)
        answer(study, examination, case, "bert", lambda field, known: GradeEntry(int(rng.integers(4))))
    return folder


def answer(study: Study, examination: Examination, case: str, rater: str, choose: Answer) -> None:
    with study.open_reading(rater, case) as session:
        reading = session.reading
        while (field := find_next_open_field(reading)) is not None:
            reading = enter(reading, field, choose(field, examination.truth[case][field]), timestamp=AT)
        session.save(sign(reading, timestamp=AT))


def test_the_study_does_not_contain_the_truth(made: Path) -> None:
    for file in (file for file in (made / "exam").rglob("*") if file.is_file()):
        data = file.read_bytes()
        assert b"987654321" not in data, file
        assert "readings" in file.parts or b'"grade"' not in data, file
    assert b'"grade"' in (made / "truth.json").read_bytes()
    assert (made / "truth.json").stat().st_mode & 0o077 == 0
    assert check_study(made / "exam").is_intact


def test_the_truth_is_kept_from_raters(made: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o2770)
    for truth, why in (
        (tmp_path / "new" / "truth.json", "raters could read"),
        (made / "truth.json", "such a file"),
        (shared / "truth.json", "shared with a group"),
    ):
        with pytest.raises(StudyError, match=why):
            make_examination(tmp_path / "new", truth, "fingers", ("anna",), cases=3, progress=lambda *_: None)
    with pytest.raises(StudyError, match="too few"):
        make_examination(tmp_path / "new", tmp_path / "t.json", "fingers", ("anna",), cases=2, progress=lambda *_: None)
    assert not (tmp_path / "new").exists()


def test_the_readings_are_marked(made: Path) -> None:
    study = Study.open(made / "exam")
    examination = open_examination(made / "truth.json", study)
    anna, bert, cho = mark_examination(study, examination, DEFAULT_MARKS)
    assert anna.has_passed
    assert anna.figures is not None
    assert (anna.figures.icc_status, anna.figures.kappa, anna.figures.sdc, anna.figures.difference) == (1, 1, 0, 0)
    assert not bert.has_passed
    assert any(text.startswith("kappa") for text in bert.shortfalls)
    assert cho.figures is None
    assert cho.shortfalls == ("0 of 3 cases are signed",)
    record = make_record(study, examination, (anna, bert, cho))
    assert record_digest(json.loads(json.dumps(record))) == record["digest"]
    changed = {**record, "results": [{**record["results"][1], "passed": True}]}
    assert record_digest(changed) != record["digest"]
    assert set(record["results"][0]["readings"]) == {*study.cases()}


def _leave_out(tables: dict[str, list[dict[str, Any]]], **values: object) -> None:
    tables["answers"] = [each for each in tables["answers"] if not values.items() <= each.items()]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda tables: tables["answers"].clear(), "one answer for each field of the case"),
        (lambda tables: _leave_out(tables, time=1), "one answer for each field"),
        (lambda tables: _leave_out(tables, case=tables["answers"][0]["case"]), "one answer for each field"),
        (
            lambda tables: _leave_out(tables, site=tables["answers"][0]["site"], scale="ERO"),
            "one answer for each field",
        ),
        (lambda tables: tables["answers"].append({**tables["answers"][0], "time": 7}), "one answer for each field"),
        (lambda tables: tables["examination"][0].update(marks={"kappa": "0.6"}), "in place of a number"),
        (lambda tables: tables["examination"][0].update(marks={"sdc": 10**400}), "not between 0 and 1000"),
        (lambda tables: tables["examination"][0].update(marks=[]), "not a record"),
    ],
)
def test_a_forged_truth_is_refused(made: Path, tmp_path: Path, change: Callable[[Any], None], why: str) -> None:
    tables = copy.deepcopy(dict(read_intact(made / "truth.json").tables))
    change(tables)
    write_tables(tmp_path / "truth.json", tables)
    with pytest.raises((StudyError, StoreError), match=why):
        open_examination(tmp_path / "truth.json", Study.open(made / "exam"))


def test_visits_are_counted_without_cases_that_have_no_films_or_are_damaged(tmp_path: Path) -> None:
    study = make_study(tmp_path, patients=2, sides="L", regions=False)
    first, second = study.cases()
    withdraw_films(study, first, [film.id for film in study.case(first).films], reason="another patient")
    assert count_planned_visits(study) == 2
    for file in (study.path / "films" / second).glob("films.json*"):
        file.write_bytes(b"{}")
    assert count_planned_visits(Study.open(study.path)) == 2


def test_fields_left_out_and_reopened_readings_are_found(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "exam", tmp_path / "exam")
    study = Study.open(tmp_path / "exam")
    examination = open_examination(made / "truth.json", study)
    for case in study.cases():
        answer(
            study,
            examination,
            case,
            "cho",
            lambda field, known: (
                NotAssessableEntry("unreadable") if field.site in ("L.MCP2", "R.MCP2") else known.entry
            ),
        )
    with study.open_reading("cho", study.cases()[0]) as session:
        session.save(sign(reopen(session.reading, "a second thought", timestamp=AT), timestamp=AT))
    cho = mark_examination(study, examination, DEFAULT_MARKS)[2]
    assert not cho.has_passed
    assert "fields have a score" in cho.shortfalls[0]
    assert cho.reopened == 1


def test_a_figure_that_is_printed_as_zero_has_no_sign() -> None:
    figures = Figures(3, 9, 9, icc_status=-1e-17, icc_change=None, kappa=-0.004, sdc=None, difference=None)
    assert find_shortfalls(figures, Qualification(icc_status=0.8, kappa=0.6)) == (
        "ICC of status 0.00, 0.80 is needed",
        "kappa 0.00, 0.60 is needed",
    )


def test_a_figure_just_below_its_mark_is_not_printed_as_the_mark() -> None:
    figures = Figures(20, 100, 100, 0.79951, 0.9, 0.5, 5.0000004, 0.0)
    assert find_shortfalls(figures, Qualification(icc_status=0.8, icc_change=0.9, kappa=0.6, sdc=5.0)) == (
        "ICC of status 0.7995, 0.8000 is needed",
        "kappa 0.50, 0.60 is needed",
        "SDC 5.000000 points, at most 5.000000 is needed",
    )


def test_another_study_and_changed_films_are_refused(made: Path, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="another examination"):
        open_examination(made / "truth.json", Study.create(tmp_path / "other", "fingers", ("anna",)))
    with pytest.raises(StoreError, match="no such file"):
        open_examination(tmp_path / "truth.json", Study.open(made / "exam"))
    (tmp_path / "odd.json").write_bytes((made / "exam" / "films").joinpath(next_case(made), "films.json").read_bytes())
    with pytest.raises(StoreError):
        open_examination(tmp_path / "odd.json", Study.open(made / "exam"))
    shutil.copytree(made / "exam", tmp_path / "exam")
    film = next((tmp_path / "exam" / "films" / next_case(made)).glob("*.dcm"))
    film.write_bytes(film.read_bytes()[:-2] + b"\0\1")
    with pytest.raises(FilmError, match="damaged"):
        open_examination(made / "truth.json", Study.open(tmp_path / "exam"))


def next_case(made: Path) -> str:
    return Study.open(made / "exam").cases()[0]


def test_the_charter_opens_the_study_for_qualified_raters_alone(made: Path, tmp_path: Path) -> None:
    exam = Study.open(made / "exam")
    examination = open_examination(made / "truth.json", exam)
    trial = make_study(tmp_path, raters=("anna", "bert", "dora"))
    trial.check_rater("anna")  # nothing is required yet
    set_charter(trial, {"qualification": {"required": True, "kappa": 0.6}}, "planned")
    trial = Study.open(trial.path)
    for rater in ("anna", "bert", "dora"):
        with pytest.raises(StudyError, match="no result of an examination"):
            trial.check_rater(rater)
    results = mark_examination(exam, examination, examination.marks)
    save_qualifications(trial, examination, results, make_record(exam, examination, results))
    case = trial.cases()[0]
    with trial.open_reading("anna", case):
        pass
    with pytest.raises(StudyError, match=r"not passed .* kappa .* 0\.60 is needed"), trial.open_reading("bert", case):
        pass
    with pytest.raises(StudyError, match="no result"):
        trial.as_rater("dora").check_rater("dora")
    assert check_study(trial.path).is_intact
    moved = trial.path.rename(tmp_path / "moved")
    trial = Study.open(moved)
    trial.check_rater("anna")
    package(trial, "anna", tmp_path / "for anna.zip")
    restore(tmp_path / "for anna.zip", tmp_path / "elsewhere")
    with Study.open(tmp_path / "elsewhere").open_reading("anna", case):
        pass
    assert "bert" not in (tmp_path / "elsewhere" / "qualifications/results.json").read_text()
    refused = CliRunner().invoke(commands, ["read", str(trial.path), "--rater", "bert"])
    assert isinstance(refused.exception, StudyError)


def test_it_is_marked_by_the_command(made: Path, tmp_path: Path) -> None:
    trial = make_study(tmp_path, raters=("anna", "zoe"))
    words = ["practise", "--mark", str(made / "exam"), "--truth", str(made / "truth.json")]
    done = CliRunner().invoke(commands, [*words, "--for", str(trial.path), "--record", str(tmp_path / "r.json")])
    assert done.exit_code == 0, done.output
    assert "anna: passed" in done.output
    assert "bert: NOT passed" in done.output
    assert "cho: NOT passed: 0 of 3 cases are signed" in done.output
    record = json.loads((tmp_path / "r.json").read_text())
    assert record_digest(record) == record["digest"]
    assert record["digest"] in done.output
    assert "recorded in" in done.output
    results = trial.path / "qualifications" / "results.json"
    results.write_bytes(results.read_bytes().replace(b'"kappa"', b'"Kappa"'))
    assert not check_study(trial.path).is_intact
    check_study(trial.path, repair=True)
    assert check_study(trial.path).is_intact


def test_the_figures_follow_their_definitions() -> None:
    truth = [{"ERO": (0, 2), "JSN": (1, 1)}, {"ERO": (3, 4), "JSN": (2, 3)}, {"ERO": (0, 0), "JSN": (0, 2)}]
    rater = [{"ERO": (1, 2), "JSN": (1, 2)}, {"ERO": (3, 4), "JSN": (1, 3)}, {"ERO": (0, 1), "JSN": (0, 0)}]
    pairs = [
        (
            {Field("L.PIP2", scale, time): float(own[scale][time]) for scale in own for time in (0, 1)},
            {
                Field("L.PIP2", scale, time): KnownAnswer(GradeEntry(known[scale][time]), float(known[scale][time]))
                for scale in known
                for time in (0, 1)
            },
        )
        for own, known in zip(rater, truth, strict=True)
    ]
    figures = measure_answers(pairs)
    own, known = (np.array([[sum(each[s][t] for s in each) for t in (0, 1)] for each in one]) for one in (rater, truth))
    difference = (own[:, 1] - own[:, 0]) - (known[:, 1] - known[:, 0])
    assert figures.sdc == pytest.approx(1.959964 * difference.std(ddof=1) / math.sqrt(2))
    assert figures.difference == pytest.approx((own - known).sum() / 12)
    pairs[0][0][Field("L.PIP2", "JSN", 0)] = None  # the JSN of this case leaves both totals
    fewer = measure_answers(pairs)
    own[0], known[0] = [1, 2], [0, 2]
    difference = (own[:, 1] - own[:, 0]) - (known[:, 1] - known[:, 0])
    assert fewer.sdc == pytest.approx(1.959964 * difference.std(ddof=1) / math.sqrt(2))
    assert (fewer.scored, fewer.fields) == (11, 12)


def test_each_change_between_visits_has_its_own_figures() -> None:
    rng = np.random.default_rng(3)
    own, known = rng.integers(0, 4, (2, 5, 3))
    pairs = [
        (
            {Field("L.PIP2", "ERO", time): float(mine[time]) for time in range(3)},
            {Field("L.PIP2", "ERO", time): KnownAnswer(GradeEntry(1), float(true[time])) for time in range(3)},
        )
        for mine, true in zip(own, known, strict=True)
    ]
    found = {each.name: each for each in measure_quantities(pairs, ("start", "week 24", "week 48"))}
    assert list(found)[:3] == ["start", "week 24", "week 48"]
    for name, first, last in (("start to week 24", 0, 1), ("start to week 48", 0, 2), ("week 24 to week 48", 1, 2)):
        changes = own[:, last] - own[:, first], known[:, last] - known[:, first]
        each = found[f"change, {name}"]
        assert each.sdc == pytest.approx(1.959964 * (changes[0] - changes[1]).std(ddof=1) / math.sqrt(2))
        assert each.icc == pytest.approx(icc_agreement(np.array(changes).T).value)
    figures = measure_answers(pairs)
    assert (figures.icc_status, figures.icc_change) == (found["week 48"].icc, found["change, start to week 48"].icc)


@pytest.mark.parametrize("visits", [1, 3])
def test_an_examination_has_the_visits_of_its_study(tmp_path: Path, visits: int) -> None:
    names = ["screening", "week 24", "week 48"][:visits]
    trial = Study.create(tmp_path / "trial", "fingers", ("anna", "bert"), blinded=True)
    marks = {"required": True, "kappa": 0.6, "icc_status": 0.7}
    set_charter(trial, {"visits": names, "qualification": marks}, "protocol")
    truth, folder = tmp_path / "own" / "truth.json", tmp_path / "exam"
    words = ["practise", "--truth", str(truth), "--for", str(trial.path)]
    made = CliRunner().invoke(commands, [*words, "--make-exam", str(folder), "--cases", "3", "--rows", "80"])
    assert made.exit_code == 0, made.output
    assert f"examination of 3 cases, {visits} visit" in made.output
    assert made.output.rstrip().endswith(f"--truth {truth} --for {trial.path}")
    exam = Study.open(folder)
    assert (exam.config.blinded, exam.config.raters) == (True, ("anna", "bert"))
    assert exam.config.charter.visit_names == tuple(names)
    examination = open_examination(truth, exam)
    assert examination.marks == Qualification(kappa=0.6, icc_status=0.7)
    rng = np.random.default_rng(2)
    for case in exam.cases():
        assert exam.case(case).times == tuple(range(visits))
        answer(exam, examination, case, "anna", lambda field, known: known.entry)
        answer(exam, examination, case, "bert", lambda field, known: GradeEntry(int(rng.integers(4))))
    marked = CliRunner().invoke(commands, [*words, "--mark", str(folder)])
    assert marked.exit_code == 0, marked.output
    assert "anna: passed" in marked.output
    assert "bert: NOT passed: " in marked.output
    shown = [line.strip() for line in marked.output.split("bert")[0].splitlines()[2:]]
    assert shown == [f"{name}: ICC 1.00" for name in names] + (
        [
            f"change, {pair}: ICC 1.00, SDC 0.00"
            for pair in ("screening to week 24", "screening to week 48", "week 24 to week 48")
        ]
        if visits == 3
        else []
    )
    Study.open(trial.path).check_rater("anna")
    with pytest.raises(StudyError, match="bert has not passed"):
        Study.open(trial.path).check_rater("bert")


def test_results_of_another_scheme_or_number_of_visits_are_refused(made: Path, tmp_path: Path) -> None:
    exam = Study.open(made / "exam")
    examination = open_examination(made / "truth.json", exam)
    other = Study.create(tmp_path / "other", "mtss-hands", ("anna",))
    with pytest.raises(StudyError, match="scheme of the examination is fingers, that of this study mtss-hands"):
        check_examination_fits(examination, exam, other)
    text = exam.scheme.toml_text.replace("title =", "title  =")
    (tmp_path / "changed.toml").write_text(text)
    changed = Study.create(tmp_path / "changed", str(tmp_path / "changed.toml"), ("anna",))
    with pytest.raises(StudyError, match="another version of the scheme fingers"):
        check_examination_fits(examination, exam, changed)
    trial = Study.create(tmp_path / "trial", "fingers", ("anna",))
    check_examination_fits(examination, exam, trial)
    set_charter(trial, {"visits": ["baseline", "year 1", "year 2"]}, "protocol")
    words = ["practise", "--mark", str(made / "exam"), "--truth", str(made / "truth.json"), "--for", str(trial.path)]
    refused = CliRunner().invoke(commands, words)
    assert "visits of the examination is 2, that of this study 3" in str(refused.exception)
    assert not (trial.path / "qualifications").exists()
    with pytest.raises(StudyError, match="one visit has no change"):
        make_examination(
            tmp_path / "new",
            tmp_path / "t.json",
            "fingers",
            ("anna",),
            cases=3,
            visits=1,
            marks=DEFAULT_MARKS,
            progress=lambda *_: None,
        )


def test_only_the_owner_records_results(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = make_study(tmp_path, raters=("anna",))
    monkeypatch.setattr("os.geteuid", lambda: trial.path.stat().st_uid + 12345)
    with pytest.raises(StudyError, match="only the study's owner can record results") as caught:
        check_owner(trial)
    assert "leave out --for to verify and mark only" in caught.value.remedy

"""The next visit of a patient whose case has one time point in the study: imported without a manifest if it is certain."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from itertools import count
from pathlib import Path

import pytest

from ratui.cli.watch import watch_folder
from ratui.study import ImportReport, InProcessConverter, KeyFile, Study, import_films
from ratui.study.check import check_study
from ratui.study.withdrawal import withdraw_films
from tests.films import confirm_template, film_file
from tests.tui.readings import store_reading

BASELINE, WEEK_52 = "20200302", "20210301"


def new_study(tmp_path: Path, *, blinded: bool = False) -> Study:
    return Study.create(tmp_path / "study", "mtss", ["anna", "bert"], blinded=blinded)


def bring(study: Study, tmp_path: Path, *days: str, folder: str = "in", sides: str = "LR", **more: str) -> ImportReport:
    """Import the films of a patient's visits from a folder, to which earlier visits may have come already."""
    for day in days:
        for side in sides:
            film_file(
                tmp_path / folder / f"{day}{side}.dcm",
                day=day,
                side=side,
                seed=int(day) + ord(side) + len(more),
                **more,
            )
    return import_films(study, [tmp_path / folder], key=tmp_path / "key.json", converter=InProcessConverter())


def films_of(study: Study) -> list[tuple[int, str, int | None]]:
    return [(film.time, film.side, film.day) for case in study.cases() for film in study.case(case).films]


def reasons(report: ImportReport) -> set[str]:
    return {item.reason.partition(".")[0] for item in report.rejected}


@pytest.mark.parametrize("blinded", [False, True])
@pytest.mark.parametrize("folder", ["in", "later"])
def test_a_later_visit_becomes_the_next_time_point(tmp_path: Path, blinded: bool, folder: str) -> None:
    study = new_study(tmp_path, blinded=blinded)
    bring(study, tmp_path, BASELINE)
    report = bring(study, tmp_path, WEEK_52, folder=folder)
    assert {(film.time, film.side) for film in report.imported} == {(1, "L"), (1, "R")}
    assert reasons(report) <= {"the same film is in the study already"}
    assert films_of(study) == [(0, "L", 0), (0, "R", 0), (1, "L", 364), (1, "R", 364)]
    keys = KeyFile.open(study, tmp_path / "key.json")
    assert keys.dates == {"P1": (date(2020, 3, 2), date(2021, 3, 1))}
    (case,) = study.cases()
    confirm_template(study, case, "anna")
    for rater in ("anna", "bert"):
        seen = study.as_rater(rater)
        with seen.open_reading(rater, case) as session:
            assert len(session.reading.positions) == 2
    assert check_study(study.path).is_intact


def test_more_films_of_the_next_visit_arrive_late(tmp_path: Path) -> None:
    """The signed readings of the hands no longer count when the feet of the second visit come, and those of the first."""
    study = new_study(tmp_path)
    bring(study, tmp_path, BASELINE)
    bring(study, tmp_path, WEEK_52)
    (case,) = study.cases()
    confirm_template(study, case, "anna")
    for rater in ("anna", "bert"):
        store_reading(study, case, rater=rater, signed=True)
    feet = {"BodyPartExamined": "FOOT"}
    assert len(bring(study, tmp_path, WEEK_52, folder="feet", sides="L", **feet).imported) == 1
    assert {study.as_rater(rater).state(rater, case).stage for rater in ("anna", "bert")} == {"signed"}, (
        "one visit only"
    )
    assert len(bring(study, tmp_path, BASELINE, folder="feet", sides="L", **feet).imported) == 1
    for rater in ("anna", "bert"):
        assert study.as_rater(rater).state(rater, case).stage == "changed"


@pytest.mark.parametrize(
    ("days", "reason"),
    [
        (["20190302"], "it is earlier than the films of its case in the study, so that their visit would change"),
        (["20200303"], "its patient has films of two dates within a week, which may be one visit"),
        (["20200304"], "its patient has films of two dates within a week, which may be one visit"),
        (["20200309"], "its patient has films of two dates within a week, which may be one visit"),
        (["20200901", WEEK_52], "its patient has 2 dates that are not in the study"),
        (["20190901", WEEK_52], "its patient has 2 dates that are not in the study"),
        (["20210301", "20210302"], "its patient has films of two dates within a week, which may be one visit"),
    ],
)
def test_other_days_are_doubtful(tmp_path: Path, days: list[str], reason: str) -> None:
    study = new_study(tmp_path)
    bring(study, tmp_path, BASELINE)
    report = bring(study, tmp_path, *days)
    assert not report.imported
    assert reason in reasons(report)
    assert len(films_of(study)) == 2
    assert KeyFile.open(study, tmp_path / "key.json").dates == {"P1": (date(2020, 3, 2),)}


@pytest.mark.parametrize("folder", ["in", "later"])
def test_eight_days_after_the_first_visit_is_the_next_one_and_a_week_is_not(tmp_path: Path, folder: str) -> None:
    study = new_study(tmp_path)
    bring(study, tmp_path, BASELINE)
    early = bring(study, tmp_path, "20200309", folder="early")
    assert not early.imported
    assert reasons(early) == {
        "it is of the week after the films of its case in the study, and may be of the same visit"
    }
    assert len(bring(study, tmp_path, "20200310", folder=folder).imported) == 2


def test_a_third_visit_is_doubtful(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    bring(study, tmp_path, BASELINE)
    bring(study, tmp_path, WEEK_52)
    report = bring(study, tmp_path, "20220228", folder="third")
    assert {item.reason for item in report.rejected} == {
        "its case is in the study already, with two visits of other days. Name one of the two in a manifest to add it"
    }
    assert len(films_of(study)) == 4


def test_a_person_who_is_not_certain_gets_no_next_visit(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    bring(study, tmp_path, BASELINE, PatientBirthDate="19600101")
    report = bring(study, tmp_path, WEEK_52, PatientBirthDate="19610101", folder="later")
    assert not report.imported
    assert len(films_of(study)) == 2


def test_a_case_of_the_later_visit_only_gets_no_next_one(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    film_file(tmp_path / "in" / "a.dcm", day=BASELINE)
    (tmp_path / "in" / "films.csv").write_text("file,patient,time,side\na.dcm,P1,1,L\n")
    manifest = tmp_path / "in" / "films.csv"
    import_films(study, [], manifest=manifest, key=tmp_path / "key.json", converter=InProcessConverter())
    assert not bring(study, tmp_path, WEEK_52, folder="later").imported
    assert films_of(study) == [(0, "L", 0)]


def test_a_case_with_a_withdrawn_later_visit_gets_no_next_one(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    bring(study, tmp_path, BASELINE, WEEK_52)
    (case,) = study.cases()
    withdraw_films(study, case, [film.id for film in study.case(case).films if film.time == 1], reason="wrong patient")
    assert not bring(study, tmp_path, "20220228", folder="third").imported


def test_a_manifest_decides_against_the_next_visit(tmp_path: Path) -> None:
    """The manifest says that the films of another day belong to the first time point; it contradicts the study."""
    study = new_study(tmp_path)
    bring(study, tmp_path, BASELINE, sides="L")
    film_file(tmp_path / "in" / "b.dcm", day=WEEK_52, side="R", seed=5)
    film_file(tmp_path / "in" / "c.dcm", day=WEEK_52, side="L", seed=6)
    manifest = tmp_path / "in" / "films.csv"
    manifest.write_text("file,patient,time,side\nb.dcm,P1,0,R\n")
    report = import_films(
        study, [tmp_path / "in"], manifest=manifest, key=tmp_path / "key.json", converter=InProcessConverter()
    )
    assert not report.imported
    assert films_of(study) == [(0, "L", 0)]


def test_a_watched_folder_takes_the_next_visit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = new_study(tmp_path)
    inbox = tmp_path / "in"
    steps: Iterator[int] = count()

    def goes_on() -> bool:
        step = next(steps)
        if step in (0, 4):
            day = (BASELINE, WEEK_52)[step // 4]
            film_file(inbox / f"{day}.dcm", day=day, seed=step)
        return step < 9

    inbox.mkdir()
    watch_folder(study, inbox, key=tmp_path / "key.json", second_key=False, settle=0.01, goes_on=goes_on)
    assert capsys.readouterr().out.count("imported no.") == 2
    assert films_of(study) == [(0, "L", 0), (1, "L", 364)]

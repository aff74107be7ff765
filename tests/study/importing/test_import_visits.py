"""Films of more than two visits: by their dates, by the numbers or names of a manifest, and by decisions in the plan."""

from __future__ import annotations

import grp
import os
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from ratui.errors import StudyError
from ratui.scheme import load_scheme
from ratui.study import ImportReport, InProcessConverter, Study, import_films, open_import
from ratui.study.campaign.charter import PlannedVisit
from ratui.study.importing.headers.dates import DatedFilm
from ratui.study.importing.planning.import_plan import Decision
from ratui.study.importing.planning.manifest import read_manifest
from ratui.study.importing.planning.visits import assign_time_points
from tests.films import film_file

DAYS = ("20200302", "20200901", "20210301", "20220301")


def write(folder: Path, *days: str) -> None:
    for day in days:
        film_file(folder / f"{day}.dcm", day=day, seed=int(day))


def bring(study: Study, folder: Path, **more: object) -> ImportReport:
    return import_films(study, [folder], key=folder.parent / "key.json", converter=InProcessConverter(), **more)  # type: ignore[arg-type]


def visits_of(study: Study) -> list[tuple[int, int, int | None]]:
    (case,) = study.cases()
    return [(film.time, film.number, film.day) for film in study.case(case).films]


def test_as_many_dates_as_visits_are_the_visits_in_order(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s", "fingers", ["anna"], blinded=True)
    write(tmp_path / "in", *DAYS[:2])
    bring(study, tmp_path / "in", visits=3)
    assert visits_of(study) == [(0, 0, 0), (1, 1, 183)]
    write(tmp_path / "in", DAYS[2])
    report = bring(study, tmp_path / "in", visits=3)
    assert [film.time for film in report.imported] == [2], "the next visit comes after those in the study"
    write(tmp_path / "in", DAYS[3])
    report = bring(study, tmp_path / "in", visits=3)
    assert not report.imported
    assert any("with all visits on other days" in item.reason for item in report.rejected)
    assert visits_of(study) == [(0, 0, 0), (1, 1, 183), (2, 2, 364)]
    (case,) = study.cases()
    with study.as_rater("anna").open_reading("anna", case) as session:
        assert len(session.reading.order) == 3


def test_without_a_number_of_visits_a_person_chooses_two_of_three_dates(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s", "fingers", ["anna"])
    write(tmp_path / "in", *DAYS[:3])
    assert not bring(study, tmp_path / "in").imported


def test_visits_are_chosen_from_more_dates(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s", "fingers", ["anna"])
    write(tmp_path / "in", *DAYS)
    days = [date(2020, 3, 2), date(2020, 9, 1), date(2021, 3, 1), date(2022, 3, 1)]
    with open_import(
        study, [tmp_path / "in"], key=tmp_path / "key.json", converter=InProcessConverter(), visits=3
    ) as current:
        plan = current.plan()
        assert plan.find_choosable_dates("P1") == tuple(days)
        assert "Name its visits in a manifest" in plan.rows[0].reason
        for wrong in ((days[0],), (days[0], days[0]), days):
            with pytest.raises(StudyError, match="no films of these dates"):
                plan.with_dates("P1", *wrong)
        chosen = plan.with_dates("P1", days[3], days[0], days[1])
        assert [row.time for row in chosen.rows] == [0, 1, None, 2]
        path = plan.rows[0].path
        assert plan.with_decision(path, take=True, time=7).row(path).time == 7
        with pytest.raises(StudyError, match="not valid"):
            plan.with_decision(path, take=True, time=8)
        current.execute(chosen)
    assert [number for _, number, _ in visits_of(study)] == [0, 1, 2]


def test_a_manifest_names_visits_of_a_case_that_lacks_some(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s", "fingers", ["anna"])
    write(tmp_path / "in", *DAYS[:3])
    lines = [f"{day}.dcm,P1,{visit},L" for day, visit in zip(DAYS, (0, 3, 7), strict=False)]
    manifest = tmp_path / "in" / "manifest.csv"
    manifest.write_text("\n".join(["file,patient,time,side", *lines]))
    report = bring(study, tmp_path / "in", manifest=manifest)
    assert len(report.imported) == 3, report.rejected
    assert visits_of(study) == [(0, 0, 0), (1, 3, 183), (2, 7, 364)]
    (case,) = study.cases()
    assert study.case(case).visit_numbers == (0, 3, 7)
    late = film_file(tmp_path / "in" / "late.dcm", day="20201201", seed=5)
    manifest.write_text("file,patient,time,side\nlate.dcm,P1,5,L\n")
    bring(study, tmp_path / "in", manifest=manifest)
    assert [number for _, number, _ in visits_of(study)] == [0, 3, 5, 7], late


@pytest.mark.parametrize(
    ("text", "visit"), [("0", 0), ("7", 7), ("Week 52", 1), ("baseline", 0), ("week 26", None), ("8", None)]
)
def test_the_time_of_a_manifest_is_a_number_or_a_name_of_a_visit(tmp_path: Path, text: str, visit: int | None) -> None:
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(f"file,patient,time,side\na.dcm,P1,{text},L\n")
    names = ("Baseline", "week 52")
    if visit is None:
        with pytest.raises(StudyError, match=r"the time must be the number of the visit, from 0 to 7, or its name"):
            read_manifest(manifest, load_scheme("fingers"), names)
    else:
        assert read_manifest(manifest, load_scheme("fingers"), names)[0].time == visit


@pytest.mark.parametrize(("text", "visit"), [("0", 0), ("3", 3), ("1", None), ("2", None), ("12", 2)])
def test_a_number_that_is_the_name_of_another_visit_is_refused(tmp_path: Path, text: str, visit: int | None) -> None:
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(f"file,patient,time,side\na.dcm,P1,{text},L\n")
    (tmp_path / "a.dcm").touch()
    names = ("1", "2", "12")  # of a charter of an earlier version
    if visit is None:
        with pytest.raises(StudyError, match="number of one visit and the name of another"):
            read_manifest(manifest, load_scheme("fingers"), names)
    else:
        assert read_manifest(manifest, load_scheme("fingers"), names)[0].time == visit


def test_an_uncertain_date_and_an_earlier_visit_stay_doubtful() -> None:
    films = {Path(day): DatedFilm(day=date.fromisoformat(day)) for day in ("20200302", "20200901", "20210301")}
    known = (date(2020, 3, 2), date(2021, 3, 1))
    found = assign_time_points(films, {}, known=known, is_in_study=True, has_known_only=True, most=3)
    assert "earlier than the films of its case" in found.films[Path("20200901")].doubt
    assert [found.films[path].time for path in films] == [0, None, 1]
    fresh = assign_time_points(films, {}, most=3)
    assert [fresh.films[path].time for path in films] == [0, 1, 2]
    assert len(fresh.dates) == 3


def test_a_film_that_was_left_out_stays_out(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s", "fingers", ["anna"])
    write(tmp_path / "in", *DAYS[:3])
    opened = open_import(study, [tmp_path / "in"], key=tmp_path / "key.json", converter=InProcessConverter(), visits=3)
    with opened as current:
        plan = current.plan()
        left = plan.with_decision(plan.rows[1].path, take=False)
        assert [row.decision for row in left.rows] == [Decision.TAKE, Decision.LEAVE_OUT, Decision.TAKE]
        current.execute(left)
    assert [number for _, number, _ in visits_of(study)] == [0, 2], "the visit keeps its number"


PLAN = (
    PlannedVisit("baseline", 0, after=14),
    PlannedVisit("week 26", 182, 30, 30),
    PlannedVisit("week 52", 364, 30, 60),
    PlannedVisit("week 104", 728, 60, 60),
)


@pytest.mark.parametrize(
    ("days", "numbers"),
    [
        ([0], [0]),
        ([0, 183], [0, 1]),
        ([0, 364], [0, 2]),
        ([0, 190, 700], [0, 1, 3]),
        ([0, 300], None),  # in no window
        ([0, 360, 380], None),  # two of one visit
        ([0, 20, 300, 900], [0, 1, 2, 3]),  # as many as planned
    ],
)
def test_fewer_examinations_than_planned_are_numbered_by_the_planned_days(
    days: list[int], numbers: list[int] | None
) -> None:
    first = date(2020, 3, 2).toordinal()
    films = {Path(str(day)): DatedFilm(day=date.fromordinal(first + day)) for day in days}
    found = assign_time_points(films, {}, most=4, planned=PLAN)
    assert [point.time for point in found.films.values()] == (numbers or [None] * len(days))
    assert all(("do not fit the planned visits" in point.doubt) == (numbers is None) for point in found.films.values())
    without = assign_time_points(films, {}, most=4, planned=[PlannedVisit(visit.name) for visit in PLAN])
    assert [point.time for point in without.films.values()] == list(range(len(days)))


def test_the_plan_of_the_charter_numbers_the_visits_of_a_patient_who_missed_one(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s", "fingers", ["anna"])
    study.config = replace(study.config, charter=replace(study.config.charter, visits=PLAN))
    write(tmp_path / "in", DAYS[0], DAYS[2])
    report = bring(study, tmp_path / "in")
    assert len(report.imported) == 2, report.rejected
    assert visits_of(study) == [(0, 0, 0), (1, 2, 364)]
    write(tmp_path / "in", DAYS[3])
    report = bring(study, tmp_path / "in")
    assert not report.imported, "which visit is next is not known"


def test_the_only_planned_visit_of_a_blinded_shared_study_is_imported_alone(tmp_path: Path) -> None:
    group = grp.getgrgid(os.getgid()).gr_name
    study = Study.create(tmp_path / "s", "fingers", ["anna"], blinded=True, group=group)
    write(tmp_path / "in", DAYS[0])
    assert not bring(study, tmp_path / "in").imported, "another visit may come, and raters would know which was first"
    study.config = replace(study.config, charter=replace(study.config.charter, visits=PLAN[:1]))
    assert len(bring(study, tmp_path / "in").imported) == 1
    (case,) = study.cases()
    with study.as_rater("anna").open_reading("anna", case) as session:
        assert session.reading.order == (0,)

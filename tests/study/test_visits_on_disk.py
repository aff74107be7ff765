"""A study whose visits arrive one by one: films, readings, check, package, merge and backup with real files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ratui.reading import Field, GradeEntry, reopen, sign
from ratui.results.released import collect_released_readings
from ratui.study import InProcessConverter, Study, import_films
from ratui.study.check import check_study
from ratui.study.copies.merge import merge
from ratui.study.copies.package import package
from ratui.study.copies.restore import restore
from ratui.study.withdrawal import withdraw_films
from tests.films import confirm_template, film_file
from tests.tui.readings import fill_reading, store_reading

AT = datetime(2026, 5, 6, 7, 8, tzinfo=UTC)
DAYS = ("20200302", "20200901", "20210301")


def bring(study: Study, folder: Path, day: str, sides: str = "L") -> None:
    for side in sides:
        film_file(folder / "in" / f"{day}{side}.dcm", day=day, side=side, seed=int(day) + ord(side))
    import_films(study, [folder / "in"], key=folder / "key.json", converter=InProcessConverter(), visits=3)
    for case in study.cases():
        confirm_template(study, case, "anna")


def finish(study: Study, rater: str, case: str) -> None:
    """Reopen the reading if it is signed, fill it with the grade of the position, and sign it."""
    view = study.as_rater(rater)
    with view.open_reading(rater, case) as session:
        if session.reading.signed_at:
            session.save(reopen(session.reading, "another visit", timestamp=AT))
    with view.open_reading(rater, case) as session:
        session.save(sign(fill_reading(session.reading), timestamp=AT))


@pytest.mark.parametrize("blinded", [False, True])
def test_visits_come_one_by_one_and_one_goes(tmp_path: Path, blinded: bool) -> None:
    study = Study.create(tmp_path / "study", "fingers", ["anna"], blinded=blinded)
    bring(study, tmp_path, DAYS[0], "LR")
    (case,) = study.cases()
    view = study.as_rater("anna")
    store_reading(view, case, {Field("L.MCP2", "ERO", 0): GradeEntry(2)}, signed=True)
    for day in DAYS[1:]:
        bring(study, tmp_path, day)
        assert view.state("anna", case).stage == "changed"
        finish(study, "anna", case)
        assert check_study(study.path).is_intact
    reading = study.reading("anna", case)
    assert reading is not None
    assert [reading.score(Field("L.MCP2", "ERO", time)) for time in range(3)] == [2, 0, 0]
    assert set(collect_released_readings(study).readings) == {case}
    middle = next(film.id for film in study.case(case).films if film.time == 1)
    withdraw_films(study, case, [middle], reason="wrong patient", confirmed=True)
    assert check_study(study.path).is_intact
    assert not collect_released_readings(study).readings
    finish(study, "anna", case)
    found = check_study(study.path)
    assert found.is_intact, found.faults
    after = study.reading("anna", case)
    assert after is not None
    assert [after.score(Field("L.MCP2", "ERO", time)) for time in range(2)] == [2, 0]
    assert study.case(case).visit_numbers == (0, 2)
    assert set(collect_released_readings(study).readings) == {case}


def test_readings_of_earlier_visits_come_back_from_elsewhere(tmp_path: Path) -> None:
    """The rater finishes two visits on another machine, while the third one comes here."""
    study = Study.create(tmp_path / "study", "fingers", ["anna"], blinded=True)
    for day in DAYS[:2]:
        bring(study, tmp_path, day)
    (case,) = study.cases()
    store_reading(study.as_rater("anna"), case, joints=2)
    restore(package(study, "anna", tmp_path / "anna.package").path, tmp_path / "site")
    finish(Study.open(tmp_path / "site"), "anna", case)
    bring(study, tmp_path, DAYS[2])
    results = merge(study, tmp_path / "site", ["anna"])
    assert [result.outcome for result in results if "reading" in result.item] == ["continued"], results
    view = study.as_rater("anna")
    assert view.state("anna", case).stage == "changed"
    with view.open_reading("anna", case) as session:
        session.save(reopen(session.reading, "another visit", timestamp=AT))
    with view.open_reading("anna", case) as session:
        assert len(session.reading.order) == 3
    restore(package(study, "anna", tmp_path / "again.package").path, tmp_path / "again")
    finish(Study.open(tmp_path / "again"), "anna", case)
    results = merge(study, tmp_path / "again", ["anna"])
    assert [result.outcome for result in results if "reading" in result.item] == ["continued"], results
    assert check_study(study.path).is_intact
    assert view.state("anna", case).stage == "signed"

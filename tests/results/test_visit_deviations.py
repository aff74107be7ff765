"""Visits that are not as the charter plans, in the status, the report and the export."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from ratui.errors import StudyError
from ratui.results.export import export
from ratui.results.progress import measure_progress
from ratui.results.released import collect_released_readings
from ratui.results.totals import get_rule
from ratui.results.visit_deviations import compare_visits, describe_deviation, find_deviations
from ratui.study import Case, FilmRecord, Study
from ratui.study.campaign.charter import PlannedVisit
from ratui.study.campaign.charter_changes import set_charter
from ratui.study.campaign.repeats import draw_repeats, load_repeats
from tests.films import make_study
from tests.support.commands import run_in_this_process
from tests.tui.readings import store_reading

PLAN = (
    PlannedVisit("baseline", 1, 0, 14),
    PlannedVisit("week 26", 183, 10, 10),
    PlannedVisit("week 52", 365, 10, 20),
    PlannedVisit("end", 731),
)


def _case(*days: tuple[int, int | None]) -> Case:
    """Return a case with a film of each visit and day."""
    numbers = sorted({number for number, _ in days})
    films = (
        FilmRecord(f"F{place}", numbers.index(number), "L", "hand", 100, 80, day, visit=number)
        for place, (number, day) in enumerate(days)
    )
    return Case("C-1", tuple(films))


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ([(0, 0), (1, 172), (2, 384)], []),
        ([(0, 0), (1, 171), (2, 384)], ["week 26: day 172, 1 day early (day 173 to 193)"]),
        ([(0, 0), (1, 192), (2, 385)], ["week 52: day 386, 1 day late (day 355 to 385)"]),
        ([(0, 0), (0, 15)], ["baseline: day 16, 1 day late (day 1 to 15)"]),
        ([(0, 3), (1, 178), (1, 200)], ["week 26: day 198, 5 days late (day 173 to 193)"]),
        ([(0, 0), (2, 364), (3, 5000)], ["week 26: no film"]),
        ([(0, 0), (1, None)], ["week 26: day unknown"]),
        ([(0, None), (1, 182)], ["baseline: day unknown", "week 26: day unknown"]),
        ([(1, 0), (2, 182)], ["baseline: no film", "week 26: day unknown", "week 52: day unknown"]),
    ],
)  # fmt: skip
def test_days_count_from_the_baseline_and_the_plan(days: list[tuple[int, int | None]], expected: list[str]) -> None:
    found = [visit for visit in compare_visits(_case(*days), PLAN) if visit.is_deviation]
    assert [describe_deviation(visit) for visit in found] == expected


def test_a_case_without_a_plan_or_of_more_visits_than_planned_has_no_deviation() -> None:
    assert compare_visits(_case((0, 0), (1, 9)), ()) == ()
    assert [visit.status for visit in compare_visits(_case((0, 0), (4, 900)), PLAN[:1])] == ["in window"]


@pytest.fixture
def planned(tmp_path: Path) -> Study:
    """A signed study of two cases whose charter plans the second visit before the films were made; one case is repeated."""
    study = make_study(tmp_path, raters=("anna",), patients=2)
    visits = [{"name": "baseline", "day": 0, "after": 7}, {"name": "1-2", "day": 30, "before": 5, "after": 5}]
    set_charter(study, {"visits": visits}, "planned")
    draw_repeats(study, 0.5)
    for case in study.cases():
        if case not in load_repeats(study):
            store_reading(study, case, rater="anna", signed=True)
    return Study.open(study.path)


def test_status_report_and_export_list_the_same_visits(planned: Study, tmp_path: Path) -> None:
    cases = [case for case in planned.cases() if case not in load_repeats(planned)]
    assert {*cases} == {each.case for each in find_deviations(planned)}
    printed = run_in_this_process("status", planned.path, "--visits").stdout
    assert [line.split()[0] for line in printed.splitlines() if "days late" in line] == cases
    assert "days late" not in run_in_this_process("status", planned.path).stdout
    run_in_this_process("report", planned.path, tmp_path / "r.html", "--no-plots", "--missing", "observed")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert page.count("25 to 35") == len(cases)
    released = collect_released_readings(planned)
    export(planned, released, tmp_path / "out", ("csv",), get_rule("observed"))
    with (tmp_path / "out" / "visits.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["status"] != "in window"]
    days = {each.case: str(each.outside) for each in find_deviations(planned)}
    assert {row["case"]: row["days_outside"] for row in rows} == days
    assert {row["visit"] for row in rows} == {"_1-2"}


def test_only_managers_see_the_days(planned: Study) -> None:
    view = planned.as_rater("anna")
    with pytest.raises(StudyError, match="only managers"):
        measure_progress(view, with_visits=True)


def test_a_study_without_a_plan_exports_no_visits(tmp_path: Path) -> None:
    study = make_study(tmp_path, raters=("anna",))
    store_reading(study, study.cases()[0], rater="anna", signed=True)
    result = export(study, collect_released_readings(study), tmp_path / "out", ("csv",), get_rule("observed"))
    assert "visits.csv" not in result.files

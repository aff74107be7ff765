"""The progress of a study: stages, times, and missing work in words."""

from pathlib import Path

import pytest

from ratui.reading import Field, GradeEntry
from ratui.results.progress import measure_progress, render_progress
from tests.films import film_file, make_study
from tests.tui.readings import store_reading


def test_missing_work_is_listed_by_rater_and_case(tmp_path: Path) -> None:
    study = make_study(tmp_path, raters=("anna", "bert", "cleo"))
    case = study.cases()[0]
    store_reading(study, case, rater="anna", signed=True, seconds=300)
    store_reading(study, case, rater="bert", joints=19, seconds=60)
    (rows,) = (rows for rows in measure_progress(study).by_case() if rows[0].state.case == case)
    missing = {row.rater: row.missing for row in rows}
    assert missing["anna"] == ""
    assert missing["bert"] == "4 fields in 1 joint"
    assert missing["cleo"] == "76 fields in 20 joints"


def test_a_filled_reading_waits_for_its_signature(tmp_path: Path) -> None:
    study = make_study(tmp_path, raters=("anna",))
    store_reading(study, study.cases()[0])
    assert measure_progress(study).rows[0].missing == "review and signature"


def test_regions_that_nobody_confirmed_are_counted(tmp_path: Path) -> None:
    study = make_study(tmp_path, raters=("anna",))
    case = study.cases()[0]
    regions = study.regions(case)
    study.save_regions(case, regions[3:])
    assert measure_progress(study).rows[0].missing == "3 regions to confirm"


def test_minutes_are_those_of_signed_cases(tmp_path: Path) -> None:
    study = make_study(tmp_path, raters=("anna",), patients=3)
    for case, seconds in zip(study.cases(), (120, 300, 60), strict=True):
        store_reading(study, case, signed=case != study.cases()[2], seconds=seconds)
    rater = measure_progress(study).raters[0]
    assert (rater.signed, rater.started, rater.untouched) == (2, 1, 0)
    assert rater.median_minutes == 3.5
    assert rater.minutes == 8


def test_a_case_without_films_is_listed_with_the_reason_and_not_counted(tmp_path: Path) -> None:
    study = make_study(tmp_path, raters=("anna",))
    from ratui.study import InProcessConverter, import_films

    film_file(tmp_path / "more" / "x.dcm", patient="P9")
    film_file(tmp_path / "more" / "y.dcm", patient="P9", day="20210302", side="R", seed=1)
    import_films(study, [tmp_path / "more"], key=tmp_path / "key.json", converter=InProcessConverter())
    found = measure_progress(study)
    assert [row.missing for row in found.rows if row.state.stage == "unreadable"] == [
        "no side with films at both visits"
    ]
    assert found.raters[0].cases == 1


def test_the_page_holds_every_case_and_no_grade(tmp_path: Path) -> None:
    study = make_study(tmp_path, raters=("anna",))
    case = study.cases()[0]
    store_reading(study, case, {Field("L.MCP2", "ERO", 1): GradeEntry(4)}, signed=True)
    text = "\n".join(render_progress(measure_progress(study)))
    assert case in text
    assert "76/76" in text
    assert "MCP2" not in text


@pytest.mark.parametrize("title", ["<script>alert(1)</script>", 'a "b" & c'])
def test_a_page_escapes_its_texts(title: str) -> None:
    from ratui.results.html import page, paragraph, table

    text = page(title, [paragraph(title), table([title], [[title]], caption=title)])
    assert title not in text
    assert "<script" not in text
    assert "http" not in text.replace("http-equiv", "")

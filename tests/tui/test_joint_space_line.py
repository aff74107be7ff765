"""Measured joint spaces on the screens: their texts, and where they appear."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from textual.widgets import Static

from ratui.reading import Field, GradeEntry, Reading, start_reading
from ratui.results.adjudication import Adjudication, build_queue
from ratui.results.disputes import DisputeLimits, find_disputes
from ratui.results.released import collect_released_readings
from ratui.scheme import load_scheme
from ratui.study import CONSENSUS, Study
from ratui.study.joint_spaces.joint_space import REASONS, MeasuredChange, digest_inputs, save_joint_space, shown_boxes
from ratui.tui.entry.joint_space import format_joint_space, format_joint_space_of_visits
from ratui.tui.entry.visit_names import VisitNames
from ratui.tui.i18n.catalog import LANGUAGES, Catalog
from ratui.tui.screens.overview.screen import OverviewScreen
from ratui.tui.screens.review.screen import ReviewScreen
from ratui.tui.widgets.joint_space_line import JointSpaceLine
from tests.films import make_study
from tests.results.studies import read_study
from tests.tui.conftest import cells, reading_as, settle
from tests.tui.readings import store_reading
from tests.tui.snapshots import check

SITE = "L.PIP2"
CHANGE = MeasuredChange(SITE, ("a", "b"), -1.53, -0.23, 0.051, 0.9, True, "", "")
FAILED = replace(CHANGE, is_reliable=False, reason="overlap")
EN, JA = Catalog("en"), Catalog("ja")
SUFFIXES = {"en": "", "ja": ".ja"}
"""Ends of the names of pictures by language."""


def reading(visits: int, *, blinded: bool = False) -> Reading:
    scheme = load_scheme("fingers")
    return start_reading(scheme, "C-1", "anna", scheme.sites, order=tuple(range(visits)), blinded=blinded)


def line(
    found: MeasuredChange | Mapping[tuple[int, int], MeasuredChange],
    *,
    visits: int = 2,
    places: tuple[int, ...] = (0, 1),
    blinded: bool = False,
    t: Catalog = EN,
    width: int = 78,
) -> str:
    measured = {(0, 1): found} if isinstance(found, MeasuredChange) else found
    text = format_joint_space(t, reading(visits, blinded=blinded), VisitNames(), measured, places, width)
    assert text.cell_len <= width
    return text.plain


def test_a_value_has_its_unit_and_a_95_percent_interval() -> None:
    assert line(CHANGE) == "joint space -0.23 mm (-0.33 to -0.13)   95 % interval; + is wider"
    assert line(CHANGE, width=40) == "joint space -0.23 mm (-0.33 to -0.13)"
    assert line(CHANGE, width=20) == "joint space -0.23 m…"
    assert line(CHANGE, t=JA, width=50) == "関節裂隙 -0.23 mm（-0.33 ～ -0.13）"
    pixels = replace(CHANGE, mm=None, sd=0.3)
    assert line(pixels, width=50) == "joint space -1.5 px (-2.1 to -0.9)"
    assert line(replace(CHANGE, mm=-0.001), width=50) == "joint space 0.00 mm (-0.10 to +0.10)"


def test_without_a_reliable_value_the_reason_stands_in_its_place() -> None:
    assert line(FAILED) == "joint space: no reliable measurement (a bone hides the other)"
    assert line(FAILED, t=JA) == "関節裂隙：信頼できる計測値なし（骨の重なり）"
    assert {id.rpartition(".")[2] for id in EN.ids if id.startswith("joint_space.reason.")} == REASONS.keys()


def test_a_joint_that_was_not_measured_has_no_text() -> None:
    assert line({}) == ""
    assert line(CHANGE, visits=1, places=(0,)) == ""


def test_the_pair_on_the_screen_is_named_by_its_visits() -> None:
    measured = {(0, 1): CHANGE, (0, 2): replace(CHANGE, mm=0.5), (1, 2): FAILED}
    assert line(measured, visits=3, places=(0, 2), width=60).startswith("joint space, baseline → visit 3: +0.50 mm (")
    assert line(measured, visits=3, places=(1, 2)).startswith("joint space, visit 2 → visit 3: no reliable")
    assert line(measured, visits=4, places=(1, 3)) == "joint space, visit 2 → visit 4: not measured"


def test_in_a_blinded_study_films_are_named_by_their_places() -> None:
    assert line(CHANGE, blinded=True, width=60) == "joint space, ◀ → ▶: -0.23 mm (-0.33 to -0.13)"
    assert line(CHANGE, blinded=True, visits=3).startswith("joint space, film 1 → film 2: -0.23 mm")


def test_the_overview_has_the_whole_change_first_and_as_many_as_fit() -> None:
    measured = {(0, 1): CHANGE, (0, 2): replace(CHANGE, mm=0.5), (1, 2): FAILED}

    def all_visits(width: int, pairs: Mapping[tuple[int, int], MeasuredChange] = measured) -> str:
        return format_joint_space_of_visits(EN, reading(3), VisitNames(), pairs, width).plain

    assert all_visits(78) == "joint space, baseline → visit 3: +0.50 mm (+0.40 to +0.60) …"
    assert all_visits(220) == (
        "joint space, baseline → visit 3: +0.50 mm (+0.40 to +0.60) · baseline → visit 2: -0.23 mm (-0.33 to -0.13)"
        " · visit 2 → visit 3: no reliable measurement (a bone hides the other)   95 % interval; + is wider"
    )
    assert all_visits(78, {(0, 1): CHANGE}).startswith("joint space, baseline → visit 2: -0.23 mm")
    assert all_visits(78, {}) == ""


def measure(study: Study, case: str) -> None:
    """Save a change of 0.23 mm at `SITE` in `case`."""
    films = [film for film in study.case(case).films if film.side == "L"]
    boxes = shown_boxes(study.regions(case), ())
    inputs = digest_inputs(films, [boxes[SITE, film.id] for film in films])
    save_joint_space(study, case, [replace(CHANGE, films=(films[0].id, films[1].id), inputs=inputs)])


@pytest.mark.slow
async def test_a_rater_sees_them_beside_a_signed_reading_only(tmp_path: Path) -> None:
    study = make_study(tmp_path, sides="L")
    (case,) = study.cases()
    measure(study, case)
    store_reading(study, case)
    async with reading_as(study.as_rater("anna"), "anna", case=case) as pilot:
        await settle(pilot)
        screens = []
        for key in ("", "escape", "o"):
            await pilot.press(*[key] if key else [])
            await settle(pilot)
            screens.append(cells(pilot))
        assert isinstance(pilot.app.screen, OverviewScreen)
        assert "joint space" not in "".join(screens)
        await pilot.press("S")
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, OverviewScreen)
        while "LEFT hand · PIP2" not in cells(pilot):
            await pilot.press("left")
        assert "joint space -0.23 mm (-0.33 to -0.13)" in cells(pilot)
        await pilot.press("enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, ReviewScreen)
        assert "joint space -0.23 mm (-0.33 to -0.13)" in cells(pilot)
        await pilot.press("right")
        await settle(pilot)
        assert "joint space" not in cells(pilot), "another joint was not measured"
        assert pilot.app.screen.query_one("#joint_space").display, "the films stay where they are"


@pytest.mark.slow
async def test_an_adjudicator_sees_them_with_the_answers_of_the_raters(tmp_path: Path) -> None:
    study = read_study(tmp_path, {"anna": {Field(SITE, "ERO", 1): GradeEntry(4)}, "bert": {}})
    (case,) = study.cases()
    measure(study, case)
    queue = build_queue(find_disputes(study, collect_released_readings(study), DisputeLimits(case=2)))
    async with reading_as(Adjudication(study, queue), CONSENSUS, case=case) as pilot:
        await settle(pilot)
        line = pilot.app.screen.query_one("#joint_space", Static)
        shown = [str(line.content)]
        for key in ("0", "2", "0", "0"):
            await pilot.press(key)
            shown.append(str(line.content))
        assert shown[:4] == [""] * 4
        assert shown[4].startswith("joint space -0.23 mm")
        assert "you 0→2" in cells(pilot)
        await pilot.press("A")
        assert str(line.content) == ""


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
async def test_pictures_of_overview_and_second_look(tmp_path: Path, language: str) -> None:
    study = make_study(tmp_path, sides="L")
    (case,) = study.cases()
    measure(study, case)
    store_reading(study, case, signed=True)
    async with reading_as(study.as_rater("anna"), "anna", case=case, language=language) as pilot:
        await settle(pilot)
        assert isinstance(pilot.app.screen, OverviewScreen)
        await pilot.press("left")
        await settle(pilot)
        check(pilot, f"overview-measured-80x24{SUFFIXES[language]}")
        await pilot.press("enter")
        await settle(pilot)
        check(pilot, f"second-look-measured-80x24{SUFFIXES[language]}")


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
async def test_pictures_of_an_adjudication(tmp_path: Path, language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The order of the raters' answers is drawn by the ID of the case, which is another one in each study.
    monkeypatch.setattr(Adjudication, "_shuffle_key", lambda queue, case, site, who: who.encode())
    study = read_study(tmp_path, {"anna": {Field(SITE, "ERO", 1): GradeEntry(4)}, "bert": {}})
    (case,) = study.cases()
    measure(study, case)
    queue = build_queue(find_disputes(study, collect_released_readings(study), DisputeLimits(case=2)))
    async with reading_as(Adjudication(study, queue), CONSENSUS, case=case, language=language) as pilot:
        await settle(pilot)
        await pilot.press("0", "2", "0", "0")
        await settle(pilot)
        check(pilot, f"adjudication-measured-80x24{SUFFIXES[language]}")


def test_without_measurements_the_line_takes_no_room() -> None:
    calls: list[str] = []
    shown = JointSpaceLine(Study.__new__(Study), reading(2), lambda: calls.append("drawn"))
    shown.on_joint_space_line_loaded(JointSpaceLine.Loaded({}))
    assert not shown.display
    shown.on_joint_space_line_loaded(JointSpaceLine.Loaded({SITE: {(0, 1): CHANGE}}))
    assert shown.display
    assert calls == ["drawn"]

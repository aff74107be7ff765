"""The tour: shown once, in the demo, one key after the other, without hindering the reading."""

import json
from pathlib import Path

import numpy as np
import pytest
from rich.cells import cell_len

from ratui.demo.sample import (
    TOUR_FILE,
    TRUTH_FILE,
    copy_sample,
    find_sample,
    format_known_grades,
    load_known_grades,
)
from ratui.phantom import simulate_patient
from ratui.practice.truth import truth_from_patient
from ratui.reading import Field
from ratui.study import Study
from ratui.terminal import Display
from ratui.tui.i18n.catalog import LANGUAGES, Catalog
from ratui.tui.input.actions import ACTIONS
from ratui.tui.screens.scoring.screen import ScoringScreen
from ratui.tui.screens.worklist.screen import WorklistScreen
from ratui.tui.tour.panel import TourPanel
from ratui.tui.tour.tour import STEPS, Tour
from ratui.tui.user_settings import UserSettings
from tests.films import make_study
from tests.tui.conftest import cells, reading_as, settle

pytestmark = pytest.mark.slow

KEYS = {
    "grade": "1",
    "undo": "u",
    "again": "1",
    "later": "1",
    "normal": "n",
    "zoom": "z",
    "overview": "o",
    "help": "question_mark",
}
COUNT = len(STEPS)


def test_it_has_six_keys_all_of_them_real() -> None:
    assert [step.name for step in STEPS] == list(KEYS)
    assert len({step.key for step in STEPS}) == 6
    assert {step.key for step in STEPS if step.key} <= {action.id for action in ACTIONS}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_step_has_words_that_name_its_key(language: str) -> None:
    t = Catalog(language)
    steps = [f"tour.{step.name}" for step in STEPS]
    for id in (*steps, *(id for id in t.ids if id.rpartition("_")[0] in steps)):
        text = t(id, key="0–5", grade=5)
        assert "0–5" in text
        assert cell_len(text) <= 70, "one line of a terminal of 80 columns"
    assert cell_len(t("tour.ended")) <= 76


async def test_each_key_leads_to_the_next_step_and_progress_is_stored(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    file = tmp_path / TOUR_FILE
    async with reading_as(study, "anna", tour=Tour(file)) as pilot:
        await pilot.press("enter")
        await settle(pilot)
        for place, step in enumerate(STEPS, 1):
            page = cells(pilot)
            assert f"{place}/{COUNT}" in page
            await pilot.press(KEYS[step.name])
            await settle(pilot)
            if not isinstance(pilot.app.screen, ScoringScreen):
                await pilot.press("escape")
                await settle(pilot)
        assert "End of the tour" in cells(pilot)
        await pilot.press("right")
        await settle(pilot)
        assert not pilot.app.screen.query(TourPanel)
    assert Tour(file).step is None
    async with reading_as(study, "anna", tour=Tour(file)) as pilot:
        await pilot.press("enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, ScoringScreen)
        assert not pilot.app.screen.query(TourPanel)


async def test_other_keys_do_what_they_always_do_and_the_tour_waits(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    async with reading_as(study, "anna", tour=Tour()) as pilot:
        await pilot.press("enter")
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        await pilot.press("z", "9")
        assert f"1/{COUNT}" in cells(pilot), "a key that is not asked for, and a grade that isn't there"
        await pilot.press("2", "3", "n", "n")
        await settle(pilot)
        assert f"2/{COUNT}" in cells(pilot)
        assert screen.reading.score(Field("L.IP1", "ERO", 1)) == 3
        assert screen.reading.score(Field("L.PIP3", "JSN", 1)) == 0


async def test_escape_ends_the_tour_and_only_then_leaves(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    file = tmp_path / TOUR_FILE
    async with reading_as(study, "anna", tour=Tour(file)) as pilot:
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("x", "escape")
        await settle(pilot)
        assert pilot.app.screen.query(TourPanel), "Esc took the question back, as it says there"
        await pilot.press("escape")
        await settle(pilot)
        assert isinstance(pilot.app.screen, ScoringScreen)
        assert not pilot.app.screen.query(TourPanel)
        await pilot.press("escape")
        await settle(pilot)
        assert isinstance(pilot.app.screen, WorklistScreen)
    assert Tour(file).step is None


async def test_a_changed_key_is_the_one_that_is_asked_for(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    settings = UserSettings("en", {"scoring.undo": "U"})
    async with reading_as(study, "anna", tour=Tour(), settings=settings) as pilot:
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("1")
        await settle(pilot)
        assert "Saved. U" in cells(pilot)
        await pilot.press("U")
        await settle(pilot)
        assert f"3/{COUNT}" in cells(pilot)


def test_progress_is_stored_in_the_copy_not_in_the_sample(tmp_path: Path) -> None:
    folder, _, _ = copy_sample(tmp_path / "mine")
    Tour(folder / TOUR_FILE).end()
    assert not (find_sample() / TOUR_FILE).exists()
    assert Study.open(folder).cases()


@pytest.mark.parametrize("text", ["", "{}", "3", '["grade", 3]', "not json", "[" * 5000])
def test_a_damaged_file_only_shows_the_tour_again(tmp_path: Path, text: str) -> None:
    file = tmp_path / TOUR_FILE
    file.write_text(text)
    tour = Tour(file)
    assert tour.step is not None
    tour.end()
    assert json.loads(file.read_text()) == sorted(step.name for step in STEPS)


async def test_without_a_tour_nothing_is_shown(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    async with reading_as(study, "anna") as pilot:
        await pilot.press("enter")
        await settle(pilot)
        assert not pilot.app.screen.query(TourPanel)


class TestKnownGrades:
    """The tour of the sample study, whose films have known grades."""

    def test_the_file_has_the_grades_of_the_simulated_patients(self) -> None:
        study = Study.open(find_sample())
        seeds = np.random.SeedSequence(7).spawn(4)
        patients = [simulate_patient(np.random.default_rng(seed), study.scheme, visits=2) for seed in seeds]
        sites = study.case(study.cases()[0]).sites(study.scheme)
        drawn = [truth_from_patient(patient, sites) for patient in patients]
        known = load_known_grades()
        found = {
            case: truth
            for case in study.cases()
            for truth in drawn
            if all(truth[field].score == grade for field, (_, grade) in known[case].items())
        }
        assert set(found) == set(known) == set(study.cases())
        assert len({id(truth) for truth in found.values()}) == 4
        assert find_sample().with_name(TRUTH_FILE).read_text() == format_known_grades(found, study.scheme)

    def test_the_readings_of_the_sample_agree_with_them(self) -> None:
        study, known = Study.open(find_sample()), load_known_grades()
        for case in study.cases():
            reading = study.reading("ada", case)
            if reading is not None and reading.signed_at is not None:
                right = [reading.score(field) == known[case][field].grade for field in known[case]]
                assert sum(right) > 0.85 * len(right)

    @pytest.mark.parametrize("greys", [30, 256])
    async def test_the_tour_names_them_and_shows_no_warning(self, tmp_path: Path, greys: int) -> None:
        folder, rater, case = copy_sample(tmp_path / "mine")
        assert case is not None
        known = load_known_grades()
        async with reading_as(Study.open(folder), rater, case=case, tour=Tour(None, known)) as pilot:
            pilot.app.graphics = Display("halfcell", levels=greys)  # type: ignore[attr-defined]
            await settle(pilot)
            screen = pilot.app.screen
            assert isinstance(screen, ScoringScreen)
            for step in STEPS:
                page = cells(pilot)
                assert "coarse" not in page
                assert "grey levels" not in page
                key = KEYS[step.name]
                if step.name in ("grade", "again", "later"):
                    key = known[case][screen.scoring_session.field].key
                    assert f"press {key}." in page.lower()
                await pilot.press(key)
                await settle(pilot)
                assert screen.scoring_session.pending is None, "no unlikely change"
                if pilot.app.screen is not screen:
                    await pilot.press("escape")
                    await settle(pilot)
            assert "End of the tour" in cells(pilot)
            scores = {field: screen.reading.score(field) for field in screen.reading.values}
            assert len(scores) == 6
            assert scores == {field: known[case][field].grade for field in scores}

    async def test_a_wrong_grade_is_named_and_n_is_not_asked_for_at_a_joint_that_is_not_normal(
        self, tmp_path: Path
    ) -> None:
        folder, rater, case = copy_sample(tmp_path / "mine")
        mine = UserSettings("en", grades={2: "é"})
        tour = Tour(None, load_known_grades())
        async with reading_as(Study.open(folder), rater, case=case, settings=mine, tour=tour) as pilot:
            await settle(pilot)
            assert "Press é." in cells(pilot), "the user's own key of the grade"
            await pilot.press("1")
            await settle(pilot)
            assert "the true grade is 2" in cells(pilot)
            await pilot.press("u", "1")
            await settle(pilot)
            assert f"4/{COUNT}" in cells(pilot), "the step is done"
            assert "its true grade is 2. u undoes it" in cells(pilot)
            await pilot.press("u")
            await settle(pilot)
            assert "true grade is 2. u undoes" not in cells(pilot)
            await pilot.press("é", "slash", *"lmcp2", "enter")
            await settle(pilot)
            assert "This joint is not normal" in cells(pilot)
            await pilot.press("right")
            await settle(pilot)
            assert "n enters 0" in cells(pilot)

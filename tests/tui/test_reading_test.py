"""The reading test on the screen: which keys answer, what the result says, and the same films as on the scoring screen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot

from ratui.errors import StoreError
from ratui.practice.reading_test import PARTS, PartPlan, ReadingTest
from ratui.study.campaign.display_tests import DisplayFacts, DisplayTest, PartResult, TrialResult
from ratui.terminal import Display
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.screens.reading_test.app import ReadingTestApp
from ratui.tui.screens.reading_test.screen import ReadingTestScreen
from ratui.tui.screens.reading_test.text import describe_test, draw_interval
from ratui.tui.user_settings import UserSettings
from ratui.tui.widgets.joint_viewer import JointViewer
from tests.films import make_study
from tests.tui.conftest import CalmTypist, cells, label_text, offered_keys, press_each, reading_as, settle
from tests.tui.snapshots import check

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def coarse_films(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate films of fewer pixels, which takes less time."""
    monkeypatch.setattr("ratui.practice.reading_test.PIXEL_SIZE", 0.4)


SHORT = tuple(PartPlan(plan.part, plan.sizes, 2) for plan in PARTS)


@asynccontextmanager
async def run_reading_test(
    *,
    size: tuple[int, int] = (80, 24),
    language: str = "en",
    parts: tuple[PartPlan, ...] = SHORT,
    store: Callable[[DisplayTest], None] | None = None,
) -> AsyncIterator[tuple[Pilot[None], ReadingTestScreen]]:
    """Run a short test without a terminal; the keys arrive two seconds apart."""
    test = ReadingTest(11, parts)
    app = ReadingTestApp(test, Display("halfcell"), UserSettings(language), rater="anna", store=store)
    app.key_queue.reaction_seconds = 0.0
    app.key_queue.time_of = CalmTypist()
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        screen = app.screen
        assert isinstance(screen, ReadingTestScreen)
        pilot.press = partial(_press, screen, app, pilot.press)  # type: ignore[method-assign]
        yield pilot, screen


async def _press(screen: ReadingTestScreen, app: ReadingTestApp, press: Callable[..., object], *keys: str) -> None:
    for key in keys:
        await press_each(app, press, key)  # type: ignore[arg-type]
        await wait_for_films(screen)


async def wait_for_films(screen: ReadingTestScreen) -> None:
    """Wait until the films of the present trial are painted."""
    while screen.is_running and screen._shown is not None and screen._watch.find_display_problem() is not None:
        await asyncio.sleep(0.002)


async def answer(pilot: Pilot[None], screen: ReadingTestScreen, *, is_correct: bool = True) -> None:
    trial = screen._test.trial
    assert trial is not None
    await pilot.press("12"[trial.place if is_correct else 1 - trial.place])


@pytest.mark.parametrize(
    ("width", "height", "language"), [(80, 24, "en"), (120, 40, "en"), (200, 60, "en"), (80, 24, "ja")]
)
async def test_all_steps_by_keys(width: int, height: int, language: str) -> None:
    stored: list[DisplayTest] = []
    name = f"{width}x{height}" + (".ja" if language == "ja" else "")
    async with run_reading_test(size=(width, height), language=language, store=stored.append) as (pilot, screen):
        check(pilot, f"reading-test-introduction-{name}")
        await pilot.press("enter")
        check(pilot, f"reading-test-example-{name}")
        await pilot.press("enter")
        check(pilot, f"reading-test-trial-{name}")
        await answer(pilot, screen)
        await answer(pilot, screen, is_correct=False)
        assert "JSN" not in label_text(pilot)
        await pilot.press("enter")
        await answer(pilot, screen)
        await answer(pilot, screen)
        check(pilot, f"reading-test-result-{name}")
    (test,) = stored
    assert screen.outcome.test == test
    assert [part.correct for part in test.parts] == [1, 2]
    assert (test.display.columns, test.display.rows, test.display.protocol) == (width, height, "halfcell")


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_films_are_as_large_as_on_the_scoring_screen(tmp_path: Path, size: tuple[int, int]) -> None:
    async with reading_as(make_study(tmp_path, sides="L"), "anna", size=size) as pilot:
        await pilot.press("enter")
        scoring = [view.region for view in pilot.app.screen.query_one(JointViewer).views]
    async with run_reading_test(size=size) as (other, screen):
        await other.press("enter")
        assert [view.region for view in screen.query_one(JointViewer).views] == scoring


async def test_a_key_before_the_films_are_painted_is_no_answer() -> None:
    async with run_reading_test() as (pilot, screen):
        await pilot.press("enter", "enter")
        app = pilot.app
        assert isinstance(app, ReadingTestApp)
        app.key_queue.time_of = lambda key: 0.0
        await pilot.press("1")
        assert screen._test.count_answers("erosion") == 0
        assert Catalog("en")("scoring.ignored_too_early") in label_text(pilot)


async def test_an_answer_of_a_key_that_is_held_down_is_withdrawn() -> None:
    async with run_reading_test() as (pilot, screen):
        await pilot.press("enter", "enter")
        await answer(pilot, screen)
        assert screen._test.count_answers("erosion") == 1
        assert isinstance(pilot.app, ReadingTestApp)
        pilot.app.key_queue._withdraw([0], "held")
        await wait_for_films(screen)
        assert screen._test.count_answers("erosion") == 0
        assert Catalog("en")("reading_test.withdrawn") in label_text(pilot)


async def test_another_size_begins_the_test_again() -> None:
    parts = tuple(replace(plan, trials=3) for plan in SHORT)
    async with run_reading_test(parts=parts) as (pilot, screen):
        await pilot.press("enter", "enter")
        await answer(pilot, screen)
        await pilot.resize_terminal(100, 30)
        await wait_for_films(screen)
        await answer(pilot, screen)
        assert screen._test.count_answers("erosion") == 0
        assert Catalog("en")("reading_test.restarted") in label_text(pilot)
        await answer(pilot, screen)
        assert screen._test.count_answers("erosion") == 1


async def test_another_size_in_the_second_part_keeps_the_first() -> None:
    stored: list[DisplayTest] = []
    async with run_reading_test(store=stored.append) as (pilot, screen):
        await pilot.press("enter", "enter")
        await answer(pilot, screen)
        await answer(pilot, screen)
        await pilot.press("enter")
        await pilot.resize_terminal(100, 30)
        await wait_for_films(screen)
        await answer(pilot, screen)
        counts = [screen._test.count_answers(part) for part in ("erosion", "narrowing")]
        assert counts == [2, 0], "the answer on another display does not count"
        assert "Set the terminal to 80 × 24 again" in label_text(pilot)
        await pilot.resize_terminal(80, 24)
        await wait_for_films(screen)
        await answer(pilot, screen)
        await answer(pilot, screen)
    assert [(len(part.trials), part.correct) for test in stored for part in test.parts] == [(2, 2), (2, 2)]


async def test_escape_keeps_a_complete_part_and_nothing_else() -> None:
    stored: list[DisplayTest] = []
    async with run_reading_test(store=stored.append) as (pilot, screen):
        await pilot.press("enter", "enter")
        await answer(pilot, screen)
        screen.perform("leave")
        assert screen.outcome.test is None
    async with run_reading_test(store=stored.append) as (pilot, screen):
        await pilot.press("enter", "enter")
        await answer(pilot, screen)
        await answer(pilot, screen)
        await pilot.press("escape")
        assert Catalog("en")("reading_test.no_narrowing") in cells(pilot)
        assert offered_keys(pilot) >= {"Enter", "Esc"}
    assert [[part.part for part in test.parts] for test in stored] == [["erosion"]]


async def test_a_result_that_cannot_be_stored_is_shown_with_the_reason() -> None:
    def refuse(test: DisplayTest) -> None:
        raise StoreError("not saved: No space left on device", "file", "Free some disk space")

    async with run_reading_test(store=refuse) as (pilot, screen):
        await pilot.press("enter", "enter")
        await answer(pilot, screen)
        await answer(pilot, screen)
        await pilot.press("escape")
        assert "No space left" in label_text(pilot)
        assert screen.outcome.test is not None
        assert isinstance(screen.outcome.error, StoreError)


async def test_the_zoom_is_chosen_at_the_example_and_recorded() -> None:
    async with run_reading_test() as (pilot, screen):
        await pilot.press("enter", "z", "enter")
        await pilot.press("z")
        await answer(pilot, screen)
        assert screen._read_display().zoom == 1.2
        assert "z" not in offered_keys(pilot)


FACTS = DisplayFacts("xterm(390)", "halfcell", 80, 24, (10, 20), (30, 32), 0.9, False, 256, (), 1.7, "terminal")
TRIALS = (TrialResult(0, 1.0, "L.MCP2", 0, 0, 1.0),)


def result(erosion: tuple[float, float, float], narrowing: tuple[float, float, float]) -> DisplayTest:
    parts = (
        PartResult("erosion", *erosion, 0.25, 6.0, 0.6, None, TRIALS),
        PartResult("narrowing", *narrowing, 0.04, 0.8, None, 1.3, TRIALS),
    )
    return DisplayTest("a", "2026-01-02T03:04:05+00:00", "1.0", "1", FACTS, parts)


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_question_behind_a_message_fits_80_columns(language: str) -> None:
    t = Catalog(language)
    assert cell_len(t("reading_test.other_display", columns=200, rows=100, leave="Esc")) <= 78
    for message in ("is_right", "is_wrong", "restarted", "withdrawn"):
        for part in ("erosion", "narrowing"):
            assert cell_len(f" {t(f'reading_test.{message}')} {t(f'reading_test.ask_{part}')}") <= 79


@pytest.mark.parametrize(
    ("threshold", "low", "high", "line"),
    [
        (1.225, 0.6, 2.5, "0.25 ├─────────────━━━━━━━━━━━●━━━━━━━━━━─────────────┤ 6.0 mm"),
        (0.1, 0.06, 0.25, "0.25 ├◀───────────────────────────────────────────────┤ 6.0 mm"),
        (9.0, 4.5, 20.0, "0.25 ├───────────────────────────────────────────━━━━▶┤ 6.0 mm"),
    ],
)
def test_the_interval_is_drawn_on_the_sizes_of_the_test(threshold: float, low: float, high: float, line: str) -> None:
    assert draw_interval(result((threshold, low, high), (0.1, 0.05, 0.2)).parts[0]) == line


def test_the_lines_of_both_parts_begin_at_the_same_column() -> None:
    lines = [draw_interval(part) for part in result((1.2, 0.6, 2.5), (0.1, 0.05, 0.2)).parts]
    assert [line.index("├") for line in lines] == [5, 5]


@pytest.mark.parametrize(("answer", "side"), [(0, "left"), (1, "right")])
def test_answers_for_one_film_alone_say_nothing_of_the_display(answer: int, side: str) -> None:
    t, test = Catalog("en"), result((9.0, 4.5, 20.0), (0.1, 0.05, 0.2))
    trials = tuple(TrialResult(draw, 1.0, "L.MCP2", draw % 2, answer, 1.0) for draw in range(20))
    erosion = replace(test.parts[0], trials=trials)
    text = "\n".join(describe_test(t, replace(test, parts=(erosion, test.parts[1]))))
    assert f"You chose the {side} joint in 20 of 20 pairs" in text
    assert "Erosions (60 % of the mineral missing): no result (10 of 20 right)" in text
    assert "not reached" not in text
    assert t("reading_test.erosion_poor") not in text
    assert t("reading_test.helps") not in text
    other = tuple(replace(trial, answer=1 - answer) for trial in trials[:3])
    assert replace(erosion, trials=(*other, *trials[3:])).is_one_sided
    assert not replace(erosion, trials=(*other, replace(trials[3], answer=1 - answer), *trials[4:])).is_one_sided
    assert not replace(erosion, trials=trials[:9]).is_one_sided


@pytest.mark.parametrize(
    ("erosion", "narrowing", "found", "missing"),
    [
        ((0.6, 0.4, 0.9), (0.1, 0.05, 0.2), ("erosion_good", "narrowing_good"), ("helps", "uncertain")),
        ((0.9, 0.5, 1.4), (0.1, 0.05, 0.2), ("erosion_good", "uncertain"), ("helps",)),
        (
            (1.5, 1.1, 1.9),
            (0.4, 0.3, 0.45),
            ("erosion_some", "narrowing_some", "advice_graphics", "advice_window"),
            ("uncertain",),
        ),
        ((9.0, 4.5, 20.0), (1.5, 0.7, 3.0), ("erosion_poor", "narrowing_poor", "helps"), ("uncertain",)),
        ((3.0, 0.2, 20.0), (0.1, 0.05, 0.2), ("erosion_poor", "uncertain"), ("narrowing_some",)),
    ],
)
@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_result_in_words(
    language: str,
    erosion: tuple[float, float, float],
    narrowing: tuple[float, float, float],
    found: tuple[str, ...],
    missing: tuple[str, ...],
) -> None:
    t = Catalog(language)
    text = "\n".join(describe_test(t, result(erosion, narrowing)))
    assert all(t(f"reading_test.{id}") in text for id in found)
    assert not any(t(f"reading_test.{id}") in text for id in missing)
    assert ("4.5 mm" in text) == (erosion[1] == 4.5)
    assert ("< 0.25" in text) == (erosion[1] == 0.2)

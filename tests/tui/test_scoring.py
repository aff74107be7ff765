"""The scoring screen: its layout at every size and in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual.pilot import Pilot
from textual.widgets import Static

from ratui.reading import Field, GradeEntry
from ratui.tui.i18n.catalog import LANGUAGES, Catalog
from ratui.tui.screens.overview.screen import OverviewScreen
from ratui.tui.screens.scoring.screen import ScoringScreen
from ratui.tui.screens.worklist.screen import WorklistScreen
from ratui.tui.theme import WAITING, find_style
from ratui.tui.user_settings import UserSettings
from ratui.tui.widgets.film_view import FilmView
from ratui.tui.widgets.joint_viewer import JointViewer
from tests.films import make_study
from tests.tui.conftest import cells, full_disk, label_text, offered_keys, reading_as, settle

pytestmark = pytest.mark.slow

SIZES = [(80, 24), (120, 40), (200, 60)]


def scoring(pilot: Pilot[None]) -> ScoringScreen:
    assert isinstance(pilot.app.screen, ScoringScreen)
    return pilot.app.screen


def text_of(pilot: Pilot[None], id: str) -> str:
    return str(pilot.app.screen.query_one(f"#{id}", Static).render())


def waiting(pilot: Pilot[None]) -> list[str]:
    """Return the blocks that mark the active fields, on the lines below the films."""
    found = []
    for place in (0, 1):
        content = pilot.app.screen.query_one(f"#fields{place}", Static).content
        assert isinstance(content, Text)
        found += [f"{place} {content.plain[s.start : s.end]}" for s in content.spans if is_waiting(s.style)]
    return found


def is_waiting(style: str | Style) -> bool:
    """Return whether `style` is that of an active field, whatever a click on it selects."""
    return isinstance(style, Style) and style.clear_meta_and_links() == find_style(WAITING)


class TestWhatIsAsked:
    async def test_exactly_the_waiting_field_is_a_block_in_brackets(self, tmp_path: Path) -> None:
        async with reading_as(make_study(tmp_path), "anna") as pilot:
            await pilot.press("enter")
            assert waiting(pilot) == ["0 [ERO ▁]"]
            await pilot.press("0")
            assert waiting(pilot) == ["1 [ERO ▁]"]
            await pilot.press("0", "=")
            assert waiting(pilot) == ["0 [ERO ▁]", "1 [ERO ▁]"]
            await pilot.press("2")
            assert waiting(pilot) == ["0 [JSN ▁]", "1 [JSN ▁]"]

    async def test_the_film_of_the_waiting_field_is_marked_above_too(self, tmp_path: Path) -> None:
        async with reading_as(make_study(tmp_path), "anna") as pilot:
            await pilot.press("enter")
            assert "▼ earlier" in text_of(pilot, "title0")
            assert "▼" not in text_of(pilot, "title1")
            await pilot.press("0")
            assert "▼" not in text_of(pilot, "title0")
            assert "▼ later" in text_of(pilot, "title1")

    async def test_only_possible_keys_are_there_with_their_meanings(self, tmp_path: Path) -> None:
        async with reading_as(make_study(tmp_path), "anna") as pilot:
            await pilot.press("enter")
            assert {*"012345acxn?"} <= offered_keys(pilot)
            assert not {*"678slu="} & offered_keys(pilot), "no JSN here, nothing to undo, one field a film"
            assert "3 large, past the midline" in text_of(pilot, "keys")
            await pilot.press("n", "a")
            assert not {*"012345sn"} & offered_keys(pilot)
            assert {*"acxu="} <= offered_keys(pilot)

    async def test_the_reason_of_a_refusal_is_beside_the_field(self, tmp_path: Path) -> None:
        async with reading_as(make_study(tmp_path), "anna") as pilot:
            await pilot.press("enter", "1", "9")
            assert "[ERO ▁] 0 to 5 here" in text_of(pilot, "fields1")
            assert "0 to 5" not in text_of(pilot, "fields0")
            await pilot.press("4")
            assert "[ERO 4?] Enter confirms" in text_of(pilot, "fields1")
            await pilot.press("enter")
            assert scoring(pilot).reading.score(Field("L.IP1", "ERO", 1)) == 4


class TestSides:
    async def test_a_left_hand_stands_left_and_a_right_one_right(self, tmp_path: Path) -> None:
        async with reading_as(make_study(tmp_path), "anna") as pilot:
            await pilot.press("enter")
            assert re.match(r" L  LEFT hand · IP1 ", text_of(pilot, "head"))
            assert set(text_of(pilot, "edgeL")) == {"L", "\n"}
            assert not text_of(pilot, "edgeR")
            await pilot.press("slash", *"rip", "enter")
            assert re.search(r" R  RIGHT hand · IP1 $", text_of(pilot, "head"))
            assert set(text_of(pilot, "edgeR")) == {"R", "\n"}
            assert not text_of(pilot, "edgeL")

    async def test_the_whole_film_with_its_marker_on_demand_and_never_longer(self, tmp_path: Path) -> None:
        async with reading_as(make_study(tmp_path), "anna") as pilot:
            await pilot.press("enter", "v")
            await settle(pilot)
            films = scoring(pilot).query_one(JointViewer)
            assert films.shows_whole_film
            assert "whole film" in text_of(pilot, "title0")
            assert all(view.key is not None for view in films.views)
            await pilot.press("0")
            assert films.shows_whole_film, "the same joint is still asked about"
            await pilot.press("0")
            assert not films.shows_whole_film, "the next joint is shown as a joint"


@pytest.mark.parametrize(("language", "size"), [*(("en", size) for size in SIZES), ("ja", SIZES[0])])
async def test_nothing_is_cut_off_and_lines_keep_their_place(
    tmp_path: Path, size: tuple[int, int], language: str
) -> None:
    width, height = size
    async with reading_as(make_study(tmp_path), "anna", size=size, language=language) as pilot:
        await pilot.press("enter")
        await settle(pilot)
        places = []
        for keys in ([], ["n", "2"], ["5"], ["5"], ["x"], ["escape"], ["f"], ["slash", *"rmcp2"], ["enter"]):
            await pilot.press(*keys)
            await settle(pilot)
            screen = scoring(pilot)
            places.append([(view.region, view.size) for view in screen.query(FilmView)])
            lines = cells(pilot).split("\n")
            assert len(lines) == height
            assert all(cell_len(line) <= width for line in lines)
            for id in ("head", "message"):
                assert cell_len(text_of(pilot, id)) <= width
            assert all(cell_len(line) <= width for line in text_of(pilot, "keys").split("\n"))
            if screen.scoring_session.mode == "entry":
                assert screen.reading.site(screen.scoring_session.site).joint.label in text_of(pilot, "head")
                assert "?" in offered_keys(pilot)
        assert all(place == places[0] for place in places), "the films stay where they are"
        map_shown = pilot.app.screen.query_one("#map").display
        assert map_shown == (width >= 140)


async def test_the_map_shows_where_how_far_and_the_latest_entries(tmp_path: Path) -> None:
    async with reading_as(make_study(tmp_path), "anna", size=(140, 40)) as pilot:
        await pilot.press("enter", "n", "2", "3", "n", "f")
        await settle(pilot)
        text = text_of(pilot, "map")
        assert "LEFT hand" in text
        assert "2/10" in text
        assert "· ·!" in text, "the flagged joint is asked for"
        assert "3 0" in text, "PIP2 with its worst score of each scale"
        assert text.split("\n")[-3:] == ["PIP2 ERO later    3", "PIP2 ERO earlier  2", "IP1 ×2            0"]


@pytest.mark.parametrize(("size", "share"), [((80, 24), 0.62), ((120, 40), 0.75), ((200, 60), 0.80)])
async def test_films_hold_most_of_the_screen(tmp_path: Path, size: tuple[int, int], share: float) -> None:
    async with reading_as(make_study(tmp_path), "anna", size=size) as pilot:
        await pilot.press("enter")
        await settle(pilot)
        views = scoring(pilot).joint_viewer.views
        assert len(views) == 2
        assert sum(view.size.width * view.size.height for view in views) >= share * size[0] * size[1]


async def test_the_users_own_keys_enter_grades_and_the_log_keeps_the_digit(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    settings = UserSettings("en", grades={0: "à", 2: "é"})
    async with reading_as(study, "anna", settings=settings) as pilot:
        await pilot.press("enter", "é")
        assert " à none" in text_of(pilot, "keys")
        assert " é large" in text_of(pilot, "keys")
        await pilot.press("2", "x", "é")
        assert "é" in text_of(pilot, "message"), "no reason has this key"
        await pilot.press("escape", "à")
        assert [entry.key for entry in scoring(pilot).reading.log] == ["2", "2", "0"]


async def test_flags_and_notes_are_seen_at_their_joint(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    async with reading_as(study, "anna") as pilot:
        await pilot.press("enter", "f")
        assert "flagged" in text_of(pilot, "message")
        await pilot.press("m", *"cyst", "space", *"or", "space", *"erosion", "question_mark")
        assert " note: cyst or erosion?" in cells(pilot)
        await pilot.press("enter", "right")
        assert "cyst" not in text_of(pilot, "message")
        await pilot.press("left")
        assert "flagged · note: cyst or erosion?" in text_of(pilot, "message")
    reading = study.reading("anna", study.cases()[0])
    assert reading is not None
    assert reading.notes == {"L.IP1": "cyst or erosion?"}


async def test_the_time_of_the_last_save_is_always_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with reading_as(make_study(tmp_path), "anna") as pilot:
        await pilot.press("enter", "1")
        assert re.search(r"saved \d\d:\d\d:\d\d ✓", text_of(pilot, "message"))
        await pilot.press("9")
        assert re.search(r"ranges from 0 to 5 here +saved \d\d:\d\d:\d\d ✓", text_of(pilot, "message"))
        with full_disk(monkeypatch):
            await pilot.press("1")
            assert "NOT SAVED" in text_of(pilot, "message")
            assert "saved 1" not in text_of(pilot, "message")
        await pilot.press("0")
        assert "NOT SAVED" not in label_text(pilot)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_message_takes_the_place_of_the_last_save(tmp_path: Path, language: str) -> None:
    async with reading_as(make_study(tmp_path), "anna", settings=UserSettings(language), size=(80, 24)) as pilot:
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("2")
        await settle(pilot)
        assert "✓" in label_text(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        for id in ("text.input_paused", "text.paste_ignored", "scoring.not_aligned_unlike", "scoring.withdrawn_reply"):
            screen.show_message(screen.t(id))
            assert screen.t(id) in label_text(pilot)


async def test_the_signature_key_is_labelled_where_it_signs(tmp_path: Path) -> None:
    async with reading_as(make_study(tmp_path), "anna") as pilot:
        await pilot.press("enter", "S")
        assert "sign with S on the overview; o opens it" in text_of(pilot, "message")
        await pilot.press("o")
        await settle(pilot)
        assert isinstance(pilot.app.screen, OverviewScreen)


async def test_returning_keeps_the_active_field_even_after_a_jump(tmp_path: Path) -> None:
    async with reading_as(make_study(tmp_path), "anna") as pilot:
        await pilot.press("enter", "slash", *"rmcp4", "enter", "1", "1", "0", "escape")
        await settle(pilot)
        assert isinstance(pilot.app.screen, WorklistScreen)
        await pilot.press("enter")
        assert scoring(pilot).field == Field("R.MCP4", "JSN", 1)
        assert "✓" in text_of(pilot, "message"), "what was read before is saved"


async def test_the_time_of_a_case_grows_with_its_keys_and_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ratui.study.readings import reading_session

    study = make_study(tmp_path)
    now = 0.0

    class Clock:
        def __init__(self, session: object) -> None:
            self.auto_saver = reading_session.AutoSaver(session, clock=lambda: now)  # type: ignore[arg-type]

    monkeypatch.setattr("ratui.tui.screens.case_flow.AutoSaver", lambda session: Clock(session).auto_saver)
    async with reading_as(study, "anna") as pilot:
        await pilot.press("enter")
        for pause in (4.0, 3.0, 1000.0):
            now += pause
            await pilot.press("0")
        await pilot.press("escape")
    assert study.state("anna", study.cases()[0]).seconds == 4.0 + 3.0 + reading_session.MAX_PAUSE


async def test_another_language_while_reading(tmp_path: Path) -> None:
    async with reading_as(make_study(tmp_path), "anna", language="ja") as pilot:
        await pilot.press("enter", "1")
        assert "左手 · IP1" in text_of(pilot, "head")
        assert "評価不能" in text_of(pilot, "keys")
        assert "保存" in text_of(pilot, "message")
        await pilot.press("9")
        assert "0〜5まで" in text_of(pilot, "fields1")
        assert dict(scoring(pilot).reading.values) == {Field("L.IP1", "ERO", 0): GradeEntry(1)}


def test_every_refusal_on_this_screen_has_a_text() -> None:
    english, japanese = Catalog("en"), Catalog("ja")
    kinds = ("signed", "absent", "out_of_range", "fixed", "does_not_heal", "sets_nothing", "not_normal")
    for kind in (*kinds, "nothing_to_take_over", "nothing_to_clear", "nothing_to_undo", "no_reason"):
        for t in (english, japanese):
            word = t(f"scoring.field_hint.{kind}", maximum=5, label="x")
            assert cell_len(word) <= 20, "beside the field, at 80 columns"

"""The review screen: which joints come in which order, keys that keep and change, and no accidental signature."""

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from ratui.reading import Entry, Field, FindingEntry, GradeEntry, NotAssessableEntry, Reading
from ratui.scheme import load_scheme
from ratui.study import Study
from ratui.tui.screens.overview.screen import OverviewScreen
from ratui.tui.screens.review.screen import ReviewScreen
from ratui.tui.screens.scoring.screen import ScoringScreen
from ratui.tui.screens.worklist.screen import WorklistScreen
from ratui.tui.widgets.film_view import FilmView
from tests.films import exchange_positions, make_study
from tests.tui.conftest import full_disk, label_text, reading_as, settle, type_ahead
from tests.tui.readings import store_reading

pytestmark = pytest.mark.slow

SCHEME = load_scheme("fingers")
JUMP: dict[Field, Entry] = {Field("L.MCP4", "ERO", 1): GradeEntry(4)}
WORST_FIRST: dict[Field, Entry] = {
    Field("L.PIP2", "ERO", 1): GradeEntry(1),  # a change
    Field("R.MCP2", "ERO", 0): GradeEntry(2),  # a fall
    Field("L.MCP4", "ERO", 1): GradeEntry(4),  # a jump
}


def one_case(tmp_path: Path, special: dict[Field, Entry] | None = None, **more: object) -> tuple[Study, str]:
    """Return a study of one case, filled with 0 except for `special`, and its case."""
    study = make_study(tmp_path)
    (case,) = study.cases()
    store_reading(study, case, special, **more)  # type: ignore[arg-type]
    return study, case


async def opened(pilot: Pilot[None]) -> ReviewScreen:
    """Open a filled case, which leads to the review screen."""
    await settle(pilot)
    await pilot.press("enter")
    await settle(pilot)
    screen = pilot.app.screen
    assert isinstance(screen, ReviewScreen)
    return screen


def stored(study: Study) -> Reading:
    (case,) = study.cases()
    reading = study.reading("anna", case)
    assert reading is not None
    return reading


class TestWhatComes:
    async def test_joints_to_review_come_worst_first_with_one_key_each(self, tmp_path: Path) -> None:
        study, _ = one_case(tmp_path, WORST_FIRST)
        async with reading_as(study, "anna") as pilot:
            screen = await opened(pilot)
            seen: list[str] = []
            while pilot.app.screen is screen:
                assert len(seen) < 9
                seen.append(screen.item.site)
                await pilot.press("enter")
                await settle(pilot)
            assert seen == ["R.MCP2", "L.MCP4", "L.PIP2"]
            assert isinstance(pilot.app.screen, OverviewScreen)
            await pilot.press("S")
            await settle(pilot)
            assert isinstance(pilot.app.screen, WorklistScreen)
        reading = stored(study)
        assert reading.signed_at
        assert [entry.kind for entry in reading.log[-1:]] == ["sign"], "keeping leaves no trace but the signature"

    async def test_a_normal_case_goes_straight_to_the_overview_and_one_key_signs(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        async with reading_as(study, "anna") as pilot:
            await settle(pilot)
            await pilot.press("enter")
            await settle(pilot)
            await pilot.press(*["n"] * 20)
            await settle(pilot)
            assert isinstance(pilot.app.screen, OverviewScreen)
            await pilot.press("S")
            await settle(pilot)
            assert isinstance(pilot.app.screen, WorklistScreen)
        assert stored(study).signed_at

    async def test_both_films_of_the_joint_are_there_and_change_by_themselves(self, tmp_path: Path) -> None:
        study, _ = one_case(tmp_path, WORST_FIRST)
        async with reading_as(study, "anna") as pilot:
            screen = await opened(pilot)
            before = [view.key for view in screen.query(FilmView)]
            assert None not in before
            await pilot.press("enter")
            await settle(pilot)
            after = [view.key for view in screen.query(FilmView)]
            assert None not in after
            assert set(before).isdisjoint(after)

    async def test_the_reason_and_the_note_of_the_rater_are_shown(self, tmp_path: Path) -> None:
        study, _ = one_case(tmp_path, JUMP, notes={"L.MCP4": "cyst?"}, flags=("L.MCP4",))
        async with reading_as(study, "anna") as pilot:
            await opened(pilot)
            why = label_text(pilot).split("\n")[1]
            for word in ("flagged", "ERO changes by 4", "cyst?"):
                assert word in why

    async def test_back_and_forward_change_nothing(self, tmp_path: Path) -> None:
        study, _ = one_case(tmp_path, WORST_FIRST)
        before = stored(study)
        async with reading_as(study, "anna") as pilot:
            screen = await opened(pilot)
            await pilot.press("right", "right", "right", "left")
            assert screen.item.site == "L.MCP4"
            await pilot.press("enter")
            assert screen.item.site == "L.PIP2"
            await pilot.press("enter")
            assert screen.item.site == "R.MCP2", "one that was passed over comes again"
            await pilot.press("enter")
            await settle(pilot)
            assert isinstance(pilot.app.screen, OverviewScreen)
        assert stored(study).values == before.values


class TestAChange:
    async def test_a_number_changes_the_field_that_stands_out_and_goes_on(self, tmp_path: Path) -> None:
        study, _ = one_case(tmp_path, WORST_FIRST)
        async with reading_as(study, "anna") as pilot:
            screen = await opened(pilot)
            await pilot.press("enter", "1")
            assert screen.item.site == "L.PIP2"
            assert "4 → 1" in label_text(pilot)
        last = stored(study).log[-1]
        assert (last.kind, last.key) == ("enter", "1")
        assert last.changes[0].field == Field("L.MCP4", "ERO", 1)

    async def test_tab_reaches_the_other_fields(self, tmp_path: Path) -> None:
        study, _ = one_case(tmp_path, JUMP)
        async with reading_as(study, "anna") as pilot:
            screen = await opened(pilot)
            first = screen.field
            fields = [first]
            for _ in range(3):
                await pilot.press("tab")
                fields.append(screen.field)
            assert set(fields) == set(screen.reading.joint_fields("L.MCP4"))
            await pilot.press("tab")
            assert screen.field == first

    async def test_undo_takes_back_what_was_changed_here_and_no_more(self, tmp_path: Path) -> None:
        study, _ = one_case(tmp_path, WORST_FIRST)
        before = stored(study)
        async with reading_as(study, "anna") as pilot:
            screen = await opened(pilot)
            await pilot.press("u")
            assert "Nothing was changed" in label_text(pilot)
            await pilot.press("enter", "1", "u")
            assert screen.item.site == "L.MCP4"
            assert screen.field == Field("L.MCP4", "ERO", 1)
            await pilot.press("u")
            assert "Nothing was changed" in label_text(pilot)
        assert stored(study).values == before.values
        assert [entry.kind for entry in stored(study).log[-2:]] == ["enter", "undo"]

    async def test_enter_confirms_an_unlikely_one(self, tmp_path: Path) -> None:
        study, _ = one_case(tmp_path, {Field("L.MCP4", "ERO", 1): GradeEntry(1)})
        async with reading_as(study, "anna") as pilot:
            screen = await opened(pilot)
            await pilot.press("5")
            assert "press Enter to confirm" in label_text(pilot)
            assert screen.reading.score(screen.field) == 1
            await pilot.press("2")
            await settle(pilot)
        assert stored(study).log[-1].is_confirmed is False
        assert stored(study).score(Field("L.MCP4", "ERO", 1)) == 2
        async with reading_as(study, "anna") as pilot:
            await opened(pilot)
            await pilot.press("5", "enter")
            await settle(pilot)
        assert stored(study).log[-1].is_confirmed is True
        assert stored(study).score(Field("L.MCP4", "ERO", 1)) == 5

    async def test_fields_opened_by_a_change_must_be_answered_first(self, tmp_path: Path) -> None:
        special: dict[Field, Entry] = {Field("L.MCP4", "ERO", time): FindingEntry("collapse") for time in (0, 1)}
        study, _ = one_case(tmp_path, special)
        async with reading_as(study, "anna") as pilot:
            screen = await opened(pilot)
            assert screen.field == Field("L.MCP4", "ERO", 1)
            await pilot.press("x", "u")
            assert screen.field == Field("L.MCP4", "JSN", 1)
            assert "JSN is open: answer it first" in label_text(pilot)
            await pilot.press("enter")
            assert pilot.app.screen is screen
            assert screen.item.site == "L.MCP4"
            await pilot.press("x", "u")
            await settle(pilot)
            assert isinstance(pilot.app.screen, OverviewScreen)
        assert stored(study).values[Field("L.MCP4", "JSN", 1)] == NotAssessableEntry("unreadable")

    async def test_an_impossible_key_does_nothing_and_says_why(self, tmp_path: Path) -> None:
        study, _ = one_case(tmp_path, JUMP)
        before = stored(study)
        async with reading_as(study, "anna") as pilot:
            screen = await opened(pilot)
            await pilot.press("9")
            assert "ERO ranges from 0 to 5 here" in label_text(pilot)
            await pilot.press("S")
            assert pilot.app.screen is screen, "nothing is signed here"
            await pilot.press("Q")
            assert "has no function here" in label_text(pilot)
        assert stored(study) == before

    async def test_the_signature_key_names_the_screen_on_which_it_signs(self, tmp_path: Path) -> None:
        study, _ = one_case(tmp_path, JUMP)
        async with reading_as(study, "anna") as pilot:
            await opened(pilot)
            await pilot.press("S")
            assert "sign with S on the overview" in label_text(pilot)
            assert stored(study).signed_at is None

    async def test_the_flag_can_be_taken_away(self, tmp_path: Path) -> None:
        study, _ = one_case(tmp_path, flags=("R.PIP3",))
        async with reading_as(study, "anna") as pilot:
            await opened(pilot)
            await pilot.press("f", "enter")
            await settle(pilot)
            assert isinstance(pilot.app.screen, OverviewScreen)
        assert not stored(study).flags

    async def test_a_full_disk_is_reported_and_the_change_is_kept(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:

        study, _ = one_case(tmp_path, WORST_FIRST)
        async with reading_as(study, "anna") as pilot:
            await opened(pilot)
            with full_disk(monkeypatch):
                await pilot.press("enter", "1")
                assert "NOT SAVED" in label_text(pilot)
            await pilot.press("enter")
            assert "NOT SAVED" not in label_text(pilot)
        assert stored(study).score(Field("L.MCP4", "ERO", 1)) == 1


class TestSigning:
    async def test_keys_typed_ahead_neither_change_nor_sign(self, tmp_path: Path) -> None:
        """Press twenty joints and more keys than there are fields, before the next screen can have been seen."""
        study = make_study(tmp_path)
        async with reading_as(study, "anna") as pilot:
            await settle(pilot)
            await pilot.press("enter")
            await settle(pilot)
            await pilot.press(*["n"] * 19)
            await type_ahead(pilot, "n", "n", "S", "enter")
            await settle(pilot)
            assert isinstance(pilot.app.screen, OverviewScreen)
            assert "ignored, typed" in label_text(pilot)
            assert not stored(study).signed_at
            await pilot.press("S")
            await settle(pilot)
        assert stored(study).signed_at

    async def test_a_surplus_digit_neither_changes_nor_keeps_anything(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        async with reading_as(study, "anna") as pilot:
            await settle(pilot)
            await pilot.press("enter")
            await settle(pilot)
            await pilot.press(*["n"] * 19, "0", "0", "0")
            await type_ahead(pilot, "2", "0", "enter", "S")
            await settle(pilot)
            assert isinstance(pilot.app.screen, ReviewScreen)
            assert pilot.app.screen.item.site == "R.MCP5"
        assert stored(study).score(Field("R.MCP5", "JSN", 1)) == 2
        assert not stored(study).signed_at

    async def test_joints_not_yet_reviewed_come_before_the_signature(self, tmp_path: Path) -> None:
        study, _ = one_case(tmp_path, WORST_FIRST)
        async with reading_as(study, "anna") as pilot:
            await opened(pilot)
            await pilot.press("enter", "escape", "o")
            await settle(pilot)
            assert isinstance(pilot.app.screen, OverviewScreen)
            assert "2 joints should be reviewed" in label_text(pilot)
            await pilot.press("S")
            await settle(pilot)
            screen = pilot.app.screen
            assert isinstance(screen, ReviewScreen)
            assert screen.item.site == "L.MCP4", "what was kept doesn't come again"
            await pilot.press("enter", "enter")
            await settle(pilot)
            await pilot.press("S")
            await settle(pilot)
        assert stored(study).signed_at

    async def test_leaving_goes_back_to_the_joint_in_the_reading(self, tmp_path: Path) -> None:
        study, _ = one_case(tmp_path, JUMP)
        async with reading_as(study, "anna") as pilot:
            await opened(pilot)
            await pilot.press("escape")
            await settle(pilot)
            assert isinstance(pilot.app.screen, ScoringScreen)
            assert pilot.app.screen.field is not None
            assert pilot.app.screen.field.site == "L.MCP4"

    async def test_the_time_of_the_review_counts(self, tmp_path: Path) -> None:
        study, case = one_case(tmp_path, WORST_FIRST, seconds=100.0)
        async with reading_as(study, "anna") as pilot:
            await opened(pilot)
            auto_saver = pilot.app.screen._auto_saver  # type: ignore[attr-defined]
            began = auto_saver._clock()
            auto_saver._clock = lambda: began + 20.0
            await pilot.press("enter", "1")
            await settle(pilot)
        assert 119 <= study.state("anna", case).seconds <= 140


class TestBlinded:
    async def test_the_same_left_and_right_look_the_same_in_either_order(self, tmp_path: Path) -> None:
        orders = {"anna": (0, 1), "bert": (1, 0)}
        study = make_study(tmp_path, blinded=True)
        (case,) = study.cases()
        for rater, order in orders.items():
            exchange_positions(study, case, rater, order)
        seen = []
        for rater, (left, right) in orders.items():
            special: dict[Field, Entry] = {
                Field("L.MCP4", "ERO", left): GradeEntry(4),
                Field("L.MCP4", "ERO", right): GradeEntry(1),
                Field("R.PIP2", "JSN", right): GradeEntry(1),
                Field("R.PIP3", "ERO", left): NotAssessableEntry("unreadable"),
            }
            store_reading(study, case, special, rater=rater)
            pages = []
            async with reading_as(study, rater) as pilot:
                screen = await opened(pilot)
                while pilot.app.screen is screen:
                    assert len(pages) < 9
                    assert screen.field is not None
                    place = screen.reading.order.index(screen.field.time)
                    pages.append((screen.item.site, screen.field.scale, place, label_text(pilot)))
                    await pilot.press("enter")
                    await settle(pilot)
                pages.append(("", "", 0, label_text(pilot)))
            seen.append(pages)
        assert seen[0] == seen[1]
        text = "\n".join(page[-1] for page in seen[0])
        for word in ("earlier", "later", "month", "falls"):
            assert word not in text


async def test_a_signed_reading_is_paged_through_joint_by_joint(tmp_path: Path) -> None:
    study, _ = one_case(tmp_path, JUMP, signed=True)
    async with reading_as(study, "anna") as pilot:
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("down", "enter")
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, ReviewScreen)
        first = screen.item.site
        await pilot.press("right")
        assert screen.item.site != first
        assert "keep" not in str(screen.query_one("#keys").render())
        await pilot.press("escape")
        await settle(pilot)
        assert isinstance(pilot.app.screen, OverviewScreen)


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_it_fits_at_every_size(tmp_path: Path, size: tuple[int, int], language: str) -> None:
    from rich.cells import cell_len

    study, _ = one_case(tmp_path, WORST_FIRST, notes={"R.MCP2": "x" * 200})
    async with reading_as(study, "anna", size=size, language=language) as pilot:
        screen = await opened(pilot)
        for view in screen.query(FilmView):
            assert view.size.height >= size[1] - 9
        for part in ("head", "keys"):
            for line in str(screen.query_one(f"#{part}", Static).render()).split("\n"):
                assert cell_len(line.rstrip()) <= size[0], line

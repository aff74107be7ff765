"""Placing boxes by keys: mostly one key per film; an impossible box is rejected with the reason beside it."""

from pathlib import Path

import numpy as np
import pytest
from textual.pilot import Pilot

from ratui.regions.editor import RegionEditor
from ratui.study import Region, RegionSource
from ratui.tui.screens.regions.screen import RegionsScreen
from ratui.tui.screens.scoring.screen import ScoringScreen
from ratui.tui.screens.worklist.screen import WorklistScreen
from ratui.tui.widgets.annotated_film import AnnotatedFilm
from ratui.tui.widgets.region_viewer import RegionViewer
from tests.films import make_study
from tests.tui.conftest import cells, label_text, reading_as, settle
from tests.tui.phantom_case import PhantomCase, phantom_case

pytestmark = pytest.mark.slow


def screen(pilot: Pilot[None]) -> RegionsScreen:
    found = pilot.app.screen
    assert isinstance(found, RegionsScreen)
    return found


def boxes(pilot: Pilot[None]) -> RegionEditor:
    found = screen(pilot)._editor
    assert found is not None
    return found


async def opened(pilot: Pilot[None]) -> None:
    await pilot.press("enter")
    await settle(pilot)
    await settle(pilot)


def true_first_film(phantom: PhantomCase) -> None:
    """Add true proposals for the first film only, as from a very good detector."""
    film = phantom.film(0, "L")
    found = [
        Region(key, film.id, box, RegionSource.MODEL, "", 0.9, "ssd") for key, box in phantom.truth[film.id].items()
    ]
    phantom.study.save_proposals("ssd", phantom.case.id, found)


async def test_one_key_a_film_and_every_box_on_its_joint(tmp_path: Path) -> None:
    phantom = phantom_case(tmp_path)
    true_first_film(phantom)
    async with reading_as(phantom.study, "anna") as pilot:
        await opened(pilot)
        for _ in phantom.case.films:
            await pilot.press("A")
            await settle(pilot)
        assert isinstance(pilot.app.screen, ScoringScreen)
    assert phantom.study.are_regions_complete(phantom.case)
    for film in phantom.case.films:
        confirmed = {r.site: r for r in phantom.study.regions("C-1") if r.film == film.id}
        off = phantom.distances_from_truth(film, confirmed)
        assert np.median(off) < 0.1
        assert np.quantile(off, 0.9) < 0.2
        if film.id != "film0L":
            assert {r.source for r in confirmed.values()} <= {RegionSource.REGISTERED, RegionSource.ESTIMATED}
        assert {r.confirmed_by for r in confirmed.values()} == {"anna"}


async def test_a_film_is_accepted_only_after_it_was_displayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    from ratui.regions import propagation as following

    phantom = phantom_case(tmp_path)
    true_first_film(phantom)
    allowed, real = threading.Event(), following.propagate_boxes

    def slow(*films: object, **more: object) -> object:
        assert allowed.wait(30)
        return real(*films, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(following, "propagate_boxes", slow)
    async with reading_as(phantom.study, "anna") as pilot:
        await pilot.press("enter")
        await pilot.pause(0.3)
        await pilot.press("A")
        await pilot.pause(0.1)
        assert "Placing the boxes" in label_text(pilot)
        await pilot.press("A", "right", "x", "s", "enter")
        assert len(phantom.study.regions("C-1")) == 10, "the first film's alone"
        allowed.set()
        await settle(pilot)
        await settle(pilot)
        assert boxes(pilot).film.id == "film1L"
        assert all(region.source == RegionSource.REGISTERED for region in boxes(pilot).regions.values())


class TestRefused:
    async def put_on(self, pilot: Pilot[None], key: str, other: str) -> None:
        """Move the box of `key` onto that of `other`, which the rater has placed and which therefore stays."""
        now = boxes(pilot).select_site(other)
        now = now if now.region.confirmed_by else now.with_box(now.region.box)
        screen(pilot)._set_editor(now.select_site(key).with_box(now.regions[other].box))
        await pilot.pause()

    async def test_two_boxes_on_one_place_and_the_reason_stands_below_the_box(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, regions=False)
        async with reading_as(study, "anna", size=(120, 40)) as pilot:
            await opened(pilot)
            await self.put_on(pilot, "L.PIP3", "L.PIP2")
            await pilot.press("A")
            await settle(pilot)
            assert study.regions(study.cases()[0]) == ()
            state = str(screen(pilot).query_one("#state").render())  # type: ignore[attr-defined]
            assert "PIP3 overlaps PIP2" in state
            assert boxes(pilot).site.key == "L.PIP3"
            enlarged = screen(pilot).query_one("#near", AnnotatedFilm)
            line = screen(pilot).query_one("#state")
            assert line.region.y == enlarged.region.bottom
            assert line.region.x == enlarged.region.x
            await pilot.press("u", "A", "enter")
            await settle(pilot)
            assert len(study.regions(study.cases()[0])) == 10

    async def test_mirrored_boxes_are_rejected_unless_the_film_is_marked_mirrored(self, tmp_path: Path) -> None:
        phantom = phantom_case(tmp_path)
        film = phantom.film(0, "L")
        turned = {k: (film.columns - b[2], b[1], film.columns - b[0], b[3]) for k, b in phantom.truth[film.id].items()}
        phantom.study.save_proposals(
            "x", "C-1", [Region(k, film.id, b, RegionSource.MODEL, model="x") for k, b in turned.items()]
        )
        async with reading_as(phantom.study, "anna") as pilot:
            await opened(pilot)
            await pilot.press("A")
            await settle(pilot)
            assert boxes(pilot).film.id == film.id
            message = str(screen(pilot).query_one("#message").render())  # type: ignore[attr-defined]
            assert "The boxes are mirrored" in message, "the line below the box is too short for it"
            assert phantom.study.regions("C-1") == ()
            await pilot.press("s")
            assert "film is mirrored" in label_text(pilot)
            await pilot.press("A")
            await settle(pilot)
        assert len(phantom.study.regions("C-1")) == 10

    async def test_a_single_box_by_enter(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, regions=False)
        async with reading_as(study, "anna") as pilot:
            await opened(pilot)
            first = boxes(pilot).site
            second = next(site for site in boxes(pilot).sites if site != first)
            x, y = (site.joint.label for site in (first, second))
            await pilot.press("enter")
            assert boxes(pilot).accepted_count == 1
            await self.put_on(pilot, second.key, first.key)
            await pilot.press("enter")
            assert boxes(pilot).accepted_count == 1
            assert any(f"{a} overlaps {b}" in label_text(pilot) for a, b in ((x, y), (y, x)))

    async def test_the_reason_goes_with_the_next_key(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, regions=False)
        async with reading_as(study, "anna") as pilot:
            await opened(pilot)
            await self.put_on(pilot, "L.PIP3", "L.PIP2")
            await pilot.press("A")
            assert "overlaps" in label_text(pilot)
            await pilot.press("right")
            assert "overlaps" not in label_text(pilot)


async def test_joints_that_were_not_propagated_are_named_and_shown_first(tmp_path: Path) -> None:
    from ratui.imaging import read_film, write_film

    phantom = phantom_case(tmp_path)
    phantom.confirm(phantom.film(0, "L"))
    later = phantom.film(1, "L")
    path = phantom.study.film_path("C-1", later.id)
    pixels = read_film(path).pixels.copy()
    x0, y0, x1, y1 = (round(v) for v in phantom.truth[later.id]["L.PIP3"])
    pixels[y0 - (y1 - y0) : y1 + (y1 - y0), x0 - 8 : x1 + 8] = 200
    write_film(path, pixels, spacing=later.spacing)
    async with reading_as(phantom.study, "anna", size=(120, 40)) as pilot:
        await opened(pilot)
        assert boxes(pilot).film.id == later.id
        assert boxes(pilot).site.key == "L.PIP3"
        assert "Not found by registration, estimated from neighbours: PIP3" in label_text(pilot)


async def test_a_failed_registration_is_reported(tmp_path: Path) -> None:
    study = make_study(tmp_path, regions=False, sides="L")
    async with reading_as(study, "anna") as pilot:
        await opened(pilot)
        await pilot.press("A", "enter")
        await settle(pilot)
        assert "cannot be registered with the other one" in label_text(pilot)
        assert "not accepted yet · other film" in label_text(pilot)


async def test_undo_takes_back_a_move_and_a_size_and_says_when_there_is_nothing(tmp_path: Path) -> None:
    study = make_study(tmp_path, regions=False)
    async with reading_as(study, "anna") as pilot:
        await opened(pilot)
        before = boxes(pilot).region
        await pilot.press("right", "plus", "down")
        assert boxes(pilot).region.box != before.box
        await pilot.press("u", "u", "u")
        assert boxes(pilot).region == before
        await pilot.press("u")
        assert "Nothing was changed" in label_text(pilot)


async def test_the_second_hand_of_a_film_follows_once_the_first_is_accepted(tmp_path: Path) -> None:
    phantom = phantom_case(tmp_path, both=True, seed=7)
    film = phantom.film(0, "B")
    async with reading_as(phantom.study, "anna", size=(120, 40)) as pilot:
        await opened(pilot)
        for key in [site.key for site in boxes(pilot).sites if site.side == "L"]:
            screen(pilot)._set_editor(boxes(pilot).select_site(key).with_box(phantom.truth[film.id][key]))
        await pilot.press("enter", "A")  # of two hands without support, "A" accepts the active one first
        await settle(pilot)
        right = {key: region for key, region in boxes(pilot).regions.items() if key[0] == "R"}
        assert {region.source for region in right.values()} <= {RegionSource.REGISTERED, RegionSource.ESTIMATED}
        assert np.median(phantom.distances_from_truth(film, right)) < 0.1
        assert boxes(pilot).accepted_count == 10


async def test_leaving_keeps_what_was_accepted_and_coming_back_opens_there(tmp_path: Path) -> None:
    study = make_study(tmp_path, regions=False)
    async with reading_as(study, "anna") as pilot:
        await opened(pilot)
        await pilot.press("enter", "enter")
        third = boxes(pilot).site.key
        await pilot.press("escape")
        await settle(pilot)
        assert isinstance(pilot.app.screen, WorklistScreen)
        await opened(pilot)
        assert boxes(pilot).site.key == third
        assert boxes(pilot).accepted_count == 2


async def test_films_can_be_gone_through_and_back(tmp_path: Path) -> None:
    study = make_study(tmp_path, regions=False)
    async with reading_as(study, "anna") as pilot:
        await opened(pilot)
        first = boxes(pilot).film.id
        await pilot.press("A", "enter")
        await settle(pilot)
        await pilot.press("pageup")
        await settle(pilot)
        assert boxes(pilot).film.id == first
        assert boxes(pilot).is_complete
        await pilot.press("pagedown")
        await settle(pilot)
        assert boxes(pilot).film.id != first


class TestSeen:
    @pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
    async def test_the_current_name_and_its_state_are_on_the_screen(
        self, tmp_path: Path, size: tuple[int, int]
    ) -> None:
        phantom = phantom_case(tmp_path, scheme="mtss-hands")
        true_first_film(phantom)
        async with reading_as(phantom.study, "anna", size=size) as pilot:
            await opened(pilot)
            films = screen(pilot).query_one(RegionViewer)
            for _ in range(3):
                await pilot.press("tab")
            name = boxes(pilot).site.joint.label
            text = cells(pilot)
            assert text.count(name) >= 3, "on the whole film, on the enlarged part and below it"
            assert "not accepted" in text
            assert films.whole_film.size.width >= 34
            assert all(len(line) <= size[0] for line in text.split("\n"))

    async def test_moving_a_box_in_cells_sends_no_new_picture(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, regions=False)
        async with reading_as(study, "anna", size=(120, 40)) as pilot:
            await opened(pilot)
            films = screen(pilot).query_one(RegionViewer)
            keys = films.whole_film.key, films.enlarged.key
            before = cells(pilot)
            await pilot.press("right", "down")
            await settle(pilot)
            assert (films.whole_film.key, films.enlarged.key) == keys, "the pictures stay, the lines move over them"
            assert cells(pilot) != before

    async def test_the_enlarged_part_follows_a_box_that_leaves_it(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, regions=False)
        async with reading_as(study, "anna", size=(120, 40)) as pilot:
            await opened(pilot)
            films = screen(pilot).query_one(RegionViewer)
            before = films.enlarged.key
            await pilot.press("L", "L", "L")
            await settle(pilot)
            assert films.enlarged.key != before

    @pytest.mark.parametrize("protocol", ["kitty", "sixel"])
    async def test_graphics_paint_boxes_and_names_into_the_picture(self, tmp_path: Path, protocol: str) -> None:
        study = make_study(tmp_path, regions=False)
        async with reading_as(study, "anna", protocol=protocol, size=(100, 30)) as pilot:
            await opened(pilot)
            films = screen(pilot).query_one(RegionViewer)
            before = films.whole_film.key
            await pilot.press("right", "right")
            await pilot.pause(0.2)
            await settle(pilot)
            assert films.whole_film.key != before

    async def test_nothing_is_left_in_english_in_japanese(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, regions=False, scheme="mtss-hands")
        async with reading_as(study, "anna", size=(120, 40), language="ja") as pilot:
            await opened(pilot)
            await pilot.press("right", "A")
            await settle(pilot)
            text = label_text(pilot)
            assert "左手" in text
            assert "確定" in text
            for word in ("accept", "template", "film", "hand", "box"):
                assert word not in text

    async def test_a_blinded_study_shows_no_order(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, regions=False, blinded=True)
        async with reading_as(study, "anna", size=(120, 40)) as pilot:
            await opened(pilot)
            await pilot.press("A")
            await settle(pilot)
            for word in ("earlier", "later", "month", "days"):
                assert word not in label_text(pilot)


async def test_a_film_that_vanished_is_named(tmp_path: Path) -> None:
    study = make_study(tmp_path, regions=False)
    for film in study.path.rglob("*.dcm"):
        film.unlink()
    async with reading_as(study, "anna") as pilot:
        await opened(pilot)
        assert "no such file" in label_text(pilot)
        await pilot.press("escape")
        assert isinstance(pilot.app.screen, WorklistScreen)


async def test_a_full_disk_leaves_nothing_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    study = make_study(tmp_path, regions=False)
    async with reading_as(study, "anna") as pilot:
        await opened(pilot)

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            await pilot.press("A", "enter")
            assert "No space left" in label_text(pilot)
            assert boxes(pilot).accepted_count == 0
        await pilot.press("A", "enter")
        await settle(pilot)
        assert len(study.regions(study.cases()[0])) == 10

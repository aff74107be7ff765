"""Initial places of boxes, and the steps of keys that move a box."""

import pytest

from ratui.imaging import Box
from ratui.regions.initial import StepSize, make_initial_regions, move_box, resize_box
from ratui.scheme import load_scheme
from ratui.study import FilmRecord, Region, RegionSource

SCHEME = load_scheme("fingers")
FILM = FilmRecord("film", 1, "L", "hand", 1000, 800)
OTHER = FilmRecord("other", 0, "L", "hand", 500, 400)
SITE = next(site for site in SCHEME.sites if site.key == "L.PIP3")


def region(source: RegionSource, film: str = "film", confirmed_by: str = "") -> Region:
    model = "ssd" if source is RegionSource.MODEL else None
    return Region("L.PIP3", film, Box(10.0, 10.0, 50.0, 50.0), source, confirmed_by, None, model)


def initial_box(**known: Region) -> Region:
    """Return the initial box of L.PIP3, given what is known of it."""
    by_site = {name: {"L.PIP3": each} for name, each in known.items() if name != "other"}
    return make_initial_regions(
        SCHEME,
        FILM,
        [SITE],
        confirmed=by_site.get("confirmed", {}),
        proposed=by_site.get("proposed", {}),
        other={"L.PIP3": (OTHER, known["other"])} if "other" in known else {},
        propagated=by_site.get("propagated", {}),
    )["L.PIP3"]


def test_the_most_certain_source_is_used() -> None:
    confirmed, found = region(RegionSource.RATER, confirmed_by="anna"), region(RegionSource.REGISTERED)
    proposed, estimated, other = (
        region(RegionSource.MODEL),
        region(RegionSource.ESTIMATED),
        region(RegionSource.RATER, "other", "anna"),
    )
    assert initial_box(confirmed=confirmed, propagated=found, proposed=proposed, other=other) == confirmed
    assert initial_box(propagated=found, proposed=proposed, other=other) == found
    assert initial_box(propagated=estimated, proposed=proposed, other=other) == proposed
    assert initial_box(propagated=estimated, other=other) == estimated
    assert initial_box(other=other).source == RegionSource.OTHER_FILM
    assert initial_box().source == RegionSource.TEMPLATE


def test_a_box_of_the_other_film_is_scaled_by_the_film_size() -> None:
    assert initial_box(other=region(RegionSource.RATER, "other", "anna")).box == pytest.approx(
        (20.0, 20.0, 100.0, 100.0)
    )


def test_a_joint_absent_on_the_other_film_starts_as_absent() -> None:
    absent = Region("L.PIP3", "other", None, RegionSource.RATER, "anna")
    assert initial_box(other=absent).box is None


def test_a_box_keeps_its_middle_on_the_film() -> None:
    box = Box(700.0, 900.0, 800.0, 1000.0)
    for _ in range(40):
        box = move_box(box, 0.5, 0.5, FILM)
    assert ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2) == (800.0, 1000.0)


def test_growing_and_shrinking_keep_the_middle_and_end_somewhere() -> None:
    box = Box(100.0, 100.0, 200.0, 200.0)
    for factor in (1.2, 1 / 1.2):
        changed = box
        for _ in range(60):
            changed = resize_box(changed, factor, FILM)
        assert (changed[0] + changed[2], changed[1] + changed[3]) == pytest.approx((300.0, 300.0))
        assert 8 < changed[2] - changed[0] < 600


def test_mirroring_twice_restores_the_box() -> None:
    box, area = Box(10.0, 20.0, 60.0, 70.0), Box(0.0, 0.0, 400.0, 900.0)
    assert box.mirror(area) == (340.0, 20.0, 390.0, 70.0)
    assert box.mirror(area).mirror(area) == box


class TestPace:
    LEFT, RIGHT, UP = (-1, 0), (1, 0), (0, -1)

    def steps(self, *keys: tuple[tuple[int, int], float]) -> list[float]:
        step_size, found, now = StepSize(), [], 0.0
        for way, after in keys:
            now += after
            step_size = step_size.next(way, now)
            found.append(step_size.step)
        return found

    def test_single_keys_take_the_same_step(self) -> None:
        assert self.steps(*[(self.RIGHT, 0.6)] * 4) == [StepSize.INITIAL] * 4

    def test_a_held_key_goes_faster_to_a_limit(self) -> None:
        steps = self.steps(*[(self.RIGHT, 0.03)] * 30)
        assert steps == sorted(steps)
        assert steps[-1] == StepSize.LARGEST

    def test_turning_back_goes_finer_each_time_to_a_limit(self) -> None:
        steps = self.steps(*[(way, 0.4) for way in (self.RIGHT, self.LEFT) * 6])
        assert steps[1] == pytest.approx(StepSize.INITIAL / 2)
        assert steps[2] == pytest.approx(StepSize.INITIAL / 4)
        assert steps[-1] == StepSize.SMALLEST

    def test_after_a_held_key_the_way_back_takes_fine_steps(self) -> None:
        steps = self.steps(*[(self.RIGHT, 0.03)] * 20, (self.LEFT, 0.4))
        assert steps[-1] <= StepSize.INITIAL

    def test_the_fine_step_stays_for_the_other_direction_and_is_forgotten_after_a_while(self) -> None:
        steps = self.steps((self.RIGHT, 0.4), (self.LEFT, 0.4), (self.UP, 0.4), (self.UP, 5.0))
        assert steps[2] == pytest.approx(StepSize.INITIAL / 2)
        assert steps[3] == StepSize.INITIAL

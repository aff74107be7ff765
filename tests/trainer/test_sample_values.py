"""Samples against values computed by hand: places, sides, polarity, labels and findings of each film, and their cache."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ratui.detection.finger_joints import COARSE_SIZE, FINE_SIZE
from ratui.errors import TrainError
from ratui.imaging import Box, Orientation
from ratui.reading import Field, Slot
from ratui.study import Case
from ratui.study.model_results.predictions import FilmPrediction
from tests.trainer.synthetic import COLUMNS, ROWS, SmallReading, SmallStudy, make_pairs, quiet, ramp
from trainer.data.hands import load_hand_samples
from trainer.data.pair_augmentation import augment_pairs
from trainer.data.pairs import (
    MARGIN,
    PAIR_CROP_SIZE,
    PairSamples,
    check_learnable,
    crop_joint,
    drop_fixed_scores,
    load_pair_samples,
    select_pairs,
)
from trainer.inference.predictions import acquisition_scores, make_film_predictions, make_predictions

BOX = Box(14.0, 20.0, 30.0, 36.0)
SITES = ("L.MCP2", "R.MCP2")
EVERYWHERE = {(site, time): BOX for site in SITES for time in (0, 1)}


def load(study: SmallStudy, folder: Path, cases: tuple[str, ...] = ("C1",)) -> PairSamples:
    return load_pair_samples(study, cases, folder, quiet)  # type: ignore[arg-type]


def levels_across(box: Box) -> np.ndarray:
    """Return the columns of the crop of `box` on a film whose level rises from 0 to 1 across it."""
    half = MARGIN * max(box.width, box.height) / 2
    left = box.centre[0] - half
    places = left + (np.arange(PAIR_CROP_SIZE) + 0.5) * 2 * half / PAIR_CROP_SIZE
    low, high = np.percentile(ramp(), [1.0, 99.5])
    return np.clip((3000 * places / COLUMNS - low) / (high - low), 0, 1) * 255


class TestCrops:
    @pytest.mark.parametrize("x", [20.0, 20.3, 20.5, 21.75])
    def test_a_crop_shows_its_place_to_a_tenth_of_a_pixel(self, x: float) -> None:
        y = 2 * x - 13.6
        across, down = np.meshgrid(np.arange(COLUMNS) + 0.5, np.arange(ROWS) + 0.5)
        box = Box.from_centre(x, y, 11.0)
        half = MARGIN * 11 / 2
        steps = (np.arange(PAIR_CROP_SIZE) + 0.5) / PAIR_CROP_SIZE * 2 * half - half
        for picture, wanted in ((across, x + steps), (down, y + steps)):
            crop = crop_joint((picture / 60).astype(np.float32), box, mirrored=False) / 255 * 60
            seen = crop.mean(axis=0 if picture is across else 1)
            off = (seen - wanted)[2:-2]  # at the border there is no neighbour to interpolate with
            assert np.abs(off).max() < 0.2
            assert abs(float(off.mean())) < 0.05

    def test_a_crop_is_the_square_of_the_longer_side_and_black_outside_of_the_film(self) -> None:
        white = np.ones((ROWS, COLUMNS), np.float32)
        for box in (Box(12.0, 26.0, 36.0, 34.0), Box(20.0, 18.0, 28.0, 42.0)):
            levels = (np.arange(COLUMNS) + 0.5).repeat(ROWS).reshape(COLUMNS, ROWS).T / COLUMNS
            seen = crop_joint(levels.astype(np.float32), box, mirrored=False)[:, 2:-2].mean(axis=0)
            shown = 24.0 * MARGIN
            steps = (np.arange(PAIR_CROP_SIZE) + 0.5)[2:-2] / PAIR_CROP_SIZE - 0.5
            assert seen / 255 * COLUMNS == pytest.approx(24.0 + steps * shown, abs=0.3)
        crop = crop_joint(white, Box.from_centre(0.0, 30.0, 16.0), mirrored=False)
        assert crop[:, : PAIR_CROP_SIZE // 2 - 3].max() == 0
        assert crop[:, PAIR_CROP_SIZE // 2 + 3 :].min() == 255

    def test_only_crops_of_right_hands_are_mirrored(self, tmp_path: Path) -> None:
        samples = load(SmallStudy({"C1": ()}, EVERYWHERE), tmp_path)
        wanted = levels_across(BOX)
        for site, columns in (("L.MCP2", wanted), ("R.MCP2", wanted[::-1])):
            for time in (0, 1):
                crop = samples.crops[samples.sites.index(site), time]
                assert np.abs(crop - columns).max() < 4

    def test_each_time_point_shows_its_own_film_and_box(self, tmp_path: Path) -> None:
        later = BOX.shift(6.0, 0.0)
        boxes = {("L.MCP2", 0): BOX, ("L.MCP2", 1): later}
        (crops,) = load(SmallStudy({"C1": ()}, boxes), tmp_path / "boxes").crops
        assert np.abs(crops[0] - levels_across(BOX)).max() < 4
        assert np.abs(crops[1] - levels_across(later)).max() < 4
        films = SmallStudy({"C1": ()}, {("L.MCP2", 0): BOX, ("L.MCP2", 1): BOX}, pixels={"L1": 3000 - ramp()})
        (crops,) = load(films, tmp_path / "films").crops
        assert (np.diff(crops[0].astype(int).mean(axis=0)) >= 0).all()
        assert (np.diff(crops[1].astype(int).mean(axis=0)) <= 0).all()

    def test_films_with_bone_dark_are_inverted(self, tmp_path: Path) -> None:
        boxes = {("L.MCP2", 0): BOX, ("L.MCP2", 1): BOX}
        (crops,) = load(SmallStudy({"C1": ()}, boxes, inverted=frozenset({"L1"})), tmp_path).crops
        assert np.abs(crops[0] - levels_across(BOX)).max() < 4
        assert np.abs(crops[1] - (255 - levels_across(BOX))).max() < 4

    @pytest.mark.parametrize("time", [0, 1])
    def test_another_box_or_film_is_not_taken_from_the_cache(self, tmp_path: Path, time: int) -> None:
        first = np.array(load(SmallStudy({"C1": ()}, EVERYWHERE), tmp_path).crops)
        assert np.array_equal(load(SmallStudy({"C1": ()}, EVERYWHERE), tmp_path).crops, first)
        moved = {**EVERYWHERE, ("L.MCP2", time): BOX.shift(5.0, 0.0)}
        assert not np.array_equal(load(SmallStudy({"C1": ()}, moved), tmp_path).crops[0, time], first[0, time])
        other = load(SmallStudy({"C2": ()}, EVERYWHERE, pixels={"L0": 3000 - ramp()}), tmp_path, ("C2",)).crops
        assert not np.array_equal(other[0, 0], first[0, 0])

    def test_another_orientation_is_not_taken_from_the_cache(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hands = load_hand_samples(SmallStudy({"C1": ()}, EVERYWHERE), ["C1"], tmp_path, quiet)  # type: ignore[arg-type]
        first, images = np.array(load(SmallStudy({"C1": ()}, EVERYWHERE), tmp_path).crops), np.array(hands.images)
        turned = SmallStudy({"C1": ()}, EVERYWHERE, pixels=dict.fromkeys(("L0", "R0", "L1", "R1"), 3000 - ramp()))
        case = turned.case("C1")
        films = tuple(replace(film, orientation=Orientation.MIRRORED) for film in case.films)
        monkeypatch.setattr(turned, "case", lambda _: replace(case, films=films))
        assert not np.array_equal(load(turned, tmp_path).crops, first)
        again = load_hand_samples(turned, ["C1"], tmp_path, quiet)  # type: ignore[arg-type]
        assert not np.array_equal(again.images, images)


class TestLabels:
    @pytest.fixture
    def study(self) -> SmallStudy:
        scores = {
            Field(site, scale, time): value
            for value, (site, scale, time) in enumerate(
                (site, scale, time) for site in SITES for scale in ("ERO", "JSN") for time in (0, 1)
            )
        }
        ada = SmallReading("ada", scores, frozenset({Slot("R.MCP2", 1)}))
        ben = SmallReading(
            "ben", {at: 10 + score for at, score in scores.items() if at.scale == "ERO"}, frozenset({Slot("L.MCP2", 0)})
        )
        # Ben's reading comes first: the column of a rater is that of the study, not that of the reading.
        return SmallStudy({"C1": (ben, ada), "C2": (ben,)}, EVERYWHERE)

    def test_each_score_has_its_rater_scale_and_time(self, study: SmallStudy, tmp_path: Path) -> None:
        samples = load(study, tmp_path, ("C1", "C2"))
        assert samples.cases == ("C1", "C1", "C2", "C2")
        assert samples.sites == SITES * 2
        ada, ben = [[[0, 1], [2, 3]], [[4, 5], [6, 7]]], [[[10, 11], [-1, -1]], [[14, 15], [-1, -1]]]
        assert samples.labels[:2, 0].tolist() == ada
        assert samples.labels[:2, 1].tolist() == ben
        assert (samples.labels[2:, 0] == -1).all()
        assert samples.labels[2:, 1].tolist() == ben

    def test_each_finding_has_its_rater_and_time(self, study: SmallStudy, tmp_path: Path) -> None:
        found = load(study, tmp_path).has_finding
        assert found.tolist() == [[[False, False], [True, False]], [[False, True], [False, False]]]

    def test_a_finding_at_one_time_removes_the_scores_of_that_rater_alone(self) -> None:
        for time in (0, 1):
            samples = make_pairs(np.ones((2, 2, 2, 2)))
            samples.has_finding[1, 0, time] = True
            labels = drop_fixed_scores(samples).labels
            assert (labels[1, 0] == -1).all()
            assert (np.delete(labels.reshape(4, 4), 2, axis=0) == 1).all()

    def test_a_single_score_is_enough_to_learn_from(self) -> None:
        labels = np.full((2, 2, 2, 2), -1)
        with pytest.raises(TrainError, match="no joint has a score in a signed reading"):
            check_learnable(make_pairs(labels), Path("study"))
        labels[1, 1, 1, 1] = 0
        check_learnable(make_pairs(labels), Path("study"))
        labels[0, 0, 0] = labels[0, 1, 1] = 2
        assert make_pairs(labels).single_scores == 1

    def test_grades_and_groups_are_those_of_the_joint(self, tmp_path: Path) -> None:
        boxes = {(site, time): BOX for site in ("L.IP1", "L.PIP3", "R.MCP2") for time in (0, 1)}
        samples = load(SmallStudy({"C1": ()}, boxes), tmp_path)
        assert samples.max_grades.tolist() == [[5, -1], [5, 4], [5, 4]]
        assert [samples.group_names[group] for group in samples.groups] == ["PIP", "PIP", "MCP"]
        assert samples.grades == (6, 5)


class TestSingleTimePoints:
    """Joints with a region at one time point only."""

    @pytest.mark.parametrize("time", [0, 1])
    def test_its_film_is_shown_twice_and_only_its_score_counts(self, tmp_path: Path, time: int) -> None:
        scores = {Field(site, "ERO", at): 2 + at for site in SITES for at in (0, 1)}
        ada = SmallReading("ada", scores, frozenset({Slot("L.MCP2", 1 - time)}))
        boxes = {("L.MCP2", time): BOX, ("R.MCP2", 0): BOX, ("R.MCP2", 1): BOX}
        samples = load(SmallStudy({"C1": (ada,)}, boxes, pixels={f"L{1 - time}": 3000 - ramp()}), tmp_path)
        assert samples.sites == SITES
        assert samples.single_times == {0: time}
        for crop in samples.crops[0]:
            assert np.abs(crop - levels_across(BOX)).max() < 4
        wanted = [-1, -1]
        wanted[time] = 2 + time
        assert samples.labels[0, 0, 0].tolist() == wanted
        assert samples.labels[1, 0, 0].tolist() == [2, 3]
        # A finding hides the score of the other time point, also without a region there.
        assert samples.has_finding[0, 0, 1 - time]

    def test_sides_with_one_film_of_two_visits_are_loaded_for_predictions_only(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        study = SmallStudy({"C1": (), "C2": (), "C3": ()}, EVERYWHERE)
        films = study.case("C1").films
        kept = {
            "C1": [film for film in films if film.id != "L0"],
            "C2": [film for film in films if film.time == 1],
            "C3": [replace(films[0], time=2), replace(films[3], time=2)],
        }
        monkeypatch.setattr(study, "case", lambda id: Case(id, tuple(kept[id])))
        cases = ("C1", "C2", "C3")
        # Raters read C2 and C3, which have one visit, but not the left side of C1.
        known = load(study, tmp_path / "a", cases)
        assert list(zip(known.cases, known.sites, strict=True)) == [
            ("C1", "R.MCP2"),
            *((case, site) for case in ("C2", "C3") for site in SITES),
        ]
        proposed = load_pair_samples(study, cases, tmp_path / "b", quiet, proposed=True)  # type: ignore[arg-type]
        joints = [(case, site) for case in cases for site in SITES]
        assert sorted(zip(proposed.cases, proposed.sites, strict=True)) == joints
        assert {joints[row]: proposed.times(row)[place] for row, place in proposed.single_times.items()} == {
            ("C1", "L.MCP2"): 1,
            ("C2", "L.MCP2"): 1,
            ("C2", "R.MCP2"): 1,
            ("C3", "L.MCP2"): 2,
            ("C3", "R.MCP2"): 2,
        }

    def test_predictions_are_those_of_the_film(self) -> None:
        pairs = replace(make_pairs(np.full((2, 1, 2, 2), -1), cases=("A", "A")), single_times={1: 1})
        ero = np.zeros((2, 4, 4))
        ero[:, 0, 1], ero[:, 3, 2], ero[:, 3, 3] = 0.5, 0.4, 0.1
        jsn = np.zeros((2, 3, 3))
        jsn[:, 0, 2] = 1.0
        both = make_predictions(pairs, [ero, jsn], "median")["A"]
        assert {each.site for each in both} == {"L.MCP1"}
        found = make_film_predictions(pairs, [ero, jsn], "median")["A"]
        assert found == [
            FilmPrediction("L.MCP2", "ERO", 1, 1, (0.0, 0.5, 0.4, 0.1), pytest.approx(0.4 + 0.1 * 2)),  # type: ignore[arg-type]
            FilmPrediction("L.MCP2", "JSN", 1, 2, (0.0, 0.0, 1.0), 0.0),
        ]
        assert acquisition_scores(pairs, [ero, jsn]) == acquisition_scores(
            make_pairs(np.full((1, 1, 2, 2), -1), cases=("A",)), [ero[:1], jsn[:1]]
        )


class TestMoreVisits:
    """A joint with films of more than two visits has a sample for each pair of them."""

    def test_each_pair_has_the_crops_and_scores_of_its_films(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scores = {Field(site, "ERO", time): grade for site in SITES for time, grade in enumerate((1, 3, 2))}
        ada = SmallReading("ada", scores, frozenset({Slot("L.MCP2", 2)}))
        study = SmallStudy({"C1": (ada,)}, EVERYWHERE | {("L.MCP2", 2): BOX}, pixels={"L2": 3000 - ramp()})
        films = study.case("C1").films
        more = Case("C1", (*films, replace(films[0], id="L2", time=2)))
        monkeypatch.setattr(study, "case", lambda _: more)
        samples = load(study, tmp_path)
        assert samples.sites == ("L.MCP2", "L.MCP2", "L.MCP2", "R.MCP2")
        assert [samples.times(row) for row in range(4)] == [(0, 1), (0, 2), (1, 2), (0, 1)]
        assert samples.labels[:, 0, 0].tolist() == [[1, 3], [1, 2], [3, 2], [1, 3]]
        assert samples.has_finding[:, 0].tolist() == [[False, False], [False, True], [False, True], [False, False]]
        falling = levels_across(BOX)[::-1]
        for row, place in ((1, 1), (2, 1)):
            assert np.corrcoef(samples.crops[row, place].mean(axis=0), falling)[0, 1] > 0.99
        assert {each.film for each in samples.list_films()} == {"C1 L 0", "C1 L 1", "C1 L 2", "C1 R 0", "C1 R 1"}
        part = select_pairs(samples, ["C1"])
        assert [part.visits[row] for row in (1, 2)] == [("baseline", "visit 3"), ("visit 2", "visit 3")]
        assert [part.times(row) for row in range(4)] == [(0, 1), (0, 2), (1, 2), (0, 1)]
        tables = [np.full((4, top, top), 1 / top**2) for top in samples.grades]
        found = make_predictions(samples, tables, "median")["C1"]
        assert [(each.site, each.times) for each in found if each.scale == "ERO"] == [
            ("L.MCP2", (0, 1)),
            ("L.MCP2", (0, 2)),
            ("L.MCP2", (1, 2)),
            ("R.MCP2", (0, 1)),
        ]


class TestHands:
    def test_findings_of_a_film_are_those_of_its_time_point(self, tmp_path: Path) -> None:
        ada = SmallReading("ada", {}, frozenset({Slot("L.MCP2", 1), Slot("R.MCP2", 0)}))
        ben = SmallReading("ben", {}, frozenset({Slot("L.MCP2", 1)}))
        hands = load_hand_samples(SmallStudy({"C1": (ada, ben)}, EVERYWHERE), ["C1"], tmp_path, quiet)  # type: ignore[arg-type]
        column = hands.joints.index("MCP2")
        found = dict(zip(hands.films, hands.findings[:, column].tolist(), strict=True))
        assert found == {"L0": 0.0, "L1": 1.0, "R0": 0.5, "R1": 0.0}
        assert np.isnan(np.delete(hands.findings, column, axis=1)).all()

    def test_right_hands_are_mirrored_with_their_boxes_and_place_is_kept(self, tmp_path: Path) -> None:
        hands = load_hand_samples(SmallStudy({"C1": ()}, EVERYWHERE), ["C1"], tmp_path, quiet)  # type: ignore[arg-type]
        scale = COARSE_SIZE / ROWS
        column = hands.joints.index("MCP2")
        low, high = np.percentile(ramp(), [1.0, 99.5])
        for row, side in enumerate(hands.sides):
            x0, x1 = (14.0, 30.0) if side == "L" else (COLUMNS - 30.0, COLUMNS - 14.0)
            assert hands.boxes[row, column].tolist() == pytest.approx([x0 * scale, 20 * scale, x1 * scale, 36 * scale])
            # The level at the box's left edge is that of its place on the film.
            pixels = hands.images[row, FINE_SIZE // 3, :].astype(float)
            fine = FINE_SIZE / ROWS
            places = np.array([x0, (x0 + x1) / 2, x1]) * fine
            seen = np.interp(places, np.arange(FINE_SIZE) + 0.5, pixels) / 255 * (high - low) + low
            on_film = np.array([x0, (x0 + x1) / 2, x1]) if side == "L" else COLUMNS - np.array([x0, (x0 + x1) / 2, x1])
            assert seen / 3000 * COLUMNS == pytest.approx(on_film, abs=0.2)

    def test_films_with_bone_dark_are_inverted(self, tmp_path: Path) -> None:
        dark = SmallStudy({"C1": ()}, {("L.MCP2", 0): BOX, ("L.MCP2", 1): BOX}, inverted=frozenset({"L0"}))
        hands = load_hand_samples(dark, ["C1"], tmp_path, quiet)  # type: ignore[arg-type]
        by_film = dict(zip(hands.films, hands.images, strict=True))
        width = round(COLUMNS * FINE_SIZE / ROWS)
        one, other = (by_film[film][:, :width].astype(int) for film in ("L0", "L1"))
        assert np.abs(one - (255 - other)).max() <= 1
        assert other[500, 700] > other[500, 50]


class TestAugmentation:
    def test_both_time_points_are_exposed_alike_but_not_equally(self) -> None:
        grey = torch.full((64, 2, 24, 24), 0.5)
        levels = augment_pairs(grey, torch.Generator().manual_seed(1)).mean(dim=(2, 3))
        # A grey of 0.5 with a gamma from exp(−0.65) to exp(0.65).
        assert levels.min() < 0.38
        assert levels.max() > 0.62
        assert float((levels[:, 0] - levels[:, 1]).abs().mean()) > 0.02
        assert 0.7 < float(torch.corrcoef(levels.T)[0, 1]) < 0.97

    def test_both_time_points_are_turned_and_mirrored_almost_alike(self) -> None:
        y, x = torch.meshgrid(torch.linspace(-1, 1, 48), torch.linspace(-1, 1, 48), indexing="ij")
        dot = torch.exp(-((x - 0.5) ** 2 + (y - 0.3) ** 2) / 0.02)
        seen = augment_pairs(dot.expand(64, 2, 48, 48), torch.Generator().manual_seed(1))
        least, most = seen.amin(dim=(2, 3), keepdim=True), seen.amax(dim=(2, 3), keepdim=True)
        bright = (seen > least + 0.7 * (most - least)).float()
        mass = bright.sum(dim=(2, 3))
        places = torch.stack([(bright * axis).sum(dim=(2, 3)) / mass for axis in (x, y)], dim=2)
        assert float((places[:, 0] - places[:, 1]).norm(dim=1).max()) < 0.25
        assert 0.3 < float((places[:, 0, 0] < 0).float().mean()) < 0.7
        assert float(places[:, 0].abs().std(dim=0).min()) > 0.03

    def test_the_noise_of_each_image_is_its_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("trainer.data.pair_augmentation.vary_style", lambda pictures, style, texture: pictures)
        ramp = torch.linspace(0, 1, 24).expand(2, 2, 24, 24)
        seen = augment_pairs(ramp, torch.Generator().manual_seed(2))[..., 2:-2, 2:-2]
        sharp = seen - torch.nn.functional.avg_pool2d(seen, 3, 1, 1, count_include_pad=False)
        noise = sharp[..., 1:-1, 1:-1].reshape(4, -1)
        assert float(noise.std(dim=1).min()) > 1e-4
        assert float(torch.corrcoef(noise).fill_diagonal_(0).abs().max()) < 0.2

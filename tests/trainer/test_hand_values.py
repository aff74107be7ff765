"""Hands against values computed by hand: their place on a film and in the square, their joints, and which boxes count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from ratui.detection.finger_joints import (
    COARSE_SIZE,
    FINE_SIZE,
    list_finger_joints,
    make_joint_template,
    map_joint_kinds,
    normalise_levels,
)
from ratui.detection.wrist_sites import WRIST_SITES
from ratui.errors import StudyError, TrainError
from ratui.imaging import Box, Film
from ratui.reading import Slot
from ratui.scheme import load_scheme
from ratui.study import Case, FilmRecord, Region, RegionSource
from tests.trainer.synthetic import COLUMNS, ROWS, SCHEME, SmallReading, SmallStudy, quiet
from trainer.data.hands import Frame, HandSamples, crop_hand, iterate_hands, load_hand_samples, make_frame

BOX = Box(14.0, 20.0, 30.0, 36.0)
RATER, MODEL = RegionSource.RATER, RegionSource.MODEL


@dataclass
class RegionStudy(SmallStudy):
    """A study in memory with the given regions and films."""

    given: Sequence[Region] = ()
    films: tuple[FilmRecord, ...] = ()
    damaged: frozenset[str] = frozenset()

    def case(self, id: str) -> Case:
        if id in self.damaged:
            raise StudyError("damaged", id, "")
        return Case(id, self.films) if self.films else super().case(id)

    def regions(self, case: Case | str) -> tuple[Region, ...]:
        return tuple(self.given)

    def add_notice(self, *_: object) -> None:
        assert self.damaged


def region(site: str, film: str, source: RegionSource = RATER, box: Box | None = BOX, by: str = "ada") -> Region:
    return Region(site, film, box, source, by, model="early" if source is MODEL else None)


def load(study: SmallStudy, folder: Path, *, independent: bool = False) -> HandSamples:
    return load_hand_samples(study, study.cases(), folder, quiet, independent=independent)  # type: ignore[arg-type]


class TestSizes:
    def test_a_square_has_320_units_and_960_pixels(self) -> None:
        assert (COARSE_SIZE, FINE_SIZE) == (320, 960)

    def test_the_longer_side_of_a_hand_fills_the_square(self) -> None:
        for area, scale in ((Box(10, 0, 50, 80), 4.0), (Box(0, 5, 160, 85), 2.0)):
            assert make_frame(area, "L") == Frame(area, mirrored=False, scale=scale)
            assert make_frame(area, "R") == Frame(area, mirrored=True, scale=scale)

    def test_a_box_has_the_same_place_on_the_film_and_in_the_square(self) -> None:
        for mirrored, x0, x1 in ((False, 18.0, 48.0), (True, 81.0, 111.0)):
            frame = Frame(Box(4.0, 11.0, 47.0, 91.0), mirrored, 3.0)
            assert frame.to_square(Box(10.0, 41.0, 20.0, 62.0)) == (x0, 90.0, x1, 153.0)
            assert frame.to_film(Box(x0, 90.0, x1, 153.0)) == (10.0, 41.0, 20.0, 62.0)

    @pytest.mark.parametrize("mirrored", [False, True])
    @pytest.mark.parametrize("down", [0.0, 1.0])
    def test_the_square_shows_the_area_of_the_hand_and_is_black_beside_it(self, mirrored: bool, down: float) -> None:
        y, x = np.mgrid[:110, :90] + 0.5
        pixels = np.rint(1000 + 20 * (down * y + (1 - down) * x)).astype(np.uint16)
        area = Box(30.0, 20.0, 78.0, 100.0)  # 48 by 80 pixels of the film, each 12 pixels of the square wide
        square = crop_hand(Film(pixels, 12), Frame(area, mirrored, 4.0)).astype(float)
        assert square.shape == (960, 960)
        assert square[:, 576:].max() == 0
        low, high = np.percentile(pixels[20:100, 30:78], [1.0, 99.5])
        line = (np.arange(960 if down else 576) + 0.5) / 12
        place = line + 20 if down else 78 - line if mirrored else line + 30
        wanted = np.clip((1000 + 20 * place - low) / (high - low), 0, 1) * 255
        assert np.abs(square[:, :576].mean(axis=1 if down else 0) - wanted)[6:-6].max() < 1.0

    def test_areas_with_fractions_and_narrow_ones_fit_the_square(self) -> None:
        film = Film(np.arange(12_000, dtype=np.uint16).reshape(2000, 6), 14)
        for area in (Box(0.0, 0.4, 3.0, 40.8), Box(2.0, 0.0, 3.0, 2000.0), Box(1.0, 1990.3, 5.7, 1991.6)):
            assert crop_hand(film, make_frame(area, "L")).shape == (960, 960)

    def test_levels_are_those_of_the_area_with_bone_bright(self) -> None:
        pixels = np.arange(400, dtype=np.uint16).reshape(20, 20)
        for area, part in ((None, pixels), (Box(3.4, 6.0, 9.0, 12.6), pixels[6:13, 3:9])):
            low, high = np.percentile(part, [1.0, 99.5])
            wanted = np.clip((part - low) / (high - low), 0, 1)
            assert normalise_levels(Film(pixels, 12), area) == pytest.approx(wanted, abs=1e-6)
            assert normalise_levels(Film(pixels, 12, is_inverted=True), area) == pytest.approx(1 - wanted, abs=1e-6)


class TestJoints:
    def test_a_template_is_in_units_of_a_square(self) -> None:
        template = make_joint_template(SCHEME)
        fractions = SCHEME.views["hand"].template
        assert list(template) == [joint.id for joint in SCHEME.joints]
        for joint, (x, y, size) in template.items():
            across, down, side = fractions[joint]
            assert (x, y, size) == pytest.approx((across * 320 / 1.22, down * 320, side * 320 / 1.22))

    def test_finger_joints_alone_are_found(self) -> None:
        scheme = load_scheme("mtss")
        kinds = {joint.id: joint.group for joint in scheme.joints if joint.group in ("PIP", "MCP")}
        assert len(kinds) == 10
        assert map_joint_kinds(scheme) == kinds
        assert [joint.id for joint in list_finger_joints(scheme)] == list(kinds)
        assert list(make_joint_template(scheme)) == list(kinds)

    def test_a_template_may_lack_a_joint(self) -> None:
        template = {joint: place for joint, place in SCHEME.views["hand"].template.items() if joint != "MCP2"}
        scheme = replace(SCHEME, views={"hand": replace(SCHEME.views["hand"], template=template)})
        assert set(make_joint_template(scheme)) == set(template)

    def test_schemes_without_finger_joints_are_refused(self) -> None:
        scheme = load_scheme("mtss")
        feet = replace(scheme, joints=tuple(joint for joint in scheme.joints if joint.group not in ("PIP", "MCP")))
        with pytest.raises(TrainError, match="no finger joints"):
            list_finger_joints(feet)
        with pytest.raises(TrainError, match="no view of the scheme has a template"):
            make_joint_template(replace(scheme, views={name: scheme.views[name] for name in ("foot",)}))

    def test_hands_are_those_of_films_with_finger_joints(self) -> None:
        films = [
            FilmRecord("a", 0, "R", "hand", 60, 40),
            FilmRecord("b", 0, "L", "foot", 60, 40),
            FilmRecord("c", 1, "B", "hand", 80, 100),
        ]
        hands = list(iterate_hands(Case("C", tuple(films)), load_scheme("mtss")))
        assert [(film.id, side) for film, side, _ in hands] == [("a", "R"), ("c", "L"), ("c", "R")]
        assert [frame for _, _, frame in hands] == [
            Frame(Box(0, 0, 40, 60), True, 320 / 60),
            Frame(Box(0, 0, 50, 80), False, 4.0),
            Frame(Box(50, 0, 100, 80), True, 4.0),
        ]


class TestRegions:
    def test_only_films_with_confirmed_regions_and_only_joints_with_a_box_count(self, tmp_path: Path) -> None:
        given = [
            region("L.MCP2", "L0"),
            region("L.MCP3", "L0", by=""),
            region("L.PIP2", "L0", box=None),
            region("L.MCP2", "L1", by=""),
        ]
        study = RegionStudy({"C1": (), "C2": ()}, {}, given=given, damaged=frozenset({"C2"}))
        hands = load(study, tmp_path)
        assert (hands.cases, hands.films, hands.sides, hands.dependent) == (("C1",), ("L0",), ("L",), 0)
        known = [joint for joint, box in zip(hands.joints, hands.boxes[0], strict=True) if np.isfinite(box).all()]
        assert known == ["MCP2"]
        assert [("PIP", "MCP")[kind] for kind in hands.kinds] == [joint.group for joint in SCHEME.joints]

    def test_findings_are_those_of_raters_who_read_the_joint(self, tmp_path: Path) -> None:
        readings = (
            SmallReading("ada", {}, frozenset({Slot("L.MCP2", 0)})),
            SmallReading("ben", {}, frozenset({Slot("L.MCP3", 0)}), site_keys=("L.MCP3",)),
        )
        given = [region(site, "L0") for site in ("L.MCP2", "L.MCP3", "L.MCP4")]
        hands = load(RegionStudy({"C1": readings}, {}, given=given), tmp_path)
        found = dict(zip(hands.joints, hands.findings[0].tolist(), strict=True))
        assert (found["MCP2"], found["MCP3"], found["MCP4"]) == (1.0, 0.5, 0.0)

    @pytest.mark.parametrize("source", [RegionSource.REGISTERED, RegionSource.OTHER_FILM])
    def test_boxes_of_a_detector_and_their_copies_are_not_independent(
        self, tmp_path: Path, source: RegionSource
    ) -> None:
        given = [
            region("L.MCP2", "L0", MODEL),
            region("L.MCP2", "L1", source),
            region("L.MCP3", "L0", RATER),
            region("L.MCP3", "L1", source),
            region("L.MCP4", "L0", MODEL),
            region("L.MCP4", "L1", RATER),
            region("L.MCP5", "L0", RegionSource.TEMPLATE),
            region("R.MCP2", "R0", source),  # registration mirrors the boxes of the other hand
            region("R.MCP3", "R0", source),
        ]
        study = RegionStudy({"C1": ()}, {}, given=given)
        every, own = load(study, tmp_path), load(study, tmp_path, independent=True)
        assert (every.dependent, own.dependent) == (4, 4)

        def known(hands: HandSamples) -> set[tuple[str, str]]:
            rows, columns = np.nonzero(np.isfinite(hands.boxes).all(axis=2))
            return {(hands.joints[column], hands.films[row]) for row, column in zip(rows, columns, strict=True)}

        assert known(every) == {(each.site[2:], each.film) for each in given}
        assert known(own) == {("MCP3", "L0"), ("MCP3", "L1"), ("MCP4", "L1"), ("MCP5", "L0"), ("MCP3", "R0")}

    def test_an_estimated_box_depends_on_its_neighbours(self, tmp_path: Path) -> None:
        given = [region("L.MCP2", "L0"), region("L.MCP2", "L1", RegionSource.ESTIMATED), region("L.MCP3", "L0")]
        for more, dependent in (((), 0), ((region("L.MCP4", "L0", MODEL),), 2)):
            hands = load(RegionStudy({"C1": ()}, {}, given=[*given, *more]), tmp_path, independent=True)
            assert hands.dependent == dependent
            assert np.isfinite(hands.boxes).all(axis=2).sum() == len(given) + len(more) - dependent

    def test_boxes_placed_by_those_of_a_detector_on_the_same_hand_are_not_independent(self, tmp_path: Path) -> None:
        given = [
            region("L.MCP2", "L0", MODEL),
            region("L.MCP3", "L0", RegionSource.ESTIMATED),
            region("L.MCP4", "L0", RATER),
            region("R.MCP2", "R0", RATER),
            region("R.MCP3", "R0", RegionSource.ESTIMATED),
        ]
        own = load(RegionStudy({"C1": ()}, {}, given=given), tmp_path, independent=True)
        assert own.dependent == 3, "on a film of the other hand, registration may have placed it"
        boxes = dict(zip(own.films, np.isfinite(own.boxes).all(axis=2).sum(axis=1).tolist(), strict=True))
        assert boxes == {"L0": 1, "R0": 1}

    def test_nothing_to_load_is_an_error_with_its_reason(self, tmp_path: Path) -> None:
        for given, text in (
            ([], "no film has confirmed regions of finger joints. Confirm"),
            ([region("L.MCP2", "L0", MODEL)], "but those that a detector proposed"),
        ):
            with pytest.raises(TrainError, match=text):
                load(RegionStudy({"C1": ()}, {}, given=given), tmp_path, independent=True)

    def test_boxes_of_wrists_lie_in_the_square_and_those_of_a_right_hand_are_mirrored(self, tmp_path: Path) -> None:
        given = [region("L.LUN", "L0"), region("R.LUN", "R1"), region("L.MCP2", "L1")]
        samples = load(RegionStudy({"C1": ()}, {}, given=given, scheme=load_scheme("mtss-hands")), tmp_path)
        assert samples.wrists is not None
        column = WRIST_SITES.index("LUN")
        for row, (film, side) in enumerate(zip(samples.films, samples.sides, strict=True)):
            known = np.isfinite(samples.wrists[row]).all(axis=1)
            assert np.flatnonzero(known).tolist() == ([] if film == "L1" else [column])
            if known.any():
                back = samples.frames[row].to_film(Box(*samples.wrists[row, column].tolist()))
                assert back == pytest.approx(BOX, abs=1e-3), side
        left, right = (samples.wrists[samples.films.index(film), column, 0] for film in ("L0", "R1"))
        assert left != pytest.approx(right, abs=1.0)

    def test_without_confirmed_wrists_there_are_none(self, tmp_path: Path) -> None:
        assert load(RegionStudy({"C1": ()}, {}, given=[region("L.MCP2", "L0")]), tmp_path).wrists is None

    def test_images_are_prepared_once_with_their_progress(self, tmp_path: Path) -> None:
        study = RegionStudy({"C1": ()}, {}, given=[region("L.MCP2", "L0"), region("R.MCP2", "R1")])
        for wanted in ([0, 1, 2], [2]):
            told: list[tuple[str, int, int]] = []
            load_hand_samples(study, ["C1"], tmp_path, lambda *at, told=told: told.append(at))  # type: ignore[arg-type, misc]
            assert told == [("preparing hands", done, 2) for done in wanted]


class TestFilmsOfBothHands:
    FILM = FilmRecord("both", 0, "B", "hand", ROWS, COLUMNS, file="both")

    def hands(self, folder: Path, left: float, right: float) -> HandSamples:
        """Load a film with three joints of each hand, whose middle ones are at these columns."""
        given = [
            region(f"{side}.MCP{number}", "both", box=Box.from_centre(x + shift, 30.0, 6.0))
            for side, x in (("L", left), ("R", right))
            for number, shift in ((2, -20.0), (3, 0.0), (4, 1.0))
        ]
        return load(RegionStudy({"C1": ()}, {}, given=given, films=(self.FILM,)), folder)

    def test_the_left_hand_is_expected_on_the_left(self, tmp_path: Path) -> None:
        hands = self.hands(tmp_path, 12.0, 36.0)
        assert hands.sides == ("L", "R")
        assert hands.frames == (
            Frame(Box(0, 0, 24, 60), False, 320 / 60),
            Frame(Box(24, 0, 48, 60), True, 320 / 60),
        )

    def test_hands_on_exchanged_sides_have_the_half_where_their_joints_are(self, tmp_path: Path) -> None:
        hands = self.hands(tmp_path, 36.0, 12.0)
        assert [frame.area.x0 for frame in hands.frames] == [24, 0]
        assert [frame.mirrored for frame in hands.frames] == [False, True]
        column = hands.joints.index("MCP3")
        assert hands.boxes[0, column].tolist() == pytest.approx([value * 320 / 60 for value in (9, 27, 15, 33)])
        assert hands.boxes[1, column].tolist() == pytest.approx([value * 320 / 60 for value in (9, 27, 15, 33)])

    def test_joints_on_the_border_are_in_the_expected_half(self, tmp_path: Path) -> None:
        hands = self.hands(tmp_path, 24.0, 24.0)
        assert [frame.area.x0 for frame in hands.frames] == [0, 24]

    def test_a_hand_without_joints_is_in_the_expected_half(self, tmp_path: Path) -> None:
        given = [region("L.MCP2", "both", box=Box.from_centre(36.0, 30.0, 6.0)), region("R.MCP3", "both", box=None)]
        hands = load(RegionStudy({"C1": ()}, {}, given=given, films=(self.FILM,)), tmp_path)
        assert [frame.area.x0 for frame in hands.frames] == [24, 24]

    def test_a_film_of_one_hand_is_shown_whole(self, tmp_path: Path) -> None:
        film = replace(self.FILM, side="L")
        given = [region("L.MCP2", "both", box=Box.from_centre(47.0, 30.0, 6.0).shift(20, 0))]
        hands = load(RegionStudy({"C1": ()}, {}, given=given, films=(film,)), tmp_path)
        assert hands.frames == (Frame(Box(0, 0, 48, 60), False, 320 / 60),)

"""Simulated films of feet: boxes on their joints, damage by grade and side, deformities, and hands that stay the same."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pydicom
import pytest

from ratui.demo.simulate import Simulation, simulate_study
from ratui.imaging import read_film
from ratui.phantom import RATERS, PhantomPatient, render, simulate_patient, write_patient_films
from ratui.phantom.foot_anatomy import BOX_SIDES, WIDTHS
from ratui.phantom.foot_pose import draw_foot_pose
from ratui.phantom.lesions import draw_sided_erosions, split_sides
from ratui.phantom.parts import Layout, LongBone
from ratui.reading import Field, FindingEntry, GradeEntry, enter, find_next_open_field, find_problems, start_reading
from ratui.scheme import load_scheme
from tests.phantom.feet import JOINTS, NEUTRAL, bones_of, foot_layout, foot_mineral, whole_mineral
from tests.phantom.hands import MM, patient, with_damage
from tests.support.in_process import draw_films_in_this_process

pytestmark = pytest.mark.slow

SCHEME = load_scheme("mtss")
SEEDS = range(1, 4)
SMALL, WIDE = (210, 172), (172, 260)


@cache
def well(seed: int) -> PhantomPatient:
    """Return a healthy adult whose feet are scored."""
    return simulate_patient(np.random.default_rng(seed), SCHEME, severity=0.0, age=40.0)


def ill(seed: int, severity: float | None = 2.0, age: float | None = None) -> PhantomPatient:
    """Return a patient whose feet are scored."""
    return simulate_patient(np.random.default_rng(seed), SCHEME, severity=severity, age=age)


def replace_bones(layout: Layout, bone: LongBone) -> Layout:
    """Return a layout with the boxes of `layout` and a single bone."""
    return Layout(long_bones=[bone], centres=layout.centres)


class TestBoxes:
    @pytest.mark.parametrize("joint", JOINTS)
    def test_the_space_of_a_joint_lies_in_the_middle_of_its_box(self, joint: str) -> None:
        for seed in SEEDS:
            layout = foot_layout(well(seed))
            head, base = bones_of(layout, joint)
            axis = (base.end - base.start) / np.hypot(*(base.end - base.start))
            centre, side = layout.centres[f"L.{joint}"]
            picture = foot_mineral(layout, f"L.{joint}")

            def along(places: np.ndarray) -> np.ndarray:
                at = np.round((places[:, None] * axis + side / 2) / MM - 0.5).astype(int)  # noqa: B023
                return picture[at[:, 1], at[:, 0]]  # noqa: B023

            space = along(np.arange(-1.2, 1.3, 0.2)).min()
            proximal, distal = (np.median(along(sign * np.arange(3.0, 7.0, 0.2))) for sign in (-1, 1))
            assert space < 0.35 * min(proximal, distal)
            assert side == BOX_SIDES[joint] * head.scale
            assert np.hypot(*(centre - (head.end + base.start) / 2)) < 2.0

    def test_all_boxes_lie_on_films_of_one_foot(self) -> None:
        for seed in range(3):
            sick = ill(seed, severity=None)
            for side in ("L", "R"):
                film = render(sick, side, seed % 2, np.random.default_rng(seed), size=SMALL, part="foot")
                assert (film.part, film.side) == ("foot", side)
                assert set(film.boxes) == {f"{side}.{joint}" for joint in JOINTS}
                for box in film.boxes.values():
                    assert box.x0 >= 0 <= box.y0
                    assert box.x1 <= SMALL[1]
                    assert box.y1 <= SMALL[0]

    def test_the_big_toe_of_the_left_foot_is_at_the_right_and_of_the_right_foot_at_the_left(self) -> None:
        for side, sign in (("L", 1), ("R", -1)):
            film = render(well(1), side, 0, np.random.default_rng(1), size=SMALL, part="foot")
            places = [film.boxes[f"{side}.MTP{ray}"].x0 * sign for ray in (5, 4, 3, 2, 1)]
            assert places == sorted(places)

    @pytest.mark.parametrize("left_first", [True, False])
    def test_both_feet_on_one_film_each_have_their_half(self, left_first: bool) -> None:
        film = render(
            well(2), "B", 0, np.random.default_rng(2), size=WIDE, part="foot", left_first=left_first
        )  # fmt: skip
        assert len(film.boxes) == 12
        assert (film.areas["L"].x0 < film.areas["R"].x0) is left_first
        for site, box in film.boxes.items():
            area = film.areas[site[0]]
            assert area.x0 <= box.x0 < box.x1 <= area.x1
        for side, sign in (("L", 1), ("R", -1)):
            assert (film.boxes[f"{side}.MTP1"].x0 - film.boxes[f"{side}.MTP5"].x0) * sign > 0

    def test_the_typical_boxes_of_the_scheme_are_those_of_the_average_foot(self) -> None:
        found: dict[str, list[tuple[float, float, float]]] = {joint: [] for joint in JOINTS}
        for seed in range(11):
            film = render(well(seed), "L", 0, np.random.default_rng(seed), size=(105, 86), part="foot")
            for joint, places in found.items():
                box = film.boxes[f"L.{joint}"]
                places.append(((box.x0 + box.x1) / 172, (box.y0 + box.y1) / 210, (box.x1 - box.x0) / 86))
        for joint, places in found.items():
            assert np.median(places, axis=0) == pytest.approx(SCHEME.views["foot"].template[joint], abs=0.05)


class TestDamage:
    def test_a_grade_of_erosion_is_divided_between_both_sides_and_no_side_heals_as_it_rises(self) -> None:
        shares = []
        for seed in range(60):
            who = well(seed)
            site = who.scheme.site("L.MTP3")
            sides = np.array([split_sides(who, site, grade) for grade in range(11)])
            assert (sides.sum(axis=1) == np.arange(11)).all()
            assert (np.diff(sides, axis=0) >= 0).all()
            assert tuple(sides[10]) == (5, 5)
            shares.append(sides[5, 0])
        assert np.mean(shares) > 2.7  # the head erodes more than the base
        assert min(shares) < 2.5

    @pytest.mark.parametrize("joint", ["FIP1", "MTP1", "MTP5"])
    def test_the_more_erosion_the_less_mineral(self, joint: str) -> None:
        site, lost = f"L.{joint}", []
        for seed in SEEDS:
            pictures = [
                foot_mineral(foot_layout(with_damage(well(seed), {(site, "ERO", 0): grade})), site).sum()
                for grade in (0, 2, 5, 10)
            ]
            lost.append(1 - np.array(pictures) / pictures[0])
        mean = np.mean(lost, axis=0)
        assert (np.diff(mean) > 0).all()
        assert mean[1] > 0.004
        assert mean[-1] > 0.15

    def test_at_grade_10_both_sides_have_erosions_that_add_up_to_5(self) -> None:
        who = with_damage(well(3), {("L.MTP2", "ERO", 0): 10})
        erosions = draw_sided_erosions(who, who.scheme.site("L.MTP2"), 0)
        assert {erosion.outer for erosion in erosions} == {True, False}
        assert all(sum(erosion.outer is side for erosion in erosions) >= 2 for side in (True, False))

    def test_a_grade_changes_the_bones_at_its_joint_only(self) -> None:
        who = well(4)
        before, low = whole_mineral(foot_layout(who))
        for grade, reach in ((4, 0.75), (10, 1.4)):  # at 10 both ends have shrunk, up to the shafts
            after, _ = whole_mineral(foot_layout(with_damage(who, {("L.MTP3", "ERO", 0): grade})))
            rows, columns = np.nonzero(np.abs(after - before) > 0.05)
            centre, side = foot_layout(who).centres["L.MTP3"]
            away = np.abs(np.column_stack([columns, rows]) * 0.5 + low - centre).max(axis=1)
            assert len(away) > 30
            assert away.max() < reach * side

    @pytest.mark.parametrize("joint", JOINTS)
    def test_a_joint_space_narrows_with_its_grade(self, joint: str) -> None:
        gaps = []
        for grade in range(5):
            layout = foot_layout(with_damage(well(5), {(f"L.{joint}", "JSN", 0): grade}), hallux_valgus=0.0)
            head, base = bones_of(layout, joint)
            axis = (base.end - base.start) / np.hypot(*(base.end - base.start))
            gaps.append(float((base.start - head.end) @ axis))
        assert (np.diff(gaps) < 0).all()
        assert gaps[0] - gaps[4] > 0.7

    def test_findings_displace_or_bridge_the_joint(self) -> None:
        for seed in SEEDS:
            who = well(seed)
            aside = {}
            for finding in ("", "subluxation", "luxation"):
                layout = foot_layout(with_damage(who, {}, **({"L_MTP3": finding} if finding else {})))
                head, base = bones_of(layout, "MTP3")
                axis = (base.end - base.start) / np.hypot(*(base.end - base.start))
                shift = (base.start - head.end) @ [-axis[1], axis[0]]
                aside[finding] = abs(float(shift)) / (WIDTHS[3][1][0] * head.scale)
            assert aside[""] < 0.15 < 0.35 < aside["subluxation"] < 0.95 < aside["luxation"] + 0.15
            spaces = {}
            for finding in ("", "ankylosis"):
                layout = foot_layout(with_damage(who, {}, **({"L_MTP3": finding} if finding else {})))
                picture = foot_mineral(layout, "L.MTP3")
                half = picture.shape[0] // 2
                across = picture[half - 10 : half + 11, half - 5 : half + 6].mean(axis=1)
                spaces[finding] = across.min() / np.median(picture[picture > 0.5])
            assert spaces[""] < 0.1
            assert spaces["ankylosis"] > 0.6


class TestDeformities:
    def test_hallux_valgus_turns_the_big_toe_outwards_about_its_joint(self) -> None:
        straight, crooked = (foot_layout(well(1), hallux_valgus=angle) for angle in (5.0, 40.0))
        turned = []
        for layout in (straight, crooked):
            metatarsal, toe = bones_of(layout, "MTP1")
            lines = [bone.end - bone.start for bone in (metatarsal, toe)]
            turned.append(np.degrees(np.arctan2(lines[0][0], -lines[0][1]) - np.arctan2(lines[1][0], -lines[1][1])))
        assert turned == pytest.approx([5.0, 40.0], abs=0.1)
        moved = {joint: crooked.centres[f"L.{joint}"][0] - straight.centres[f"L.{joint}"][0] for joint in JOINTS}
        assert moved["FIP1"][0] < -12  # mm, towards the lesser toes
        assert np.hypot(*moved["MTP1"]) < 7
        assert all(np.hypot(*moved[f"MTP{ray}"]) == 0 for ray in (2, 3, 4, 5))
        sesamoids = [layout.short_bones[0].outline.mean(axis=0)[0] for layout in (straight, crooked)]
        assert sesamoids[1] < sesamoids[0] - 2

    def test_a_phalanx_that_points_up_is_short_and_dense(self) -> None:
        who, lift = well(1), np.zeros((5, 3))
        lift[1, 0] = 0.9
        flat, lifted = (foot_layout(who, pose=replace(NEUTRAL, lift=each)) for each in (np.zeros((5, 3)), lift))
        seen = []
        for layout in (flat, lifted):
            bone = bones_of(layout, "MTP2")[1]
            middle = foot_mineral(replace_bones(layout, bone), "L.MTP2")
            seen.append((np.hypot(*(bone.end - bone.start)), middle.max()))
        assert seen[1][0] < 0.7 * seen[0][0]
        assert seen[1][1] > 1.3 * seen[0][1]

    def test_deformities_belong_to_the_patient_and_increase_with_severity(self) -> None:
        angles = {}
        for severity in (0.0, 2.5):
            sick = ill(1, severity, 60.0)
            poses = [
                draw_foot_pose(np.random.default_rng(film), sick, np.random.default_rng(person))
                for person in range(60)
                for film in (1, 2)
            ]
            valgus = np.degrees([pose.hallux_valgus for pose in poses]).reshape(-1, 2)
            assert np.abs(np.diff(valgus)).max() < 8
            assert valgus.min() > 0
            assert valgus.max() < 52
            angles[severity] = valgus.mean()
            clawed = [bool((np.abs(pose.lift[1:]) > 0.8).any()) for pose in poses]
            assert (np.mean(clawed) > 0.4) == (severity > 0)
        assert angles[2.5] > angles[0.0] + 4

    def test_toes_of_sick_feet_slip_out_of_joint_and_stay_so(self) -> None:
        found = []
        for seed in range(100):
            sick = ill(seed)
            for site in sick.scheme.sites:
                if site.joint.group == "MTP":
                    before, after = (sick.findings.get((site.key, time)) for time in (0, 1))
                    found.append(after or "")
                    if before is not None:
                        worse = {
                            "subluxation": {"luxation", "ankylosis", "collapse"},
                            "luxation": {"ankylosis", "collapse"},
                        }
                        assert after in worse.get(before, set()) | {before}
                    if after == "luxation":
                        assert sick.grades[site.key, "JSN", 1] == 4
        shares = {name: np.mean([each == name for each in found]) for name in ("subluxation", "luxation", "ankylosis")}
        assert all(share > 0.005 for share in shares.values())
        assert np.mean([bool(each) for each in found]) < 0.25


class TestFilms:
    def test_a_film_is_the_same_for_the_same_generator(self) -> None:
        first, second = (
            render(well(1), "R", 0, np.random.default_rng(3), size=SMALL, part="foot") for _ in range(2)
        )  # fmt: skip
        assert np.array_equal(first.pixels, second.pixels)
        assert first.boxes == second.boxes

    def test_the_hindfoot_is_brighter_than_the_toes_and_these_than_the_background(self) -> None:
        for seed in range(3):
            film = render(well(seed), "L", 0, np.random.default_rng(seed), size=SMALL, part="foot")
            boxes = [film.boxes[f"L.MTP{ray}"] for ray in (2, 3, 4)]
            low, middle = round(max(box.y1 for box in boxes)), round((boxes[0].x0 + boxes[2].x1) / 2)
            toes = np.concatenate(
                [film.pixels[round(b.y0) : round(b.y1), round(b.x0) : round(b.x1)] for b in boxes], None
            )
            bottom = film.pixels[low + 30 : low + 45, middle - 15 : middle + 15]
            assert np.median(bottom) > np.median(toes) > np.percentile(film.pixels, 20)

    def test_the_feet_change_nothing_in_the_hands(self, tmp_path: Path) -> None:
        hands = patient(7, severity=2.0, scheme="mtss-hands")
        both = ill(7)
        assert all(both.grades[key] == grade for key, grade in hands.grades.items())
        both = replace(both, seed=hands.seed, age=hands.age)
        written = [
            write_patient_films(who, tmp_path / who.scheme.name, np.random.default_rng(1), name="1", size=(105, 86))
            for who in (hands, both)
        ]
        assert [film.part for film in written[1]] == ["hand"] * 4 + ["foot"] * 4
        for one, other in zip(written[0], written[1][:4], strict=True):
            assert np.array_equal(read_film(one.path).pixels, read_film(other.path).pixels)
            assert one.boxes == other.boxes
        first = render(hands, "L", 0, np.random.default_rng(1), size=(105, 86))
        assert np.array_equal(read_film(written[0][0].path).pixels, first.pixels)
        header = pydicom.dcmread(written[1][5].path)
        assert (header.BodyPartExamined, header.ViewPosition, header.Laterality) == ("FOOT", "AP", "R")

    def test_a_whole_study_of_hands_and_feet_is_simulated(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        draw_films_in_this_process(monkeypatch)
        what = Simulation(
            1, {"ada": "mixed"}, size=(105, 86), seed=3, scheme="mtss", both_hands_share=1.0, severity=2.0
        )
        study = simulate_study(tmp_path / "study", what, key=tmp_path / "key.json", progress=lambda *_: None).study
        (case,) = (study.case(name) for name in study.cases())
        assert sorted((film.time, film.side, film.view) for film in case.films) == [
            (time, "B", view) for time in (0, 1) for view in ("foot", "hand")
        ]
        assert len(case.sites(study.scheme)) == 56
        assert len(study.regions(case.id)) == 112
        assert study.state("ada", case.id).stage == "signed"


@pytest.mark.parametrize("kind", RATERS)
def test_the_answers_of_a_rater_about_feet_can_be_entered(kind: str) -> None:
    sick = ill(8, 2.5)
    given = RATERS[kind].read(sick, np.random.default_rng(5))
    reading = start_reading(
        sick.scheme, "C-1", "sim", [site for site in sick.scheme.sites if site.joint.part == "foot"]
    )
    while field := find_next_open_field(reading):
        finding = given.findings.get((field.site, field.time))
        joint = sick.scheme.site(field.site).joint
        fixes = finding and field.scale in joint.scales_fixed_by(sick.scheme.finding(finding))
        grade = given.grades.get(Field(*field))
        reading = enter(reading, field, FindingEntry(finding) if finding and fixes else GradeEntry(grade))  # type: ignore[arg-type]
    assert find_problems(reading) == ()


def test_the_bases_of_the_metatarsals_are_marked_on_the_film() -> None:
    film = render(well(1), "B", 0, np.random.default_rng(3), size=WIDE, part="foot")
    assert set(film.landmarks) == {f"{side}.MT{ray} base" for side in "LR" for ray in range(1, 6)}
    for side in "LR":
        for ray in range(1, 6):
            (x, y), (head_x, head_y) = film.landmarks[f"{side}.MT{ray} base"], film.boxes[f"{side}.MTP{ray}"].centre
            length = float(np.hypot(x - head_x, y - head_y)) * film.spacing[0]
            assert 50 < length < 95, "a metatarsal and half a joint space"
            assert y > head_y
            area = film.areas[side]
            assert area.x0 < x < area.x1
    first, fifth = (film.landmarks[f"R.MT{ray} base"][0] for ray in (1, 5))
    assert first < fifth, "the big toe of a right foot is on the left"
    hand = render(well(1), "R", 0, np.random.default_rng(3), size=SMALL)
    assert not hand.landmarks
    assert set(hand.axes) == {f"R.{name}{finger}" for name in ("MCP", "PIP") for finger in range(2, 6)} | {
        "R.MCP1",
        "R.IP1",
    }
    for drawn, (site, (base, head)) in [(each, axis) for each in (film, hand) for axis in each.axes.items()]:
        box = drawn.boxes[site]
        assert np.hypot(head[0] - box.centre[0], head[1] - box.centre[1]) < 0.3 * box.width, "the head is at the joint"
        assert base[1] - head[1] > 0.5 * box.width or site == "R.IP1", "the bone is on the proximal side"
    (x, y), (u, v) = hand.axes["R.MCP1"]
    assert u < x
    assert v < y, "the thumb of a right hand is on the left"
    assert hand.axes["R.MCP1"][1] == pytest.approx(hand.axes["R.IP1"][0], abs=0.2 * hand.boxes["R.MCP1"].width)

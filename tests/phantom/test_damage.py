"""Damage on simulated bones: its shape by grade, its variation, its growth in place, and findings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratui.phantom.anatomy import WIDTHS
from ratui.phantom.lesions import draw_erosions, draw_joint_space, split_grade
from ratui.phantom.parts import Layout, LongBone
from tests.phantom.hands import flat_layout, healthy, mineral, with_damage

pytestmark = pytest.mark.slow

SEEDS = range(1, 7)
BONES = ("L.MULT", "L.NAV", "L.LUN", "L.RAD", "L.ULN")


@given(grade=st.integers(0, 5), first=st.integers(2, 3), second=st.just(2))
def test_the_erosions_of_a_joint_add_up_to_its_grade_and_never_shrink_as_it_rises(
    grade: int, first: int, second: int
) -> None:
    parts = split_grade(grade, (first, second))
    assert sum(parts) == grade
    assert max(parts) <= 3
    if grade:
        assert all(now >= before for now, before in zip(parts, split_grade(grade - 1, (first, second)), strict=True))


@pytest.mark.parametrize("site", ["L.PIP3", "L.MCP2", "L.CMC1", *BONES])
def test_the_more_erosion_the_less_mineral(site: str) -> None:
    lost = []
    for seed in SEEDS:
        who = healthy(seed)
        whole = mineral(flat_layout(who), site).sum()
        lost.append(
            [1 - mineral(flat_layout(with_damage(who, {(site, "ERO", 0): g})), site).sum() / whole for g in range(6)]
        )
    mean = np.mean(lost, axis=0)
    assert (np.diff(mean) > 0).all()
    assert mean[1] > 0.0012  # of a box that contains other bones too
    assert mean[5] > (0.04 if site != "L.RAD" else 0.007)


def test_grade_2_stops_before_the_midline_and_grade_3_is_past_it() -> None:
    """Use only joints with one erosion; higher grades add a second."""
    reach: dict[int, list[float]] = {1: [], 2: [], 3: []}
    for seed in range(40):
        for grade in reach:
            who = with_damage(healthy(seed), {("L.MCP3", "ERO", 0): grade})
            lesions = draw_erosions(who, who.scheme.site("L.MCP3"), 0)
            if len(lesions) == 1:
                reach[grade].append(lesions[0].reach)
    assert max(reach[1]) < min(reach[2])
    assert max(reach[2]) < 1 < min(reach[3])


def test_two_patients_of_a_grade_differ_in_place_form_and_contrast() -> None:
    lesions = []
    for seed in range(60):
        who = with_damage(healthy(seed), {("L.PIP2", "ERO", 0): 2})
        lesions.append(draw_erosions(who, who.scheme.site("L.PIP2"), 0)[0])
    assert {(each.outer, each.sign) for each in lesions} == {(a, b) for a in (True, False) for b in (1, -1)}
    assert np.std([each.depth for each in lesions]) > 0.1
    assert np.std([each.along for each in lesions]) > 0.1
    assert np.std([each.length for each in lesions]) > 0.04
    assert 0.02 < np.mean([each.inside > 0 for each in lesions]) < 0.35  # cysts that leave the margin intact


def test_an_erosion_grows_where_it_was_and_repair_leaves_a_dense_edge() -> None:
    for seed in range(20):
        who = healthy(seed)
        site = who.scheme.site("L.MCP2")
        worse = with_damage(who, {("L.MCP2", "ERO", 0): 2, ("L.MCP2", "ERO", 1): 3})
        before, after = draw_erosions(worse, site, 0)[0], draw_erosions(worse, site, 1)[0]
        assert (before.outer, before.sign, before.along) == (after.outer, after.sign, after.along)
        better = with_damage(who, {("L.MCP2", "ERO", 0): 3, ("L.MCP2", "ERO", 1): 2})
        assert draw_erosions(better, site, 1)[0].rim > before.rim + 0.3
        assert draw_erosions(better, site, 1)[0].depth < before.depth


def test_nothing_else_of_a_hand_changes_between_the_time_points() -> None:
    who = with_damage(healthy(3), {("L.MCP2", "ERO", 1): 4})
    before, after = flat_layout(who, 0), flat_layout(who, 1)
    changed = []
    for old, new in zip(before.long_bones, after.long_bones, strict=True):
        assert np.array_equal(old.start, new.start)
        assert np.array_equal(old.end, new.end)
        assert (old.widths, old.texture) == (new.widths, new.texture)
        changed.append(old.erosions != new.erosions)
    assert 1 <= sum(changed) <= 2
    for old, new in zip(before.short_bones, after.short_bones, strict=True):
        assert np.array_equal(old.outline, new.outline)


@pytest.mark.parametrize("joint", ["PIP3", "MCP2"])
def test_the_space_of_a_finger_joint_narrows_with_its_grade(joint: str) -> None:
    for seed in SEEDS:
        gaps = [gap(flat_layout(with_damage(healthy(seed), {(f"L.{joint}", "JSN", 0): g})), joint) for g in range(5)]
        assert (np.diff(gaps) < 0).all()
        assert gaps[2] > 0.5 * gaps[0] > gaps[3]
        assert gaps[4] < 0.15 * gaps[0]


def test_grade_1_of_jsn_is_focal_and_grade_2_general() -> None:
    spaces = {grade: [] for grade in (1, 2)}  # type: dict[int, list[tuple[float, float]]]
    for seed in range(30):
        for grade, seen in spaces.items():
            who = with_damage(healthy(seed), {("L.PIP4", "JSN", 0): grade})
            space = draw_joint_space(who, who.scheme.site("L.PIP4"), 0)
            seen.append((space.remaining, space.focal_loss))
    (left1, focal1), (left2, focal2) = (np.mean(spaces[grade], axis=0) for grade in (1, 2))
    assert left1 > 0.85 > left2
    assert focal1 > 3 * focal2


@pytest.mark.parametrize(
    ("site", "first", "second"),
    [("L.CAP-NAV-LUN", "capitate", "lunate"), ("L.RC", "lunate", "radius"), ("L.MULT-NAV", "trapezoid", "scaphoid")],
)
def test_the_spaces_of_the_wrist_narrow_with_their_grade(site: str, first: str, second: str) -> None:
    spaces = []
    for seed in SEEDS:
        who = healthy(seed)
        spaces.append([distance(flat_layout(with_damage(who, {(site, "JSN", 0): g})), first, second) for g in range(5)])
    mean = np.mean(spaces, axis=0)
    assert (np.diff(mean) < 0).all()
    assert mean[0] > 0.9
    assert mean[4] < 0.45


@pytest.mark.parametrize(("site", "finger"), [("L.CMC3", 3), ("L.CMC4", 4), ("L.CMC5", 5)])
def test_the_spaces_at_the_metacarpal_bases_narrow_with_their_grade(site: str, finger: int) -> None:
    lowest = []
    for grade in (0, 2, 4):
        dark = []
        for seed in SEEDS:
            layout = flat_layout(with_damage(healthy(seed), {(site, "JSN", 0): grade}))
            base = layout.metacarpals[finger - 1]
            axis = (base.end - base.start) / np.hypot(*(base.end - base.start))
            bone = layout.short_bones[name_index("capitate" if finger == 3 else "hamate")]
            out = (base.start - bone.outline) @ axis
            dark.append(out[np.abs((bone.outline - base.start) @ [-axis[1], axis[0]]) < 3].min())
        lowest.append(np.mean(dark))
    assert lowest[0] > lowest[1] > lowest[2]


def test_a_subluxated_joint_is_partly_and_a_luxated_one_wholly_displaced() -> None:
    for seed in SEEDS:
        who = healthy(seed)
        aside = {}
        for finding in ("subluxation", "luxation"):
            layout = flat_layout(with_damage(who, {("L.MCP2", "JSN", 0): 3}, L_MCP2=finding))
            head, base = bones_of(layout, "MCP2")
            axis = (base.end - base.start) / np.hypot(*(base.end - base.start))
            away = base.start - head.end
            aside[finding] = abs(float(away @ [-axis[1], axis[0]])) / (WIDTHS[2][1][0] * head.scale)
        assert 0.4 < aside["subluxation"] < 0.85 < aside["luxation"]


def test_a_fused_joint_has_bone_across_its_space_and_a_normal_one_has_not() -> None:
    for seed in SEEDS:
        who = healthy(seed)
        middle = {}
        for name, changed in (("normal", who), ("fused", with_damage(who, {}, L_PIP3="ankylosis"))):
            picture = mineral(flat_layout(changed), "L.PIP3")
            half = picture.shape[0] // 2
            along = picture[:, half - 5 : half + 6].mean(axis=1)
            middle[name] = along[half - 12 : half + 13].min() / np.median(along)
        assert middle["normal"] < 0.25
        assert middle["fused"] > 0.5


def test_a_crushed_bone_of_the_wrist_is_flat() -> None:
    for seed in SEEDS:
        who = healthy(seed)
        tall = {}
        for name, changed in (("normal", who), ("crushed", with_damage(who, {}, L_LUN="collapse"))):
            outline = flat_layout(changed).short_bones[name_index("lunate")].outline
            tall[name] = np.ptp(outline[:, 1])
        assert tall["crushed"] < 0.85 * tall["normal"]


def test_children_have_growth_plates_and_adults_none() -> None:
    for seed in SEEDS:
        who = healthy(seed)
        child = flat_layout(replace(who, age=9.0))
        assert all(bone.growth == 0 for bone in flat_layout(who).long_bones)
        assert all(bone.growth > 0 for bone in child.long_bones)
        assert child.long_bones[0].scale < flat_layout(who).long_bones[0].scale


def bones_of(layout: Layout, joint: str) -> tuple[LongBone, LongBone]:
    """Return the two bones that meet in a joint of a finger, from the second finger on."""
    finger, number = int(joint[-1]), 0 if joint.startswith("MCP") else 1
    first = 3 + 4 * (finger - 2) + number  # the thumb has three bones, the others four
    return layout.long_bones[first], layout.long_bones[first + 1]


def gap(layout: Layout, joint: str) -> float:
    inner, outer = bones_of(layout, joint)
    return float(np.hypot(*(outer.start - inner.end)))


ORDER = (
    "radius",
    "ulna",
    "trapezium",
    "trapezoid",
    "capitate",
    "hamate",
    "scaphoid",
    "lunate",
    "triquetrum",
    "pisiform",
)


def name_index(name: str) -> int:
    """Return the index of a wrist bone among the short bones: after the sesamoids, before the hook of the hamate."""
    return ORDER.index(name) - len(ORDER) - 1


def distance(layout: Layout, first: str, second: str) -> float:
    """Return the smallest distance of two wrist bones, in mm."""
    one, other = (layout.short_bones[name_index(name)].outline for name in (first, second))
    return float(np.hypot(*(one[:, None] - other[None]).T).min())

"""Fine structure of the bones at the scale of a joint: what is constant, what depends on age and disease, and its size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ratui.phantom import PhantomPatient
from ratui.phantom.body import draw_body
from ratui.phantom.detail import BoneDetail, HeadContour, Lucency, draw_detail
from ratui.phantom.limb import Limb
from ratui.phantom.parts import Layout, LongBone
from ratui.phantom.texture import lattice, mottle, trabeculae
from tests.phantom.hands import MM, flat_layout, healthy, mineral, patient

SITE = "L.MCP2"


def with_detail(layout: Layout, **changes: object) -> Layout:
    """Return `layout` with plain long bones, but for `changes` of their fine structure."""
    plain = [replace(bone, detail=replace(BoneDetail(), **changes)) for bone in layout.long_bones]  # type: ignore[arg-type]
    return replace(layout, long_bones=plain)


def details(who: PhantomPatient) -> list[BoneDetail]:
    """Return the fine structure of all bones of the left hand."""
    limb = Limb(who, "L", 0, draw_body(who, "L"))
    counts = {1: 3, 2: 4, 3: 4, 4: 4, 5: 4}
    return [
        draw_detail(limb, ray, number, "metacarpal" if number == 0 else "phalanx")
        for ray, count in counts.items()
        for number in range(count)
    ]


def test_both_time_points_show_the_same_fine_structure() -> None:
    who = patient(seed=3, severity=2.0)
    first, second = ([bone.detail for bone in flat_layout(who, time).long_bones] for time in (0, 1))
    assert first == second
    assert len(set(map(repr, first))) == 19  # each bone has its own


def test_bone_is_lost_near_the_joints_of_severely_ill_patients() -> None:
    mild, severe = (
        np.mean([each.bone_loss for seed in range(30) for each in details(patient(seed, severity=severity, age=50.0))])
        for severity in (0.0, 2.5)
    )
    assert severe > 2 * mild
    layout = flat_layout(healthy())
    lost = mineral(with_detail(layout, bone_loss=0.4), SITE).sum() / mineral(with_detail(layout), SITE).sum()
    assert 0.7 < lost < 0.95


def test_only_older_patients_have_osteophytes() -> None:
    young = [any(each.spurs) for seed in range(20) for each in details(patient(seed, age=45.0))]
    old = [any(each.spurs) for seed in range(20) for each in details(patient(seed, age=80.0))]
    assert not any(young)
    assert 0.2 < np.mean(old) < 0.95


def test_an_osteophyte_widens_the_margin_and_not_the_middle_of_a_bone() -> None:
    layout = flat_layout(healthy())
    spur = mineral(with_detail(layout, spurs=(1.2, 0.0, 0.0, 0.0)), SITE)
    plain = mineral(with_detail(layout), SITE)
    added = spur - plain
    assert added.max() > 1.0
    middle = np.abs(np.arange(added.shape[1]) - added.shape[1] / 2) < 1.5 / MM
    assert np.abs(added[:, middle]).max() < 0.05


def test_a_healthy_lucency_is_fainter_than_a_faint_erosion() -> None:
    spots = [spot for seed in range(40) for each in details(healthy(seed)) for spot in each.lucencies]
    assert len(spots) > 100
    assert max(spot.depth for spot in spots) < 0.36  # the faintest erosion, see `lesions`
    layout = flat_layout(healthy())
    plain = mineral(with_detail(layout), SITE)
    spotted = mineral(with_detail(layout, lucencies=(Lucency(-4.0, 0.0, 1.0, 0.25),)), SITE)
    share = (plain - spotted)[plain > 1] / plain[plain > 1]
    assert share.max() == pytest.approx(0.25, abs=0.02)
    assert np.count_nonzero(share > 0.05) * MM**2 < 2.5 * np.pi  # mm², of a radius of about 1.6 mm


def test_the_stronger_inner_contour_of_a_head_is_a_bright_line_with_thinner_bone_beside_it() -> None:
    layout = flat_layout(healthy())
    contour = HeadContour((0.6, 0.6), (0.0, 2.5), 0.4, (1.0, 0.7), 0.0, 0.0, (1.0, 0.0, 1.0, 0.0))
    empty = replace(contour, strengths=(0.0, 0.0), thinning=0.0)
    drawn, without = (mineral(with_detail(layout, head=each), SITE) for each in (contour, empty))
    head = slice(round(0.75 * len(drawn)), None)
    ratio = drawn[head][without[head] > 1] / without[head][without[head] > 1]
    assert ratio.max() > 1.25
    assert 0.55 < ratio.min() < 0.72


def test_the_zone_below_a_base_is_wider_with_a_band() -> None:
    layout = flat_layout(healthy())
    wide, narrow = (mineral(with_detail(layout, band=band), SITE) for band in (1.0, 0.0))
    added = (wide - narrow).max(axis=1)
    assert np.count_nonzero(added > 0.5) * MM > 0.8  # mm


def test_trabeculae_without_a_direction_look_alike_in_both_directions() -> None:
    def correlation(tile: np.ndarray, axis: int) -> float:  # type: ignore[type-arg]
        return float(np.mean(tile * np.roll(tile, 3, axis)) / np.var(tile))

    mesh, struts = lattice(0), trabeculae(0)
    assert correlation(mesh, 0) == pytest.approx(correlation(mesh, 1), abs=0.1)
    assert correlation(struts, 0) > correlation(struts, 1) + 0.2
    assert float(mottle().std()) == pytest.approx(1.0, abs=0.01)


def test_metacarpals_have_inner_contours_and_other_bones_none() -> None:
    bones: list[LongBone] = flat_layout(patient()).long_bones
    assert {bone.form for bone in bones if bone.detail.head is not None} == {"metacarpal"}


def test_hand_and_foot_of_a_patient_have_their_own_bones() -> None:
    who = patient()
    limb = Limb(who, "L", 0, draw_body(who, "L"))
    assert draw_detail(limb, 1, 0, "metacarpal") != draw_detail(limb, 1, 0, "metacarpal", in_foot=True)

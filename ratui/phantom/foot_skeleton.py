"""Layout of one foot for one film: positions of the bones, effects of damage, and boxes of the joints.

The foot is always a left one; the pose determines the origin of the coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ratui.phantom.anatomy import Array, smooth
from ratui.phantom.detail import draw_detail
from ratui.phantom.foot import Foot
from ratui.phantom.foot_anatomy import (
    BOX_SIDES,
    JOINT_SPACES,
    LENGTHS,
    METATARSALS,
    RAYS,
    SESAMOIDS,
    TOE_TURNS,
    WIDTHS,
    joint_name,
)
from ratui.phantom.foot_skin import add_sole, build_toe_flesh
from ratui.phantom.lesions import ErosionEllipse, draw_sided_erosions, place_at_end, split_sides
from ratui.phantom.limb import compute_surface_density, find_sideways_shift, joint_space_width
from ratui.phantom.parts import Bridge, Layout, LongBone, ShortBone
from ratui.phantom.tarsus import add_tarsus

__all__ = ["build_foot_layout"]


def build_foot_layout(foot: Foot) -> Layout:
    """Return the layout of `foot`."""
    layout = Layout()
    for ray in RAYS:
        _add_ray(layout, foot, ray)
    add_tarsus(layout, foot)
    add_sole(layout, foot)
    return layout


@dataclass(frozen=True)
class _FootBone:
    """A bone of a ray in its place: its two ends in mm of the film."""

    start: Array
    end: Array

    @property
    def axis(self) -> Array:
        """The unit vector from start to end."""
        line = self.end - self.start
        return np.asarray(line / max(float(np.hypot(*line)), 1e-6))


def _add_ray(layout: Layout, foot: Foot, ray: int) -> None:
    body, scale = foot.body, foot.body.scale
    bones, centres = _place_bones(foot, ray)
    last = len(bones) - 1
    draw = foot.make_persistent_rng(f"foot bones {ray}")
    growth = max(0.0, 0.98 - body.maturity) if body.maturity < 1 else 0.0
    for number, (bone, widths) in enumerate(zip(bones, WIDTHS[ray], strict=True)):
        base, shaft, head = (w * scale * body.stout * float(draw.normal(1.0, 0.03)) for w in widths)
        inner = joint_name(ray, number - 1) if number else ""
        outer = joint_name(ray, number)
        form: Literal["metacarpal", "phalanx", "tip"] = (
            "tip" if number == last else "metacarpal" if number == 0 else "phalanx"
        )
        head *= _remaining_width(foot, outer, proximal=True) if number < last else 1.0
        base *= _remaining_width(foot, inner, proximal=False) if number else 1.0
        loss, position = (0.0, 0.0)
        if number:
            space = foot.space(inner)
            loss, position = space.focal_loss * JOINT_SPACES[min(number - 1, 2)] * scale, space.focal_position
        slope = {1: 0.02, 2: -0.02, 3: -0.05, 4: -0.10, 5: -0.38}[ray] if number == 0 else 0.0
        layout.long_bones.append(
            LongBone(
                bone.start, bone.end, (base, shaft, head), form, scale,
                cortex=body.cortex * float(draw.normal(1.0, 0.05)) * (1.1 if number == 0 and ray > 1 else 0.9),
                density=body.density * (1.1 if ray == 1 else 1.0),
                hollow=(0.2 if number == 0 else (2.0 if ray == 1 else 1.5) if number == 1 else 0.5) * scale,
                lip=(0.3 if number == 0 else float(draw.uniform(0.3, 0.8))) * scale,
                plates=(
                    compute_surface_density(foot, inner) if number else 0.75,
                    compute_surface_density(foot, outer) if number < last else 0.0,
                ),
                bulge=(loss, position),
                growth=growth,
                growth_at_head=number == 0 and ray > 1,
                texture=(body.texture[0] + 17.0 * ray, body.texture[1] + 23.0 * number),
                bow=float(draw.normal(0.0, 0.3)) * scale + ((0.9 if ray == 5 else 0.4) * scale if number == 0 else 0.0),
                lean=float(np.clip(draw.normal(0.0, 0.04), -0.1, 0.1)),
                slant=slope + float(draw.normal(0.0, 0.04 if number == 0 else 0.03)),
                head_radius=1.15 if ray == 1 else 0.9,
                thickness=_foreshortening(foot, ray, number),
                erosions=tuple(_place_erosions(foot, ray, number, bone, (base, head), last)),
                detail=draw_detail(foot, ray, number, form, in_foot=True),
            )
        )  # fmt: skip
        if number < last:
            if foot.finding(outer) == "ankylosis":
                # The bridge fills the space and the cup of the fused joint, along the outer bone.
                after = bones[number + 1]
                reach = (2.6 if number == 0 else 1.0) * scale
                half = min(head, WIDTHS[ray][number + 1][0] * scale * body.stout) * 0.98
                start = after.start - after.axis * reach
                layout.bridges.append(Bridge(start, after.start, half, 0.7 * body.density))
            site = foot.sites.get(outer)
            if site:
                layout.centres[site.key] = (centres[number], BOX_SIDES[outer] * scale)
                layout.axes[site.key] = (bone.start, bone.end)
    layout.landmarks[f"{foot.side}.MT{ray} base"] = bones[0].start
    if ray == 1:
        _add_sesamoids(layout, foot, bones[0])
        _add_eminence(layout, foot, bones[0])
    layout.fingers[ray] = build_toe_flesh(foot, ray, [(bone.start, bone.end) for bone in bones])


def _place_bones(foot: Foot, ray: int) -> tuple[list[_FootBone], list[Array]]:
    """Return the bones of `ray` from metatarsal to tip, and the centres of the joints between them."""
    pose, scale = foot.pose, foot.body.scale
    base, direction = METATARSALS[ray]
    angle = np.radians(direction) + float(pose.splay[ray - 1])
    at = foot.to_film(np.array([base]))[0]
    bones: list[_FootBone] = []
    centres: list[Array] = []
    for number, usual in enumerate(LENGTHS[ray]):
        length = usual * scale * foot.body.stretch[ray - 1, number]
        lift = 0.0
        if number:
            turn = np.radians(TOE_TURNS[ray][number - 1]) + float(pose.turn[ray - 1, number - 1])
            angle += -pose.hallux_valgus if ray == 1 and number == 1 else turn
            lift = float(pose.lift[ray - 1, number - 1])
            length *= float(np.cos(lift))
        axis = foot.film_transform @ np.array([np.sin(angle), -np.cos(angle)]) / scale
        start = at
        if number:
            start, centre = _next_start(foot, ray, number, bones[-1], axis, lift)
            centres.append(centre)
        at = start + axis * max(length, 4.0 * scale)
        bones.append(_FootBone(start, at))
    return bones, centres


def _next_start(
    foot: Foot, ray: int, number: int, before: _FootBone, axis: Array, lift: float
) -> tuple[Array, Array]:  # fmt: skip
    """Return the base of bone `number`, which points along `axis`, and the centre of its joint with `before`.

    The bone turns about the centre of the head, so its base glides around the head.
    """
    joint, scale, knuckle = joint_name(ray, number - 1), foot.body.scale, number == 1
    radius = (0.8 if knuckle else 0.5) * WIDTHS[ray][number - 1][2] * scale
    gap = joint_space_width(foot, joint, JOINT_SPACES[number - 1])
    if foot.finding(joint) == "luxation" and knuckle and ray > 1:  # the toe rides up on the metatarsal
        gap -= float(foot.make_persistent_rng(joint, "riding").uniform(0.0, 5.0)) * scale
    aside = find_sideways_shift(foot, joint, WIDTHS[ray][number][0], 0.85 if knuckle else 0.5, may_slip=knuckle)
    bent = abs(lift - (float(foot.pose.lift[ray - 1, number - 2]) if number > 1 else 0.0))
    if bent > 0.45:  # in a bent joint the base is projected over the head
        gap -= float(np.sin(bent - 0.45)) * 0.8 * WIDTHS[ray][number - 1][2] * scale
    surface = before.end + (axis - before.axis) * radius
    start = surface + axis * gap + np.array([-axis[1], axis[0]]) * aside
    share = 0.35 if foot.finding(joint) == "luxation" else 0.5
    return start, surface + share * (start - surface)


def _foreshortening(foot: Foot, ray: int, number: int) -> float:
    """Return the path of the X-rays through a bone relative to a flat one: longer through a phalanx that points up."""
    lift = float(foot.pose.lift[ray - 1, number - 1]) if number else 0.0
    return min(1.0 / max(float(np.cos(lift)), 0.4), 1.7)


def _remaining_width(foot: Foot, joint: str, *, proximal: bool) -> float:
    """Return the width of an end of a bone relative to the usual; it is smaller if the joint's side has collapsed."""
    site = foot.sites.get(joint)
    if foot.finding(joint) == "collapse":
        return 0.84
    if site is None or foot.finding(joint) == "ankylosis":
        return 1.0
    sides = split_sides(foot.patient, site, foot.grade(joint, "ERO"))
    return 0.9 if sides[0 if proximal else 1] == 5 else 1.0


def _place_erosions(
    foot: Foot, ray: int, number: int, bone: _FootBone, widths: tuple[float, float], last: int
) -> list[ErosionEllipse]:  # fmt: skip
    """Return the erosions on both ends of a bone."""
    names = [joint_name(ray, number - 1) if number else "", joint_name(ray, number) if number < last else ""]
    erosions = []
    for outer, name in zip((True, False), names, strict=True):
        site = foot.sites.get(name)
        if site is None or foot.finding(name) == "ankylosis":
            continue
        end, inwards, width = (bone.start, bone.axis, widths[0]) if outer else (bone.end, -bone.axis, widths[1])
        drawn = [each for each in draw_sided_erosions(foot.patient, site, foot.time) if each.outer == outer]
        erosions += [place_at_end(erosion, end, inwards, width) for erosion in drawn]
    return erosions


def _add_eminence(layout: Layout, foot: Foot, metatarsal: _FootBone) -> None:
    """Add the medial eminence of the first metatarsal in hallux valgus: bone at the inner side of its head."""
    excess = float(np.degrees(foot.pose.hallux_valgus)) - 18.0
    scale, draw = foot.body.scale, foot.make_persistent_rng("eminence")
    height = float(np.clip(0.13 * excess * draw.uniform(0.6, 1.2), 0.0, 3.6))
    if height < 0.6 or foot.body.maturity < 1:
        return
    axis, half = metatarsal.axis, layout.long_bones[0].widths[2]
    medial = np.array([-axis[1], axis[0]])
    shape = np.array(
        [[-1.2, 3.5], [0.0, 5.0], [0.75, 7.0], [1.0, 9.5], [0.9, 12.0], [0.3, 15.0], [-1.2, 17.5], [-1.6, 11.0]]
    )
    across = half + np.where(shape[:, :1] > 0, shape[:, :1] * height, shape[:, :1]) * scale
    outline = metatarsal.end + across * medial - shape[:, 1:] * scale * axis
    layout.short_bones.append(
        ShortBone(
            smooth(outline, 2), 6.5 * scale, 0.3 * scale, foot.body.density, (0.0, 0.0), 0.0, foot.body.texture, grain=0.7
        )
    )  # fmt: skip


def _add_sesamoids(layout: Layout, foot: Foot, metatarsal: _FootBone) -> None:
    """Add the two sesamoids of the big toe; hallux valgus moves them outwards relative to the head."""
    body, scale = foot.body, foot.body.scale
    if body.maturity < 0.75:
        return
    axis = metatarsal.axis
    medial = np.array([-axis[1], axis[0]])
    shift = -0.16 * max(float(np.degrees(foot.pose.hallux_valgus)) - 15.0, 0.0)
    turn = np.linspace(0, 2 * np.pi, 15)[:-1]
    for number, (across, back, wide, tall) in enumerate(SESAMOIDS):
        draw = foot.make_persistent_rng("sesamoid", str(number))
        size = float(draw.normal(1.0, 0.09))
        place = np.array([across + shift + draw.normal(0.0, 0.5), back + draw.normal(0.0, 0.9)]) * scale
        centre = metatarsal.end + medial * place[0] - axis * place[1]
        parts = [(0.0, 1.0)]
        if number == 0 and draw.random() < 0.12:  # a sesamoid in two parts
            parts = [(-0.55, 0.48), (0.5, 0.42)]
        for along, share in parts:
            ring = np.column_stack([np.cos(turn) * wide, np.sin(turn) * tall * share]) * size * scale
            ring *= 1 + draw.normal(0.0, 0.04, (len(ring), 1))
            outline = centre + axis * along * tall * size * scale + ring[:, :1] * medial + ring[:, 1:] * axis
            layout.short_bones.append(
                ShortBone(
                    smooth(outline, 1), 6.5 * scale * size, 0.3 * scale, body.density * 1.25,
                    (0.0, 0.0), float(draw.uniform(-0.5, 0.5)), body.texture,
                )
            )  # fmt: skip

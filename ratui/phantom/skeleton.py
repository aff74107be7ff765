"""Layout of one hand for one film: positions of the bones, effects of damage, and boxes of the joints.

The hand is always a left one; the pose determines the origin of the coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ratui.phantom.anatomy import FINGERS, JOINT_SPACES, WIDTHS, Array, joint_name, smooth
from ratui.phantom.body import make_persistent_rng
from ratui.phantom.detail import draw_detail
from ratui.phantom.hand import Hand
from ratui.phantom.lesions import ErosionEllipse, JointSpace, draw_erosions, place_at_end
from ratui.phantom.limb import compute_surface_density, find_sideways_shift, joint_space_width
from ratui.phantom.parts import Bridge, Layout, LongBone, ShortBone
from ratui.phantom.skin import add_palm, build_finger_flesh
from ratui.phantom.wrist import add_wrist

__all__ = ["build_layout"]

_BOX_PIP, _BOX_MCP = 17.0, 21.0


def build_layout(hand: Hand, *, has_wrist: bool = True) -> Layout:
    """Return the layout of `hand`; without the wrist, if `has_wrist` is False, for films of other parts."""
    layout = Layout()
    for finger in FINGERS:
        _add_finger(layout, hand, finger)
    if has_wrist:
        add_wrist(layout, hand)
    add_palm(layout, hand)
    return layout


@dataclass(frozen=True)
class _Bone:
    """A bone of a finger in its place: its two ends in mm of the film."""

    start: Array
    end: Array


def _add_finger(layout: Layout, hand: Hand, finger: int) -> None:
    body, scale = hand.body, hand.body.scale
    bones, centres = _place_bones(hand, finger)
    last = len(bones) - 1
    draw = hand.make_persistent_rng(f"bones {finger}")
    for number, (bone, widths) in enumerate(zip(bones, WIDTHS[finger], strict=True)):
        base, shaft, head = (w * scale * body.stout * float(draw.normal(1.0, 0.035)) for w in widths)
        inner = joint_name(finger, number - 1) if number else ""
        outer = joint_name(finger, number)
        if number == 0 and finger > 1:  # the bases of neighbouring metacarpals touch or overlap
            base *= float(make_persistent_rng(hand.patient, f"metacarpal base {finger}").uniform(1.0, 1.2))
        form: Literal["metacarpal", "phalanx", "tip"] = (
            "tip" if number == last else "metacarpal" if number == 0 else "phalanx"
        )
        if number < last and hand.finding(outer) == "collapse":
            head *= 0.84
        space = hand.space(inner) if number else JointSpace(1.0, 0.0, 0.0)
        growth = max(0.0, 0.98 - body.maturity) if body.maturity < 1 else 0.0
        layout.long_bones.append(
            LongBone(
                bone.start, bone.end, (base, shaft, head), form, scale,
                cortex=body.cortex * float(draw.normal(1.0, 0.05)),
                density=body.density,
                hollow=(-0.2 if number == 0 else 2.7 if number == 1 and finger > 1 else 0.9) * scale,
                lip=(0.3 if number == 0 else float(draw.uniform(0.35, 1.5 if number == 1 else 1.0))) * scale,
                plates=(
                    compute_surface_density(hand, inner) if number else 0.6,
                    compute_surface_density(hand, outer) if number < last else 0.0,
                ),
                bulge=(space.focal_loss * JOINT_SPACES[min(number - 1, 2)] * scale if number else 0.0, space.focal_position),
                growth=growth * (1.0 if number or finger == 1 or draw.random() < 2 else 0.0),
                growth_at_head=number == 0 and finger > 1,
                texture=(body.texture[0] + 17.0 * finger, body.texture[1] + 23.0 * number),
                bow=float(draw.normal(0.0, 0.25)) * scale + (0.5 * scale if number == 0 and finger == 1 else 0.0),
                lean=float(np.clip(draw.normal(0.0, 0.05), -0.12, 0.12)),
                slant=float(draw.normal(0.0, 0.10 if number == 0 else 0.03)),
                erosions=tuple(_place_erosions(hand, finger, number, bone, (base, head), last)),
                detail=draw_detail(hand, finger, number, form),
            )
        )  # fmt: skip
        if number < last:
            if hand.finding(outer) == "ankylosis":
                into = (bone.end - bone.start) / float(np.hypot(*(bone.end - bone.start)))
                reach = 1.6 * scale if number == 0 else 0.5 * scale  # the bridge fills the cup of the fused joint
                layout.bridges.append(
                    Bridge(bone.end - into * reach, bones[number + 1].start, head * 0.92, body.density)
                )
            site = hand.sites.get(outer)
            if site:
                layout.centres[site.key] = (centres[number], (_BOX_MCP if number == 0 else _BOX_PIP) * scale)
                layout.axes[site.key] = (bone.start, bone.end)
    _add_sesamoids(layout, hand, finger, bones)
    layout.fingers[finger] = build_finger_flesh(hand, finger, [(bone.start, bone.end) for bone in bones])


def _place_bones(hand: Hand, finger: int) -> tuple[list[_Bone], list[Array]]:
    """Return the bones of `finger` from metacarpal to tip, and the centres of the joints between them."""
    traced, pose, scale = FINGERS[finger], hand.pose, hand.body.scale
    bones: list[_Bone] = []
    centres: list[Array] = []
    first = traced[0] + (
        make_persistent_rng(hand.patient, "thumb base").normal((2.0, 0.3), 1.3) if finger == 1 else 0.0
    )
    at, turned = hand.to_film(first[None])[0], float(hand.make_persistent_rng(f"metacarpal {finger}").normal(0.0, 0.02))
    for number in range(len(traced) - 1):
        line = traced[number + 1] - traced[number]
        if number == (1 if finger > 1 else 0):
            turned += pose.spread[finger - 1]
        elif number > 0:
            turned += pose.bend[finger - 1][number - 1]
        c, s = np.cos(turned), np.sin(turned)
        line = hand.film_transform @ (np.array([[c, -s], [s, c]]) @ line)
        length = float(np.hypot(*line))
        axis = line / length
        healthy = [
            JOINT_SPACES[min(number - 1, 2)] if number else 1.2,
            JOINT_SPACES[min(number, 2)] if number < len(traced) - 2 else 0.0,
        ]
        lifted = float(np.sum(pose.flexion[finger - 1][: number + 1]))
        solid = length * hand.body.stretch[finger - 1, number] - sum(healthy) / 2 * scale
        solid *= float(np.cos(np.clip(lifted, -1.15, 1.15)))
        start = at
        if number:
            joint = joint_name(finger, number - 1)
            gap = joint_space_width(hand, joint, JOINT_SPACES[number - 1 if finger > 1 else min(number - 1, 1)])
            knuckle = number == 1
            aside = find_sideways_shift(
                hand, joint, WIDTHS[finger][number][0], 0.85 if knuckle else 0.5, may_slip=knuckle
            )
            lift = abs(float(pose.flexion[finger - 1][number]))
            if lift > 0.3:  # in a flexed joint the base is projected over the head
                gap -= float(np.sin(lift - 0.3)) * 0.8 * WIDTHS[finger][number - 1][2] * scale
            start = at + axis * gap + np.array([-axis[1], axis[0]]) * aside
            centres.append((at + start) / 2 if hand.finding(joint) != "luxation" else at + 0.35 * (start - at))
        end = start + axis * max(solid, 4.5 * scale)
        bones.append(_Bone(start, end))
        at = end
    return bones, centres


def _place_erosions(
    hand: Hand, finger: int, number: int, bone: _Bone, widths: tuple[float, float], last: int
) -> list[ErosionEllipse]:  # fmt: skip
    """Return the erosions on both ends of a bone of a finger."""
    axis = bone.end - bone.start
    axis = axis / max(float(np.hypot(*axis)), 1e-6)
    names = [("CMC1" if finger == 1 else "") if number == 0 else joint_name(finger, number - 1)]
    names += [joint_name(finger, number)] if number < last else []
    erosions = []
    for outer, name in zip((True, False), names, strict=False):
        site = hand.sites.get(name)
        if site is None or "ERO" not in site.joint.scales or hand.finding(name) == "ankylosis":
            continue
        end, inwards, width = (bone.start, axis, widths[0]) if outer else (bone.end, -axis, widths[1])
        # All erosions of CMC1 are on the base of the first metacarpal.
        drawn_erosions = [
            each for each in draw_erosions(hand.patient, site, hand.time) if each.outer == outer or name == "CMC1"
        ]
        erosions += [place_at_end(erosion, end, inwards, width) for erosion in drawn_erosions]
    return erosions


def _add_sesamoids(layout: Layout, hand: Hand, finger: int, bones: list[_Bone]) -> None:
    """Add the two sesamoids of the thumb, and those of other fingers if the patient has them."""
    scale, body = hand.body.scale, hand.body
    if body.maturity < 0.75:
        return
    places = {1: ((-0.85, 0.45), (0.55, 0.55)), 2: ((0.62, 0.7),), 5: ((-0.6, 0.7),)}.get(finger, ())
    for number, (across, back) in enumerate(places):
        luck = float(body.sesamoids[(finger + number) % 4])
        if (finger != 1 and luck > 0.4) or (finger == 1 and number and luck > 0.85):
            continue
        head = bones[0].end
        axis = (head - bones[0].start) / float(np.hypot(*(head - bones[0].start)))
        side = np.array([axis[1], -axis[0]])
        width = WIDTHS[finger][0][2] * scale
        centre = head - axis * back * width * (0.6 + luck) + side * across * width * (0.9 + 0.4 * luck)
        turn = np.linspace(0, 2 * np.pi, 11)[:-1]
        radius = (1.5 + 1.1 * luck) * scale * (1.0 if finger == 1 else 0.8)
        outline = centre + radius * np.column_stack([np.cos(turn) * 1.25, np.sin(turn)])
        layout.short_bones.append(
            ShortBone(smooth(outline, 1), 3.2 * scale, 0.2, body.density * 1.7, (0.0, 0.0), 0.0, body.texture)
        )

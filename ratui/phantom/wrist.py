"""The wrist laid out: carpals, the ends of the forearm, and the spaces between them by grade."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from ratui.phantom.anatomy import (
    CARPALS,
    DEPTHS,
    FOREARM,
    HOOK,
    MEETINGS,
    SCORED_BONES,
    WRIST_GAP,
    WRIST_SITES,
    Array,
    Flags,
    Indices,
    smooth,
)  # fmt: skip
from ratui.phantom.hand import Hand
from ratui.phantom.lesions import Bite, Space, bites_of_outline
from ratui.phantom.parts import Bridge, Layout, LongBone, Plate, ShortBone

__all__ = ["add_wrist"]

_Meeting: TypeAlias = tuple[str, str | None, Flags]
"""What a bone meets, the joint that this is, and which points of its outline do."""

_PROXIMAL = ("scaphoid", "lunate", "triquetrum", "pisiform")
_REACH = 2.2  # mm: nearer than this two bones face each other


def add_wrist(layout: Layout, hand: Hand) -> None:
    """Adds the wrist and forearm of `hand` to `layout`, which holds the metacarpals already."""
    traced = _traced(hand)
    outlines = {name: hand.place(outline) for name, outline in traced.items()}
    scale = hand.body.scale
    bases = {f"mc{number}": _base_line(bone) for number, bone in enumerate(layout.metacarpals, start=1)}
    facing: dict[str, list[_Meeting]] = {}
    outlines = _meet(hand, outlines, bases, facing)
    for name in list(outlines):
        outlines[name] = _crushed(hand, name, outlines[name])
    bites = _bites(hand, outlines)
    for name, outline in outlines.items():
        layout.shorts.append(_bone(hand, name, outline, facing.get(name, []), bites.get(name, [])))
    _add_hook(layout, hand, outlines["hamate"])
    _add_bridges(layout, hand, outlines, facing)
    plain = {name: hand.place(smooth({**CARPALS, **FOREARM}[name])).mean(axis=0) for name in outlines}
    moved = {name: outlines[name].mean(axis=0) - plain[name] for name in outlines}
    for joint, (centre, width, bones) in WRIST_SITES.items():
        site = hand.sites.get(joint)
        if site is not None:
            shifts = [moved[bone] for bone in bones if bone in moved]
            shift = np.mean(shifts, axis=0) if joint not in ("RAD", "ULN") else np.zeros(2)
            at = hand.forearm(np.array([centre])) if joint in ("RAD", "ULN") else np.array([centre])
            layout.centres[site.key] = (hand.place(at)[0] + shift, width * scale)


def _traced(hand: Hand) -> dict[str, Array]:
    """The outlines of the wrist's bones in mm of the tracing: this patient's own shapes, in this film's pose."""
    body, own = hand.body, hand.fixed("carpals")
    bones = {}
    for name, outline in {**FOREARM, **CARPALS}.items():
        middle = outline.mean(axis=0)
        points: Array = outline + own.normal(0.0, 0.22, outline.shape)
        size, turn, shift = own.normal(1.0, 0.035), own.normal(0.0, 0.05), own.normal(0.0, 0.35, 2)
        if name in CARPALS:
            size *= 0.5 + 0.5 * body.maturity if body.maturity < 1 else 1.0
            c, s = np.cos(turn), np.sin(turn)
            points = (points - middle) * size @ np.array([[c, s], [-s, c]]) + middle + shift
        if name == "ulna":
            points = points - np.array([0.25, 1.0]) * body.ulna
        if name in FOREARM:
            points = hand.forearm(points)
        elif name in _PROXIMAL:
            points = hand.forearm(points, 0.45)
        bones[name] = smooth(points)
    return bones


def _base_line(bone: LongBone) -> Array:
    """The base of a metacarpal as a closed outline, in mm of the film: its surface, and its shaft behind that."""
    axis = (bone.end - bone.start) / float(np.hypot(*(bone.end - bone.start)))
    normal = np.array([-axis[1], axis[0]])
    across = np.linspace(-0.9, 0.9, 25)[:, None]
    surface = bone.start - axis * (bone.lip + bone.hollow * across**2) + normal * across * bone.widths[0]
    behind = bone.start + axis * 12.0 * bone.scale + normal * across[::-6] * bone.widths[0]
    return np.concatenate([surface, behind])


def _meet(
    hand: Hand,
    outlines: dict[str, Array],
    bases: dict[str, Array],
    facing: dict[str, list[_Meeting]],
) -> dict[str, Array]:
    """The outlines with every space between two bones as wide as its grade says; `facing` gets which points meet what."""
    moves = {name: np.zeros_like(outline) for name, outline in outlines.items()}
    weights = {name: np.full(len(outline), 1e-9) for name, outline in outlines.items()}
    for first, second, joint, share in MEETINGS:
        healthy = WRIST_GAP * share * hand.body.gap * hand.body.scale
        state = hand.finding(joint) if joint else None
        space = hand.space(joint) if joint else Space(1.0, 0.0, 0.0)
        if state is not None:
            space = Space(-0.15 if state == "ankylosis" else -0.35, 0.0, 0.0)
        if hand.body.maturity < 1 and space.left > 0.9:
            space = Space(space.left + 1.6 * (1 - hand.body.maturity), 0.0, 0.0)
        fixed_side = second not in outlines
        other = bases[second] if fixed_side else outlines[second]
        for name, against in ((first, other), *(() if fixed_side else ((second, outlines[first]),))):
            towards, distance, faces = _nearest(outlines[name], against)
            fade = np.clip((_REACH * hand.body.scale + healthy - distance) / (1.6 * hand.body.scale), 0, 1)
            fade = fade * np.clip((faces - 0.25) / 0.35, 0, 1)
            if fade.max() <= 0:
                continue
            target = healthy * space.left * np.ones(len(distance))
            if space.focal:
                spots = np.flatnonzero(fade > 0.5)
                if spots.size:
                    spot = outlines[name][spots[int((space.where / 1.5 + 0.5) * (spots.size - 1))]]
                    away = np.hypot(*(outlines[name] - spot).T) / (2.2 * hand.body.scale)
                    target -= healthy * space.focal * np.exp(-(away**2))
            step = (distance - target) * fade * (1.0 if fixed_side else 0.5)
            moves[name] += towards * (step * fade)[:, None]
            weights[name] += fade
            facing.setdefault(name, []).append((second if name == first else first, joint, fade > 0.45))
    result = {}
    for name, outline in outlines.items():
        move = moves[name] / np.maximum(weights[name], 1.0)[:, None]
        for _ in range(2):
            move = 0.5 * move + 0.25 * (np.roll(move, 1, axis=0) + np.roll(move, -1, axis=0))
        result[name] = outline + move
    return result


def _nearest(points: Array, against: Array) -> tuple[Array, Array, Array]:
    """For each of `points` on a closed outline the way to the nearest of `against`, the distance, and how it faces that.

    The way is a unit vector; where the point lies inside `against` it points out of it and the distance is below 0.
    """
    apart = against[None] - points[:, None]
    square = np.einsum("ijk,ijk->ij", apart, apart)
    index = square.argmin(axis=1)
    distance = np.sqrt(square[np.arange(len(points)), index])
    way = (against[index] - points) / np.maximum(distance, 1e-6)[:, None]
    inside = _inside(points, against)
    sign = np.where(inside, -1.0, 1.0)
    along = np.roll(points, -1, axis=0) - np.roll(points, 1, axis=0)
    out = np.column_stack([along[:, 1], -along[:, 0]]) / np.maximum(np.hypot(*along.T), 1e-9)[:, None]
    middle = points.mean(axis=0)
    out *= np.sign(((points - middle) * out).sum()) or 1.0
    return way * sign[:, None], distance * sign, (way * sign[:, None] * out).sum(axis=1)


def _inside(points: Array, outline: Array) -> Flags:
    """Which of `points` lie inside the closed `outline`, by counting crossings."""
    x, y = points[:, :1], points[:, 1:]
    x0, y0 = outline[:, 0], outline[:, 1]
    x1, y1 = np.roll(x0, -1), np.roll(y0, -1)
    crosses = (y0 > y) != (y1 > y)
    at = x0 + (y - y0) * (x1 - x0) / np.where(y1 == y0, 1e-9, y1 - y0)
    return np.asarray((crosses & (x < at)).sum(axis=1) % 2 == 1)


def _crushed(hand: Hand, name: str, outline: Array) -> Array:
    """A carpal bone that has collapsed is flat and small."""
    for joint, bones in SCORED_BONES.items():
        if name in bones and name in CARPALS and hand.finding(joint) == "collapse":
            middle, draw = outline.mean(axis=0), hand.fixed(joint, name, "crushed")
            down = np.array([hand.turn[0, 1], hand.turn[1, 1]]) / hand.body.scale
            along = ((outline - middle) @ down)[:, None] * down
            return np.asarray(outline - along * draw.uniform(0.3, 0.45) - (outline - middle) * draw.uniform(0.02, 0.1))
    return outline


def _bites(hand: Hand, outlines: dict[str, Array]) -> dict[str, list[Bite]]:
    bites: dict[str, list[Bite]] = {}
    for joint, names in SCORED_BONES.items():
        site = hand.sites.get(joint)
        if site is None or hand.finding(joint) == "ankylosis":
            continue
        # On the forearm only the end beside the wrist erodes.
        ends = {"radius": 52, "ulna": 44}
        bones = [outlines[name] for name in names]
        margins = [outlines[name][: ends.get(name)] for name in names]
        parts = [bone[: ends[name]] if name in ends else bone for bone, name in zip(bones, names, strict=True)]
        for name, found in zip(names, bites_of_outline(hand.patient, site, hand.time, parts, margins), strict=True):
            bites.setdefault(name, []).extend(found)
    return bites


def _bone(
    hand: Hand, name: str, outline: Array, facing: list[_Meeting], bites: list[Bite]
) -> ShortBone:  # fmt: skip
    body, scale = hand.body, hand.body.scale
    own = hand.fixed(name, "bone")
    middle = outline.mean(axis=0)
    plates = []
    for other, joint, points in facing:
        state = hand.finding(joint) if joint else None
        strength = 0.0 if state == "ankylosis" else 0.6 + 0.2 * (hand.grade(joint, "JSN") if joint else 0)
        radial = name == "radius" and other in ("scaphoid", "lunate")
        width, inset = (0.9, 1.2) if radial else (0.32, 0.5)
        for run in _runs(points):
            line = outline[run]
            inwards = middle - line
            inwards = inwards / np.maximum(np.hypot(*inwards.T), 1e-6)[:, None]
            plates.append(Plate(line + inwards * inset * scale, strength * (2.2 if radial else 1.0), width * scale))
    shaft, shell_there = None, 0.0
    if name in FOREARM:
        ends = hand.forearm(np.array([[-0.36, 0.93], [0.0, 0.0]]))
        down = hand.turn @ (ends[0] - ends[1]) / scale
        start = hand.place(hand.forearm(np.array([[113.0, 252.0] if name == "radius" else [80.0, 252.0]])))[0]
        shaft, shell_there = (start, down / float(np.hypot(*down)), 48.0 * scale), 1.75 * body.cortex * scale
        if body.maturity < 0.99:
            normal = np.array([-shaft[1][1], shaft[1][0]])
            across = np.linspace(-20, 20, 15)[:, None] * scale
            at = start + shaft[1] * (-1.0 if name == "radius" else -3.0) * scale
            plates.append(
                Plate(at + normal * across, -(0.5 + 0.5 * (1 - body.maturity)), 0.5 + 0.6 * (1 - body.maturity))
            )
    tilt = (hand.pose.tilt[0] * own.uniform(0.5, 2.0) * scale, hand.pose.tilt[1] * own.uniform(0.5, 2.0) * scale)
    fused = any(joint and hand.finding(joint) == "ankylosis" for _, joint, _ in facing)
    angle = float(own.uniform(-0.6, 0.6)) if name in CARPALS else float(np.arctan2(*shaft[1][::-1]) if shaft else 0.0)
    return ShortBone(
        outline, DEPTHS[name] * scale * float(own.normal(1.0, 0.06)),
        shell=(0.16 if fused else 0.27) * scale * (0.6 + 0.4 * body.cortex),
        density=body.density * float(own.normal(1.0, 0.07)) * (1.45 if name not in FOREARM else 1.1),
        tilt=(0.4 * tilt[0], 0.4 * tilt[1]) if name in FOREARM else tilt,
        angle=angle,
        texture=(body.texture[0] + float(own.uniform(0, 90)), body.texture[1]),
        plates=tuple(plates), bites=tuple(bites), shaft=shaft, shaft_shell=shell_there,
    )  # fmt: skip


def _runs(flags: Flags) -> list[Indices]:
    """The runs of neighbours that are true on a closed line, as arrays of indices of two points or more."""
    count = len(flags)
    if flags.all() or not flags.any():
        return [np.arange(count)] if flags.all() else []
    begin = int(np.flatnonzero(~flags)[0])
    order = (np.arange(count) + begin) % count
    pieces = np.split(order, np.flatnonzero(np.diff(flags[order].astype(int))) + 1)
    return [piece for piece in pieces if flags[piece[0]] and len(piece) > 1]


def _add_hook(layout: Layout, hand: Hand, hamate: Array) -> None:
    """The hook of the hamate: a dense ring on the bone, as it stands towards the plate."""
    if hand.body.maturity < 0.8:
        return
    (x, y), wide, high = HOOK
    shift = hamate.mean(axis=0) - hand.place(smooth(CARPALS["hamate"])).mean(axis=0)
    tilt = np.asarray(hand.pose.tilt) * 2.0
    turn = np.linspace(0, 2 * np.pi, 13)[:-1]
    ring = np.array([x, y]) + np.column_stack([np.cos(turn) * wide, np.sin(turn) * high])
    scale = hand.body.scale
    layout.shorts.append(
        ShortBone(
            smooth(hand.place(ring) + shift + tilt, 1), 3.4 * scale, 0.6 * scale, hand.body.density,
            (0.0, 0.0), 0.3, hand.body.texture,
        )
    )  # fmt: skip


def _add_bridges(layout: Layout, hand: Hand, outlines: dict[str, Array], facing: dict[str, list[_Meeting]]) -> None:
    """Bone across the spaces of the wrist that are fused."""
    for name, meetings in facing.items():
        for _, joint, points in meetings:
            if joint is None or hand.finding(joint) != "ankylosis":
                continue
            scale, middle = hand.body.scale, outlines[name].mean(axis=0)
            last: Array | None = None
            for spot in (point for run in _runs(points) for point in outlines[name][run]):
                if last is not None and float(np.hypot(*(spot - last))) < 2.6 * scale:
                    continue
                last = spot
                inwards = (middle - spot) / max(float(np.hypot(*(middle - spot))), 1e-6) * 0.7 * scale
                layout.bridges.append(Bridge(spot - inwards, spot + inwards, 1.7 * scale, 0.8 * hand.body.density))

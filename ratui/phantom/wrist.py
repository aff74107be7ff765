"""Layout of the wrist: carpal bones, distal ends of the forearm, and the spaces between them by grade."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from ratui.phantom.anatomy import (
    ARTICULATIONS,
    CARPALS,
    FINGERS,
    FOREARM,
    HAMATE_HOOK,
    SCORED_BONES,
    THICKNESSES,
    WRIST_SITES,
    WRIST_SPACE,
    Array,
    Flags,
    Indices,
    smooth,
)  # fmt: skip
from ratui.phantom.carpus import close_gaps, draw_projected_overlap, vary_carpus
from ratui.phantom.hand import Hand
from ratui.phantom.lesions import ErosionEllipse, JointSpace, place_on_outlines
from ratui.phantom.parts import Bridge, Layout, LongBone, Plate, ShortBone

__all__ = ["add_wrist"]

_Articulation: TypeAlias = tuple[str, str | None, Flags]
"""The other bone, the joint, and which points of the outline face the other bone."""

_PROXIMAL = ("scaphoid", "lunate", "triquetrum", "pisiform")
_ENDS = {"radius": 52, "ulna": 44}
"""Number of points of the smoothed outline that belong to the distal end; only this end erodes."""
_BASE_WEIGHT = 2.0
_REACH = 2.2  # mm; two bones face each other within this distance


def add_wrist(layout: Layout, hand: Hand) -> None:
    """Add wrist and forearm of `hand` to a `layout` with metacarpals."""
    traced = _wrist_outlines(hand)
    outlines = {
        name: hand.to_film(outline) for name, outline in traced.items()
    }  # coarse outlines, smoothed once more below
    scale = hand.body.scale
    bases = {f"mc{number}": _metacarpal_base(bone) for number, bone in enumerate(layout.metacarpals, start=1)}
    facing: dict[str, list[_Articulation]] = {}
    outlines = _set_joint_spaces(hand, close_gaps(hand, outlines, bases), bases, facing)
    outlines = {name: smooth(_collapse(hand, name, outline), 1) for name, outline in outlines.items()}
    erosions = _place_erosions(hand, outlines)
    for name, outline in outlines.items():
        layout.short_bones.append(_build_bone(hand, name, outline, facing.get(name, []), erosions.get(name, [])))
    _add_hook(layout, hand, outlines["hamate"])
    _add_bridges(layout, hand, outlines, facing)
    plain = {**CARPALS, **FOREARM}
    moved = {
        name: outline[: _ENDS.get(name)].mean(axis=0)
        - hand.to_film(smooth(plain[name])[: _ENDS.get(name)].mean(axis=0)[None])[0]
        for name, outline in outlines.items()
    }
    for number, bone in enumerate(layout.metacarpals, start=1):
        moved[f"mc{number}"] = bone.start - hand.to_film(FINGERS[number][0][None])[0]
    for joint, (centre, width, bones) in WRIST_SITES.items():
        site = hand.sites.get(joint)
        if site is not None:
            # The base of a metacarpal does not move towards the carpus, so a joint with one stays near it.
            weights = [_BASE_WEIGHT if bone.startswith("mc") else 1.0 for bone in bones]
            shift = np.average([moved[bone] for bone in bones], axis=0, weights=weights)
            layout.centres[site.key] = (hand.to_film(np.array([centre]))[0] + shift, width * scale)


def _wrist_outlines(hand: Hand) -> dict[str, Array]:
    """Return the outlines of the wrist's bones in mm of the tracing, with this patient's shapes in this film's pose."""
    body, own = hand.body, hand.make_persistent_rng("carpals")
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
            points = points - np.array([0.25, 1.0]) * body.ulnar_variance
        if name in FOREARM:
            points = hand.turn_forearm(points)
        elif name in _PROXIMAL:
            points = hand.turn_forearm(points, 0.45)
        bones[name] = points
    return {name: smooth(points, 1) for name, points in vary_carpus(hand, bones).items()}


def _metacarpal_base(bone: LongBone) -> Array:
    """Return the base of a metacarpal as a closed outline in mm of the film."""
    axis = (bone.end - bone.start) / float(np.hypot(*(bone.end - bone.start)))
    normal = np.array([-axis[1], axis[0]])
    across = np.linspace(-0.9, 0.9, 25)[:, None]
    surface = bone.start - axis * (bone.lip + bone.hollow * across**2) + normal * across * bone.widths[0]
    behind = bone.start + axis * 12.0 * bone.scale + normal * across[::-6] * bone.widths[0]
    return np.concatenate([surface, behind])


def _set_joint_spaces(
    hand: Hand,
    outlines: dict[str, Array],
    bases: dict[str, Array],
    facing: dict[str, list[_Articulation]],
) -> dict[str, Array]:
    """Return outlines whose spaces have the widths of their grades; add the facing points to `facing`."""
    spaces = [
        _joint_space(hand, joint, 1.0 if joint else draw_projected_overlap(hand, first, second))
        for first, second, joint, _ in ARTICULATIONS
    ]
    every = list(zip(ARTICULATIONS, spaces, strict=True))
    # Widening one space may narrow another, so iterate; spaces narrowed by disease need more iterations.
    outlines = _move_surfaces(hand, outlines, bases, every, None)
    outlines = _move_surfaces(hand, outlines, bases, every, facing)
    closed = [(meeting, space) for meeting, space in every if space.remaining < 0.8]
    for _ in range(2 if closed else 0):
        outlines = _move_surfaces(hand, outlines, bases, closed, None)
    return outlines


def _joint_space(hand: Hand, joint: str | None, width: float) -> JointSpace:
    """Return the state of the space of `joint`, or of one without a score and of this `width`; below 0 the bones overlap."""
    state = hand.finding(joint) if joint else None
    if state is not None:
        return JointSpace(-0.15 if state == "ankylosis" else -0.35, 0.0, 0.0)
    space = hand.space(joint) if joint else JointSpace(width, 0.0, 0.0)
    if hand.body.maturity < 1 and space.remaining > 0.9:  # in a child, parts of the bones are still cartilage
        return JointSpace(space.remaining + 1.6 * (1 - hand.body.maturity), 0.0, 0.0)
    return space


def _move_surfaces(
    hand: Hand,
    outlines: dict[str, Array],
    bases: dict[str, Array],
    meetings: Sequence[tuple[tuple[str, str, str | None, float], JointSpace]],
    facing: dict[str, list[_Articulation]] | None,
) -> dict[str, Array]:
    """Return outlines whose points facing another bone are moved to the space's width, half by each bone."""
    scale = hand.body.scale
    outwards = {name: _outward_normals(outline) for name, outline in (*outlines.items(), *bases.items())}
    moves = {name: np.zeros_like(outline) for name, outline in outlines.items()}
    weights = {name: np.full(len(outline), 1e-9) for name, outline in outlines.items()}
    for (first, second, joint, share), space in meetings:
        healthy = WRIST_SPACE * share * hand.body.gap * scale
        fixed_side = second not in outlines  # the base of a metacarpal, which does not move
        reach = _REACH * scale + healthy
        other = bases[second] if fixed_side else outlines[second]
        ways = _nearest_points(outlines[first], outwards[first], other, outwards[second], reach)
        for name, whom, way in ((first, second, ways[0]), (second, first, ways[1]))[: 1 if fixed_side else 2]:
            towards, distance, faces = way
            fade = np.clip((reach - distance) / (1.6 * scale), 0, 1) * np.clip((faces + 0.05) / 0.4, 0, 1)
            if fade.max() <= 0:
                continue
            target = np.full(len(distance), healthy * space.remaining)
            spots = np.flatnonzero(fade > 0.5) if space.focal_loss else ()
            if len(spots):
                spot = outlines[name][spots[int((space.focal_position / 1.5 + 0.5) * (len(spots) - 1))]]
                away = np.hypot(*(outlines[name] - spot).T) / (2.2 * scale)
                target -= healthy * space.focal_loss * np.exp(-(away**2))
            step = (distance - target) * (1.0 if fixed_side else 0.5)
            moves[name] += towards * (step * fade * fade)[:, None]
            weights[name] += fade
            if facing is not None:
                facing.setdefault(name, []).append((whom, joint, np.repeat(fade > 0.45, 2)))
    result = {}
    for name, outline in outlines.items():
        move = moves[name] / np.maximum(weights[name], 1.0)[:, None]
        move = 0.5 * move + 0.25 * (np.roll(move, 1, axis=0) + np.roll(move, -1, axis=0))
        result[name] = outline + move
    return result


def _outward_normals(outline: Array) -> Array:
    """Return the outward unit normal at each point of a closed outline."""
    along = np.concatenate([outline[1:], outline[:1]]) - np.concatenate([outline[-1:], outline[:-1]])
    out = np.stack([along[:, 1], -along[:, 0]], axis=1) / np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)[:, None]
    return np.asarray(out if ((outline - outline.mean(axis=0)) * out).sum() > 0 else -out)


_Nearest: TypeAlias = tuple[Array, Array, Array]


def _nearest_points(
    one: Array, its_out: Array, other: Array, others_out: Array, reach: float
) -> tuple[_Nearest, _Nearest]:
    """Return direction, distance and facing from each point of `one` to the nearest of `other`, and the reverse.

    `its_out` and `others_out` are the outward normals of the closed outlines. Directions are unit vectors. If a point
    lies inside the other outline, its direction points outwards and its distance is negative. Points farther than
    `reach` (mm) have the distance `reach` and face nothing.
    """
    near_one, near_other = _indices_near(one, other, reach), _indices_near(other, one, reach)
    if not (near_one.size and near_other.size):
        return _nearest_of(one, its_out, near_one[:0]), _nearest_of(other, others_out, near_other[:0])
    apart = other[near_other][None] - one[near_one][:, None]
    square = apart[..., 0] ** 2 + apart[..., 1] ** 2
    there, back = square.argmin(axis=1), square.argmin(axis=0)
    first = _nearest_of(
        one, its_out, near_one, apart[np.arange(near_one.size), there], others_out[near_other[there]], reach
    )
    return first, _nearest_of(
        other, others_out, near_other, -apart[back, np.arange(near_other.size)], its_out[near_one[back]], reach
    )


def _indices_near(points: Array, of: Array, reach: float) -> Indices:
    """Return the indices of `points` within `reach` of the bounding box of `of`."""
    low, high = of.min(axis=0) - reach, of.max(axis=0) + reach
    return np.asarray(((points > low) & (points < high)).all(axis=1).nonzero()[0], np.intp)


def _nearest_of(
    points: Array,
    out: Array,
    close: Indices,
    there: Array | None = None,
    beyond: Array | None = None,
    reach: float = 1e3,
) -> _Nearest:
    """Return direction, distance and facing of all points, from the vectors `there` of the points in `close`.

    `beyond` are the outward normals at the nearest points.
    """
    way, distance, faces = np.zeros_like(points), np.full(len(points), reach), np.full(len(points), -1.0)
    if there is not None and beyond is not None:
        far = np.hypot(there[:, 0], there[:, 1])
        sign = np.where((there * beyond).sum(axis=1) > 0, -1.0, 1.0)
        way[close] = there * (sign / np.maximum(far, 1e-6))[:, None]
        distance[close] = np.minimum(far, reach) * sign
        faces[close] = (way[close] * out[close]).sum(axis=1)
    return way, distance, faces


def _collapse(hand: Hand, name: str, outline: Array) -> Array:
    """Return the outline of a carpal bone, flat and small if it has collapsed."""
    for joint, bones in SCORED_BONES.items():
        if name in bones and name in CARPALS and hand.finding(joint) == "collapse":
            middle, draw = outline.mean(axis=0), hand.make_persistent_rng(joint, name, "crushed")
            down = np.array([hand.film_transform[0, 1], hand.film_transform[1, 1]]) / hand.body.scale
            along = ((outline - middle) @ down)[:, None] * down
            return np.asarray(outline - along * draw.uniform(0.3, 0.45) - (outline - middle) * draw.uniform(0.02, 0.1))
    return outline


def _place_erosions(hand: Hand, outlines: dict[str, Array]) -> dict[str, list[ErosionEllipse]]:
    erosions: dict[str, list[ErosionEllipse]] = {}
    for joint, names in SCORED_BONES.items():
        site = hand.sites.get(joint)
        if site is None or hand.finding(joint) == "ankylosis":
            continue
        bones = [outlines[name] for name in names]
        margins = [outlines[name][: _ENDS.get(name)] for name in names]
        parts = [bone[: _ENDS[name]] if name in _ENDS else bone for bone, name in zip(bones, names, strict=True)]
        for name, found in zip(names, place_on_outlines(hand.patient, site, hand.time, parts, margins), strict=True):
            erosions.setdefault(name, []).extend(found)
    return erosions


def _build_bone(
    hand: Hand, name: str, outline: Array, facing: list[_Articulation], erosions: list[ErosionEllipse]
) -> ShortBone:  # fmt: skip
    body, scale = hand.body, hand.body.scale
    own, detail = hand.make_persistent_rng(name, "bone"), hand.make_persistent_rng(name, "detail")
    middle = outline.mean(axis=0)
    plates = []
    for other, joint, points in facing:
        state = hand.finding(joint) if joint else None
        strength = 0.0 if state == "ankylosis" else 0.6 + 0.2 * (hand.grade(joint, "JSN") if joint else 0)
        radial = name == "radius" and other in ("scaphoid", "lunate")
        width, inset = (0.9, 1.2) if radial else (0.32, 0.5)
        for run in _consecutive_runs(points):
            line = outline[run]
            inwards = middle - line
            inwards = inwards / np.maximum(np.hypot(*inwards.T), 1e-6)[:, None]
            plates.append(Plate(line + inwards * inset * scale, strength * (2.2 if radial else 1.0), width * scale))
    shaft, shell_there = None, 0.0
    if name in FOREARM:
        ends = hand.turn_forearm(np.array([[-0.36, 0.93], [0.0, 0.0]]))
        down = hand.film_transform @ (ends[0] - ends[1]) / scale
        start = hand.to_film(hand.turn_forearm(np.array([[113.0, 252.0] if name == "radius" else [80.0, 252.0]])))[0]
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
        outline, THICKNESSES[name] * scale * float(own.normal(1.0, 0.06)),
        shell=(0.16 if fused else 0.27) * scale * (0.6 + 0.4 * body.cortex),
        density=body.density * float(own.normal(1.0, 0.07)) * (1.45 if name not in FOREARM else 1.1),
        tilt=(0.0, 0.0) if name in FOREARM else tilt,
        angle=angle,
        texture=(body.texture[0] + float(own.uniform(0, 90)), body.texture[1]),
        plates=tuple(plates), erosions=tuple(erosions), shaft=shaft, shaft_shell=shell_there,
        grain=float(detail.uniform(0.35, 1.15)), mesh=float(detail.uniform(0.2, 1.0)),
        mottle=float(detail.uniform(0.04, 0.18)),
    )  # fmt: skip


def _consecutive_runs(flags: Flags) -> list[Indices]:
    """Return the runs of true values on a closed line, as arrays of two or more indices."""
    marks, count = flags.tolist(), len(flags)
    if all(marks):
        return [np.arange(count)]
    runs: list[list[int]] = []
    begin = marks.index(False)
    before = False
    for index in (*range(begin, count), *range(begin)):
        if marks[index]:
            if before:
                runs[-1].append(index)
            else:
                runs.append([index])
        before = marks[index]
    return [np.asarray(run, np.intp) for run in runs if len(run) > 1]


def _add_hook(layout: Layout, hand: Hand, hamate: Array) -> None:
    """Add the hook of the hamate: a dense ring over the bone."""
    if hand.body.maturity < 0.8:
        return
    (x, y), wide, high = HAMATE_HOOK
    shift = hamate.mean(axis=0) - hand.to_film(CARPALS["hamate"].mean(axis=0))
    tilt = np.asarray(hand.pose.tilt) * 2.0
    turn = np.linspace(0, 2 * np.pi, 13)[:-1]
    ring = np.array([x, y]) + np.column_stack([np.cos(turn) * wide, np.sin(turn) * high])
    scale = hand.body.scale
    layout.short_bones.append(
        ShortBone(
            smooth(hand.to_film(ring) + shift + tilt, 1), 3.4 * scale, 0.6 * scale, hand.body.density,
            (0.0, 0.0), 0.3, hand.body.texture,
        )
    )  # fmt: skip


def _add_bridges(
    layout: Layout, hand: Hand, outlines: dict[str, Array], facing: dict[str, list[_Articulation]]
) -> None:
    """Add bone across the fused spaces of the wrist."""
    for name, meetings in facing.items():
        for _, joint, points in meetings:
            if joint is None or hand.finding(joint) != "ankylosis":
                continue
            scale, middle = hand.body.scale, outlines[name].mean(axis=0)
            last: Array | None = None
            for spot in (point for run in _consecutive_runs(points) for point in outlines[name][run]):
                if last is not None and float(np.hypot(*(spot - last))) < 2.6 * scale:
                    continue
                last = spot
                inwards = (middle - spot) / max(float(np.hypot(*(middle - spot))), 1e-6) * 0.7 * scale
                layout.bridges.append(Bridge(spot - inwards, spot + inwards, 1.7 * scale, 0.8 * hand.body.density))

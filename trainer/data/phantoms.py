"""Simulated hands for the detector, with true boxes and findings.

Films are drawn directly as samples, without a study. Each hand belongs to a different patient.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache as once
from pathlib import Path
from typing import Literal

import numpy as np

import ratui.phantom
from ratui.detection.finger_joints import FINE_SIZE, JOINT_KINDS, list_finger_joints
from ratui.detection.wrist_sites import WRIST_SITES
from ratui.imaging import Box, Film
from ratui.phantom import PhantomFilm, render, simulate_patient
from ratui.scheme import Scheme, load_scheme
from trainer.data.hands import HandSamples, Progress, crop_hand, make_frame
from trainer.data.image_cache import ImageCache

__all__ = ["digest_simulator", "simulate_hands"]

_VERSION = 4  # to be raised if the same arguments give other samples
_BOTH_HANDS_SHARE = 0.1


def simulate_hands(
    count: int, folder: Path, progress: Progress, *, scheme: Scheme, seed: int = 0, ill: float = 0.5
) -> HandSamples:
    """Return `count` simulated hands with finger joints of `scheme` and wrists; a tenth come from films of both hands.

    Parameters
    ----------
    count
        Number of hands, each of another patient.
    folder
        Cache of the images; the same arguments draw them once.
    progress
        Called with a text, the number done and the total.
    scheme
        Scheme that defines the joints.
    seed
        Seed of the simulation.
    ill
        Share of the patients with much more damage than usual. Findings are rare otherwise, and the detector needs many.

    Returns
    -------
    HandSamples
        True boxes, and findings 0 or 1.
    """
    drawn = list_finger_joints(load_scheme("mtss-hands"))  # the simulator draws whole hands, whatever `scheme` scores
    cache = ImageCache(
        folder, "phantoms", (count, FINE_SIZE, FINE_SIZE), (_VERSION, digest_simulator(), count, seed, ill)
    )
    kept = cache.path.with_suffix(".npz")
    boxes = np.full((count, len(drawn), 4), np.nan, np.float32)
    findings = np.zeros((count, len(drawn)), np.float32)
    wrists = np.full((count, len(WRIST_SITES), 4), np.nan, np.float32)
    areas, sides = np.zeros((count, 4)), np.array(["L"] * count)
    if cache.is_complete:
        with np.load(kept) as arrays:
            boxes, findings, wrists = arrays["boxes"], arrays["findings"], arrays["wrists"]
            areas, sides = arrays["areas"], arrays["sides"]
    else:
        for row, (film, side, found) in enumerate(_simulate_films(count, seed, ill)):
            progress("drawing hands", row, count)
            frame = make_frame(film.areas[side], side)
            cache.images[row] = crop_hand(Film(film.pixels, 12), frame)
            areas[row], sides[row] = frame.area, side
            for column, name in enumerate(WRIST_SITES):
                wrists[row, column] = frame.to_square(film.boxes[f"{side}.{name}"])
            for column, joint in enumerate(drawn):
                boxes[row, column] = frame.to_square(film.boxes[f"{side}.{joint.id}"])
                findings[row, column] = f"{side}.{joint.id}" in found
        np.savez(kept, boxes=boxes, findings=findings, wrists=wrists, areas=areas, sides=sides)
        cache.finish()
    progress("drawing hands", count, count)
    joints, places = list_finger_joints(scheme), {joint.id: column for column, joint in enumerate(drawn)}
    known = [column for column, joint in enumerate(joints) if joint.id in places]
    wanted = [places[joints[column].id] for column in known]
    own_boxes = np.full((count, len(joints), 4), np.nan, np.float32)
    own_findings = np.full((count, len(joints)), np.nan, np.float32)
    own_boxes[:, known], own_findings[:, known] = boxes[:, wanted], findings[:, wanted]
    names = tuple(f"phantom-{seed}-{row}" for row in range(count))
    return HandSamples(
        cache.images,
        own_boxes,
        own_findings,
        np.array([JOINT_KINDS.index(joint.group) for joint in joints]),
        tuple(make_frame(Box(*area), str(side)) for area, side in zip(areas.tolist(), sides, strict=True)),
        names,
        names,
        tuple(map(str, sides)),
        tuple(joint.id for joint in joints),
        source="simulated films",
        wrists=wrists,
    )


def _simulate_films(count: int, seed: int, ill: float) -> Iterator[tuple[PhantomFilm, str, set[str]]]:
    """Yield `count` films of different patients, each with the side to use and the sites with a finding on it."""
    scheme = load_scheme("mtss-hands")
    for number in range(count):
        rng = np.random.default_rng([seed, number, 77])
        severity = float(rng.uniform(1.0, 4.0)) if rng.random() < ill else None
        patient = simulate_patient(rng, scheme, severity=severity)
        side: Literal["L", "R"] = "L" if rng.random() < 0.5 else "R"
        time = int(rng.integers(0, 2))
        rows = int(rng.integers(820, 1300))
        columns = round(rows * float(rng.uniform(0.7, 0.9)))
        found = {site for site, at in patient.findings if at == time}
        if rng.random() < _BOTH_HANDS_SHARE:
            order = bool(rng.random() < 0.7)
            yield render(patient, "B", time, rng, size=(rows, 2 * columns), left_first=order), side, found
        else:
            yield render(patient, side, time, rng, size=(rows, columns)), side, found


@once
def digest_simulator() -> str:
    """Return a digest of the simulator's source, so that cached films of another version are not used."""
    digest = hashlib.sha256()
    for file in sorted(Path(ratui.phantom.__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()

"""What the detector finds, back into the study as proposals: named joints, in the pixels of their films.

It writes proposals alone; regions that a rater has confirmed are never touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ratui.errors import FilmError, TrainError
from ratui.scheme import Scheme
from ratui.study import Region, Study
from trainer.detector import Detection, JointDetector, detect, load_detector
from trainer.identity import name_joints
from trainer.runs import progress
from trainer.samples import KINDS, SIDE, hand_image, hands

__all__ = ["Proposed", "find_joints", "propose", "template_of"]


@dataclass(frozen=True)
class Proposed:
    """What was proposed, and which films were skipped and why."""

    cases: int
    hands: int
    joints: int
    skipped: tuple[str, ...]


def template_of(scheme: Scheme, view: str) -> dict[str, tuple[float, float, float]]:
    """Where the finger joints of a left hand lie in a square of SIDE pixels: centre and size by joint."""
    template = scheme.views[view].template
    # Films are about five wide to six high; only the shape matters, as the template is fitted by turning and scaling.
    width = SIDE / 1.22
    return {
        joint.id: (template[joint.id][0] * width, template[joint.id][1] * SIDE, template[joint.id][2] * width)
        for joint in scheme.joints
        if joint.group in KINDS and joint.id in template
    }


def find_joints(
    model: JointDetector, images: Sequence[npt.NDArray[np.uint8]], scheme: Scheme, view: str
) -> list[dict[str, Detection]]:
    """The named joints on each of `images`, squares of SIDE pixels uint8 that show a left hand."""
    kinds = {joint.id: joint.group for joint in scheme.joints if joint.group in KINDS}
    result = []
    for detections in detect(model, np.stack(images)) if images else []:
        names = name_joints([d.candidate for d in detections], template_of(scheme, view), kinds)
        result.append({joint: detections[index] for joint, index in names.items()})
    return result


def propose(study: Study, run: Path, name: str, device: torch.device, *, every: bool = False) -> Proposed:
    """Proposes regions for each film whose regions aren't confirmed; for `every` film where asked. Raises TrainError."""
    model = load_detector(run, device)
    cases = [case for case in map(study.case, study.cases()) if not case.unreadable(study.scheme)]
    done_cases = done_hands = joints = 0
    skipped: list[str] = []
    for number, case in enumerate(cases):
        progress("proposing regions", number, len(cases))
        confirmed = {region.film for region in study.regions(case.id) if region.by}
        regions: list[Region] = []
        todo = [item for item in hands(case, study.scheme) if every or item[0].id not in confirmed]
        for record, side, frame in todo:
            try:
                image = hand_image(study.film(case.id, record.id), frame)
            except FilmError as error:
                skipped.append(str(error))
                continue
            found = find_joints(model, [image], study.scheme, record.view)[0]
            if not found:
                skipped.append(f"{case.id}, time point {record.time}, side {side}: no hand was made out")
                continue
            done_hands += 1
            for joint, detection in found.items():
                x0, y0, x1, y1 = frame.back(detection.box)
                score = round(detection.candidate.score, 3)
                regions.append(Region(f"{side}.{joint}", record.id, (x0, y0, x1, y1), name, "", score))
        if regions:
            done_cases, joints = done_cases + 1, joints + len(regions)
            study.save_proposals(name, case.id, regions)
    progress("proposing regions", len(cases), len(cases))
    if not cases:
        raise TrainError("the study has no case that can be read", study.path, "Import films of two time points")
    return Proposed(done_cases, done_hands, joints, tuple(skipped))

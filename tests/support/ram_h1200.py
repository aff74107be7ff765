"""A small folder in the layout of RAM-H1200, with simulated hands: COCO joints, ERO and JSN scores, crops, and a split."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ratui.phantom import render, simulate_patient
from ratui.scheme import load_scheme

__all__ = ["CATEGORIES", "write_ram_h1200"]

SCHEME = load_scheme("mtss-hands")
CATEGORIES = {
    **{f"MCP{number}": f"MCP-{letter}" for number, letter in enumerate("TIMRS", 1)},
    **{f"PIP{number}": f"PIP-{letter}" for number, letter in enumerate("IMRS", 2)},
    "IP1": "IP",
    "CMC1": "CMC-T",
    **{f"CMC{number}": f"CMC-{letter}" for number, letter in enumerate("MRS", 3)},
    "RAD": "R",
    "ULN": "U",
    "LUN": "L",
    "NAV": "S",
    "MULT": "Tm",
    "MULT-NAV": "STT",
    "CAP-NAV-LUN": "SC",
    "RC": "SR",
}
"""Name of the set by joint of the scheme."""
_FILES = {
    "ERO": ("SvdH_BE_Scoring", "_annotation_be_scores.json", "BE"),
    "JSN": ("SvdH_JSN_Scoring", "_annotation_jsn_scores.json", "JSN"),
}


def write_ram_h1200(
    folder: Path, parts: Mapping[str, int], *, size: tuple[int, int] = (300, 250), seed: int = 0, crops: bool = False
) -> Path:
    """Write a folder of simulated patients with both hands, and return it.

    Parameters
    ----------
    folder
        The folder, which is made.
    parts
        Number of patients by part of the split: ``train``, ``val``, ``test``. An empty name stands for a set without a
        split.
    size
        Rows and columns of each image.
    seed
        Seed of the patients.
    crops
        Write a crop of each joint as well, as the set has them.
    """
    number = 0
    for part, count in parts.items():
        joints = folder / "Joints_Detection" / part
        joints.mkdir(parents=True)
        images: list[dict[str, Any]] = []
        boxes: list[dict[str, Any]] = []
        scores: dict[str, dict[str, dict[str, int]]] = {"ERO": {}, "JSN": {}}
        for _ in range(count):
            rng = np.random.default_rng([seed, number])
            patient = simulate_patient(rng, SCHEME, severity=2.5)
            for side in ("L", "R"):
                film = render(patient, side, 0, rng, size=size)  # type: ignore[arg-type]
                name, picture = f"p{number}_{side}", Image.fromarray((film.pixels >> 4).astype(np.uint8))
                picture.save(joints / f"{name}_bmp.rf.0a1b2c.png")
                images.append(
                    {
                        "id": len(images),
                        "file_name": f"{name}_bmp.rf.0a1b2c.png",
                        "width": size[1],
                        "height": size[0],
                        "extra": {"name": f"{name}.bmp"},
                    }
                )
                for place, (joint, category) in enumerate(CATEGORIES.items(), 1):
                    x0, y0, x1, y1 = film.boxes[f"{side}.{joint}"]
                    box = [x0, y0, x1 - x0, y1 - y0]
                    boxes.append({"id": len(boxes), "image_id": len(images) - 1, "category_id": place, "bbox": box})
                    if crops:
                        for scale in SCHEME_SCALES[joint]:
                            at = folder / "SvdH_Scoring" / _FILES[scale][0] / part / name
                            at.mkdir(parents=True, exist_ok=True)
                            picture.crop((int(x0), int(y0), int(x1), int(y1))).save(at / f"{category}.bmp")
                for scale in ("ERO", "JSN"):
                    scores[scale][f"{name}.bmp"] = {
                        f"{_FILES[scale][2]}_{CATEGORIES[joint]}": patient.grades[f"{side}.{joint}", scale, 0]
                        for joint, scales in SCHEME_SCALES.items()
                        if scale in scales
                    }
            number += 1
        categories = [{"id": place, "name": name} for place, name in enumerate(CATEGORIES.values(), 1)]
        content = {"images": images, "categories": categories, "annotations": boxes}
        (joints / "_annotations.coco.json").write_text(json.dumps(content), encoding="utf-8")
        for scale, (place_, file, _) in _FILES.items():
            at = folder / "SvdH_Scoring" / place_ / part
            at.mkdir(parents=True, exist_ok=True)
            (at / file).write_text(json.dumps(scores[scale]), encoding="utf-8")
    return folder


SCHEME_SCALES = {joint.id: joint.scales for joint in SCHEME.joints if joint.id in CATEGORIES}

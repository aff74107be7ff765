"""Write the shipped detector for the installation without torch: ``python -m trainer.shipped.light``.

The files in ``ratui/detection/shipped`` are ONNX networks, which OpenCV runs, and the values that the code around them
needs: two networks for finger joints, and one with a shape model for each other part of the body. They are made from
``model.pt``; after a change of it, run this command again.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import click
import torch
from torch import Tensor, nn

import ratui.detection
from ratui.detection.finger_joints import JOINT_KINDS
from ratui.detection.heat_maps import INPUT_SIZE
from ratui.files import atomic_write
from trainer.inference.onnx_export import build_models, export_network
from trainer.models.detector import MAX_CANDIDATES, REFINER_PASSES, load_detector
from trainer.models.refiner import REFINER_CROP_SIZE, WINDOW, Refiner
from trainer.shipped import SHIPPED, SHIPPED_RUN

__all__ = ["LIGHT_FOLDER", "main", "write_light_networks"]

LIGHT_FOLDER = Path(ratui.detection.__file__).parent / "shipped"
"""Folder of the files."""


class _JointRefiner(nn.Module):
    """The refiner alone: moves (M, 3), log odds of a finding (M, 1) and probabilities of kinds (M, 1 + kinds) of crops."""

    def __init__(self, refiner: Refiner) -> None:
        super().__init__()
        self.refiner = refiner

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        refined = self.refiner(crops)
        return refined.moves, refined.finding[:, None], refined.kind.softmax(dim=1)


def write_light_networks(folder: Path) -> None:
    """Write the networks of the shipped detector to `folder`. Raises TrainError if one can't be exported."""
    model = load_detector(SHIPPED, torch.device("cpu"))
    proposer, _ = build_models(SHIPPED)
    refiner = export_network(
        "-refiner",
        _JointRefiner(model.detail),
        {"crops": torch.rand(3, 1, REFINER_CROP_SIZE, REFINER_CROP_SIZE)},
        ("moves", "finding", "kinds"),
        {"model": "detector, refiner of crops"},
        ("crops",),
    )
    parts = {
        name: export_network(
            f"-{name}",
            part.net,
            {"crops": torch.rand(2, 1, INPUT_SIZE, INPUT_SIZE + 32)},
            ("maps", "sizes"),
            {"model": f"detector, sites of a {name}"},
            ("crops",),
            any_size=("crops",),
        )
        for name, part in model.parts.items()
    }
    larger, spread = model.size_statistics
    about: dict[str, object] = {
        "weights_sha256": hashlib.sha256((SHIPPED_RUN / "model.pt").read_bytes()).hexdigest(),
        "kinds": JOINT_KINDS,
        "max_candidates": MAX_CANDIDATES,
        "refiner_passes": REFINER_PASSES,
        "crop_size": REFINER_CROP_SIZE,
        "crop_window": WINDOW,
        "threshold": float(model.threshold),
        "bias": float(model.bias),
        "mcp_excess": larger,
        "size_spread": spread,
    }
    shapes = {name: part.shape_model().to_json() for name, part in model.parts.items()}
    folder.mkdir(exist_ok=True)
    # The weights are stored at half precision, so that half of their bits are zero and compress to nothing.
    written = {
        "boxes.onnx.gz": gzip.compress(proposer.content, mtime=0),
        "refiner.onnx.gz": gzip.compress(refiner.content, mtime=0),
        **{f"{name}.onnx.gz": gzip.compress(part.content, mtime=0) for name, part in parts.items()},
        "shapes.json": json.dumps(shapes).encode() + b"\n",
    }
    about["files"] = {name: hashlib.sha256(content).hexdigest() for name, content in written.items()}
    written["about.json"] = json.dumps(about, indent=2).encode() + b"\n"
    for name, content in written.items():
        with atomic_write(folder / name) as temporary:
            temporary.write_bytes(content)


@click.command()
def main() -> None:
    """Write the shipped detector as ONNX networks into the package ratui."""
    write_light_networks(LIGHT_FOLDER)


if __name__ == "__main__":
    main()

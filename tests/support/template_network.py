"""A detector for tests that needs no time: it sees the same hand on every film, or none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from ratui.detection.finger_joints import JOINT_KINDS, make_joint_template, map_joint_kinds
from ratui.detection.heat_maps import MAP_STRIDE
from ratui.detection.joint_naming import Candidate
from ratui.detection.joint_network import Detection, Proposals
from ratui.detection.landmark_search import LandmarkPart
from ratui.detection.parts import PARTS, PartName
from ratui.detection.shape import ShapeModel
from ratui.imaging import Box
from ratui.scheme import load_scheme

__all__ = ["TemplateNetwork"]


@dataclass
class TemplateNetwork:
    """A detector that sees the upright left hand of the template at its usual place on each square.

    It does not see the joints `unseen`. `squares` counts the squares it has seen.
    After `interrupt_after` squares it raises KeyboardInterrupt.
    """

    sees_hands: bool = True
    sees_wrists: bool = False
    sees_feet: bool = False
    unseen: tuple[str, ...] = ()
    interrupt_after: int = 10**9
    squares: int = field(default=0, init=False)
    size_statistics = (0.21, 1.0)

    def detect(self, squares: npt.NDArray[np.uint8], threshold: float) -> list[list[Detection]]:
        """Return the joints of the template on each square."""
        self.squares += len(squares)
        if self.squares > self.interrupt_after:
            raise KeyboardInterrupt
        scheme = load_scheme("fingers")
        kinds = map_joint_kinds(scheme)
        hand = [
            Detection(Candidate(*place, kinds[name], 0.99), 0.1)
            for name, place in make_joint_template(scheme).items()
            if name not in self.unseen
        ]
        return [hand if self.sees_hands else [] for _ in squares]

    def propose(self, squares: npt.NDArray[np.uint8], threshold: float) -> list[Proposals]:
        """Return the boxes of the template for each square; this does not count."""
        scheme = load_scheme("fingers")
        kinds, hand = map_joint_kinds(scheme), make_joint_template(scheme) if self.sees_hands else {}
        boxes = np.array([Box.from_centre(*place) for place in hand.values()], np.float32).reshape(-1, 4)
        found = Proposals(boxes, np.array([[kinds[name] == kind for kind in JOINT_KINDS] for name in hand], np.float32))
        return [found for _ in squares]

    def refine(
        self, squares: npt.NDArray[np.uint8], proposals: Sequence[Proposals], threshold: float
    ) -> list[list[Detection]]:
        """Return the joints of the template on each square."""
        return self.detect(squares, threshold)

    def landmark_part(self, name: PartName) -> LandmarkPart | None:
        """Return a part that sees the usual wrist or foot in the middle of each crop, or None."""
        if not {"wrist": self.sees_wrists, "foot": self.sees_feet}[name]:
            return None
        shape = ShapeModel.from_json(
            json.loads((files("ratui.detection") / "shipped" / "shapes.json").read_text(encoding="utf-8"))[name]
        )
        return LandmarkPart(partial(_see_middle, shape, PARTS[name].step), shape, PARTS[name])


def _see_middle(
    shape: ShapeModel, step: float, crops: npt.NDArray[np.uint8]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    cells = crops.shape[1] // MAP_STRIDE
    maps = np.full((len(crops), len(shape.sites), cells, cells), -20.0, np.float32)
    for site, (x, y) in enumerate((shape.mean / step + crops.shape[1] / 2) / MAP_STRIDE):
        column, row = int(np.clip(x, 0, cells - 1)), int(np.clip(y, 0, cells - 1))
        maps[:, site, row, column] = 12.0
    return maps, np.zeros(len(crops), np.float32)

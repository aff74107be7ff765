"""A part of the detector that places the sites of a wrist or of a foot: the landmark network and its shape model."""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ratui.detection.landmark_search import LandmarkNetwork, LandmarkPart
from ratui.detection.parts import PARTS, PartName
from ratui.detection.shape import ShapeModel
from trainer.models.landmarks import LandmarkNet

__all__ = ["LandmarkModel"]


_SHAPE = ("mean", "covariance", "widths", "fingers", "finger_errors", "finger_widths")


class LandmarkModel(nn.Module):
    """Landmark network of a part, with its shape model as buffers; see `ratui.detection.shape.ShapeModel`."""

    mean: Tensor
    covariance: Tensor
    widths: Tensor
    fingers: Tensor
    finger_errors: Tensor
    finger_widths: Tensor

    def __init__(self, name: PartName) -> None:
        super().__init__()
        self.layout = PARTS[name]
        sites, joints = len(self.layout.landmarks), len(self.layout.joints)
        self.net = LandmarkNet(sites)
        self.register_buffer("mean", torch.zeros(sites, 2))
        self.register_buffer("covariance", torch.eye(2 * sites))
        self.register_buffer("widths", torch.ones(sites))
        self.register_buffer("fingers", torch.zeros(joints, 2))
        self.register_buffer("finger_errors", torch.ones(joints))
        self.register_buffer("finger_widths", torch.zeros(joints))

    @property
    def has_shape(self) -> bool:
        """True if the shape model was learned. Without it the network cannot be used."""
        return bool((self.mean != 0).any())

    def set_shape(self, shape: ShapeModel) -> None:
        """Store `shape`."""
        for name in _SHAPE:
            getattr(self, name).copy_(torch.from_numpy(np.asarray(getattr(shape, name), np.float32)))

    def shape_model(self) -> ShapeModel:
        """Return the shape model."""
        arrays = {name: getattr(self, name).detach().cpu().double().numpy() for name in _SHAPE}
        return ShapeModel(sites=self.layout.landmarks, joints=self.layout.joints, **arrays)

    def as_network(self) -> LandmarkNetwork:
        """Return the network as a function of arrays; see `ratui.detection.landmark_search.LandmarkNetwork`."""
        device = next(self.parameters()).device

        def run(crops: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
            with torch.inference_mode():
                maps, sizes = self.net(torch.from_numpy(crops).to(device)[:, None].float() / 255)
            return cast("npt.NDArray[np.float32]", maps.float().cpu().numpy()), np.asarray(sizes.float().cpu().numpy())

        return run

    def as_part(self) -> LandmarkPart:
        """Return network and shape model as the search for sites takes them."""
        return LandmarkPart(self.as_network(), self.shape_model(), self.layout)

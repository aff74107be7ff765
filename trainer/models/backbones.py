"""The SSD object detectors that find finger joints: a small one of one channel, and two of torchvision.

They tell the two kinds of joints apart, but not the fingers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torchvision.models.detection import ssd300_vgg16, ssdlite320_mobilenet_v3_large

from ratui.detection.finger_joints import COARSE_SIZE, JOINT_KINDS
from ratui.errors import TrainError, clean_text
from trainer.models.layers import ResidualBlock, make_group_norm
from trainer.models.torchvision_internals import SSD, DefaultBoxGenerator, SquareBoxGenerator
from trainer.models.weight_files import read_state_dict

__all__ = ["BACKBONES", "build_ssd", "load_torchvision_weights"]

_CLASSES = 1 + len(JOINT_KINDS)
_BOX_SIZES = (9.5, 13.5, 19.0, 27.0)
"""Sides of the default boxes in units of the square. Joints measure 17 to 24, on films of both hands half of that."""
_WIDTHS = (16, 32, 64, 96, 96)
_OUT_CHANNELS = 80
_FEATURES_PREFIX = "backbone.features."


class FeaturePyramid(nn.Module):
    """The backbone of the small SSD: one feature map at stride 8, with features of strides 16 and 32 added.

    The coarse strides see neighbouring fingers, which look alike by themselves.
    """

    def __init__(self) -> None:
        super().__init__()
        a, b, c, d, e = _WIDTHS
        self.stem = nn.Sequential(nn.Conv2d(1, a, 5, 2, 2, bias=False), make_group_norm(a), nn.ReLU(inplace=True))
        self.down4 = nn.Sequential(nn.Conv2d(a, b, 3, 2, 1, bias=False), make_group_norm(b), nn.ReLU(inplace=True))
        self.down8 = nn.Sequential(ResidualBlock(b, c, 2), ResidualBlock(c, c))
        self.down16 = ResidualBlock(c, d, 2)
        self.down32 = ResidualBlock(d, e, 2)
        self.side8, self.side16, self.side32 = (nn.Conv2d(width, _OUT_CHANNELS, 1) for width in (c, d, e))
        self.smooth = nn.Sequential(
            nn.Conv2d(_OUT_CHANNELS, _OUT_CHANNELS, 3, 1, 1, bias=False),
            make_group_norm(_OUT_CHANNELS),
            nn.ReLU(inplace=True),
        )
        self.out_channels = [_OUT_CHANNELS]

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Return the feature map, (N, channels, S / 8, S / 8), of images (N, 1, S, S), in the form that an SSD takes."""
        eight = self.down8(self.down4(self.stem(x)))
        sixteen = self.down16(eight)
        top = self.side32(self.down32(sixteen))
        top = self.side16(sixteen) + F.interpolate(top, size=sixteen.shape[-2:], mode="nearest")
        top = self.side8(eight) + F.interpolate(top, size=eight.shape[-2:], mode="nearest")
        return {"8": self.smooth(F.relu(top))}


def _build_small() -> SSD:
    return SSD(
        FeaturePyramid(),
        SquareBoxGenerator([size / COARSE_SIZE for size in _BOX_SIZES], step=8),
        (COARSE_SIZE, COARSE_SIZE),
        _CLASSES,
        image_mean=[0.35],
        image_std=[0.25],
        iou_thresh=0.45,
        positive_fraction=0.2,
    )


def _build_ssd300() -> SSD:
    return ssd300_vgg16(weights=None, weights_backbone=None, num_classes=_CLASSES)


def _build_ssdlite() -> SSD:
    model = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=_CLASSES)
    # The number of default boxes stays, so that torchvision's weights fit. Their sizes are those of joints; torchvision's
    # start at 64 pixels.
    model.anchor_generator = DefaultBoxGenerator([[2, 3] for _ in range(6)], min_ratio=0.045, max_ratio=0.5)
    return model


BACKBONES: dict[str, Callable[[], SSD]] = {
    "small": _build_small,
    "ssd300-vgg16": _build_ssd300,
    "ssdlite": _build_ssdlite,
}
"""SSDs by name. ``small`` takes one channel; torchvision's take three, which all get the grey level."""


def build_ssd(name: str) -> SSD:
    """Return the SSD `name` with random weights. Raises TrainError for an unknown name."""
    if name not in BACKBONES:
        raise TrainError(
            f"there is no backbone named {clean_text(name)}", "--backbone", f"Take one of {', '.join(BACKBONES)}"
        )
    return BACKBONES[name]()


def load_torchvision_weights(ssd: SSD, path: Path) -> int:
    """Load the weights in a file of torchvision that fit `ssd`, and return their number.

    The file holds the ``state_dict`` of a whole SSD or of VGG16 alone. The class head of a whole SSD has other classes and
    is not loaded. No code in the file is run. Raises TrainError if the file has less than 90 % of the backbone's weights.
    """
    state = read_state_dict(path)
    own = ssd.state_dict()
    fitting: OrderedDict[str, Tensor] = OrderedDict()
    for key, value in own.items():
        found = state.get(key, state.get(key.removeprefix("backbone.")))
        if found is not None and found.shape == value.shape:
            fitting[key] = found
    wanted = [key for key in own if key.startswith(_FEATURES_PREFIX)]
    share = sum(key in fitting for key in wanted) / max(len(wanted), 1)
    if share < 0.9:
        raise TrainError(
            f"only {share:.0%} of the backbone's weights are in this file", path, "Give the weights of this --backbone"
        )
    ssd.load_state_dict(fitting, strict=False)
    return len(fitting)

"""The trunks of the scorer that torchvision has, and weights for them from files of torchvision and timm.

Their layers have torchvision's names without the classifier, so that files of torchvision fit as they are. The first
convolution takes one channel, the grey level.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from ratui.errors import TrainError, clean_text
from trainer.models.layers import SynchronisedBatchNorm
from trainer.models.weight_files import read_state_dict

__all__ = ["SCORER_BACKBONES", "SMALL", "build_trunk", "check_backbone", "is_of_scorer", "load_trunk_weights"]

SMALL = "small"
"""The scorer's own trunk, which `trainer.models.scorer` builds."""
_CLASSIFIERS = ("fc.", "classifier.", "head.")
_NAMED = 3  # names that an error message states


# torchvision takes seconds to import, so only the functions that build its networks do it.


def _build_resnet(name: str) -> nn.Sequential:
    from torchvision import models

    build: Callable[..., nn.Module] = getattr(models, name)
    # Norms of all processes together, as in the small trunk: several processes then learn what one learns.
    parts = OrderedDict(build(norm_layer=SynchronisedBatchNorm).named_children())
    parts["conv1"] = _make_first_layer(parts["conv1"])
    del parts["avgpool"], parts["fc"]
    return nn.Sequential(parts)


def _build_convnext() -> nn.Sequential:
    from torchvision import models
    from torchvision.ops import Permute

    features = models.convnext_tiny(stochastic_depth_prob=0.0).features
    features[0][0] = _make_first_layer(features[0][0])
    channels = features[-1][-1].block[0].out_channels
    # The network has no norm after its last block; torchvision's is part of the classifier.
    norm = nn.Sequential(Permute([0, 2, 3, 1]), nn.LayerNorm(channels, eps=1e-6), Permute([0, 3, 1, 2]))
    return nn.Sequential(OrderedDict(features=features, norm=norm))


def _build_efficientnet() -> nn.Sequential:
    from torchvision import models

    features = models.efficientnet_b0(norm_layer=SynchronisedBatchNorm, stochastic_depth_prob=0.0).features
    features[0][0] = _make_first_layer(features[0][0])
    return nn.Sequential(OrderedDict(features=features))


def _make_first_layer(layer: nn.Module) -> nn.Conv2d:
    """Return a convolution like `layer` for one channel. Its weights are the sum over the channels of `layer`."""
    assert isinstance(layer, nn.Conv2d)
    made = nn.Conv2d(
        1,
        layer.out_channels,
        layer.kernel_size,  # type: ignore[arg-type]
        layer.stride,  # type: ignore[arg-type]
        layer.padding,  # type: ignore[arg-type]
        bias=layer.bias is not None,
    )
    made.weight.data = layer.weight.data.sum(dim=1, keepdim=True)
    if made.bias is not None and layer.bias is not None:
        made.bias.data = layer.bias.data
    return made


_TRUNKS: dict[str, tuple[Callable[[], nn.Sequential], int]] = {
    "resnet18": (lambda: _build_resnet("resnet18"), 512),
    "resnet34": (lambda: _build_resnet("resnet34"), 512),
    "resnet50": (lambda: _build_resnet("resnet50"), 2048),
    "convnext_tiny": (_build_convnext, 768),
    "efficientnet_b0": (_build_efficientnet, 1280),
}
SCORER_BACKBONES = (SMALL, *_TRUNKS)
"""Names of the trunks."""

_CONVNEXT_NAMES = (
    (r"stem\.(\d)\.", r"features.0.\1."),
    (r"stages\.(\d)\.downsample\.", lambda found: f"features.{2 * int(found[1])}."),
    (r"stages\.(\d)\.blocks\.(\d+)\.", lambda found: f"features.{2 * int(found[1]) + 1}.{found[2]}."),
    (r"(features\.\d\.\d+\.)gamma$", r"\1layer_scale"),
    (r"(features\.\d\.\d+\.)conv_dw\.", r"\1block.0."),
    (r"(features\.\d\.\d+\.)norm\.", r"\1block.2."),
    (r"(features\.\d\.\d+\.)mlp\.fc1\.", r"\1block.3."),
    (r"(features\.\d\.\d+\.)mlp\.fc2\.", r"\1block.5."),
)
_EFFICIENTNET_NAMES = (
    (r"conv_stem\.", "features.0.0."),
    (r"bn1\.", "features.0.1."),
    (r"conv_head\.", "features.8.0."),
    (r"bn2\.", "features.8.1."),
    # The blocks of the first stage do not expand their channels first, so they have one layer less.
    (r"blocks\.0\.(\d+)\.conv_dw\.", r"features.1.\1.block.0.0."),
    (r"blocks\.0\.(\d+)\.bn1\.", r"features.1.\1.block.0.1."),
    (r"blocks\.0\.(\d+)\.se\.conv_reduce\.", r"features.1.\1.block.1.fc1."),
    (r"blocks\.0\.(\d+)\.se\.conv_expand\.", r"features.1.\1.block.1.fc2."),
    (r"blocks\.0\.(\d+)\.conv_pw\.", r"features.1.\1.block.2.0."),
    (r"blocks\.0\.(\d+)\.bn2\.", r"features.1.\1.block.2.1."),
    (r"blocks\.(\d)\.(\d+)\.", lambda found: f"features.{int(found[1]) + 1}.{found[2]}."),
    (r"(features\.\d\.\d+\.)conv_pw\.", r"\1block.0.0."),
    (r"(features\.\d\.\d+\.)bn1\.", r"\1block.0.1."),
    (r"(features\.\d\.\d+\.)conv_dw\.", r"\1block.1.0."),
    (r"(features\.\d\.\d+\.)bn2\.", r"\1block.1.1."),
    (r"(features\.\d\.\d+\.)se\.conv_reduce\.", r"\1block.2.fc1."),
    (r"(features\.\d\.\d+\.)se\.conv_expand\.", r"\1block.2.fc2."),
    (r"(features\.\d\.\d+\.)conv_pwl\.", r"\1block.3.0."),
    (r"(features\.\d\.\d+\.)bn3\.", r"\1block.3.1."),
)
_TIMM_NAMES: dict[str, Sequence[tuple[str, str | Callable[[re.Match[str]], str]]]] = {
    "convnext_tiny": _CONVNEXT_NAMES,
    "efficientnet_b0": _EFFICIENTNET_NAMES,
}
"""Replacements, applied in this order, that make timm's names torchvision's. For ResNets both are the same."""


def check_backbone(name: str) -> None:
    """Raise TrainError if the scorer has no backbone `name`."""
    if name not in SCORER_BACKBONES:
        known = ", ".join(SCORER_BACKBONES)
        raise TrainError(
            f"the scorer has no backbone named {clean_text(name, 60)}", "--backbone", f"Take one of {known}"
        )


def build_trunk(name: str) -> tuple[nn.Sequential, int]:
    """Return the trunk `name`, one of `SCORER_BACKBONES` but not the small one, with random weights, and its channels.

    It takes grey levels (N, 1, S, S) and returns maps (N, channels, rows, columns). Raises KeyError for another name.
    """
    build, channels = _TRUNKS[name]
    return build(), channels


def is_of_scorer(state: Mapping[str, Tensor]) -> bool:
    """Return whether the weights `state` are those of a scorer, not of a network of others."""
    return any(name.startswith("trunk.") for name in state)


def load_trunk_weights(trunk: nn.Module, name: str, path: Path) -> int:
    """Load the weights of a file of torchvision or timm into the trunk `name`, and return the number of tensors loaded.

    The first convolution may have three channels, whose weights are summed, as timm does it for grey images. The classifier
    is left out.

    Raises
    ------
    TrainError
        If the file can't be read, or lacks layers, or has others, or some of another shape. Nothing is loaded then.
    """
    own = trunk.state_dict()
    found: dict[str, Tensor] = {}
    others: list[str] = []
    shapes: dict[str, str] = {}
    types: list[str] = []
    numbers: list[str] = []
    for key, value in read_state_dict(path).items():
        if key.startswith(_CLASSIFIERS):
            continue
        key = _rename(key, name)
        wanted = own.get(key)
        if wanted is None:
            others.append(key)
        elif (fitting := _fit(value, wanted, is_first=key == next(iter(own)))) is None:
            shapes[key] = f"{key} {tuple(value.shape)} in place of {tuple(wanted.shape)}"
        elif fitting.is_floating_point() != wanted.is_floating_point():
            types.append(key)
        elif not torch.isfinite(fitting).all():
            numbers.append(key)
        else:
            found[key] = fitting
    # Older versions of torch did not count batches. A norm that torchvision has in its classifier starts anew.
    needed = [key for key in own if not key.endswith("num_batches_tracked") and not key.startswith("norm.")]
    missing = [key for key in needed if key not in {*found, *shapes, *types, *numbers}]
    problems = [
        f"{len(names)} {text}: {_list(names)}"
        for names, text in (
            (missing, "tensors are missing"),
            (others, "belong to another network"),
            (list(shapes.values()), "have another shape"),
            (types, "have another type of numbers"),
            (numbers, "contain NaN or infinity"),
        )
        if names
    ]
    if problems:
        raise TrainError(
            f"these weights don't fit {name}: {'; '.join(problems)}",
            path,
            f"Give a file of torchvision's or timm's {name}, or the --backbone of the file",
        )
    trunk.load_state_dict(found, strict=False)
    return len(found)


def _rename(key: str, name: str) -> str:
    for pattern, new in _TIMM_NAMES.get(name, ()):
        key = re.sub(rf"^{pattern}", new, key)
    return key


def _fit(value: Tensor, wanted: Tensor, *, is_first: bool) -> Tensor | None:
    """Return `value` in the shape of `wanted`, None if it does not fit."""
    if is_first and value.ndim == 4 and value.shape[1] == 3:
        value = (value.float() if value.is_floating_point() else value).sum(dim=1, keepdim=True)
    if wanted.ndim == 3 and value.ndim == 1:  # timm stores the layer scale of ConvNeXt without rows and columns
        value = value[:, None, None]
    return value if value.shape == wanted.shape else None


def _list(names: Sequence[str]) -> str:
    listed = ", ".join(clean_text(name, 100) for name in names[:_NAMED])
    return f"{listed}, …" if len(names) > _NAMED else listed

"""Layers that detector and scorer share: a residual block and two normalisation layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn import functional as F  # noqa: N812

__all__ = ["ResidualBlock", "SynchronisedBatchNorm", "make_group_norm", "take_maximum"]


def make_group_norm(width: int) -> nn.Module:
    """Return a group norm. It does not depend on the batch, so batch size and number of processes do not matter."""
    return nn.GroupNorm(8, width)


def take_maximum(maps: Tensor) -> Tensor:
    """Return the maximum of each map, (N, channels), of `maps` (N, channels, rows, columns)."""
    # Not `amax`: its gradient looks for the values that equal the maximum. Compiled code may compute the values again in
    # another precision, find none, and divide by zero (pytorch/pytorch issue 186799).
    return maps.flatten(2).max(dim=2).values


class _SumOverProcesses(torch.autograd.Function):
    """The sum of a tensor over all processes, with gradients: `dist.all_reduce` alone has none."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total


class SynchronisedBatchNorm(nn.BatchNorm2d):
    """Batch norm over the batches of all processes. In a single process, or in evaluation, it is `nn.BatchNorm2d`.

    It gives several processes the same statistics as one process with the whole batch. torch's SyncBatchNorm does not work
    on CPUs.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised `input`, (N, channels, rows, columns)."""
        if not (self.training and dist.is_initialized() and dist.get_world_size() > 1):
            return super().forward(input)
        values = input.float()
        count = values.new_full((1,), values.numel() / values.shape[1])
        sums = torch.cat([values.sum(dim=(0, 2, 3)), (values * values).sum(dim=(0, 2, 3)), count])
        total: Tensor = _SumOverProcesses.apply(sums)
        first, second, whole = total[: self.num_features], total[self.num_features : -1], total[-1]
        mean = first / whole
        variance = (second / whole - mean * mean).clamp_min(0.0)
        with torch.no_grad():
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.num_batches_tracked is not None
            self.num_batches_tracked += 1
            momentum = 0.1 if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean.detach(), momentum)
            self.running_var.lerp_(variance.detach() * whole / (whole - 1), momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        shift = self.bias - mean * scale
        result: Tensor = (values * scale[:, None, None] + shift[:, None, None]).to(input.dtype)
        return result


class ResidualBlock(nn.Module):
    """A residual block of two convolutions; a stride of 2 halves the map. `norm` returns a norm for a number of channels."""

    def __init__(
        self, inputs: int, outputs: int, stride: int = 1, *, norm: Callable[[int], nn.Module] = make_group_norm
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            norm(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            norm(outputs),
        )
        self.skip: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.skip = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output for the feature map `x`, (N, inputs, rows, columns)."""
        result: Tensor = F.relu(self.body(x) + self.skip(x))
        return result

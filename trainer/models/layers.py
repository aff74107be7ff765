"""What both networks are built of: the residual block, and the two kinds of norms between its convolutions.

It knows neither joints nor scores; which norm a network takes is its own business.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn import functional as F  # noqa: N812

__all__ = ["ResidualBlock", "SynchronisedBatchNorm", "make_group_norm"]


def make_group_norm(width: int) -> nn.Module:
    """A norm that looks at one image only, so that any batch size will do, on any number of processes."""
    return nn.GroupNorm(8, width)


class _SumOverProcesses(torch.autograd.Function):
    """The sum of a tensor over all processes. Gradients flow through it, as through `dist.all_reduce` they don't."""

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
    """`nn.BatchNorm2d` over the batches of all processes; alone, or in evaluation, it is `nn.BatchNorm2d`.

    Without it two processes would each learn from other statistics than one. torch's own SyncBatchNorm knows no CPU.
    """

    def forward(self, input: Tensor) -> Tensor:
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
    """A residual block; a stride of 2 halves the map. `norm` makes a norm of so many channels."""

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
        result: Tensor = F.relu(self.body(x) + self.skip(x))
        return result

"""Batch normalisation whose batch is everybody's: the statistics are those of all processes' crops together.

Without it two processes would each learn from other statistics than one. torch's own SyncBatchNorm knows no CPU.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.distributed.nn.functional import all_reduce

__all__ = ["SharedNorm"]


class SharedNorm(nn.BatchNorm2d):
    """`nn.BatchNorm2d` over the batches of all processes; alone, or in evaluation, it is `nn.BatchNorm2d`."""

    def forward(self, input: Tensor) -> Tensor:
        if not (self.training and dist.is_initialized() and dist.get_world_size() > 1):
            return super().forward(input)
        values = input.float()
        count = values.new_full((1,), values.numel() / values.shape[1])
        sums = torch.cat([values.sum(dim=(0, 2, 3)), (values * values).sum(dim=(0, 2, 3)), count])
        total: Tensor = all_reduce(sums)  # type: ignore[no-untyped-call]
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

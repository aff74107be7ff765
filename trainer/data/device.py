"""Copies of batches to the device that trains."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["copy_to_device", "copy_together", "fits_on_gpu"]


def copy_to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Return `tensor` on `device`.

    The program does not wait for a copy to a GPU: the GPU runs it after the work that it has received before.
    """
    if device.type != "cuda" or tensor.is_cuda:
        return tensor.to(device)
    # From memory that is not pinned, a copy waits until the GPU has finished all earlier work.
    return tensor.pin_memory().to(device, non_blocking=True)


def copy_together(tensors: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    """Return `tensors`, which have one type and are in CPU memory, on `device`, by one copy to a GPU."""
    if device.type == "cpu" or not tensors:
        return list(tensors)
    whole = copy_to_device(torch.cat([each.flatten() for each in tensors]), device)
    parts = torch.split(whole, [each.numel() for each in tensors])
    return [part.view(each.shape) for part, each in zip(parts, tensors, strict=True)]


def fits_on_gpu(size: int, device: torch.device) -> bool:
    """Return True if `device` is a GPU and `size` bytes are less than a quarter of its free memory."""
    return device.type == "cuda" and size < torch.cuda.mem_get_info(device)[0] // 4

"""Copies of batches to the device that trains."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["copy_to_device", "fits_on_gpu"]


def copy_to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Return `tensor` on `device`.

    The program does not wait for a copy to a GPU: the GPU runs it after the work that it has received before.
    """
    if device.type != "cuda" or tensor.is_cuda:
        return tensor.to(device)
    # From memory that is not pinned, a copy waits until the GPU has finished all earlier work.
    return tensor.pin_memory().to(device, non_blocking=True)


def fits_on_gpu(size: int, device: torch.device) -> bool:
    """Return True if `device` is a GPU and `size` bytes are less than a quarter of its free memory."""
    return device.type == "cuda" and size < torch.cuda.mem_get_info(device)[0] // 4

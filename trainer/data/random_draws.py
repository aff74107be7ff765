"""Random numbers of augmentation: all of a batch are drawn at once from one generator and copied at once.

Each draw and each copy to a GPU has a fixed cost, which is larger than that of the few numbers themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import prod
from typing import TypeAlias

import torch
from torch import Tensor

from trainer.data.device import copy_together

__all__ = ["Ranges", "copy_draws", "draw_noise", "draw_uniform"]

Ranges: TypeAlias = Mapping[str, tuple[float, ...]]
"""Least value, largest value and shape of one sample's numbers, by name. They are drawn in the order of the entries, so
another order gives other numbers."""


def draw_uniform(ranges: Ranges, count: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Return uniform random numbers for `count` samples by name, shape (count, …), in CPU memory.

    The numbers are those of one call of `torch.rand` for each entry of `ranges`.
    """
    sizes = [count * prod(map(int, shape)) for _, _, *shape in ranges.values()]
    spread, low = _spread_and_low(tuple(ranges.values()), count)
    numbers = torch.rand(sum(sizes), generator=generator) * spread + low
    return {
        name: part.reshape(count, *map(int, shape))
        for (name, (_, _, *shape)), part in zip(ranges.items(), torch.split(numbers, sizes), strict=True)
    }


@lru_cache(maxsize=64)
def _spread_and_low(ranges: tuple[tuple[float, ...], ...], count: int) -> tuple[Tensor, Tensor]:
    """Return high − low and low of each of the numbers that `draw_uniform` draws."""
    sizes = torch.tensor([count * prod(map(int, shape)) for _, _, *shape in ranges])
    values = torch.tensor([[high - low, low] for low, high, *_ in ranges], dtype=torch.float64).float()
    spread, low = values.repeat_interleave(sizes, dim=0).unbind(dim=1)
    return spread.contiguous(), low.contiguous()


def copy_draws(draws: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Return `draws` on `device`, copied at once."""
    return dict(zip(draws, copy_together(list(draws.values()), device), strict=True))


def draw_noise(shape: Sequence[int], generator: torch.Generator, device: torch.device) -> Tensor:
    """Return standard normal noise on `device`, determined by `generator`.

    A GPU draws it itself from a seed of `generator`, because a copy of so much noise would take long.
    """
    if device.type != "cpu":
        generator = torch.Generator(device).manual_seed(int(torch.randint(2**62, (1,), generator=generator)))
    return torch.randn(*shape, generator=generator, device=device)

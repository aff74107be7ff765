"""Batches of augmented crops of feet for the detector's training, from any number of sources."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ratui.detection.parts import PARTS
from trainer.data.foot_samples import FOOT_SAMPLE_STEP, FootSamples
from trainer.data.image_cache import take_images
from trainer.data.landmark_augmentation import augment_landmarks
from trainer.data.landmark_targets import LandmarkTargets
from trainer.training.loop import Batches, Validation
from trainer.training.processes import ProcessGroup

__all__ = ["FootPool", "make_foot_batches", "make_foot_validation"]

_VALIDATION_BATCH = 16  # feet


class FootPool:
    """Feet of several sources under one row index, taken to `device`."""

    def __init__(self, samples: Sequence[FootSamples], device: torch.device) -> None:
        self._samples = samples
        self._device = device
        self._points = torch.from_numpy(np.concatenate([each.points for each in samples]))
        self._sizes = torch.from_numpy(np.concatenate([each.sizes for each in samples]))
        self._empty = torch.from_numpy(np.concatenate([each.empty for each in samples]))

    def __len__(self) -> int:
        return len(self._empty)

    def draw(self, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, LandmarkTargets]:
        """Return augmented crops of the feet `rows` with their truth."""
        crops = take_images([each.images for each in self._samples], rows.numpy())
        return augment_landmarks(
            torch.from_numpy(np.stack(crops)).to(self._device)[:, None].float() / 255,
            self._points[rows].to(self._device),
            self._sizes[rows].to(self._device),
            generator,
            step=PARTS["foot"].step / FOOT_SAMPLE_STEP,
            empty=self._empty[rows].to(self._device),
        )


def make_foot_batches(
    samples: Sequence[FootSamples], batch: int, seed: int, device: torch.device
) -> Batches:  # fmt: skip
    """Return the function that yields an epoch's batches of feet only, for `JointDetector`; see `make_detector_batches`."""
    pool = FootPool(samples, device)

    def batches(epoch: int, process_group: ProcessGroup) -> Iterable[Any]:
        order = torch.randperm(len(pool), generator=torch.Generator().manual_seed(seed * 7_919 + epoch))
        for rows, generator in process_group.local_batches(order, batch, seed, epoch):
            yield None, None, None, None, pool.draw(rows, generator)

    return batches


def make_foot_validation(samples: Sequence[FootSamples], device: torch.device) -> Validation:
    """Return the function that computes a detector's mean loss per foot on `samples`; the crops are the same each time."""
    pool = FootPool(samples, device)

    def validation(model: nn.Module) -> float:
        generator, total = torch.Generator().manual_seed(0), 0.0
        for rows in torch.split(torch.arange(len(pool)), _VALIDATION_BATCH):
            total += float(model(None, None, None, None, pool.draw(rows, generator))) * len(rows)
        return total / len(pool)

    return validation

"""Batches for the detector's training: augmented hands, crops of joints, wrists and feet, from any number of sources."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ratui.detection.parts import PARTS
from ratui.detection.shape import ShapeModel
from ratui.detection.wrist_sites import WRIST_SITES
from ratui.errors import TrainError
from trainer.data.augmentation import augment_hands, downsample
from trainer.data.device import copy_to_device, fits_on_gpu
from trainer.data.foot_samples import FootSamples
from trainer.data.hands import HandSamples
from trainer.data.image_cache import take_images
from trainer.data.landmark_augmentation import augment_landmarks
from trainer.data.landmark_targets import LandmarkTargets
from trainer.data.wrist_samples import SAMPLE_STEP, WristFrames, crop_wrist, place_wrists
from trainer.models.detector import make_targets
from trainer.models.refiner import draw_joint_crops
from trainer.training.detector_parts import ALL_PARTS, TrainedParts, has_wrists
from trainer.training.foot_batches import FootPool, make_foot_validation
from trainer.training.loop import Batches, Validation
from trainer.training.processes import ProcessGroup

__all__ = ["make_detector_batches", "make_detector_validation"]

HANDS_PER_EPOCH = 512
"""Largest number of hands in an epoch, so that progress, checkpoints and a stop never take long."""
_VALIDATION_BATCH = 16  # hands


def make_detector_batches(
    samples: Sequence[HandSamples],
    batch: int,
    seed: int,
    device: torch.device,
    *,
    parts: TrainedParts = ALL_PARTS,
    shape: ShapeModel | None = None,
    feet: Sequence[FootSamples] = (),
) -> Batches:
    """Return the function that yields an epoch's batches of all `samples`, augmented, on `device`.

    `batch` is the number of hands in a batch, over all processes. The batches hold what the trained `parts` need. `shape`
    places the crops of wrists; without it there are none. With `feet`, each batch has as many random feet as hands.
    """
    foot_pool = FootPool(feet, device) if feet and parts.foot else None
    pool = _CombinedSamples(samples, device, shape if parts.wrist else None)
    kinds = torch.from_numpy(samples[0].kinds).to(device)

    def batches(epoch: int, process_group: ProcessGroup) -> Iterable[Any]:
        for rows, generator in process_group.local_batches(_epoch_rows(len(pool), seed, epoch), batch, seed, epoch):
            moved = targets = joint_crops = None
            if parts.ssd or parts.refiner:
                images, boxes, findings = pool.take(rows)
                images = images[:, None].float() / 255
            if parts.refiner:
                joint_crops = draw_joint_crops(images, boxes, findings, kinds, generator)
            if parts.ssd:
                moved, placed = augment_hands(downsample(images), boxes, generator)
                targets = make_targets(placed, kinds)
            wrists = pool.draw_wrists(rows, generator)
            if foot_pool is None:
                yield moved, targets, joint_crops, wrists
            else:
                drawn = torch.randint(len(foot_pool), (len(rows),), generator=generator)
                yield moved, targets, joint_crops, wrists, foot_pool.draw(drawn, generator)

    return batches


def make_detector_validation(
    samples: Sequence[HandSamples],
    device: torch.device,
    *,
    parts: TrainedParts = ALL_PARTS,
    shape: ShapeModel | None = None,
    feet: Sequence[FootSamples] = (),
) -> Validation:
    """Return the function that computes a detector's mean loss per hand on `samples`, plus that per foot on `feet`.

    Hands are not augmented, but crops of wrists and feet are. The errors of the boxes that the refiner corrects are random,
    but the same in each epoch, and so are the crops.
    """
    pool = _CombinedSamples(samples, device, shape if parts.wrist else None)
    kinds = torch.from_numpy(samples[0].kinds).to(device)
    foot_loss = make_foot_validation(feet, device) if feet and parts.foot else None

    def validation(model: nn.Module) -> float:
        generator, total = torch.Generator().manual_seed(0), 0.0
        for rows in torch.split(torch.arange(len(pool)), _VALIDATION_BATCH):
            images, boxes, findings = pool.take(rows)
            images = images[:, None].float() / 255
            joint_crops = draw_joint_crops(images, boxes, findings, kinds, generator) if parts.refiner else None
            whole = (downsample(images), make_targets(boxes, kinds)) if parts.ssd or parts.refiner else (None, None)
            total += float(model(*whole, joint_crops, pool.draw_wrists(rows, generator))) * len(rows)
        return total / len(pool) + (foot_loss(model) if foot_loss else 0.0)

    return validation


class _CombinedSamples:
    """Hands of several sources under one row index, taken to `device`."""

    def __init__(
        self, samples: Sequence[HandSamples], device: torch.device, shape: ShapeModel | None = None
    ) -> None:  # fmt: skip
        if len({each.joints for each in samples}) != 1:
            raise TrainError("the sources of hands have different joints", "", "Use one scheme for all")
        self._samples = samples
        self._device = device
        self._boxes = torch.from_numpy(np.concatenate([each.boxes for each in samples])).to(device)
        self._findings = torch.from_numpy(np.concatenate([each.findings for each in samples])).to(device)
        self._wrists: WristFrames | None = None
        if shape is not None and has_wrists(samples):
            unknown = (len(WRIST_SITES), 4)
            wrists = [
                np.full((len(each.images), *unknown), np.nan, np.float32) if each.wrists is None else each.wrists
                for each in samples
            ]
            self._wrists = place_wrists(np.concatenate(wrists), shape)
        self._on_gpu: Tensor | None = None
        if fits_on_gpu(sum(each.images.nbytes for each in samples), device):
            self._on_gpu = torch.cat([torch.from_numpy(np.array(each.images)).to(device) for each in samples])

    def __len__(self) -> int:
        return len(self._boxes)

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return images (N, FINE_SIZE, FINE_SIZE) uint8, boxes and findings of `rows`."""
        there = copy_to_device(rows, self._device)
        boxes, findings = self._boxes[there], self._findings[there]
        if self._on_gpu is not None:
            return self._on_gpu[there], boxes, findings
        # Pinning so much memory takes longer than waiting for a plain copy.
        return torch.from_numpy(np.stack(self._images(rows))).to(self._device), boxes, findings

    def draw_wrists(self, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, LandmarkTargets] | None:
        """Return augmented crops of the wrists of `rows` with their truth, or None if no wrist of any row is known."""
        if self._wrists is None:
            return None
        frames = self._wrists.transforms[rows.numpy()]
        crops = np.stack([crop_wrist(image, frame) for image, frame in zip(self._images(rows), frames, strict=True)])
        return augment_landmarks(
            torch.from_numpy(crops).to(self._device)[:, None].float() / 255,
            torch.from_numpy(self._wrists.points[rows.numpy()]).to(self._device),
            torch.from_numpy(self._wrists.sizes[rows.numpy()]).to(self._device),
            generator,
            step=PARTS["wrist"].step / SAMPLE_STEP,
        )

    def _images(self, rows: Tensor) -> list[npt.NDArray[np.uint8]]:
        return take_images([each.images for each in self._samples], rows.numpy())


def _epoch_rows(count: int, seed: int, epoch: int) -> Tensor:
    """Return the rows of an epoch. Several epochs together pass through all hands, which are then shuffled anew."""
    parts = -(-count // HANDS_PER_EPOCH)
    cycle, part = divmod(epoch, parts)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed * 7_919 + cycle))
    return torch.tensor_split(order, parts)[part]

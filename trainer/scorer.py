"""The scorer: a Siamese network over a joint at both time points, which gives ERO and JSN at each.

Both crops go through the same layers, and each score is given in view of both; how labels may be missed is the loss's
business.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from ratui.errors import TrainError
from trainer.detector import Block
from trainer.loop import load_checkpoint
from trainer.losses import pair_loss

__all__ = ["PairScorer", "augment_pairs", "labelled", "load_scorer", "predict", "scorer_loss"]

_CLOSED = -1e4  # a logit for a grade that the joint doesn't have


class PairScorer(nn.Module):
    """Logits (N, 2, grades) for each scale, from crops (N, 2, S, S) from 0 to 1 and joint groups (N,).

    With `paired` false each time point is judged from its own crop alone: the baseline that pairs have to beat.
    """

    def __init__(self, grades: Sequence[int], groups: int, *, paired: bool = True, width: int = 24) -> None:
        super().__init__()
        self.paired = paired
        self.stem = nn.Sequential(
            nn.Conv2d(1, width, 5, 2, 2, bias=False), nn.GroupNorm(8, width), nn.ReLU(inplace=True)
        )
        self.trunk = nn.Sequential(
            Block(width, width), Block(width, 2 * width, 2), Block(2 * width, 4 * width, 2), Block(4 * width, 4 * width)
        )
        features = 4 * width
        self.group = nn.Embedding(groups, features)
        self.mix = nn.Sequential(nn.Linear((4 if paired else 2) * features, features), nn.ReLU(), nn.Dropout(0.2))
        self.heads = nn.ModuleList(nn.Linear(features, n) for n in grades)

    def forward(self, crops: Tensor, groups: Tensor) -> list[Tensor]:
        n, _, side, _ = crops.shape
        maps = self.trunk(self.stem(_level(crops).reshape(2 * n, 1, side, side)))
        # The mean tells how much there is, the maximum that there is some: an erosion is small.
        own = torch.cat([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))], dim=1).reshape(n, 2, -1)
        mean, most = own.chunk(2, dim=2)
        own = torch.cat([mean + self.group(groups)[:, None], most], dim=2)
        if self.paired:
            own = torch.cat([own, own.flip(1)], dim=2)
        mixed = self.mix(own)
        return [head(mixed) for head in self.heads]


def _level(crops: Tensor) -> Tensor:
    """Crops with the exposure taken out: each its own mean and spread."""
    mean, spread = crops.mean(dim=(2, 3), keepdim=True), crops.std(dim=(2, 3), keepdim=True)
    return (crops - mean) / (spread + 0.05)


def augment_pairs(crops: Tensor, generator: torch.Generator) -> Tensor:
    """Pairs (N, 2, S, S) as other films of the same joint: one turn and scale for both, a little of its own for each."""
    n, device = len(crops), crops.device
    side = crops.shape[-1]

    def draw(low: float, high: float, *shape: int) -> Tensor:
        return (torch.rand(*shape, generator=generator) * (high - low) + low).to(device)

    angle = draw(-0.25, 0.25, n, 1) + draw(-0.06, 0.06, n, 2)
    scale = torch.exp(draw(-0.12, 0.12, n, 1) + draw(-0.04, 0.04, n, 2))
    shift = draw(-0.05, 0.05, n, 1, 2) + draw(-0.03, 0.03, n, 2, 2)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    flip = torch.where(draw(0, 1, n, 1) < 0.5, -1.0, 1.0)  # the joint's two sides look alike
    theta = torch.stack(
        [torch.stack([cos * flip, -sin, shift[..., 0]], -1), torch.stack([sin * flip, cos, shift[..., 1]], -1)], -2
    )
    flat = crops.reshape(2 * n, 1, side, side)
    grid = F.affine_grid(theta.reshape(2 * n, 2, 3), list(flat.shape), align_corners=False)
    moved = F.grid_sample(flat, grid, align_corners=False, padding_mode="border").reshape(n, 2, side, side)
    moved = moved.clamp(1e-4, 1) ** torch.exp(draw(-0.3, 0.3, n, 2, 1, 1))
    return moved + torch.randn(moved.shape, device=device) * draw(0, 0.03, n, 2, 1, 1)


def labelled(labels: Tensor) -> int:
    """How many pairs of scores in `labels`, (N, raters, scales, 2) with −1 for none, can be learnt from."""
    return int((labels >= 0).all(dim=3).sum())


def scorer_loss(
    outputs: Sequence[Tensor], labels: Tensor, tops: Tensor, *, name: str, difference: float, over: float
) -> Tensor:
    """The sum of the loss called `name` over all labelled pairs, every rater's, every scale's, divided by `over`.

    `outputs` as `PairScorer` gives them, `labels` (N, raters, scales, 2) with −1 for none, `tops` (N, scales).
    """
    # Zero that depends on every output, so that a process without a label still meets the others' gradients.
    total: Tensor = sum((logits.sum() * 0.0 for logits in outputs), start=outputs[0].new_zeros(()))
    for scale, logits in enumerate(outputs):
        closed = close(logits.float(), tops[:, scale])
        pairs = labels[:, :, scale]
        rows, raters = torch.nonzero((pairs >= 0).all(dim=2), as_tuple=True)
        if len(rows):
            losses = pair_loss(name, closed[rows, 0], closed[rows, 1], pairs[rows, raters], difference)
            total = total + losses.sum()
    return total / max(over, 1.0)


def close(logits: Tensor, tops: Tensor) -> Tensor:
    """`logits` (N, 2, grades) with the grades above each joint's own top, (N,), ruled out."""
    grades = torch.arange(logits.shape[-1], device=logits.device)
    return logits.masked_fill(grades > tops.clamp_min(0)[:, None, None], _CLOSED)


@torch.inference_mode()
def predict(
    model: PairScorer,
    crops: npt.NDArray[np.uint8],
    groups: npt.NDArray[np.int64],
    tops: npt.NDArray[np.int64],
    *,
    batch: int = 256,
) -> list[npt.NDArray[np.float64]]:
    """For each scale the chance of each grade, (N, 2, grades), from crops (N, 2, S, S) uint8."""
    device = next(model.parameters()).device
    parts: list[list[npt.NDArray[np.float64]]] = [[] for _ in model.heads]
    for start in range(0, len(crops), batch):
        where = slice(start, start + batch)
        images = torch.from_numpy(np.ascontiguousarray(crops[where])).to(device).float() / 255
        kinds, top = torch.from_numpy(groups[where]).to(device), torch.from_numpy(tops[where]).to(device)
        for scale, logits in enumerate(model(images, kinds)):
            chances = close(logits.float(), top[:, scale]).softmax(dim=-1)
            parts[scale].append(chances.double().cpu().numpy())
    return [np.concatenate(part) for part in parts]


def load_scorer(folder: Path, device: torch.device) -> tuple[PairScorer, dict[str, Any]]:
    """The scorer that a run left in `folder`, and what the run said about it. Raises TrainError."""
    state = load_checkpoint(folder / "model.pt")
    about = state.get("about", {})
    try:
        model = PairScorer([int(n) for n in about["grades"]], len(about["group_names"]), paired=bool(about["paired"]))
        model.load_state_dict(state["model"])
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise TrainError("this checkpoint is not of a scorer", folder, "Give the folder of a scorer's run") from error
    return model.to(device).eval(), about

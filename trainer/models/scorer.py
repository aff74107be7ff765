"""The scorer: a Siamese network over a joint at both time points, which gives the chance of each pair of ERO and of JSN.

Both crops go through the same layers, and swapping them swaps the answer: the network can't know which film is the later
one. How labels may be missed is the loss's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from ratui.errors import TrainError
from trainer.models.layers import ResidualBlock, SynchronisedBatchNorm
from trainer.models.losses import EXCLUDED_LOGIT, coupled_log_pair, independent_log_pair, pair_loss
from trainer.models.rater_model import RaterModel
from trainer.training.loop import load_checkpoint

__all__ = [
    "PAIRINGS",
    "PairScorer",
    "Pairing",
    "augment_pairs",
    "build_scorer",
    "check_scheme",
    "count_labelled",
    "load_matching_weights",
    "load_scorer",
    "predict",
    "scorer_loss",
]

Pairing: TypeAlias = Literal["single", "paired", "coupled"]
PAIRINGS: tuple[Pairing, ...] = get_args(Pairing)
"""How time points meet: not at all; each is judged in view of the other; or each is judged by itself, the change by what
differs between the two, and the chance of a pair by all three."""


class PairScorer(nn.Module):
    """For each scale log P (N, views, G, G) of pairs of grades, from crops (N, 2, S, S) from 0 to 1.

    While it trains with a model of its raters, `views` are the raters, and P what each would have said; else there is
    one view, the joint itself. `pairing` ``single`` is the baseline that pairs have to beat.
    """

    def __init__(
        self,
        grades: Sequence[int],
        groups: int,
        *,
        pairing: Pairing = "coupled",
        rater_model: str = "none",
        raters: int = 1,
        width: int = 24,
    ) -> None:
        super().__init__()
        self.pairing = pairing
        self.stem = nn.Sequential(
            nn.Conv2d(1, width, 5, 2, 2, bias=False), SynchronisedBatchNorm(width), nn.ReLU(inplace=True)
        )
        self.trunk = nn.Sequential(
            ResidualBlock(width, width, norm=SynchronisedBatchNorm),
            ResidualBlock(width, 2 * width, 2, norm=SynchronisedBatchNorm),
            ResidualBlock(2 * width, 4 * width, 2, norm=SynchronisedBatchNorm),
            ResidualBlock(4 * width, 4 * width, norm=SynchronisedBatchNorm),
        )
        features = 4 * width
        self.group = nn.Embedding(groups, features)
        self.mix = _make_mixer((4 if pairing == "paired" else 2) * features, features)
        self.heads = nn.ModuleList(nn.Linear(features, n) for n in grades)
        if pairing == "coupled":
            self.compare = _make_mixer(6 * features, features)
            self.changes = nn.ModuleList(nn.Linear(features, 2 * n - 1) for n in grades)
        self.crowds = nn.ModuleList(RaterModel(rater_model, raters, n) for n in grades if rater_model != "none")

    def forward(self, crops: Tensor, groups: Tensor, max_grades: Tensor) -> list[Tensor]:
        return self.predict_pairs(self.extract_features(crops), groups, max_grades)

    def penalty(self) -> Tensor:
        """What it costs that the modelled raters differ from raters without a leaning."""
        costs = [rater_model.penalty() for rater_model in self.crowds if isinstance(rater_model, RaterModel)]
        return torch.stack(costs).sum() if costs else torch.zeros((), device=self.group.weight.device)

    def extract_features(self, crops: Tensor) -> Tensor:
        """What is to be seen in each crop, (N, 2, features): how much there is of each, and that there is some."""
        n, _, side, _ = crops.shape
        maps = self.trunk(self.stem(_normalise_exposure(crops).reshape(2 * n, 1, side, side)))
        # The mean tells how much there is, the maximum that there is some: an erosion is small.
        return torch.cat([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))], dim=1).reshape(n, 2, -1)

    def predict_pairs(self, features: Tensor, groups: Tensor, max_grades: Tensor) -> list[Tensor]:
        """Return log P for each scale from `features` (N, 2, features).

        `groups` (N,) are the joints' groups, `max_grades` (N, scales) their largest grades.
        """
        mean, most = features.chunk(2, dim=2)
        own = torch.cat([mean + self.group(groups)[:, None], most], dim=2)
        mixed = self.mix(torch.cat([own, own.flip(1)], dim=2) if self.pairing == "paired" else own)
        if self.pairing == "coupled":
            ahead = features[:, 1] - features[:, 0]
            # How much differs is the same either way; which way it differs turns around with the films.
            same = torch.cat([own.sum(dim=1), ahead.abs()], dim=1)
            there, back = (self.compare(torch.cat([step, same], dim=1)) for step in (ahead, -ahead))
        pairs = []
        for scale, head in enumerate(self.heads):
            logits = exclude_grades(head(mixed).float(), max_grades[:, scale])
            if self.pairing == "coupled":
                change = self.changes[scale](there) + self.changes[scale](back).flip(1)
                pair = coupled_log_pair(logits[:, 0], logits[:, 1], change.float())
            else:
                pair = independent_log_pair(logits[:, 0], logits[:, 1])
            pairs.append(self.crowds[scale](pair) if self.crowds and self.training else pair[:, None])
        return pairs


def _make_mixer(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(0.2))


def _normalise_exposure(crops: Tensor) -> Tensor:
    """Crops with the exposure taken out: each its own mean and spread."""
    mean, spread = crops.mean(dim=(2, 3), keepdim=True), crops.std(dim=(2, 3), keepdim=True)
    return (crops - mean) / (spread + 0.05)


def exclude_grades(logits: Tensor, max_grades: Tensor) -> Tensor:
    """`logits` (N, 2, grades) with the grades above each joint's own top, (N,), ruled out."""
    grades = torch.arange(logits.shape[-1], device=logits.device)
    return logits.masked_fill(grades > max_grades.clamp_min(0)[:, None, None], EXCLUDED_LOGIT)


def augment_pairs(crops: Tensor, generator: torch.Generator, *, side: int | None = None) -> Tensor:
    """Pairs (N, 2, S, S) as other films of the same joint: one turn and scale for both, a little of its own for each.

    The result measures `side` pixels, S where that isn't given.
    """
    n, device = len(crops), crops.device
    whole = crops.shape[-1]
    side = side or whole

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
    flat = crops.reshape(2 * n, 1, whole, whole)
    grid = F.affine_grid(theta.reshape(2 * n, 2, 3), [2 * n, 1, side, side], align_corners=False)
    moved = F.grid_sample(flat, grid, align_corners=False, padding_mode="border").reshape(n, 2, side, side)
    moved = moved.clamp(1e-4, 1) ** torch.exp(draw(-0.3, 0.3, n, 2, 1, 1))
    # Drawn where it is needed: a batch of noise is too much to carry to a GPU.
    own = torch.Generator(device).manual_seed(int(torch.randint(2**62, (1,), generator=generator)))
    noise = torch.randn(moved.shape, generator=own, device=device)
    return moved + noise * draw(0, 0.03, n, 2, 1, 1)


def count_labelled(labels: Tensor) -> int:
    """How many pairs of scores in `labels`, (N, raters, scales, 2) with −1 for none, can be learnt from."""
    return int((labels >= 0).all(dim=3).sum())


def scorer_loss(outputs: Sequence[Tensor], labels: Tensor, *, name: str, difference: float, over: float) -> Tensor:
    """The sum of the loss called `name` over all labelled pairs, every rater's, every scale's, divided by `over`.

    `outputs` as `PairScorer` gives them, `labels` (N, raters, scales, 2) with −1 for none.
    """
    # Zero that depends on every output, so that a process without a label still meets the others' gradients.
    total: Tensor = sum((pair[..., 0, 0].sum() * 0.0 for pair in outputs), start=outputs[0].new_zeros(()))
    for scale, pair in enumerate(outputs):
        wanted = labels[:, :, scale]
        rows, raters = torch.nonzero((wanted >= 0).all(dim=2), as_tuple=True)
        if len(rows):
            views = raters if pair.shape[1] > 1 else torch.zeros_like(raters)
            losses = pair_loss(name, pair[rows, views], wanted[rows, raters], difference)
            total = total + losses.sum()
    return total / max(over, 1.0)


@torch.inference_mode()
def predict(
    model: PairScorer,
    crops: npt.NDArray[np.uint8],
    groups: npt.NDArray[np.int64],
    max_grades: npt.NDArray[np.int64],
    *,
    batch: int = 256,
) -> list[npt.NDArray[np.float64]]:
    """For each scale the chance of each pair of grades, (N, G, G), from crops (N, 2, S, S) uint8."""
    device = next(model.parameters()).device
    parts: list[list[npt.NDArray[np.float64]]] = [[] for _ in model.heads]
    for start in range(0, len(crops), batch):
        where = slice(start, start + batch)
        images = torch.from_numpy(np.ascontiguousarray(crops[where])).to(device).float() / 255
        kinds, top = torch.from_numpy(groups[where]).to(device), torch.from_numpy(max_grades[where]).to(device)
        for scale, pair in enumerate(model(images, kinds, top)):
            parts[scale].append(pair[:, 0].double().exp().cpu().numpy())
    return [np.concatenate(part) for part in parts]


def build_scorer(about: dict[str, Any]) -> PairScorer:
    """The scorer that a run described by `about` trains. Raises KeyError, TypeError or ValueError for what isn't one."""
    pairing = about["pairing"]
    if pairing not in PAIRINGS:
        raise ValueError("no such pairing")
    return PairScorer(
        [int(n) for n in about["grades"]],
        len(about["group_names"]),
        pairing=pairing,
        rater_model=str(about["crowd"]),
        raters=int(about["raters"]),
        width=int(about["width"]),
    )


def load_matching_weights(model: PairScorer, path: Path) -> tuple[str, ...]:
    """Takes over from the scorer in `path` what fits `model`, its whole trunk at least; returns the parts that stay new.

    So a scorer of another pairing, of other raters or of simulated films can be learnt on from. Raises TrainError.
    """
    state, own = load_checkpoint(path)["model"], model.state_dict()
    try:
        fits = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    except AttributeError as error:
        raise TrainError("these weights are not of a scorer", path, "Give a scorer's model.pt") from error
    new = [name for name in own if name not in fits]
    if any(name.startswith(("stem.", "trunk.")) for name in new):
        raise TrainError("these weights are not of such a scorer", path, "Give a scorer's model.pt of the same --width")
    model.load_state_dict(fits, strict=False)
    return tuple(dict.fromkeys(name.partition(".")[0] for name in new))


def load_scorer(folder: Path, device: torch.device) -> tuple[PairScorer, dict[str, Any]]:
    """The scorer that a run left in `folder`, and what the run said about it. Raises TrainError."""
    state = load_checkpoint(folder / "model.pt")
    about = state.get("about", {})
    try:
        model = build_scorer(about)
        model.load_state_dict(state["model"])
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise TrainError("this checkpoint is not of a scorer", folder, "Give the folder of a scorer's run") from error
    return model.to(device).eval(), about


def check_scheme(about: Mapping[str, Any], scales: Sequence[str], groups: Sequence[str], run: Path) -> None:
    """Raises TrainError unless the scorer that `run` says this `about` has learnt these scales and groups of joints."""
    if tuple(about["scales"]) != tuple(scales) or tuple(about["group_names"]) != tuple(groups):
        raise TrainError("the scorer was trained with another scheme", run, "Train one on this study's scheme")

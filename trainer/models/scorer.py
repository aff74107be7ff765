"""The scorer: a Siamese network that sees a joint at both time points and returns the probability of each pair of grades.

Both crops pass through the same layers, and swapping the crops swaps the answer, so the network cannot learn which film is
the later one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ratui.errors import TrainError, clean_text
from trainer.models.checkpoint_files import load_checkpoint
from trainer.models.layers import ResidualBlock, SynchronisedBatchNorm, take_maximum
from trainer.models.losses import EXCLUDED_LOGIT, coupled_log_pair, independent_log_pair
from trainer.models.scorer_backbones import SMALL, build_trunk

__all__ = [
    "PAIRINGS",
    "RATER_MODELS",
    "PairScorer",
    "Pairing",
    "RaterModel",
    "build_scorer",
    "load_matching_weights",
    "load_scorer_network",
    "predict",
]

Pairing: TypeAlias = Literal["single", "paired", "compared", "coupled"]
PAIRINGS: tuple[Pairing, ...] = get_args(Pairing)
"""Ways to combine the time points. ``single``: each is judged by itself. ``paired``: each is judged with the features of
both. ``compared``: each is judged with features of their difference. ``coupled``: each is judged by itself, the change is
judged from features of the difference, and the probability of a pair follows from all three."""

RATER_MODELS = ("none", "confusion", "leaning")
"""Models of the raters: none; a confusion matrix for each rater; or each rater's habit to shift both time points alike."""
_MAX_SHIFT = 1
_INITIAL_AGREEMENT = 0.8  # probability that a rater gives the joint's own grade, before training
_PENALTY_WEIGHT = 0.02


class RaterModel(nn.Module):
    """A model of what each rater makes of a joint: log P_r(t1, t2), (N, raters, G, G), from log P(y1, y2), (N, G, G).

    - ``confusion``: P_r = Cᵣᵀ P Cᵣ, a crowd layer; Cᵣ(y, t) is the probability that rater r calls a grade y a t.
    - ``leaning``: P_r(t1, t2) = Σ_g s_r(g) P(t1 − g, t2 − g) with shifts g from −1 to 1, as in the loss ``marginal``, but
      learned for each rater.

    It is trained together with the scorer. With one rater, or raters who all lean alike, the data cannot tell the rater
    from the joint. So each rater starts without a leaning, and `penalty` keeps them near it.
    """

    def __init__(self, kind: str, raters: int, grades: int) -> None:
        super().__init__()
        if kind not in RATER_MODELS[1:]:
            raise TrainError(
                f"there is no rater model {clean_text(kind)}", "--rater-model", f"Take one of {', '.join(RATER_MODELS)}"
            )
        self.kind = kind
        shape = (raters, grades, grades) if kind == "confusion" else (raters, 2 * _MAX_SHIFT + 1)
        self.free = nn.Parameter(torch.zeros(shape))
        self.register_buffer("start", _initial_log_probabilities(kind, grades), persistent=False)
        self.start: Tensor

    def forward(self, log_pair: Tensor) -> Tensor:
        """Return log P_r of each rater."""
        habits = torch.log_softmax(self.start + self.free, dim=-1)
        if self.kind == "confusion":
            first = torch.logsumexp(habits[None, :, :, :, None] + log_pair[:, None, :, None, :], dim=2)
            return torch.logsumexp(first[..., None] + habits[None, :, None, :, :], dim=3)
        moved = [_shift_grades(log_pair, shift) for shift in range(-_MAX_SHIFT, _MAX_SHIFT + 1)]
        parts = [moved[n][:, None] + habits[None, :, n, None, None] for n in range(len(moved))]
        return torch.logsumexp(torch.stack(parts), dim=0)

    def penalty(self) -> Tensor:
        """Return the L2 penalty on each rater's deviation from an unbiased rater."""
        return _PENALTY_WEIGHT * self.free.square().sum()


def _initial_log_probabilities(kind: str, grades: int) -> Tensor:
    """Return the logits of an unbiased rater, who is right with `_INITIAL_AGREEMENT` and else one grade off."""
    if kind == "leaning":
        away = torch.arange(-_MAX_SHIFT, _MAX_SHIFT + 1).abs().float()
    else:
        place = torch.arange(grades)
        away = (place[:, None] - place).abs().float()
    return away * math.log((1 - _INITIAL_AGREEMENT) / 2 / _INITIAL_AGREEMENT)


def _shift_grades(log_pair: Tensor, shift: int) -> Tensor:
    """Return `log_pair` with both grades `shift` higher. Grades beyond an end of the scale count as that end."""
    if shift == 0:
        return log_pair
    grades = log_pair.shape[-1]
    place = torch.arange(grades, device=log_pair.device)
    goes = (place + shift).clamp(0, grades - 1)
    move = (goes[:, None] == place).to(log_pair.dtype)
    moved = torch.einsum("nab,ac,bd->ncd", log_pair.exp(), move, move)
    return moved.clamp_min(torch.finfo(moved.dtype).tiny).log()


class PairScorer(nn.Module):
    """The network: log P (N, views, G, G) of each pair of grades, for each scale.

    While it trains with a rater model, `views` are the raters, and P is what each would have scored. Otherwise there is one
    view, the joint itself.

    Parameters
    ----------
    grades
        Number of grades of each scale.
    groups
        Number of groups of joints, such as PIP and MCP; the network learns an embedding of each.
    pairing, rater_model
        See `PAIRINGS` and `RATER_MODELS`.
    raters
        Number of raters of the rater model.
    width
        Channels of the small trunk's first layer. The layers after the trunk have four times as many, as has its end.
    backbone
        Name of the trunk: see `trainer.models.scorer_backbones.SCORER_BACKBONES`.
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
        backbone: str = SMALL,
    ) -> None:
        super().__init__()
        self.pairing = pairing
        self.backbone = backbone
        hidden = 4 * width
        self.stem: nn.Module
        if backbone == SMALL:
            features = hidden
            self.stem, self.trunk = _build_small(width)
        else:
            self.stem = nn.Identity()
            self.trunk, features = build_trunk(backbone)
        self.group = nn.Embedding(groups, features)
        self.mix = _make_mixer((4 if pairing == "paired" else 2) * features, hidden)
        self.heads = nn.ModuleList(nn.Linear((2 if pairing == "compared" else 1) * hidden, n) for n in grades)
        if pairing in ("compared", "coupled"):
            self.compare = _make_mixer(6 * features, hidden)
        if pairing == "coupled":
            self.changes = nn.ModuleList(nn.Linear(hidden, 2 * n - 1) for n in grades)
        # Checkpoints of earlier versions hold the rater models under this name.
        self.crowds = nn.ModuleList(RaterModel(rater_model, raters, n) for n in grades if rater_model != "none")

    def forward(self, inputs: Tensor, groups: Tensor, max_grades: Tensor) -> list[Tensor]:
        """Return log P for each scale, from crops (N, 2, S, S) from 0 to 1 or from features (N, 2, features)."""
        features = inputs if inputs.ndim == 3 else self.extract_features(inputs)
        return self.predict_pairs(features, groups, max_grades)

    def penalty(self) -> Tensor:
        """Return the sum of the rater models' penalties, 0 without rater models."""
        costs = [rater_model.penalty() for rater_model in self.crowds if isinstance(rater_model, RaterModel)]
        return torch.stack(costs).sum() if costs else torch.zeros((), device=self.group.weight.device)

    def extract_features(self, crops: Tensor) -> Tensor:
        """Return the features (N, 2, features) of crops (N, 2, S, S): mean and maximum of each of the trunk's maps."""
        n, _, side, _ = crops.shape
        maps = self.trunk(self.stem(_normalise_exposure(crops).reshape(2 * n, 1, side, side)))
        # The maximum is there because an erosion is small: the mean over the joint hardly shows it.
        return torch.cat([maps.mean(dim=(2, 3)), take_maximum(maps)], dim=1).reshape(n, 2, -1)

    def predict_pairs(self, features: Tensor, groups: Tensor, max_grades: Tensor) -> list[Tensor]:
        """Return log P for each scale from `features` (N, 2, features).

        `groups` (N,) are the joints' groups, `max_grades` (N, scales) their largest grades.
        """
        mean, most = features.chunk(2, dim=2)
        own = torch.cat([mean + self.group(groups)[:, None], most], dim=2)
        mixed = self.mix(torch.cat([own, own.flip(1)], dim=2) if self.pairing == "paired" else own)
        if self.pairing in ("compared", "coupled"):
            ahead = features[:, 1] - features[:, 0]
            # `same` does not change if the films are swapped; `ahead` changes its sign.
            same = torch.cat([own.sum(dim=1), ahead.abs()], dim=1)
            there, back = (self.compare(torch.cat([step, same], dim=1)) for step in (ahead, -ahead))
            if self.pairing == "compared":
                mixed = torch.cat([mixed, torch.stack([back, there], dim=1)], dim=2)
        pairs = []
        for scale, head in enumerate(self.heads):
            logits = _exclude_grades(head(mixed).float(), max_grades[:, scale])
            if self.pairing == "coupled":
                # Swapping the films turns these logits around, because a change of +k becomes one of −k.
                change = self.changes[scale](there) + self.changes[scale](back).flip(1)
                pair = coupled_log_pair(logits[:, 0], logits[:, 1], change.float())
            else:
                pair = independent_log_pair(logits[:, 0], logits[:, 1])
            pairs.append(self.crowds[scale](pair) if self.crowds and self.training else pair[:, None])
        return pairs


def _build_small(width: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Return the first layer and the blocks of the small trunk."""
    stem = nn.Sequential(nn.Conv2d(1, width, 5, 2, 2, bias=False), SynchronisedBatchNorm(width), nn.ReLU(inplace=True))
    trunk = nn.Sequential(
        ResidualBlock(width, width, norm=SynchronisedBatchNorm),
        ResidualBlock(width, 2 * width, 2, norm=SynchronisedBatchNorm),
        ResidualBlock(2 * width, 4 * width, 2, norm=SynchronisedBatchNorm),
        ResidualBlock(4 * width, 4 * width, norm=SynchronisedBatchNorm),
    )
    return stem, trunk


def _make_mixer(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(0.2))


def _normalise_exposure(crops: Tensor) -> Tensor:
    """Return the crops, each with mean 0 and about unit standard deviation, so that exposure does not matter."""
    mean, spread = crops.mean(dim=(2, 3), keepdim=True), crops.std(dim=(2, 3), keepdim=True)
    return (crops - mean) / (spread + 0.05)


def _exclude_grades(logits: Tensor, max_grades: Tensor) -> Tensor:
    """Return `logits` (N, 2, grades) with grades above each joint's largest, (N,), made impossible."""
    grades = torch.arange(logits.shape[-1], device=logits.device)
    return logits.masked_fill(grades > max_grades.clamp_min(0)[:, None, None], EXCLUDED_LOGIT)


@torch.inference_mode()
def predict(
    model: PairScorer,
    crops: npt.NDArray[np.uint8],
    groups: npt.NDArray[np.int64],
    max_grades: npt.NDArray[np.int64],
    *,
    batch: int = 256,
) -> list[npt.NDArray[np.float64]]:
    """Return the probability of each pair of grades, (N, G, G) for each scale, from crops (N, 2, S, S) uint8.

    `groups` (N,) and `max_grades` (N, scales) as in `PairSamples`. The model must be in evaluation mode.
    """
    device = next(model.parameters()).device
    parts: list[list[npt.NDArray[np.float64]]] = [[] for _ in model.heads]
    for start in range(0, len(crops), batch):
        rows = slice(start, start + batch)
        images = torch.from_numpy(np.array(crops[rows])).to(device).float() / 255
        kinds, largest = torch.from_numpy(groups[rows]).to(device), torch.from_numpy(max_grades[rows]).to(device)
        for scale, pair in enumerate(model(images, kinds, largest)):
            parts[scale].append(pair[:, 0].double().exp().cpu().numpy())
    return [np.concatenate(part) for part in parts]


def build_scorer(about: dict[str, Any]) -> PairScorer:
    """Return an untrained scorer as the run's description `about` says.

    Raises KeyError, TypeError or ValueError if `about` does not describe a scorer.
    """
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
        backbone=str(about.get("backbone", SMALL)),  # earlier versions had no other one
    )


def load_matching_weights(model: PairScorer, path: Path) -> tuple[str, ...]:
    """Load the weights in `path` that fit `model`, and return the names of the parts that remain untrained.

    So training can start from a scorer of another pairing, of other raters or of simulated films. Raises TrainError if the
    trunk does not fit.
    """
    state, own = load_checkpoint(path)["model"], model.state_dict()
    try:
        fits = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    except AttributeError as error:
        raise TrainError("these weights are not of a scorer", path, "Give a scorer's model.pt") from error
    new = [name for name in own if name not in fits]
    if any(name.startswith(("stem.", "trunk.")) for name in new):
        raise TrainError(
            "these weights are not of such a scorer",
            path,
            "Give a scorer's model.pt of the same --backbone and --width",
        )
    model.load_state_dict(fits, strict=False)
    return tuple(dict.fromkeys(name.partition(".")[0] for name in new))


def load_scorer_network(folder: Path, device: torch.device) -> tuple[PairScorer, dict[str, Any]]:
    """Load the trained network of a run.

    Parameters
    ----------
    folder
        Folder of the run; its checkpoint is ``model.pt``.
    device
        Device for the network.

    Returns
    -------
    tuple of PairScorer and dict
        The network in evaluation mode, and the run's description: the arguments of the network and its scales.

    Raises
    ------
    TrainError
        If there is no checkpoint, or it cannot be read or is not of a scorer.
    """
    state = load_checkpoint(folder / "model.pt")
    about = state.get("about", {})
    try:
        model = build_scorer(about)
        model.load_state_dict(state["model"])
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise TrainError("this checkpoint is not of a scorer", folder, "Give the folder of a scorer's run") from error
    return model.to(device).eval(), about

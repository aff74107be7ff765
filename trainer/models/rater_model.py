"""What each rater makes of a grade: learnt beside the scorer, so that it can answer for the joint and not for a rater.

It sees chances and the rater's number alone. With one rater, or with raters who all lean alike, nothing tells the
rater from the joint: so it starts as a rater without a leaning, and is held there.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ratui.errors import TrainError, clean_text

__all__ = ["RATER_MODELS", "RaterModel"]

RATER_MODELS = ("none", "confusion", "leaning")
"""How raters are modelled: not at all; by a confusion matrix each; by how often each moves both time points alike."""
_MAX_SHIFT = 1
_INITIAL_AGREEMENT = 0.8
"""How sure a rater is of a grade at the start; the rest goes to the neighbours."""
_PENALTY_WEIGHT = 0.02


class RaterModel(nn.Module):
    """log P_r(t1, t2) for each rater r, (N, raters, G, G), from log P(y1, y2) of the joint itself, (N, G, G).

    - ``confusion``: P_r = Cᵣᵀ P Cᵣ, a crowd layer; Cᵣ(y, t) is the chance that rater r calls a y a t.
    - ``leaning``: P_r(t1, t2) = Σ_g s_r(g) P(t1 − g, t2 − g), g from −1 to 1: `marginal`'s wavering, learnt for each.
    """

    def __init__(self, kind: str, raters: int, grades: int) -> None:
        super().__init__()
        if kind not in RATER_MODELS[1:]:
            raise TrainError(
                f"no raters are modelled by {clean_text(kind)}", "--raters", f"Take one of {', '.join(RATER_MODELS)}"
            )
        self.kind = kind
        shape = (raters, grades, grades) if kind == "confusion" else (raters, 2 * _MAX_SHIFT + 1)
        self.free = nn.Parameter(torch.zeros(shape))
        self.register_buffer("start", _initial_log_probabilities(kind, grades), persistent=False)
        self.start: Tensor

    def forward(self, log_pair: Tensor) -> Tensor:
        habits = torch.log_softmax(self.start + self.free, dim=-1)
        if self.kind == "confusion":
            first = torch.logsumexp(habits[None, :, :, :, None] + log_pair[:, None, :, None, :], dim=2)
            return torch.logsumexp(first[..., None] + habits[None, :, None, :, :], dim=3)
        moved = [_shift_grades(log_pair, shift) for shift in range(-_MAX_SHIFT, _MAX_SHIFT + 1)]
        parts = [moved[n][:, None] + habits[None, :, n, None, None] for n in range(len(moved))]
        return torch.logsumexp(torch.stack(parts), dim=0)

    def penalty(self) -> Tensor:
        """What it costs to differ from a rater without a leaning."""
        return _PENALTY_WEIGHT * self.free.square().sum()


def _initial_log_probabilities(kind: str, grades: int) -> Tensor:
    """Log chances before anything was learnt: the grade itself, or else its neighbours."""
    if kind == "leaning":
        away = torch.arange(-_MAX_SHIFT, _MAX_SHIFT + 1).abs().float()
    else:
        place = torch.arange(grades)
        away = (place[:, None] - place).abs().float()
    return away * math.log((1 - _INITIAL_AGREEMENT) / 2 / _INITIAL_AGREEMENT)


def _shift_grades(log_pair: Tensor, shift: int) -> Tensor:
    """`log_pair` with both grades `shift` higher; what would leave the scale stays at its end."""
    if shift == 0:
        return log_pair
    grades = log_pair.shape[-1]
    place = torch.arange(grades, device=log_pair.device)
    goes = (place + shift).clamp(0, grades - 1)
    move = (goes[:, None] == place).to(log_pair.dtype)
    moved = torch.einsum("nab,ac,bd->ncd", log_pair.exp(), move, move)
    return moved.clamp_min(torch.finfo(moved.dtype).tiny).log()

"""The losses of the scorer, by name: how a pair of labels may be missed, and how tightly their difference is held.

Notation: t1, t2 are the labels of the two time points, p1, p2 the predicted distributions over grades, p(g) the chance
that a rater's wavering shifts both labels by g. Nothing here knows of films or of models.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from ratui.errors import TrainError

__all__ = ["LOSSES", "Loss", "pair_loss"]

Loss: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]

SHIFTS = (-1, 0, 1)
SHIFT_WEIGHTS = (0.15, 0.70, 0.15)
"""p(g): how likely it is that a rater gives both time points g grades more."""


def _ce(log1: Tensor, log2: Tensor, labels: Tensor) -> Tensor:
    """−log p1(t1) − log p2(t2)."""
    return -(_at(log1, labels[:, 0]) + _at(log2, labels[:, 1]))


def _shifted(log1: Tensor, log2: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """log p1(t1+g) + log p2(t2+g) by shift, and log p(g) over the shifts that stay on the scale for both labels."""
    grades = log1.shape[1]
    sums, weights = [], []
    for shift, weight in zip(SHIFTS, SHIFT_WEIGHTS, strict=True):
        moved = labels + shift
        inside = ((moved >= 0) & (moved < grades)).all(dim=1)
        safe = moved.clamp(0, grades - 1)
        sums.append(_at(log1, safe[:, 0]) + _at(log2, safe[:, 1]))
        weights.append(inside.to(log1.dtype) * weight)
    p = torch.stack(weights, dim=1)
    return torch.stack(sums, dim=1), p / p.sum(dim=1, keepdim=True)


def _soft(log1: Tensor, log2: Tensor, labels: Tensor) -> Tensor:
    """−Σ_g p(g) [log p1(t1+g) + log p2(t2+g)]: linear in the logarithms, so it smooths each time point."""
    sums, p = _shifted(log1, log2, labels)
    return -(p * sums).sum(dim=1)


def _marginal(log1: Tensor, log2: Tensor, labels: Tensor) -> Tensor:
    """−log Σ_g p(g) p1(t1+g) p2(t2+g): another pair with the same difference costs little, as the paper words it."""
    sums, p = _shifted(log1, log2, labels)
    smallest = torch.finfo(p.dtype).tiny
    return -torch.logsumexp(sums + torch.log(p.clamp_min(smallest)), dim=1)


LOSSES: dict[str, Loss] = {"ce": _ce, "soft": _soft, "marginal": _marginal}
"""Per-pair losses of (log p1, log p2, labels), each (N, grades) and (N, 2), to (N,)."""


def pair_loss(name: str, logits1: Tensor, logits2: Tensor, labels: Tensor, difference: float) -> Tensor:
    """The loss called `name` plus ``difference * (E[y2 − y1] − (t2 − t1))²``, by pair.

    `logits1` and `logits2` are (N, grades), `labels` (N, 2) whole numbers; returns (N,). Raises TrainError for an
    unknown name.
    """
    if name not in LOSSES:
        raise TrainError(f"there is no loss named {name}", "", f"Take one of {', '.join(LOSSES)}")
    log1, log2 = torch.log_softmax(logits1, dim=1), torch.log_softmax(logits2, dim=1)
    grades = torch.arange(log1.shape[1], dtype=log1.dtype, device=log1.device)
    expected = (log2.exp() * grades).sum(dim=1) - (log1.exp() * grades).sum(dim=1)
    labelled = (labels[:, 1] - labels[:, 0]).to(log1.dtype)
    return LOSSES[name](log1, log2, labels) + difference * (expected - labelled) ** 2


def _at(log: Tensor, label: Tensor) -> Tensor:
    return log.gather(1, label[:, None])[:, 0]

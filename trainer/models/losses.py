"""The scorer's losses by name, and the loss of a batch.

Notation: t1 and t2 are the labels of the two time points, P(y1, y2) is the predicted probability of a pair of grades, p1
and p2 are its marginals, and p(g) is the probability that a rater shifts both labels by g grades. The module knows only
tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from ratui.errors import TrainError, clean_text
from trainer.data.device import copy_to_device

__all__ = [
    "EXCLUDED_LOGIT",
    "LOSSES",
    "PairLoss",
    "count_labelled",
    "coupled_log_pair",
    "expected_change",
    "independent_log_pair",
    "log_marginals",
    "pair_loss",
    "scorer_loss",
]

PairLoss: TypeAlias = Callable[[Tensor, Tensor], Tensor]

SHIFTS = (-1, 0, 1)
SHIFT_WEIGHTS = (0.15, 0.70, 0.15)
"""p(g): probability that a rater scores both time points g grades higher."""
EXCLUDED_LOGIT = -1e4
"""Logit of a grade that the joint does not have."""


# From logits to the probability of a pair.


def independent_log_pair(logits1: Tensor, logits2: Tensor) -> Tensor:
    """Return log P(y1, y2) = log p1(y1) + log p2(y2), (N, G, G), from logits (N, G) of each time point."""
    return torch.log_softmax(logits1, dim=1)[:, :, None] + torch.log_softmax(logits2, dim=1)[:, None, :]


def coupled_log_pair(logits1: Tensor, logits2: Tensor, change: Tensor) -> Tensor:
    """Return log P(y1, y2) = a(y1) + b(y2) + c(y2 − y1) − log Z, (N, G, G): a joint distribution of both time points.

    `logits1` and `logits2` (N, G) are a and b. `change` (N, 2G − 1) is c, for differences from −(G − 1) to G − 1.
    """
    n, grades = logits1.shape
    place = torch.arange(grades, device=logits1.device)
    difference = place[None, :] - place[:, None] + grades - 1
    scores = logits1[:, :, None] + logits2[:, None, :] + change[:, difference]
    return torch.log_softmax(scores.reshape(n, -1), dim=1).reshape(n, grades, grades)


def log_marginals(log_pair: Tensor) -> tuple[Tensor, Tensor]:
    """Return log p1 and log p2, (N, G) each, of log P (N, G, G)."""
    return torch.logsumexp(log_pair, dim=2), torch.logsumexp(log_pair, dim=1)


def expected_change(log_pair: Tensor) -> Tensor:
    """Return E[y2 − y1], (N,), of log P (N, G, G)."""
    log1, log2 = log_marginals(log_pair)
    grades = torch.arange(log1.shape[1], dtype=log1.dtype, device=log1.device)
    return (log2.exp() * grades).sum(dim=1) - (log1.exp() * grades).sum(dim=1)


# The losses.


def _ce(log_pair: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of each time point: −log p1(t1) − log p2(t2)."""
    log1, log2 = log_marginals(log_pair)
    return -(_gather_label(log1, labels[:, 0]) + _gather_label(log2, labels[:, 1]))


def _pair(log_pair: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of the pair: −log P(t1, t2). It equals `_ce` for an independent pair."""
    return -_gather_pair(log_pair, labels)


def _shift_labels(labels: Tensor, grades: int, dtype: torch.dtype) -> tuple[list[Tensor], Tensor]:
    """Return the labels moved by each shift, and p(g), (N, shifts), normalised over shifts that keep both on the scale."""
    moved, weights = [], []
    for shift, weight in zip(SHIFTS, SHIFT_WEIGHTS, strict=True):
        there = labels + shift
        inside = ((there >= 0) & (there < grades)).all(dim=1)
        moved.append(there.clamp(0, grades - 1))
        weights.append(inside.to(dtype) * weight)
    p = torch.stack(weights, dim=1)
    return moved, p / p.sum(dim=1, keepdim=True)


def _soft(log_pair: Tensor, labels: Tensor) -> Tensor:
    """Soft labels: −Σ_g p(g) [log p1(t1+g) + log p2(t2+g)]. It smooths each time point by itself."""
    log1, log2 = log_marginals(log_pair)
    moved, p = _shift_labels(labels, log1.shape[1], log1.dtype)
    sums = torch.stack([_gather_label(log1, there[:, 0]) + _gather_label(log2, there[:, 1]) for there in moved], dim=1)
    # A shifted label may be a grade that the joint lacks. Its log probability would outweigh all other terms.
    possible = sums > EXCLUDED_LOGIT / 2
    p = p * possible
    return -(p / p.sum(dim=1, keepdim=True).clamp_min(1e-12) * sums.masked_fill(~possible, 0.0)).sum(dim=1)


def _marginal(log_pair: Tensor, labels: Tensor) -> Tensor:
    """Marginal over shifts: −log Σ_g p(g) P(t1+g, t2+g). Pairs with the same difference as the labels cost little."""
    moved, p = _shift_labels(labels, log_pair.shape[1], log_pair.dtype)
    sums = torch.stack([_gather_pair(log_pair, there) for there in moved], dim=1)
    return -torch.logsumexp(sums + torch.log(p.clamp_min(torch.finfo(p.dtype).tiny)), dim=1)


def _emd(log_pair: Tensor, labels: Tensor) -> Tensor:
    """Squared earth mover's distance (ranked probability score): Σ_k (P(y ≤ k) − [t ≤ k])², for both time points."""
    total = torch.zeros_like(log_pair[:, 0, 0])
    for time, log in enumerate(log_marginals(log_pair)):
        below = log.exp().cumsum(dim=1)
        steps = torch.arange(log.shape[1], device=log.device) >= labels[:, time, None]
        total = total + ((below - steps.to(below.dtype)) ** 2).sum(dim=1)
    return total


def _cumulative(log_pair: Tensor, labels: Tensor) -> Tensor:
    """Cumulative cross-entropy, as in CORAL: −Σ_k log P([y > k] = [t > k]), for both time points."""
    total = torch.zeros_like(log_pair[:, 0, 0])
    for time, log in enumerate(log_marginals(log_pair)):
        upto = torch.logcumsumexp(log, dim=1)[:, :-1]
        above = torch.logcumsumexp(log.flip(1), dim=1).flip(1)[:, 1:]
        over = torch.arange(log.shape[1] - 1, device=log.device) < labels[:, time, None]
        total = total - torch.where(over, above, upto).sum(dim=1)
    return total


LOSSES: dict[str, PairLoss] = {
    "ce": _ce,
    "soft": _soft,
    "marginal": _marginal,
    "pair": _pair,
    "emd": _emd,
    "cumulative": _cumulative,
}
"""Losses by name. Each takes log P (N, G, G) and labels (N, 2) and returns the loss of each pair, (N,)."""


def pair_loss(name: str, log_pair: Tensor, labels: Tensor, difference: float) -> Tensor:
    """Return the loss of each pair of films, with a penalty for a wrong change of the grade.

    The penalty is `difference` · (E[y2 − y1] − (t2 − t1))²: y1 and y2 are the predicted grades, t1 and t2 the labels.

    Parameters
    ----------
    name
        A key of `LOSSES`.
    log_pair
        log P(y1, y2), shape (N, G, G), for N pairs and G grades.
    labels
        The scored grades t1 and t2, integers from 0 to G − 1, shape (N, 2). No score may be missing.
    difference
        Weight of the penalty; 0 for none.

    Returns
    -------
    Tensor
        Losses, shape (N,).

    Raises
    ------
    TrainError
        If there is no loss of this name.
    """
    if name not in LOSSES:
        raise TrainError(f"there is no loss named {clean_text(name)}", "--loss", f"Take one of {', '.join(LOSSES)}")
    loss = LOSSES[name](log_pair, labels)
    if not difference:
        return loss
    labelled = (labels[:, 1] - labels[:, 0]).to(log_pair.dtype)
    return loss + difference * (expected_change(log_pair) - labelled) ** 2


def count_labelled(labels: Tensor) -> int:
    """Return the number of labelled pairs in `labels`, (N, raters, scales, 2) with −1 for a missing score."""
    return int((labels >= 0).all(dim=3).sum())


def scorer_loss(outputs: Sequence[Tensor], labels: Tensor, *, name: str, difference: float, count: float) -> Tensor:
    """Return the sum of `pair_loss` over all labelled pairs of all raters and scales, divided by `count`.

    `outputs` holds log P (N, views, G, G) for each scale, as `PairScorer` returns it, `labels` is (N, raters, scales, 2)
    with −1 for a missing score. `labels` should be in CPU memory: on a GPU the search for missing scores waits for it.
    """
    # A zero that depends on every output: DistributedDataParallel waits for all gradients, also without a label.
    total: Tensor = sum((pair[..., 0, 0].sum() * 0.0 for pair in outputs), start=outputs[0].new_zeros(()))
    for scale, pair in enumerate(outputs):
        wanted = labels[:, :, scale]
        rows, raters = torch.nonzero((wanted >= 0).all(dim=2), as_tuple=True)
        if len(rows):
            views = raters if pair.shape[1] > 1 else torch.zeros_like(raters)
            where = copy_to_device(rows, pair.device), copy_to_device(views, pair.device)
            losses = pair_loss(name, pair[where], copy_to_device(wanted[rows, raters], pair.device), difference)
            total = total + losses.sum()
    return total / max(count, 1.0)


def _gather_label(log: Tensor, label: Tensor) -> Tensor:
    return log.gather(1, label[:, None])[:, 0]


def _gather_pair(log_pair: Tensor, labels: Tensor) -> Tensor:
    grades = log_pair.shape[1]
    return _gather_label(log_pair.flatten(1), labels[:, 0] * grades + labels[:, 1])

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
from trainer.data.device import copy_together

__all__ = [
    "CLASS_WEIGHTS",
    "EXCLUDED_LOGIT",
    "LOSSES",
    "PairLoss",
    "check_class_weights",
    "count_labelled",
    "coupled_log_pair",
    "expected_change",
    "independent_log_pair",
    "log_marginals",
    "pair_loss",
    "scorer_loss",
    "status_loss",
    "weigh_grades",
]

PairLoss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
StatusLoss: TypeAlias = Callable[[Tensor, Tensor], Tensor]

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
    return _sum_over_times(_ce_status, log_pair, labels)


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
    return _soft_mean(sums, p)


def _soft_mean(sums: Tensor, p: Tensor) -> Tensor:
    """Return −Σ p · sums over the shifts whose grades are possible, (N,), from both (N, shifts)."""
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
    return _sum_over_times(_emd_status, log_pair, labels)


def _cumulative(log_pair: Tensor, labels: Tensor) -> Tensor:
    """Cumulative cross-entropy, as in CORAL: −Σ_k log P([y > k] = [t > k]), for both time points."""
    return _sum_over_times(_cumulative_status, log_pair, labels)


def _sum_over_times(status_loss: StatusLoss, log_pair: Tensor, labels: Tensor) -> Tensor:
    log1, log2 = log_marginals(log_pair)
    return status_loss(log1, labels[:, 0]) + status_loss(log2, labels[:, 1])


# The losses of a single time point, from log p (N, G) and its labels t (N,).


def _ce_status(log: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy: −log p(t)."""
    return -_gather_label(log, labels)


def _soft_status(log: Tensor, labels: Tensor) -> Tensor:
    """Soft labels: −Σ_g p(g) log p(t+g), over the grades that the joint has."""
    moved, p = _shift_labels(labels[:, None], log.shape[1], log.dtype)
    return _soft_mean(torch.stack([_gather_label(log, there[:, 0]) for there in moved], dim=1), p)


def _marginal_status(log: Tensor, labels: Tensor) -> Tensor:
    """Marginal over shifts: −log Σ_g p(g) p(t+g)."""
    moved, p = _shift_labels(labels[:, None], log.shape[1], log.dtype)
    sums = torch.stack([_gather_label(log, there[:, 0]) for there in moved], dim=1)
    return -torch.logsumexp(sums + torch.log(p.clamp_min(torch.finfo(p.dtype).tiny)), dim=1)


def _emd_status(log: Tensor, labels: Tensor) -> Tensor:
    """Squared earth mover's distance: Σ_k (P(y ≤ k) − [t ≤ k])²."""
    below = log.exp().cumsum(dim=1)
    steps = torch.arange(log.shape[1], device=log.device) >= labels[:, None]
    return ((below - steps.to(below.dtype)) ** 2).sum(dim=1)


def _cumulative_status(log: Tensor, labels: Tensor) -> Tensor:
    """Cumulative cross-entropy: −Σ_k log P([y > k] = [t > k])."""
    upto = torch.logcumsumexp(log, dim=1)[:, :-1]
    above = torch.logcumsumexp(log.flip(1), dim=1).flip(1)[:, 1:]
    over = torch.arange(log.shape[1] - 1, device=log.device) < labels[:, None]
    return -torch.where(over, above, upto).sum(dim=1)


LOSSES: dict[str, PairLoss] = {
    "ce": _ce,
    "soft": _soft,
    "marginal": _marginal,
    "pair": _pair,
    "emd": _emd,
    "cumulative": _cumulative,
}
"""Losses by name. Each takes log P (N, G, G) and labels (N, 2) and returns the loss of each pair, (N,)."""

_STATUS_LOSSES: dict[str, StatusLoss] = {
    "ce": _ce_status,
    "soft": _soft_status,
    "marginal": _marginal_status,
    "pair": _ce_status,
    "emd": _emd_status,
    "cumulative": _cumulative_status,
}
"""Losses of a single time point by name. Each takes log p (N, G) and labels (N,) and returns the losses, (N,)."""


CLASS_WEIGHTS = ("none", "balanced", "sqrt")
"""Ways to weigh the grades, which are not equally frequent: see `weigh_grades`."""


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
    _check_name(name)
    loss = LOSSES[name](log_pair, labels)
    if not difference:
        return loss
    labelled = (labels[:, 1] - labels[:, 0]).to(log_pair.dtype)
    return loss + difference * (expected_change(log_pair) - labelled) ** 2


def status_loss(name: str, log: Tensor, labels: Tensor) -> Tensor:
    """Return the loss of each film whose other time point has no score.

    It is the loss `name` of one time point: the term of this time point where `pair_loss` is a sum over both, −log p(t) for
    ``pair``, and −log Σ_g p(g) p(t+g) for ``marginal``. There is no penalty for the change, which is not known.

    Parameters
    ----------
    name
        A key of `LOSSES`.
    log
        log p(y), the marginal of the time point, shape (N, G).
    labels
        The scored grade, from 0 to G − 1, shape (N,). No score may be missing.

    Returns
    -------
    Tensor
        Losses, shape (N,).

    Raises
    ------
    TrainError
        If there is no loss of this name.
    """
    _check_name(name)
    return _STATUS_LOSSES[name](log, labels)


def _check_name(name: str) -> None:
    if name not in LOSSES:
        raise TrainError(f"there is no loss named {clean_text(name)}", "--loss", f"Take one of {', '.join(LOSSES)}")


def count_labelled(labels: Tensor) -> int:
    """Return the number of joints with a score at one or both time points, over all raters and scales.

    `labels` is (N, raters, scales, 2) with −1 for a missing score.
    """
    return int((labels >= 0).any(dim=3).sum())


def check_class_weights(kind: str) -> None:
    """Raise TrainError if `kind` is not one of `CLASS_WEIGHTS`."""
    if kind not in CLASS_WEIGHTS:
        known = ", ".join(CLASS_WEIGHTS)
        raise TrainError(f"there are no class weights {clean_text(kind)}", "--class-weights", f"Take one of {known}")


def weigh_grades(labels: Tensor, grades: Sequence[int], kind: str) -> list[Tensor] | None:
    """Return the weights of the grades of each scale, (G,) float32, by their frequency in `labels`.

    Parameters
    ----------
    labels
        Scores, shape (N, raters, scales, 2), −1 where there is none.
    grades
        Number of grades of each scale.
    kind
        A value of `CLASS_WEIGHTS`. A grade of frequency f weighs 1 / f (``balanced``) or 1 / √f (``sqrt``), times a number
        that makes the mean over all scores 1. A grade that nobody scored weighs 0.

    Returns
    -------
    list of Tensor
        The weights, or None for ``none``.

    Raises
    ------
    TrainError
        If there is no such kind.
    """
    check_class_weights(kind)
    if kind == "none":
        return None
    weights = []
    for scale, count in enumerate(grades):
        scored = labels[:, :, scale]
        frequencies = torch.bincount(scored[scored >= 0], minlength=count).double()
        weight = torch.where(frequencies > 0, frequencies ** (-1.0 if kind == "balanced" else -0.5), 0.0)
        weights.append((weight * (frequencies.sum() / (weight * frequencies).sum().clamp_min(1e-12))).float())
    return weights


def scorer_loss(
    outputs: Sequence[Tensor],
    labels: Tensor,
    *,
    name: str,
    difference: float,
    count: float,
    weights: Sequence[Tensor] | None = None,
) -> Tensor:
    """Return the sum of the losses of all labelled joints of all raters and scales, divided by `count`.

    A joint with scores at both time points costs `pair_loss`; one with a score at one time point costs `status_loss`.
    `outputs` holds log P (N, views, G, G) for each scale, as `PairScorer` returns it, `labels` is (N, raters, scales, 2)
    with −1 for a missing score. `labels` should be in CPU memory: on a GPU the search for missing scores waits for it.
    What is found goes to the device of `outputs` by one copy. `weights` holds the weights of the grades of each scale, (G,),
    on that device: a joint counts by the mean weight of its scores, and once without `weights`.
    """
    # A zero that depends on every output: DistributedDataParallel waits for all gradients, also without a label.
    total: Tensor = sum((pair[..., 0, 0].sum() * 0.0 for pair in outputs), start=outputs[0].new_zeros(()))
    found: list[tuple[int, int | None]] = []
    chosen: list[Tensor] = []
    for scale in range(len(outputs)):
        wanted = labels[:, :, scale]
        has_score = wanted >= 0
        for time in (None, 0, 1):
            is_chosen = has_score.all(dim=2) if time is None else has_score[..., time] & ~has_score[..., 1 - time]
            rows, raters = torch.nonzero(is_chosen, as_tuple=True)
            if len(rows):
                found.append((scale, time))
                chosen += [rows, raters, wanted[rows, raters]]
    moved = copy_together(chosen, outputs[0].device)
    for (scale, time), rows, raters, there in zip(found, moved[::3], moved[1::3], moved[2::3], strict=True):
        pair = _pick_pairs(outputs[scale], rows, raters)
        if time is None:
            costs = pair_loss(name, pair, there, difference)
        else:
            there = there[:, time]
            costs = status_loss(name, log_marginals(pair)[time], there)
        if weights is not None:
            weight = weights[scale][there]
            costs = costs * (weight.mean(dim=1) if time is None else weight)
        total = total + costs.sum()
    return total / max(count, 1.0)


def _pick_pairs(pair: Tensor, rows: Tensor, raters: Tensor) -> Tensor:
    """Return the pairs (n, G, G) of these rows and raters; without a rater model, all raters have the same view."""
    views = raters if pair.shape[1] > 1 else torch.zeros_like(raters)
    return pair[rows, views]


def _gather_label(log: Tensor, label: Tensor) -> Tensor:
    return log.gather(1, label[:, None])[:, 0]


def _gather_pair(log_pair: Tensor, labels: Tensor) -> Tensor:
    grades = log_pair.shape[1]
    return _gather_label(log_pair.flatten(1), labels[:, 0] * grades + labels[:, 1])

"""Classifiers that tell real pictures from simulated ones, cross-validated by groups of pictures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

_Numbers = npt.NDArray[np.float64]
_SEED = 811
_FOLDS = 5


def folds(groups: list[str]) -> npt.NDArray[np.int64]:
    """Return the fold of each crop; crops of one group share it."""
    names = sorted(set(groups))
    numbers = np.random.default_rng(_SEED).permutation(len(names)) % _FOLDS
    return np.array([numbers[names.index(group)] for group in groups])


def area(scores: _Numbers, is_real: npt.NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve of `scores`."""
    low, high = scores[~is_real], scores[is_real]
    return float((high[None] > low[:, None]).mean() + 0.5 * (high[None] == low[:, None]).mean())


def interval(
    measure: Callable[[npt.NDArray[np.int64]], float], groups: list[str], is_real: npt.NDArray[np.bool_]
) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of `measure` of row numbers, over series and simulated patients."""
    rng, rows = np.random.default_rng(_SEED), np.arange(len(groups))
    by_kind = [
        [
            rows[np.array(groups) == name]
            for name in sorted({g for g, r in zip(groups, is_real, strict=True) if r == kind})
        ]
        for kind in (False, True)
    ]
    values = []
    for _ in range(1000):
        picked = [each[n] for each in by_kind for n in rng.integers(0, len(each), len(each))]
        values.append(measure(np.concatenate(picked)))
    return float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975))


class Network(nn.Module):
    """A small network that tells real pictures (N, 1, S, S) from simulated ones."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs, stride in ((1, 16, 2), (16, 32, 2), (32, 48, 1)):
            layers += [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.last = nn.Sequential(nn.Dropout(0.2), nn.Linear(96, 1))

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the log odds, shape (N,)."""
        mean, spread = pictures.mean((2, 3), keepdim=True), pictures.std((2, 3), keepdim=True)
        maps = self.body((pictures - mean) / (spread + 0.02))
        out: Tensor = self.last(torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], dim=1))[:, 0]
        return out


def vary(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Return pictures with a random reflection, shift, size, gamma and contrast."""
    n = len(pictures)
    u = torch.rand(7, n, generator=generator) * 2 - 1
    size, turn = torch.exp(0.12 * u[0]), 0.1 * u[1]
    flip = torch.where(u[2] < 0, -1.0, 1.0)
    cos, sin = torch.cos(turn) * size, torch.sin(turn) * size
    theta = torch.stack([cos * flip, -sin, 0.06 * u[3], sin * flip, cos, 0.06 * u[4]], 1).reshape(n, 2, 3)
    grid = F.affine_grid(theta, list(pictures.shape), align_corners=False)
    moved = F.grid_sample(pictures, grid, align_corners=False, padding_mode="reflection")
    return moved.clamp(1e-4, 1) ** torch.exp(0.3 * u[5])[:, None, None, None]


def judge_by_network(
    pictures: Tensor, is_real: npt.NDArray[np.bool_], fold: npt.NDArray[np.int64], epochs: int
) -> _Numbers:
    """Return the cross-validated log odds of `pictures` (N, K, S, S): the mean over the K parts of each crop."""
    scores = np.zeros(len(pictures))
    parts = pictures.shape[1]
    labels = torch.from_numpy(is_real).float()
    for held in range(_FOLDS):
        torch.manual_seed(_SEED + held)
        generator = torch.Generator().manual_seed(_SEED + held)
        model, rows = Network(), torch.from_numpy(np.flatnonzero(fold != held))
        optimizer = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=1e-3)
        steps = epochs * -(-len(rows) // 48)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
        model.train()
        for _ in range(epochs):
            for batch in rows[torch.randperm(len(rows), generator=generator)].split(48):
                part = torch.randint(parts, (len(batch),), generator=generator)
                odds = model(vary(pictures[batch, part][:, None], generator))
                loss = F.binary_cross_entropy_with_logits(odds, labels[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
        model.eval()
        with torch.inference_mode():
            there = np.flatnonzero(fold == held)
            odds = torch.stack([model(pictures[there, k][:, None]) for k in range(parts)])
            scores[there] = odds.mean(dim=0).numpy()
    return scores


def judge_by_statistics(values: _Numbers, is_real: npt.NDArray[np.bool_], fold: npt.NDArray[np.int64]) -> _Numbers:
    """Return the cross-validated log odds of a logistic regression on statistics (N, K)."""
    scores = np.zeros(len(values))
    for held in range(_FOLDS):
        rows = fold != held
        # Ranks: a few extreme values should not decide.
        model = make_pipeline(QuantileTransformer(n_quantiles=50), LogisticRegression(C=1.0, max_iter=2000))
        model.fit(values[rows], is_real[rows])
        scores[~rows] = model.decision_function(values[~rows])
    return scores

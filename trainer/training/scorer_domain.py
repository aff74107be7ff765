"""The domain of a scorer, measured on the joints that were kept for its validation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from trainer.data.pairs import PairSamples
from trainer.models.scorer import PairScorer
from trainer.training.domain_statistics import MIN_FILMS, FeatureDomain, fit_domain
from trainer.training.model_domain import pick_films

__all__ = ["extract_scorer_features", "list_films", "measure_scorer_domain"]

_BATCH = 128  # joints


@torch.inference_mode()
def extract_scorer_features(network: PairScorer, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the features (N, 2, F) that the trunk of `network` has of `crops` (N, 2, S, S), uint8."""
    device = next(network.parameters()).device
    parts = []
    for start in range(0, len(crops), _BATCH):
        images = torch.from_numpy(np.array(crops[start : start + _BATCH])).to(device).float() / 255
        parts.append(network.extract_features(images).float().cpu().numpy())
    return np.concatenate(parts)


def list_films(samples: PairSamples) -> list[tuple[int, int, str]]:
    """Return row, place (0 or 1) and film of each crop of `samples`: a film is named by case, side and time point."""
    return [
        (row, time, f"{case} {site[0]} {samples.times(row)[time]}")
        for row, (case, site) in enumerate(zip(samples.cases, samples.sites, strict=True))
        for time in ((samples.single_times[row],) if row in samples.single_times else (0, 1))
    ]


def measure_scorer_domain(
    network: PairScorer, samples: PairSamples, learned: Sequence[int], validated: Sequence[int]
) -> FeatureDomain | None:
    """Return the domain of a trained `network`, or None if there are too few films.

    `learned` and `validated` are the rows of `samples` that the network learned from, and that were kept for validation.
    """
    kept, used = set(validated), {*learned, *validated}
    films = [each for each in list_films(samples) if each[0] in used]
    names, is_held_out = pick_films(
        [film for row, _, film in films if row in kept], [film for row, _, film in films if row not in kept]
    )
    if len(names) < MIN_FILMS:
        return None
    picked = [each for each in films if each[2] in names]
    rows = sorted({row for row, _, _ in picked})
    place = {row: number for number, row in enumerate(rows)}
    found = extract_scorer_features(network, samples.crops[rows])
    return fit_domain(
        np.stack([found[place[row], time] for row, time, _ in picked]),
        [film for _, _, film in picked],
        [samples.cases[row] for row, _, _ in picked],
        is_held_out=is_held_out,
    )

"""The domain of a scorer, measured on the joints that were kept for its validation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from trainer.data.pairs import FilmCrop
from trainer.models.scorer import PairScorer
from trainer.training.domain_statistics import MIN_FILMS, FeatureDomain, fit_domain
from trainer.training.model_domain import pick_films

__all__ = ["extract_scorer_features", "measure_scorer_domain"]

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


def measure_scorer_domain(
    network: PairScorer,
    crops: npt.NDArray[np.uint8],
    films: Sequence[FilmCrop],
    learned: Sequence[int],
    validated: Sequence[int],
) -> FeatureDomain | None:
    """Return the domain of a trained `network`, or None if there are too few films.

    Parameters
    ----------
    network
        The network.
    crops
        Crops of all joints, (N, 2, S, S), uint8.
    films
        The film of each crop, see `PairSamples.list_films`.
    learned, validated
        The rows of `crops` that the network learned from, and those that were kept for validation.
    """
    kept, used = set(validated), {*learned, *validated}
    films = [each for each in films if each.row in used]
    names, is_held_out = pick_films(
        [each.film for each in films if each.row in kept], [each.film for each in films if each.row not in kept]
    )
    if len(names) < MIN_FILMS:
        return None
    picked = [each for each in films if each.film in names]
    rows = sorted({each.row for each in picked})
    number = {row: number for number, row in enumerate(rows)}
    found = extract_scorer_features(network, crops[rows])
    return fit_domain(
        np.stack([found[number[each.row], each.place] for each in picked]),
        [each.film for each in picked],
        [each.case for each in picked],
        is_held_out=is_held_out,
    )

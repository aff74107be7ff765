"""Probabilities of grades by one scorer, or by several together, for joints of a scheme that may be smaller than theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ratui.errors import TrainError, clean_text
from trainer.data.pairs import PairSamples
from trainer.inference.decisions import Floats
from trainer.models.scorer import PairScorer, load_scorer_network, predict
from trainer.training.model_domain import ModelDomain, load_domain

__all__ = ["TrainedScorer", "load_scorers", "score_samples"]


@dataclass(frozen=True)
class TrainedScorer:
    """A trained `network` with what it learned: groups of joints, scales, and the number of grades of each scale.

    `run` is its folder, `about` the run's description, and `domain` states which films it knows.
    """

    network: PairScorer
    groups: tuple[str, ...]
    scales: tuple[str, ...]
    grades: tuple[int, ...]
    run: Path
    about: Mapping[str, Any]
    domain: ModelDomain = field(default_factory=ModelDomain)


def load_scorers(runs: Sequence[Path], device: torch.device) -> tuple[TrainedScorer, ...]:
    """Return the scorers of `runs`, ready to use. Raises TrainError."""
    return tuple(_load_scorer(run, device) for run in runs)


def _load_scorer(run: Path, device: torch.device) -> TrainedScorer:
    network, about = load_scorer_network(run, device)
    try:
        groups, scales = (tuple(str(name) for name in about[key]) for key in ("group_names", "scales"))
        grades = tuple(int(count) for count in about["grades"])
    except (KeyError, TypeError, ValueError) as error:
        raise TrainError("this checkpoint is not of a scorer", run, "Give the folder of a scorer's run") from error
    if (
        not isinstance(about.get("loss"), str)
        or len(scales) != len(grades)
        or len(set(scales)) != len(scales)
        or len(set(groups)) != len(groups)
    ):
        raise TrainError("this checkpoint is not of a scorer", run, "Give the folder of a scorer's run")
    return TrainedScorer(network, groups, scales, grades, run, about, load_domain(run))


def score_samples(scorers: Sequence[TrainedScorer], samples: PairSamples) -> list[Floats]:
    """Return the probability of each pair of grades, (N, G, G) for each scale of `samples`; G is its number of grades.

    The probabilities are the mean over all `scorers`. A scorer may have learned more groups of joints and more scales than
    `samples` have; they are matched by their names.

    Raises
    ------
    TrainError
        If a scorer did not learn a group, a scale or a grade that `samples` have.
    """
    parts = [_score(each, samples) for each in scorers]
    return [np.asarray(np.mean(np.stack(each), axis=0)) for each in zip(*parts, strict=True)]


def _score(scorer: TrainedScorer, samples: PairSamples) -> list[Floats]:
    columns = _match_scales(scorer, samples)
    groups = _match_groups(scorer, samples)
    # Scales that the samples lack are computed as well, for a single grade.
    max_grades = np.full((len(groups), len(scorer.scales)), -1, np.int64)
    max_grades[:, columns] = samples.max_grades
    found = predict(scorer.network, samples.crops, groups, max_grades)
    # Grades above a joint's largest have no probability, so leaving them out changes no sum.
    return [
        np.ascontiguousarray(found[column][:, : max(count, 1), : max(count, 1)])
        for column, count in zip(columns, samples.grades, strict=True)
    ]


def _match_scales(scorer: TrainedScorer, samples: PairSamples) -> list[int]:
    """Return the index of each scale of `samples` among those of `scorer`. Raises TrainError."""
    missing = [name for name in samples.scales if name not in scorer.scales]
    if missing:
        raise _missing(scorer, f"the scale {missing[0]}")
    columns = [scorer.scales.index(name) for name in samples.scales]
    for name, column, count in zip(samples.scales, columns, samples.grades, strict=True):
        if count > scorer.grades[column]:
            raise _missing(scorer, f"the grade {count - 1} of {name}")
    return columns


def _match_groups(scorer: TrainedScorer, samples: PairSamples) -> npt.NDArray[np.int64]:
    """Return the group of each joint as an index into the groups of `scorer`. Raises TrainError."""
    used = np.unique(samples.groups)
    missing = [samples.group_names[group] for group in used if samples.group_names[group] not in scorer.groups]
    if missing:
        raise _missing(scorer, f"the group of joints {missing[0]}")
    places = np.full(len(samples.group_names), -1, np.int64)
    for group in used:
        places[group] = scorer.groups.index(samples.group_names[group])
    return places[samples.groups]


def _missing(scorer: TrainedScorer, what: str) -> TrainError:
    return TrainError(
        f"the scorer did not learn {clean_text(what)}",
        scorer.run,
        "Train one on a study of this scheme, or a larger one",
    )

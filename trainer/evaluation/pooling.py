"""Results of several trainings on the same cases as one: pooled predictions, and the values of each training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from trainer.data.hands import HandSamples
from trainer.evaluation.metrics import Metric
from trainer.evaluation.scale_predictions import ScalePredictions
from trainer.inference.decisions import Decision

__all__ = ["SeedValues", "collect_seed_values", "pool_predictions", "repeat_hands"]


@dataclass(frozen=True)
class SeedValues:
    """The `values` of a metric by seed, with its `name` and `unit`."""

    name: str
    unit: str
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return float(np.mean(self.values))

    @property
    def deviation(self) -> float:
        """Standard deviation over the seeds, NaN for a single one."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else float("nan")


def collect_seed_values(metrics: Sequence[Sequence[Metric]]) -> tuple[SeedValues, ...]:
    """Return the values by metric; `metrics` are those of each seed, in the same order."""
    return tuple(
        SeedValues(each[0].name, each[0].unit, tuple(metric.value for metric in each))
        for each in zip(*metrics, strict=True)
    )


def pool_predictions(predictions: Sequence[ScalePredictions]) -> ScalePredictions:
    """Return the rows of several models' predictions for the same samples as one, as if each label occurred for each model.

    A mean over the rows is then the mean over the models.
    """
    return replace(
        predictions[0],
        row=np.concatenate([each.row for each in predictions]),
        patients=tuple(patient for each in predictions for patient in each.patients),
        label=np.concatenate([each.label for each in predictions]),
        decision=Decision(
            np.concatenate([each.decision.grades for each in predictions]),
            np.concatenate([each.decision.change for each in predictions]),
        ),
        mean=np.concatenate([each.mean for each in predictions]),
        pair_probabilities=np.concatenate([each.pair_probabilities for each in predictions]),
        status=replace(
            predictions[0].status,
            **{
                name: np.concatenate([getattr(each.status, name) for each in predictions])
                for name in ("patients", "times", "label", "grade", "probabilities")
            },
        ),
    )


def repeat_hands(hands: HandSamples, count: int) -> HandSamples:
    """Return the hands `count` times, one after the other, without their images."""
    return replace(
        hands,
        images=hands.images[:0],
        boxes=np.tile(hands.boxes, (count, 1, 1)),
        findings=np.tile(hands.findings, (count, 1)),
        frames=hands.frames * count,
        cases=hands.cases * count,
        films=hands.films * count,
        sides=hands.sides * count,
    )

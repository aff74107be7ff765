"""Deliberate faults in the trainer that no exception shows, each as a replacement of source text.

`tests.trainer.mutations` applies one fault at a time and runs its proofs.
"""

from __future__ import annotations

from tests.trainer.broken_benchmark import BENCHMARK_FAULTS
from tests.trainer.broken_detector import DETECTOR_FAULTS
from tests.trainer.broken_domain import DOMAIN_FAULTS
from tests.trainer.broken_evaluation import EVALUATION_FAULTS
from tests.trainer.broken_predictions import PREDICTION_FAULTS
from tests.trainer.broken_samples import SAMPLE_FAULTS
from tests.trainer.broken_training import TRAINING_FAULTS
from tests.trainer.planted_fault import Mutation

__all__ = ["MUTATIONS", "Mutation"]

MUTATIONS: tuple[Mutation, ...] = (
    *SAMPLE_FAULTS,
    *DETECTOR_FAULTS,
    *TRAINING_FAULTS,
    *EVALUATION_FAULTS,
    *PREDICTION_FAULTS,
    *DOMAIN_FAULTS,
    *BENCHMARK_FAULTS,
)

"""A deliberate fault in the trainer, and the modules with its proofs."""

from __future__ import annotations

from dataclasses import dataclass

HERE = "tests/trainer/"
AUGMENTATION = f"{HERE}test_augmentation.py::"
SAMPLES = f"{HERE}test_sample_values.py::"
SELECTION = f"{HERE}test_sample_selection.py::"
TRAINING = f"{HERE}test_training_values.py::"
PROCESSES = f"{HERE}test_gradient_of_processes.py::"
EVALUATION = f"{HERE}test_evaluation_values.py::"
EXPERIMENTS = f"{HERE}test_experiment_values.py::"
DETECTOR = f"{HERE}test_detector_values.py::"


@dataclass(frozen=True)
class Mutation:
    """A fault: in `file` of `trainer`, `old`, which occurs once, becomes `new`. Each test in `proofs` must fail."""

    name: str
    file: str
    old: str
    new: str
    proofs: tuple[str, ...]


def fault(name: str, file: str, old: str, new: str, *proofs: str) -> Mutation:
    """Return a fault and the tests that must detect it."""
    return Mutation(name, file, old, new, proofs)

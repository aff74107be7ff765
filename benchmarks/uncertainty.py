"""Compare the scorer's uncertainty with its errors.

Run ``python benchmarks/uncertainty.py DIR``; DIR is a comparison with a fixed trunk.

Each recipe is trained on 104 simulated patients and compared with other raters of the same kind on 100 others: its
confidence with the frequency of the same answer by a rater, and its error by quarters of uncertainty.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from trainer.data.cohort import load_cohort, simulate_readings
from trainer.evaluation.evaluate_scorer import (
    evaluate_by_uncertainty,
    evaluate_calibration,
    evaluate_scale,
)
from trainer.evaluation.scale_predictions import match_labels
from trainer.experiments.arms import BASELINE, Budget, Cell
from trainer.experiments.cells import predict_from_features, train_cell
from trainer.experiments.comparison import TEST, TRAIN
from trainer.experiments.shared_trunk import extract_trunk_features, load_trunk

ARMS = (BASELINE, "ce λ1", "coupled pair", "coupled pair λ1")
KINDS = ("shared-shift", "mixture")
OTHERS = 99
"""The seed of the raters for the comparison: other readings than those of the training."""


def main() -> None:
    """Train and compare each recipe, and print the tables."""
    folder, budget, quiet = Path(sys.argv[1]), Budget(), lambda *_: None
    torch.set_num_threads(1)
    train, test = (load_cohort(n, number, folder / "cohorts", quiet) for n, number in ((104, TRAIN), (100, TEST)))
    trunk_features = extract_trunk_features(load_trunk(folder / "trunk.pt", budget), train, test, budget, quiet)
    print("| raters | recipe | gap, score | gap, change | error of the change by quarters of uncertainty (expected) |")
    print("|---|---|---|---|---|")
    for kind in KINDS:
        read, asked = (
            simulate_readings(train, kind, budget.raters, 0),
            simulate_readings(test, kind, budget.raters, OTHERS),
        )
        for arm in ARMS:
            model = train_cell(Cell(arm, kind, 104, 0), read, budget, trunk_features)
            answers = match_labels(asked, predict_from_features(model, trunk_features.test, test)[0], 0, "expectation")
            rng = np.random.default_rng(0)
            gaps = [evaluate_calibration(answers, what, rng).error for what in ("score", "change")]
            quarters = " · ".join(f"{q.value:.2f} ({q.baseline:.2f})" for q in evaluate_by_uncertainty(answers, rng))
            shown = " | ".join(f"{gap.value:.3f} ({gap.low:.3f} to {gap.high:.3f})" for gap in gaps)
            print(f"| {kind} | {arm} | {shown} | {quarters} |", flush=True)
        (difference, _), _ = evaluate_scale(answers, rng)
        print(f"| {kind} | between raters: {difference.raters:.3f}, no change: {difference.baseline:.3f} | | | |")


if __name__ == "__main__":
    main()

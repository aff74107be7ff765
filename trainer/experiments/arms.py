"""Settings of a comparison: the recipes (arms) by name, the budget of each training, and the cells of the table.

A cell is one training: a recipe, a kind of rater, a number of patients and a seed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product

from ratui.errors import TrainError, clean_text
from ratui.phantom import RATERS
from trainer.models.scorer import Pairing

__all__ = ["ARMS", "BASELINE", "Arm", "Budget", "Cell", "make_cells"]


@dataclass(frozen=True)
class Arm:
    """A recipe of training: pairing, loss, weight of the squared difference error, and model of the raters."""

    pairing: Pairing
    loss: str
    difference: float = 0.0
    rater_model: str = "none"


_VERSION = 2
"""Version of the experiment, to be raised if cells of the same settings give other results. Version 1 trained all seeds on
the same patients, and on scores that a finding sets."""
BASELINE = "single ce"
ARMS: dict[str, Arm] = {
    BASELINE: Arm("single", "ce"),
    "ce": Arm("paired", "ce"),
    "compared ce": Arm("compared", "ce"),
    "ce λ1": Arm("paired", "ce", 1.0),
    "soft": Arm("paired", "soft"),
    "marginal": Arm("paired", "marginal"),
    "marginal λ1": Arm("paired", "marginal", 1.0),
    "emd": Arm("paired", "emd"),
    "cumulative": Arm("paired", "cumulative"),
    "cumulative λ1": Arm("paired", "cumulative", 1.0),
    "coupled pair": Arm("coupled", "pair"),
    "coupled pair λ1": Arm("coupled", "pair", 1.0),
    "coupled marginal λ1": Arm("coupled", "marginal", 1.0),
    "coupled pair λ1 confusion": Arm("coupled", "pair", 1.0, "confusion"),
    "coupled pair λ1 leaning": Arm("coupled", "pair", 1.0, "leaning"),
}
"""Recipes by their names in the table. λ is `difference`."""


@dataclass(frozen=True)
class Budget:
    """Settings that all cells of a table share, so that only their recipes differ.

    Attributes
    ----------
    steps, batch, rate
        Number of batches, joints in a batch, and highest learning rate.
    pixels, width
        Side of a crop in pixels, and width of the network.
    raters
        Raters of each patient.
    patients
        Patients to measure on.
    """

    steps: int = 300
    batch: int = 64
    pixels: int = 56
    width: int = 16
    rate: float = 3e-3
    raters: int = 3
    patients: int = 100


@dataclass(frozen=True)
class Cell:
    """One training: recipe, kind of rater, number of patients, and seed."""

    arm: str
    kind: str
    size: int
    seed: int

    def file_name(self, budget: Budget, trunk: str) -> str:
        """Return the name of the cell's file. It contains a digest of budget, trunk and recipe."""
        recipe = asdict(ARMS[self.arm])
        recipe["crowd"] = recipe.pop("rater_model")  # the key that stored cells were named with
        identity = json.dumps([_VERSION, recipe, asdict(self), asdict(budget), trunk], sort_keys=True)
        digest = hashlib.sha256(identity.encode()).hexdigest()[:10]
        name = self.arm.replace(" ", "-").replace("λ", "d")
        return f"{name}_{self.kind}_{self.size}_{self.seed}_{digest}.json"


def make_cells(arms: Sequence[str], kinds: Sequence[str], sizes: Sequence[int], seeds: int) -> tuple[Cell, ...]:
    """Return all cells of a table, ordered by seed, so that an interrupted table has values in all places.

    Raises TrainError for an unknown recipe or kind of rater.
    """
    for name, known, option in ((arms, ARMS, "--arm"), (kinds, RATERS, "--rater")):
        for each in name:
            if each not in known:
                raise TrainError(f"there is no {clean_text(each)}", option, f"Take from: {', '.join(known)}")
    return tuple(Cell(arm, kind, size, seed) for seed, size, kind, arm in product(range(seeds), sizes, kinds, arms))

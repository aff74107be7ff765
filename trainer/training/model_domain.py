"""The domain of a model: which films are like those that it was trained on.

A network has an answer for any film. Its findings and grades were measured on films like those of its training only, so for
others it gives none, and states the reason. `trainer.training.domain_statistics` defines the score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ratui.errors import TrainError
from ratui.study.model_results.model_domain import DomainReason, DomainVerdict
from trainer.models.checkpoint_files import load_checkpoint, save_checkpoint
from trainer.shipped import resolve_run_folder
from trainer.training.domain_statistics import MIN_FILMS, FeatureDomain
from trainer.training.lineage import Lineage, read_lineage

__all__ = ["MAX_FILMS", "REASONS", "ModelDomain", "load_domain", "pick_films", "store_domain", "worst_verdict"]

MAX_FILMS = 200
"""Largest number of films that a training measures its domain on."""

REASONS = {
    DomainReason.UNLIKE: "the film is unlike those that the model learned from",
    DomainReason.FEW_JOINTS: "the film has too few joints to tell whether it is like those that the model learned from",
    DomainReason.UNKNOWN: "the model learned from simulated films only, and which films are like them was not measured",
}
"""Why a model gives no answer, in words."""


@dataclass(frozen=True)
class ModelDomain:
    """The films that a model knows.

    `known` has the statistics of its features, or is None if they were not measured: the model is of an earlier version, or
    had too few films. `is_simulated` is True if it, and all models that it started from, learned from simulated films only.
    """

    known: FeatureDomain | None = None
    is_simulated: bool = False

    @property
    def is_unknown(self) -> bool:
        """True if the model answers for all films, because nobody measured which ones it knows."""
        return self.known is None and not self.is_simulated

    def judge(self, features: npt.NDArray[np.floating]) -> DomainVerdict:
        """Return the verdict on a film with joints of these `features` (J, F).

        Without statistics, a model that learned from simulated films only answers for no film, any other for all. Raises
        TrainError if the statistics are of another network.
        """
        if self.known is None:
            return DomainVerdict(None, DomainReason.UNKNOWN if self.is_simulated else None)
        if features.ndim != 2 or features.shape[1] != len(self.known.mean):
            raise TrainError("its domain is of another network", "model.pt", "Give a model.pt that ratui-train wrote")
        score = self.known.score(features)
        if score is None:
            return DomainVerdict(None, DomainReason.FEW_JOINTS)
        return DomainVerdict(round(score, 3), DomainReason.UNLIKE if score > 1 else None)


def worst_verdict(verdicts: Sequence[DomainVerdict]) -> DomainVerdict:
    """Return the verdict of several models on a film: that of a model that gives no answer, else the largest score."""
    return max(verdicts, key=lambda each: (each.reason is not None, each.score or 0.0))


def load_domain(run: Path) -> ModelDomain:
    """Return the domain of the model in the folder `run`, in a ``model.pt``, or of `SHIPPED`. Raises TrainError."""
    folder = resolve_run_folder(run)
    file = folder if folder.is_file() else folder / "model.pt"
    stored, lineage = load_checkpoint(file).get("domain"), read_lineage(file)
    known = None
    if stored is not None:
        try:
            known = FeatureDomain.from_record(stored)
        except ValueError as error:
            raise TrainError("its domain is damaged", file, "Give a model.pt that ratui-train wrote") from error
    return ModelDomain(known, _is_simulated(lineage))


def _is_simulated(lineage: Lineage) -> bool:
    """Return whether it is certain that all data are simulated films."""
    return lineage.is_fully_known() and lineage.is_simulated() and any(each.data for each in lineage.generations())


def store_domain(file: Path, known: FeatureDomain | None) -> None:
    """Store the statistics in the ``model.pt`` of a training; None removes earlier ones. Raises TrainError."""
    state = {name: value for name, value in load_checkpoint(file).items() if name != "domain"}
    save_checkpoint(file, state | ({"domain": known.to_record()} if known is not None else {}))


def pick_films(held_out: Sequence[str], learned: Sequence[str]) -> tuple[frozenset[str], bool]:
    """Return the names of at most `MAX_FILMS` films to measure a domain on, and whether the network never saw any of them.

    Films that it learned from are used only if fewer than `MIN_FILMS` were held out.
    """
    names = sorted(set(held_out))
    is_held_out = len(names) >= MIN_FILMS
    if not is_held_out:
        names = sorted({*names, *learned})
    places = np.unique(np.linspace(0, len(names) - 1, min(len(names), MAX_FILMS)).round().astype(int))
    return frozenset(names[place] for place in places), is_held_out

"""Copy a detector's run into the package: ``python -m trainer.shipped.make RUN``.

The weights are stored at half precision. The run must not have been trained on a study, because its cases could then
not be used for an evaluation. The films that it knows are measured on simulated hands that it has not learned from; without
RUN, this is done for the detector that is in the package. Repeat it when the simulator has changed. Then run
``python -m trainer.shipped.light``, which writes the same weights for installations without torch.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
import torch

from ratui.errors import TrainError
from ratui.progress_bar import ProgressBar
from ratui.scheme import load_scheme
from trainer.data.phantoms import simulate_hands
from trainer.models.checkpoint_files import load_checkpoint, save_checkpoint
from trainer.models.detector import load_detector
from trainer.shipped import SHIPPED_RUN
from trainer.training.detector_domain import measure_detector_domain
from trainer.training.lineage import read_lineage
from trainer.training.model_domain import MAX_FILMS, store_domain

__all__ = ["main"]


@click.command()
@click.argument("run", type=click.Path(path_type=Path), required=False)
@click.option("--samples", type=click.Path(path_type=Path), required=True, help="Folder that caches simulated hands.")
@click.option("--seed", default=9001, show_default=True, help="Seed of the hands that the domain is measured on.")
def main(run: Path | None, samples: Path, seed: int) -> None:
    """Copy RUN, which was trained on simulated hands only, into the package, and measure which films it knows."""
    folder = SHIPPED_RUN if run is None else run
    lineage = read_lineage(folder / "model.pt")
    if not lineage.is_fully_known() or not lineage.is_simulated():
        problem = "this run, or the weights it started from, was trained on other films"
        raise TrainError(problem, folder, "Take a run that was trained on simulated hands only")
    if str(seed) in {data.id for each in lineage.generations() for data in each.data}:
        raise TrainError("the detector has learned from hands of this seed", "--seed", "Take another one")
    state = load_checkpoint(folder / "model.pt")
    # Half precision halves the size of the package; loading converts back to single precision.
    half = {key: value.half() if torch.is_floating_point(value) else value for key, value in state["model"].items()}
    about = {**state["about"], "lineage": lineage.to_record()}
    save_checkpoint(SHIPPED_RUN / "model.pt", {"model": half, "about": about})
    (SHIPPED_RUN / "lineage.json").unlink(missing_ok=True)  # that of a model whose checkpoint has no lineage
    if run is not None:
        (SHIPPED_RUN / "split.json").write_text(json.dumps({"train": [], "test": []}), encoding="utf-8")
    hands = simulate_hands(MAX_FILMS, samples, ProgressBar(), scheme=load_scheme("mtss-hands"), seed=seed)
    network = load_detector(SHIPPED_RUN, torch.device("cpu"))
    store_domain(SHIPPED_RUN / "model.pt", measure_detector_domain(network, [], [hands]))


if __name__ == "__main__":
    main()

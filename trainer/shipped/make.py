"""Copy a detector's run into the package: ``python -m trainer.shipped.make RUN``.

The weights are stored at half precision. The run must not have been trained on a study, because its cases could then
not be used for an evaluation. Then run
``python -m trainer.shipped.light``, which writes the same weights for installations without torch.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
import torch

from ratui.errors import TrainError
from trainer.shipped import SHIPPED_RUN
from trainer.training.lineage import read_lineage
from trainer.training.loop import load_checkpoint, save_checkpoint

__all__ = ["main"]


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
def main(run: Path) -> None:
    """Copy RUN, which was trained on simulated hands only, into the package."""
    lineage = read_lineage(run / "model.pt")
    if not lineage.is_fully_known() or not lineage.is_simulated():
        problem = "this run, or the weights it started from, was trained on other films"
        raise TrainError(problem, run, "Take a run that was trained on simulated hands only")
    state = load_checkpoint(run / "model.pt")
    # Half precision halves the size of the package; loading converts back to single precision.
    half = {key: value.half() if torch.is_floating_point(value) else value for key, value in state["model"].items()}
    SHIPPED_RUN.mkdir(exist_ok=True)
    about = {**state["about"], "lineage": lineage.to_record()}
    save_checkpoint(SHIPPED_RUN / "model.pt", {"model": half, "about": about})
    (SHIPPED_RUN / "lineage.json").unlink(missing_ok=True)  # that of a model whose checkpoint has no lineage
    (SHIPPED_RUN / "split.json").write_text(json.dumps({"train": [], "test": []}), encoding="utf-8")


if __name__ == "__main__":
    main()

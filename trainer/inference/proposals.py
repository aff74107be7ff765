"""Proposals of regions by a detector of torch, see `ratui.regions.proposals`."""

from __future__ import annotations

from pathlib import Path

import torch

from ratui.errors import TrainError
from ratui.progress_bar import ProgressBar
from ratui.regions.proposals import ProposalSummary, propose_sites
from ratui.study import Study
from trainer.models.detector import load_detector

__all__ = ["propose_regions"]


def propose_regions(
    study: Study, run: Path, name: str, device: torch.device, *, include_confirmed: bool = False
) -> ProposalSummary:
    """Propose regions by the detector of a run, as `ratui.regions.proposals.propose_regions` does.

    Parameters
    ----------
    study
        The study to read and to write to.
    run
        Folder of the detector's run, or ``shipped``.
    name
        Name of the model in the study.
    device
        Device for the network.
    include_confirmed
        If True, propose regions for films with confirmed regions as well.

    Raises
    ------
    TrainError
        If the run cannot be read, the scheme has no finger joints, or the study has no film of hands or feet.
    """
    study.check_manager("propose regions")
    bar = ProgressBar()
    summary = propose_sites(
        study,
        load_detector(run, device),
        name,
        include_confirmed=include_confirmed,
        progress=lambda done, total: bar("proposing regions", done, total),
    )
    if not summary.films:
        raise TrainError("the study has no film of hands or feet", study.path, "Import films of them")
    return summary

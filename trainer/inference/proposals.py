"""Proposals of regions by a detector of torch, see `ratui.regions.proposals`."""

from __future__ import annotations

from pathlib import Path

import torch

from ratui.detection.finger_joints import has_fingers, normalise_levels
from ratui.detection.hand_finder import FoundHand
from ratui.detection.site_finder import find_sites
from ratui.errors import TrainError
from ratui.imaging import Film
from ratui.progress_bar import ProgressBar
from ratui.regions.proposals import ProposalSummary
from ratui.regions.proposals import propose_regions as propose_found_regions
from ratui.study import FilmRecord, Study
from trainer.data.hands import shows_sites
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
        If the run cannot be read, the scheme has no finger joints, or the study has no film of hands.
    """
    study.check_manager("propose regions")
    bar = ProgressBar()
    model, scheme = load_detector(run, device), study.scheme

    def find(film: Film, record: FilmRecord) -> list[FoundHand]:
        is_whole = has_fingers(scheme, record.view)
        hands = len(record.sides)
        return find_sites(model, normalise_levels(film), scheme, max_hands=hands, has_fingers=is_whole)

    summary = propose_found_regions(
        study,
        find,
        name,
        views=[view for view in scheme.views if shows_sites(scheme, view)],
        include_confirmed=include_confirmed,
        progress=lambda done, total: bar("proposing regions", done, total),
    )
    if not summary.films:
        raise TrainError("the study has no film of hands", study.path, "Import films of hands")
    return summary

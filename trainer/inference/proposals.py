"""Proposals of regions by the detector for the films of a study.

Only proposals are written, in pixels of their films. Regions that a rater has confirmed are never changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from ratui.errors import FilmError, TrainError
from ratui.progress_bar import ProgressBar
from ratui.study import FilmRecord, Region, RegionSource, Study
from ratui.study.intact import intact_case, intact_regions
from trainer.data.hands import iterate_hands, normalise_levels
from trainer.inference.hand_finder import FoundHand, find_hands
from trainer.models.detector import load_detector

__all__ = ["ProposalSummary", "propose_regions"]


@dataclass(frozen=True)
class ProposalSummary:
    """Counts and messages of a run of `propose_regions`.

    `cases`, `hands` and `joints` are the numbers with proposals. `skipped` names each film or side without a proposal, and
    the reason. `side_warnings` names each hand that looks like a hand of the other side.
    """

    cases: int
    hands: int
    joints: int
    skipped: tuple[str, ...]
    side_warnings: tuple[str, ...] = ()


def propose_regions(
    study: Study, run: Path, name: str, device: torch.device, *, include_confirmed: bool = False
) -> ProposalSummary:
    """Propose regions for each film without confirmed regions, and save them in the study.

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
        If the run cannot be read, the scheme has no finger joints, or no case can be read.
    """
    study.check_manager("propose regions")
    model = load_detector(run, device)
    found_cases = (intact_case(study, id) for id in study.cases())
    cases = [case for case in found_cases if case is not None and not case.unreadable_reason(study.scheme)]
    case_count = hand_count = joint_count = 0
    skipped: list[str] = []
    side_warnings: list[str] = []
    bar = ProgressBar()
    for number, case in enumerate(cases):
        bar("proposing regions", number, len(cases))
        confirmed = {region.film for region in intact_regions(study, case.id) if region.confirmed_by}
        films = {film.id: film for film, _, _ in iterate_hands(case, study.scheme)}
        regions: list[Region] = []
        for record in films.values():
            if not include_confirmed and record.id in confirmed:
                continue
            try:
                film = study.film(case.id, record.id)
            except FilmError as error:
                skipped.append(str(error))
                continue
            levels = normalise_levels(film)
            found = find_hands(model, levels, study.scheme, max_hands=len(record.sides))
            place = f"{case.id}, time point {record.time}"
            for side, hand in _by_side(record, found).items():
                if hand is None:
                    skipped.append(f"{place}, side {side}: no hand was found")
                    continue
                if hand.side != side:
                    side_warnings.append(f"{place}: recorded as side {side}, but it looks like the other hand")
                hand_count += 1
                for joint, detection in hand.joints.items():
                    score = round(detection.candidate.score, 3)
                    region = Region(f"{side}.{joint}", record.id, detection.box, RegionSource.MODEL, "", score, name)
                    regions.append(region)
        if regions:
            case_count, joint_count = case_count + 1, joint_count + len(regions)
            study.save_proposals(name, case.id, regions)
    bar("proposing regions", len(cases), len(cases))
    if not cases:
        raise TrainError("the study has no case that can be read", study.path, "Import films of two time points")
    return ProposalSummary(case_count, hand_count, joint_count, tuple(skipped), tuple(side_warnings))


def _by_side(record: FilmRecord, found: list[FoundHand]) -> dict[str, FoundHand | None]:
    """Return the found hand of each side of a film, None for a side without one.

    The hand of a film of one hand gets the side of the film's record, even if it looks like the other side: the hand may
    have lain with its back on the plate.
    """
    if len(record.sides) == 1:
        return {record.side: found[0] if found else None}
    hands = {hand.side: hand for hand in found}
    return {side: hands.get(side) for side in record.sides}

"""What the detector finds, back into the study as proposals: named joints, in the pixels of their films.

It writes proposals alone; regions that a rater has confirmed are never touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from ratui.errors import FilmError, TrainError
from ratui.imaging import Box
from ratui.progress_bar import ProgressBar
from ratui.study import FilmRecord, Region, RegionSource, Study
from trainer.data.hands import iterate_hands, normalise_levels
from trainer.inference.hand_finder import FoundHand, find_hands
from trainer.models.detector import load_detector

__all__ = ["ProposalSummary", "propose_regions"]


@dataclass(frozen=True)
class ProposalSummary:
    """What was proposed, which films were skipped and why, and as `side_warnings` which hands look like the other one."""

    cases: int
    hands: int
    joints: int
    skipped: tuple[str, ...]
    side_warnings: tuple[str, ...] = ()


def propose_regions(
    study: Study, run: Path, name: str, device: torch.device, *, include_confirmed: bool = False
) -> ProposalSummary:
    """Propose regions for each film without confirmed regions, with `include_confirmed` for all films.

    Raises TrainError.
    """
    model = load_detector(run, device)
    cases = [case for case in map(study.case, study.cases()) if not case.unreadable_reason(study.scheme)]
    done_cases = done_hands = joints = 0
    skipped: list[str] = []
    side_warnings: list[str] = []
    bar = ProgressBar()
    for number, case in enumerate(cases):
        bar("proposing regions", number, len(cases))
        confirmed = {region.film for region in study.regions(case.id) if region.confirmed_by}
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
            levels = normalise_levels(film, Box.from_size(record.columns, record.rows))
            found = find_hands(model, levels, study.scheme, max_hands=len(record.sides))
            where = f"{case.id}, time point {record.time}"
            for side, hand in _by_side(record, found).items():
                if hand is None:
                    skipped.append(f"{where}, side {side}: no hand was made out")
                    continue
                if hand.side != side:
                    side_warnings.append(f"{where}: said to be side {side}, but it looks like the other hand")
                done_hands += 1
                for joint, detection in hand.joints.items():
                    score = round(detection.candidate.score, 3)
                    region = Region(f"{side}.{joint}", record.id, detection.box, RegionSource.MODEL, "", score, name)
                    regions.append(region)
        if regions:
            done_cases, joints = done_cases + 1, joints + len(regions)
            study.save_proposals(name, case.id, regions)
    bar("proposing regions", len(cases), len(cases))
    if not cases:
        raise TrainError("the study has no case that can be read", study.path, "Import films of two time points")
    return ProposalSummary(done_cases, done_hands, joints, tuple(skipped), tuple(side_warnings))


def _by_side(record: FilmRecord, found: list[FoundHand]) -> dict[str, FoundHand | None]:
    """The hand of each side of a film. A film of one hand is of the side that its record says, whatever the hand looks like:
    it may have been laid down with its back to the plate."""
    if len(record.sides) == 1:
        return {record.side: found[0] if found else None}
    looks = {hand.side: hand for hand in found}
    return {side: looks.get(side) for side in record.sides}

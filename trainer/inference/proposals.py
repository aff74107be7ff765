"""Proposals of regions and orientations by the detector for the films of a study.

Regions that a rater has confirmed are never changed. A film is turned if its hands lie in another rotation.
It is never mirrored: a hand that looks like one of the other side may be a mirrored film or a wrong side, and only a person
who reads the marker on the film can tell. Such films are reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from ratui.detection.finger_joints import normalise_levels
from ratui.detection.hand_finder import FoundHand
from ratui.errors import FilmError, StudyError, TrainError
from ratui.imaging import Orientation
from ratui.progress_bar import ProgressBar
from ratui.study import Case, FilmRecord, Region, RegionSource, Study
from ratui.study.intact import intact_case, intact_regions
from trainer.data.hands import has_fingers, iterate_hands
from trainer.inference.wrist_finder import find_sites
from trainer.models.detector import load_detector

__all__ = ["ProposalSummary", "propose_regions"]


@dataclass(frozen=True)
class ProposalSummary:
    """Counts and messages of a run of `propose_regions`.

    `cases`, `hands` and `joints` are the numbers with proposals. `skipped` names each film or side without a proposal, and
    the reason. `side_warnings` names each hand that looks like a hand of the other side. `turned` names each film that was
    turned, and `not_turned` each one that lies in another rotation and stays as it is, with the reason.
    """

    cases: int
    hands: int
    joints: int
    skipped: tuple[str, ...]
    side_warnings: tuple[str, ...] = ()
    turned: tuple[str, ...] = ()
    not_turned: tuple[str, ...] = ()


def propose_regions(
    study: Study, run: Path, name: str, device: torch.device, *, include_confirmed: bool = False
) -> ProposalSummary:
    """Propose regions for each film without confirmed regions, and save them in the study.

    Cases of one time point get proposals, too. A film in another rotation is turned, unless a person has set
    its orientation, a rater has confirmed regions on it, or a signed reading was made on it.

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
    model = load_detector(run, device)
    cases = [case for id in study.cases() if (case := intact_case(study, id)) is not None]
    case_count = hand_count = joint_count = film_count = 0
    skipped: list[str] = []
    side_warnings: list[str] = []
    turned: list[str] = []
    not_turned: list[str] = []
    bar = ProgressBar()
    for number, case in enumerate(cases):
        bar("proposing regions", number, len(cases))
        confirmed = {region.film for region in intact_regions(study, case) if region.confirmed_by}
        films = {film.id: film for film, _, _ in iterate_hands(case, study.scheme)}
        film_count += len(films)
        regions: list[Region] = []
        for record in films.values():
            if not include_confirmed and record.id in confirmed:
                continue
            try:
                film = study.film(case.id, record.id, record.orientation)
            except FilmError as error:
                skipped.append(str(error))
                continue
            found = find_sites(
                model,
                normalise_levels(film),
                study.scheme,
                max_hands=len(record.sides),
                has_fingers=has_fingers(study.scheme, record.view),
            )
            place = f"{case.id}, time point {record.time}"
            if found and found[0].rotation:
                change = f"{place}, side {record.side}: the hand is turned by {360 - found[0].rotation}°"
                reason = _turn(study, case, record, found[0].rotation, name, record.id in confirmed)
                if reason:
                    not_turned.append(f"{change}; it was not turned, because {reason}")
                else:
                    turned.append(f"{change}; it was turned upright")
            for side, hand in _by_side(record, found).items():
                if hand is None:
                    skipped.append(f"{place}, side {side}: no hand was found")
                    continue
                if hand.side != side:
                    side_warnings.append(
                        f"{place}: recorded as side {side}, but it looks like the other hand. "
                        "The film is mirrored, or its side is wrong; it was not mirrored"
                    )
                hand_count += 1
                for joint, detection in hand.joints.items():
                    score = round(detection.candidate.score, 3)
                    region = Region(f"{side}.{joint}", record.id, detection.box, RegionSource.MODEL, "", score, name)
                    regions.append(region)
        if regions:
            case_count, joint_count = case_count + 1, joint_count + len(regions)
            study.save_proposals(name, case, regions)  # boxes are those of the films before they were turned
    bar("proposing regions", len(cases), len(cases))
    if not film_count:
        raise TrainError("the study has no film of hands", study.path, "Import films of hands")
    return ProposalSummary(
        case_count, hand_count, joint_count, tuple(skipped), tuple(side_warnings), tuple(turned), tuple(not_turned)
    )


def _turn(study: Study, case: Case, record: FilmRecord, rotation: int, model: str, is_confirmed: bool) -> str:
    """Turn a film further by `rotation` degrees; return why it was not turned, or an empty text."""
    known = study.orientations(case.id).get(record.id)
    if known is not None and not known.is_model:
        return "a person has set its orientation"
    if is_confirmed:
        return "a rater has confirmed regions on it"
    orientation = record.orientation.then(Orientation.of(rotation))
    try:
        study.set_orientation(case.id, record.id, orientation, by=model, is_model=True)
    except StudyError:
        return "a signed reading was made on it"
    return ""


def _by_side(record: FilmRecord, found: list[FoundHand]) -> dict[str, FoundHand | None]:
    """Return the found hand of each side of a film, None for a side without one.

    The hand of a film of one hand gets the side of the film's record, even if it looks like the other side: the hand may
    have lain with its back on the plate.
    """
    if len(record.sides) == 1:
        return {record.side: found[0] if found else None}
    hands = {hand.side: hand for hand in found}
    return {side: hands.get(side) for side in record.sides}

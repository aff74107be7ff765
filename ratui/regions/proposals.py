"""Proposals of regions and orientations by a detector for the films of a study.

Regions that a rater has confirmed are never changed. A film is turned if its hands or feet lie in another rotation.
It is never mirrored: a hand or foot that looks like one of the other side may be a mirrored film or a wrong side, and only
a person who reads the marker on the film can tell. Such films are reported.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from ratui.detection.finger_joints import JOINT_KINDS, has_fingers, normalise_levels
from ratui.detection.foot_sites import shows_feet
from ratui.detection.hand_finder import FoundHand
from ratui.detection.joint_network import SiteNetworks
from ratui.detection.site_finder import find_foot_sites, find_sites, shows_sites
from ratui.errors import FilmError, StudyError
from ratui.imaging import Film, Orientation
from ratui.study import Case, FilmRecord, Region, RegionSource, Study
from ratui.study.intact import intact_case, intact_proposals, intact_regions

_MANY_MISSING = 2
"""Least number of finger joints not found from which the names of the others are doubtful: a hand that the film cuts off can
look like one whose fingers are one place further."""

__all__ = ["FilmSearch", "ProposalSummary", "propose_regions", "propose_sites"]

FilmSearch: TypeAlias = Callable[[Film, FilmRecord], list[FoundHand]]
"""Returns the hands or feet on a film, the best first, with their sites in pixels of the film."""


@dataclass
class ProposalSummary:
    """Counts and messages of a run of `propose_regions`.

    Attributes
    ----------
    films
        Number of films of hands and feet in the cases, with those that were not searched.
    cases, hands, feet, joints
        Numbers with new proposals.
    skipped
        Each film or side without a proposal, with the reason.
    side_warnings
        Each hand or foot that looks like one of the other side.
    incomplete
        Each hand of which several finger joints were not found, for instance because the film cuts it off.
    turned, not_turned
        Each film that was turned, and each one that lies in another rotation and stays as it is, with the reason.
    """

    films: int = 0
    cases: int = 0
    hands: int = 0
    feet: int = 0
    joints: int = 0
    skipped: list[str] = field(default_factory=list)
    side_warnings: list[str] = field(default_factory=list)
    incomplete: list[str] = field(default_factory=list)
    turned: list[str] = field(default_factory=list)
    not_turned: list[str] = field(default_factory=list)

    @property
    def counts(self) -> str:
        """The numbers as text: ``20 joints proposed on 2 hands of 1 case``."""
        limbs = [(self.hands, "hand", "hands"), (self.feet, "foot", "feet")]
        shown = [each for each in limbs if each[0]] or limbs[:1]
        where = " and ".join(f"{count} {one if count == 1 else many}" for count, one, many in shown)
        cases = f"{self.cases} case{'s' * (self.cases != 1)}"
        return f"{self.joints} joint{'s' * (self.joints != 1)} proposed on {where} of {cases}"


def propose_regions(
    study: Study,
    find: FilmSearch,
    name: str,
    *,
    views: Collection[str],
    cases: Iterable[str] | None = None,
    include_confirmed: bool = False,
    include_proposed: bool = True,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ProposalSummary:
    """Propose regions for each film of hands or feet without confirmed regions, and save them in the study.

    Cases of one time point get proposals, too. A film in another rotation is turned, unless a person has set
    its orientation, a rater has confirmed regions on it, or a signed reading was made on it. The proposals of a case are
    saved before the next case is searched, so that an interrupted run can be continued.

    Parameters
    ----------
    study
        The study to read and to write to.
    find
        The detector.
    name
        Name of the detector in the study.
    views
        Names of the scheme's views that are searched.
    cases
        IDs of the cases.  All by default.
    include_confirmed
        If True, propose regions for films with confirmed regions as well.
    include_proposed
        If False, leave out films that have proposals of any model. Their proposals are kept.
    progress
        Called with the number of films done and of films to search.

    Raises
    ------
    StudyError
        If this account may not propose regions.
    """
    study.check_manager("propose regions")
    summary = ProposalSummary()
    work: list[tuple[Case, list[FilmRecord], set[str]]] = []
    for id in study.cases() if cases is None else sorted(set(cases)):
        case = intact_case(study, id)
        films = [film for film in case.films if film.view in views] if case else []
        if case is None or not films:
            continue
        summary.films += len(films)
        confirmed = {region.film for region in intact_regions(study, case) if region.confirmed_by}
        done = set() if include_confirmed else set(confirmed)
        if not include_proposed:
            done |= {region.film for region in intact_proposals(study, case)}
        if to_search := [film for film in films if film.id not in done]:
            work.append((case, to_search, confirmed))
    total = sum(len(films) for _, films, _ in work)
    searched = 0
    for case, films, confirmed in work:
        regions: list[Region] = []
        for film in films:
            progress(searched, total)
            regions += _search_film(study, find, name, case, film, film.id in confirmed, summary)
            searched += 1
        if regions:
            summary.cases += 1
            summary.joints += len(regions)
            if not include_proposed:
                # The file replaces that of any other model for this case, so that it takes the other films along.
                new = {film.id for film in films}
                regions = [each for each in intact_proposals(study, case) if each.film not in new] + regions
            study.save_proposals(name, case, regions)  # boxes are those of the films before they were turned
    progress(total, total)
    return summary


def propose_sites(
    study: Study,
    networks: SiteNetworks,
    name: str,
    *,
    cases: Iterable[str] | None = None,
    include_confirmed: bool = False,
    include_proposed: bool = True,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ProposalSummary:
    """Propose regions of all sites that a detector finds, as `propose_regions` does, on films of hands, wrists and feet.

    Films of feet are left out if the detector does not know feet.
    """
    scheme = study.scheme
    knows_feet = networks.landmark_part("foot") is not None

    def find(film: Film, record: FilmRecord) -> list[FoundHand]:
        if scheme.views[record.view].part == "foot":
            return find_foot_sites(networks, normalise_levels(film), scheme, max_feet=len(record.sides))
        is_whole = has_fingers(scheme, record.view)
        return find_sites(networks, normalise_levels(film), scheme, max_hands=len(record.sides), is_whole=is_whole)

    return propose_regions(
        study,
        find,
        name,
        views=[view for view in scheme.views if shows_sites(scheme, view) or (knows_feet and shows_feet(scheme, view))],
        cases=cases,
        include_confirmed=include_confirmed,
        include_proposed=include_proposed,
        progress=progress,
    )


def _search_film(
    study: Study,
    find: FilmSearch,
    name: str,
    case: Case,
    record: FilmRecord,
    is_confirmed: bool,
    summary: ProposalSummary,
) -> list[Region]:
    """Return the regions found on a film, in pixels of the film as `record` displays it; turn the film if necessary."""
    try:
        film = study.film(case.id, record.id, record.orientation)
    except FilmError as error:
        summary.skipped.append(str(error))
        return []
    found = find(film, record)
    # In a study that is blinded to the order the film is named, because its place could be taken for the visit.
    named = f"film {record.id}" if study.config.blinded else study.config.charter.visit_name(record.number)
    place, part = f"{case.id}, {named}", study.scheme.views[record.view].part
    if found and found[0].rotation:
        change = f"{place}, side {record.side}: the {part} is turned by {360 - found[0].rotation}°"
        reason = _turn(study, case, record, found[0].rotation, name, is_confirmed)
        if reason:
            summary.not_turned.append(f"{change}; it was not turned, because {reason}")
        else:
            summary.turned.append(f"{change}; it was turned upright")
    regions: list[Region] = []
    for side, hand in _by_side(record, found).items():
        if hand is None:
            summary.skipped.append(f"{place}, side {side}: no {part} was found")
            continue
        if hand.side != side:
            summary.side_warnings.append(
                f"{place}: recorded as side {side}, but it looks like the other {part}. "
                "The film is mirrored, or its side is wrong; it was not mirrored"
            )
        summary.hands += part == "hand"
        summary.feet += part == "foot"
        missing = _count_missing_fingers(study, record, hand)
        if missing >= _MANY_MISSING:
            summary.incomplete.append(
                f"{place}, side {side}: {missing} finger joints were not found, and the names of the others may be those "
                "of other fingers"
            )
        for joint, detection in hand.joints.items():
            score = round(detection.candidate.score, 3)
            regions.append(Region(f"{side}.{joint}", record.id, detection.box, RegionSource.MODEL, "", score, name))
    return regions


def _count_missing_fingers(study: Study, record: FilmRecord, hand: FoundHand) -> int:
    """Return how many finger joints of the film's view `hand` lacks, 0 if it has none, as a wrist alone."""
    shown = set(study.scheme.views[record.view].template)
    fingers = {joint.id for joint in study.scheme.joints if joint.group in JOINT_KINDS} & shown
    missing = fingers - set(hand.joints)
    return 0 if missing == fingers else len(missing)


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
    """Return the found hand or foot of each side of a film, None for a side without one.

    The hand of a film of one hand gets the side of the film's record, even if it looks like the other side: the hand may
    have lain with its back on the plate.
    """
    if len(record.sides) == 1:
        return {record.side: found[0] if found else None}
    hands = {hand.side: hand for hand in found}
    return {side: hands.get(side) for side in record.sides}

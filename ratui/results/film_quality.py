"""The quality of each film of a study, and the queries to the sites that follow from it.

It measures films and boxes, and shows no score. `docs/intake.md` states the limits and the films that they rest on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ratui.errors import FilmError, StoreError, StudyError
from ratui.imaging import Box, Film, SpacingSource
from ratui.imaging.joint_quality import JointQuality, measure_joints
from ratui.regions.initial import find_template_box
from ratui.scheme import Scheme, Site
from ratui.study import Case, FilmRecord, Region, Study
from ratui.study.campaign.repeats import load_repeats
from ratui.study.film_files import is_lossy_film

__all__ = [
    "FilmQuality",
    "QualityKind",
    "QualityProblem",
    "find_quality_problems",
    "make_query_table",
    "measure_quality",
]

QualityKind: TypeAlias = Literal[
    "cut off",
    "not found",
    "blurred",
    "motion",
    "too bright",
    "too dark",
    "low contrast",
    "noisy",
    "text",
    "no spacing",
    "coarse",
    "lossy",
    "8 bits",
    "unreadable",
]
_MAX_BLUR = 0.30  # mm
_MAX_BLUR_AT_USUAL_PLACES = 0.45  # mm; such boxes show fewer sharp edges: 0.05 to 0.15 mm more on simulated films
_MAX_BLUR_OF_MOTION = 0.33  # mm, of the edges that are widest
_MIN_MOTION_RATIO, _MIN_WIDTH = 1.8, 0.1  # width of edges across the motion by that along it, which is at least 0.1 mm
_MAX_CLIPPED = 0.4  # part of the joints
_MIN_GREYS = 64
_MAX_NOISE = 0.09  # by the range of greys of a joint
_MAX_SPACING = 0.25  # mm: a view with less than 4 pixels per mm is called too coarse to judge an erosion
_MIN_INSIDE = 0.8  # part of a box that must be on the film
_LISTED = 6  # names of joints in a text

_EXPOSE_AGAIN = "Ask for the original file. If it looks the same, ask whether another exposure of that visit exists"
_SPACING_TEXTS = {
    SpacingSource.UNKNOWN: "origin not recorded",
    SpacingSource.CALIBRATED: "calibrated",
    SpacingSource.MAGNIFICATION: "corrected for the magnification",
    SpacingSource.DETECTOR: "at the detector, not calibrated",
    SpacingSource.SCAN: "of a scanned film",
    SpacingSource.STATED: "origin not stated",
    SpacingSource.MANIFEST: "from the manifest",
}
_ACTIONS: Mapping[QualityKind, str] = {
    "cut off": "Ask whether another film of that visit shows the whole hand or foot",
    "not found": "Look at the film. If the joints are not on it, ask for another film of that visit",
    "blurred": _EXPOSE_AGAIN,
    "motion": "Ask whether another exposure of that visit exists",
    "too bright": _EXPOSE_AGAIN,
    "too dark": _EXPOSE_AGAIN,
    "low contrast": _EXPOSE_AGAIN,
    "noisy": _EXPOSE_AGAIN,
    "text": "Look at the film. If it names the patient, ask for a film without the text",
    "no spacing": "Ask for the original DICOM file, or for the size of a pixel",
    "coarse": "Ask for the original file in full resolution",
    "lossy": "Ask for the original file without lossy compression",
    "8 bits": "",
    "unreadable": "Restore the film from a backup. If there is none, ask for the file again",
}


@dataclass(frozen=True)
class QualityProblem:
    """One problem of a film, in plain words.

    Attributes
    ----------
    kind
        Kind of the problem.
    text
        The problem, without a full stop.
    """

    kind: QualityKind
    text: str

    @property
    def action(self) -> str:
        """Return the request to the site that made the film; empty for a problem that needs no request."""
        return _ACTIONS[self.kind]


@dataclass(frozen=True)
class FilmQuality:
    """The quality of one film.

    Attributes
    ----------
    case, film, side, view
        The film.
    visit
        Name of its visit; empty in a study that is blinded to the order.
    problems
        The problems.
    joints
        Measures of the joints; None if the film can't be read.
    boxes
        Origin of the boxes in which the film was measured: ``confirmed``, ``proposed`` or ``template``.
    spacing
        Size of a pixel with its origin, in words; empty if it is unknown.
    """

    case: str
    film: str
    side: str
    view: str
    visit: str
    problems: tuple[QualityProblem, ...]
    joints: JointQuality | None = None
    boxes: str = ""
    spacing: str = ""

    def format_line(self) -> str:
        """Return the film and its problems as one line."""
        found = "; ".join(problem.text for problem in self.problems) or "no problem found"
        spacing = f" ({self.spacing})" if self.spacing else ""
        approximate = " (no boxes yet: measured at the usual places)" if self.boxes == "template" else ""
        place = " ".join(filter(None, (self.case, self.film, self.view, self.side, self.visit)))
        return f"{place}: {found}{spacing}{approximate}"


def measure_quality(
    study: Study, cases: Iterable[str] | None = None, *, on_progress: Callable[[int, int], None] | None = None
) -> tuple[FilmQuality, ...]:
    """Measure the films of a study.

    Parameters
    ----------
    study
        The study. If it is blinded, only managers may do this.
    cases
        Cases to measure; None for all.
    on_progress
        Called with (cases done, cases in all).

    Returns
    -------
    tuple of FilmQuality
        One for each film, ordered by case and by the random ID of the film, which reveals no order of time.

    Raises
    ------
    StudyError
        If a case does not exist, there is no film, or this account may not read the films of a blinded study.
    """
    # Hidden repeats show the films of other cases, and their names are not in the key, so that no site could answer.
    repeats = load_repeats(study) if study.is_manager else {}
    chosen = [case for case in study.cases() if case not in repeats] if cases is None else list(cases)
    known = _find_proposed_joints(study)
    found: list[FilmQuality] = []
    for number, name in enumerate(chosen):
        if on_progress:
            on_progress(number, len(chosen))
        try:
            found += list(_measure_case(study, name, study.case(name), known))
        except StoreError as error:  # a damaged file of one case stops nothing but that case
            problem = QualityProblem("unreadable", f"the case can't be read: {error.problem}")
            found.append(FilmQuality(name, "", "", "", "", (problem,)))
    if on_progress:
        on_progress(len(chosen), len(chosen))
    if not found:
        raise StudyError("there is no film to measure", study.path, "Import films first")
    return tuple(found)


def _find_proposed_joints(study: Study) -> frozenset[str]:
    """Return the joints that the model of the proposals knows: all that it has found anywhere in the study."""
    found: set[str] = set()
    for case in study.cases():
        with suppress(StoreError):  # reported with the case
            found |= {region.site.partition(".")[2] for region in study.proposals(case)}
    return frozenset(found)


def _measure_case(study: Study, name: str, case: Case, known: frozenset[str]) -> Iterator[FilmQuality]:
    confirmed, proposed = study.regions(name), study.proposals(name)
    for record in sorted(case.films, key=lambda film: film.id):
        regions = {region.site: region for region in confirmed if region.film == record.id}
        proposals = {region.site: region for region in proposed if region.film == record.id}
        visit = "" if study.config.blinded else study.config.charter.visit_name(record.number)
        place = name, record.id, record.side, record.view, visit
        try:
            film = study.film(name, record.id)
            is_lossy = is_lossy_film(study.folder, name, record.id)
        except FilmError as error:
            yield FilmQuality(*place, (QualityProblem("unreadable", f"it can't be read: {error.problem}"),))
            continue
        sites = _list_sites(study.scheme, record)
        shown = {site.key for site in sites}
        kind, boxes = _choose_boxes(study.scheme, record, sites, regions, proposals)
        joints = measure_joints(film, boxes)
        problems = [
            *_find_missing(record, sites, regions, proposals, {key for key in shown if key.partition(".")[2] in known}),
            *find_quality_problems(record, film, joints, is_template=kind == "template"),
        ]
        if is_lossy:
            problems.append(QualityProblem("lossy", "compressed with loss"))
        yield FilmQuality(*place, tuple(problems), joints, kind, _describe_spacing(record))


def _describe_spacing(record: FilmRecord) -> str:
    if record.spacing is None:
        return ""
    return f"{max(record.spacing):.2f} mm per pixel, {_SPACING_TEXTS[record.spacing_source]}"


def _list_sites(scheme: Scheme, record: FilmRecord) -> list[Site]:
    """Return the sites that a film of this view and side should show."""
    view = scheme.views[record.view]
    return [
        site
        for site in scheme.sites
        if site.part == view.part and site.side in record.sides and site.joint.id in view.template
    ]


def _choose_boxes(
    scheme: Scheme,
    record: FilmRecord,
    sites: list[Site],
    regions: Mapping[str, Region],
    proposals: Mapping[str, Region],
) -> tuple[str, list[Box]]:
    for kind, found in (("confirmed", regions), ("proposed", proposals)):
        boxes = [region.box for region in found.values() if region.box is not None]
        if boxes:
            return kind, boxes
    template = (find_template_box(scheme, record, site) for site in sites)
    return "template", [box for box in template if box is not None]


def _find_missing(
    record: FilmRecord,
    sites: list[Site],
    regions: Mapping[str, Region],
    proposals: Mapping[str, Region],
    known: set[str],
) -> Iterator[QualityProblem]:
    """Yield joints that are cut off by the edge of the film, stated to be absent, or not found by the model."""
    cut, lost = [], []
    for site in sites:
        region = regions.get(site.key) or proposals.get(site.key)
        if region is None:
            if proposals and site.key in known:
                lost.append(site)
        elif region.box is None or _part_inside(region.box, record) < _MIN_INSIDE:
            cut.append(site)
    if cut:
        yield QualityProblem("cut off", f"joints cut off or not on the film: {_list_joints(cut, record)}")
    if lost:
        yield QualityProblem("not found", f"joints that the model has not found: {_list_joints(lost, record)}")


def _part_inside(box: Box, record: FilmRecord) -> float:
    width = max(min(box.x1, record.columns) - max(box.x0, 0.0), 0.0)
    height = max(min(box.y1, record.rows) - max(box.y0, 0.0), 0.0)
    return width * height / (box.width * box.height)


def _list_joints(sites: list[Site], record: FilmRecord) -> str:
    names = [site.key if record.side == "B" else site.joint.id for site in sites]
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def find_quality_problems(
    record: FilmRecord, film: Film, joints: JointQuality | None, *, is_template: bool
) -> Iterator[QualityProblem]:
    """Yield the problems of one film, without those of missing joints.

    Parameters
    ----------
    record, film
        The film.
    joints
        Measures of its joints; None if no joint is large enough to be measured.
    is_template
        The joints were measured at their usual places, not in boxes of this film. The direction of a blur is then unknown.
    """
    if joints is None:
        yield QualityProblem("coarse", "the joints have too few pixels to be measured")
    else:
        yield from _find_blur(joints, is_template=is_template)
        if joints.bright >= _MAX_CLIPPED:
            yield QualityProblem("too bright", f"bone is burnt out in {joints.bright:.0%} of the joints")
        if joints.dark >= _MAX_CLIPPED:
            yield QualityProblem("too dark", f"large areas are black in {joints.dark:.0%} of the joints")
        if joints.greys < _MIN_GREYS:
            yield QualityProblem("low contrast", f"low contrast: a joint has only {joints.greys:.0f} greys")
        if joints.noise > _MAX_NOISE:
            yield QualityProblem("noisy", f"noisy: the noise is {joints.noise:.0%} of the contrast of a joint")
    if record.note:
        yield QualityProblem("text", "text may be burned into the picture")
    spacing = record.spacing
    if spacing is None:
        yield QualityProblem("no spacing", "the size of a pixel is unknown")
    elif max(spacing) > _MAX_SPACING:
        yield QualityProblem("coarse", f"too coarse to judge erosions: {max(spacing):.2f} mm per pixel")
    if film.bits_stored <= 8:
        yield QualityProblem("8 bits", f"{film.bits_stored} bits per pixel")


def _find_blur(joints: JointQuality, *, is_template: bool) -> Iterator[QualityProblem]:
    ratio = joints.blur_across / max(joints.blur_along, _MIN_WIDTH)
    if not is_template and joints.blur_across > _MAX_BLUR_OF_MOTION and ratio > _MIN_MOTION_RATIO:
        text = f"moved or blurred in one direction: edges are {joints.blur_across:.2f} mm wide across it"
        yield QualityProblem("motion", text)
    elif joints.blur > (_MAX_BLUR_AT_USUAL_PLACES if is_template else _MAX_BLUR):
        yield QualityProblem("blurred", f"blurred: edges are {joints.blur:.2f} mm wide")


def make_query_table(found: Iterable[FilmQuality]) -> tuple[list[str], list[list[str]]]:
    """Return headers and rows of the questions to the sites, one row for each problem that needs a question.

    In a study that is blinded to the order, neither the columns nor the order of the rows depend on the visits.
    """
    found = tuple(found)
    with_visit = any(film.visit for film in found)
    headers = ["query", "case", "film", "view", "side", *(["visit"] if with_visit else []), "reason", "action"]
    rows: list[list[str]] = []
    for film in found:
        for problem in film.problems:
            if problem.action:
                place = [film.case, film.film, film.view, film.side, *([film.visit] if with_visit else [])]
                rows.append([str(len(rows) + 1), *place, problem.text, problem.action])
    return headers, rows

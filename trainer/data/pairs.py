"""Training samples for the scorer: crops of joints at two time points, and their labels.

A joint with films of more than two visits has a sample for each pair of them.

Crops are cached and augmented later, on the device. Right hands are mirrored, so that every sample is a left hand. Labels
come from signed readings only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
from PIL import Image

from ratui.errors import TrainError
from ratui.imaging import Box, normalize_intensity
from ratui.reading import Field, Slot
from ratui.scheme import Scheme, Site
from ratui.study import Case, FilmRecord, Study
from ratui.study.campaign.repeats import load_repeats
from ratui.study.intact import intact_case, intact_proposals, intact_regions
from trainer.data.image_cache import ImageCache, ImageRows

__all__ = [
    "MARGIN",
    "PAIR_CROP_SIZE",
    "FilmCrop",
    "PairSamples",
    "check_learnable",
    "crop_joint",
    "drop_fixed_scores",
    "list_signed_cases",
    "load_pair_samples",
    "select_pairs",
]

PAIR_CROP_SIZE = 72
"""Side of a crop, in pixels."""
MARGIN = 1.25
"""Side of the part of the film that a crop shows, in sides of the region's box."""
Progress = Callable[[str, int, int], None]


class FilmCrop(NamedTuple):
    """A crop of a joint, and the film that it is part of.

    Attributes
    ----------
    row, place
        The crop is ``crops[row, place]`` of `PairSamples`.
    film
        Name of the film: case, side and time point.
    case
        The case.
    """

    row: int
    place: int
    film: str
    case: str


@dataclass(frozen=True)
class PairSamples:
    """N joints at two time points.

    Attributes
    ----------
    crops
        Crops, shape (N, 2, PAIR_CROP_SIZE, PAIR_CROP_SIZE), uint8, bone bright.
    labels
        Scores of each rater, shape (N, raters, scales, 2); −1 where there is none.
    max_grades
        Largest grade of each scale, shape (N, scales); −1 if the joint is not scored on that scale.
    groups
        Group of each joint, shape (N,), as an index into `group_names`.
    has_finding
        True where a rater entered a special finding, shape (N, raters, 2).
    cases, sites
        Case and site of each joint.
    group_names, scales
        Names of the groups and of the scales.
    single_times
        Time point of each joint that has a region at one time point only, by its row. Both of its crops show that film, and
        it has no score at the other time point.
    pair_times
        The two time points of each joint, by its row, where these are not 0 and 1. A crop, a score and an item of
        `single_times` is called 0 or 1 all the same.
    visits
        Names of the visits of both time points, by row, where the samples are of a study.
    """

    crops: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    max_grades: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]
    has_finding: npt.NDArray[np.bool_]
    cases: tuple[str, ...]
    sites: tuple[str, ...]
    group_names: tuple[str, ...]
    scales: tuple[str, ...]
    single_times: Mapping[int, int] = field(default_factory=dict)
    pair_times: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    visits: Mapping[int, tuple[str, str]] = field(default_factory=dict)

    def times(self, row: int) -> tuple[int, int]:
        """Return the time points of the two crops of `row`; equal ones if both show the same film."""
        return self.pair_times.get(row, (0, 1))

    def list_films(self) -> list[FilmCrop]:
        """Return all crops with their films, in the order of the rows; one crop of a joint that has one film."""
        return [
            FilmCrop(row, place, f"{case} {site[0]} {self.times(row)[place]}", case)
            for row, (case, site) in enumerate(zip(self.cases, self.sites, strict=True))
            for place in ((self.single_times[row],) if row in self.single_times else (0, 1))
        ]

    @property
    def grades(self) -> tuple[int, ...]:
        """Number of grades of each scale."""
        return tuple(int(largest) + 1 for largest in self.max_grades.max(axis=0))

    @property
    def single_scores(self) -> int:
        """Number of scores by raters who scored that joint and scale at one time point only."""
        return int(((self.labels >= 0).sum(axis=3) == 1).sum())


def crop_joint(
    levels: npt.NDArray[np.float32], box: Box, mirrored: bool, *, margin: float = MARGIN, size: int = PAIR_CROP_SIZE
) -> npt.NDArray[np.uint8]:
    """Return the joint in `box` with a margin, as a crop of `size` pixels a side, uint8.

    Parameters
    ----------
    levels
        Grey levels of the whole film from 0 to 1, shape (rows, columns), bone bright.
    box
        Box of the joint in pixels of the film. The crop shows a square of `margin` times its longer side, black outside
        of the film.
    mirrored
        Mirror the crop, as for right hands.
    margin, size
        Those of the scorer by default.
    """
    x, y = box.centre
    half = margin * max(box.width, box.height) / 2
    left, top, side = int(np.floor(x - half)), int(np.floor(y - half)), int(np.ceil(2 * half)) + 1
    part = np.zeros((side, side), np.float32)
    inside = levels[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)]
    part[max(-top, 0) :, max(-left, 0) :][: inside.shape[0], : inside.shape[1]] = inside
    area = (x - half - left, y - half - top, x + half - left, y + half - top)
    image = Image.fromarray(part).resize((size, size), Image.Resampling.BILINEAR, box=area)
    values = np.rint(np.clip(np.asarray(image), 0, 1) * 255).astype(np.uint8)
    return np.asarray(values[:, ::-1] if mirrored else values)


def load_pair_samples(
    study: Study, cases: Sequence[str], folder: Path, progress: Progress, *, proposed: bool = False
) -> PairSamples:
    """Return all joints of `cases` that have a region at one time point or more, with or without labels.

    A joint with a region at one time point is shown by that film twice. One with regions at more than two time points has a
    sample for each pair of them, the earlier one first.

    Parameters
    ----------
    study
        The study; labels are the scores of its signed readings.
    cases
        Cases to load.
    folder
        Cache of the crops.
    progress
        Called with a text, the number done and the total.
    proposed
        Use a detector's proposal where a joint has no confirmed region. Joints that nobody can read, because their side has
        a film at one time point only, are then loaded as well.

    Raises
    ------
    TrainError
        If no joint has a region.
    """
    study.check_manager("train models on it")
    scheme = study.scheme
    names = tuple(dict.fromkeys(joint.group for joint in scheme.joints))
    entries: list[tuple[Case, str, tuple[tuple[int, FilmRecord, Box], ...]]] = []
    for id in cases:
        case = intact_case(study, id)
        if case is None:
            continue
        known = (*(intact_proposals(study, case) if proposed else ()), *intact_regions(study, case))
        regions = {(region.site, region.film): region.box for region in known}
        for site in _sites_with_films(case, scheme) if proposed else case.sites(scheme):
            films = [(time, case.film(time, site.side, site.part, scheme)) for time in case.times]
            seen = [
                (time, film, box)
                for time, film in films
                if film and (box := regions.get((site.key, film.id))) is not None
            ]
            pairs = combinations(seen, 2) if len(seen) > 1 else [seen] if seen else ()
            entries.extend((case, site.key, tuple(pair)) for pair in pairs)
    if not entries:
        raise TrainError("no joint has a region", study.path, "Confirm regions first")
    raters, scales = study.config.raters, scheme.scales
    content = [
        MARGIN,
        [
            (key, [(film.file or film.id, film.orientation, tuple(box)) for _, film, box in placed])
            for _, key, placed in entries
        ],
    ]
    cache = ImageCache(folder, "pairs", (len(entries), 2, PAIR_CROP_SIZE, PAIR_CROP_SIZE), content)
    labels = np.full((len(entries), len(raters), len(scales), 2), -1, np.int64)
    max_grades = np.full((len(entries), len(scales)), -1, np.int64)
    found = np.zeros((len(entries), len(raters), 2), bool)
    groups = np.zeros(len(entries), np.int64)
    levels: dict[str, npt.NDArray[np.float32]] = {}
    current = ""
    pair_times = {row: times for row, (*_, placed) in enumerate(entries) if (times := _find_times(placed)) != (0, 1)}
    for row, (case, key, placed) in enumerate(entries):
        times = pair_times.get(row, (0, 1))
        if not cache.is_complete:
            progress("preparing joints", row, len(entries))
        if case.id != current:
            current, levels = case.id, {}
            readings = {reading.rater: reading for reading in study.signed_readings(case.id)}
        site = scheme.site(key)
        groups[row] = names.index(site.joint.group)
        for time, film, box in () if cache.is_complete else placed:
            if film.id not in levels:
                levels[film.id] = _load_levels(study, case.id, film)
            cache.images[row, times.index(time)] = crop_joint(levels[film.id], box, site.side == "R")
        for column, scale in enumerate(scales):
            max_grades[row, column] = site.joint.max_grade(scale) if scale in site.joint.scales else -1
        for number, rater in enumerate(raters):
            reading = readings.get(rater)
            if reading is None or key not in reading.site_keys:
                continue
            for place, time in enumerate(times):
                found[row, number, place] = reading.finding(Slot(key, time)) is not None
            for time, *_ in placed:
                for column, scale in enumerate(scales):
                    if scale in site.joint.scales:
                        score = reading.score(Field(key, scale, time))
                        labels[row, number, column, times.index(time)] = -1 if score is None else score
    single = {
        row: pair_times.get(row, (0, 1)).index(placed[0][0])
        for row, (*_, placed) in enumerate(entries)
        if len(placed) == 1
    }
    if not cache.is_complete:
        for row, time in single.items():
            cache.images[row, 1 - time] = cache.images[row, time]
    cache.finish()
    progress("preparing joints", len(entries), len(entries))
    visits = {
        row: _name_visits(study, case, pair_times.get(row, (0, 1)))
        for row, (case, *_) in enumerate(entries)
        if row not in single
    }
    case_ids, keys = tuple(case.id for case, *_ in entries), tuple(key for _, key, _ in entries)
    return PairSamples(
        cache.images, labels, max_grades, groups, found, case_ids, keys, names, scales, single, pair_times, visits
    )


def _name_visits(study: Study, case: Case, times: tuple[int, int]) -> tuple[str, str]:
    first, last = (study.config.charter.visit_name(case.visit_numbers[time]) for time in times)
    return first, last


def _find_times(placed: Sequence[tuple[int, FilmRecord, Box]]) -> tuple[int, int]:
    """Return the time points of a sample: those of its two films, or of its only one."""
    times = [time for time, *_ in placed]
    return (0, 1) if {*times} <= {0, 1} else (times[0], times[-1])


def _sites_with_films(case: Case, scheme: Scheme) -> tuple[Site, ...]:
    """Return the sites with a film of their part and side, also those that can't be read."""
    return tuple(
        site
        for site in scheme.sites
        if any(case.film(time, site.side, site.part, scheme) is not None for time in case.times)
    )


def select_pairs(samples: PairSamples, cases: Collection[str]) -> PairSamples:
    """Return the joints of `cases`. Raises TrainError if there is none."""
    rows = [row for row, case in enumerate(samples.cases) if case in cases]
    if not rows:
        raise TrainError("none of these cases has a region", "", "Confirm regions first")
    return replace(
        samples,
        crops=cast(npt.NDArray[np.uint8], ImageRows(samples.crops, rows)),
        labels=samples.labels[rows],
        max_grades=samples.max_grades[rows],
        groups=samples.groups[rows],
        has_finding=samples.has_finding[rows],
        cases=tuple(samples.cases[row] for row in rows),
        sites=tuple(samples.sites[row] for row in rows),
        single_times={new: samples.single_times[old] for new, old in enumerate(rows) if old in samples.single_times},
        pair_times={new: samples.pair_times[old] for new, old in enumerate(rows) if old in samples.pair_times},
        visits={new: samples.visits[old] for new, old in enumerate(rows) if old in samples.visits},
    )


def drop_fixed_scores(samples: PairSamples) -> PairSamples:
    """Return `samples` without the scores of raters who entered a special finding of that joint at either time point.

    Such a score follows from the finding and says nothing about the picture. The paper leaves them out as well.
    """
    is_fixed = np.asarray(samples.has_finding.any(axis=2))[:, :, None, None]
    return replace(samples, labels=np.where(is_fixed, -1, samples.labels))


def check_learnable(samples: PairSamples, study: Path) -> None:
    """Raise TrainError if no joint of `samples` has a score that a scorer could learn from."""
    if not (samples.labels >= 0).any():
        raise TrainError(
            "no joint has a score in a signed reading",
            study,
            "Sign readings with scores; fields that are not assessable teach nothing",
        )


def list_signed_cases(study: Study) -> tuple[str, ...]:
    """Return the cases with at least one signed reading, without hidden repeats, which show the films of another case."""
    repeats = load_repeats(study)
    return tuple(id for id in study.cases() if id not in repeats and study.signed_readings(id))


def _load_levels(study: Study, case: str, record: FilmRecord) -> npt.NDArray[np.float32]:
    """Return the film's grey levels from 0 to 1, bone bright."""
    film = study.film(case, record.id, record.orientation)
    levels = normalize_intensity(film.pixels)
    return np.float32(1.0) - levels if film.is_inverted else levels

"""Simulated patients as the scorer meets them: joints cut out of both films, drawn once for every comparison.

What is true of a joint stays beside its crops; what a rater makes of it is drawn later, since films don't depend on it.
Nothing here is a study, and nothing passes through one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ratui.errors import TrainError
from ratui.imaging import stretch
from ratui.phantom import RATERS, PhantomPatient, SimulatedReading, render, set_by_hand, simulate_patient
from ratui.scheme import Scheme, Site, load_scheme
from trainer.data.pairs import CROP, PairSamples, crop_image
from trainer.data.phantoms import simulator

__all__ = ["Cohort", "cohort", "read_by"]

SHARD = 20
"""Patients in one file of crops; a file is the least that an interrupted drawing loses."""
FILM = (800, 656)
"""Rows and columns of a film here: a joint's crop has about as many pixels as the scorer sees."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Cohort:
    """Patients with known truth. `crops` (N, 2, CROP, CROP) uint8, right hands mirrored; `truth` (N, scales, 2) grades.

    `fixed` (N, 2) says where a finding is; `owner` (N,) indexes `patients`.
    """

    scheme: Scheme
    patients: tuple[PhantomPatient, ...]
    crops: npt.NDArray[np.uint8]
    truth: npt.NDArray[np.int64]
    fixed: npt.NDArray[np.bool_]
    owner: npt.NDArray[np.int64]
    sites: tuple[str, ...]

    @property
    def tops(self) -> npt.NDArray[np.int64]:
        """The largest grade of each joint by scale, (N, scales), −1 where it lacks the scale."""
        sites, scales = self.scheme.sites, self.scheme.scales
        tops = [[s.joint.maximum(scale) if scale in s.joint.scales else -1 for scale in scales] for s in sites]
        return np.tile(np.array(tops, np.int64), (len(self.patients), 1))

    @property
    def group_names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(joint.group for joint in self.scheme.joints))

    @property
    def groups(self) -> npt.NDArray[np.int64]:
        """The group of each joint, (N,), by place in `group_names`."""
        names = self.group_names
        return np.tile(np.array([names.index(site.joint.group) for site in self.scheme.sites]), len(self.patients))

    def first(self, patients: int) -> Cohort:
        """The cohort of its first `patients` alone: a smaller study is part of a larger one."""
        rows = int(np.searchsorted(self.owner, patients))
        return Cohort(
            self.scheme,
            self.patients[:patients],
            self.crops[:rows],
            self.truth[:rows],
            self.fixed[:rows],
            self.owner[:rows],
            self.sites[:rows],
        )


def cohort(patients: int, seed: int, folder: Path, progress: Progress, *, scheme: str = "fingers") -> Cohort:
    """The first `patients` of the cohort numbered `seed`; what is drawn is kept in `folder`. Raises TrainError."""
    loaded = load_scheme(scheme)
    sites = loaded.sites
    key = hashlib.sha256(f"{simulator()} {scheme} {seed} {FILM} {CROP} {SHARD}".encode()).hexdigest()[:16]
    people, parts = [], []
    for start in range(0, patients, SHARD):
        path = folder / f"cohort-{key}-{start:05d}.npy"
        shard = [_patient(seed, number, loaded) for number in range(start, start + SHARD)]
        if not path.exists():
            progress("drawing films", start, patients)
            drawn = np.stack([_crops(patient, seed, start + n) for n, patient in enumerate(shard)])
            _keep(path, drawn)
        part = np.load(path, mmap_mode="r")
        taken = min(SHARD, patients - start)
        people += shard[:taken]
        parts.append(part[:taken].reshape(-1, 2, CROP, CROP))
    progress("drawing films", patients, patients)
    truth = np.array(
        [
            [[patient.grade(site, scale, time) for time in (0, 1)] for scale in loaded.scales]
            for patient in people
            for site in sites
        ],
        np.int64,
    )
    fixed = np.array(
        [[(site.key, time) in patient.findings for time in (0, 1)] for patient in people for site in sites], bool
    )
    owner = np.repeat(np.arange(patients), len(sites))
    keys = tuple(site.key for _ in people for site in sites)
    return Cohort(loaded, tuple(people), np.concatenate(parts), truth, fixed, owner, keys)


def read_by(people: Cohort, kind: str, raters: int, seed: int) -> PairSamples:
    """`people` as `raters` raters of one `kind` have read them, each by themselves. Raises TrainError for no such kind."""
    if kind not in RATERS:
        raise TrainError(f"there is no rater of the kind {kind}", "--raters", f"Take from {', '.join(RATERS)}")
    scheme, sites = people.scheme, people.scheme.sites
    labels = np.full((len(people.crops), raters, len(scheme.scales), 2), -1, np.int64)
    found = np.zeros((len(people.crops), raters, 2), bool)
    number = list(RATERS).index(kind)
    for who, patient in enumerate(people.patients):
        for rater in range(raters):
            rng = np.random.default_rng([seed, number, rater, patient.seed])
            reading = RATERS[kind].read(patient, rng)
            for place, site in enumerate(sites):
                row = who * len(sites) + place
                for time in (0, 1):
                    found[row, rater, time] = (site.key, time) in reading.findings
                    for column, scale in enumerate(scheme.scales):
                        if scale in site.joint.scales:
                            labels[row, rater, column, time] = _score(scheme, site, scale, time, reading)
    return PairSamples(
        people.crops,
        labels,
        people.tops,
        people.groups,
        found,
        tuple(f"P{who:04d}" for who in people.owner),
        people.sites,
        people.group_names,
        scheme.scales,
    )


def _score(scheme: Scheme, site: Site, scale: str, time: int, reading: SimulatedReading) -> int:
    """The score that a rater's entry gives: the grade, or what the finding sets."""
    finding = reading.findings.get((site.key, time))
    fixed = site.joint.score_of(scheme.finding(finding), scale) if finding else None
    return reading.grades[site.key, scale, time] if fixed is None else fixed


def _patient(seed: int, number: int, scheme: Scheme) -> PhantomPatient:
    return simulate_patient(np.random.default_rng([seed, number]), scheme)


def _crops(patient: PhantomPatient, seed: int, number: int) -> npt.NDArray[np.uint8]:
    """One patient's joints at both time points, (sites, 2, CROP, CROP), boxes a little off as a careful rater's are."""
    rng = np.random.default_rng([seed, number, 1])
    sites = patient.scheme.sites
    crops = np.zeros((len(sites), 2, CROP, CROP), np.uint8)
    for time in (0, 1):
        for side in ("L", "R"):
            film = render(patient, "L" if side == "L" else "R", time, rng, size=FILM)
            levels = stretch(film.pixels)
            for row, site in enumerate(sites):
                if site.side == side:
                    crops[row, time] = crop_image(levels, set_by_hand(film.boxes[site.key], rng), side == "R")
    return crops


def _keep(path: Path, drawn: npt.NDArray[np.uint8]) -> None:
    temporary = path.with_suffix(".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            np.save(file, drawn)
        temporary.replace(path)
    except OSError as error:
        raise TrainError(f"the crops can't be kept: {error.strerror}", path, "Make room on the disk") from error

"""Simulated patients for comparisons: crops of their joints with true grades, and readings by simulated raters.

Crops are drawn once and cached. Readings are drawn for each comparison, because films do not depend on them. No study is
involved.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ratui.errors import TrainError
from ratui.files import atomic_write
from ratui.imaging import normalize_intensity
from ratui.phantom import RATERS, PhantomPatient, SimulatedReading, perturb_box, render, simulate_patient
from ratui.scheme import Scheme, Site, load_scheme
from trainer.data.pairs import PAIR_CROP_SIZE, PairSamples, crop_joint
from trainer.data.phantoms import digest_simulator

__all__ = ["Cohort", "load_cohort", "read_true_grades", "simulate_readings"]

PATIENTS_PER_FILE = 20
"""Patients in one cached file. An interruption loses at most one file."""
FILM_SIZE = (800, 656)
"""Rows and columns of a film, at which a joint has about as many pixels as the scorer sees."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Cohort:
    """Simulated patients with N joints in all.

    Attributes
    ----------
    scheme, patients
        The scheme, and the patients.
    crops
        Crops, shape (N, 2, PAIR_CROP_SIZE, PAIR_CROP_SIZE), uint8; right hands are mirrored.
    true_grades
        Grades, shape (N, scales, 2).
    has_finding
        True where the joint has a special finding, shape (N, 2).
    patient_index
        Patient of each joint, shape (N,), as an index into `patients`.
    sites
        Site of each joint.
    """

    scheme: Scheme
    patients: tuple[PhantomPatient, ...]
    crops: npt.NDArray[np.uint8]
    true_grades: npt.NDArray[np.int64]
    has_finding: npt.NDArray[np.bool_]
    patient_index: npt.NDArray[np.int64]
    sites: tuple[str, ...]

    @property
    def max_grades(self) -> npt.NDArray[np.int64]:
        """Largest grade of each joint and scale, shape (N, scales); −1 if the joint is not scored on that scale."""
        sites, scales = self.scheme.sites, self.scheme.scales
        max_grades = [[s.joint.max_grade(scale) if scale in s.joint.scales else -1 for scale in scales] for s in sites]
        return np.tile(np.array(max_grades, np.int64), (len(self.patients), 1))

    @property
    def group_names(self) -> tuple[str, ...]:
        """Names of the groups of joints in the scheme."""
        return tuple(dict.fromkeys(joint.group for joint in self.scheme.joints))

    @property
    def groups(self) -> npt.NDArray[np.int64]:
        """Group of each joint, shape (N,), as an index into `group_names`."""
        names = self.group_names
        return np.tile(np.array([names.index(site.joint.group) for site in self.scheme.sites]), len(self.patients))

    def head(self, patients: int) -> Cohort:
        """Return the cohort of the first `patients` only, so that a smaller study is part of a larger one."""
        rows = int(np.searchsorted(self.patient_index, patients))
        return Cohort(
            self.scheme,
            self.patients[:patients],
            self.crops[:rows],
            self.true_grades[:rows],
            self.has_finding[:rows],
            self.patient_index[:rows],
            self.sites[:rows],
        )

    def draw(self, patients: int, seed: int) -> tuple[Cohort, npt.NDArray[np.int64]]:
        """Return a cohort of `patients` patients that `seed` draws from this one, and the rows of their joints.

        A smaller draw of the same seed is a part of a larger one. Raises TrainError if there are not enough patients.
        """
        if patients > len(self.patients):
            raise TrainError(
                f"{patients} patients can't be drawn from {len(self.patients)}", "--pool", "Give a larger pool"
            )
        chosen = np.random.default_rng([seed, 23]).permutation(len(self.patients))[:patients]
        per_patient = len(self.crops) // len(self.patients)
        rows = (chosen[:, None] * per_patient + np.arange(per_patient)).ravel()
        return Cohort(
            self.scheme,
            tuple(self.patients[index] for index in chosen),
            self.crops[rows],
            self.true_grades[rows],
            self.has_finding[rows],
            np.repeat(np.arange(patients), per_patient),
            tuple(self.sites[row] for row in rows),
        ), rows


def load_cohort(patients: int, seed: int, folder: Path, progress: Progress, *, scheme: str = "fingers") -> Cohort:
    """Return the first `patients` patients of the cohort `seed`. Crops are cached in `folder`. Raises TrainError."""
    loaded = load_scheme(scheme)
    sites = loaded.sites
    key = hashlib.sha256(
        f"{digest_simulator()} {scheme} {seed} {FILM_SIZE} {PAIR_CROP_SIZE} {PATIENTS_PER_FILE}".encode()
    ).hexdigest()[:16]
    people, parts = [], []
    for start in range(0, patients, PATIENTS_PER_FILE):
        path = folder / f"cohort-{key}-{start:05d}.npy"
        shard = [_simulate_patient(seed, number, loaded) for number in range(start, start + PATIENTS_PER_FILE)]
        if not path.exists():
            progress("drawing films", start, patients)
            drawn = np.stack([_draw_crops(patient, seed, start + n) for n, patient in enumerate(shard)])
            _save_crops(path, drawn)
        part = np.load(path, mmap_mode="r")
        taken = min(PATIENTS_PER_FILE, patients - start)
        people += shard[:taken]
        parts.append(part[:taken].reshape(-1, 2, PAIR_CROP_SIZE, PAIR_CROP_SIZE))
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


def simulate_readings(people: Cohort, kind: str, raters: int, seed: int) -> PairSamples:
    """Return training samples: `people`, read independently by `raters` simulated raters of one `kind`.

    Raises TrainError for an unknown kind.
    """
    if kind not in RATERS:
        raise TrainError(f"there is no kind of rater {kind}", "--raters", f"Take from {', '.join(RATERS)}")
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
                            labels[row, rater, column, time] = _entry_score(scheme, site, scale, time, reading)
    return PairSamples(
        people.crops,
        labels,
        people.max_grades,
        people.groups,
        found,
        tuple(f"P{who:04d}" for who in people.patient_index),
        people.sites,
        people.group_names,
        scheme.scales,
    )


def read_true_grades(people: Cohort, seed: int) -> PairSamples:
    """Return training samples: `people` with their true grades, as one rater without errors would score them.

    The cases are named by `seed`, from which the cohort was drawn, and by their number.
    """
    has_scale = people.max_grades[:, None, :, None] >= 0
    return PairSamples(
        people.crops,
        np.where(has_scale, people.true_grades[:, None], -1),
        people.max_grades,
        people.groups,
        people.has_finding[:, None],
        tuple(f"phantom-{seed}-{who}" for who in people.patient_index),
        people.sites,
        people.group_names,
        people.scheme.scales,
    )


def _entry_score(scheme: Scheme, site: Site, scale: str, time: int, reading: SimulatedReading) -> int:
    """Return the score that follows from a rater's entry: the grade, or the score that a finding sets."""
    finding = reading.findings.get((site.key, time))
    fixed = site.joint.finding_score(scheme.finding(finding), scale) if finding else None
    return reading.grades[site.key, scale, time] if fixed is None else fixed


def _simulate_patient(seed: int, number: int, scheme: Scheme) -> PhantomPatient:
    return simulate_patient(np.random.default_rng([seed, number]), scheme)


def _draw_crops(patient: PhantomPatient, seed: int, number: int) -> npt.NDArray[np.uint8]:
    """Return one patient's joints, (sites, 2, PAIR_CROP_SIZE, PAIR_CROP_SIZE), with boxes as a careful rater sets them."""
    rng = np.random.default_rng([seed, number, 1])
    sites = patient.scheme.sites
    crops = np.zeros((len(sites), 2, PAIR_CROP_SIZE, PAIR_CROP_SIZE), np.uint8)
    for time in (0, 1):
        for side in ("L", "R"):
            film = render(patient, "L" if side == "L" else "R", time, rng, size=FILM_SIZE)
            levels = normalize_intensity(film.pixels)
            for row, site in enumerate(sites):
                if site.side == side:
                    crops[row, time] = crop_joint(levels, perturb_box(film.boxes[site.key], rng), side == "R")
    return crops


def _save_crops(path: Path, drawn: npt.NDArray[np.uint8]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.save(file, drawn)
    except OSError as error:
        raise TrainError(f"the crops can't be written: {error.strerror}", path, "Free some disk space") from error

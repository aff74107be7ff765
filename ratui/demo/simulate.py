"""Simulation of a study: patients and their films, imported and read as in a real study, by simulated raters.

All entries pass through `ratui.reading.enter` and all films through the import, so all rules of the app are applied.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from ratui.errors import StudyError
from ratui.files import temporary_folder
from ratui.phantom import (
    RATERS,
    PhantomPatient,
    SimulatedReading,
    WrittenFilm,
    perturb_box,
    simulate_patient,
    write_patient_films,
)
from ratui.pool_worker import prepare_worker
from ratui.practice.simulated_study import ProgressCallback, import_written_films, save_true_boxes
from ratui.reading import (
    DisplayRecord,
    Entry,
    Field,
    FindingEntry,
    GradeEntry,
    NotAssessableEntry,
    Reading,
    enter,
    find_next_open_field,
    sign,
)
from ratui.scheme import load_scheme
from ratui.study import KeyFile, Study
from ratui.study.campaign.repeats import load_repeats
from ratui.study.readings.reading_session import add_entry

__all__ = ["SimulatedStudy", "Simulation", "choose_entry", "read_case", "simulate_study"]

_FIRST_READING = datetime(2022, 1, 10, 18, 0, tzinfo=UTC)
"""Earliest time of a simulated reading; a fixed date makes the study reproducible."""
_LAST_FILM = date(2021, 12, 31)
"""Latest date of a film: before all readings, because the import refuses films with a date in the future."""
_LONGEST = 7300
"""Largest number of days from the first film of a patient to the last: about 20 years."""


@dataclass(frozen=True)
class Simulation:
    """Parameters of a simulated study.

    Attributes
    ----------
    patients
        Number of patients.
    raters
        Kind of rater in `ratui.phantom.RATERS` by rater ID.
    size
        (rows, columns) of a film of one hand or foot, in pixels.
    seed
        Seed of everything random.
    scheme
        Name of the scoring scheme.
    title
        Title of the study.
    both_hands_share
        Proportion of patients whose films show both hands, or both feet; such a film is twice as wide.
    severity
        Severity of every patient's disease: 1 is the mean, 0 is healthy. If None, it is drawn for each patient.
    visits
        Number of visits of each patient, 1 to 8.
    interval
        Mean number of days between two visits; the days of a patient differ from it by up to a tenth. If None, they are
        drawn from 300 to 900.
    raters_per_case
        Number of raters who read each case; 0 for all of them.
    blinded
        Raters do not know the order of the visits.
    missing_share
        Proportion of the fields that a rater calls not assessable, with a reason that is drawn.
    """

    patients: int
    raters: Mapping[str, str]
    size: tuple[int, int] = (1250, 1024)
    seed: int = 0
    scheme: str = "fingers"
    title: str = "Phantom hands"
    both_hands_share: float = 0.0
    severity: float | None = None
    visits: int = 2
    interval: int | None = None
    raters_per_case: int = 0
    blinded: bool = False
    missing_share: float = 0.0


@dataclass(frozen=True)
class SimulatedStudy:
    """A study of simulated patients.

    Attributes
    ----------
    study
        The study, as a manager sees it.
    patients
        The patient of each case, with the truth, by name of the case.
    films
        The films of each case with the true boxes, by name of the case.
    """

    study: Study
    patients: Mapping[str, PhantomPatient]
    films: Mapping[str, Sequence[WrittenFilm]]

    def make_truth_rows(self) -> Iterator[tuple[str, int, str, str, int, str]]:
        """Yield case, visit, site, scale, true grade and finding (or an empty text) of every field."""
        for case, patient in sorted(self.patients.items()):
            for (site, scale, visit), grade in sorted(patient.grades.items()):
                yield case, visit, site, scale, grade, patient.findings.get((site, visit), "")

    def _original(self, case: str) -> str:
        if case in self.patients:
            return case
        return load_repeats(self.study)[case].original

    def confirm_regions(self, case: str, rater: str, rng: np.random.Generator) -> None:
        """Save the true boxes of `case`, which may be a hidden repeat, with the small errors of a careful rater."""
        films = self.films[self._original(case)]
        save_true_boxes(self.study, self.study.case(case), films, rater, lambda box: perturb_box(box, rng))

    def read(
        self,
        case: str,
        rater: str,
        kind: str,
        rng: np.random.Generator,
        *,
        begun: datetime | None = None,
        missing_share: float = 0.0,
        display: DisplayRecord | None = None,
    ) -> Reading:
        """Read and sign `case`, which may be a hidden repeat.

        `kind` is the rater's in `ratui.phantom.RATERS`; the others are as in `read_case`.
        """
        seen = RATERS[kind].read(self.patients[self._original(case)], rng)
        return read_case(self.study, rater, case, seen, rng, begun=begun, missing_share=missing_share, display=display)


def simulate_study(
    path: Path,
    simulation: Simulation,
    *,
    key: Path,
    progress: ProgressCallback,
    unread: Mapping[str, int] | None = None,
) -> SimulatedStudy:
    """Create a study of simulated patients that their raters have read and signed.

    Parameters
    ----------
    path
        Folder of the new study.
    simulation
        Parameters of the simulation.
    key
        File for the key to the pseudonyms.
    progress
        Called with (stage, done, total).
    unread
        Number of cases at the end of the study that a rater leaves unread, by rater ID. If no rater reads a case, its
        regions remain unconfirmed.

    Raises
    ------
    StudyError
        If the study cannot be created, or if the visits are more than 20 years apart.
    """
    if (simulation.visits - 1) * (simulation.interval or 0) > _LONGEST:
        raise StudyError("the first and the last visit are more than 20 years apart", path, "Give a shorter interval")
    scheme = load_scheme(simulation.scheme)
    # Equal seeds give equal case names, which decide the split of the cases for the trainer.
    keys = KeyFile.create(key, secret=f"simulated patients {simulation.seed}".encode())
    study = Study.create(
        path,
        scheme,
        tuple(simulation.raters),
        title=simulation.title,
        blinded=simulation.blinded,
        raters_per_case=simulation.raters_per_case,
    )
    keys.save(study)
    seeds = np.random.SeedSequence(simulation.seed).spawn(simulation.patients)
    patients = [
        simulate_patient(np.random.default_rng(seed), scheme, severity=simulation.severity, visits=simulation.visits)
        for seed in seeds
    ]
    with temporary_folder("ratui-hospital-") as folder:
        written = _write_all_films(patients, seeds, folder, simulation, progress)
        names = import_written_films(
            study, folder, written, key=key, progress=progress, visits=max(2, simulation.visits)
        )
    keys = KeyFile.open(study, key)
    keys.save(study)
    order = sorted((name, number) for number, name in enumerate(names))
    simulated = SimulatedStudy(
        study, {case: patients[number] for case, number in order}, {case: written[number] for case, number in order}
    )
    unread_counts = dict(unread or {})
    for place, (case_id, number) in enumerate(order):
        progress("reading", place, len(order))
        rng = np.random.default_rng([simulation.seed, number])
        from_end = len(order) - place
        raters = [rater for rater in study.raters_of(case_id) if from_end > unread_counts.get(rater, 0)]
        if raters:
            simulated.confirm_regions(case_id, raters[0], rng)
        for rater in raters:
            simulated.read(case_id, rater, simulation.raters[rater], rng, missing_share=simulation.missing_share)
    progress("reading", len(order), len(order))
    return simulated


def read_case(
    study: Study,
    rater: str,
    case: str,
    simulated: SimulatedReading,
    rng: np.random.Generator,
    *,
    begun: datetime | None = None,
    missing_share: float = 0.0,
    display: DisplayRecord | None = None,
) -> Reading:
    """Enter a simulated reading into a case as `rater`, field by field in the app's order, and sign it.

    Parameters
    ----------
    study
        The study, as a manager sees it.
    rater, case
        ID of the rater, and name of the case. The rater's reading of it may be empty or begun, and must not be signed.
    simulated
        The answers, by the number of the visit.
    rng
        Generator of the times of the entries, and of the fields that are not assessable.
    begun
        Time of the first entry; drawn if None.
    missing_share
        Proportion of the fields that are not assessable.
    display
        The display of the entries; None if it is not recorded.

    Returns
    -------
    Reading
        The signed reading.
    """
    drawn = _FIRST_READING + timedelta(days=int(rng.integers(0, 200)), minutes=int(rng.integers(0, 120)))
    at = drawn if begun is None else begun
    visits = {film.time: film.number for film in study.case(case).films}
    with study.open_reading(rater, case) as session:
        reading, first, displays = session.reading, at, session.displays
        field = find_next_open_field(reading)
        while field is not None:
            at += timedelta(seconds=float(rng.uniform(0.6, 2.4)))
            entry = choose_entry(reading, field, visits[field.time], simulated)
            if missing_share and rng.random() < missing_share:
                entry = NotAssessableEntry(reading.scheme.reasons[int(rng.integers(len(reading.scheme.reasons)))].id)
            reading = enter(reading, field, entry, timestamp=at, key=_entry_key(reading, entry), display=display)
            if display is not None:
                enough = display.is_sufficient
                displays = add_entry(displays, display.protocol, display.pixels_per_mm, enough=enough)
            field = find_next_open_field(reading, after=field)
        reading = sign(reading, timestamp=at + timedelta(seconds=3))
        session.save(reading, seconds=(at - first).total_seconds(), displays=displays)
    return reading


def choose_entry(reading: Reading, field: Field, visit: int, simulated: SimulatedReading) -> Entry:
    """Return the entry in `field` at visit number `visit`: a finding if it fixes the score, else a grade."""
    finding = simulated.findings.get((field.site, visit))
    if finding and field.scale in reading.site(field.site).joint.scales_fixed_by(reading.scheme.finding(finding)):
        return FindingEntry(finding)
    return GradeEntry(simulated.grades[field.site, field.scale, visit])


def _entry_key(reading: Reading, entry: Entry) -> str:
    match entry:
        case FindingEntry(finding):
            return reading.scheme.finding(finding).key
        case NotAssessableEntry(reason):
            return reading.scheme.reason(reason).key
        case GradeEntry(grade):
            return str(grade)


def _write_all_films(
    patients: list[PhantomPatient],
    seeds: list[np.random.SeedSequence],
    folder: Path,
    simulation: Simulation,
    progress: ProgressCallback,
) -> list[list[WrittenFilm]]:
    """Draw and write the films of all patients, on all processor cores."""
    written: list[list[WrittenFilm]] = [[] for _ in patients]
    # Spawn, do not fork: a fork copies locks that the caller's threads may hold, and the child would wait for ever.
    workers = min(os.cpu_count() or 1, len(patients))
    with ProcessPoolExecutor(workers, get_context("spawn"), prepare_worker) as pool:
        jobs = {
            pool.submit(_write_films_of_patient, patient, seed, folder, f"{number:04d}", simulation): number
            for number, (patient, seed) in enumerate(zip(patients, seeds, strict=True))
        }
        try:
            for done, job in enumerate(as_completed(jobs), start=1):
                written[jobs[job]] = job.result()
                progress("drawing films", done, len(patients))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # otherwise the pool would draw all films before it ends
            raise
    return written


def _write_films_of_patient(
    patient: PhantomPatient, seed: np.random.SeedSequence, folder: Path, name: str, simulation: Simulation
) -> list[WrittenFilm]:
    rng = np.random.default_rng(seed.spawn(1)[0])
    dates = [date(2018, 1, 1) + timedelta(days=int(rng.integers(0, 900)))]
    tenth = 0 if simulation.interval is None else simulation.interval // 10
    shortest, longest = (
        (300, 900) if simulation.interval is None else (simulation.interval - tenth, simulation.interval + tenth + 1)
    )
    while len(dates) < simulation.visits:
        dates.append(dates[-1] + timedelta(days=int(rng.integers(shortest, longest))))
    late = max(timedelta(0), dates[-1] - _LAST_FILM)
    dates = [day - late for day in dates]
    both_hands = simulation.both_hands_share > 0 and float(rng.random()) < simulation.both_hands_share
    return write_patient_films(
        patient, folder, rng, name=name, dates=dates, size=simulation.size, both_hands=both_hands
    )

"""A study to practise on: after each joint the screens show the known answer, and how the answers so far agree with it."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from ratui.errors import StudyError, clean_text
from ratui.practice.first_answers import find_first_scores
from ratui.practice.simulated_study import ProgressCallback, SimulatedCases, create_simulated_study
from ratui.practice.truth import Truth, truth_from_reading
from ratui.reading import Entry, Field, Reading
from ratui.results.released import collect_released_readings
from ratui.scheme import Scheme
from ratui.study import AnswerSummary, Case, RevealedAnswers, Study
from ratui.study.campaign.charter_changes import set_charter
from ratui.study.film_files import read_intact_film_data, write_films

__all__ = ["TRAINEE", "PracticeStudy", "open_reference_practice", "open_simulated_practice"]

TRAINEE = "you"
"""ID of the person who practises."""


class PracticeStudy(Study):
    """A study whose joints have known answers.

    Parameters
    ----------
    study
        The study, for practice only: no reading of it counts.
    truth
        The known answers.
    reveals
        Origin of the known answers: ``truth``, or ``reference`` for those of a reference reading.
    """

    def __init__(self, study: Study, truth: Truth, reveals: RevealedAnswers) -> None:
        super().__init__(study.path, study.config, study.scheme)
        self.truth = truth
        self.reveals = reveals
        self._first: dict[str, Mapping[Field, float | None]] = {}
        """The first answers of each case that was opened."""

    def as_rater(self, rater: str) -> Study:
        """Return this study itself, whatever `rater` is: a trainee may see the time points and the answers."""
        return self

    def load_other_answers(self, case: str, site: str) -> tuple[Mapping[Field, Entry], ...]:
        """Return the known answer at `site`."""
        known = self.truth.get(case, {})
        answers = {field: answer.entry for field, answer in known.items() if field.site == site}
        return (answers,) if answers else ()

    def list_review_sites(self, case: str) -> frozenset[str] | None:
        """Return no sites: the trainee has compared all answers already, so the review lists none."""
        return frozenset()

    def summarize_answers(self, reading: Reading | None = None) -> AnswerSummary:
        """Return the agreement of the first answers with the known ones, with `reading` as it stands now."""
        from ratui.practice.marking import compute_mean_kappa

        if reading is not None:
            self._first[reading.case] = find_first_scores(reading)
        answers = [
            (field, own, known[field].score)
            for case, first in self._first.items()
            for known in (self.truth.get(case, {}),)
            for field, own in first.items()
            if field in known
        ]
        joints = {(case, field.site) for case, first in self._first.items() for field in first}
        differences = [own - true for _, own, true in answers if own is not None and true is not None]
        mean = float(np.mean(differences)) if differences else None
        return AnswerSummary(len(joints), compute_mean_kappa(answers), mean)


def open_simulated_practice(
    path: Path,
    scheme: Scheme | str,
    *,
    cases: int,
    seed: int | None = None,
    severity: float | None = None,
    size: tuple[int, int] = (1250, 1024),
    visits: int = 2,
    progress: ProgressCallback,
) -> PracticeStudy:
    """Create a study of single hands or feet of simulated patients in the new folder `path`, to practise on.

    Parameters are those of `SimulatedCases`; the seed is drawn if it is None. Raises StudyError or SchemeError.
    """
    drawn = secrets.randbits(128) if seed is None else seed
    simulated = SimulatedCases(cases, drawn, is_one_sided=True, severity=severity, size=size, visits=visits)
    study, truth = create_simulated_study(
        path, scheme, (TRAINEE,), simulated, title="Practice: simulated joints", progress=progress
    )
    return PracticeStudy(study, truth, "truth")


def open_reference_practice(
    path: Path, reference: Study, rater: str, *, cases: int, progress: ProgressCallback
) -> PracticeStudy:
    """Copy cases that `rater` has signed in the study `reference` into the new folder `path`, to practise on.

    Nothing in `reference` is changed. The cases are the first ones by name; for an account that does not manage `reference`,
    the first that all their raters have signed.

    Raises
    ------
    StudyError
        If the study has no such rater or no signed case of theirs, or this account may not read that.
    StudyError, StoreError, FilmError
        If a file cannot be read or written.
    """
    if rater not in reference.config.raters:
        known = ", ".join(reference.config.raters)
        raise StudyError(
            f"{clean_text(rater)} is not a rater of this study", reference.path, f"Its raters are: {known}"
        )
    readings: dict[str, Reading] = {}
    # A rater who may still read a case must not see the answers of others first.
    permitted = reference.cases() if reference.is_manager else collect_released_readings(reference, (rater,)).readings
    for case in permitted:
        reading = reference.reading(rater, case) if len(readings) < cases else None
        if reading is not None and reading.signed_at is not None:
            readings[case] = reading
    if not readings:
        raise StudyError(f"{clean_text(rater)} has signed no case", reference.path, "Choose another rater or study")
    study = Study.create(path, reference.scheme, (TRAINEE,), title="Practice: reference reading")
    if names := reference.config.charter.visit_names:
        set_charter(study, {"visits": list(names)}, study.config.title)
    for number, case in enumerate(readings):
        progress("copying films", number, len(readings))
        _copy_case(study, reference, reference.case(case))
    progress("copying films", len(readings), len(readings))
    truth = {case: truth_from_reading(reading) for case, reading in readings.items()}
    return PracticeStudy(study, truth, "reference")


def _copy_case(study: Study, reference: Study, case: Case) -> None:
    """Copy the films of `case`, as they are displayed, and its regions."""
    files = {film.id: read_intact_film_data(reference.folder, case, film.id) for film in case.films}
    stored = case.as_stored()
    films = tuple(replace(film, file=hashlib.sha256(files[film.id]).hexdigest()) for film in stored.films)
    write_films(study.folder, Case(case.id, films), files)
    study.save_case(Case(case.id, films))
    turned = [each for each in reference.orientations(case.id).values() if each.film in files]
    regions = [replace(each, confirmed_by=TRAINEE) for each in reference.stored_regions(case.id) if each.film in files]
    with study.regions_lock(case.id):
        study.write_regions(case.id, regions, turned)

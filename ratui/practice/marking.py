"""The agreement of answers with the truth, and the marks of an examination.

The statistics are those of `ratui.results.statistics`, with the truth in the place of a second rater.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ratui.errors import StudyError
from ratui.practice.examination import Examination
from ratui.practice.truth import KnownAnswer
from ratui.reading import Field, Reading, find_log_problems, find_problems
from ratui.results.quantities import Quantity, list_quantities, name_visits
from ratui.results.statistics import (
    contingency_tables,
    icc_agreement,
    quadratic_kappa,
    smallest_detectable_change,
)
from ratui.study import Study
from ratui.study.campaign.charter import Qualification
from ratui.study.campaign.qualifications import Figures, find_shortfalls

__all__ = [
    "ExamResult",
    "Figures",
    "QuantityFigures",
    "compute_mean_kappa",
    "mark_examination",
    "measure_answers",
    "measure_quantities",
]

MIN_SCORED = 0.95
"""Least proportion of the fields that must have a score. Otherwise a rater could pass by leaving the difficult ones out."""
Scores = Mapping[Field, float | None]


@dataclass(frozen=True)
class QuantityFigures:
    """The agreement of a rater with the truth in one quantity; None for a figure that is not defined.

    Attributes
    ----------
    name
        Name of the status at a visit, or of the change between two visits, see `list_quantities`.
    icc
        ICC(2,1) of the totals.
    sdc
        Smallest detectable change against the truth, in points; None for a status.
    """

    name: str
    icc: float | None
    sdc: float | None


@dataclass(frozen=True)
class ExamResult:
    """The result of one rater.

    Attributes
    ----------
    rater
        ID of the rater.
    figures
        Agreement with the truth; None if the rater has not signed all cases.
    shortfalls
        A text for each reason why the rater has not passed; empty if the rater has.
    reopened
        Number of readings that were opened again after their signature.
    readings
        SHA-256 of the file of each reading, by case.
    quantities
        Agreement with the truth in the status at each visit and in each change, by name; empty without `figures`.
    """

    rater: str
    figures: Figures | None
    shortfalls: tuple[str, ...]
    reopened: int
    readings: Mapping[str, str]
    quantities: tuple[QuantityFigures, ...] = ()

    @property
    def has_passed(self) -> bool:
        """True if the rater has signed every case and reaches every mark."""
        return not self.shortfalls

    def to_record(self) -> dict[str, Any]:
        """Return the result as plain values for JSON; figures that are not defined are None."""
        return {
            "rater": self.rater,
            "passed": self.has_passed,
            "shortfalls": list(self.shortfalls),
            "figures": None if self.figures is None else asdict(self.figures),
            "reopened": self.reopened,
            "readings": dict(self.readings),
            "quantities": [asdict(each) for each in self.quantities],
        }


def measure_answers(pairs: Sequence[tuple[Scores, Mapping[Field, KnownAnswer]]]) -> Figures:
    """Return the agreement of answers with the truth.

    Totals of a case count the (site, scale) pairs with a score at every visit. The status is the total at the last visit.
    The change is that from the first to the last, and not defined for a single visit. Kappa counts all visits.

    Parameters
    ----------
    pairs
        For each case the scores of the rater and the known answers, by field. All cases have the same visits.

    Raises
    ------
    StudyError
        If scipy is not installed.
    """
    totals = _sum_cases(pairs)
    count = totals.shape[2]
    status = _measure(totals, Quantity("status", count - 1))
    change = _measure(totals, Quantity("change", count - 1, 0)) if count > 1 else QuantityFigures("change", None, None)
    known = [(field, own.get(field), answer.score) for own, truth in pairs for field, answer in truth.items()]
    scored = [(own, true) for _, own, true in known if own is not None and true is not None]
    return Figures(
        cases=len(pairs),
        fields=sum(true is not None for *_, true in known),
        scored=len(scored),
        icc_status=status.icc,
        icc_change=change.icc,
        kappa=compute_mean_kappa(known),
        sdc=change.sdc,
        difference=float(np.mean([own - true for own, true in scored])) if scored else None,
    )


def measure_quantities(
    pairs: Sequence[tuple[Scores, Mapping[Field, KnownAnswer]]], names: Sequence[str]
) -> tuple[QuantityFigures, ...]:
    """Return the agreement in the status at each visit and in the changes between visits, which have these `names`.

    Totals and `pairs` are those of `measure_answers`, whose errors it raises.
    """
    totals = _sum_cases(pairs)
    return tuple(_measure(totals, quantity) for quantity in list_quantities(names))


def _measure(totals: npt.NDArray[np.float64], quantity: Quantity) -> QuantityFigures:
    """Return the agreement in `quantity` of totals, shape (cases, 2, visits): the rater and the truth."""
    last = totals[:, :, quantity.last]
    if quantity.first is None:
        return QuantityFigures(quantity.name, _defined(icc_agreement(last).value), None)
    change = last - totals[:, :, quantity.first]
    sdc = smallest_detectable_change(change, 1).value
    return QuantityFigures(quantity.name, _defined(icc_agreement(change).value), _defined(sdc))


def compute_mean_kappa(answers: Sequence[tuple[Field, float | None, float | None]]) -> float | None:
    """Return the quadratic-weighted kappa of (field, own score, true score), the mean over the scales.

    Fields without one of the scores are left out. None if kappa is defined for no scale.
    """
    kappas = []
    for scale in sorted({field.scale for field, *_ in answers}):
        rows = [(own, true) for field, own, true in answers if field.scale == scale]
        own, true = (np.array([np.nan if row[i] is None else row[i] for row in rows], dtype=np.float64) for i in (0, 1))
        values = np.concatenate([own, true])
        if not np.isfinite(values).any():
            continue
        grades = int(np.nanmax(values)) + 1
        table = contingency_tables(own, true, np.zeros(len(rows), dtype=np.int64), 1, grades)
        kappas.append(float(quadratic_kappa(table)[0]))
    defined = [kappa for kappa in kappas if math.isfinite(kappa)]
    return float(np.mean(defined)) if defined else None


def _sum_cases(pairs: Sequence[tuple[Scores, Mapping[Field, KnownAnswer]]]) -> npt.NDArray[np.float64]:
    """Return the totals, shape (cases, 2, visits): the rater and the truth. All cases have the same visits."""
    return np.array([_sum_common(own, truth) for own, truth in pairs])


def _sum_common(own: Scores, truth: Mapping[Field, KnownAnswer]) -> npt.NDArray[np.float64]:
    """Return the totals of one case, shape (2, visits): the rater and the truth."""
    times = sorted({field.time for field in truth})
    totals = np.zeros((2, len(times)))
    for site, scale in sorted({(field.site, field.scale) for field in truth}):
        fields = [Field(site, scale, time) for time in times]
        if any(field not in truth or truth[field].score is None or own.get(field) is None for field in fields):
            continue
        for column, field in enumerate(fields):
            totals[:, column] += own[field], truth[field].score  # type: ignore[arg-type]
    return totals


def _defined(value: float) -> float | None:
    return value if math.isfinite(value) else None


def mark_examination(study: Study, examination: Examination, marks: Qualification) -> tuple[ExamResult, ...]:
    """Verify and mark the readings of an examination, one result for each rater of `study`.

    Parameters
    ----------
    study
        The study of the examination, for its manager.
    examination
        Its truth, see `open_examination`, which has verified the films.
    marks
        The marks to reach.

    Raises
    ------
    StudyError, StoreError
        If this account does not manage the study, a reading is damaged or contradicts its log, or scipy is not installed.
    """
    study.check_manager("mark its examination")
    return tuple(_mark_rater(study, examination, rater, marks) for rater in study.config.raters)


def _mark_rater(study: Study, examination: Examination, rater: str, marks: Qualification) -> ExamResult:
    cases = sorted(case for case in examination.truth if rater in study.raters_of(case))
    readings = {case: reading for case in cases if (reading := study.reading(rater, case)) is not None}
    for reading in readings.values():
        _verify(reading)
    signed = [case for case, reading in readings.items() if reading.signed_at is not None]
    reopened = sum(any(entry.kind == "reopen" for entry in reading.log) for reading in readings.values())
    digests = {case: study.folder.digest(f"readings/{rater}/{case}.json") for case in readings}
    if len(signed) < len(examination.truth):
        why = f"{len(signed)} of {len(examination.truth)} cases are signed"
        return ExamResult(rater, None, (why,), reopened, digests)
    pairs = [(_scores(readings[case]), examination.truth[case]) for case in cases]
    figures = measure_answers(pairs)
    quantities = measure_quantities(pairs, name_visits(study, range(examination.visits)))
    shortfalls = list(find_shortfalls(figures, marks))
    if figures.scored < MIN_SCORED * figures.fields:
        shortfalls.append(f"{figures.scored} of {figures.fields} fields have a score, {MIN_SCORED:.0%} are needed")
    return ExamResult(rater, figures, tuple(shortfalls), reopened, digests, quantities)


def _scores(reading: Reading) -> Scores:
    scores = {field: reading.score(field) for field in reading.fields}
    return {field: None if score is None else float(score) for field, score in scores.items()}


def _verify(reading: Reading) -> None:
    """Raise StudyError if `reading` breaks the rules of the score, or does not follow from its log."""
    problems = [*find_problems(reading), *find_log_problems(reading)]
    if problems:
        problem = f"the reading of {reading.rater} is not valid: {problems[0]}"
        raise StudyError(problem, reading.case, "See: ratui check STUDY")

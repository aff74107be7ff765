"""Tables of the final scores: a plain one, and a change table for analysis in the style of an ADaM Basic Data Structure.

The second follows the variables of ADaM's Basic Data Structure (CDISC ADaM Implementation Guide 1.3, section 3.3): one row
per subject, parameter and visit, with the baseline and the change from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ratui.results.agreement import TOTAL
from ratui.results.export.signed_readings import ExportSource
from ratui.results.export.tables import LATE_CHANGE, Column, Table
from ratui.results.final_scores import FINAL_MEANINGS, FinalScores, compute_final_scores
from ratui.results.joint_space import load_released_measurements
from ratui.results.quantities import Quantity
from ratui.results.rater_totals import PROGRESSION, compute_years_between
from ratui.results.totals import Floats, MissingRule

__all__ = ["build_adam_table", "build_final_table"]

_ADAM_NAMES = {"ERO": "Erosion Score", "JSN": "Joint Space Narrowing Score", TOTAL: "Total Sharp Score"}


def build_final_table(source: ExportSource, rule: MissingRule) -> Table:
    """Return the final score of each case, scale and visit, with its changes, under the rules of the charter."""
    study = source.study
    final = compute_final_scores(study, source.released, rule)
    columns = (
        Column("case", "text", "the patient's pseudonym"),
        Column("scale", "text", "the scale, or total for all scales", ", ".join((*study.scheme.scales, TOTAL))),
        Column("time", "integer", "number of the visit in the study, 0 the baseline", "0 to 7"),
        Column("visit", "id", "name of the visit"),
        Column("day", "integer", "days from the patient's first film to those of this visit; empty if unknown"),
        Column("score", "number", "the final score"),
        Column("change", "number", "its change from the baseline; empty at the baseline"),
        Column("change_previous", "number", "its change from the visit before in the study; empty at the baseline"),
        Column("years", "number", "years of 365.25 days since the baseline; empty if a day is unknown"),
        Column("readers", "integer", "number of raters of the case"),
        Column("source", "text", "origin of the score; empty if there is none", "raters, consensus"),
        Column("final_rule", "text", f"rule for the final score: {FINAL_MEANINGS[final.rule]}", final.rule),
        Column("missing_rule", "text", f"rule for fields without a score: {rule.meaning}", rule.name),
        Column("surgery_rule", "text", "score of a joint after surgery", "scheme, maximum"),
        LATE_CHANGE,
    )
    return Table(
        "final", "the final score of one patient on one scale at one visit", columns, list(_rows(source, final))
    )


def _final_values(final: FinalScores) -> dict[tuple[str, int | None, int], Any]:
    """Return all final scores, shape (cases,), by scale, index of the earlier visit of a change or None, and last visit."""
    scales: list[tuple[str, str | None]] = [*((scale, scale) for scale in final.raters.scheme.scales), (TOTAL, None)]
    quantities = {(each.first, each.last): each for each in final.raters.quantities}
    for last in range(2, len(final.raters.visits)):
        quantities.setdefault((last - 1, last), Quantity("", last, last - 1))
    return {(name, *key): final.quantity(each, scale) for name, scale in scales for key, each in quantities.items()}


def _days(final: FinalScores, row: int) -> Mapping[int, int]:
    """Return the day of each visit of a case, by the number of the visit."""
    days = zip(final.raters.visits, final.raters.days[row], strict=True)
    return {visit: int(day) for visit, day in days if np.isfinite(day)}


def _years_since_first(final: FinalScores) -> list[Floats]:
    """Return the years from the first visit to each visit, shape (cases,); NaN if they are not known."""
    return [compute_years_between(final.raters.days, 0, place) for place in range(len(final.raters.visits))]


def _rows(source: ExportSource, final: FinalScores) -> Iterator[tuple[Any, ...]]:
    values, raters = _final_values(final), final.raters
    years_since_first = _years_since_first(final)
    for row, (case, readers, origin) in enumerate(zip(final.cases, final.readers, final.sources, strict=True)):
        days, numbers = _days(final, row), source.released.visit_numbers[case]
        for scale in (*raters.scheme.scales, TOTAL):
            for place, visit in enumerate(raters.visits):
                if visit not in numbers:
                    continue
                years = years_since_first[place][row]
                yield (
                    case,
                    scale,
                    visit,
                    raters.visit_names[place],
                    days.get(visit),
                    _cell(values[scale, None, place][row]),
                    _cell(values[scale, 0, place][row]) if place else None,
                    _cell(values[scale, place - 1, place][row]) if place else None,
                    _cell(years),
                    readers,
                    origin or None,
                    final.rule,
                    raters.rule.name,
                    raters.surgery,
                    source.find_late_mark_of_case(case, origin),
                )


def _cell(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def build_adam_table(source: ExportSource, rule: MissingRule) -> Table:
    """Return the final scores as rows of an ADaM Basic Data Structure, one per subject, parameter and visit."""
    study = source.study
    final = compute_final_scores(study, source.released, rule)
    values, raters = _final_values(final), final.raters
    years_since_first = _years_since_first(final)
    derived = {"mean": "AVERAGE", "consensus_or_mean": "AVERAGE"}.get(final.rule, "MEDIAN")
    rows: list[tuple[Any, ...]] = []
    for row, (case, readers, origin) in enumerate(zip(final.cases, final.readers, final.sources, strict=True)):
        days, numbers = _days(final, row), source.released.visit_numbers[case]
        for number, scale in enumerate((*raters.scheme.scales, TOTAL), start=1):
            base = _cell(values[scale, None, 0][row])
            for place, visit in enumerate(raters.visits):
                score = _cell(values[scale, None, place][row])
                if visit not in numbers or score is None:
                    continue
                change = _cell(values[scale, 0, place][row]) if place else None
                years = years_since_first[place][row]
                yearly = change is not None and np.isfinite(years)
                rows.append(
                    (
                        study.config.id,
                        f"{study.config.id}-{case}",
                        case,
                        _ADAM_NAMES.get(scale, scale),
                        scale.upper()[:8],
                        number,
                        raters.visit_names[place],
                        visit,
                        days[visit] + 1 if visit in days else None,
                        score,
                        base,
                        change,
                        "Y" if not place else None,
                        derived if origin == "raters" and readers > 1 else None,
                        "INDEPENDENT ASSESSOR" if origin == "raters" else "ADJUDICATOR",
                        None if change is None else "Change from baseline >= 5",
                        None if change is None else "Y" if change >= 5 else "N",
                        "Change from baseline > 0.5 per year" if yearly else None,
                        None if not yearly or change is None else "Y" if change / years > PROGRESSION else "N",
                        rule.name,
                        "Y" if source.find_late_mark_of_case(case, origin) else None,
                    )
                )
    about = "one final score, or measured joint space, of one subject at one visit, in the style of an ADaM BDS"
    return Table("adam", about, _ADAM_COLUMNS, [*rows, *_measured_rows(source)])


def _measured_rows(source: ExportSource) -> Iterator[tuple[Any, ...]]:
    """Yield a row for each reliable measured change of a joint space since the baseline, in millimetres."""
    study = source.study
    numbers = {site.key: number for number, site in enumerate(study.scheme.sites, start=_FIRST_SITE)}
    for case, found in load_released_measurements(study, source.released).items():
        days = {film.number: film.day for film in source.released.cases[case].films if film.day is not None}
        visits = source.released.visit_numbers[case]
        for each in found:
            first, last = (visits[time] for time in each.times)
            if first or not each.is_reliable or each.mm is None:
                continue
            site = study.scheme.site(each.site)
            side = {"L": "Left", "R": "Right"}[site.side]
            head = (study.config.id, f"{study.config.id}-{case}", case)
            parameter = f"Joint Space Change, {side} {site.joint.id} (mm)", f"JS{site.side}{site.joint.id}".upper()[:8]
            visit = study.config.charter.visit_name(last), last, days[last] + 1 if last in days else None
            row = (*head, *parameter, numbers[each.site], *visit, each.mm)
            yield (*row, *[None] * (len(_ADAM_COLUMNS) - len(row)))


_FIRST_SITE = 101
"""Number of the parameter of the scheme's first site."""


_ADAM_COLUMNS = (
    Column("STUDYID", "id", "the study's id"),
    Column("USUBJID", "text", "the study's id and the patient's pseudonym"),
    Column("SUBJID", "text", "the patient's pseudonym, or the subject id if it was relinked"),
    Column("PARAM", "text", "the scale in words, or the joint whose space was measured"),
    Column("PARAMCD", "text", "the scale, or JS with side and joint"),
    Column("PARAMN", "integer", "number of the scale, or 101 and more of a joint"),
    Column("AVISIT", "id", "name of the visit"),
    Column("AVISITN", "integer", "number of the visit, 0 the baseline"),
    Column("ADY", "integer", "day of the films, the patient's first film being day 1; empty if unknown"),
    Column(
        "AVAL",
        "number",
        "the final score; of a joint, the measured change of its space since the baseline in millimetres, positive if it is "
        "wider; the columns from BASE on are then empty",
    ),
    Column("BASE", "number", "the final score at the baseline; empty if there is none"),
    Column(
        "CHG",
        "number",
        "change from the baseline: AVAL − BASE, but under the rule observed of the fields scored at both visits, and under "
        "the rule median the median of the raters' changes",
    ),
    Column("ABLFL", "text", "Y for the baseline", "Y"),
    Column("DTYPE", "text", "derivation: of several raters' scores; empty for one value", "AVERAGE, MEDIAN"),
    Column("EVAL", "text", "role of the evaluator", "INDEPENDENT ASSESSOR, ADJUDICATOR"),
    Column("CRIT1", "text", "first criterion of progression; empty without a change"),
    Column("CRIT1FL", "text", "whether it is met", "Y, N"),
    Column("CRIT2", "text", "second criterion of progression; empty without a change or days"),
    Column("CRIT2FL", "text", "whether it is met", "Y, N"),
    Column("MISSRULE", "text", "rule for fields without a score"),
    Column("LATECHFL", "text", f"whether there is a late change. {LATE_CHANGE.meaning}", "Y"),
)

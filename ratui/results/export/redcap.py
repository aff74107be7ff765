"""The final scores for REDCap: a data dictionary of one instrument, and the values to import, one row per case and visit.

The columns of the dictionary and the rules for names are those of REDCap's Data Dictionary file; the values are in the
format of its Data Import Tool for a longitudinal project, with one event per visit in one arm.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ratui.results.agreement import TOTAL
from ratui.results.export.signed_readings import ExportSource
from ratui.results.export.tables import Column, Table
from ratui.results.final_scores import FINAL_MEANINGS, compute_final_scores
from ratui.results.quantities import Quantity
from ratui.results.totals import MissingRule
from ratui.scheme import Scheme

__all__ = ["DICTIONARY_COLUMNS", "build_redcap_tables", "make_event_names", "make_variable_name"]

DICTIONARY_COLUMNS = (
    "Variable / Field Name",
    "Form Name",
    "Section Header",
    "Field Type",
    "Field Label",
    "Choices, Calculations, OR Slider Labels",
    "Field Note",
    "Text Validation Type OR Show Slider Number",
    "Text Validation Min",
    "Text Validation Max",
    "Identifier?",
    "Branching Logic (Show field only if...)",
    "Required Field?",
    "Custom Alignment",
    "Question Number (surveys only)",
    "Matrix Group Name",
    "Matrix Ranking?",
    "Field Annotation",
)
"""Columns of a data dictionary, in REDCap's order."""
_FORM = "radiograph_scores"
_LONGEST_VARIABLE, _LONGEST_EVENT = (
    26,
    18,
)  # characters; REDCap cuts the names of events, and advises against longer variables


def make_variable_name(text: str) -> str:
    """Return `text` as a name of a variable: lower-case letters, digits and single underscores, beginning with a letter."""
    name = re.sub(r"[^a-z0-9]+", "_", text.casefold()).strip("_")
    return (name if name[:1].isalpha() else f"v_{name}")[:_LONGEST_VARIABLE].strip("_")


def make_event_names(visits: Sequence[str]) -> list[str]:
    """Return the unique names that REDCap gives the events of `visits` in the first arm.

    Examples: ``baseline_arm_1`` for "baseline", ``week_26_arm_1`` for "week 26". REDCap leaves out all but Latin letters and
    digits. If nothing is left of a name, or two names become equal, all events are ``visit_1_arm_1`` and so on: otherwise
    the scores of one visit would replace those of another.
    """
    names = [re.sub(r"[^a-z0-9_]", "", re.sub(r"\s+", "_", visit.casefold())) for visit in visits]
    names = [name[:_LONGEST_EVENT].strip("_") for name in names]
    if not all(names) or len(set(names)) < len(names):
        names = [f"visit_{number}" for number in range(1, len(names) + 1)]
    return [f"{name}_arm_1" for name in names]


def _variables(scheme: Scheme, final_rule: str, rule: MissingRule) -> list[tuple[str, str, str, str, str]]:
    """Return name, label, type, smallest and largest value of each variable."""
    variables = [("visit_day", "Days since the first film", "integer", "", "")]
    for scale in (*scheme.scales, TOTAL):
        most = scheme.max_total(None if scale == TOTAL else scale)
        label = f"{scale}: final score ({FINAL_MEANINGS[final_rule]}; fields without a score: {rule.name})"
        variables += [
            (make_variable_name(f"{scale} score"), label, "number", "0", str(most)),
            (
                make_variable_name(f"{scale} change"),
                f"{scale}: change from the baseline",
                "number",
                str(-most),
                str(most),
            ),
        ]
    return [
        *variables,
        ("readers", "Number of raters", "integer", "1", ""),
        ("score_source", "Origin of the scores: raters or consensus", "", "", ""),
        ("late_change", "Late change, as in final.csv: reading, consensus, or both", "", "", ""),
    ]


def build_redcap_tables(source: ExportSource, rule: MissingRule) -> tuple[Table, Table]:
    """Return the data dictionary and the values, under `rule` and the charter's rule for the final score."""
    study, final = source.study, compute_final_scores(source.study, source.released, rule)
    variables = _variables(study.scheme, final.rule, rule)
    dictionary = [_dictionary_row("case_id", "Pseudonym of the patient", "", "", "")]
    dictionary += [_dictionary_row(*each) for each in variables]
    names = ("case_id", "redcap_event_name", *(each[0] for each in variables))
    visits, rows = final.raters.visits, list[tuple[Any, ...]]()
    events = make_event_names(final.raters.visit_names)
    quantities = [(Quantity("", place), Quantity("", place, 0) if place else None) for place in range(len(visits))]
    scales: list[str | None] = [*study.scheme.scales, None]
    values = [
        [[final.quantity(each, scale) if each else None for each in pair] for scale in scales] for pair in quantities
    ]
    days = {case.id: {film.number: film.day for film in case.films} for case, _ in source.by_case()}
    for row, (case, readers, origin) in enumerate(zip(final.cases, final.readers, final.sources, strict=True)):
        for place, visit in enumerate(visits):
            if visit not in source.released.visit_numbers[case]:
                continue
            late = source.find_late_mark_of_case(case, origin)
            cells = [_cell(each[row]) if each is not None else None for pair in values[place] for each in pair]
            rows.append((case, events[place], days.get(case, {}).get(visit), *cells, readers, origin or None, late))
    columns = [Column(name, "text", "a variable of redcap_dictionary.csv, or REDCap's own") for name in names]
    about = "one case at one visit, for REDCap's Data Import Tool"
    heads = [Column(name, "text", "a column of REDCap's data dictionary") for name in DICTIONARY_COLUMNS]
    return Table("redcap_dictionary", "one variable of REDCap", heads, dictionary), Table(
        "redcap_data", about, columns, rows
    )


def _dictionary_row(name: str, label: str, kind: str, least: str, most: str) -> tuple[str, ...]:
    cells = dict.fromkeys(DICTIONARY_COLUMNS, "")
    cells |= {
        "Variable / Field Name": name,
        "Form Name": _FORM,
        "Field Type": "text",
        "Field Label": label,
        "Text Validation Type OR Show Slider Number": kind,
        "Text Validation Min": least,
        "Text Validation Max": most,
    }
    return tuple(cells.values())


def _cell(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None

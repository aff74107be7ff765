"""Readings of one joint made up in memory, without a study on disk, for tests of results."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

from ratui.reading import Entry, Field, GradeEntry, NotAssessableEntry, Reading
from ratui.results.released import ReleasedReadings
from ratui.results.totals import get_rule
from ratui.scheme import load_scheme
from ratui.study import Study
from ratui.study.campaign.charter import Charter

__all__ = ["MCP2", "OBSERVED", "SCHEME", "fake_study", "reading", "release", "three_visits"]

SCHEME = load_scheme("fingers")
MCP2 = SCHEME.site("L.MCP2")
OBSERVED = get_rule("observed")


def fake_study(**charter: Any) -> Study:
    """Return the parts of a study that the calculation of scores uses."""
    config = SimpleNamespace(charter=Charter(**charter), title="made up", raters_per_case=0)
    return cast(Study, SimpleNamespace(scheme=SCHEME, config=config, path="study", cases=lambda: ("C-1", "C-2", "C-3")))


def reading(case: str, rater: str, grades: Mapping[int, int | Entry], **more: Any) -> Reading:
    """Return a reading of one joint whose ERO has the given grade or entry by time point, and whose JSN is 0."""
    values: dict[Field, Entry] = {}
    for time, grade in grades.items():
        entry = GradeEntry(grade) if isinstance(grade, int) else grade
        values[Field("L.MCP2", "ERO", time)] = entry
        values[Field("L.MCP2", "JSN", time)] = entry if isinstance(entry, NotAssessableEntry) else GradeEntry(0)
    order = more.pop("order", tuple(sorted(grades)))
    return Reading(SCHEME, case, rater, (MCP2,), order, False, values, **more)


def release(readings: Mapping[str, Mapping[str, Reading]], numbers: Mapping[str, tuple[int, ...]], **more: Any) -> Any:
    raters = tuple(dict.fromkeys(rater for of_case in readings.values() for rater in of_case))
    assigned = {case: tuple(of_case) for case, of_case in readings.items()}
    return ReleasedReadings(
        raters, readings, {}, more.pop("consensus", {}), assigned=assigned, visit_numbers=numbers, **more
    )


def three_visits() -> Any:
    """Return three cases: one with all visits, one without the second, one with the baseline alone."""
    return release(
        {
            "C-1": {
                "anna": reading("C-1", "anna", {0: 1, 1: 2, 2: 5}),
                "bert": reading("C-1", "bert", {0: 0, 1: 2, 2: 3}),
            },
            "C-2": {"anna": reading("C-2", "anna", {0: 0, 1: 1}), "bert": reading("C-2", "bert", {0: 0, 1: 2})},
            "C-3": {"anna": reading("C-3", "anna", {0: 4}), "bert": reading("C-3", "bert", {0: 2})},
        },
        {"C-1": (0, 1, 2), "C-2": (0, 2), "C-3": (0,)},
    )

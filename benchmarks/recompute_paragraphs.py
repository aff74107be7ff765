"""The figures in the text of a report, for `benchmarks.recompute`."""

from __future__ import annotations

import re
from statistics import median

from benchmarks.recompute_charter import count_readings, methods_term
from benchmarks.recompute_displays import count_tests
from benchmarks.recompute_joint_space import count_compared_patients
from benchmarks.recompute_models import count_single
from benchmarks.recompute_outcome import count_disputes
from benchmarks.recompute_tables import Sources

__all__ = ["expected_paragraph", "expected_term"]

_NOTES = {
    "Status and change": "95 % intervals",
    "Quadratic-weighted kappa": "95 % intervals",
    "Limits of agreement (Bland–Altman)": "95 % of two raters' differences",
    "Smallest detectable change": "1.96 · SD",
    "Each rater with themselves": "fewer than 3 patients",
    "Drift of each rater": "mean ± 3 · mean moving range / 1.128, from 8 repeats on",
    "Sites": "with fewer than ten",
    "Measured joint spaces": "95 % intervals",
    "Displays": "recognised in 75 % of the choices",
}
"""Words of the notes whose only figures are those of a formula or of a level of confidence."""
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?!\w)")
_OTHER = {
    ("Methods as run", "software"): "versions of software",
    ("Methods as run", "cases"): "number of all cases, also of those that are not released and of hidden repeats",
    ("Methods as run", "films"): "number of films of all cases",
    ("Methods as run", "shown on"): "displays",
}
"""Terms of the methods that the exports cannot give, with the reason."""


def expected_term(of: Sources, label: str) -> str | None:
    """Return the value of a term of the methods, None if it is not one of the settings or if these are unknown."""
    return None if of.settings is None else methods_term(of.settings, label, of.exports, of.threshold)


def expected_paragraph(of: Sources, heading: str, label: str, words: str) -> list[float] | str | None:
    """Return the figures of a text in order, the reason why they are not compared, or None for an unknown text."""
    exports = of.exports
    if (heading, label) in _OTHER:
        return _OTHER[heading, label]
    if label == "display tests":
        return count_tests(of)
    if "Report of " in words and not label:
        return "date of the report"
    if match := re.match(r"(\S+) has left \((\d{4}-\d\d-\d\d)\): (.*)\. The signed readings ", words):
        return _departure(of, words, *match.groups())
    if match := re.search(r"signed readings? (?:made under|begun under) version (\d+)(?: .* version (\d+))?$", words):
        versions = tuple(int(each) for each in match.groups() if each)
        if of.settings is None or not exports.readings:
            return "readings by versions of the charter, without the settings or the times of the study"
        return [float(count_readings(of.settings, exports).get(versions, 0)), *map(float, versions)]
    if heading == "Progress":
        return "progress of all readings, also of cases that are not released and of hidden repeats"
    if heading == "Methods as run" and label and label not in ("scoring", "between the first and the last visit"):
        return "settings of the study" if of.settings is None else None
    if label == "scoring":
        sites = len({site for _, site in exports.maxima})
        tops = [sum(top for (scale, _), top in exports.maxima.items() if scale == each) for each in exports.scales]
        return [sites, *(value for top in tops for value in (0, top))]
    if label.startswith("between"):
        if of.stated_cases != len(exports.raters):
            return "days of all cases, also of those that are not released"
        days = {row["case"]: float(row["days"]) for row in exports.totals if row["days"]}
        return [median(days.values()), min(days.values()), max(days.values())] if days else None
    if match := re.match(r"(\d+) readings? opened again after every rater", words):
        return [sum(row["reopened_after_release"] == "1" for row in exports.readings)] if match[1] else None
    if heading == "Models against the raters" and "95 % intervals bootstrapped" in words:
        single = count_single(of)
        return [95, *([single] if single else [])]
    if heading in _NOTES and _NOTES[heading] in words:
        return "figures of a formula in a note"
    if heading == "Outcome" and words.startswith("Late changes:"):
        marks = [
            exports.late_change(case, [*readers, *(["consensus"] if case in of.by_consensus() else [])])
            for case, readers in exports.raters.items()
        ]
        return [sum(map(bool, marks)), len(marks)]
    if heading == "Measured change by graded change" and "95 % intervals" in words:
        return [count_compared_patients(of), 95]
    if heading == "Agreement":
        return _agreement(of)
    if heading == "Disputes":
        return _disputes(of, words)
    if heading in ("Final scores", "Progression") and "Final score:" in words:
        return _finals(of, words)
    return None


def _departure(of: Sources, words: str, rater: str, day: str, reason: str) -> list[float] | str | None:
    if of.settings is None:
        return "date on which a rater left, without the settings of the study"
    found = [
        (each["at"][:10], each["reason"])
        for each in of.settings["events"]
        if each["action"] == "left" and each["rater"] == rater
    ]
    return [float(each) for each in _NUMBER.findall(words)] if (day, reason) in found else None


def _agreement(of: Sources) -> list[float]:
    exports = of.exports
    common = [len(exports.common_sites(case, exports.raters[case])) for case in exports.cases]
    sizes = {len(exports.raters[case]) for case in exports.cases}
    each = [] if exports.crossed else [min(sizes)] if len(sizes) == 1 else [min(sizes), max(sizes)]
    late = sum(bool(exports.late_change(case, exports.raters[case])) for case in exports.cases)
    each += [late] * bool(late)
    return [len(exports.cases), *each, sum(common) / len(common), len(exports.maxima)]


def _disputes(of: Sources, words: str) -> list[float]:
    wide, further = count_disputes(of)
    if words.startswith("Below"):
        return [further]
    cases = len(of.exports.cases)
    consensus = sum((case, "consensus") in of.exports.grades for case in of.exports.cases)
    return [wide, cases, 100 * wide / cases, of.threshold, 20, consensus]


def _finals(of: Sources, words: str) -> list[float]:
    formula = [2, 1.96, 1.28, 2005] if "z = 1.96" in words else []
    points = [5, 365.25] if "at least 5 points" in words else []
    cases = list(of.exports.raters)
    consensus = sum((case, "consensus") in of.exports.grades for case in cases)
    by_consensus = [consensus, len(cases)] if "by consensus" in words else []
    return [*formula, *points, *by_consensus]

"""The methods of a report as they follow from ``study.toml``, for `benchmarks.recompute`; nothing here imports ratui."""

from __future__ import annotations

import tomllib
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.recompute_exports import Exports
from benchmarks.recompute_tables import Rows, text

__all__ = ["count_readings", "methods_term", "read_settings", "version_rows"]

Settings = dict[str, Any]
_MISSING = {
    "": "no rule chosen: totals need one if a score is missing",
    "complete": "complete: a total only if every field has a score",
    "observed": "observed: the sum of the scored fields",
    "carried": "carried: a field takes its score of another visit",
    "prorated": "prorated: in proportion to the maximum of the scored fields",
    "common": "common: the sum of the fields that all raters of a case have scored",
}
_FINAL = {
    "mean": "the mean of the raters",
    "median": "the median of the raters",
    "consensus": "the consensus of the adjudicator",
    "consensus_or_mean": "the consensus where a case was adjudicated, otherwise the mean of the raters",
}
_MARKS = {
    "icc_status": "ICC of the status at least",
    "icc_change": "ICC of the change at least",
    "kappa": "weighted kappa at least",
    "sdc": "SDC at most",
}


def read_settings(path: Path) -> Settings:
    """Return the settings of a study from its ``study.toml``."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def methods_term(settings: Settings, label: str, exports: Exports, threshold: float) -> str | None:
    """Return the value that the term `label` of the methods must have, None for a term that the settings do not give.

    `threshold` is the report's least difference of a dispute in points.
    """
    charter = settings.get("charter", {})
    visits, windows = charter.get("visits", []), charter.get("windows", [])
    blocks, model = charter.get("block_cases", 0), charter.get("adjudication_model", "")
    points, missing = charter.get("adjudication_points", 7.0), charter.get("missing", "")
    share, history = charter.get("repeats_share", 0.0), charter.get("history", [])
    events = settings.get("events", [])
    departures = [f"fields without a score by the rule {exports.rule}"] * (exports.rule != missing)
    departures += [f"disputes from {threshold:g} points"] * (threshold == threshold and threshold != points)
    terms = {
        "study": settings["id"],
        "scheme file": f"SHA-256 {settings.get('scheme') or 'not recorded'}",
        "raters": ", ".join(f"{rater} (left)" if _has_left(rater, events) else rater for rater in settings["raters"]),
        "who reads what": f"{settings['raters_per_case']} raters, drawn for each case so that all get equally many"
        if settings.get("raters_per_case")
        else "every rater reads every case",
        "order of the visits": "hidden: drawn for each rater and case"
        if settings["blinded"]
        else "known to the raters",
        "visits": "; ".join(map(_visit, visits)) or "no plan",
        "reading order": f"blocks of {blocks} cases" if blocks else "one block",
        "reading windows": _windows(windows),
        "fields without a score": _MISSING[missing],
        "final score": _FINAL[charter.get("final", "mean")],
        "joints after surgery": "the maximum of each scale"
        if charter.get("surgery") == "maximum"
        else "as the scheme defines it",
        "adjudication": f"from a difference of {points:g} points in the "
        f"{'total' if len(visits) == 1 else 'change'} of two raters",
        "model in the adjudication": f"{model}, from {charter.get('adjudication_model_over', 1.5):g} grades"
        if model
        else "none",
        "qualification": _qualification(charter.get("qualification", {})),
        "repeated cases": f"{100 * share:g} % of the cases" if share else "none",
        "version of the charter": str(history[-1]["version"]) if history else "none was set: these are the defaults",
        "locked": next(
            (
                f"{each['at'][:16].replace('T', ' ')} UTC by {each['account']}: {each['reason']}"
                for each in events[::-1]
                if each["action"] == "locked"
            ),
            "",
        ),
        "in this report": "; ".join(departures),
    }
    return terms.get(label)


def _has_left(rater: str, events: list[Settings]) -> bool:
    mine = [each["action"] for each in events if each.get("rater") == rater]
    return mine[-1:] == ["left"]


def _visit(visit: Settings | str) -> str:
    if isinstance(visit, str) or visit.get("day") is None:
        return visit if isinstance(visit, str) else str(visit["name"])
    before, after = visit.get("before", 0), visit.get("after", 0)
    return f"{visit['name']}: day {visit['day']}" + (f" (−{before} to +{after})" if before or after else "")


def _windows(windows: list[Settings]) -> str:
    shown = [
        " ".join(f"{word} {window[name]}" for word, name in (("from", "opens"), ("until", "closes")) if name in window)
        or "always open"
        for window in windows
    ]
    if len(shown) > 1:
        return "; ".join(f"block {number}: {each}" for number, each in enumerate(shown, start=1))
    return shown[0] if shown else "always open"


def _qualification(marks: Settings) -> str:
    found = "; ".join(f"{name} {marks[key]:g}" for key, name in _MARKS.items() if key in marks)
    return f"{'required' if marks.get('required') else 'not required'}: {found}" if found else "none"


def version_rows(settings: Settings) -> Rows:
    """Return the rows of the table of versions: time in UTC to the minute, account, reason and changes."""
    return {
        (str(each["version"]),): [
            text(each["at"][:16].replace("T", " ")),
            text(each["account"]),
            text(" ".join(each["reason"].split())),
            text("; ".join(each["changes"]) or "–"),
        ]
        for each in settings.get("charter", {}).get("history", [])
    }


def count_readings(settings: Settings, exports: Exports) -> dict[tuple[int, ...], int]:
    """Return the number of readings by the version at the first entry and at the signature; one number if they are equal."""
    history = settings.get("charter", {}).get("history", [])
    starts = [datetime.fromisoformat(each["at"]) for each in history if each["version"] > 1]
    counts: Counter[tuple[int, ...]] = Counter()
    for row in exports.readings:
        if row["begun_at"] and row["signed_at"]:
            at = (datetime.fromisoformat(row[name]) for name in ("begun_at", "signed_at"))
            first, last = (1 + sum(start <= each for start in starts) for each in at)
            counts[(first,) if first == last else (first, last)] += 1
    return dict(counts)

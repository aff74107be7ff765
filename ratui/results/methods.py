"""The methods of a study as one page: its settings and its charter, with all versions of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ratui.results.final_scores import FINAL_MEANINGS
from ratui.results.html import definition_list, page, paragraph, section, table
from ratui.results.text_table import format_count
from ratui.scheme import Scheme
from ratui.study import Study
from ratui.study.campaign.charter import Charter, Qualification, ReadingWindow, charter_to_table
from ratui.study.campaign.charter_changes import count_readings_by_version
from ratui.study.study_config import StudyConfig

__all__ = ["describe_methods", "describe_versions", "methods_to_record", "methods_to_text", "render_methods"]

_MISSING = {
    "": "no rule chosen: totals need one if a score is missing",
    "complete": "complete: a total only if every field has a score",
    "observed": "observed: the sum of the scored fields",
    "carried": "carried: a field takes its score of another visit",
    "prorated": "prorated: in proportion to the maximum of the scored fields",
    "common": "common: the sum of the fields that all raters of a case have scored",
}
_SURGERY = {"scheme": "as the scheme defines it", "maximum": "the maximum of each scale"}


def describe_methods(config: StudyConfig, scheme: Scheme) -> list[tuple[str, str]]:
    """Return name and value of each method of a study, for a page."""
    charter = config.charter
    scales = ", ".join(f"{scale} 0 to {scheme.max_total(scale)}" for scale in scheme.scales)
    raters = [f"{rater} (left)" if rater in config.departed else rater for rater in config.raters]
    everyone = "every rater reads every case"
    shared = f"{config.raters_per_case} raters, drawn for each case so that all get equally many"
    model, compared = charter.adjudication_model, "total" if len(charter.visits) == 1 else "change"
    rows = [
        ("study", config.id),
        ("scoring", f"{scheme.title}: {format_count(len(scheme.sites), 'site')}, {scales}"),
        ("scheme file", f"SHA-256 {config.scheme or 'not recorded'}"),
        ("raters", ", ".join(raters)),
        ("who reads what", shared if config.raters_per_case else everyone),
        ("order of the visits", "hidden: drawn for each rater and case" if config.blinded else "known to the raters"),
        ("visits", "; ".join(_describe_visit(charter, number) for number in range(len(charter.visits))) or "no plan"),
        ("reading order", f"blocks of {charter.block_cases} cases" if charter.block_cases else "one block"),
        ("reading windows", _describe_windows(charter)),
        ("fields without a score", _MISSING[charter.missing]),
        ("final score", FINAL_MEANINGS[charter.final]),
        ("joints after surgery", _SURGERY[charter.surgery]),
        (
            "adjudication",
            f"from a difference of {charter.adjudication_points:g} points in the {compared} of two raters",
        ),
        (
            "model in the adjudication",
            f"{model}, from {charter.adjudication_model_over:g} grades" if model else "none",
        ),
        ("qualification", _describe_qualification(charter.qualification)),
        ("repeated cases", f"{100 * charter.repeats_share:g} % of the cases" if charter.repeats_share else "none"),
        ("version of the charter", f"{charter.version}" if charter.history else "none was set: these are the defaults"),
    ]
    if config.lock:
        rows.append(("locked", f"{_minute(config.lock.at)} UTC by {config.lock.account}: {config.lock.reason}"))
    return rows


def _describe_visit(charter: Charter, number: int) -> str:
    visit = charter.visits[number]
    if visit.day is None:
        return visit.name
    around = f" (−{visit.before} to +{visit.after})" if visit.before or visit.after else ""
    return f"{visit.name}: day {visit.day}{around}"


def _describe_windows(charter: Charter) -> str:
    if not charter.windows:
        return "always open"
    if len(charter.windows) == 1:
        return _describe_window(charter.windows[0])
    return "; ".join(f"block {i}: {_describe_window(window)}" for i, window in enumerate(charter.windows, start=1))


def _describe_window(window: ReadingWindow) -> str:
    parts = [f"from {window.opens}" * bool(window.opens), f"until {window.closes}" * bool(window.closes)]
    return " ".join(part for part in parts if part) or "always open"


def _describe_qualification(marks: Qualification) -> str:
    named = {
        "ICC of the status at least": marks.icc_status,
        "ICC of the change at least": marks.icc_change,
        "weighted kappa at least": marks.kappa,
        "SDC at most": marks.sdc,
    }
    found = "; ".join(f"{name} {value:g}" for name, value in named.items() if value is not None)
    return (f"required: {found}" if marks.required else f"not required: {found}") if found else "none"


def _minute(at: str) -> str:
    """Return the minute of a recorded time, for example ``2027-05-03 14:05``."""
    return at[:16].replace("T", " ")


def _version_rows(study: Study) -> list[list[str]]:
    return [
        [str(each.version), _minute(each.at), each.account, each.reason, "; ".join(each.changes) or "–"]
        for each in study.config.charter.history
    ]


def _describe_readings(counts: Mapping[tuple[int, int], int]) -> list[str]:
    return [
        f"{format_count(count, 'signed reading')} made under version {first}"
        if first == last
        else f"{format_count(count, 'signed reading')} begun under version {first} and signed under version {last}"
        for (first, last), count in counts.items()
    ]


def methods_to_text(study: Study) -> list[str]:
    """Return the lines of the page for a terminal."""
    rows = describe_methods(study.config, study.scheme)
    width = max(len(name) for name, _ in rows)
    lines = [f"Methods as run: {study.config.title}", *(f"  {name:<{width}}  {value}" for name, value in rows)]
    for version, at, account, reason, changes in _version_rows(study):
        lines.append(f"  version {version}, {at} UTC, {account}: {reason}")
        lines += [f"    {change}" for change in changes.split("; ") if change != "–"]
    return [*lines, *(f"  {line}" for line in _describe_readings(count_readings_by_version(study)))]


def render_methods(study: Study) -> str:
    """Return the page as HTML without external content."""
    parts = [definition_list(describe_methods(study.config, study.scheme))]
    parts += describe_versions(study, count_readings_by_version(study))
    return page(f"Methods as run: {study.config.title}", parts)


def describe_versions(study: Study, counts: Mapping[tuple[int, int], int], level: int = 2) -> list[str]:
    """Return the versions of the charter as HTML, below a heading of `level`, and the readings under each.

    `counts` are the numbers of readings by the versions at their first entry and at their signature. Without a charter there
    is no table of versions.
    """
    rows, lines = _version_rows(study), [paragraph(line) for line in _describe_readings(counts)]
    if not rows:
        return lines
    headers = ["version", "time (UTC)", "account", "reason", "changes"]
    return [section("Versions of the charter", [table(headers, rows, text_columns=5), *lines], level)]


def methods_to_record(study: Study) -> dict[str, Any]:
    """Return the settings, the values of the charter, its versions and the readings under each, ready for JSON."""
    config, defaults = study.config, vars(Charter())
    stored = charter_to_table(config.charter)
    plain: dict[str, Any] = {"visits": [], "windows": [], "qualification": {}}
    values = {name: stored.get(name, plain.get(name, default)) for name, default in defaults.items()}
    for window in values["windows"]:
        window.update({name: str(day) for name, day in window.items()})
    values |= {"raters_per_case": config.raters_per_case, "blinded": config.blinded}
    return {
        "study": config.id,
        "title": config.title,
        "scheme": {"title": study.scheme.title, "digest": config.scheme},
        "raters": list(config.active_raters),
        "departed": list(config.departed),
        "charter": {**values, "history": list(stored.get("history", []))},
        "version": config.charter.version,
        "readings": [
            {"begun_under": first, "signed_under": last, "readings": count}
            for (first, last), count in count_readings_by_version(study).items()
        ],
        "locked": config.lock.to_record() if config.lock else None,
    }

"""Report of a study: one self-contained HTML page with methods, progress, agreement, totals and models.

It contains released readings only, and lists the cases that are kept back with the reason.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

from ratui.garbage_collection import pause_collection
from ratui.results.agreement import Agreement, list_compared_cases, measure_agreement
from ratui.results.agreement_tables import make_agreement_tables, summarize_agreement
from ratui.results.display_tests import ReadingDisplays, summarize_display_tests
from ratui.results.disputes import (
    CaseDispute,
    DisputeLimits,
    describe_stage,
    find_disputes,
    format_spread,
    name_compared_quantity,
)
from ratui.results.final_scores import FinalScores, compute_final_scores
from ratui.results.html import definition_list, figure, page, paragraph, section, table
from ratui.results.joint_space import collect_measured_changes, joint_space_table, make_graded_change_table
from ratui.results.methods import describe_methods, describe_versions
from ratui.results.missing_data import make_missing_table, make_reopened_table
from ratui.results.model_performance import evaluate_models, make_evaluation_table, make_model_table
from ratui.results.outcome import make_final_score_table, make_progression_table
from ratui.results.progress import measure_progress, render_case_progress, render_rater_progress
from ratui.results.rater_totals import make_rater_totals_table, summarize_raters
from ratui.results.released import ReleasedReadings
from ratui.results.scores import ReadingScores
from ratui.results.text_table import TextTable, format_count
from ratui.results.totals import MissingRule, describe_rule
from ratui.results.visit_deviations import find_deviations, make_deviation_table
from ratui.study import CONSENSUS, Study
from ratui.study.campaign.charter_changes import count_by_version
from ratui.study.readings.late_changes import LateChanges

__all__ = ["render_report"]

_LEGENDS = {
    "cumulative-probability": "Every patient's change of the total score, in order, for each rater.",
    "bland-altman-change": "Change: each pair of raters' difference against their mean, with limits of agreement.",
    "bland-altman-status": "Status at the last visit: each pair of raters' difference against their mean, with limits.",
    "control-chart": "Cases read twice without the rater's knowledge: second minus first reading, with limits of control.",
    "final-change": "Every patient's change of the final score, in order, with the smallest detectable change.",
    "joint-space": "Measured change of each joint space against its graded change; bars: mean of the joints at a grade.",
    "disagreement": "Where raters disagree: the mean difference of two raters' grades at each joint.",
}


@dataclass(frozen=True)
class _Sources:
    """The study, its released readings, the rules the report applies to them, and its late changes."""

    study: Study
    released: ReleasedReadings
    rule: MissingRule
    limits: DisputeLimits
    reason: str
    late: LateChanges


@pause_collection()
def render_report(
    study: Study,
    released: ReleasedReadings,
    rule: MissingRule,
    *,
    today: date,
    limits: DisputeLimits | None = None,
    reason: str = "",
    evaluations: Sequence[Path] = (),
    with_plots: bool = True,
    seed: int = 0,
) -> str:
    """Return the report as an HTML page.

    Parameters
    ----------
    study
        The study.
    released
        Its released readings.
    rule
        Rule for totals of fields without a score.
    today
        Date of the report.
    limits
        Limits above which a case counts as disputed; the defaults if None.
    reason
        Why the results are those of some of the raters, if they are.
    evaluations
        Folders written by ``ratui-train evaluate``.
    with_plots
        Include plots, which needs matplotlib.
    seed
        Seed of the bootstrap.

    Raises
    ------
    StudyError
        If matplotlib is needed and not installed, or if a folder contains no evaluation.
    """
    study_progress = measure_progress(study)
    sources = _Sources(study, released, rule, limits or DisputeLimits(), reason, study_progress.late)
    compared: tuple[Agreement, ReadingScores] | None = None
    if len(released.raters) > 1 and len(list_compared_cases(released)) > 1:
        compared = measure_agreement(study, released, rule, seed=seed, late=study_progress.late)
    parts = [
        paragraph(f"{study.scheme.title}. Report of {today:%Y-%m-%d}.", quiet=True),
        section("Methods as run", _methods(sources)),
        section("Progress", render_rater_progress(study_progress)),
        section("Agreement", _agreement(sources, compared, with_plots)),
        section("Disputes", _disputes(sources)),
        section("Totals", _totals(sources)),
        section("Outcome", _outcome(sources, with_plots, seed)),
        section("Models", _models(sources, evaluations, seed)),
        section("Cases", [render_case_progress(study_progress)]),
    ]
    return page(study.config.title, parts)


def _table_html(text_table: TextTable, *, has_title: bool = True) -> str:
    body = [
        table(text_table.headers, text_table.rows, text_columns=text_table.text_columns),
        paragraph(text_table.note, quiet=True),
    ]
    return section(text_table.title, body, 3) if has_title else "\n".join(body)


# Methods.


def _methods(sources: _Sources) -> Iterator[str]:
    study, config = sources.study, sources.study.config
    hidden, cases = sources.released.hidden_repeats, sources.released.cases.values()
    films = [film for case in cases for film in case.films]
    days = sorted(
        later - earlier
        for case in cases
        if len(case.times) > 1
        and (earlier := _day(case.films, case.times[0])) is not None
        and (later := _day(case.films, case.times[-1])) is not None
    )
    tests = summarize_display_tests(study)
    repeats = format_count(hidden, "hidden repeat") if hidden else "no hidden repeat was drawn"
    most = max((len(case.times) for case in cases), default=2)
    apart = f"{median(days):g} days, from {days[0]} to {days[-1]}" if days else "not known"
    yield definition_list(
        [
            *describe_methods(config, study.scheme),
            *_departures(sources),
            ("cases", f"{len(cases)}, and {repeats}" if hidden or config.charter.repeats_share else len(cases)),
            ("films", f"{len(films)}, of {', '.join(sorted({study.scheme.views[film.view].label for film in films}))}"),
            *([("between the first and the last visit", f"median {apart}" if days else apart)] if most > 1 else []),
            ("shown on", _displays(sources)),
            (
                "display tests",
                tests.describe(sources.released.raters) if study.is_manager else "only managers see them",
            ),
            ("software", _software()),
        ]
    )
    views = {1: "the film of its visit", 2: "both time points of a joint side by side"}
    shown = views.get(most, "the films of its visits side by side, or two at a time where the window was too narrow")
    yield paragraph(
        f"Each rater read alone, joint by joint, with {shown}, and one scale after the other. A finding sets the scores "
        "that the scheme defines for it; a joint that could not be judged has a reason instead of a score. Implausible "
        "entries had to be confirmed, marked joints were reviewed before signing, and a reading could be signed only when "
        "every field was filled. No rater saw another rater's or a model's scores before the first signature."
    )
    late = [each for of_case in sources.late.readings.values() for each in of_case]
    if late:
        open_ = sum(each.signed_at is None for each in late)
        pending = f"; {open_} of them not signed again, so that its case does not count" if open_ else ""
        yield paragraph(
            f"{format_count(len(late), 'reading')} opened again after every rater of the case had signed, when the rater "
            f"could know the others' scores: see the progress{pending}."
        )
    released = sources.released
    for event in config.events:
        if event.action == "left" and event.rater in config.departed:
            kept = "do not count" if event.cases == "all" else "count"
            yield paragraph(f"{event.rater} has left ({event.at[:10]}): {event.reason}. The signed readings {kept}.")
    left_out = [rater for rater in config.raters if rater not in released.raters]
    if left_out:
        why = f" Reason: {sources.reason}." if sources.reason else " No reason was given."
        yield paragraph(f"Results of {', '.join(released.raters)} only, without {', '.join(left_out)}.{why}")
    waiting, unreadable = len(released.kept_back) - len(released.unreadable), len(released.unreadable)
    kept = f" Kept back because not every rater has signed: {format_count(waiting, 'case')}." if waiting else ""
    kept += f" Without films that can be read side by side: {format_count(unreadable, 'case')}." if unreadable else ""
    if released.interim:
        yield paragraph(
            f"This is an interim report: it includes signed readings of cases that other raters have not signed.{kept}"
        )
    elif kept:
        yield paragraph(f"Included: {format_count(len(released.readings), 'case')}.{kept}")
    yield from describe_versions(study, _count_by_version(sources), 3)
    readings = released.readings.values()
    displays = {
        rater: ReadingDisplays.of(each[rater] for each in readings if rater in each) for rater in released.raters
    }
    with_entries = tests.to_reading_table(displays)
    if with_entries.rows:
        yield _table_html(with_entries)


def _departures(sources: _Sources) -> list[tuple[str, str]]:
    """Return the rules of this report that are not those of the charter."""
    charter = sources.study.config.charter
    found = []
    if sources.rule.name != charter.missing:
        found.append(f"fields without a score by the rule {sources.rule.name}")
    if sources.limits.case != charter.adjudication_points:
        found.append(f"disputes from {sources.limits.case:g} points")
    return [("in this report", "; ".join(found))] if found else []


def _count_by_version(sources: _Sources) -> dict[tuple[int, int], int]:
    """Return the number of the report's readings, without repeats, by the versions of the charter they were made under."""
    released = sources.released
    readings = [each for of_case in released.readings.values() for each in of_case.values()]
    readings += released.consensus.values()
    times = (
        (each.log[0].timestamp, each.signed_at)
        for each in readings
        if each.log and each.log[0].timestamp and each.signed_at
    )
    return count_by_version(sources.study.config.charter, times)


def _day(films: Sequence[object], time: int) -> int | None:
    return next((film.day for film in films if film.time == time and film.day is not None), None)  # type: ignore[attr-defined]


def _displays(sources: _Sources) -> str:
    """Return how films were displayed when entries were made, and how many entries had too few pixels for an erosion."""
    entries: Counter[str] = Counter()
    below = 0
    for case, readings in sources.released.readings.items():
        for rater in readings:
            for use in sources.released.displays[case][rater]:
                entries[use.protocol] += use.entries
                below += use.below
    if not entries:
        return "not recorded"
    every = sum(entries.values())
    shown = ", ".join(f"{protocol} ({100 * count / every:.0f} %)" for protocol, count in entries.most_common())
    excluded = sources.released.excluded
    coarse = f"{below} of {every} entries with fewer pixels than an erosion takes"
    return f"{shown}; {coarse}" + (f"; {excluded} entries left out for this reason" if excluded is not None else "")


def _software() -> str:
    parts = [f"ratui {version('ratui')}", f"Python {platform.python_version()}"]
    for name in ("numpy", "scipy", "matplotlib"):
        try:
            parts.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(parts)


# Results.


def _agreement(sources: _Sources, compared: tuple[Agreement, ReadingScores] | None, with_plots: bool) -> Iterator[str]:
    if compared is None:
        yield paragraph("No agreement yet: it needs two cases that two raters have signed.")
        return
    found, scores = compared
    yield paragraph(summarize_agreement(found))
    # The raters' means stand once, in the section of totals, so that no two tables can show different ones.
    *figures, sites = make_agreement_tables(found, with_means=False)
    yield from map(_table_html, figures)
    if with_plots:
        from ratui.results.plots import encode_figure, list_plots

        for name, make in list_plots(found, scores).items():
            legend = next(text for start, text in _LEGENDS.items() if name.startswith(start))
            yield figure(encode_figure(make(), "svg"), "svg", legend)
    yield _table_html(sites)


def _disputes(sources: _Sources) -> Iterator[str]:
    if len(sources.released.raters) < 2:
        yield paragraph("A dispute needs two raters.")
        return
    found = find_disputes(sources.study, sources.released, sources.limits, sources.rule, late=sources.late)
    over = [each for each in found if each.is_over_limit]
    uneven = sum(1 for each in found if each.unscored and not each.is_over_limit)
    part = f" ({100 * len(over) / len(found):.0f} %)" if found else ""
    yield paragraph(
        f"In {len(over)} of {len(found)} cases{part}, two raters' {name_compared_quantity(found)} differ by "
        f"{sources.limits.case:g} points or more. More than 20 % would point to a systematic difference. "
        f"A consensus is signed for {format_count(sum(each.consensus_stage == 'signed' for each in found), 'case')}. "
        f"{describe_rule(sources.rule)}"
    )
    if uneven:
        kind = "change" if not all(each.has_one_visit for each in found) else "total"
        yield paragraph(
            f"Below that limit, or without a {kind} under the rule, a rater has no score for fields that another rater "
            f"scored in {format_count(uneven, 'further case')}."
        )
    shown = [each for each in found if each.is_over_limit or each.unscored]
    if shown:
        yield table(
            ["case", "consensus", "widest joints", "apart", "joints", "fields that only some scored"],
            [_dispute(each) for each in shown],
            text_columns=3,
        )


def _dispute(each: CaseDispute) -> list[object]:
    widest = ", ".join(joint.site for joint in each.joints[:5])
    return [
        each.case,
        describe_stage(each),
        widest,
        format_spread(each.spread),
        len(each.joints),
        each.unscored,
    ]


def _totals(sources: _Sources) -> Iterator[str]:
    if not sources.released.readings:
        yield paragraph("No case is released yet.")
        return
    found = summarize_raters(sources.study, sources.released, sources.rule)
    yield _table_html(make_rater_totals_table(found, sources.rule), has_title=False)


def _joint_spaces(sources: _Sources, final: FinalScores, with_plots: bool, seed: int) -> Iterator[str]:
    """Yield the measured joint spaces beside the graded changes; nothing if none were measured."""
    found = collect_measured_changes(sources.study, sources.released, final)
    if found is None:
        return
    yield _table_html(joint_space_table(found, seed=seed))
    yield _table_html(make_graded_change_table(found, seed=seed))
    if with_plots and len(found.compared.mm):
        from ratui.results.plots import encode_figure, plot_joint_space

        yield figure(encode_figure(plot_joint_space(found), "svg"), "svg", _LEGENDS["joint-space"])


def _outcome(sources: _Sources, with_plots: bool, seed: int) -> Iterator[str]:
    final = compute_final_scores(sources.study, sources.released, sources.rule)
    if not final.cases:
        yield paragraph("No case has been signed by all its raters yet.")
        return
    late = sum(
        bool(
            sources.late.mark(case, [*sources.released.readings[case], *([CONSENSUS] if origin == "consensus" else [])])
        )
        for case, origin in zip(final.cases, final.sources, strict=True)
    )
    if late:
        yield paragraph(
            f"Late changes: the final scores of {late} of {format_count(len(final.cases), 'case')} contain a reading that "
            "was opened again after all raters of the case had signed, or are a consensus that is older than such a change."
        )
    yield _table_html(make_final_score_table(final))
    if final.raters.main_change is not None and len(final.cases) > 1:
        yield _table_html(make_progression_table(final))
        if with_plots:
            from ratui.results.plots import encode_figure, plot_final_change

            yield figure(encode_figure(plot_final_change(final), "svg"), "svg", _LEGENDS["final-change"])
    reopened = make_reopened_table(sources.study, sources.released, sources.late)
    yield from _joint_spaces(sources, final, with_plots, seed)
    cases = (sources.released.cases[case] for case in sources.released.readings)
    planned = make_deviation_table(find_deviations(sources.study, cases))
    for found in (make_missing_table(sources.study, sources.released), planned, reopened):
        if found is planned and not sources.study.config.charter.visits:
            continue
        yield _table_html(found) if found.rows else paragraph(f"{found.title}: none.")


def _models(sources: _Sources, evaluations: Sequence[Path], seed: int) -> Iterator[str]:
    found = evaluate_models(sources.study, sources.released, seed=seed)
    if found:
        yield _table_html(make_model_table(found))
    for folder in evaluations:
        yield _table_html(make_evaluation_table(folder))
    if not found and not evaluations:
        yield paragraph("No model has scored released cases of this study, and no evaluation was given.")

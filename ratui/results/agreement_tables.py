"""Tables of agreement statistics, each with a note that explains how to read it."""

from __future__ import annotations

from collections.abc import Sequence

from ratui.results.agreement import Agreement
from ratui.results.repeatability import LEAST_REPEATS
from ratui.results.statistics import LEAST_PATIENTS
from ratui.results.text_table import TextTable, format_count, format_estimate, format_number
from ratui.results.totals import describe_rule

__all__ = ["make_agreement_tables", "summarize_agreement"]

_TOO_FEW = f"No correlation is estimated from fewer than {LEAST_PATIENTS} patients."


def summarize_agreement(agreement: Agreement) -> str:
    """Return a sentence that says which cases, raters and fields were compared, and the rule for missing fields."""
    kept = (
        f"; {format_count(agreement.kept_back, 'case')} not released or not read by all" if agreement.kept_back else ""
    )
    share = "" if agreement.is_crossed else f", each by {agreement.raters_per_case:.3g} of them"
    late = len(agreement.late_changes)
    marked = f"Late changes: in {late} of these cases a reading was opened again after all had signed. " if late else ""
    return (
        f"{len(agreement.cases)} cases read by {', '.join(agreement.raters)}{share}{kept}. {marked}"
        f"{describe_rule(agreement.rule)} Single grades are compared in the fields that all raters of a case have scored "
        f"at all its time points: on average {agreement.compared:.1f} of {agreement.fields} per case."
    )


def make_agreement_tables(agreement: Agreement, *, with_means: bool = True) -> Sequence[TextTable]:
    """Return the tables of totals, kappa, limits of agreement, smallest detectable change, repeats and sites, in this order.

    With a single visit there is no table of the smallest detectable change, and no column about changes at the sites.
    Without `with_means`, the first table leaves out the raters' mean totals, for a page that shows them elsewhere.
    """
    return (
        _totals_table(agreement, with_means),
        _kappa_table(agreement),
        _limits_table(agreement),
        *([_detectable_change_table(agreement)] if agreement.detectable else []),
        *_repeat_tables(agreement),
        _sites_table(agreement),
    )


def _totals_table(agreement: Agreement, with_means: bool) -> TextTable:
    coefficients = ["ICC(2,1)", "ICC(3,1)"] if agreement.is_crossed else ["ICC(1,1)"]
    means = [f"mean {rater}" for rater in agreement.raters] if with_means else []
    headers = ["scale", "of", "patients", *means, "SD", *coefficients]
    rows = [
        [
            each.scale,
            each.quantity,
            each.patients,
            *(format_number(mean, 1) for mean in each.means if with_means),
            format_number(each.deviation, 1),
            *(format_estimate(icc) for icc in ((each.icc2, each.icc3) if agreement.is_crossed else (each.icc1,))),
        ]
        for each in agreement.totals
    ]
    what = (
        "(2,1) counts a rater's constant shift as disagreement, (3,1) does not."
        if agreement.is_crossed
        else "(1,1) is for raters who have read different cases; it counts a rater's constant shift as disagreement."
    )
    note = (
        f"Intraclass correlation of patients' totals with exact 95 % intervals. {what} SD: of the patients' mean totals; "
        f"if it is small, the correlation is small too. {_TOO_FEW} {describe_rule(agreement.rule)}"
    )
    return TextTable("Status and change", headers, rows, text_columns=2, note=note)


def _kappa_table(agreement: Agreement) -> TextTable:
    rows: list[list[str]] = []
    for each in agreement.kappas:
        rows.append([each.scale, "all pairs", format_estimate(each.mean)])
        if len(each.pairs) > 1:
            rows += [["", f"{first} · {second}", format_estimate(kappa)] for first, second, kappa in each.pairs]
    note = (
        "Kappa of single grades at all time points, of fields that all raters of the case have scored; 95 % intervals "
        "bootstrapped over patients, not joints."
    )
    if not agreement.is_crossed:
        note += " All pairs: kappa of one table of all pairs, because they have read different cases."
    return TextTable("Quadratic-weighted kappa", ["scale", "raters", "kappa"], rows, text_columns=2, note=note)


def _limits_table(agreement: Agreement) -> TextTable:
    rows = [
        [
            each.scale,
            each.quantity,
            f"{each.first} − {each.second}",
            each.limits.n,
            format_estimate(each.limits.bias, 1),
            format_number(each.limits.deviation, 1),
            format_estimate(each.limits.lower, 1),
            format_estimate(each.limits.upper, 1),
        ]
        for each in agreement.limits
        if each.limits.n > 1
    ]
    headers = ["scale", "of", "difference", "patients", "mean", "SD", "lower limit", "upper limit"]
    note = (
        "95 % of two raters' differences lie between the limits if they are about normal; 95 % intervals are exact. "
        "Differences of fewer than two patients are left out. "
        f"{describe_rule(agreement.rule)}"
    )
    return TextTable("Limits of agreement (Bland–Altman)", headers, rows, text_columns=3, note=note)


def _detectable_change_table(agreement: Agreement) -> TextTable:
    has_many = len({each.quantity for each in agreement.detectable}) > 1
    rows = [
        [
            each.scale,
            *([each.quantity] if has_many else []),
            format_estimate(each.one, 1),
            format_estimate(each.mean, 1),
        ]
        for each in agreement.detectable
    ]
    headers = ["scale", *(["of"] if has_many else []), "one rater", f"mean of {agreement.raters_per_case:.3g} raters"]
    what = (
        "SD of difference"
        if agreement.is_crossed
        else "SD of difference of two raters of the same patient, with their constant shifts"
    )
    note = (
        "A patient's total must change by more points than this to exceed the raters' measurement error: "
        f"1.96 · {what} / (√2 · √k). {describe_rule(agreement.rule)}"
    )
    return TextTable("Smallest detectable change", headers, rows, text_columns=1 + has_many, note=note)


def _repeat_tables(agreement: Agreement) -> Sequence[TextTable]:
    """Return the tables of hidden repeats: coefficients, and the charts' outcome; none without repeats."""
    if not agreement.repeats:
        return ()
    rows = [
        [
            each.rater,
            each.scale,
            each.quantity,
            each.patients,
            format_estimate(each.icc),
            format_estimate(each.bias, 1),
            format_estimate(each.detectable, 1),
        ]
        for each in agreement.repeats
        if each.patients > 1
    ]
    headers = ["rater", "scale", "of", "repeated", "ICC(2,1)", "mean difference", "SDC"]
    note = (
        "Cases that a rater read twice without knowing it; second reading minus first. SDC: smallest detectable change of "
        f"this rater alone. Fewer than two repeats are left out. {_TOO_FEW} {describe_rule(agreement.rule)}"
    )
    charts = [
        [
            each.rater,
            len(each.chart.cases),
            format_number(each.chart.centre, 1),
            *(
                (
                    format_number(each.chart.lower, 1),
                    format_number(each.chart.upper, 1),
                    ", ".join(each.chart.outside) or "none",
                    ", ".join(each.chart.runs) or "none",
                )
                if each.chart.has_limits
                else ("too few repeats", "–", "–", "–")
            ),
        ]
        for each in agreement.repeats
        if each.chart is not None
    ]
    main = next((each.quantity for each in agreement.repeats if each.chart is not None), "")
    chart_note = (
        f"Individuals chart of second minus first reading ({main}, all scales), in the order of the second signatures. "
        f"Limits: mean ± 3 · mean moving range / 1.128, from {LEAST_REPEATS} repeats on. "
        "Run: eight successive differences on one side of the mean."
    )
    return (
        TextTable("Each rater with themselves", headers, rows, text_columns=3, note=note),
        TextTable(
            "Drift of each rater",
            ["rater", "repeated", "mean", "lower limit", "upper limit", "outside", "runs"],
            charts,
            text_columns=1,
            note=chart_note,
        ),
    )


def _sites_table(agreement: Agreement) -> TextTable:
    has_changes = bool(agreement.detectable)
    rows = [
        [
            each.site,
            each.scale,
            f"{each.damaged}/{each.patients}",
            each.pairs,
            f"{100 * each.exact:.0f} %",
            f"{100 * each.within_one:.0f} %",
            format_estimate(each.kappa),
            format_number(each.difference),
            *([format_number(each.change_difference), each.any_change, each.all_change] if has_changes else []),
        ]
        for each in agreement.sites
    ]
    headers = [
        "site",
        "scale",
        "damaged",
        "pairs",
        "same",
        "within 1",
        "kappa",
        "apart",
        *(["change apart", "any saw change", "all saw it"] if has_changes else []),
    ]
    note = (
        "Fields that all raters of the case have scored. Damaged: patients in whom any rater scored damage; with fewer "
        "than ten, kappa has no interval. Apart: mean absolute difference of grade"
    )
    note += (
        ", and of change from the first to the last time point. The last two columns count patients."
        if has_changes
        else "."
    )
    return TextTable("Sites", headers, rows, text_columns=2, note=note)

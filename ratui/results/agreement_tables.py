"""Tables of agreement statistics, each with a note that explains how to read it."""

from __future__ import annotations

from collections.abc import Sequence

from ratui.results.agreement import Agreement
from ratui.results.text_table import TextTable, format_count, format_estimate, format_number

__all__ = ["agreement_tables", "summarize_agreement"]


def summarize_agreement(agreement: Agreement) -> str:
    """Return a sentence that says which cases, raters and fields were compared."""
    kept = (
        f"; {format_count(agreement.kept_back, 'case')} not released or not read by all" if agreement.kept_back else ""
    )
    return (
        f"{len(agreement.cases)} cases read by {', '.join(agreement.raters)}{kept}. "
        "Only fields that all raters have scored at both time points are compared: "
        f"on average {agreement.compared:.1f} of {agreement.fields} per case."
    )


def agreement_tables(agreement: Agreement) -> Sequence[TextTable]:
    """Return the tables of totals, kappa, limits of agreement, smallest detectable change and sites, in this order."""
    return (
        _totals_table(agreement),
        _kappa_table(agreement),
        _limits_table(agreement),
        _detectable_change_table(agreement),
        _sites_table(agreement),
    )


def _totals_table(agreement: Agreement) -> TextTable:
    headers = ["scale", "of", *(f"mean {rater}" for rater in agreement.raters), "SD", "ICC(2,1)", "ICC(3,1)"]
    rows = [
        [
            each.scale,
            each.quantity,
            *(format_number(mean, 1) for mean in each.means),
            format_number(each.deviation, 1),
            format_estimate(each.icc2),
            format_estimate(each.icc3),
        ]
        for each in agreement.totals
    ]
    note = (
        "Intraclass correlation of patients' totals with exact 95 % intervals. (2,1) counts a rater's constant shift as "
        "disagreement, (3,1) does not. SD: of the patients' mean totals; if it is small, the correlation is small too."
    )
    return TextTable("Status and change", headers, rows, text_columns=2, note=note)


def _kappa_table(agreement: Agreement) -> TextTable:
    rows: list[list[str]] = []
    for each in agreement.kappas:
        rows.append([each.scale, "all pairs", format_estimate(each.mean)])
        if len(each.pairs) > 1:
            rows += [["", f"{first} · {second}", format_estimate(kappa)] for first, second, kappa in each.pairs]
    note = "Kappa of single grades at both time points; 95 % intervals bootstrapped over patients, not joints."
    return TextTable("Quadratic-weighted kappa", ["scale", "raters", "kappa"], rows, text_columns=2, note=note)


def _limits_table(agreement: Agreement) -> TextTable:
    rows = [
        [
            each.scale,
            each.quantity,
            f"{each.first} − {each.second}",
            format_estimate(each.limits.bias, 1),
            format_number(each.limits.deviation, 1),
            format_estimate(each.limits.lower, 1),
            format_estimate(each.limits.upper, 1),
        ]
        for each in agreement.limits
    ]
    headers = ["scale", "of", "difference", "mean", "SD", "lower limit", "upper limit"]
    note = "95 % of two raters' differences lie between the limits if they are about normal; 95 % intervals are exact."
    return TextTable("Limits of agreement (Bland–Altman)", headers, rows, text_columns=3, note=note)


def _detectable_change_table(agreement: Agreement) -> TextTable:
    raters = len(agreement.raters)
    rows = [[each.scale, format_estimate(each.one, 1), format_estimate(each.mean, 1)] for each in agreement.detectable]
    headers = ["scale", "one rater", f"mean of {raters} raters"]
    note = (
        "A patient's total must change by more points than this to exceed the raters' measurement error: "
        "1.96 · SD of difference / (√2 · √k)."
    )
    return TextTable("Smallest detectable change", headers, rows, note=note)


def _sites_table(agreement: Agreement) -> TextTable:
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
            format_number(each.change_difference),
            each.any_change,
            each.all_change,
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
        "change apart",
        "any saw change",
        "all saw it",
    ]
    note = (
        "Damaged: patients in whom any rater scored damage; with fewer than ten, kappa has no interval. Apart: mean "
        "absolute difference of grade, and of change. The last two columns count patients."
    )
    return TextTable("Sites", headers, rows, text_columns=2, note=note)

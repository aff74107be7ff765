"""The figures of agreement as tables, each with the line that says how to read it."""

from __future__ import annotations

from collections.abc import Sequence

from ratui.results.agreement import Agreement
from ratui.results.text_table import Sheet, counted, interval, number

__all__ = ["agreement_sheets", "summary"]


def summary(found: Agreement) -> str:
    """What was compared, in a sentence."""
    kept = f"; {counted(found.kept_back, 'case')} not told yet or not read by all" if found.kept_back else ""
    return (
        f"{len(found.cases)} cases read by {', '.join(found.raters)}{kept}. Compared are the fields that all have scored "
        f"at both time points: {found.compared:.1f} of {found.fields} in a case, on average."
    )


def agreement_sheets(found: Agreement) -> Sequence[Sheet]:
    """Totals, kappa, limits, smallest detectable change, sites."""
    return (_totals(found), _kappas(found), _limits(found), _detectable(found), _sites(found))


def _totals(found: Agreement) -> Sheet:
    heads = ["scale", "of", *(f"mean {rater}" for rater in found.raters), "SD", "ICC(2,1)", "ICC(3,1)"]
    rows = [
        [
            each.scale,
            each.quantity,
            *(number(mean, 1) for mean in each.means),
            number(each.deviation, 1),
            interval(each.icc2),
            interval(each.icc3),
        ]
        for each in found.totals
    ]
    note = (
        "Intraclass correlation of patients' totals with exact 95 % intervals. (2,1) counts a rater's constant shift as "
        "disagreement, (3,1) doesn't. SD is that of the patients' mean totals: where it is small, so is the correlation."
    )
    return Sheet("Status and change", heads, rows, words=2, note=note)


def _kappas(found: Agreement) -> Sheet:
    rows: list[list[str]] = []
    for each in found.kappas:
        rows.append([each.scale, "all pairs", interval(each.mean)])
        if len(each.pairs) > 1:
            rows += [["", f"{first} · {second}", interval(kappa)] for first, second, kappa in each.pairs]
    note = "Of single grades, both time points together; 95 % intervals bootstrapped over patients, not joints."
    return Sheet("Quadratic-weighted kappa", ["scale", "raters", "kappa"], rows, words=2, note=note)


def _limits(found: Agreement) -> Sheet:
    rows = [
        [
            each.scale,
            each.quantity,
            f"{each.first} − {each.second}",
            interval(each.limits.bias, 1),
            number(each.limits.deviation, 1),
            interval(each.limits.lower, 1),
            interval(each.limits.upper, 1),
        ]
        for each in found.limits
    ]
    heads = ["scale", "of", "difference", "mean", "SD", "lower limit", "upper limit"]
    note = "Between the limits lie 95 % of two raters' differences, if they are about normal; 95 % intervals are exact."
    return Sheet("Limits of agreement (Bland–Altman)", heads, rows, words=3, note=note)


def _detectable(found: Agreement) -> Sheet:
    readers = len(found.raters)
    rows = [[each.scale, interval(each.one, 1), interval(each.mean, 1)] for each in found.detectable]
    heads = ["scale", "one reader", f"mean of {readers} readers"]
    note = (
        "Points a patient's total must change by to be more than readers' error: 1.96 · SD of difference / (√2 · √k)."
    )
    return Sheet("Smallest detectable change", heads, rows, note=note)


def _sites(found: Agreement) -> Sheet:
    rows = [
        [
            each.site,
            each.scale,
            f"{each.damaged}/{each.patients}",
            each.pairs,
            f"{100 * each.exact:.0f} %",
            f"{100 * each.within_one:.0f} %",
            interval(each.kappa),
            number(each.difference),
            number(each.change_difference),
            each.any_change,
            each.all_change,
        ]
        for each in found.sites
    ]
    heads = [
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
        "Damaged: patients in whom any rater saw damage; fewer than ten leave kappa without an interval. Apart: mean "
        "absolute difference of grade, and of change. The last two count patients."
    )
    return Sheet("Sites", heads, rows, words=2, note=note)

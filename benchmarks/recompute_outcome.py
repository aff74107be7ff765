"""Tables of disputes, totals, final scores and progression as they follow from the CSV, for `benchmarks.recompute`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import numpy as np

from benchmarks.recompute_exports import NAN, Exports, Quantity
from benchmarks.recompute_tables import Cell, Rows, Sources, cell, text

__all__ = ["OUTCOME", "check_exports", "count_disputes"]

_REASONS = {
    "outside": "outside the image",
    "replaced": "replaced by a prosthesis",
    "amputated": "amputated",
    "fused": "fused by surgery",
    "unreadable": "unreadable",
    "not filmed": "not filmed",
}


def final(of: Sources, case: str, scale: str, quantity: Quantity) -> float:
    """Return the final score or change of a case by the rule of the charter, NaN if there is none."""
    exports = of.exports
    rule = exports.final[0]["final_rule"]
    if rule.startswith("consensus") and (case, "consensus") in exports.grades:
        return of.value(case, "consensus", scale, quantity)
    if rule == "consensus":
        return NAN
    values = [of.value(case, rater, scale, quantity) for rater in exports.raters[case]]
    if any(map(math.isnan, values)):
        return NAN
    return float(np.median(values) if rule == "median" else np.mean(values))


def _finals(of: Sources, scale: str, quantity: Quantity) -> dict[str, float]:
    found = {case: final(of, case, scale, quantity) for case in of.exports.raters}
    return {case: value for case, value in found.items() if not math.isnan(value)}


def final_scores(of: Sources) -> Rows:
    """Mean, SD, median, quartiles and range of the final scores."""
    rows: Rows = {}
    for scale in of.exports.all_scales:
        for quantity in of.exports.quantities:
            found = list(_finals(of, scale, quantity).values())
            quartiles = [of.formulas.quantile(found, share) for share in (0.25, 0.5, 0.75)]
            ends = (min(found), max(found)) if found else (NAN, NAN)
            rows[scale, quantity.name] = [
                cell("#", len(found)), _mean_sd(of, found), cell("#", quartiles[1]),
                cell("# to #", quartiles[0], quartiles[2]), cell("# to #", *ends),
            ]  # fmt: skip
    return rows


def _mean_sd(of: Sources, values: list[float]) -> Cell:
    mean, sd = of.formulas.mean(values), of.formulas.sd(values)
    return cell("# (–)", mean) if math.isnan(sd) else cell("# (#)", mean, sd)


def progression(of: Sources) -> Rows:
    """Cases of which the final change is more than the measurement error, or fast."""
    rows: Rows = {}
    for scale in of.exports.all_scales:
        for quantity in of.exports.changes:
            found = _finals(of, scale, quantity)
            changes = list(found.values())
            variance, df = of.error(scale, quantity)
            limits = [of.formulas.detectable(variance, df, of.harmonic(), level)[0] for level in (0.95, 0.8)]
            speeds = [
                change / years for case, change in found.items() if (years := of.exports.years(case, quantity)) > 0
            ]
            rows[scale, quantity.name] = [
                cell("#", len(found)),
                *(cell("#: # of #", limit, *_share(changes, sum(each > limit for each in changes))) for limit in limits),
                cell("# of #", limits[0], *_share(changes, sum(each < -limits[0] for each in changes))),
                *(cell("# of #", *_share(values, sum(over(each) for each in values))) for values, over in (
                    (changes, lambda each: each >= 5), (speeds, lambda each: each > 0.5), (speeds, lambda each: each >= 5)
                )),
            ]  # fmt: skip
            below = rows[scale, quantity.name][3]
            rows[scale, quantity.name][3] = below[0], below[1][1:]
    return rows


def _share(values: list[float], count: int) -> tuple[float, float]:
    return (count, len(values)) if values else (NAN, NAN)


def totals(of: Sources) -> Rows:
    """Totals by rater at each visit, and their changes."""
    exports = of.exports
    scales = [*exports.scales] if len(exports.scales) > 1 else []
    rows: Rows = {}
    consensus = ["consensus"] * any(reader == "consensus" for _, reader in exports.grades)
    for reader in [*of.listed, *consensus]:
        for quantity in exports.quantities:
            visits = {quantity.b, quantity.b if quantity.a is None else quantity.a}
            cases = [
                case for case, each in exports.grades
                if each == reader and visits <= {visit for _, _, visit in exports.grades[case, each]}
            ]  # fmt: skip
            found = {case: of.value(case, reader, exports.all_scales[0], quantity) for case in cases}
            found = {case: value for case, value in found.items() if not math.isnan(value)}
            speeds = [
                value / years
                for case, value in found.items()
                if quantity.a is not None and (years := exports.years(case, quantity)) > 0
            ]
            of_scales = [[of.value(case, reader, scale, quantity) for case in found] for scale in scales]
            rows[reader, quantity.name] = [
                cell("#", len(found)), cell("#", len(cases) - len(found)), _mean_sd(of, list(found.values())),
                cell("#", of.formulas.quantile(list(found.values()), 0.5)),
                *(_mean_sd(of, [each for each in values if not math.isnan(each)]) for values in of_scales),
                cell("# of #", *_share(speeds, sum(each > 0.5 for each in speeds))),
                cell("# of #", *_share(speeds, sum(each >= 5 for each in speeds))),
            ]  # fmt: skip
    return rows


def _apart(of: Sources, case: str) -> float:
    """Return the largest difference of two raters' changes of the total, of totals if there is one visit; NaN for none."""
    found = []
    visits = {visit for _, _, visit in of.exports.grades[case, of.exports.raters[case][0]]}
    statuses = [quantity for quantity in of.exports.quantities if quantity.a is None and {quantity.b} == visits]
    for quantity in statuses if len(visits) == 1 else of.exports.changes:
        changes = [of.value(case, rater, of.exports.all_scales[0], quantity) for rater in of.exports.raters[case]]
        found.append(max(changes) - min(changes) if not any(map(math.isnan, changes)) else NAN)
    return max((each for each in found if not math.isnan(each)), default=NAN)


def _unscored(of: Sources, case: str) -> int:
    readings = [
        {(row["scale"], row["site"], row["time"]): bool(row["score"]) for row in of.exports.rows[case, rater]}
        for rater in of.exports.raters[case]
    ]
    return sum(len({found.get(place) for found in readings}) > 1 for place in readings[0])


def count_disputes(of: Sources) -> tuple[int, int]:
    """Return the numbers of cases that are disputed by the threshold, and of others that have unscored fields."""
    wide = [case for case in of.exports.cases if _apart(of, case) >= of.threshold]
    return len(wide), sum(bool(_unscored(of, case)) for case in of.exports.cases if case not in wide)


def disputes(of: Sources) -> Rows:
    """Disputed cases."""
    rows: Rows = {}
    for case in of.exports.cases:
        apart, unscored = _apart(of, case), _unscored(of, case)
        if apart >= of.threshold or unscored:
            late = of.exports.late_change(case, [*of.exports.raters[case], "consensus"])
            signed = "signed" if (case, "consensus") in of.exports.grades else "open"
            signed += f"; late change: {late}" * bool(late)
            joints, count = _widest(of, case)
            rows[case,] = [text(signed), text(joints), cell("#", apart), cell("#", count), cell("#", unscored)]
    return rows


def _widest(of: Sources, case: str) -> tuple[str, int]:
    """Return the five joints in dispute with the largest differences, and the number of joints in dispute.

    A joint is in dispute if two entries of a field differ. The order is that of the largest difference of two raters'
    changes between any two visits, then of their scores, then of the number of fields that only some have scored.
    """
    readings: list[dict[str, dict[tuple[str, int], tuple[str, ...]]]] = []
    for rater in of.exports.raters[case]:
        fields: dict[str, dict[tuple[str, int], tuple[str, ...]]] = {}
        for row in of.exports.rows[case, rater]:
            entry = tuple(row[name] for name in ("entry", "grade", "finding", "reason", "score"))
            fields.setdefault(row["site"], {})[row["scale"], int(row["time"])] = entry
        readings.append(fields)
    severities = {
        site: _severity([fields[site] for fields in readings])
        for site in readings[0]
        if any(fields[site] != readings[0][site] for fields in readings)
    }
    return ", ".join(sorted(severities, key=lambda site: severities[site], reverse=True)[:5]), len(severities)


def _severity(readings: list[dict[tuple[str, int], tuple[str, ...]]]) -> tuple[float, float, int]:
    change, status, unscored = 0.0, 0.0, 0
    scores = [{place: float(entry[4]) if entry[4] else None for place, entry in fields.items()} for fields in readings]
    for scale, visit in scores[0]:
        known = [score for fields in scores if (score := fields[scale, visit]) is not None]
        unscored += 0 < len(known) < len(scores)
        status = max(status, max(known, default=0) - min(known, default=0))
        for other in (at for each, at in scores[0] if each == scale and at > visit):
            moved = [
                last - first
                for fields in scores
                if (first := fields[scale, visit]) is not None and (last := fields[scale, other]) is not None
            ]
            change = max(change, max(moved, default=0) - min(moved, default=0))
    return change, status, unscored


def missing(of: Sources) -> Rows:
    """Fields without a score, by reason."""
    rows: Rows = {}
    exports = of.exports
    mine = [row for row in exports.scores if row["kind"] == "rater"]
    readings = {(row["case"], row["reader"]) for row in mine}
    for reason, name in _REASONS.items():
        found = [row for row in mine if not row["score"] and (row["reason"] or row["entry"]) == reason]
        if found:
            at = [Counter(int(row["time"]) for row in rows_of) for rows_of in (found, mine)]
            by_visit = [cell("# of #", at[0][visit], at[1][visit]) for visit in exports.visits]
            rows[name,] = [
                *by_visit,
                cell("# of #", len({(row["case"], row["reader"]) for row in found}), len(readings)),
            ]
    return rows


def reopened(of: Sources) -> Rows:
    """List readings that were opened again, and adjudicated joints."""
    rows: Rows = {}
    for row in of.exports.readings:
        day = row["signed_at"][:10]
        if row["kind"] == "rater" and int(row["reopened"]):
            what = "opened again after release" if row["reopened_after_release"] == "1" else "opened again"
            rows[row["case"], row["reader"], what] = [text(row["reasons"]), text(day)]
        if row["kind"] == "consensus":
            rows[row["case"], row["reader"], "adjudicated"] = [
                text(row["adjudicated_joints"].replace(" ", ", ")),
                text(day),
            ]
    return rows


def deviations(of: Sources) -> Rows:
    """List visits outside the days of the charter, by the days of ``scores.csv``; the baseline is on its planned day."""
    rows: Rows = {}
    plan = (of.settings or {}).get("charter", {}).get("visits", [])
    for case in of.exports.raters:
        days: dict[int, set[int | None]] = {}
        for row in of.exports.rows[case, of.exports.raters[case][0]]:
            if row["film"]:
                days.setdefault(int(row["time"]), set()).add(int(row["day"]) if row["day"] else None)
        start = min((day for day in days.get(0, ()) if day is not None), default=None)
        for number, visit in enumerate(plan[: max(days) + 1]):
            if number not in days:
                rows[case, visit["name"], "no film"] = [text("–")] * 3
            elif "day" in visit and (visit.get("before") or visit.get("after")):
                first, last = visit["day"] - visit.get("before", 0), visit["day"] + visit.get("after", 0)
                window = cell("# to #", first, last)
                moved = [day - start + plan[0].get("day", 0) for day in days[number] if None not in (day, start)]
                if not moved:
                    rows[case, visit["name"], "day unknown"] = [window, text("–"), text("–")]
                elif max(moved) - last > max(0, first - min(moved)):
                    rows[case, visit["name"], "late"] = [window, cell("#", max(moved)), cell("#", max(moved) - last)]
                elif min(moved) < first:
                    rows[case, visit["name"], "early"] = [window, cell("#", min(moved)), cell("#", first - min(moved))]
    return rows


def check_exports(of: Sources) -> tuple[int, list[str]]:
    """Compare ``totals.csv`` and ``final.csv`` with the scores, and return the number of values and the differences."""
    exports, count, wrong = of.exports, 0, []
    for row in exports.totals:
        for scale in exports.all_scales:
            for quantity in exports.quantities:
                visits = "_".join(map(str, quantity.column))
                column = (
                    f"{scale}_{visits}"
                    if quantity.a is None
                    else f"{scale}_change" + f"_{visits}" * (not exports.two_visits)
                )
                value = of.value(row["case"], row["reader"], scale, quantity)
                count += 1
                if not _equal(row[column], value):
                    wrong.append(
                        f"totals.csv: {row['case']} {row['reader']} {column}: {row[column]}, recomputed {value}"
                    )
    if exports.readings:
        wrong += _check_late_changes(exports)
        count += len(exports.totals) + len(exports.final)
    first = min(exports.visits)
    for row in exports.final:
        visit = int(row["time"])
        expected = {"score": Quantity("", None, visit)}
        if visit != first:
            expected["change"] = Quantity("", first, visit)
            expected["change_previous"] = Quantity("", max(each for each in exports.visits if each < visit), visit)
        for column, quantity in expected.items():
            value = final(of, row["case"], row["scale"], quantity)
            count += 1
            if not _equal(row[column], value):
                wrong.append(
                    f"final.csv: {row['case']} {row['scale']} {visit} {column}: {row[column]}, recomputed {value}"
                )
    return count, wrong


def _check_late_changes(exports: Exports) -> list[str]:
    """Compare the marks of late changes in the files with those of the readings."""
    wrong = []
    for name, rows in (("scores", exports.scores), ("totals", exports.totals), ("final", exports.final)):
        for row in rows:
            by_consensus = ["consensus"] if row.get("source") == "consensus" else []
            readers = [row["reader"]] if "reader" in row else [*exports.raters[row["case"]], *by_consensus]
            expected = exports.late_change(row["case"], readers)
            if row["late_change"] != expected:
                wrong.append(f"{name}.csv: {row['case']} late_change: {row['late_change']!r}, recomputed {expected!r}")
    return wrong


def _equal(written: str, value: float) -> bool:
    return not written if math.isnan(value) else bool(written) and math.isclose(float(written), value, abs_tol=1e-9)


OUTCOME: dict[str, tuple[int, Callable[[Sources], Rows]]] = {
    "Disputes": (1, disputes),
    "Totals": (2, totals),
    "Final scores": (2, final_scores),
    "Progression": (2, progression),
    "Fields without a score": (1, missing),
    "Deviations from the planned visits": (3, deviations),
    "Reopened readings and adjudicated joints": (3, reopened),
}
"""Function and number of naming cells of each table, by its heading."""

"""The table of measured joint spaces: one row per joint and pair of visits."""

from __future__ import annotations

from ratui.results.export.signed_readings import ExportSource
from ratui.results.export.tables import Column, Table
from ratui.results.joint_space import find_successive_changes, load_released_measurements
from ratui.study.joint_spaces.joint_space import REASONS

__all__ = ["build_joint_space_table"]

_COLUMNS = (
    Column("case", "text", "the patient's pseudonym"),
    Column("site", "text", "joint with its side"),
    Column("side", "text", "the patient's side", "L, R"),
    Column("joint", "text", "the joint"),
    Column("time_from", "integer", "number of the earlier visit in the study, 0 the baseline", "0 to 7"),
    Column("time_to", "integer", "number of the later visit in the study", "0 to 7"),
    Column("visit_from", "id", "name of the earlier visit"),
    Column("visit_to", "id", "name of the later visit"),
    Column("film_from", "id", "id of the earlier film in the study"),
    Column("film_to", "id", "id of the later film in the study"),
    Column("successive", "integer", "1 if the joint was measured at no visit between these two", "0, 1"),
    Column(
        "change_mm",
        "number",
        "change of the joint space in millimetres, positive if it is wider later; empty if unknown",
    ),
    Column("change_px", "number", "the same in pixels; empty if it could not be measured"),
    Column("sd", "number", "standard error of change_mm, or of change_px if that is empty"),
    Column("confidence", "number", "smaller correlation of the two bones after their registration, from 0 to 1"),
    Column("ok", "integer", "1 if the measurement is reliable; others should not be used", "0, 1"),
    Column(
        "reason",
        "text",
        "why it is not reliable; empty if it is. " + "; ".join(f"{name}: {words}" for name, words in REASONS.items()),
        ", ".join(REASONS),
    ),
)


def build_joint_space_table(source: ExportSource) -> Table:
    """Return one row per measured joint and pair of visits of the released cases; no rows if nothing was measured."""
    study, charter = source.study, source.study.config.charter
    rows: list[tuple[object, ...]] = []
    for case, found in load_released_measurements(study, source.released).items():
        visits = source.released.visit_numbers[case]
        successive = set(find_successive_changes(found))
        for each in found:
            site = study.scheme.site(each.site)
            first, last = (visits[time] for time in each.times)
            rows.append(
                (
                    case,
                    each.site,
                    site.side,
                    site.joint.id,
                    first,
                    last,
                    charter.visit_name(first),
                    charter.visit_name(last),
                    *each.films,
                    int(each in successive),
                    each.mm,
                    each.pixels,
                    each.sd,
                    each.confidence,
                    int(each.is_reliable),
                    each.reason or None,
                )
            )
    return Table("joint_space", "the measured change of one joint space between two visits", _COLUMNS, rows)

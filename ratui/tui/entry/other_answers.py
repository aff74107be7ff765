"""What the raters had answered at a joint, for an adjudicator who has answered: by letters, never by names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ratui.reading import Entry, Field, FindingEntry, GradeEntry, NotAssessableEntry, Reading
from ratui.tui.i18n.catalog import Catalog

__all__ = ["format_other_answers"]


def format_other_answers(t: Catalog, reading: Reading, others: Sequence[Mapping[Field, Entry]], site: str) -> str:
    """``left MCP2 ERO, JSN: A 1→2, 0→0 · B …``: `others` are the answers in an order that is drawn for each joint.

    Empty where there are none. In a study blinded to order the time points stand as on the screen, with a bar between.
    """
    if not others:
        return ""
    between = "|" if reading.is_blinded else "→"
    joint, side = reading.site(site).joint, t(f"text.side_{reading.site(site).side}")
    parts = []
    for letter, answers in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", others, strict=False):
        said = (
            between.join(_entry(t, reading, answers, Field(site, scale, time)) for time in reading.order)
            for scale in joint.scales
        )
        parts.append(f"{letter} {', '.join(said)}")
    name = f"{side} {t.translate_scheme(joint.label)}"
    return t("scoring.others", joint=name, scales=", ".join(joint.scales), answers=" · ".join(parts))


def _entry(t: Catalog, reading: Reading, answers: Mapping[Field, Entry], field: Field) -> str:
    match answers.get(field):
        case GradeEntry(grade):
            return str(grade)
        case FindingEntry(id):
            return t.translate_scheme(reading.scheme.finding(id).label)
        case NotAssessableEntry(id):
            return t.translate_scheme(reading.scheme.reason(id).label)
        case None:
            return "–"

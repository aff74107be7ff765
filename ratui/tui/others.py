"""What the raters had answered at a joint, for an adjudicator who has answered: by letters, never by names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ratui.reading import Entry, Field, Found, Graded, NotAssessable, Reading
from ratui.tui.messages import Messages

__all__ = ["others_text"]


def others_text(t: Messages, reading: Reading, others: Sequence[Mapping[Field, Entry]], site: str) -> str:
    """``left MCP2 had A ERO 1→2 JSN 0→0 · B …``: `others` are the answers in an order that is drawn for each joint.

    Empty where there are none. In a study blinded to order the time points stand as on the screen, with a bar between.
    """
    if not others:
        return ""
    between = "|" if reading.blinded else "→"
    parts = []
    for letter, answers in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", others, strict=False):
        scales = reading.site(site).joint.scales
        said = [
            f"{scale} {between.join(_entry(t, reading, answers, Field(site, scale, time)) for time in reading.order)}"
            for scale in scales
        ]
        parts.append(f"{letter} {' '.join(said)}")
    joint = f"{t(f'text.side_{reading.site(site).side}')} {t.of_scheme(reading.site(site).joint.label)}"
    return t("scoring.others", joint=joint, answers=" · ".join(parts))


def _entry(t: Messages, reading: Reading, answers: Mapping[Field, Entry], field: Field) -> str:
    match answers.get(field):
        case Graded(grade):
            return str(grade)
        case Found(id):
            return t.of_scheme(reading.scheme.finding(id).label)
        case NotAssessable(id):
            return t.of_scheme(reading.scheme.reason(id).label)
        case None:
            return "–"

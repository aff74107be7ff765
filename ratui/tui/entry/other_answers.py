"""What the raters had answered at a joint, for an adjudicator who has answered: by letters, never by names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ratui.reading import Entry, Field, Reading
from ratui.tui.entry.text import format_entry, join_time_points
from ratui.tui.i18n.catalog import Catalog

__all__ = ["format_other_answers"]


def format_other_answers(t: Catalog, reading: Reading, others: Sequence[Mapping[Field, Entry]], site: str) -> str:
    """``left MCP2 ERO, JSN: A 1→2, 0→0 · B …``: `others` are the answers in an order that is drawn for each joint.

    Empty where there are none. In a study blinded to order the time points stand as on the screen, with a bar between.
    """
    if not others:
        return ""
    joint, side = reading.site(site).joint, t(f"text.side_{reading.site(site).side}")
    parts = []
    for letter, answers in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", others, strict=False):
        said = (
            join_time_points(
                reading,
                (
                    format_entry(t, reading.scheme, answers.get(Field(site, scale, time)), empty="–")
                    for time in reading.order
                ),
                blinded="|",
            )
            for scale in joint.scales
        )
        parts.append(f"{letter} {', '.join(said)}")
    name = f"{side} {t.translate_scheme(joint.label)}"
    return t("scoring.others", joint=name, scales=", ".join(joint.scales), answers=" · ".join(parts))

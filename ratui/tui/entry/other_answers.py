"""Text with the raters' answers for an adjudicator. Raters are named by letters, never by their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ratui.reading import Entry, Field, Reading
from ratui.tui.entry.text import format_entry, join_time_points
from ratui.tui.i18n.catalog import Catalog

__all__ = ["format_other_answers"]


def format_other_answers(t: Catalog, reading: Reading, others: Sequence[Mapping[Field, Entry]], site: str) -> str:
    """Return the raters' answers at a joint: ``left MCP2 ERO, JSN: A 1→2, 0→0 · B …``.

    In a study blinded to order, the time points have the order of the films on the screen, separated by a bar.

    Parameters
    ----------
    t
        The texts.
    reading
        The adjudicator's reading.
    others
        Answers of each rater by field. The caller shuffles the raters for each joint, so that a letter identifies nobody.
    site
        Key of the site.

    Returns
    -------
    str
        The text; empty if there are no other answers.
    """
    if not others:
        return ""
    joint, side = reading.site(site).joint, t(f"text.side_{reading.site(site).side}")
    parts = []
    for letter, answers in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", others, strict=False):
        texts = (
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
        parts.append(f"{letter} {', '.join(texts)}")
    name = f"{side} {t.translate_scheme(joint.label)}"
    return t("scoring.other_answers", joint=name, scales=", ".join(joint.scales), answers=" · ".join(parts))

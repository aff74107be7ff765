"""Texts of the overview about one joint and about its change."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text

from ratui.reading import Field, Reading
from ratui.scheme import Site
from ratui.tui.entry import text as texts
from ratui.tui.entry.model_comparison import AnyPrediction, format_model_scores
from ratui.tui.entry.visit_names import VisitNames
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.screens.overview.changes import JointChange
from ratui.tui.theme import BRIGHT, NOTE, PLAIN, QUIET

__all__ = ["format_change", "format_joint_name", "format_joint_row", "format_missing"]

_NAMED_JOINTS = ("IP", "PIP", "MCP", "CMC", "FIP", "MTP")
"""Letters of the ids of joints that have a full name."""


def format_joint_name(t: Catalog, site: Site) -> str:
    """Return the full name of the joint of `site`: ``2nd metacarpophalangeal joint``; its label if it has none."""
    letters = site.joint.id.rstrip("0123456789")
    number = site.joint.id[len(letters) :]
    if letters not in _NAMED_JOINTS or number not in tuple("12345"):
        return t.translate_scheme(site.joint.label)
    return t(f"overview.joint_{letters}", number=t(f"overview.number_{number}"))


def format_joint_row(
    t: Catalog,
    reading: Reading,
    site: str,
    visits: VisitNames,
    predictions: Sequence[AnyPrediction],
    width: int,
) -> Text:
    """Return everything that was entered at `site`, in words. The full name of the joint is added if it fits.

    Parameters
    ----------
    t
        The texts.
    reading
        The reading.
    site
        Key of the site.
    visits
        The names of the case's visits.
    predictions
        Predictions of models that differ from the reading at this site.
    width
        Width of the line in cells.
    """
    found = reading.site(site)
    title, name = texts.format_site_title(t, reading.scheme, found), format_joint_name(t, found)
    text = Text(no_wrap=True)
    if len(reading.order) > 2:
        for scale in found.joint.scales:
            shown = [texts.format_field(t, reading, Field(site, scale, time)) for time in reading.order]
            text.append(f"   {scale} ", QUIET).append(texts.join_time_points(reading, shown), PLAIN)
    for place, time in enumerate(reading.order if len(reading.order) <= 2 else ()):
        visit = visits.title(t, reading.order, place, blinded=reading.is_blinded)
        shown = [
            f"{field.scale} {texts.format_field(t, reading, field)}"
            for field in reading.joint_fields(site)
            if field.time == time
        ]
        text.append(f"   {visit} ", QUIET).append(", ".join(shown) or "–", PLAIN)
    if site in reading.flags:
        text.append(f"   {t('overview.flagged')}", NOTE)
    if site in reading.notes:
        text.append(f"   {t('overview.note', text=reading.notes[site])}", PLAIN)
    if predictions:
        text.append(f"   ≠ {format_model_scores(t, reading, predictions)}", NOTE)
    if name != t.translate_scheme(found.joint.label) and cell_len(f" {title} ({name})") + text.cell_len <= width:
        title = t("overview.joint_named", title=title, name=name)
    return Text(no_wrap=True).append(f" {title}", BRIGHT).append_text(text)


def format_change(t: Catalog, reading: Reading, change: JointChange, visits: VisitNames, width: int) -> tuple[str, str]:
    """Return the two lines below the films of a joint that differs: its side and full name, and its scores.

    The scores have their difference in brackets, except in a study blinded to order. With more than two visits the line
    names the two that are shown. Names and visits are shortened, and not cut, if `width` cells do not hold them.
    """
    site = reading.site(change.site)
    full, side = format_joint_name(t, site), t(f"text.side_{site.side}")
    names = (full, full.partition(" (")[0], t.translate_scheme(site.joint.id))
    name = next((each for each in names if cell_len(f"{side} {each}") <= width), names[-1])
    times = [reading.order[place] for place in change.places]
    scores = []
    for scale in site.joint.scales:
        fields = [Field(site.key, scale, time) for time in times]
        text = texts.join_time_points(reading, (texts.format_score(reading, field) for field in fields))
        before, after = (reading.score(field) for field in fields)
        if len(reading.order) == 2 and not reading.is_blinded and before is not None and after is not None:
            text += f" ({after - before:+d})" if after != before else ""
        scores.append(f"{scale} {text}")
    line = "  ".join(scores)
    if len(reading.order) > 2:
        own = (visits.name(t, reading.order, time, blinded=reading.is_blinded) for time in times)
        shown = (", ".join(own), t("overview.films", first=change.places[0] + 1, second=change.places[1] + 1))
        visit = next((each for each in shown if cell_len(f"{line}  {each}") <= width), "")
        line += f"  {visit}" if visit else ""
    return f"{side} {name}", line


def format_missing(t: Catalog, reading: Reading, width: int) -> str:
    """Return the number of open fields and as many of their joints as fit into `width` cells; empty if none is open."""
    sites = list(dict.fromkeys(field.site for field in reading.open_fields))
    names = [f"{t(f'text.side_{site.side}')} {site.joint.label}" for site in map(reading.site, sites)]
    count = len(reading.open_fields)
    for shown in range(len(names), 0, -1):
        more = t("overview.more", count=len(names) - shown) if shown < len(names) else ""
        text = t("overview.missing", count=count, joints=", ".join(names[:shown]) + more)
        if cell_len(text) <= width:
            return text
    return t("overview.missing_many", count=count) if count else ""

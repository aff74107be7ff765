"""What stands on the regions screen, as text made from the boxes. Pure: no widget, no film, no disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.cells import cell_len
from rich.text import Text

from ratui.regions import RegionFault
from ratui.regions.editor import RegionEditor
from ratui.scheme import Site
from ratui.study import FilmRecord, Region, RegionSource, Study
from ratui.tui.entry import text as texts
from ratui.tui.graphics.box_drawing import format_short_name
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.theme import BRIGHT, NOTE, PLAIN, QUIET, WAITING

__all__ = [
    "format_arrangement",
    "format_box_state",
    "format_count",
    "format_fault",
    "format_head",
    "format_opening_note",
]

_MANY = 4


def format_head(
    t: Catalog, case: str, study: Study, film: FilmRecord, site: Site, order: Sequence[int], number: int, total: int
) -> str:
    """Which film this is: its case, side and time point."""
    place = list(order).index(film.time)
    when = texts.format_time_point(t, order, place, study.config.blinded, film.day)
    hand = texts.format_hand_title(t, study.scheme, site)
    return t("regions.head", case=case, hand=hand, when=when, number=number, total=total)


def format_count(t: Catalog, boxes: RegionEditor) -> Text:
    """How many boxes of the film are accepted."""
    return Text(t("regions.count", done=boxes.accepted_count, total=len(boxes.sites)), QUIET, no_wrap=True)


def format_box_state(t: Catalog, boxes: RegionEditor) -> Text:
    """The current box: its joint, whether it is accepted, where it came from."""
    region = boxes.region
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f" {_name(t, boxes, boxes.site)} ", WAITING)
    mark = t("regions.accepted_by", rater=region.confirmed_by) if region.confirmed_by else t("regions.not_accepted")
    text.append(f" {mark}", QUIET if region.confirmed_by else BRIGHT)
    text.append(f" · {_source(t, region)}", PLAIN)
    return text


def format_fault(t: Catalog, boxes: RegionEditor, wrong: RegionFault, keys: Mapping[str, str]) -> Text:
    """Why a box is refused, below it. `keys` are those that may help, by action."""
    values = {
        "joint": _name(t, boxes, boxes.scheme.site(wrong.site)),
        "other": _name(t, boxes, boxes.scheme.site(wrong.other)) if wrong.other else "",
    }
    kind = wrong.kind.replace(" ", "_")
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(t(f"regions.fault_{kind}", **values, **keys), NOTE)
    return text


def format_arrangement(t: Catalog, boxes: RegionEditor) -> str:
    """How the film is said to lie now."""
    return t(f"regions.lies_{boxes.arrangement}")


def format_opening_note(t: Catalog, boxes: RegionEditor, failed: bool) -> str:
    """What the rater should know of the boxes when a film is opened: which want a look, and why."""
    names = [_name(t, boxes, boxes.sites[i]) for i in boxes.uncertain_indices]
    sources = {boxes.regions[boxes.sites[i].key].source for i in boxes.uncertain_indices}
    if failed:
        return t("regions.not_laid")
    if not names or RegionSource.TEMPLATE in sources:
        return t("regions.from_template") if names else ""
    shown = ", ".join(names[:_MANY]) + (" …" if len(names) > _MANY else "")
    return t("regions.unsure", joints=shown, count=len(names))


def _name(t: Catalog, boxes: RegionEditor, site: Site) -> str:
    label = t.translate_scheme(site.joint.label)
    if cell_len(label) > 14:
        label = t.translate_scheme(format_short_name(site, False))
    return f"{t(f'text.side_{site.side}')} {label}" if boxes.film.side == "B" else label


def _source(t: Catalog, region: Region) -> str:
    if region.box is None:
        return t("regions.not_on_film")
    percent = round(100 * region.confidence) if region.confidence is not None else None
    known = {
        RegionSource.RATER: "regions.source_rater",
        RegionSource.TEMPLATE: "regions.source_template",
        RegionSource.OTHER_FILM: "regions.source_other_film",
        RegionSource.ESTIMATED: "regions.source_estimated",
    }
    if region.source in known:
        return t(known[region.source])
    if region.source == RegionSource.REGISTERED:
        return t("regions.source_registered", percent=percent)
    if percent is None:
        return t("regions.source_model", model=region.model)
    return t("regions.source_model_sure", model=region.model, percent=percent)

"""Texts of the regions screen, made from the boxes of a film. The functions depend on no widget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from rich.cells import cell_len
from rich.text import Text

from ratui.regions import RegionFault
from ratui.regions.editor import RegionEditor
from ratui.scheme import Site
from ratui.study import Case, FilmRecord, Region, RegionSource, Study
from ratui.tui.entry import text as texts
from ratui.tui.entry.visit_names import load_visit_names
from ratui.tui.graphics.box_outlines import SIGNS, BoxState, find_state, format_short_name
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.theme import BRIGHT, NOTE, PLAIN, QUIET, WAITING

__all__ = [
    "format_arrangement",
    "format_box_state",
    "format_count",
    "format_fault",
    "format_hand_state",
    "format_head",
    "format_legend",
    "format_opening_note",
]

_MANY = 4
"""Largest number of joints that a message names."""
_SHAPES: Mapping[BoxState, str] = {
    "accepted": "└ ┘",
    "proposed": "└─┘",
    "moved": "└┴┘",
    "estimated": "└┄┘",
    "refused": "└╱┘",
    "current": "╚═╝",
}
"""The lower sides of boxes by state, as in the film."""
_LEGEND_ORDER: tuple[BoxState, ...] = ("current", "accepted", "proposed", "moved", "estimated", "refused")
_LONGEST_LABEL = 14
"""Longest label of a joint, in cells; a longer one is abbreviated."""


def format_head(
    t: Catalog, case: Case, study: Study, film: FilmRecord, site: Site, order: Sequence[int], number: int, total: int
) -> str:
    """Return the top line: case, hand, time point, the `number` of the film out of `total`, and how it is turned."""
    place, visits = list(order).index(film.time), load_visit_names(study, case)
    when = texts.format_time_point(t, order, place, study.config.blinded, film.day, visits)
    hand = texts.format_hand_title(t, study.scheme, site)
    head = t("regions.head", case=case.id, hand=hand, when=when, number=number, total=total)
    turned = texts.format_orientation(t, film.orientation)
    return f"{head} · {turned}" if turned else head


def format_count(t: Catalog, editor: RegionEditor) -> Text:
    """Return the number of accepted boxes of the film."""
    return Text(t("regions.count", done=editor.accepted_count, total=len(editor.sites)), QUIET, no_wrap=True)


def format_box_state(t: Catalog, editor: RegionEditor, width: int) -> Text:
    """Return the state of the active box in `width` cells: its joint, who accepted it, and its source if there is room."""
    region = editor.region
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f" {_name(t, editor, editor.site)} ", WAITING)
    mark = t("regions.accepted_by", rater=region.confirmed_by) if region.confirmed_by else t("regions.not_accepted")
    text.append(f" {mark}", QUIET if region.confirmed_by else BRIGHT)
    sources = (f" · {_source(t, region, length)}" for length in ("", "_short"))
    text.append(next((each for each in sources if text.cell_len + cell_len(each) <= width), ""), PLAIN)
    return text


def format_legend(t: Catalog, editor: RegionEditor, refused: Iterable[str], *, uses_signs: bool, width: int) -> Text:
    """Return the meaning of the shapes of boxes on this film, with their numbers, in at most `width` cells.

    Only the states that occur are named. A joint that is not on the film has no box, but is counted here.

    Parameters
    ----------
    t
        The texts.
    editor
        The boxes of the film.
    refused
        Keys of the sites whose boxes are not valid.
    uses_signs
        True if signs stand for boxes, because the film is too small for lines.
    width
        Largest width of the text in cells; further states are left out.
    """
    wrong = set(refused)
    count: Counter[BoxState] = Counter()
    for key, region in editor.regions.items():
        if region.box is not None:
            count[find_state(region, is_current=key == editor.site.key, is_refused=key in wrong)] += 1
    parts = []
    for state in _LEGEND_ORDER:
        if count[state]:
            shape = SIGNS[state] if uses_signs and state != "current" else _SHAPES[state]
            number = "" if state == "current" else f" {count[state]}"
            parts.append((shape, f"{t(f'regions.legend_{state}')}{number}"))
    absent = sum(region.box is None for region in editor.regions.values())
    if absent:
        parts.append(("∅", f"{t('regions.legend_absent')} {absent}"))
    text = Text(no_wrap=True)
    for shape, meaning in parts:
        if text.cell_len + cell_len(shape) + cell_len(meaning) + 3 > width:
            break
        text.append("  " if text else " ")
        text.append(shape, BRIGHT)
        text.append(f" {meaning}", QUIET)
    return text


def format_hand_state(t: Catalog, editor: RegionEditor, rotate: str, width: int) -> Text:
    """Return the sentence that keys move all open boxes of the active hand, with its name if it fits into `width` cells.

    `rotate` are the printed keys that turn it.
    """
    hand = texts.format_hand_title(t, editor.scheme, editor.site)
    open_count = sum(key[0] == editor.site.side for key in editor.unaccepted)
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f" {t('regions.whole_hand', count=open_count)} ", WAITING)
    text.append(f" {t('regions.whole_hand_keys', rotate=rotate)}", BRIGHT)
    text.append(f" · {hand}" if text.cell_len + cell_len(hand) + 3 <= width else "", BRIGHT)
    return text


def format_fault(
    t: Catalog, editor: RegionEditor, faults: Sequence[RegionFault], key_label: Callable[[str], str]
) -> Text:
    """Return why a box is refused, by the first of its `faults`; empty without one.

    `key_label` returns the printed key of an action that may help.
    """
    if not faults:
        return Text()
    fault, keys = faults[0], {name: key_label(f"regions.{name}") for name in ("swap", "mirror", "absent")}
    values = {
        "joint": _name(t, editor, editor.scheme.site(fault.site)),
        "other": _name(t, editor, editor.scheme.site(fault.other)) if fault.other else "",
    }
    kind = fault.kind.replace(" ", "_")
    return Text(f" {t(f'regions.fault_{kind}', **values, **keys)}", NOTE, no_wrap=True)


def format_arrangement(t: Catalog, editor: RegionEditor, *, is_new: bool) -> str:
    """Return how the hands are assumed to lie on the film, or that no box could follow, unless it `is_new`."""
    if not is_new:
        return t("regions.nothing_to_swap")
    return t(f"regions.orientation_{editor.arrangement}")


def format_opening_note(t: Catalog, editor: RegionEditor, failed: bool, mirror_key: str) -> str:
    """Return the message when a film is opened: that it looks mirrored, or which boxes are uncertain, and why.

    Boxes of feet that a model proposes are always uncertain: no model was measured on real films of feet.

    `failed` says that placing the boxes failed, and `mirror_key` is the printed key that mirrors the film.
    """
    if editor.looks_mirrored:
        other = "looks_mirrored_foot" if editor.site.part == "foot" else "looks_mirrored"
        return t(f"regions.{other}", mirror=mirror_key)
    names = [_name(t, editor, editor.sites[index]) for index in editor.uncertain_indices]
    if failed:
        return t("regions.not_registered")
    proposed = any(editor.regions[key].source is RegionSource.MODEL for key in editor.unaccepted)
    if proposed and editor.site.part == "foot":
        return t("regions.proposed_feet")  # also with boxes from the template: accepting those asks again
    if editor.unsupported:
        is_all = len(editor.unsupported) == len(editor.unaccepted)
        return t("regions.from_template" if is_all else "regions.some_from_template", count=len(editor.unsupported))
    if not names:
        return ""
    shown = ", ".join(names[:_MANY]) + (" …" if len(names) > _MANY else "")
    return t("regions.estimated", joints=shown, count=len(names))


def _name(t: Catalog, editor: RegionEditor, site: Site) -> str:
    label = t.translate_scheme(site.joint.label)
    if cell_len(label) > _LONGEST_LABEL:
        label = t.translate_scheme(format_short_name(site, False))
    return f"{t(f'text.side_{site.side}')} {label}" if editor.film.side == "B" else label


def _source(t: Catalog, region: Region, length: str) -> str:
    """Return where the box of `region` comes from; `length` is empty, or ``_short`` for a few words."""
    if region.box is None:
        return t(f"regions.not_on_film{length}")
    percent = round(100 * region.confidence) if region.confidence is not None else None
    known = {
        RegionSource.RATER: "regions.source_rater",
        RegionSource.TEMPLATE: "regions.source_template",
        RegionSource.OTHER_FILM: "regions.source_other_film",
        RegionSource.ESTIMATED: "regions.source_estimated",
    }
    if region.source in known:
        return t(f"{known[region.source]}{length}")
    if region.source == RegionSource.REGISTERED:
        return t(f"regions.source_registered{length}", percent=percent)
    if percent is None:
        return t(f"regions.source_model{length}", model=region.model)
    return t(f"regions.source_model_confidence{length}", model=region.model, percent=percent)

"""The top line of the screens that show the films of one joint: joint, changed grey levels, case and progress.

The name of the joint and the note on changed grey levels are always shown. In a narrow window the progress is dropped first,
then the case, then details.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rich.text import Text

from ratui.reading import Reading
from ratui.scheme import Site
from ratui.tui.entry import text as texts
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.theme import ACCENT, BRIGHT, NOTE, QUIET

__all__ = ["format_grey_changes", "format_head"]


def format_head(
    t: Catalog,
    reading: Reading,
    site: str,
    progress: Sequence[str],
    width: int,
    *,
    scale: str = "",
    greys: Sequence[str] = (),
) -> Text:
    """Return the top line in `width` cells: the joint at one end, and the case with the progress at the other.

    The joint is on the side of the screen that its hand is on: left for a left hand.

    Parameters
    ----------
    t
        The texts.
    reading
        The reading.
    site
        Key of the site.
    progress
        Texts for the progress, the longest first.
    width
        Width of the line in terminal cells.
    scale
        The scale of the active field while fields are scored. The joint's name is reversed then, and its scales follow.
    greys
        Notes on changed grey levels from `format_grey_changes`, the longest first; empty if the films are as acquired.
    """
    asked = reading.site(site)
    is_left = asked.side == "L"
    near = far = Text()
    for near in _list_names(t, reading, asked, scale):
        for far in _list_far_ends(reading, progress, greys):
            if near.cell_len + far.cell_len < width:
                return texts.join_ends(near, far, width) if is_left else texts.join_ends(far, near, width)
    near.truncate(max(width - far.cell_len - 1, 8), overflow="ellipsis")  # a label of a wrist has up to 52 letters
    return texts.join_ends(near, far, width)


def format_grey_changes(t: Catalog, changes: Sequence[str], key: str) -> tuple[str, ...]:
    """Return notes on changed grey levels, the longest first; empty if there are no changes.

    Parameters
    ----------
    t
        The texts.
    changes
        The changes, as `DisplaySettings.changes` gives them.
    key
        The key that resets them, as it is printed.
    """
    if not changes:
        return ()
    named = ", ".join(_format_change(t, change) for change in changes)
    return (
        t("text.greys_changed", changes=named, key=key),
        t("text.greys_short", changes=named, key=key),
        t("text.greys_bare", changes=named, key=key),
        t("text.greys_unnamed", key=key),
        t("text.greys_minimal"),
    )


def _format_change(t: Catalog, change: str) -> str:
    """Return `change` in words: ``contrast ×1.38`` for ``contrast×1.38``."""
    name, step = re.fullmatch(r"([a-z]+)(.*)", change, re.DOTALL).groups()  # type: ignore[union-attr]
    return t(f"text.greys_{name}", step=step)


def _list_names(t: Catalog, reading: Reading, asked: Site, scale: str) -> Iterator[Text]:
    """Yield the name of the joint with its scales, without them, without the part of the body, without words in brackets."""
    style = f"{BRIGHT} reverse" if scale else BRIGHT
    side = (f" {asked.side} ", f"{BRIGHT} reverse")
    name = Text.assemble(side, (f" {texts.format_site_title(t, reading.scheme, asked)} ", style))
    if scale:
        scales = Text()
        for each in asked.joint.scales:
            scales.append(" ▸ " if len(scales) else " ", QUIET)
            scales.append(each, BRIGHT if each == scale else QUIET)
        yield Text.assemble(name, scales) if asked.side == "L" else Text.assemble(scales, "  ", name)
    yield name
    label = t.translate_scheme(asked.joint.label)
    for each in (label, label.partition(" (")[0]):
        yield Text.assemble(side, (f" {each} ", style))


def _list_far_ends(reading: Reading, progress: Sequence[str], greys: Sequence[str]) -> Iterator[Text]:
    """Yield the other end of the line, the fullest first. If there are notes `greys`, each of them has one of these."""
    notes = greys or ("",)
    detailed, others = notes[:2], notes[2:]
    case = Text(f" {reading.case} ", ACCENT)
    rests = [Text(f" {reading.case} · {each.strip()} ", ACCENT) for each in progress]
    for rest in (*rests, case, Text()):
        for note in detailed:
            yield Text.assemble((f" {note} " if note else "", NOTE), rest)
    for note in others:
        for rest in (case, Text()):
            yield Text.assemble((f" {note} ", NOTE), rest)

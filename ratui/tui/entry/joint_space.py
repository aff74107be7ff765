"""Texts of measured joint spaces beside the films: value and interval, or why there is no reliable measurement.

`ratui.study.joint_spaces.joint_space_access` decides whether there is anything to show. The texts never contain a grade.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from rich.cells import cell_len
from rich.text import Text

from ratui.reading import Reading
from ratui.study.joint_spaces.joint_space import MeasuredChange
from ratui.tui.entry.visit_names import VisitNames
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.theme import PLAIN, QUIET

__all__ = ["format_joint_space", "format_joint_space_of_visits"]

_INTERVAL = 1.96
"""Standard deviations on either side of a value, for a 95 % interval of normal errors."""
_SEPARATOR = " · "


def format_joint_space(
    t: Catalog,
    reading: Reading,
    visits: VisitNames,
    measured: Mapping[tuple[int, int], MeasuredChange],
    places: Sequence[int],
    width: int,
) -> Text:
    """Return the line with the measured change between two films; empty if the joint was not measured in this case.

    Parameters
    ----------
    t, reading, visits
        The texts, the reading, and the names of the case's visits.
    measured
        Measurements of the joint by the places of the films.
    places
        Places of the two films on the screen, the left one first; of fewer, if there is nothing to compare.
    width
        Width of the line in cells.
    """
    if not measured or len(places) != 2:
        return Text()
    line = _format_pair(t, reading, visits, measured, (places[0], places[1]))
    is_value = any(each.is_reliable for pair, each in measured.items() if pair == (places[0], places[1]))
    return _fit(t, line, width, explains=is_value)


def format_joint_space_of_visits(
    t: Catalog, reading: Reading, visits: VisitNames, measured: Mapping[tuple[int, int], MeasuredChange], width: int
) -> Text:
    """Return the measured changes between the visits of a joint, as many as fit; parameters as in `format_joint_space`.

    The change from the first film to the last comes first, then those between successive ones.
    """
    pairs = list(dict.fromkeys(_list_pairs(len(reading.order), measured)))
    if not pairs:
        return Text()
    line = _format_pair(t, reading, visits, measured, pairs[0])
    for place, pair in enumerate(pairs[1:], start=1):
        more = _format_pair(t, reading, visits, measured, pair, is_first=False)
        if cell_len(line) + cell_len(_SEPARATOR) + cell_len(more) + 2 * (place + 1 < len(pairs)) > width:
            return _fit(t, f"{line} …", width, explains=False)
        line += f"{_SEPARATOR}{more}"
    return _fit(t, line, width, explains=any(measured[pair].is_reliable for pair in pairs))


def _list_pairs(count: int, measured: Mapping[tuple[int, int], MeasuredChange]) -> Iterator[tuple[int, int]]:
    """Yield the measured pairs of places: the first film with the last one, then successive ones that show the joint."""
    shown = sorted({place for pair in measured for place in pair})
    for pair in ((0, count - 1), *pairwise(shown)):
        if pair in measured:
            yield pair


def _format_pair(
    t: Catalog,
    reading: Reading,
    visits: VisitNames,
    measured: Mapping[tuple[int, int], MeasuredChange],
    pair: tuple[int, int],
    *,
    is_first: bool = True,
) -> str:
    found = measured.get(pair)
    value = _format_change(t, found)
    if len(reading.order) == 2 and not reading.is_blinded:  # the change is from the earlier film to the later one
        has_value = found is not None and found.is_reliable
        return t("joint_space.change" if has_value else "joint_space.without_value", value=value)
    names = [visits.title(t, reading.order, place, blinded=reading.is_blinded) for place in pair]
    which = "joint_space.change_between" if is_first else "joint_space.another_change"
    return t(which, first=names[0], last=names[1], value=value)


def _format_change(t: Catalog, found: MeasuredChange | None) -> str:
    """Return the value with its interval, or that there is none."""
    if found is None:
        return t("joint_space.not_measured")
    value, unit, digits = (found.pixels, "px", 1) if found.mm is None else (found.mm, "mm", 2)
    if not found.is_reliable or value is None or found.sd is None:
        return t("joint_space.not_reliable", reason=t(f"joint_space.reason.{found.reason}"))
    shown = [
        _format_number(each, digits) for each in (value, value - _INTERVAL * found.sd, value + _INTERVAL * found.sd)
    ]
    return t("joint_space.value", value=shown[0], low=shown[1], high=shown[2], unit=unit)


def _format_number(value: float, digits: int) -> str:
    text = f"{value:+.{digits}f}"
    return text if float(text) else text[1:]  # 0 has no sign


def _fit(t: Catalog, line: str, width: int, *, explains: bool) -> Text:
    """Return `line` in `width` cells; with the meaning of sign and interval if there is room and it has a value."""
    text = Text(line, PLAIN, no_wrap=True, overflow="ellipsis")
    meaning = f"   {t('joint_space.meaning')}"
    if explains and cell_len(line) + cell_len(meaning) <= width:
        text.append(meaning, QUIET)
    text.truncate(width, overflow="ellipsis")
    return text

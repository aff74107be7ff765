"""The films of a joint that stand side by side: all of them where they fit, otherwise two that follow the active field.

Places are the numbers of the visits on the screen, 0 for the leftmost. The functions are pure and depend on no widget.
"""

from __future__ import annotations

from collections.abc import Sequence

from ratui.terminal import MIN_PIXELS_PER_MM, Display, estimate_view_resolution

__all__ = ["MAX_SIDE_BY_SIDE", "choose_window", "count_side_by_side", "find_pair", "next_place"]

MAX_SIDE_BY_SIDE = 4
"""Largest number of films side by side."""
_SHARP_COLUMNS, _HALF_CELL_COLUMNS = 24, 36
"""Smallest width of a film in terminal cells: with graphics, where the fields below it must fit; and with half-cells, where
it is that of two films in a terminal of 80 columns."""


def count_side_by_side(columns: int, rows: int, display: Display) -> int:
    """Return how many films stand side by side in an area of `columns` by `rows` cells: 2, 3 or 4.

    Two films always do. More do so if each of them is wide enough, and if the usual view of a joint is as sharp as beside
    one other film, or sharp enough to judge erosions (`MIN_PIXELS_PER_MM`). Half-cells never reach that. With them, each
    film must have as many cells as one of two films in a terminal of 80 columns.
    """
    is_coarse = display.protocol == "halfcell"
    for count in range(MAX_SIDE_BY_SIDE, 2, -1):
        width = columns // count - 2
        if width < (_HALF_CELL_COLUMNS if is_coarse else _SHARP_COLUMNS):
            continue
        if is_coarse:
            return count
        here, of_two = (estimate_view_resolution(display, columns // each - 2, rows) for each in (count, 2))
        if here >= min(of_two, MIN_PIXELS_PER_MM):
            return count
    return 2


def find_pair(has_film: Sequence[bool], active: int, beside: int | None = None) -> tuple[int, ...]:
    """Return the places of the two films to compare: the active one, and the nearest before it that shows the joint.

    The nearest after it is taken if none before it does. `has_film` is true for each place whose film shows the joint. A
    single place, or the only one with a film, has no other to compare. `beside` is the place to take instead, if its film
    shows the joint.
    """
    if len(has_film) <= 2:
        return tuple(range(len(has_film)))
    if beside is not None and beside != active and has_film[beside]:
        return tuple(sorted((active, beside)))
    before = [place for place in range(active) if has_film[place]]
    after = [place for place in range(active + 1, len(has_film)) if has_film[place]]
    other = before[-1:] or after[:1]
    return tuple(sorted((active, *other)))


def choose_window(has_film: Sequence[bool], active: int, most: int, beside: int | None = None) -> tuple[int, ...]:
    """Return the places of the films that stand side by side: all places if they are at most `most`, else `find_pair`."""
    return tuple(range(len(has_film))) if len(has_film) <= most else find_pair(has_film, active, beside)


def next_place(places: Sequence[int], active: int) -> int:
    """Return the place after `active` in `places`, which are in order; the first one after the last."""
    return next((place for place in places if place > active), places[0] if places else active)

"""Updates that are joined: the terminal shows the films and the texts of a joint at once, and gets the films early."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratui.terminal import FENCE, NUMBERED_FENCE, Bandwidth
from ratui.tui import driver
from ratui.tui.driver import JoinedUpdate
from ratui.tui.textual_internals import SYNC_END, SYNC_START

FILM = f"{SYNC_START}\x1b7{'f' * driver._LARGE_PART}\x1b8{SYNC_END}"
TEXT = f"{SYNC_START}\x1b[1;1Htext{SYNC_END}"


def fences(count: int) -> list[str]:
    bandwidth = Bandwidth()
    return [bandwidth.record_sent(1, 0.0) for _ in range(count)]


def test_a_film_is_written_before_the_update_ends() -> None:
    update, (fence,) = JoinedUpdate(is_synchronized=True), fences(1)
    first = update.add(FILM + fence)
    assert first.startswith(SYNC_START)
    assert "fff" in first
    assert FENCE not in first, "its answer would say that the film is displayed"
    assert update.add(TEXT) == ""
    assert update.end() == f"\x1b[1;1Htext{SYNC_END}{fence}"


def test_a_terminal_that_would_show_parts_gets_everything_at_the_end() -> None:
    update, (fence,) = JoinedUpdate(is_synchronized=False), fences(1)
    assert update.add(FILM + fence) == ""
    assert update.add(TEXT) == ""
    assert update.end() == f"{FILM.removesuffix(SYNC_END)}\x1b[1;1Htext{SYNC_END}{fence}"


@pytest.mark.parametrize("is_synchronized", [True, False])
def test_an_update_without_content_is_none(is_synchronized: bool) -> None:
    assert JoinedUpdate(is_synchronized=is_synchronized).end() == ""


@given(st.lists(st.sampled_from(["film", "text", "fence"]), max_size=8), st.booleans())
def test_it_is_one_update_with_all_parts_in_order_and_the_fences_after_it(
    kinds: list[str], is_synchronized: bool
) -> None:
    update, asked = JoinedUpdate(is_synchronized=is_synchronized), fences(8)
    parts = [{"film": FILM, "text": TEXT, "fence": asked[number]}[kind] for number, kind in enumerate(kinds)]
    written = "".join(update.add(part) for part in parts) + update.end()
    has_content = set(kinds) - {"fence"}
    assert written.count(SYNC_START) == written.count(SYNC_END) == (1 if has_content else 0)
    inner, _, after = written.partition(SYNC_END) if has_content else ("", "", written)
    assert after == "".join(part for part in parts if NUMBERED_FENCE.fullmatch(part))
    content = "".join(part for part in parts if not NUMBERED_FENCE.fullmatch(part))
    assert inner == (SYNC_START if has_content else "") + content.replace(SYNC_START, "").replace(SYNC_END, "")


def test_the_marks_of_a_large_part_are_found_at_its_ends() -> None:
    update, (fence, other) = JoinedUpdate(is_synchronized=True), fences(2)
    film = "f" * driver._LARGE_PART
    written = update.add(f"{SYNC_START}\x1b7{film}\x1b8{SYNC_END}{fence}{other}") + update.end()
    assert written == f"{SYNC_START}\x1b7{film}\x1b8{SYNC_END}{fence}{other}"


def test_a_large_part_with_more_than_one_update_is_searched() -> None:
    update = JoinedUpdate(is_synchronized=True)
    erased, freed = "e" * driver._EDGE, "f" * driver._LARGE_PART
    written = update.add(f"{SYNC_START}{erased}{SYNC_END}{freed}") + update.end()
    assert written == f"{SYNC_START}{erased}{freed}{SYNC_END}"

"""Keys that are held down are recognised by their times, and typing is not taken for them."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from ratui.tui.driver import classify_sequence, split_key_event, tokens_to_keys
from ratui.tui.input.unpressed_keys import KeyRepeats
from ratui.tui.textual_internals import XTermParser


def held_key(delay: float, rate: float, seconds: float, *, group: float = 0.0) -> list[float]:
    """Return the times at which the characters of a key arrive that is held down from the time 0.

    `group` is the time in seconds for which a connection collects characters before it delivers them.
    """
    times = [0.0]
    while (now := delay + (len(times) - 1) / rate) < seconds:
        times.append(now)
    return [(time // group + 1) * group for time in times] if group else times


def note_all(repeats: KeyRepeats, times: Iterable[float], key: str = "n") -> list[bool]:
    """Note `key` at each of `times`; return whether it counted as held down each time."""
    result = []
    for now in times:
        repeats.note_key(key, now)
        result.append(repeats.is_held)
    return result


@pytest.mark.parametrize("delay", [0.25, 0.4, 0.5, 0.66])
@pytest.mark.parametrize("rate", [11.0, 15.0, 25.0, 30.0, 50.0])
@pytest.mark.parametrize("group", [0.0, 0.05, 0.1])
def test_a_key_that_is_held_down_is_recognised(delay: float, rate: float, group: float) -> None:
    repeats = KeyRepeats()
    held = note_all(repeats, held_key(delay, rate, 3.0, group=group))
    assert held[-1]
    assert not held[0]
    assert all(held[held.index(True) :]), "once recognised, until it is released"


def test_the_answers_of_the_repeats_are_withdrawn_but_not_that_of_the_press() -> None:
    repeats = KeyRepeats()
    withdrawn: frozenset[int] = frozenset()
    for number, now in enumerate(held_key(0.4, 30.0, 2.0)):
        repeats.note_key("n", now)
        withdrawn |= repeats.take_withdrawn()
        if number < 2:  # the press, and the first repeat, which looks like another press
            repeats.note_answer(number)
    assert withdrawn == {1}


@pytest.mark.parametrize("delay", [0.25, 0.5, 0.66])
@pytest.mark.parametrize("rate", [20.0, 30.0, 50.0])
def test_a_key_that_is_released_after_its_third_repeat_answers_once(delay: float, rate: float) -> None:
    repeats = KeyRepeats()
    withdrawn: frozenset[int] = frozenset()
    for number, now in enumerate([0.0, delay, delay + 1 / rate, delay + 2 / rate]):
        repeats.note_key("0", now)
        withdrawn |= repeats.take_withdrawn()
        if not repeats.is_held:
            repeats.note_answer(number)
    assert withdrawn == {1, 2}
    assert repeats.is_held


def test_keys_that_a_slow_line_delivers_together_after_a_pause_are_no_repeats() -> None:
    for gap in (0.0, 0.005, 0.07):
        assert not any(note_all(KeyRepeats(), [0.0, *(0.4 + number * gap for number in range(4))])), gap


def test_a_released_key_counts_again() -> None:
    repeats = KeyRepeats()
    note_all(repeats, held_key(0.4, 30.0, 2.0))
    assert repeats.is_held
    assert note_all(repeats, [2.5]) == [False]


def test_another_key_counts_at_once() -> None:
    repeats = KeyRepeats()
    note_all(repeats, held_key(0.4, 30.0, 2.0))
    assert note_all(repeats, [2.01], "1") == [False]


def test_four_equal_keys_typed_quickly_are_four_keys() -> None:
    for gap in (0.0, 0.02, 0.035, 0.07, 0.12):
        assert not any(note_all(KeyRepeats(), [number * gap for number in range(4)])), gap


def test_two_hundred_keys_at_once_are_no_key_that_is_held_down() -> None:
    assert not any(note_all(KeyRepeats(), [1.0] * 200))


@pytest.mark.parametrize("group", [0.0, 0.1, 0.2, 0.5])
def test_a_person_who_types_four_keys_a_second_holds_none_down(group: float) -> None:
    draw = random.Random(7)
    for _ in range(200):
        now, times = 0.0, []
        for _ in range(40):
            now += 0.25 * draw.uniform(0.6, 1.4)
            times.append((now // group + 1) * group if group else now)
        assert not any(note_all(KeyRepeats(), times))


class TestReportedRepeats:
    """Kitty's keyboard protocol reports repeats."""

    def test_a_reported_repeat_is_held_and_a_press_after_it_is_not(self) -> None:
        repeats = KeyRepeats()
        repeats.note_key("n", 0.0)
        repeats.note_key("n", 0.5, is_repeat=True)
        assert repeats.is_held
        repeats.note_key("n", 0.53)
        assert not repeats.is_held
        assert repeats.run_began == 0.53

    @pytest.mark.parametrize(
        ("sequence", "plain", "event"),
        [
            ("\x1b[110;1:2;110u", "\x1b[110;1;110u", "repeat"),
            ("\x1b[110;1:3u", "\x1b[110;1u", "release"),
            ("\x1b[110;1:1u", "\x1b[110;1u", "press"),
            ("\x1b[1;1:2C", "\x1b[1;1C", "repeat"),
            ("\x1b[5;5:2~", "\x1b[5;5~", "repeat"),
            ("\x1b[110u", "\x1b[110u", "press"),
            ("\x1b[2;17R", "\x1b[2;17R", "press"),
        ],
    )
    def test_the_kind_of_the_event_is_taken_out_of_the_sequence(self, sequence: str, plain: str, event: str) -> None:
        assert split_key_event(sequence) == (plain, event)

    def test_a_release_is_no_key_and_a_repeat_is_marked(self) -> None:
        assert classify_sequence("\x1b[110;1:3u") == "reply"
        assert classify_sequence("\x1b[110;1:2;110u") == "key"
        keys, others = tokens_to_keys(["\x1b[110;1;110u", "\x1b[110;1:2;110u", "\x1b[1;1:2C"], XTermParser())
        assert [(key.key, key.is_repeat) for key in keys] == [("n", False), ("n", True), ("right", True)]  # type: ignore[attr-defined]
        assert not others

"""Random walks over the rules: no sequence of commands makes an invalid reading, and every kind of value is reached."""

from __future__ import annotations

import pytest

from tests.reading.walks import BlindedWalk, Tally, Walk, every_kind, walk

pytestmark = pytest.mark.slow

COMMANDS = {"enter", "clear", "enter_normal", "undo", "apply_regions", "toggle_flag", "set_note", "sign", "reopen"}


@pytest.mark.parametrize("kind", [Walk, BlindedWalk])
def test_a_short_walk_finds_no_fault(kind: type[Walk]) -> None:
    assert walk(kind, runs=12, length=40).steps > 200


@pytest.mark.slow
def test_a_long_walk_finds_no_fault_and_reaches_every_kind() -> None:
    tally = walk(Walk, runs=60, length=100, repeatable=True)
    check_reach(tally, blinded=False)
    assert {"fall", "jump"} <= set(tally.doubts)
    assert tally.outcomes["copy_entry", True]


@pytest.mark.slow
def test_a_long_blinded_walk_never_reveals_the_order() -> None:
    tally = walk(BlindedWalk, runs=60, length=100, repeatable=True)
    check_reach(tally, blinded=True)
    assert set(tally.doubts) == {"jump", "none"}
    assert not tally.outcomes["copy_entry", True]


def check_reach(tally: Tally, *, blinded: bool) -> None:
    """Check that the run covered every value of each kind of field, every command accepted and rejected, and signatures."""
    assert tally.steps > 6_000
    assert every_kind(blinded=blinded) - set(tally.kinds) == set()
    for command in COMMANDS:
        assert tally.outcomes[command, True], f"{command} never succeeded"
        assert tally.outcomes[command, False], f"{command} was never refused"
    assert tally.signed > 8

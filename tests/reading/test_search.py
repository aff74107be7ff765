"""One joint searched through: what can be reached is exactly what can be, and each act does exactly what is specified."""

from __future__ import annotations

import pytest

from tests.reading.search import answered, judge, search, specs, valid
from tests.strategies import small_scheme

pytestmark = pytest.mark.slow

SMALL = small_scheme()
SPECS = {
    f"{joint} {'blinded' if spec.blinded else 'in order'}": spec
    for joint in ("IP1", "MCP1")
    for spec in specs(SMALL, joint)
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if "MCP1" in name else ()) for name in SPECS]
)
def test_every_act_in_every_state(name: str) -> None:
    spec = SPECS[name]
    found = search(spec)
    assert found.states == valid(spec)
    assert found.acts > 10 * len(found.states)


@pytest.mark.parametrize("name", list(SPECS))
def test_every_complete_reading_comes_from_answering_what_is_asked(name: str) -> None:
    """No going back, no jumping, no correction is needed for any of them."""
    spec = SPECS[name]
    assert answered(spec) == {state for state in spec.valid if None not in state}


@pytest.mark.parametrize("name", list(SPECS))
def test_whatever_else_a_joint_could_hold_is_called_invalid(name: str) -> None:
    spec = SPECS[name]
    judged = judge(spec)
    assert judged.accepted == valid(spec)
    assert judged.refused


def test_the_number_of_states_is_what_counting_by_hand_gives() -> None:
    """A slot of MCP1 holds, erosion by narrowing:

    4 grades, unreadable or open, by 2 grades, luxation, unreadable or open; notch by 2 grades, unreadable or open;
    ankylosis; outside. After ankylosis come only unreadable or open on each scale, ankylosis, outside.
    """
    slot = 6 * 5 + 4 + 2
    assert len(SPECS["MCP1 blinded"].valid) == slot**2
    assert len(SPECS["MCP1 in order"].valid) == (slot - 1) * slot + 2 * 2 + 2

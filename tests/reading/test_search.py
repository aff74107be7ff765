"""An exhaustive search of one joint: exactly the valid states are reached, and each act has the specified effect."""

from __future__ import annotations

import pytest

from tests.reading.search import judge, search, specs, specs_of_visits, states_by_answering, valid
from tests.strategies import small_scheme

pytestmark = pytest.mark.slow

SMALL = small_scheme()
SPECS = {
    f"{joint} {'blinded' if spec.blinded else 'in order'}": spec
    for joint in ("IP1", "MCP1")
    for spec in specs(SMALL, joint)
} | specs_of_visits(SMALL)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if "MCP1" in name else ()) for name in SPECS]
)
def test_every_act_in_every_state(name: str) -> None:
    spec = SPECS[name]
    found = search(spec)
    assert found.states == valid(spec)
    assert found.acts > 10 * len(found.states)


@pytest.mark.parametrize("name", list(SPECS))
def test_every_complete_reading_is_reached_by_answering(name: str) -> None:
    """Check that no complete reading needs going back, jumping or a correction."""
    spec = SPECS[name]
    assert states_by_answering(spec) == {state for state in spec.valid if None not in state}


@pytest.mark.parametrize("name", list(SPECS))
def test_every_other_combination_of_values_is_invalid(name: str) -> None:
    spec = SPECS[name]
    judged = judge(spec)
    assert judged.accepted == valid(spec)
    assert judged.refused


def test_the_number_of_states_equals_the_count_by_hand() -> None:
    """Compare with a count by hand of a slot of MCP1, erosion by narrowing.

    4 grades, unreadable or open, by 2 grades, luxation, unreadable or open; notch by 2 grades, unreadable or open;
    ankylosis; outside. After ankylosis only these are possible: unreadable or open on each scale, ankylosis, outside.
    """
    slot = 6 * 5 + 4 + 2
    assert len(SPECS["MCP1 blinded"].valid) == slot**2
    assert len(SPECS["MCP1 in order"].valid) == (slot - 1) * slot + 2 * 2 + 2

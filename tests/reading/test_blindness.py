"""In a blinded study, no fact of a reading depends on which time point came first.

Two readers see the same films and press the same keys. For one the left film is the earlier one, for the other the
later one. All facts that they see must be equal except for the names of the time points.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratui import reading as rd
from ratui.reading import Entry, Field, Reading
from ratui.scheme import load_scheme
from tests.reading.mirror import image, mirrored, visible_facts
from tests.reading.search import count_states_without_order, specs, specs_of_visits
from tests.reading.spec import Spec
from tests.strategies import small_scheme

pytestmark = pytest.mark.slow

FINGERS = load_scheme("fingers")
SITES = FINGERS.sites[:4]
MCP1 = specs(small_scheme(), "MCP1")[1]


@pytest.mark.slow
def test_no_state_of_a_joint_reveals_the_order() -> None:
    """Search exhaustively over all states of one joint."""
    assert count_states_without_order(MCP1) == len(MCP1.valid)
    several = specs_of_visits(small_scheme())["four visits, blinded, three films"]
    assert count_states_without_order(several) == len(several.valid)


FIELDS = tuple(Field(site.key, scale, time) for site in SITES for scale in site.joint.scales for time in (0, 1))
ENTRIES = tuple(entry for entry in Spec(FINGERS, SITES[1]).vocabulary if "unheard" not in repr(entry))


@given(
    values=st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(ENTRIES)),
    absent=st.sets(st.sampled_from([rd.Slot(site.key, time) for site in SITES for time in (0, 1)]), max_size=2),
    flags=st.sets(st.sampled_from([site.key for site in SITES])),
)
@settings(max_examples=60)
def test_an_impossible_reading_does_not_reveal_the_order(
    values: dict[Field, Entry], absent: set[rd.Slot], flags: set[str]
) -> None:
    """Use random values, most of which no key could enter: even their problems must be mirrored."""
    here = Reading(
        FINGERS, "C-1", "anna", SITES, (0, 1), True, values, absent=frozenset(absent), flags=frozenset(flags)
    )
    assert visible_facts(mirrored(here), ENTRIES[::3]) == image(visible_facts(here, ENTRIES[::3]))


@given(commands=st.lists(st.tuples(st.sampled_from(FIELDS), st.sampled_from(ENTRIES)), max_size=12))
@settings(max_examples=60)
def test_no_sequence_of_entries_reveals_the_order(commands: list[tuple[Field, Entry]]) -> None:
    left = rd.start_reading(FINGERS, "C-1", "anna", SITES, order=(0, 1), blinded=True)
    right = rd.start_reading(FINGERS, "C-1", "anna", SITES, order=(1, 0), blinded=True)
    for field, entry in commands:
        if entry in rd.list_options(left, field).entries:
            left = rd.enter(left, field, entry, confirmed=True)
            right = rd.enter(right, image(field), entry, confirmed=True)
    assert visible_facts(right, ENTRIES[::3]) == image(visible_facts(left, ENTRIES[::3]))


def test_the_comparison_detects_a_known_order() -> None:
    """Show that the comparison can fail: ankylosis on the earlier film excludes grades on the later one only."""
    field = Field("L.PIP2", "ERO", 0)
    here = rd.enter(rd.start_reading(FINGERS, "C-1", "anna", SITES), field, rd.FindingEntry("ankylosis"))
    assert visible_facts(mirrored(here), ENTRIES) != image(visible_facts(here, ENTRIES))

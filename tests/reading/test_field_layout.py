"""Readings with the same sites and time points share their tables of fields, and no others do."""

from __future__ import annotations

from dataclasses import replace

from ratui import reading as rd
from ratui.reading import Field, Reading, Slot
from ratui.reading.field_layout import share_layout
from ratui.scheme import Scheme, Site, load_scheme

FINGERS = load_scheme("fingers")


def start(scheme: Scheme, count: int, order: tuple[int, ...], unfilmed: frozenset[Slot] = frozenset()) -> Reading:
    return rd.start_reading(scheme, "C-1", "anna", scheme.sites[:count], order=order, unfilmed=unfilmed)


def expect(reading: Reading) -> tuple[Field, ...]:
    return tuple(
        Field(site.key, scale, time)
        for site in reading.sites
        for scale in site.joint.scales
        for time in reading.order
        if Slot(site.key, time) not in reading.unfilmed
    )


def test_readings_with_the_same_sites_and_order_share_their_tables() -> None:
    first, second = start(FINGERS, 3, (0, 1)), start(FINGERS, 3, (0, 1))
    assert first.layout is second.layout
    assert replace(first, rater="bert").layout is first.layout


def test_each_reading_has_its_own_fields() -> None:
    gap = frozenset({Slot(FINGERS.sites[1].key, 2)})
    readings = [
        start(FINGERS, 3, (0, 1, 2)),
        start(FINGERS, 2, (0, 1, 2)),
        start(FINGERS, 3, (0, 2, 1)),
        start(FINGERS, 3, (0, 1, 2), gap),
        start(FINGERS, 3, (0, 1)),
        start(load_scheme("mtss-hands"), 3, (0, 1, 2)),
    ]
    for reading in readings:
        assert reading.fields == expect(reading)
        assert reading.layout.filmed_slots == {Slot(field.site, field.time) for field in reading.fields}
    assert len({id(reading.layout) for reading in readings}) == len(readings)


def test_a_new_site_does_not_get_the_tables_of_one_that_is_gone() -> None:
    """The memory of a site that is gone goes to the next new site, so that both have the same `id`."""
    joint = next(site.joint for site in FINGERS.sites if len(site.joint.grades) > 1)
    joints = joint, replace(joint, grades=dict(list(joint.grades.items())[1:]))
    for number in range(20):
        site = Site(joints[number % 2], "L")
        reading = rd.start_reading(FINGERS, "C-1", "anna", (site,), order=(0, 1))
        is_as_expected = reading.fields == expect(reading)
        del reading, site
        assert is_as_expected


def test_a_damaged_reading_with_more_slots_than_there_are_is_not_kept() -> None:
    reading = start(FINGERS, 3, (0, 1))
    odd = frozenset(Slot(f"L.X{number}", 0) for number in range(7))
    assert share_layout(reading.sites, reading.order, odd) is not share_layout(reading.sites, reading.order, odd)
    known = frozenset(sorted(reading.layout.filmed_slots)[:6])
    assert share_layout(reading.sites, reading.order, known) is share_layout(reading.sites, reading.order, known)

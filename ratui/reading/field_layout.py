"""Fields and slots of a reading, and their order: tables that depend only on the sites and the displayed time points.

Thousands of readings of a study have the same sites and time points, so they share these tables.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from ratui.scheme import Site

__all__ = ["Field", "FieldLayout", "Slot", "share_layout"]

_MOST_LAYOUTS = 200
_layouts: dict[tuple[tuple[int, ...], tuple[int, ...], frozenset[Slot]], FieldLayout] = {}


class Field(NamedTuple):
    """One scale of one site at one time point: the smallest unit that is scored.

    `site` is a site's key (``L.MCP2``), `scale` a scale of the scheme (``ERO``), `time` is 0 (earliest) to 7.
    """

    site: str
    scale: str
    time: int


class Slot(NamedTuple):
    """One site at one time point: the unit to which a finding applies."""

    site: str
    time: int


class FieldLayout:
    """The fields of readings with the same sites and time points. Two layouts are equal if they are the same object.

    Parameters
    ----------
    sites
        The scored sites, in reading order.
    order
        Time points in the order of display, left first.
    unfilmed
        Slots without a film. They have no fields.
    """

    def __init__(self, sites: tuple[Site, ...], order: tuple[int, ...], unfilmed: frozenset[Slot]) -> None:
        self.sites = sites
        self.order = order
        self.unfilmed = unfilmed

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """All fields in reading order, see `Reading.fields`."""
        return tuple(field for site in self.sites for field in self.joint_fields[site.key])

    @cached_property
    def field_indices(self) -> dict[Field, int]:
        """Position of each field in `fields`."""
        return {field: index for index, field in enumerate(self.fields)}

    @cached_property
    def grades(self) -> dict[Field, frozenset[int]]:
        """Possible grades of each field."""
        grades = {
            (site.key, scale): frozenset(grade.value for grade in each)
            for site in self.sites
            for scale, each in site.joint.grades.items()
        }
        return {field: grades[field.site, field.scale] for field in self.fields}

    @cached_property
    def sites_by_key(self) -> dict[str, Site]:
        """The sites by key."""
        return {site.key: site for site in self.sites}

    @cached_property
    def site_keys(self) -> frozenset[str]:
        """Keys of the sites."""
        return frozenset(self.sites_by_key)

    @cached_property
    def filmed_times(self) -> dict[str, tuple[int, ...]]:
        """Time points at which a film shows a site, in the order of display, by site."""
        return {
            site.key: tuple(time for time in self.order if Slot(site.key, time) not in self.unfilmed)
            for site in self.sites
        }

    @cached_property
    def joint_fields(self) -> dict[str, tuple[Field, ...]]:
        """Fields of each site, by scale and then by time point."""
        return {
            site.key: tuple(Field(site.key, scale, time) for scale in site.joint.scales for time in times)
            for site in self.sites
            for times in (self.filmed_times[site.key],)
        }

    @cached_property
    def slot_fields(self) -> dict[Slot, tuple[Field, ...]]:
        """Fields of each slot; none without a film."""
        return {
            slot: () if slot in self.unfilmed else tuple(Field(site.key, scale, time) for scale in site.joint.scales)
            for site in self.sites
            for time in self.order
            if (slot := Slot(site.key, time))
        }

    @cached_property
    def filmed_slots(self) -> frozenset[Slot]:
        """Slots with a film."""
        return frozenset(self.slot_fields.keys() - self.unfilmed)


def share_layout(sites: tuple[Site, ...], order: tuple[int, ...], unfilmed: frozenset[Slot]) -> FieldLayout:
    """Return the layout of `sites`, `order` and `unfilmed`, the same object for the same sites.

    A layout with more slots than there are is that of a damaged reading, and is not shared: it could be of any size.
    """
    if len(unfilmed) > len(sites) * len(order):
        return FieldLayout(sites, order, unfilmed)
    # Sites are compared by identity: their hash takes longer than all else here. The layout keeps them alive, so that no
    # other object gets the id of one of them.
    key = (tuple(map(id, sites)), order, unfilmed)
    found = _layouts.get(key)
    if found is None:
        if len(_layouts) >= _MOST_LAYOUTS:
            _layouts.clear()
        found = _layouts[key] = FieldLayout(sites, order, unfilmed)
    return found

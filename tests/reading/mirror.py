"""The mirror image of a reading, and of all facts derived from it, when its time points are exchanged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from ratui import reading as rd
from ratui.reading import Entry, Field, Reading, Slot

EXCHANGED = (1, 0)


def image(of: Any, numbers: tuple[int, ...] = EXCHANGED) -> Any:
    """Return `of` with each time point `t` replaced by ``numbers[t]`` in every field and slot, also in texts."""
    match of:
        case Field(site, scale, time):
            return Field(site, scale, numbers[time])
        case Slot(site, time):
            return Slot(site, numbers[time])
        case str():
            return re.sub(r"\bat ([0-7])\b", lambda found: f"at {numbers[int(found[1])]}", of)
        case Mapping():
            return {image(key, numbers): image(value, numbers) for key, value in of.items()}
        case tuple():
            made = [image(each, numbers) for each in of]
            return type(of)(*made) if hasattr(of, "_fields") else tuple(made)
        case set() | frozenset():
            return type(of)(image(each, numbers) for each in of)
        case _ if is_dataclass(of) and not isinstance(of, type):
            return replace(of, **{each.name: image(getattr(of, each.name), numbers) for each in fields(of)})
        case _:
            return of


def visible_facts(of: Reading, entries: tuple[Entry, ...]) -> dict[object, object]:
    """Return all facts that the functions of `reading` derive from `of`."""
    facts: dict[object, object] = {
        "problems": frozenset(rd.find_problems(of)),
        "second look": rd.list_review_items(of),
        "first": rd.find_next_open_field(of),
        "undoable": rd.find_undoable(of),
    }
    for site in of.sites:
        facts["normal", site.key] = rd.find_unlikely_normal(of, site.key)
    for field in of.fields:
        facts["next", field] = rd.find_next_open_field(of, field)
        facts["options", field] = rd.list_options(of, field)
        for entry in entries:
            facts["refusal", field, entry] = rd.find_refusal(of, field, entry)
            facts["unlikely", field, entry] = rd.find_unlikely(of, field, entry)
    return facts


def mirrored(of: Reading, numbers: tuple[int, ...] = EXCHANGED) -> Reading:
    """Return `of` with other numbers of its time points, in the same order of display."""
    return Reading(
        of.scheme,
        of.case,
        of.rater,
        of.sites,
        tuple(numbers[time] for time in of.order),
        of.is_blinded,
        image(of.values, numbers),
        image(of.log, numbers),
        image(of.absent, numbers),
        of.signed_at,
        of.flags,
        of.notes,
        unfilmed=image(of.unfilmed, numbers),
    )

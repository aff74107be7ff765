"""The answers that a person gave before the true ones were shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ratui.reading import Field, Reading

__all__ = ["find_first_scores"]


def find_first_scores(reading: Reading) -> Mapping[Field, float | None]:
    """Return the scores of `reading` as they were when each joint was first filled, by field.

    Afterwards the person has seen the true answers of the joint, so later changes do not count. Joints that were never
    filled are left out. None for a field that is not assessable.
    """
    fields = {site.key: reading.joint_fields(site.key) for site in reading.sites}
    first: dict[Field, float | None] = {}
    values = dict.fromkeys(reading.fields)
    for entry in reading.log:
        for change in entry.changes:
            values[change.field] = change.new
        for site in {change.field.site for change in entry.changes}:
            joint = fields[site]
            if joint[0] not in first and all(values[field] is not None for field in joint):
                at_the_time = replace(reading, values={field: values[field] for field in joint})  # type: ignore[misc]
                scores = {field: at_the_time.score(field) for field in joint}
                first.update({field: None if score is None else float(score) for field, score in scores.items()})
    return first

"""Progress of a rater in one case: its stage and the numbers that the worklist shows. Values only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ratui.scheme import Scheme
from ratui.study.case import Case

__all__ = ["CaseState", "Stage", "summarize_reading"]

Stage: TypeAlias = Literal["unreadable", "regions", "reading", "review", "signed"]
"""Next step of a rater in a case: ``regions`` to confirm, ``reading`` to complete, ``review`` to do and sign."""


@dataclass(frozen=True)
class CaseState:
    """Progress of a rater in the case `case`.

    Attributes
    ----------
    case
        Name of the case.
    stage
        Next step.
    done, total
        Number of fields answered, and of all fields.
    seconds
        Time spent on the case, in seconds.
    note
        Reason why the case can't be read, or a warning of damage; else empty.
    joints, joints_total
        Number of sites with all fields answered, and of all sites.
    flags
        Number of sites that the rater has flagged.
    """

    case: str
    stage: Stage
    done: int
    total: int
    seconds: float
    note: str = ""
    joints: int = 0
    joints_total: int = 0
    flags: int = 0


def summarize_reading(
    case: Case,
    scheme: Scheme,
    fields: Sequence[Mapping[str, Any]],
    meta: Mapping[str, Any],
    are_regions_complete: bool,
    note: str = "",
) -> CaseState:
    """Return the progress of a reading of `case` from its stored records, without building the reading.

    Parameters
    ----------
    case, scheme
        The case and the scheme of the study.
    fields, meta
        Records of the reading's file; empty if the reading is not begun.
    are_regions_complete
        Every site has a confirmed region on each film.
    note
        Text for `CaseState.note`.
    """
    sites = case.sites(scheme)
    filled = Counter(str(record["site"]) for record in fields)
    total = 2 * sum(len(site.joint.scales) for site in sites)
    stage: Stage = "review" if len(fields) == total else "reading"
    if meta.get("signed"):
        stage = "signed"
    elif not are_regions_complete:
        stage = "regions"
    return CaseState(
        case.id,
        stage,
        len(fields),
        total,
        float(meta.get("seconds", 0.0)),
        note,
        joints=sum(filled[site.key] == 2 * len(site.joint.scales) for site in sites),
        joints_total=len(sites),
        flags=len(meta.get("flags", ())),
    )

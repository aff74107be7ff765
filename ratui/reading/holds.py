"""What holds beyond its own field: findings and reasons for a whole joint, and findings that time does not undo.

Shared by what may be entered and by what an entry does; it changes nothing.
"""

from __future__ import annotations

from ratui.reading.model import Entry, FindingEntry, NotAssessableEntry, Reading, Slot
from ratui.scheme import Finding, Reason, Scheme

__all__ = ["can_follow_irreversible", "find_irreversible_before", "find_joint_wide_cause"]


def find_joint_wide_cause(reading: Reading, value: Entry | None) -> Finding | Reason | None:
    """The finding, or the reason for the whole joint, that `value` is; None for anything else."""
    match value:
        case FindingEntry(id):
            return reading.scheme.finding(id)
        case NotAssessableEntry(id) if (reason := reading.scheme.reason(id)).whole_joint:
            return reason
        case _:
            return None


def find_irreversible_before(reading: Reading, slot: Slot) -> Finding | None:
    """The finding at an earlier time point that can't have healed by `slot`; None where the order is hidden."""
    if reading.is_blinded:
        return None
    for time in sorted(time for time in reading.order if time < slot.time):
        finding = reading.finding(Slot(slot.site, time))
        if finding and not finding.heals:
            return finding
    return None


def can_follow_irreversible(scheme: Scheme, entry: Entry) -> bool:
    """Whether `entry` can come after a finding that does not heal."""
    match entry:
        case FindingEntry(finding):
            return not scheme.finding(finding).heals
        case NotAssessableEntry():
            return True
        case _:
            return False

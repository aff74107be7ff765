"""Records in ``study.toml`` of what managers did to a study as a whole: raters who joined or left, and its lock.

Values only. `rater_changes` and `study_closing` add the records.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from ratui.errors import StudyError, clean_text
from ratui.files import check_name
from ratui.stored_values import as_list, as_text, as_time

__all__ = ["StudyEvent", "check_reason", "events_from_list", "find_departed", "find_lock", "new_event", "now"]

ACTIONS = ("joined", "left", "locked", "unlocked")
_MOST_EVENTS = 2000
_LONGEST_REASON = 1000


@dataclass(frozen=True)
class StudyEvent:
    """One record.

    Attributes
    ----------
    action
        ``joined`` or ``left`` for a rater, ``locked`` or ``unlocked`` for the study.
    at
        Time, ISO 8601 in UTC.
    account
        Account that did it.
    reason
        Reason.
    rater
        The rater; empty for the lock.
    other
        The rater who takes the place of one who left, or whose place the rater takes; may be empty.
    cases
        For a rater who left: ``all`` if their signed readings do not count any more, otherwise empty.
    """

    action: str
    at: str
    account: str
    reason: str = ""
    rater: str = ""
    other: str = ""
    cases: str = ""

    def to_record(self) -> dict[str, str]:
        """Return the values that are not empty, as stored."""
        return {name: value for name, value in asdict(self).items() if value}


def events_from_list(value: Any) -> tuple[StudyEvent, ...]:
    """Return the records in a stored list. Raises an error of `ODD_VALUE_ERRORS` or StudyError for anything else."""
    found: list[StudyEvent] = []
    for raw in as_list(value)[: _MOST_EVENTS + 1]:
        if not isinstance(raw, Mapping) or raw["action"] not in ACTIONS or len(found) == _MOST_EVENTS:
            raise ValueError("not a record of the study")
        as_time(raw["at"])
        names = {name: check_name(raw[name], "rater") for name in ("rater", "other") if raw.get(name)}
        about = as_text(raw["account"]), as_text(raw.get("reason", ""), _LONGEST_REASON)
        if (cases := raw.get("cases", "")) not in ("", "all"):
            raise ValueError("not a record of the study")
        found.append(StudyEvent(raw["action"], raw["at"], *about, **names, cases=cases))
    return tuple(found)


def find_departed(raters: Sequence[str], events: Iterable[StudyEvent]) -> tuple[str, ...]:
    """Return the raters who have left and not joined again, in the order of `raters`."""
    last = {event.rater: event.action for event in events if event.rater}
    return tuple(rater for rater in raters if last.get(rater) == "left")


def find_lock(events: Sequence[StudyEvent]) -> StudyEvent | None:
    """Return the record by which the study is locked now, or None."""
    last = next((event for event in reversed(events) if event.action in ("locked", "unlocked")), None)
    return last if last is not None and last.action == "locked" else None


def check_reason(reason: str, action: str) -> str:
    """Return `reason` as one line. Raises StudyError if it is empty; `action`, such as "lock", is for its text."""
    line = clean_text(reason.strip(), _LONGEST_REASON)
    if not line:
        raise StudyError(f"a reason is needed to {action}", "", 'Give it, for example: --reason "as agreed on 3 May"')
    return line


def new_event(action: str, reason: str = "", *, rater: str = "", other: str = "", cases: str = "") -> StudyEvent:
    """Return a record with the present time and this account."""
    from ratui.study.accounts import account_name  # it imports the store, which this module must not load

    return StudyEvent(action, now(), account_name(os.geteuid()), reason, rater, other, cases)


def now() -> str:
    """Return the present time, ISO 8601 in UTC with seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")

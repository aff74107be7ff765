"""The values in ``study.toml``, and the bytes of that file; `config_files` reads and writes it.

The settings contain records of what managers did to the study as a whole: raters who joined or left, and its lock.
`rater_changes` and `study_closing` add them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from ratui.errors import StudyError, clean_text
from ratui.files import check_name
from ratui.stored_values import as_list, as_text, as_time
from ratui.study.campaign.charter import Charter, charter_to_lines, to_toml

__all__ = [
    "CHARTER_FORMAT",
    "CONSENSUS",
    "FORMAT",
    "SEALED_FORMAT",
    "SPLIT_FORMAT",
    "StudyConfig",
    "StudyEvent",
    "check_reason",
    "events_from_list",
    "format_present_time",
    "new_event",
    "settings_bytes",
]

FORMAT = 4
"""Format of a study's folder that this version writes."""
SEALED_FORMAT = 2
"""First format with seals. Format 1 named no group and did not contain the digest of the scheme."""
SPLIT_FORMAT = 3
"""First format with the visits of films in a private folder. Format 2 had them in the film lists, and a secret instead."""
CHARTER_FORMAT = 4
"""First format whose settings have a charter and events. A study of format 3 gets it when one of them is first written."""
CONSENSUS = "consensus"
"""Name under which the adjudicator's readings are stored; no rater can have it."""
_ACTIONS = ("joined", "left", "locked", "unlocked")
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


@dataclass(frozen=True)
class StudyConfig:
    """The settings of a study.

    Attributes
    ----------
    id
        Random identifier; the study's key file is named after it.
    title
        Title for people.
    raters
        Names of all raters, also of those who have left.
    blinded
        Raters do not know which time point is earlier.
    group
        Name of the Unix group that shares the study, or empty.
    managers
        Name of the Unix group whose members may read the private folder, or empty for the owner alone.
    raters_per_case
        Number of raters who read each case; 0 for all of them.
    scheme
        SHA-256 of ``scheme.toml``, or empty in a study of format 1.
    charter
        The rules of the reading.
    events
        Raters who joined or left after the study was created, and its lock.
    secret
        Up to format 2, random text from which the order of the time points was drawn for each rater and case; else empty.
    stored_format
        Format of the files on the disk.
    """

    id: str
    title: str
    raters: tuple[str, ...]
    blinded: bool
    group: str = ""
    managers: str = ""
    raters_per_case: int = 0
    scheme: str = ""
    charter: Charter = field(default_factory=Charter)
    events: tuple[StudyEvent, ...] = ()
    secret: str = field(default="", repr=False)
    stored_format: int = FORMAT

    def __post_init__(self) -> None:
        charter = replace(self.charter, raters_per_case=self.raters_per_case, blinded=self.blinded)
        object.__setattr__(self, "charter", charter)

    @property
    def departed(self) -> tuple[str, ...]:
        """Raters who have left the study. Their signed readings count; they read no case any more."""
        last = {event.rater: event.action for event in self.events if event.rater}
        return tuple(rater for rater in self.raters if last.get(rater) == "left")

    @property
    def active_raters(self) -> tuple[str, ...]:
        """Raters who have not left the study, in the order of `raters`."""
        departed = self.departed
        return tuple(rater for rater in self.raters if rater not in departed)

    @property
    def has_assignments(self) -> bool:
        """True if a case may be read by some raters only: by a number of them, or because raters joined or left."""
        return bool(self.raters_per_case) or any(event.rater for event in self.events)

    @property
    def lock(self) -> StudyEvent | None:
        """The record by which the study is locked, or None. Nothing may change in a locked study."""
        last = next((event for event in reversed(self.events) if event.action in ("locked", "unlocked")), None)
        return last if last is not None and last.action == "locked" else None


def events_from_list(value: Any) -> tuple[StudyEvent, ...]:
    """Return the records in a stored list. Raises an error of `ODD_VALUE_ERRORS` or StudyError for anything else."""
    found: list[StudyEvent] = []
    for raw in as_list(value)[: _MOST_EVENTS + 1]:
        if not isinstance(raw, Mapping) or raw["action"] not in _ACTIONS or len(found) == _MOST_EVENTS:
            raise ValueError("not a record of the study")
        as_time(raw["at"])
        names = {name: check_name(raw[name], "rater") for name in ("rater", "other") if raw.get(name)}
        about = as_text(raw["account"]), as_text(raw.get("reason", ""), _LONGEST_REASON)
        if (cases := raw.get("cases", "")) not in ("", "all"):
            raise ValueError("not a record of the study")
        found.append(StudyEvent(raw["action"], raw["at"], *about, **names, cases=cases))
    return tuple(found)


def check_reason(reason: str, action: str) -> str:
    """Return `reason` as one line. Raises StudyError if it is empty; `action`, such as "lock", is for its text."""
    line = clean_text(reason.strip(), _LONGEST_REASON)
    if not line:
        raise StudyError(f"a reason is needed to {action}", "", 'Give it, for example: --reason "as agreed on 3 May"')
    return line


def new_event(action: str, reason: str = "", *, rater: str = "", other: str = "", cases: str = "") -> StudyEvent:
    """Return a record with the present time and this account."""
    from ratui.study.accounts import account_name  # it imports the store, which this module must not load

    return StudyEvent(action, format_present_time(), account_name(os.geteuid()), reason, rater, other, cases)


def format_present_time() -> str:
    """Return the present time, ISO 8601 in UTC with seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def settings_bytes(config: StudyConfig) -> bytes:
    """Return the content of ``study.toml`` with its seal, in the format that the study has."""
    secret = (
        "# Determines the time point shown on the left, for each rater and case. Do not change it.\n"
        f"secret = {to_toml(config.secret)}\n"
    )
    additions = (
        "# The Unix group whose members manage the study, beside its owner; empty for the owner alone.\n"
        f"managers = {to_toml(config.managers)}\n"
        "# Number of raters who read each case; 0: all of them.\n"
        f"raters_per_case = {config.raters_per_case}\n"
    )
    text = (
        "# A ratui study. The films, regions and readings beside this file belong to it.\n"
        f"format = {config.stored_format}\n"
        f"id = {to_toml(config.id)}\n"
        f"title = {to_toml(config.title)}\n"
        f"raters = [{', '.join(to_toml(rater) for rater in config.raters)}]\n"
        "# The Unix group that shares the study; empty if only its owner uses it.\n"
        f"group = {to_toml(config.group)}\n"
        "# true: raters do not know which time point is earlier.\n"
        f"blinded = {'true' if config.blinded else 'false'}\n"
        f"{additions if config.stored_format >= SPLIT_FORMAT else secret}"
        "# SHA-256 of scheme.toml.\n"
        f"scheme = {to_toml(config.scheme)}\n"
    )
    if config.stored_format >= CHARTER_FORMAT:
        text += "".join(f"{line}\n" for line in _charter_lines(config))
    return _append_seal(text.encode())


def _charter_lines(config: StudyConfig) -> list[str]:
    lines = ["# The charter: change it with ratui charter STUDY --set FILE, not by hand."]
    lines += charter_to_lines(config.charter) or ["charter = {}"]
    lines.append("# Raters who joined or left, and the lock of the study: see ratui raters, ratui lock.")
    events = "".join(f"\n  {to_toml(event.to_record())}," for event in config.events)
    return [*lines, f"events = [{events}\n]" if events else "events = []"]


def _append_seal(text: bytes) -> bytes:
    text += b"# SHA-256 of all lines above. After a change by hand, run: ratui seal STUDY\n"
    return text + b'seal = "' + hashlib.sha256(text).hexdigest().encode() + b'"\n'

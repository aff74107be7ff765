"""One rater's reading of one case as an immutable value: its fields, what was entered, and the log of how.

It never decides what may be entered next (that is `ratui.reading.commands`) and knows neither screen nor disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Literal, NamedTuple, TypeAlias

from ratui.errors import EntryError, Refusal, clean_text
from ratui.scheme import Finding, Scheme, Site

__all__ = [
    "MAX_NOTE_LENGTH",
    "Entry",
    "Field",
    "FieldChange",
    "FindingEntry",
    "GradeEntry",
    "LogEntry",
    "LogKind",
    "NotAssessableEntry",
    "Reading",
    "Slot",
]

MAX_NOTE_LENGTH = 200
"""The longest note, in characters."""


class Field(NamedTuple):
    """One scale of one site at one time point: the unit that is scored."""

    site: str
    scale: str
    time: int


class Slot(NamedTuple):
    """One site at one time point: what a finding holds for."""

    site: str
    time: int


@dataclass(frozen=True)
class GradeEntry:
    """A grade that the rater gave."""

    grade: int


@dataclass(frozen=True)
class FindingEntry:
    """A finding; the score follows from the scheme, so another convention can be applied without reading again."""

    finding: str


@dataclass(frozen=True)
class NotAssessableEntry:
    """No score, and why: the id of one of the scheme's reasons."""

    reason: str


Entry: TypeAlias = GradeEntry | FindingEntry | NotAssessableEntry
LogKind: TypeAlias = Literal[
    "enter", "normal", "same", "clear", "undo", "flag", "note", "regions", "adopt", "sign", "reopen"
]


class FieldChange(NamedTuple):
    """What one log entry did to one field; None is an open field."""

    field: Field
    old: Entry | None
    new: Entry | None


@dataclass(frozen=True)
class LogEntry:
    """One thing that happened to a reading.

    `number` counts from 1; `undone_number` is the number of the entry taken back. `is_confirmed` says that the entry
    was unlikely and the rater gave it once more. `site` is where a flag or a note was set, `note` its text or the
    reason to reopen.
    """

    number: int
    timestamp: datetime | None
    kind: LogKind
    key: str
    changes: tuple[FieldChange, ...]
    undone_number: int | None = None
    note: str = ""
    site: str = ""
    is_confirmed: bool = False


@dataclass(frozen=True)
class Reading:
    """A rater's reading of a case.

    `order` is the time points as they stand on the screen, left first; in a `is_blinded` study it tells nothing about
    which came first. `absent` are the slots that the regions say are not on their film. `signed_at` is when, or None.
    `flags` are the keys of sites to come back to, `notes` what the rater wrote by site key, a line each.
    """

    scheme: Scheme
    case: str
    rater: str
    sites: tuple[Site, ...]
    order: tuple[int, ...]
    is_blinded: bool
    values: Mapping[Field, Entry] = field(default_factory=dict)
    log: tuple[LogEntry, ...] = ()
    absent: frozenset[Slot] = frozenset()
    signed_at: datetime | None = None
    flags: frozenset[str] = frozenset()
    notes: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """Every field in reading order: joint by joint, in a joint scale by scale, in a scale both time points."""
        return tuple(
            Field(site.key, scale, time) for site in self.sites for scale in site.joint.scales for time in self.order
        )

    @cached_property
    def _sites(self) -> dict[str, Site]:
        return {site.key: site for site in self.sites}

    @cached_property
    def _field_indices(self) -> dict[Field, int]:
        return {field: place for place, field in enumerate(self.fields)}

    @property
    def site_keys(self) -> frozenset[str]:
        """The keys of the sites that this reading scores."""
        return frozenset(self._sites)

    def site(self, key: str) -> Site:
        """The site named `key`. Raises EntryError when this reading has no such site."""
        try:
            return self._sites[key]
        except KeyError:
            raise EntryError(Refusal("no_site", {"name": clean_text(key)}), self.case) from None

    def field_index(self, field: Field) -> int:
        """Where `field` stands in `fields`. Raises EntryError when this reading has no such field."""
        try:
            return self._field_indices[field]
        except KeyError:
            name = clean_text(f"{field.site} {field.scale} {field.time}")
            raise EntryError(Refusal("no_field", {"name": name}), self.case) from None

    def slot_fields(self, slot: Slot) -> tuple[Field, ...]:
        """The fields of one site at one time point."""
        return tuple(Field(slot.site, scale, slot.time) for scale in self.site(slot.site).joint.scales)

    def joint_fields(self, site: str) -> tuple[Field, ...]:
        """The fields of one site at all time points, in reading order."""
        return tuple(Field(site, scale, time) for scale in self.site(site).joint.scales for time in self.order)

    def counterparts(self, field: Field) -> tuple[Field, ...]:
        """The same scale of the same site at the other time points."""
        return tuple(field._replace(time=time) for time in self.order if time != field.time)

    def finding(self, slot: Slot) -> Finding | None:
        """The finding that holds for `slot`, or None."""
        for each in self.slot_fields(slot):
            value = self.values.get(each)
            if isinstance(value, FindingEntry):
                return self.scheme.finding(value.finding)
        return None

    def score(self, field: Field) -> int | None:
        """The score of `field`: the grade, or what the finding sets; None where it is open or not assessable."""
        match self.values.get(field):
            case GradeEntry(grade):
                return grade
            case FindingEntry(finding):
                return self.site(field.site).joint.finding_score(self.scheme.finding(finding), field.scale)
            case _:
                return None

    @property
    def open_fields(self) -> tuple[Field, ...]:
        """The fields that wait for an entry, in reading order."""
        return tuple(field for field in self.fields if field not in self.values)

    @property
    def is_complete(self) -> bool:
        """Whether every field is filled, so that the reading can be signed."""
        return len(self.values) == len(self.fields)

    def total(self, time: int, scale: str | None = None) -> tuple[int, int]:
        """The sum of the scores at `time` and the number of fields in it, of one scale or of all."""
        scores = [
            score
            for field in self.fields
            if field.time == time and scale in (None, field.scale) and (score := self.score(field)) is not None
        ]
        return sum(scores), len(scores)

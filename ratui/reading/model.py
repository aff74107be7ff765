"""Immutable values of a reading: fields, entries, the log of changes, and the `Reading` itself.

`ratui.reading.options` holds the rules of entry, `ratui.reading.commands` makes one reading from another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Literal, NamedTuple, TypeAlias

from ratui.errors import EntryError, Refusal, clean_text
from ratui.reading.field_layout import Field, FieldLayout, Slot, share_layout
from ratui.scheme import Finding, Scheme, Site

__all__ = [
    "MAX_NOTE_LENGTH",
    "DisplayRecord",
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
"""Maximum length of a note, in characters."""

_STATE = frozenset({"values", "log", "absent", "signed_at", "flags", "notes"})
"""Attributes of a `Reading` that its commands change."""


@dataclass(frozen=True)
class GradeEntry:
    """A grade that the rater entered."""

    grade: int


@dataclass(frozen=True)
class FindingEntry:
    """A special finding, by its id in the scheme.

    The scheme derives the score from the finding. So another convention can be applied later without a new reading.
    """

    finding: str


@dataclass(frozen=True)
class NotAssessableEntry:
    """An answer without a score, with the id of one of the scheme's reasons. It never counts as 0."""

    reason: str


Entry: TypeAlias = GradeEntry | FindingEntry | NotAssessableEntry
"""An answer to one field."""
LogKind: TypeAlias = Literal[
    "enter", "normal", "same", "clear", "undo", "flag", "note", "regions", "films", "adopt", "sign", "reopen"
]
"""Kind of a log entry: the command in `ratui.reading.commands` that wrote it (``same`` is `copy_entry`)."""


class FieldChange(NamedTuple):
    """The change that a log entry made to one field. None stands for an open field."""

    field: Field
    old: Entry | None
    new: Entry | None


class TerminalSize(NamedTuple):
    """Size of a terminal in characters, and of a character in pixels."""

    columns: int
    rows: int
    cell_width: int
    cell_height: int


class DisplayRecord(NamedTuple):
    """The display of the films at the time of an entry.

    Attributes
    ----------
    films
        Opaque names of the films on the screen. They are the same throughout a reading, and different in any other one, so
        that they reveal neither the order of the time points nor that a case is shown again.
    protocol
        Way in which the terminal drew the films, such as ``sixel``.
    pixels_per_mm
        Pixels of the screen per millimetre of bone on the coarser film.
    is_sufficient
        True if erosions can be judged at this resolution.
    greys
        Changes of the grey levels, such as ``invert`` and ``contrast+2``. Empty for the film as acquired.
    seconds
        Seconds between the display of the films and the key.
    acknowledged_by
        What has confirmed that the films were painted: the ``terminal``, a ``multiplexer`` such as tmux, which answers
        before its terminal has painted, or ``nothing``.
    terminal
        Size of the terminal; None for entries of earlier versions.
    """

    films: tuple[str, ...]
    protocol: str
    pixels_per_mm: float
    is_sufficient: bool
    greys: tuple[str, ...]
    seconds: float
    acknowledged_by: Literal["terminal", "multiplexer", "nothing"]
    terminal: TerminalSize | None = None


class LogEntry(NamedTuple):
    """One command in the log of a reading.

    Attributes
    ----------
    number
        Position in the log, from 1.
    timestamp
        Time of the command, or None if it is unknown.
    kind
        The command.
    key
        The key that the rater pressed, or an empty text.
    changes
        The changed fields.
    undone_number
        For an undo, the number of the entry that it takes back.
    note
        Text of a note, the reason to reopen the reading, or the films that were added or withdrawn.
    site
        Key of the site that was flagged or got a note.
    is_confirmed
        True if the entry was unlikely and the rater confirmed it.
    display
        The display of the films when an answer was entered. None for other commands, and for readings of earlier versions.
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
    display: DisplayRecord | None = None


@dataclass(frozen=True, repr=False)
class Reading:
    """All answers of one rater in one case, with their log.

    Attributes
    ----------
    scheme
        The scoring method.
    case
        Pseudonym of the patient.
    rater
        ID of the rater.
    sites
        The scored sites, in reading order.
    order
        Time points in the order of display, left first. In a rater's view of a blinded study, the time points are unknown:
        there `time` is the position of the film, and the order is ``(0, 1)``.
    is_blinded
        True if the rater must not know which time point is earlier.
    values
        Entries of the filled fields.
    log
        Every command so far.
    absent
        Slots that lie outside their film, according to the regions.
    signed_at
        Time of signing, or None.
    flags
        Keys of the sites that the rater marked for a second look.
    notes
        One line of text by site key.
    positions
        IDs of the films at each position, left first. Empty if they are unknown, as in a file of an earlier version.
    unfilmed
        Slots without a film: no film of that visit shows the site. They have no fields.
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
    positions: tuple[tuple[str, ...], ...] = ()
    unfilmed: frozenset[Slot] = frozenset()

    def __repr__(self) -> str:
        state = "signed" if self.signed_at else "not signed"
        count = f"{len(self.values)} of {len(self.fields)} fields filled"
        return f"Reading({self.case} by {self.rater}, {self.scheme.name}, {count}, {state})"

    @cached_property
    def layout(self) -> FieldLayout:
        """Fields, slots and sites of the reading. Readings with the same sites and time points share it."""
        return share_layout(self.sites, self.order, self.unfilmed)

    @property
    def fields(self) -> tuple[Field, ...]:
        """Every field in reading order: site by site, within a site by scale, within a scale by displayed time point.

        Slots without a film have no fields.
        """
        return self.layout.fields

    @property
    def filled_fields(self) -> tuple[tuple[Field, Entry], ...]:
        """The fields with an entry, in reading order, with their entries."""
        return tuple((field, entry) for field in self.fields if (entry := self.values.get(field)) is not None)

    @property
    def filmed_positions(self) -> tuple[int, ...]:
        """Position of each time point of `order` on the screen: all positions, but those that have lost their films."""
        if not any(self.positions):
            return tuple(range(len(self.order)))
        return tuple(place for place, films in enumerate(self.positions) if films)

    @property
    def site_keys(self) -> frozenset[str]:
        """Keys of the scored sites."""
        return self.layout.site_keys

    def _with_state(self, **changes: object) -> Reading:
        """Return a copy with other values, log, absent slots, signature, flags or notes.

        The copy shares the layout, which depends only on the sites and their order. `dataclasses.replace` would lose it,
        and it would be looked up again after every command.
        """
        unknown = changes.keys() - _STATE
        if unknown:
            raise TypeError(f"not part of the state of a reading: {', '.join(sorted(unknown))}")
        copy = object.__new__(Reading)
        copy.__dict__.update(self.__dict__, **changes)
        return copy

    def site(self, key: str) -> Site:
        """Return the site named `key` (``L.MCP2``). Raises EntryError if the reading has no such site."""
        try:
            return self.layout.sites_by_key[key]
        except KeyError:
            raise EntryError(Refusal("no_site", {"name": clean_text(key)}), self.case) from None

    def has_field(self, field: Field) -> bool:
        """Return whether the reading has `field`. Entries of the log may name fields of films that were withdrawn."""
        return field in self.layout.field_indices

    def field_index(self, field: Field) -> int:
        """Return the position of `field` in `fields`. Raises EntryError if the reading has no such field."""
        try:
            return self.layout.field_indices[field]
        except KeyError:
            name = clean_text(f"{field.site} {field.scale} {field.time}")
            raise EntryError(Refusal("no_field", {"name": name}), self.case) from None

    def slot_fields(self, slot: Slot) -> tuple[Field, ...]:
        """Return the fields of one site at one time point, none without a film. Raises EntryError for an unknown site."""
        known = self.layout.slot_fields.get(slot)
        if known is not None:
            return known
        return tuple(Field(slot.site, scale, slot.time) for scale in self.site(slot.site).joint.scales)

    def joint_fields(self, site: str) -> tuple[Field, ...]:
        """Return the fields of one site at the time points with a film of it. Raises EntryError for an unknown site."""
        return self.layout.joint_fields[self.site(site).key]

    def filmed_times(self, site: str) -> tuple[int, ...]:
        """Return the time points at which a film shows `site`, in the order of display. Raises EntryError."""
        return self.layout.filmed_times[self.site(site).key]

    def counterparts(self, field: Field) -> tuple[Field, ...]:
        """Return the same scale of the same site at the other filmed time points, in the order of display."""
        return tuple(field._replace(time=time) for time in self.filmed_times(field.site) if time != field.time)

    def finding(self, slot: Slot) -> Finding | None:
        """Return the finding that was entered for `slot`, or None."""
        for each in self.slot_fields(slot):
            value = self.values.get(each)
            if isinstance(value, FindingEntry):
                return self.scheme.finding(value.finding)
        return None

    def score(self, field: Field) -> int | None:
        """Return the entered grade or the score that a finding sets. None if `field` is open or not assessable."""
        match self.values.get(field):
            case GradeEntry(grade):
                return grade
            case FindingEntry(finding):
                return self.site(field.site).joint.finding_score(self.scheme.finding(finding), field.scale)
            case _:
                return None

    @property
    def open_fields(self) -> tuple[Field, ...]:
        """Fields without an entry, in reading order."""
        return tuple(field for field in self.fields if field not in self.values)

    @property
    def is_complete(self) -> bool:
        """True if every field is filled, so that the reading can be signed."""
        return len(self.values) == len(self.fields)

    def total(self, time: int, scale: str | None = None) -> tuple[int, int]:
        """Return the sum of the scores at `time` and the number of scored fields.

        The count shows how many fields were assessable; nothing is imputed for the others.

        Parameters
        ----------
        time
            Time point, 0 to 7.
        scale
            Only this scale (``ERO`` or ``JSN``). By default all scales, which for the scheme ``mtss`` gives the modified
            total Sharp score (van der Heijde).
        """
        scores = [
            score
            for field in self.fields
            if field.time == time and scale in (None, field.scale) and (score := self.score(field)) is not None
        ]
        return sum(scores), len(scores)

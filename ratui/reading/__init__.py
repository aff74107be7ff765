"""One rater's reading of one case, and the rules of entry. The package knows neither screens nor files.

The rules follow the modified total Sharp score (van der Heijde); sites, grades and findings come from the scheme.
"""

from ratui.errors import Refusal, RefusalKind
from ratui.reading.case_changes import apply_films, apply_regions
from ratui.reading.commands import (
    adopt,
    clear,
    copy_entry,
    enter,
    enter_normal,
    find_undoable,
    reopen,
    set_note,
    sign,
    start_reading,
    toggle_flag,
    undo,
)
from ratui.reading.document_reader import (
    FORMAT_VERSION,
    POSITION_FORMATS,
    migrate_document,
    reading_from_document,
    reading_from_log,
)
from ratui.reading.document_writer import reading_to_document
from ratui.reading.invariants import find_log_problems, find_problems
from ratui.reading.log import ReplayResult, replay
from ratui.reading.model import (
    MAX_NOTE_LENGTH,
    DisplayRecord,
    Entry,
    Field,
    FieldChange,
    FindingEntry,
    GradeEntry,
    LogEntry,
    LogKind,
    NotAssessableEntry,
    Reading,
    Slot,
    TerminalSize,
)
from ratui.reading.options import (
    EntryOptions,
    find_copy_source,
    find_next_open_field,
    find_refusal,
    find_resume_field,
    list_options,
)
from ratui.reading.plausibility import UnlikelyEntry, find_unlikely, find_unlikely_normal
from ratui.reading.positions import GONE, to_positions, to_times
from ratui.reading.review import (
    ReviewItem,
    ReviewKind,
    ReviewReason,
    find_compared_place,
    find_field_to_change,
    joint_state,
    list_review_items,
)

__all__ = [
    "FORMAT_VERSION",
    "GONE",
    "MAX_NOTE_LENGTH",
    "POSITION_FORMATS",
    "DisplayRecord",
    "Entry",
    "EntryOptions",
    "Field",
    "FieldChange",
    "FindingEntry",
    "GradeEntry",
    "LogEntry",
    "LogKind",
    "NotAssessableEntry",
    "Reading",
    "Refusal",
    "RefusalKind",
    "ReplayResult",
    "ReviewItem",
    "ReviewKind",
    "ReviewReason",
    "Slot",
    "TerminalSize",
    "UnlikelyEntry",
    "adopt",
    "apply_films",
    "apply_regions",
    "clear",
    "copy_entry",
    "enter",
    "enter_normal",
    "find_compared_place",
    "find_copy_source",
    "find_field_to_change",
    "find_log_problems",
    "find_next_open_field",
    "find_problems",
    "find_refusal",
    "find_resume_field",
    "find_undoable",
    "find_unlikely",
    "find_unlikely_normal",
    "joint_state",
    "list_options",
    "list_review_items",
    "migrate_document",
    "reading_from_document",
    "reading_from_log",
    "reading_to_document",
    "reopen",
    "replay",
    "set_note",
    "sign",
    "start_reading",
    "to_positions",
    "to_times",
    "toggle_flag",
    "undo",
]

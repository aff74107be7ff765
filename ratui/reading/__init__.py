"""One rater's reading of one case, and what may be entered next. Pure: it knows neither screen nor disk."""

from ratui.errors import Refusal, RefusalKind
from ratui.reading.adopting import adopt
from ratui.reading.commands import (
    apply_regions,
    clear,
    enter,
    flag,
    normal,
    note,
    reopen,
    same,
    sign,
    start,
    undo,
    undoable,
)
from ratui.reading.invariants import history_problems, problems
from ratui.reading.log import Replay, replay
from ratui.reading.model import (
    NOTE_LENGTH,
    Change,
    Entry,
    Field,
    Found,
    Graded,
    LogEntry,
    LogKind,
    NotAssessable,
    Reading,
    Slot,
)
from ratui.reading.options import Options, next_open, options, refusal
from ratui.reading.plausibility import Doubt, unlikely, unlikely_normal
from ratui.reading.review import LookKind, LookReason, SecondLook, second_look
from ratui.reading.serialization import FORMAT, from_document, from_log, to_document

__all__ = [
    "FORMAT",
    "NOTE_LENGTH",
    "Change",
    "Doubt",
    "Entry",
    "Field",
    "Found",
    "Graded",
    "LogEntry",
    "LogKind",
    "LookKind",
    "LookReason",
    "NotAssessable",
    "Options",
    "Reading",
    "Refusal",
    "RefusalKind",
    "Replay",
    "SecondLook",
    "Slot",
    "adopt",
    "apply_regions",
    "clear",
    "enter",
    "flag",
    "from_document",
    "from_log",
    "history_problems",
    "next_open",
    "normal",
    "note",
    "options",
    "problems",
    "refusal",
    "reopen",
    "replay",
    "same",
    "second_look",
    "sign",
    "start",
    "to_document",
    "undo",
    "undoable",
    "unlikely",
    "unlikely_normal",
]

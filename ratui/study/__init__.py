"""A study folder on disk: its films, regions and readings, and how films come in."""

from ratui.study.importer import ImportReport, Refused, Taken, import_films
from ratui.study.intake import InProcess
from ratui.study.placement import Fault, FaultKind, faults, lies_mirrored
from ratui.study.pseudonym import KeyFile
from ratui.study.records import Case, CaseState, DisplayUse, FilmRecord, Region, Stage
from ratui.study.session import ReadingSession
from ratui.study.settings import CONSENSUS, StudyConfig
from ratui.study.store import Held, Holder
from ratui.study.study import Study

__all__ = [
    "CONSENSUS",
    "Case",
    "CaseState",
    "DisplayUse",
    "Fault",
    "FaultKind",
    "FilmRecord",
    "Held",
    "Holder",
    "ImportReport",
    "InProcess",
    "KeyFile",
    "ReadingSession",
    "Refused",
    "Region",
    "Stage",
    "Study",
    "StudyConfig",
    "Taken",
    "faults",
    "import_films",
    "lies_mirrored",
]

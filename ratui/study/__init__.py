"""A study folder on disk: its films, regions and readings, and how films come in."""

from ratui.study.case import Case, CaseState, DisplayUse, FilmRecord, Region, Stage
from ratui.study.config import CONSENSUS, StudyConfig
from ratui.study.importing import InProcess
from ratui.study.importing.importer import ImportReport, Refused, Taken, import_films
from ratui.study.importing.pseudonyms import KeyFile
from ratui.study.reading_session import ReadingSession
from ratui.study.store import Held, Holder
from ratui.study.study import Study

__all__ = [
    "CONSENSUS",
    "Case",
    "CaseState",
    "DisplayUse",
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
    "import_films",
]

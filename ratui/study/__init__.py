"""A study folder on disk: its films, regions and readings, and how films come in."""

from ratui.study.case import Case, CaseState, DisplayUse, FilmRecord, Region, RegionSource, Stage
from ratui.study.config import CONSENSUS, StudyConfig
from ratui.study.importing import InProcessConverter
from ratui.study.importing.importer import ImportedFilm, ImportReport, RejectedFile, import_films
from ratui.study.importing.pseudonyms import KeyFile
from ratui.study.reading_session import ReadingSession
from ratui.study.store import HeldByOther, LockHolder
from ratui.study.study import Study

__all__ = [
    "CONSENSUS",
    "Case",
    "CaseState",
    "DisplayUse",
    "FilmRecord",
    "HeldByOther",
    "ImportReport",
    "ImportedFilm",
    "InProcessConverter",
    "KeyFile",
    "LockHolder",
    "ReadingSession",
    "Region",
    "RegionSource",
    "RejectedFile",
    "Stage",
    "Study",
    "StudyConfig",
    "import_films",
]

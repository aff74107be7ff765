"""A study folder on disk: its films, regions and readings, and how films come in."""

from ratui.study.importer import ImportReport, Refused, Taken, import_films
from ratui.study.pseudonym import KeyFile
from ratui.study.records import Case, CaseState, FilmRecord, Region, Stage
from ratui.study.study import ReadingSession, Study, StudyConfig

__all__ = [
    "Case",
    "CaseState",
    "FilmRecord",
    "ImportReport",
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

"""A study folder on the disk: its films, regions and readings, and the import of films."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratui.lazy_names import import_on_demand

if TYPE_CHECKING:
    from ratui.study.case import Case, FilmRecord, Region, RegionSource
    from ratui.study.config_files import CONSENSUS, StudyConfig
    from ratui.study.importing import InProcessConverter
    from ratui.study.importing.import_report import ImportedFilm, ImportReport, RejectedFile
    from ratui.study.importing.importer import OpenImport, import_films, open_import
    from ratui.study.importing.persons.pseudonyms import KeyFile
    from ratui.study.importing.planning.import_plan import ImportPlan
    from ratui.study.readings.reading_permission import ReadingClosed
    from ratui.study.readings.reading_session import AutoSaver, DisplayUse, ReadingSession
    from ratui.study.store import LockedByOther, LockHolder, StudyLocked, TakenOver
    from ratui.study.study import Study
    from ratui.study.study_cases import AnswerSummary, RevealedAnswers
    from ratui.study.worklist import CaseState, Stage
else:
    __getattr__ = import_on_demand(
        __name__,
        {
            "case": "Case FilmRecord Region RegionSource",
            "config_files": "CONSENSUS StudyConfig",
            "importing": "InProcessConverter",
            "importing.planning.import_plan": "ImportPlan",
            "importing.import_report": "ImportedFilm ImportReport RejectedFile",
            "importing.importer": "OpenImport import_films open_import",
            "importing.persons.pseudonyms": "KeyFile",
            "readings.reading_permission": "ReadingClosed",
            "readings.reading_session": "AutoSaver DisplayUse ReadingSession",
            "store": "LockedByOther LockHolder StudyLocked TakenOver",
            "study": "Study",
            "study_cases": "AnswerSummary RevealedAnswers",
            "worklist": "CaseState Stage",
        },
    )

__all__ = [
    "CONSENSUS",
    "AnswerSummary",
    "AutoSaver",
    "Case",
    "CaseState",
    "DisplayUse",
    "FilmRecord",
    "ImportPlan",
    "ImportReport",
    "ImportedFilm",
    "InProcessConverter",
    "KeyFile",
    "LockHolder",
    "LockedByOther",
    "OpenImport",
    "ReadingClosed",
    "ReadingSession",
    "Region",
    "RegionSource",
    "RejectedFile",
    "RevealedAnswers",
    "Stage",
    "Study",
    "StudyConfig",
    "StudyLocked",
    "TakenOver",
    "import_films",
    "open_import",
]

"""Export of a study into a folder, in one or more formats.

Each file is written completely or not at all. Existing files with the same names are replaced; other files are left
alone.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from ratui.errors import StudyError, clean_text
from ratui.files import write_bytes
from ratui.results.display_tests import summarize_display_tests
from ratui.results.export.coco import build_coco
from ratui.results.export.display_tests_table import build_display_tests_table, build_display_trials_table
from ratui.results.export.final_tables import build_adam_table, build_final_table
from ratui.results.export.joint_space_table import build_joint_space_table
from ratui.results.export.json_document import SCHEMA, build_readings_document, read_schema
from ratui.results.export.long_table import build_long_table
from ratui.results.export.mk_table import build_mk_table
from ratui.results.export.presentation_state import build_presentation_states
from ratui.results.export.reading_tables import build_notes_table, build_readings_table
from ratui.results.export.redcap import build_redcap_tables
from ratui.results.export.repeats_table import build_repeats_table
from ratui.results.export.signed_readings import ExportSource
from ratui.results.export.structured_report import build_structured_reports
from ratui.results.export.tables import Table, make_data_dictionary, relink_table, table_to_csv, table_to_parquet
from ratui.results.export.visits_table import build_visits_table
from ratui.results.export.wide_table import build_wide_table
from ratui.results.joint_space import load_released_measurements
from ratui.results.optional_dependencies import require
from ratui.results.released import ReleasedReadings
from ratui.results.totals import MissingRule
from ratui.study import Study
from ratui.study.film_files import read_intact_film_data

__all__ = ["FORMATS", "ExportResult", "export"]

_Files = Iterator[tuple[str, bytes]]
ProgressCallback = Callable[[str, int, int], None]
"""Function called with (stage, done, total)."""

FORMATS: Mapping[str, str] = {
    "csv": "scores.csv, totals.csv, final.csv, and dictionary.csv that explains their columns",
    "parquet": "the same tables, typed, with the meaning of each column inside",
    "adam": "adam.csv: final scores and changes in the style of ADaM's Basic Data Structure",
    "redcap": "redcap_dictionary.csv and redcap_data.csv: final scores for REDCap, one row per case and visit",
    "json": f"readings.json, by {SCHEMA} beside it",
    "coco": "regions.json: the boxes in COCO's format",
    "mk": "mk.csv: rows in the manner of CDISC's MK domain",
    "sr": "sr/: DICOM Structured Reports, one for each reading and time point",
    "gsps": "gsps/: DICOM presentation states that draw boxes and scores over the films",
}
"""Names of the formats, with a description of the files."""
_REQUIRED_MODULES = {"parquet": "pyarrow", "sr": "highdicom", "gsps": "highdicom"}


@dataclass(frozen=True)
class ExportResult:
    """Result of an export.

    `files` are the names written into `folder`; `cases`, `readings` and `kept_back` count what was exported and what
    was not released.
    """

    folder: Path
    files: tuple[str, ...]
    cases: int
    readings: int
    kept_back: int


def export(
    study: Study,
    released: ReleasedReadings,
    folder: Path,
    formats: Sequence[str],
    rule: MissingRule,
    *,
    numbered: bool = False,
    with_films: bool = False,
    with_notes: bool = False,
    subjects: Mapping[str, str] | None = None,
    progress: ProgressCallback = lambda stage, done, of: None,
) -> ExportResult:
    """Write the released readings of a study into a folder.

    Parameters
    ----------
    study, released
        The study and its released readings.
    folder
        Folder to write to; it is created if needed.
    formats
        Names of formats, from FORMATS.
    rule
        Rule for totals of fields without a score.
    numbered
        Name raters ``READER 1``, ``READER 2``, … instead of by their IDs.
    with_films
        Also write the films of the exported cases, to which reports and presentation states refer, into ``films/``.
    with_notes
        Also write the notes of the raters and the times of the signatures, as tables.
    subjects
        ID of the subject of each case, which the tables then contain; None to leave them out.
    progress
        Called with (stage, done, total) during long stages.

    Raises
    ------
    StudyError
        If no reading is released, a format is unknown, the folder is inside the study, a library is missing, or a file
        cannot be written.
    FilmError
        If a film of `with_films` can't be read or is damaged.
    """
    for name in formats:
        if name not in FORMATS:
            raise StudyError(f"there is no format {clean_text(name)}", "--format", f"Take {', '.join(FORMATS)}")
        if name in _REQUIRED_MODULES:
            require(_REQUIRED_MODULES[name], f"--format {name}")  # fail before the first file is written
    if folder.resolve().is_relative_to(study.path.resolve()):
        raise StudyError("this folder is inside the study", folder, "Choose a folder outside it")
    source = ExportSource(study, released, numbered)
    readings = sum(1 for _ in source.readings())
    if not readings:
        raise StudyError("no reading is released yet", study.path, "See: ratui status STUDY")
    written = []
    files = _files(source, formats, rule, progress, with_notes, subjects)
    for name, data in itertools.chain(files, _films(source, progress)) if with_films else files:
        _write_file(folder / name, data)
        written.append(name)
    return ExportResult(folder, tuple(written), len(released.readings), readings, len(released.kept_back))


def _files(
    source: ExportSource,
    formats: Sequence[str],
    rule: MissingRule,
    progress: ProgressCallback,
    with_notes: bool,
    subjects: Mapping[str, str] | None,
) -> _Files:
    software = f"ratui {version('ratui')}"
    tables: list[Table] = []
    if {"csv", "parquet"} & set(formats):
        tables = [build_long_table(source), build_wide_table(source, rule), build_final_table(source, rule)]
        if source.study.config.charter.visits:
            tables.append(build_visits_table(source))
        if source.released.repeats:
            tables.append(build_repeats_table(source))
        if load_released_measurements(source.study, source.released):
            tables.append(build_joint_space_table(source))
        found = summarize_display_tests(source.study)
        tests = build_display_tests_table(source, found)
        if tests.rows:
            tables += [tests, build_display_trials_table(source, found)]
    with_csv = "csv" in formats or not tables
    if with_notes:
        tables += [build_readings_table(source), build_notes_table(source)]
    of_cdisc = [build_mk_table(source)] if "mk" in formats else []
    of_cdisc += [build_adam_table(source, rule)] if "adam" in formats else []
    if subjects is not None:
        tables, of_cdisc = (
            [relink_table(each, source.study.config.id, subjects) for each in some] for some in (tables, of_cdisc)
        )
    for table in tables:
        if with_csv:
            yield f"{table.name}.csv", table_to_csv(table).encode()
        if "parquet" in formats:
            yield f"{table.name}.parquet", table_to_parquet(table)
    if "redcap" in formats:
        for table in build_redcap_tables(source, rule):
            yield f"{table.name}.csv", table_to_csv(table).encode()
    for table in of_cdisc:
        yield f"{table.name}.csv", table_to_csv(table).encode()
    described = [*tables, *of_cdisc]
    if described:
        yield "dictionary.csv", table_to_csv(make_data_dictionary(described)).encode()
    if "json" in formats:
        yield "readings.json", _encode_json(build_readings_document(source, software))
        yield SCHEMA, read_schema().encode()
    if "coco" in formats:
        yield "regions.json", _encode_json(build_coco(source))
    if "sr" in formats:
        reports = sum(len(signed.case.times) for signed in source.readings())
        yield from _with_progress("reports", "sr", build_structured_reports(source, rule, software), reports, progress)
    if "gsps" in formats:
        films = sum(len(signed.case.films) for signed in source.readings())
        yield from _with_progress(
            "presentation states", "gsps", build_presentation_states(source, software), films, progress
        )


def _films(source: ExportSource, progress: ProgressCallback) -> _Files:
    """Yield the film files of the exported cases as they are in the study. Raises FilmError for a damaged one."""
    cases = [case for case, _ in source.by_case()]
    films = ((case, film) for case in cases for film in case.films)
    files = (
        (f"{case.id}/{film.id}.dcm", read_intact_film_data(source.study.folder, case, film.id)) for case, film in films
    )
    yield from _with_progress("films", "films", files, sum(len(case.films) for case in cases), progress)


def _with_progress(stage: str, folder: str, files: _Files, of: int, progress: ProgressCallback) -> _Files:
    """Yield `files` inside `folder`, and report each; `of` is the expected number of files."""
    for done, (name, data) in enumerate(files):
        progress(stage, done, of)
        yield f"{folder}/{name}", data
    progress(stage, of, of)


def _encode_json(document: object) -> bytes:
    return (json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _write_file(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StudyError(
            f"the folder can't be created: {error.strerror}", path.parent, "Choose another folder"
        ) from error
    write_bytes(path, data, copy=False)

"""An export as a whole: which formats there are, and the folder that they are written to.

Each file is there whole or not at all; what is there already under such a name is replaced, everything else is left alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from ratui.errors import StudyError, clean
from ratui.results.export.coco import coco_document
from ratui.results.export.json_document import SCHEMA, readings_document, schema_text
from ratui.results.export.long_table import long_table
from ratui.results.export.mk_table import mk_table
from ratui.results.export.presentation_state import presentation_states
from ratui.results.export.readers import Exportable
from ratui.results.export.structured_report import structured_reports
from ratui.results.export.tables import Table, as_csv, as_parquet, dictionary
from ratui.results.export.wide_table import wide_table
from ratui.results.optional_dependencies import need
from ratui.results.released import Released
from ratui.results.totals import Rule
from ratui.study import Study
from ratui.study.store import write_bytes

__all__ = ["FORMATS", "Exported", "export"]

_Files = Iterator[tuple[str, bytes]]
Progress = Callable[[str, int, int], None]

FORMATS: Mapping[str, str] = {
    "csv": "scores.csv, totals.csv, and dictionary.csv that explains their columns",
    "parquet": "scores.parquet and totals.parquet, typed, with the meaning of each column inside",
    "json": f"readings.json, by {SCHEMA} beside it",
    "coco": "regions.json: the boxes in COCO's format",
    "mk": "mk.csv: rows in the manner of CDISC's MK domain",
    "sr": "sr/: DICOM Structured Reports, one for each reading and time point",
    "gsps": "gsps/: DICOM presentation states that draw boxes and scores over the films",
}
"""What can be exported, and what it makes."""
_NEEDS = {"parquet": "pyarrow", "sr": "highdicom", "gsps": "highdicom"}


@dataclass(frozen=True)
class Exported:
    """What was written into `folder`: names inside it, and of how many cases and readings."""

    folder: Path
    files: tuple[str, ...]
    cases: int
    readings: int
    kept_back: int


def export(
    study: Study,
    told: Released,
    folder: Path,
    formats: Sequence[str],
    rule: Rule,
    *,
    numbered: bool = False,
    progress: Progress = lambda stage, done, of: None,
) -> Exported:
    """Writes `formats`, of FORMATS, of the readings of `told` into `folder`; totals follow `rule`.

    With `numbered` raters stand as ``READER 1`` and so on. `progress` gets (stage, done, of) of what takes long. Raises
    StudyError where nothing may be told, for an unknown format, for a folder inside the study, where a library is missing,
    or where the disk refuses.
    """
    for name in formats:
        if name not in FORMATS:
            raise StudyError(f"there is no format {clean(name)}", "--format", f"Take {', '.join(FORMATS)}")
        if name in _NEEDS:
            need(_NEEDS[name], f"--format {name}")  # before anything is written
    if folder.resolve().is_relative_to(study.path.resolve()):
        raise StudyError("this is inside the study, which holds nothing but itself", folder, "Choose another folder")
    source = Exportable(study, told, numbered)
    readings = sum(1 for _ in source.readings())
    if not readings:
        raise StudyError("no reading may be told yet", study.path, "See: ratui status STUDY")
    written = []
    for name, data in _files(source, formats, rule, progress):
        _write(folder / name, data)
        written.append(name)
    return Exported(folder, tuple(written), len(told.readings), readings, len(told.kept_back))


def _files(source: Exportable, formats: Sequence[str], rule: Rule, progress: Progress) -> _Files:
    software = f"ratui {version('ratui')}"
    tables: list[Table] = []
    if {"csv", "parquet"} & set(formats):
        tables = [long_table(source), wide_table(source, rule)]
    described = list(tables)
    if "mk" in formats:
        described.append(mk_table(source))
    for table in tables:
        if "csv" in formats:
            yield f"{table.name}.csv", as_csv(table).encode()
        if "parquet" in formats:
            yield f"{table.name}.parquet", as_parquet(table)
    if "mk" in formats:
        yield "mk.csv", as_csv(described[-1]).encode()
    if described:
        yield "dictionary.csv", as_csv(dictionary(described)).encode()
    if "json" in formats:
        yield "readings.json", _json(readings_document(source, software))
        yield SCHEMA, schema_text().encode()
    if "coco" in formats:
        yield "regions.json", _json(coco_document(source))
    if "sr" in formats:
        reports = 2 * sum(1 for _ in source.readings())
        yield from _told("reports", "sr", structured_reports(source, software), reports, progress)
    if "gsps" in formats:
        films = sum(len(signed.case.films) for signed in source.readings())
        yield from _told("presentation states", "gsps", presentation_states(source, software), films, progress)


def _told(stage: str, folder: str, files: _Files, of: int, progress: Progress) -> _Files:
    """`files` in `folder`, each told when it is there; `of` is how many there will be at most."""
    for done, (name, data) in enumerate(files):
        progress(stage, done, of)
        yield f"{folder}/{name}", data
    progress(stage, of, of)


def _json(document: object) -> bytes:
    return (json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StudyError(f"the folder can't be made: {error.strerror}", path.parent, "Choose another") from error
    write_bytes(path, data, copy=False)

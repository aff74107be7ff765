"""Evaluations of a scorer on a study, stored as a document of blocks beside its run and shown after signing.

The pictures of an evaluation show joints with the grades of raters, so a rater sees it only after signing their own reading
of each of its cases: screens call `load_evaluation`.

An evaluation is a sealed table file. Table ``meta`` has one record: ``format`` (1), ``model`` (name of the run), ``study``
and ``made``. Table ``cases`` has one record for each evaluated case. Table ``blocks`` contains the document, in order.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, TypeAlias

from ratui.errors import StoreError, StudyError, clean_text
from ratui.files import check_name
from ratui.stored_values import ODD_VALUE_ERRORS, as_integer, as_list, as_text, as_time
from ratui.study.intact import intact_reading
from ratui.study.layout import EVALUATION
from ratui.study.store import StudyFile, StudyLock, read_intact, write_tables
from ratui.study.study import Study

__all__ = [
    "Block",
    "Evaluation",
    "Heading",
    "Paragraph",
    "Picture",
    "ReportTable",
    "WithheldEvaluation",
    "load_evaluation",
    "read_evaluation",
    "save_evaluation",
]

_FORMAT = 1
_LONGEST_TEXT = 1_000_000
_REMEDY = "Make it again with: ratui-train evaluate … --to-study"


@dataclass(frozen=True)
class Heading:
    """A heading; `level` is 1 for the title."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of text; code stands in single backquotes."""

    text: str


@dataclass(frozen=True)
class ReportTable:
    """A table of texts. `strong` is the index of the column to emphasize, or None."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    strong: int | None = None


@dataclass(frozen=True)
class Picture:
    """A PNG image: the name of its file in a report, its bytes, and a description in words."""

    file: str
    png: bytes
    words: str


Block: TypeAlias = Heading | Paragraph | ReportTable | Picture
_KINDS: Mapping[str, type[Heading] | type[Paragraph] | type[ReportTable] | type[Picture]] = {
    "heading": Heading,
    "text": Paragraph,
    "table": ReportTable,
    "picture": Picture,
}


@dataclass(frozen=True)
class Evaluation:
    """An evaluation of one scorer.

    Attributes
    ----------
    model
        Name of the run.
    created
        Time of the evaluation.
    cases
        Names of the cases that it used.
    blocks
        The document.
    """

    model: str
    created: datetime
    cases: tuple[str, ...]
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class WithheldEvaluation:
    """An evaluation that a rater may not see yet: `cases` are those that they have not signed."""

    model: str
    cases: tuple[str, ...]


def save_evaluation(study: Study, evaluation: Evaluation) -> None:
    """Store `evaluation` in ``models/<model>/evaluation.json`` and replace an earlier one.

    Raises StoreError, and StudyError if in a shared study a rater has not signed one of its cases: every member of the
    group can read the file itself.
    """
    waiting = _find_waiting_raters(study, evaluation.cases) if study.config.group else []
    if waiting:
        raise StudyError(
            f"raters who have not signed all its cases could read the evaluation: {', '.join(waiting)}",
            study.path,
            "Store it when they have signed",
        )
    file = _file(study, evaluation.model)
    read_intact(file)  # raises an error for a file of a newer format, which must not be replaced
    meta = {
        "format": _FORMAT,
        "model": evaluation.model,
        "study": study.config.id,
        "made": evaluation.created.isoformat(),
    }
    cases = [{"case": check_name(case, "case")} for case in evaluation.cases]
    with StudyLock(study.folder).shared():
        write_tables(
            file, {"meta": [meta], "cases": cases, "blocks": [_to_record(block) for block in evaluation.blocks]}
        )


def _find_waiting_raters(study: Study, cases: Sequence[str]) -> list[str]:
    """Return the raters who have not signed all of `cases` that they read."""
    waiting = {rater for case in cases for rater in study.raters_of(case) if study.state(rater, case).stage != "signed"}
    return [rater for rater in study.config.raters if rater in waiting]


def read_evaluation(study: Study, model: str) -> Evaluation | None:
    """Return the evaluation of `model` without checking who may see it, or None. Raises StoreError."""
    file = _file(study, model)
    stored = read_intact(file, unsealed=False)
    return None if stored is None else _from_tables(stored.tables, study, model, file.path)


def load_evaluation(study: Study, rater: str, model: str) -> Evaluation | WithheldEvaluation | None:
    """Return the evaluation of `model` for `rater`, withheld if they have not signed all its cases; None if there is none.

    Raises StoreError for a damaged file.
    """
    evaluation = read_evaluation(study, model)
    if evaluation is None:
        return None
    known = set(study.cases())
    # A case that is no longer in the study does not count: nobody can be influenced in reading it.
    unsigned = tuple(case for case in evaluation.cases if case in known and not _has_signed(study, rater, case))
    return WithheldEvaluation(model, unsigned) if unsigned else evaluation


def _file(study: Study, model: str) -> StudyFile:
    return study.folder.file(f"models/{check_name(model, 'model')}/{EVALUATION}")


def _has_signed(study: Study, rater: str, case: str) -> bool:
    reading = intact_reading(study, rater, case)
    return reading is not None and reading.signed_at is not None


def _to_record(block: Block) -> dict[str, Any]:
    kind = next(name for name, each in _KINDS.items() if isinstance(block, each))
    record = asdict(block)
    if isinstance(block, Picture):
        record["png"] = base64.b64encode(block.png).decode("ascii")
    return {"kind": kind, **record}


def _from_tables(
    tables: Mapping[str, Sequence[Mapping[str, Any]]], study: Study, model: str, file: object
) -> Evaluation:
    meta = tables.get("meta", [])
    about = meta[0] if len(meta) == 1 else {}
    if about.get("format") != _FORMAT:
        raise StoreError(f"the evaluation has format {clean_text(about.get('format'))}", file, "Update ratui")
    if about.get("model") != model or about.get("study") != study.config.id:
        raise StoreError("it is of another model or study", file, _REMEDY)
    try:
        return Evaluation(
            model,
            as_time(about["made"]),
            tuple(as_text(record["case"]) for record in tables["cases"]),
            tuple(_from_record(record) for record in tables["blocks"]),
        )
    except ODD_VALUE_ERRORS as error:
        raise StoreError(f"not an evaluation: {clean_text(error)}", file, _REMEDY) from error


def _from_record(record: Mapping[str, Any]) -> Block:
    match record["kind"]:
        case "heading":
            return Heading(_as_block_text(record["text"]), as_integer(record["level"], 1, 6))
        case "text":
            return Paragraph(_as_block_text(record["text"]))
        case "table":
            columns = tuple(map(_as_block_text, as_list(record["columns"])))
            rows = tuple(tuple(map(_as_block_text, as_list(row))) for row in as_list(record["rows"]))
            if any(len(row) != len(columns) for row in rows):
                raise ValueError("a table with rows of different lengths")
            strong = record["strong"]
            return ReportTable(columns, rows, None if strong is None else as_integer(strong, 0, len(columns) - 1))
        case "picture":
            png = base64.b64decode(record["png"], validate=True)  # binascii.Error is a ValueError
            return Picture(_as_block_text(record["file"]), png, _as_block_text(record["words"]))
    raise ValueError(f"a block of the kind {clean_text(record['kind'])}")


def _as_block_text(value: object) -> str:
    return as_text(value, _LONGEST_TEXT)

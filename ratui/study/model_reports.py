"""What models were measured to be worth on a study, as a document of blocks: kept beside a scorer's run, told after signing.

Its pictures show joints with what raters said of them, so a rater sees it only once their own reading of each of its cases
is signed: readers ask `evaluation_after`.

A file is one of tables, sealed like every other. Table ``meta`` has one record: ``format`` (1), ``model`` (the run's name),
``study`` and ``made``; table ``cases`` one for each case that was measured on; table ``blocks`` the document, in order.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from ratui.errors import StoreError, clean
from ratui.study.config import check_name
from ratui.study.layout import Changes
from ratui.study.store import read_sound, write_tables
from ratui.study.study import Study

__all__ = [
    "EVALUATION",
    "Block",
    "Evaluation",
    "Heading",
    "Picture",
    "Table",
    "Text",
    "Withheld",
    "evaluated_models",
    "evaluation_after",
    "save_evaluation",
]

EVALUATION = "evaluation.json"
"""The file of a run's folder that keeps what it is worth."""
_FORMAT = 1
_REMEDY = "Make it again with: ratui-train evaluate … --to-study"


@dataclass(frozen=True)
class Heading:
    text: str
    level: int = 2


@dataclass(frozen=True)
class Text:
    """A paragraph; ```code``` in single backquotes."""

    text: str


@dataclass(frozen=True)
class Table:
    """`strong` is the column that is meant to be read first, or None."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    strong: int | None = None


@dataclass(frozen=True)
class Picture:
    """A PNG: its file's name where it stands beside a text, its bytes, and what it shows in words."""

    file: str
    png: bytes
    words: str


Block: TypeAlias = Heading | Text | Table | Picture
_KINDS: Mapping[str, type[Heading] | type[Text] | type[Table] | type[Picture]] = {
    "heading": Heading,
    "text": Text,
    "table": Table,
    "picture": Picture,
}


@dataclass(frozen=True)
class Evaluation:
    """What the scorer `model` is worth, as `blocks`, measured on `cases` at `made`."""

    model: str
    made: datetime
    cases: tuple[str, ...]
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Withheld:
    """An evaluation of `model` that a rater may not see yet: they haven't signed `cases`, and it tells what others read."""

    model: str
    cases: tuple[str, ...]


def save_evaluation(study: Study, found: Evaluation) -> None:
    """Keeps `found` in place of an earlier one of its model, in ``models/<model>/evaluation.json``. Raises StoreError."""
    file = _file(study, found.model)
    read_sound(file)  # refuses to replace what a newer version wrote
    meta = {"format": _FORMAT, "model": found.model, "study": study.config.id, "made": found.made.isoformat()}
    cases = [{"case": check_name(case, "case")} for case in found.cases]
    with Changes(study.path).one():
        write_tables(file, {"meta": [meta], "cases": cases, "blocks": [_to_record(block) for block in found.blocks]})


def evaluated_models(study: Study) -> tuple[str, ...]:
    """The scorers of which the study keeps an evaluation, the newest first."""
    files = (study.path / "models").glob(f"*/{EVALUATION}")
    ranked = sorted(files, key=lambda file: (file.stat().st_mtime_ns, file.parent.name), reverse=True)
    return tuple(file.parent.name for file in ranked)


def evaluation_after(study: Study, rater: str, model: str) -> Evaluation | Withheld | None:
    """The evaluation of `model` for a rater who has signed all its cases; None where there is none. Raises StoreError."""
    file = _file(study, model)
    stored = read_sound(file, unsealed=False)
    if stored is None:
        return None
    found = _from_tables(stored.tables, study, model, file)
    known = set(study.cases())
    # A case that has left the study can't be read any more, and nothing of it can sway anybody.
    unsigned = tuple(case for case in found.cases if case in known and not _signed(study, rater, case))
    return Withheld(model, unsigned) if unsigned else found


def _file(study: Study, model: str) -> Path:
    return study.path / "models" / check_name(model, "model") / EVALUATION


def _signed(study: Study, rater: str, case: str) -> bool:
    reading = study.reading(rater, case)
    return reading is not None and reading.signed is not None


def _to_record(block: Block) -> dict[str, Any]:
    kind = next(name for name, each in _KINDS.items() if isinstance(block, each))
    record = asdict(block)
    if isinstance(block, Picture):
        record["png"] = base64.b64encode(block.png).decode("ascii")
    return {"kind": kind, **record}


def _from_tables(tables: Mapping[str, Sequence[Mapping[str, Any]]], study: Study, model: str, file: Path) -> Evaluation:
    meta = tables.get("meta", [])
    about = meta[0] if len(meta) == 1 else {}
    if about.get("format") != _FORMAT:
        raise StoreError(f"the evaluation has format {clean(about.get('format'))}", file, "Update ratui")
    if about.get("model") != model or about.get("study") != study.config.id:
        raise StoreError("it is of another model or study", file, _REMEDY)
    try:
        return Evaluation(
            model,
            datetime.fromisoformat(about["made"]),
            tuple(str(record["case"]) for record in tables["cases"]),
            tuple(_from_record(record) for record in tables["blocks"]),
        )
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise StoreError(f"not an evaluation: {clean(error)}", file, _REMEDY) from error


def _from_record(record: Mapping[str, Any]) -> Block:
    match record["kind"]:
        case "heading":
            return Heading(str(record["text"]), int(record["level"]))
        case "text":
            return Text(str(record["text"]))
        case "table":
            columns = tuple(map(str, record["columns"]))
            rows = tuple(tuple(map(str, row)) for row in record["rows"])
            if any(len(row) != len(columns) for row in rows):
                raise ValueError("a table whose rows differ in length")
            strong = record["strong"]
            return Table(columns, rows, None if strong is None else int(strong))
        case "picture":
            return Picture(str(record["file"]), base64.b64decode(record["png"], validate=True), str(record["words"]))
    raise ValueError(f"a block of the kind {clean(record['kind'])}")

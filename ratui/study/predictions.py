"""What a scorer said of the study's cases, and in which order it would have them read: small files beside its run.

A rater sees a model's answers for a case only once their own reading of it is signed, so readers ask `answers_after`.
What is here is never a reading, and no total of a rater is made of it.

A file is one of tables, sealed like every other. Table ``meta`` has one record: ``format`` (1), ``model`` (the run's name)
and ``scheme`` (the digest of the study's scheme); table ``answers`` one for each scale of each site that was answered.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ratui.errors import SchemeError, StoreError, clean
from ratui.reading import Field
from ratui.study.config import check_name
from ratui.study.layout import Changes
from ratui.study.store import read_sound, write_tables
from ratui.study.study import Study

__all__ = [
    "ORDER",
    "Answer",
    "answer_models",
    "answers",
    "answers_after",
    "expected_scores",
    "reading_order",
    "save_answers",
    "save_order",
]

ORDER = "order.json"
"""The file of a study's ``models`` that keeps the order of reading."""
_FORMAT = 1


@dataclass(frozen=True)
class Answer:
    """What a model says of one scale of one site at both time points.

    `grades` are its decisions, `chances` for each time point the chance of each grade of the joint from 0 on, which add
    up to 1. `change` is what it decides the change to be, which needn't be the difference of `grades`; `doubt` is the
    error that it expects of `change`, in grades.
    """

    site: str
    scale: str
    grades: tuple[int, int]
    chances: tuple[tuple[float, ...], tuple[float, ...]]
    change: int
    doubt: float

    def expected(self, time: int) -> float:
        """The mean grade that it expects at `time`."""
        return math.fsum(grade * chance for grade, chance in enumerate(self.chances[time]))

    def to_record(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any], where: object = "") -> Answer:
        try:
            earlier, later = (tuple(float(chance) for chance in time) for time in record["chances"])
            first, second = (int(grade) for grade in record["grades"])
            answer = cls(
                str(record["site"]),
                str(record["scale"]),
                (first, second),
                (earlier, later),
                int(record["change"]),
                float(record["doubt"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(f"not an answer of a model: {error}", where, "Run ratui-train propose again") from error
        for grade, chances in zip(answer.grades, answer.chances, strict=True):
            if not (0 <= grade < len(chances) and abs(math.fsum(chances) - 1) < 1e-3):
                raise StoreError("an answer's chances and grade don't fit", where, "Run ratui-train propose again")
        return answer


def save_answers(study: Study, run: str, case: str, found: Iterable[Answer]) -> None:
    """Replaces what the scorer `run` says of `case`, in ``models/<run>/answers/<case>.json``. Raises StoreError."""
    file = _file(study, run, case)
    read_sound(file)  # refuses to replace what a newer version wrote
    meta = {"format": _FORMAT, "model": run, "scheme": study.config.scheme}
    with Changes(study.path).one():
        write_tables(file, {"meta": [meta], "answers": [answer.to_record() for answer in found]})


def answer_models(study: Study) -> tuple[str, ...]:
    """The names of the scorers whose answers the study keeps, the newest last."""
    folders = [folder for folder in (study.path / "models").glob("*/answers") if folder.is_dir()]
    ranked = sorted(folders, key=lambda folder: (folder.stat().st_mtime_ns, folder.parent.name))
    return tuple(folder.parent.name for folder in ranked)


def answers(study: Study, case: str, *, run: str | None = None) -> tuple[Answer, ...]:
    """What the scorer `run`, or the newest that has seen `case`, says of it; empty where none has. For managers, and for
    an adjudicator after their own answer. Raises StoreError for a damaged file."""
    for model in (run,) if run else reversed(answer_models(study)):
        file = _file(study, model, case)
        stored = read_sound(file, unsealed=False)
        if stored is not None:
            _check_meta(stored.tables.get("meta", []), study, model, file)
            found = tuple(Answer.from_record(record, file) for record in stored.tables.get("answers", []))
            _check_joints(found, study, file)
            return found
    return ()


def expected_scores(study: Study, run: str, case: str) -> Mapping[Field, float]:
    """The mean grade that the scorer `run` expects of each field of `case` that it answered. Raises StoreError."""
    return {
        Field(answer.site, answer.scale, time): answer.expected(time)
        for answer in answers(study, case, run=run)
        for time in (0, 1)
    }


def answers_after(study: Study, rater: str, case: str) -> tuple[Answer, ...]:
    """`answers` for a rater who has signed `case`; empty before that, whatever the model said. Raises StoreError."""
    reading = study.reading(rater, case)
    return answers(study, case) if reading is not None and reading.signed else ()


def save_order(study: Study, cases: Sequence[str], model: str) -> None:
    """Keeps the order in which `model` would have the cases read, what teaches most first. Raises StoreError."""
    file = study.path / "models" / ORDER
    read_sound(file)
    with Changes(study.path).one():
        write_tables(file, {"order": [{"case": check_name(case, "case"), "model": model} for case in cases]})


def reading_order(study: Study) -> tuple[str, ...]:
    """The study's cases as the worklist shows them: in the kept order, then those it doesn't know by name.

    Without a kept order by name; so, too, with one that can't be read, which the study's notices then say: an order is a
    convenience and keeps nobody from work.
    """
    cases = study.cases()
    file = study.path / "models" / ORDER
    try:
        stored = read_sound(file)
        wanted = [str(record["case"]) for record in stored.tables.get("order", [])] if stored else []
    except (StoreError, KeyError, TypeError) as error:
        study.note(file, f"the order of reading can't be used: {clean(error)}")
        wanted = []
    known = set(cases)
    first = list(dict.fromkeys(case for case in wanted if case in known))
    return (*first, *(case for case in cases if case not in set(first)))


def _file(study: Study, run: str, case: str) -> Path:
    return study.path / "models" / check_name(run, "model") / "answers" / f"{check_name(case, 'case')}.json"


def _check_meta(meta: Sequence[Mapping[str, Any]], study: Study, run: str, file: Path) -> None:
    """That the file is of this format, of this model and of this study's scheme."""
    about = meta[0] if len(meta) == 1 else {}
    if about.get("format") != _FORMAT:
        raise StoreError(f"the answers have format {clean(about.get('format'))}", file, "Update ratui")
    if about.get("model") != run or about.get("scheme") != study.config.scheme:
        raise StoreError("they are of another model or scheme", file, "Run ratui-train propose again")


def _check_joints(found: Sequence[Answer], study: Study, file: Path) -> None:
    """That each answer is about a scale that its site has, with a chance for each of its grades."""
    for answer in found:
        try:
            top = study.scheme.site(answer.site).joint.maximum(answer.scale)
        except (SchemeError, KeyError) as error:
            raise StoreError(
                f"no {clean(answer.scale)} at {clean(answer.site)}", file, "Run ratui-train propose again"
            ) from error
        if any(len(chances) != top + 1 for chances in answer.chances):
            raise StoreError("an answer's chances and grades don't fit", file, "Run ratui-train propose again")

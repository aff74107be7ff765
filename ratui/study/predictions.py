"""What a scorer said of the study's cases, and in which order it would have them read: small files beside its run.

A rater sees the predictions for a case only after signing their own reading of it: screens call
`load_unblinded_predictions`. Predictions are never readings, and no total of a rater includes them.

A file is one of tables, sealed like every other. Table ``meta`` has one record: ``format`` (1), ``model`` (the run's name)
and ``scheme`` (the digest of the study's scheme); table ``answers`` one for each scale of each site.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ratui.errors import SchemeError, StoreError, clean_text
from ratui.reading import Field
from ratui.study.config import check_name
from ratui.study.store import StudyLock, read_intact, write_tables
from ratui.study.study import Study

__all__ = [
    "ORDER",
    "Prediction",
    "list_prediction_models",
    "load_expected_grades",
    "load_predictions",
    "load_reading_order",
    "load_unblinded_predictions",
    "save_predictions",
    "save_reading_order",
]

ORDER = "order.json"
"""The file of a study's ``models`` that keeps the order of reading."""
_FORMAT = 1


@dataclass(frozen=True)
class Prediction:
    """What a model says of one scale of one site at both time points.

    `grades` are the decided grades at both time points. `probabilities` gives for each time point the probability of each
    grade from 0 on; they add up to 1. `change` is the decided change, which may differ from the difference of `grades`;
    `uncertainty` is the expected absolute error of `change`, in grades.
    """

    site: str
    scale: str
    grades: tuple[int, int]
    probabilities: tuple[tuple[float, ...], tuple[float, ...]]
    change: int
    uncertainty: float

    def expected(self, time: int) -> float:
        """The mean grade that it expects at `time`."""
        return math.fsum(grade * chance for grade, chance in enumerate(self.probabilities[time]))

    def to_record(self) -> dict[str, Any]:
        """Return the prediction as it is stored, under the keys of the file format."""
        return {
            "site": self.site,
            "scale": self.scale,
            "grades": self.grades,
            "chances": self.probabilities,
            "change": self.change,
            "doubt": self.uncertainty,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any], where: object = "") -> Prediction:
        try:
            earlier, later = (tuple(float(chance) for chance in time) for time in record["chances"])
            first, second = (int(grade) for grade in record["grades"])
            prediction = cls(
                str(record["site"]),
                str(record["scale"]),
                (first, second),
                (earlier, later),
                int(record["change"]),
                float(record["doubt"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(f"not an answer of a model: {error}", where, "Run ratui-train propose again") from error
        for grade, chances in zip(prediction.grades, prediction.probabilities, strict=True):
            if not (0 <= grade < len(chances) and abs(math.fsum(chances) - 1) < 1e-3):
                raise StoreError("an answer's chances and grade don't fit", where, "Run ratui-train propose again")
        return prediction


def save_predictions(study: Study, run: str, case: str, found: Iterable[Prediction]) -> None:
    """Replaces what the scorer `run` says of `case`, in ``models/<run>/answers/<case>.json``. Raises StoreError."""
    file = _file(study, run, case)
    read_intact(file)  # refuses to replace what a newer version wrote
    meta = {"format": _FORMAT, "model": run, "scheme": study.config.scheme}
    with StudyLock(study.path).shared():
        write_tables(file, {"meta": [meta], "answers": [prediction.to_record() for prediction in found]})


def list_prediction_models(study: Study) -> tuple[str, ...]:
    """The names of the scorers whose answers the study keeps, the newest last."""
    folders = [folder for folder in (study.path / "models").glob("*/answers") if folder.is_dir()]
    ranked = sorted(folders, key=lambda folder: (folder.stat().st_mtime_ns, folder.parent.name))
    return tuple(folder.parent.name for folder in ranked)


def load_predictions(study: Study, case: str, *, run: str | None = None) -> tuple[Prediction, ...]:
    """What the scorer `run`, or the newest that has seen `case`, says of it; empty where none has. For managers, and for
    an adjudicator after their own answer. Raises StoreError for a damaged file."""
    for model in (run,) if run else reversed(list_prediction_models(study)):
        file = _file(study, model, case)
        stored = read_intact(file, unsealed=False)
        if stored is not None:
            _check_meta(stored.tables.get("meta", []), study, model, file)
            found = tuple(Prediction.from_record(record, file) for record in stored.tables.get("answers", []))
            _check_joints(found, study, file)
            return found
    return ()


def load_expected_grades(study: Study, run: str, case: str) -> Mapping[Field, float]:
    """The mean grade that the scorer `run` expects of each field of `case` that it answered. Raises StoreError."""
    return {
        Field(prediction.site, prediction.scale, time): prediction.expected(time)
        for prediction in load_predictions(study, case, run=run)
        for time in (0, 1)
    }


def load_unblinded_predictions(study: Study, rater: str, case: str) -> tuple[Prediction, ...]:
    """Return the predictions for a rater who has signed `case`, and none before that. Raises StoreError."""
    reading = study.reading(rater, case)
    return load_predictions(study, case) if reading is not None and reading.signed_at else ()


def save_reading_order(study: Study, cases: Sequence[str], model: str) -> None:
    """Keeps the order in which `model` would have the cases read, what teaches most first. Raises StoreError."""
    file = study.path / "models" / ORDER
    read_intact(file)
    with StudyLock(study.path).shared():
        write_tables(file, {"order": [{"case": check_name(case, "case"), "model": model} for case in cases]})


def load_reading_order(study: Study) -> tuple[str, ...]:
    """The study's cases as the worklist shows them: in the kept order, then those it doesn't know by name.

    Without a kept order by name; so, too, with one that can't be read, which the study's notices then say: an order is a
    convenience and keeps nobody from work.
    """
    cases = study.cases()
    file = study.path / "models" / ORDER
    try:
        stored = read_intact(file)
        wanted = [str(record["case"]) for record in stored.tables.get("order", [])] if stored else []
    except (StoreError, KeyError, TypeError) as error:
        study.add_notice(file, f"the order of reading can't be used: {clean_text(error)}")
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
        raise StoreError(f"the answers have format {clean_text(about.get('format'))}", file, "Update ratui")
    if about.get("model") != run or about.get("scheme") != study.config.scheme:
        raise StoreError("they are of another model or scheme", file, "Run ratui-train propose again")


def _check_joints(found: Sequence[Prediction], study: Study, file: Path) -> None:
    """That each answer is about a scale that its site has, with a chance for each of its grades."""
    for prediction in found:
        try:
            top = study.scheme.site(prediction.site).joint.max_grade(prediction.scale)
        except (SchemeError, KeyError) as error:
            raise StoreError(
                f"no {clean_text(prediction.scale)} at {clean_text(prediction.site)}",
                file,
                "Run ratui-train propose again",
            ) from error
        if any(len(chances) != top + 1 for chances in prediction.probabilities):
            raise StoreError("an answer's chances and grades don't fit", file, "Run ratui-train propose again")

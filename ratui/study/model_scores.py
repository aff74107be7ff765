"""What a model answers about a study's joints, kept beside its run: ``models/<run>/scores/<case>.json``.

The file is one of tables, sealed like every other. Table ``meta`` has one record: ``format`` (1), ``model`` (the run's
name), ``scheme`` (its name) and ``digest`` (the SHA-256 of the study's scheme file). Table ``scores`` has one record for
each field that the model scored: ``site``, ``scale``, ``time``, ``expected`` (the mean grade it expects, a fraction) and
``chances`` (the chance of each grade from 0 on, or empty). No screen of a rater reads it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ratui.errors import StoreError, clean
from ratui.reading import Field
from ratui.study.folder import Changes
from ratui.study.settings import check_name
from ratui.study.store import make_folder, read_sound, write_tables
from ratui.study.study import Study

__all__ = ["ModelScore", "model_scores", "save_model_scores", "scoring_models"]

_FORMAT = 1


@dataclass(frozen=True)
class ModelScore:
    """What a model says to one field: the grade it expects, and the chance of each grade from 0 on, or nothing."""

    site: str
    scale: str
    time: int
    expected: float
    chances: tuple[float, ...] = ()

    @property
    def field(self) -> Field:
        return Field(self.site, self.scale, self.time)


def scoring_models(study: Study) -> tuple[str, ...]:
    """The names of the runs that have scored cases of `study`, the newest last."""
    folder = study.path / "models"
    runs = [entry for entry in folder.iterdir() if (entry / "scores").is_dir()] if folder.is_dir() else []
    return tuple(run.name for run in sorted(runs, key=lambda run: ((run / "scores").stat().st_mtime_ns, run.name)))


def save_model_scores(study: Study, run: str, case: str, scores: Iterable[ModelScore]) -> None:
    """Replaces what the model `run` says of `case`. Raises StoreError."""
    file = study.path / "models" / check_name(run, "model") / "scores" / f"{check_name(case, 'case')}.json"
    meta = {"format": _FORMAT, "model": run, "scheme": study.scheme.name, "digest": study.config.scheme}
    make_folder(file.parent)
    with Changes(study.path).one():
        write_tables(file, {"meta": [meta], "scores": [{**asdict(s), "chances": list(s.chances)} for s in scores]})


def model_scores(study: Study, run: str, case: str) -> Mapping[Field, ModelScore]:
    """What the model `run` says of `case`, empty where it hasn't scored it. Raises StoreError for what can't be that."""
    file = study.path / "models" / check_name(run, "model") / "scores" / f"{check_name(case, 'case')}.json"
    stored = read_sound(file, unsealed=False)
    if stored is None:
        return {}
    try:
        (meta,) = stored.tables["meta"]
        if meta["format"] != _FORMAT:
            raise StoreError(f"the scores have format {clean(meta['format'])}", file, "Update ratui")
        if meta["model"] != run or meta["digest"] != study.config.scheme:
            raise StoreError("they are of another model or scheme", file, "Let the model score this study")
        found = [_score(record, study) for record in stored.tables["scores"]]
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"not scores of a model: {clean(error)}", file, "Let the model score this case again"
        ) from error
    return {score.field: score for score in found}


def _score(record: Mapping[str, Any], study: Study) -> ModelScore:
    score = ModelScore(
        str(record["site"]),
        str(record["scale"]),
        int(record["time"]),
        float(record["expected"]),
        tuple(float(chance) for chance in record["chances"]),
    )
    joint = study.scheme.site(score.site).joint
    if score.time not in (0, 1) or not 0 <= score.expected <= joint.maximum(score.scale):
        raise ValueError(f"{score.site} {score.scale} expected {score.expected}")
    if score.chances and not math.isclose(sum(score.chances), 1, abs_tol=1e-3):
        raise ValueError(f"the chances of {score.site} {score.scale} don't add up to 1")
    return score

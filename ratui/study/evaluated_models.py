"""The names of the models that have an evaluation in a study; `ratui.study.model_reports` reads the evaluations."""

from __future__ import annotations

from ratui.study.layout import list_models
from ratui.study.study import Study

__all__ = ["EVALUATION", "list_evaluated_models"]

EVALUATION = "evaluation.json"
"""Name of the file in a run's folder."""


def list_evaluated_models(study: Study) -> tuple[str, ...]:
    """Return the names of the scorers that have an evaluation in the study, the newest first."""
    has_models = study.folder.exists("models")  # an archive or a repository may leave out empty folders
    found = study.folder.signatures_below("models", EVALUATION) if has_models else {}
    usable = set(list_models(study.folder, "models")) if found else set()
    ranked = sorted(((file[1], run) for run, file in found.items() if file and run in usable), reverse=True)
    return tuple(run for _, run in ranked)

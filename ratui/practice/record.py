"""The record of a marked examination, with a digest, and its entry in the study that requires it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from typing import Any

from ratui.errors import StudyError
from ratui.practice.examination import Examination
from ratui.practice.marking import MIN_SCORED, ExamResult
from ratui.results.quantities import name_visits
from ratui.study import Study
from ratui.study.accounts import account_name
from ratui.study.campaign.qualifications import QualificationRecord, save_records
from ratui.study.study_config import format_present_time

__all__ = ["check_owner", "make_record", "record_digest", "save_qualifications"]


def make_record(study: Study, examination: Examination, results: Sequence[ExamResult]) -> dict[str, Any]:
    """Return the results as plain values for JSON, with the digests of the truth and of every reading, and with its own."""
    marks = {name: value for name, value in vars(examination.marks).items() if name != "required"}
    record: dict[str, Any] = {
        "examination": study.config.id,
        "scheme": study.config.scheme,
        "visits": list(name_visits(study, range(examination.visits))),
        "truth": examination.digest,
        "marks": marks,
        "at": format_present_time(),
        "results": [result.to_record() for result in results],
    }
    return {**record, "digest": record_digest(record)}


def record_digest(record: dict[str, Any]) -> str:
    """Return the SHA-256 of `record` without its digest, as JSON with sorted names and no spaces."""
    values = {name: value for name, value in record.items() if name != "digest"}
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def check_owner(study: Study) -> None:
    """Raise StudyError unless this account owns `study`, or is root, and so can record results in it."""
    owner = study.folder.find("")
    if owner is not None and os.geteuid() not in (0, owner.st_uid):
        problem = "only the study's owner can record results in it, because its raters are admitted by them"
        remedy = f"Let {account_name(owner.st_uid)} repeat the command, or leave out --for to verify and mark only"
        raise StudyError(problem, study.path, remedy)


def save_qualifications(
    study: Study, examination: Examination, results: Sequence[ExamResult], record: dict[str, Any]
) -> None:
    """Save the results of raters who signed the whole examination in `study`, whose charter may require them to read.

    Later results of a rater replace earlier ones.

    Parameters
    ----------
    study
        The study to read, not the examination.
    examination
        The examination that was marked.
    results
        The result of each rater.
    record
        The record of `make_record`, of which the digest and the time are saved.

    Raises
    ------
    StudyError
        If this account does not own the study: raters are admitted by this file, so only its owner writes it.
    StoreError
        If the file can't be written.
    """
    check_owner(study)
    save_records(
        study.folder,
        [
            QualificationRecord(
                result.rater,
                examination.study,
                result.figures,
                result.figures.scored >= MIN_SCORED * result.figures.fields,
                str(record["digest"]),
                str(record["at"]),
                account_name(os.geteuid()),
            )
            for result in results
            if result.figures is not None
        ],
    )

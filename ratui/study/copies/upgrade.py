"""Conversion of a study of format 2 to format 3, in which raters cannot read what they need not know.

The study can be opened and read at every moment of the conversion, also if it was interrupted: each list of films states
itself whether its visits are in the private folder. The settings, which contain the secret, are replaced last.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ratui.errors import RatuiError, StoreError
from ratui.reading import POSITION_FORMATS
from ratui.study.accounts import account_name, act_as_owner
from ratui.study.case import Case
from ratui.study.config_files import CONSENSUS, SEALED_FORMAT, SPLIT_FORMAT, write_settings
from ratui.study.film_files import write_films
from ratui.study.layout import make_private_folder
from ratui.study.model_results.predictions import (
    list_prediction_models,
    load_film_predictions,
    load_film_verdicts,
    load_predictions,
    save_predictions,
)
from ratui.study.readings.reading_session import ReadingSession
from ratui.study.readings.stored_reading import (
    stored_displays,
    stored_evidence,
    stored_meta,
    stored_positions,
    stored_seconds,
)
from ratui.study.store import FileLock, StoredTables, StudyLock
from ratui.study.store.tables import read_intact, read_tail
from ratui.study.study import Study
from ratui.study.visits import Positions

__all__ = ["UpgradeResult", "convert_readings", "find_earlier_readings", "upgrade_study"]


@dataclass(frozen=True)
class UpgradeResult:
    """The files that a conversion left in their earlier format, because they belong to other accounts.

    Attributes
    ----------
    readings
        Number of readings that still state the order of the time points. Each is converted when it is next saved.
    others
        Paths of proposals and predictions that could not be written.
    """

    readings: int
    others: tuple[str, ...] = ()

    @property
    def remark(self) -> str:
        """Text for the report of a check; empty if everything was converted."""
        parts = []
        if self.readings:
            parts.append(f"{self.readings} readings of other accounts; to convert them: ratui check --repair as root")
        if self.others:
            parts.append(f"{len(self.others)} files of models; run ratui-train propose again")
        return f"in the earlier format, which states the order of the visits: {'; '.join(parts)}" if parts else ""


def upgrade_study(study: Study) -> UpgradeResult:
    """Convert `study`, which has format 2, to format 3.

    Visits, days and digests of pixels move to the private folder, and the secret is removed. Raters keep the order in which
    they see the films. In a blinded study the files of films are written anew, in random order. Run as root, readings of
    all accounts are converted, otherwise those of this account.

    Raises
    ------
    StoreError, StudyError
        If the study has another format, this account is neither its owner nor root, or the disk refuses. The study can
        then still be opened, and the conversion can be continued.
    """
    if study.config.stored_format != SEALED_FORMAT:
        raise StoreError(f"it has format {study.config.stored_format}, not 2", study.path, "See: ratui check STUDY")
    found = study.folder.find("")
    assert found is not None
    if os.geteuid() not in (0, found.st_uid):
        owner = account_name(found.st_uid)
        raise StoreError("only the study's owner can convert it to format 3", study.path, f"Ask {owner}")
    with act_as_owner(study.folder, ""):
        make_private_folder(study.folder, "")
        others = [*_convert_predictions(study), *_sort_proposals(study)]
        for case in study.cases():
            _convert_case(study, case)
    # Before the settings: an order that follows from the secret is in no reading any more.
    left = convert_readings(study)
    with act_as_owner(study.folder, ""):
        study.config = replace(study.config, secret="", stored_format=SPLIT_FORMAT)
        write_settings(study.folder, study.config)
    return UpgradeResult(left, tuple(others))


def _raters(study: Study) -> tuple[str, ...]:
    return (*study.config.raters, CONSENSUS)


def _convert_predictions(study: Study) -> Iterator[str]:
    """Store the predictions with films in place of time points; yield the paths of those that can't be converted."""
    for run in list_prediction_models(study):
        for case in study.cases():
            try:
                found = load_predictions(study, case, run=run)
                if found:
                    single = load_film_predictions(study, case, run=run)
                    save_predictions(study, run, case, found, single, load_film_verdicts(study, case, run=run))
            except RatuiError:
                yield f"models/{run}/answers/{case}.json"


def _sort_proposals(study: Study) -> Iterator[str]:
    """Store the proposals sorted by film; yield the paths of those that can't be written."""
    for model in study.proposal_models():
        for name in study.folder.files(f"proposals/{model}", ".json"):
            try:
                case = name.removesuffix(".json")
                study.save_proposals(model, case, study.proposals_of(model, case))
            except RatuiError:
                yield f"proposals/{model}/{name}"


def _convert_case(study: Study, id: str) -> None:
    """Move the visits of one case to the private folder, and write its other files in an order that reveals nothing."""
    case = study.case(id)
    if study.film_list(id).has_times:
        positions = {**study.positions(id), **dict(_positions_of_readings(study, case))}
        study.save_case(case, positions=positions, split=True)
    regions = study.regions(id)
    if regions:
        study.save_regions(id, regions)
    if study.config.blinded:
        write_films(study.folder, case, {}, rewrite=True)


def _positions_of_readings(study: Study, case: Case) -> Iterator[tuple[str, Positions]]:
    """Yield the raters who have begun the case, with the films at each position as their reading states them."""
    for rater in _raters(study):
        stored = _read(study, rater, case.id)
        order = stored_meta(stored).get("order")
        if stored_positions(stored):
            yield rater, stored_positions(stored)
        elif isinstance(order, list) and sorted(map(repr, order)) == sorted(map(repr, case.times)):
            yield rater, case.films_at(order)


def _read(study: Study, rater: str, case: str) -> StoredTables | None:
    """Return the tables of a reading; None without one, and for one that is damaged, which the check reports."""
    try:
        return read_intact(study.folder.file(f"readings/{rater}/{case}.json"))
    except StoreError:
        return None


def find_earlier_readings(study: Study) -> list[tuple[str, str]]:
    """Return rater and case of each reading in an earlier format, which states the order of the time points."""
    found = ((rater, case) for rater in _raters(study) for case in study.cases())
    return [
        (rater, case)
        for rater, case in found
        if (stored := _read(study, rater, case)) and stored_meta(stored).get("format") not in POSITION_FORMATS
    ]


def convert_readings(study: Study) -> int:
    """Save readings in the present format, as far as this account may; return the number of those that are left.

    Root may convert the readings of all accounts, others their own only.
    """
    left = 0
    for rater, case in find_earlier_readings(study):
        try:
            with act_as_owner(study.folder, f"readings/{rater}"):
                _convert_reading(study, rater, case)
        except RatuiError:
            left += 1
    return left


def _convert_reading(study: Study, rater: str, id: str) -> None:
    """Save a reading in the present format, with positions in place of time points. Raises RatuiError."""
    file = study.folder.file(f"readings/{rater}/{id}.json")
    with FileLock(file.with_suffix(".lock")) as lock:
        tail, stored = read_tail(file), read_intact(file)
        reading = study.as_rater(rater).reading(rater, id)
        if reading is None:
            return
        case = study.shown_case(rater, id)
        if not reading.positions:
            reading = replace(reading, positions=case.films_at(reading.order))
        seconds, displays = stored_seconds(stored, file.path), stored_displays(stored, file.path)
        evidence = stored_evidence(stored, reading.positions, case, study.config.id)
        whole = StudyLock(study.folder)
        session = ReadingSession(
            file, lock, whole.shared, whole.check_unlocked, reading, seconds, "", displays, evidence, tail
        )
        session.save(reading)

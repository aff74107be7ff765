"""Which readings of a study may be told by now: signed ones, and none that could still sway a rater who hasn't signed.

Everything else in this package takes readings from here, so that blinding is kept in one place.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ratui.errors import StudyError
from ratui.reading import Reading
from ratui.study import CONSENSUS, Study

__all__ = ["ReleasedReadings", "check_interim", "released_readings"]


@dataclass(frozen=True)
class ReleasedReadings:
    """What may be told: by case, in the order of the cases, the signed readings by rater, in the order of the raters.

    `raters` are those asked for; `kept_back` says of each case that isn't told why, `unreadable` are those of them that
    nobody can read. `consensus` are the signed readings of the adjudicator, by case.
    """

    raters: tuple[str, ...]
    readings: Mapping[str, Mapping[str, Reading]]
    kept_back: Mapping[str, str]
    consensus: Mapping[str, Reading]
    interim: bool = False
    unreadable: frozenset[str] = frozenset()

    def complete_cases(self) -> dict[str, tuple[Reading, ...]]:
        """By case the readings of all the raters, for the cases that have them all."""
        return {
            case: tuple(found[rater] for rater in self.raters)
            for case, found in self.readings.items()
            if all(rater in found for rater in self.raters)
        }


def check_interim(study: Study) -> None:
    """Raises StudyError where this account reads in `study` and doesn't own it: it must not look before everybody signed."""
    if os.geteuid() in (0, study.path.stat().st_uid):
        return
    if rater := study.account_rater():
        raise StudyError(
            f"this account reads as {rater}, and not everybody has signed", study.path, "Ask the study's owner"
        )


def released_readings(study: Study, raters: Sequence[str] = (), *, interim: bool = False) -> ReleasedReadings:
    """What may be told of `study`, of `raters` or of all.

    A case is told once every rater of the study has signed it. With `interim`, which is a manager's, every signed reading
    is told. All of it stems from one moment. Raises StudyError for an unknown rater, and as `check_interim`.
    """
    for rater in raters:
        if rater not in study.config.raters:
            known = ", ".join(study.config.raters)
            raise StudyError(f"{rater} is not a rater of this study", study.path, f"Its raters are: {known}")
    if interim:
        check_interim(study)
    chosen = tuple(rater for rater in study.config.raters if not raters or rater in raters)
    readings: dict[str, dict[str, Reading]] = {}
    kept_back: dict[str, str] = {}
    consensus: dict[str, Reading] = {}
    unreadable: set[str] = set()
    with study.snapshot() as snapshot:
        for case in snapshot.cases():
            signed = {reading.rater: reading for reading in snapshot.signed_readings(case)}
            waiting = [rater for rater in study.config.raters if rater not in signed]
            if len(waiting) == len(study.config.raters) and (
                why := snapshot.case(case).unreadable_reason(snapshot.scheme)
            ):
                kept_back[case] = why
                unreadable.add(case)
                continue
            if waiting and not interim:
                kept_back[case] = f"not signed by {', '.join(waiting)}"
                continue
            found = {rater: signed[rater] for rater in chosen if rater in signed}
            if not found:
                kept_back[case] = "not signed by anybody asked for"
                continue
            readings[case] = found
            consensus_reading = snapshot.reading(CONSENSUS, case)
            if consensus_reading is not None and consensus_reading.signed_at:
                consensus[case] = consensus_reading
    return ReleasedReadings(chosen, readings, kept_back, consensus, interim, frozenset(unreadable))

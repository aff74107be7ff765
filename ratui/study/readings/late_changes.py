"""Readings that were changed after every rater of their case had signed, and consensus readings that are older than these.

Once all raters of a case have signed, its results can be shown. A rater who reopens the case after that may have seen the
scores of the others. The times are those in the logs of the readings. Nothing here contains a score.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ratui.reading import Field, Reading
from ratui.reading.log import replay
from ratui.study.config_files import CONSENSUS
from ratui.study.readings.restored import has_readings
from ratui.study.study import Study
from ratui.study.study_config import StudyEvent
from ratui.study.worklist import CaseState

__all__ = ["LateChange", "LateChanges", "changes_after_release", "find_changed_fields", "find_release", "list_releases"]

Turn = tuple[str, datetime]
"""``sign`` or ``reopen``, and its time."""
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class LateChange:
    """A reading that was reopened after all raters of its case had signed.

    Attributes
    ----------
    case, rater
        The reading.
    released_at
        Time of the last signature that the case waited for.
    reopened_at
        Time at which the reading was first reopened after that.
    signed_at
        Time of its present signature; None if it is open.
    """

    case: str
    rater: str
    released_at: datetime
    reopened_at: datetime
    signed_at: datetime | None

    def __str__(self) -> str:
        """Return a sentence without the names of rater and case."""
        signed = f"signed again {self.signed_at:%Y-%m-%d %H:%M}" if self.signed_at else "not signed again"
        return (
            f"reopened {self.reopened_at:%Y-%m-%d %H:%M} UTC, after all raters of the case had signed "
            f"({self.released_at:%Y-%m-%d %H:%M}); {signed}"
        )


@dataclass(frozen=True)
class LateChanges:
    """The late changes of a study.

    Attributes
    ----------
    readings
        Readings that were reopened after the release of their case, by case.
    consensus
        Raters who reopened a case after its consensus was signed, by case. The consensus may not follow from their
        present readings.
    """

    readings: Mapping[str, tuple[LateChange, ...]] = field(default_factory=dict)
    consensus: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.readings or self.consensus)

    def mark(self, case: str, readers: Iterable[str]) -> str:
        """Return the mark of a result made of the readings of `readers`, who may include the consensus.

        It is ``reading`` if one of them was opened again after the release of the case, ``consensus`` if the consensus is
        older than a change of a rater, ``reading, consensus`` for both, and else empty.
        """
        names = set(readers)
        late = any(each.rater in names for each in self.readings.get(case, ()))
        outdated = CONSENSUS in names and case in self.consensus
        return ", ".join(["reading"] * late + ["consensus"] * outdated)


def changes_after_release(
    study: Study, states_by_rater: Mapping[str, Sequence[CaseState]] | None = None
) -> LateChanges:
    """Return the readings of a study that were reopened after the release of their case. It contains no scores.

    It uses the index of the worklists, so that it is fast once that is up to date. `states_by_rater` is the result of
    `Study.all_states` if that is known already. Raises StoreError if the study can't be listed.
    """
    turns = _collect_turns(study.all_states() if states_by_rater is None else states_by_rater)
    readings: dict[str, tuple[LateChange, ...]] = {}
    for case, by_rater in turns.items():
        released = find_release(by_rater, study.config.events)
        if released is not None and (late := tuple(_find_late(case, by_rater, released))):
            readings[case] = late
    consensus: dict[str, tuple[str, ...]] = {}
    for state in study.states(CONSENSUS) if has_readings(study.folder, CONSENSUS) else ():
        signed = _signature(_parse_history(state))
        by_rater = turns.get(state.case, {})
        if signed is not None and (late_raters := _reopened_since(by_rater, signed)):
            consensus[state.case] = late_raters
    return LateChanges(readings, consensus)


def list_releases(study: Study) -> Mapping[str, datetime]:
    """Return the time at which all raters of a case had first signed it, by case; cases without one are left out."""
    found = (
        (case, find_release(each, study.config.events)) for case, each in _collect_turns(study.all_states()).items()
    )
    return {case: at for case, at in found if at is not None}


def _collect_turns(states_by_rater: Mapping[str, Sequence[CaseState]]) -> dict[str, dict[str, tuple[Turn, ...]]]:
    turns: dict[str, dict[str, tuple[Turn, ...]]] = {}
    for rater, states in states_by_rater.items():
        for state in states:
            turns.setdefault(state.case, {})[rater] = _parse_history(state)
    return turns


def find_release(turns: Mapping[str, Sequence[Turn]], events: Iterable[StudyEvent] = ()) -> datetime | None:
    """Return the time at which all raters of a case had first signed it, or None.

    Parameters
    ----------
    turns
        Signatures and reopenings of each rater who reads the case.
    events
        The records of raters who joined: a rater counts from then on, because the others may have seen results before.
    """
    joined = {event.rater: datetime.fromisoformat(event.at) for event in events if event.action == "joined"}
    signed: set[str] = set()
    for at, kind, rater in sorted((at, kind, rater) for rater, each in turns.items() for kind, at in each):
        signed = signed | {rater} if kind == "sign" else signed - {rater}
        if signed and all(name in signed for name in turns if joined.get(name, _FIRST) <= at):
            return at
    return None


def find_changed_fields(reading: Reading, since: datetime) -> tuple[Field, ...]:
    """Return the fields of `reading` whose value differs from that at the time `since`, in the order of the fields."""
    before = replay([entry for entry in reading.log if entry.timestamp and entry.timestamp <= since]).values
    return tuple(field for field in reading.fields if before.get(field) != reading.values.get(field))


def _parse_history(state: CaseState) -> tuple[Turn, ...]:
    pairs = (turn.split(" ") for turn in state.history.split(",") if turn)
    return tuple((kind, datetime.fromisoformat(at)) for kind, at in pairs)


def _signature(turns: Sequence[Turn]) -> datetime | None:
    """Return the time of the present signature, None for an open reading."""
    return turns[-1][1] if turns and turns[-1][0] == "sign" else None


def _find_late(case: str, turns: Mapping[str, Sequence[Turn]], released: datetime) -> Iterable[LateChange]:
    for rater, each in turns.items():
        reopened = next((at for kind, at in each if kind == "reopen" and at >= released), None)
        if reopened is not None:
            yield LateChange(case, rater, released, reopened, _signature(each))


def _reopened_since(turns: Mapping[str, Sequence[Turn]], since: datetime) -> tuple[str, ...]:
    return tuple(rater for rater, each in turns.items() if any(kind == "reopen" and at >= since for kind, at in each))

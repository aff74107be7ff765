"""Selection of the readings that may be shown without breaking the blinding.

A reading may be shown once it is signed and no rater who has yet to sign the case could be influenced by it. All other
modules of this package take their readings from here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ratui.errors import RatuiError, StudyError
from ratui.garbage_collection import pause_collection
from ratui.reading import Reading
from ratui.reading.log import find_origins
from ratui.study import CONSENSUS, Study
from ratui.study.campaign.repeats import load_repeats
from ratui.study.case import Case, FilmsWithdrawn
from ratui.study.intact import intact_case, intact_displays, intact_reading
from ratui.study.readings.film_changes import is_current
from ratui.study.readings.reading_session import DisplayUse

__all__ = ["ReleasedReadings", "check_interim", "collect_released_readings", "leave_out_coarse"]


@dataclass(frozen=True)
class ReleasedReadings:
    """Signed readings that may be shown.

    Attributes
    ----------
    raters
        The raters that were asked for.
    readings
        Readings by case, in the order of the cases, and by rater, in the order of the raters.
    kept_back
        Reason for each case that may not be shown.
    consensus
        The adjudicator's signed readings, by case.
    interim
        True if `readings` include cases that some rater has not signed.
    unreadable
        Cases of `kept_back` whose films no rater can read side by side.
    excluded
        Number of entries that were left out because the films were displayed too coarsely; None if they are included.
    assigned
        Raters who read each case of `readings`, if these are not all raters of the study.
    repeats
        Second readings by case and rater: those of the hidden repeat of the case, which is in no other attribute.
    visit_numbers
        Number in the study of each time point of a case, by case; 0 is the baseline.
    cases
        All cases of the study whose list of films can be read, also those kept back, but no hidden repeats.
    hidden_repeats
        Number of hidden repeats.
    displays
        Displays on which each of `readings` and of `consensus` was made, by case and rater.
    computed
        Results that several tables need, computed once.
    """

    raters: tuple[str, ...]
    readings: Mapping[str, Mapping[str, Reading]]
    kept_back: Mapping[str, str]
    consensus: Mapping[str, Reading]
    interim: bool = False
    unreadable: frozenset[str] = frozenset()
    excluded: int | None = None
    assigned: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    repeats: Mapping[str, Mapping[str, Reading]] = field(default_factory=dict)
    visit_numbers: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    cases: Mapping[str, Case] = field(default_factory=dict)
    hidden_repeats: int = 0
    displays: Mapping[str, Mapping[str, tuple[DisplayUse, ...]]] = field(default_factory=dict)
    computed: dict[str, Any] = field(init=False, default_factory=dict, repr=False, compare=False)

    def all_visits(self) -> tuple[int, ...]:
        """Return the numbers of all visits that some case of `readings` has, in order."""
        return tuple(sorted({number for case in self.readings for number in self.visit_numbers[case]}))

    def complete_cases(self) -> dict[str, tuple[Reading, ...]]:
        """Return the readings of all raters, by case, for the cases that every rater has signed."""
        return {
            case: tuple(found[rater] for rater in self.raters)
            for case, found in self.readings.items()
            if all(rater in found for rater in self.raters)
        }

    def complete_groups(self) -> dict[tuple[str, ...], dict[str, tuple[Reading, ...]]]:
        """Return the cases that all of their raters have signed, by these raters, with a reading of each of them.

        If all raters read all cases, there is one group with the cases of `complete_cases`.
        """
        groups: dict[tuple[str, ...], dict[str, tuple[Reading, ...]]] = {}
        for case, found in self.readings.items():
            raters = tuple(rater for rater in self.raters if rater in self.assigned.get(case, self.raters))
            if all(rater in found for rater in raters):
                groups.setdefault(raters, {})[case] = tuple(found[rater] for rater in raters)
        return groups


def check_interim(study: Study) -> None:
    """Raise StudyError unless this account manages `study`: others must not see readings that are not released.

    This also holds for accounts that belong to no rater or have not begun to read, because they may read later.
    """
    study.check_manager("see readings before every rater has signed")


def leave_out_coarse(reading: Reading) -> Reading:
    """Return `reading` without the values that were entered while the films were displayed too coarsely.

    These fields then have no value and no score. A value whose display was not recorded stays.
    """
    origins = find_origins(reading)
    values = {
        field: value
        for field, value in reading.values.items()
        if (display := origins[field].display) is None or display.is_sufficient
    }
    return replace(reading, values=values)


@dataclass(frozen=True)
class _SignedReadings:
    """The signed readings of one case by rater, and the raters whose reading does not count."""

    signed: Mapping[str, Reading]
    damaged: Sequence[str]
    outdated: Sequence[str]
    """Raters who signed before films were added or withdrawn."""
    displays: Mapping[str, tuple[DisplayUse, ...]]

    def describe_waiting(self, case: str, waiting: Sequence[str]) -> str:
        """Return why the case is kept back while `waiting` have no signed reading that counts."""
        unsigned = [rater for rater in waiting if rater not in (*self.damaged, *self.outdated)]
        reasons = [f"not signed by {', '.join(unsigned)}"] if unsigned else []
        if self.outdated:
            reasons.append(f"films changed after the signature of {', '.join(self.outdated)}")
        return "; ".join(reasons + [f"damaged: readings/{rater}/{case}.json" for rater in self.damaged])


def _signed_readings(study: Study, films: Case) -> _SignedReadings:
    case = films.id
    signed: dict[str, Reading] = {}
    damaged: list[str] = []
    outdated: list[str] = []
    displays: dict[str, tuple[DisplayUse, ...]] = {}
    for rater in study.raters_of(case):
        try:
            reading = study.reading(rater, case)
        except FilmsWithdrawn:
            outdated.append(rater)
        except RatuiError as error:
            study.add_notice(study.reading_path(rater, case), f"{error.problem}; it is left out")
            damaged.append(rater)
        else:
            if reading is not None and reading.signed_at:
                if is_current(reading, films):
                    signed[rater] = reading
                    displays[rater] = intact_displays(study, rater, case)
                else:
                    outdated.append(rater)
    return _SignedReadings(signed, damaged, outdated, displays)


@pause_collection()
def collect_released_readings(
    study: Study, raters: Sequence[str] = (), *, interim: bool = False, exclude_coarse: bool = False
) -> ReleasedReadings:
    """Return the readings of `study` that may be shown.

    A case is released once every rater who reads it has signed it. All readings come from one snapshot of the study.

    Parameters
    ----------
    study
        The study to read.
    raters
        IDs of the raters to include; all raters if empty.
    interim
        Include every signed reading, also of cases that some rater has not signed. Only for managers.
    exclude_coarse
        Leave out the entries that were made while the films were displayed too coarsely to judge erosions.

    Raises
    ------
    StudyError
        If a rater is unknown, or if the account does not manage the study and `interim` is set or the study is blinded.
    """
    for rater in raters:
        if rater not in study.config.raters:
            known = ", ".join(study.config.raters)
            raise StudyError(f"{rater} is not a rater of this study", study.path, f"Its raters are: {known}")
    if interim:
        check_interim(study)
    elif study.config.blinded:
        study.check_manager("see results of a blinded study, which contain the order of the time points")
    if study.config.charter.repeats_share:
        study.check_manager("see results, because only managers know which cases are repeats")
    repeats = load_repeats(study) if study.is_manager else {}
    chosen = tuple(rater for rater in study.config.raters if not raters or rater in raters)
    readings: dict[str, dict[str, Reading]] = {}
    kept_back: dict[str, str] = {}
    consensus: dict[str, Reading] = {}
    unreadable: set[str] = set()
    assigned: dict[str, tuple[str, ...]] = {}
    visit_numbers: dict[str, tuple[int, ...]] = {}
    cases: dict[str, Case] = {}
    displays: dict[str, dict[str, tuple[DisplayUse, ...]]] = {}
    with study.snapshot() as snapshot:
        for case in snapshot.cases():
            films = intact_case(snapshot, case)
            if films is None:
                kept_back[case] = f"its list of films is damaged: films/{case}/films.json"
                unreadable.add(case)
                continue
            cases[case] = films
            found_readings = _signed_readings(snapshot, films)
            signed = found_readings.signed
            assigned[case] = snapshot.raters_of(case)
            waiting = [rater for rater in assigned[case] if rater not in signed]
            if len(waiting) == len(assigned[case]) and (why := films.unreadable_reason(snapshot.scheme)):
                kept_back[case] = why
                unreadable.add(case)
                continue
            if waiting and not interim:
                kept_back[case] = found_readings.describe_waiting(case, waiting)
                continue
            found = {rater: signed[rater] for rater in chosen if rater in signed}
            if not found:
                kept_back[case] = "not signed by anybody asked for"
                continue
            readings[case] = found
            displays[case] = {rater: found_readings.displays[rater] for rater in found}
            visit_numbers[case] = films.visit_numbers
            consensus_reading = intact_reading(snapshot, CONSENSUS, case)
            if consensus_reading is not None and consensus_reading.signed_at and is_current(consensus_reading, films):
                consensus[case] = consensus_reading
                displays[case][CONSENSUS] = intact_displays(snapshot, CONSENSUS, case)
    excluded = None
    if exclude_coarse:
        included = {case: {r: leave_out_coarse(each) for r, each in found.items()} for case, found in readings.items()}
        excluded = sum(
            len(each.values) - len(included[case][rater].values)
            for case, found in readings.items()
            for rater, each in found.items()
        )
        readings = included
    second = {repeats[case].original: found for case, found in readings.items() if case in repeats}
    for mapping in (readings, kept_back, consensus, assigned, cases):
        for case in repeats:
            mapping.pop(case, None)
    return ReleasedReadings(
        chosen,
        readings,
        kept_back,
        consensus,
        interim,
        frozenset(unreadable) - repeats.keys(),
        excluded,
        assigned,
        second,
        visit_numbers,
        cases,
        len(repeats),
        displays,
    )

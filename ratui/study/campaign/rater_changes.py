"""Raters who join a study, leave it or are replaced, and the cases that they read from then on.

A rater who leaves stays among the raters of the study, with a record of the time, the account and the reason. The rater's
signed readings count; cases that are not signed go to others. `study.toml` is changed first; `settle_assignments` then
brings the lists of films in line with it, and can be repeated if it was interrupted.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ratui.errors import RatuiError, StudyError, clean_text
from ratui.files import check_name
from ratui.study.accounts import act_as_owner
from ratui.study.campaign.charter_changes import change_settings
from ratui.study.campaign.repeats import load_repeats
from ratui.study.config_files import CONSENSUS
from ratui.study.joint_spaces.joint_space_release import withdraw_unreleased_joint_space
from ratui.study.study import Study
from ratui.study.study_config import StudyEvent, check_reason, new_event
from ratui.study.visits import Positions

__all__ = ["RaterSummary", "add_rater", "list_raters", "remove_rater", "replace_rater", "settle_assignments"]


@dataclass(frozen=True)
class RaterSummary:
    """A rater of a study.

    Attributes
    ----------
    rater
        Name.
    cases, signed, begun
        Number of cases that the rater reads, of those with a signed reading, and of those with an unsigned one.
    event
        The last record about the rater; None for a rater since the study was created.
    """

    rater: str
    cases: int
    signed: int
    begun: int
    event: StudyEvent | None

    @property
    def has_left(self) -> bool:
        """True if the rater has left the study."""
        return self.event is not None and self.event.action == "left"


def list_raters(study: Study) -> tuple[RaterSummary, ...]:
    """Return all raters of a study, also those who have left, in the order of the settings. Raises StudyError."""
    events = {event.rater: event for event in study.config.events if event.rater}
    found = []
    for rater, states in study.all_states().items():
        signed = sum(state.stage == "signed" for state in states)
        begun = sum(state.stage != "signed" and bool(state.done) for state in states)
        found.append(RaterSummary(rater, len(states), signed, begun, events.get(rater)))
    return tuple(found)


def add_rater(study: Study, rater: str, reason: str = "") -> int:
    """Add `rater` to the study, also one who had left; return the number of cases with new raters.

    If every rater reads every case, the rater reads all cases. Otherwise the rater reads cases that are imported later, and
    those that lack a rater.

    Raises
    ------
    StudyError
        If the name is not valid or in use, or this account is not the study's owner. Nothing changes then.
    """
    _check_new(study, rater)
    raters = tuple(dict.fromkeys((*study.config.raters, rater)))
    event = new_event("joined", clean_text(reason.strip(), 1000), rater=rater)
    change_settings(study, replace(study.config, raters=raters, events=(*study.config.events, event)))
    return _settle_new_raters(study)


def remove_rater(study: Study, rater: str, reason: str) -> int:
    """Record that `rater` leaves; return the number of cases whose raters changed.

    Signed readings of the rater count. The other cases of the rater are read by the others; if each case is read by some of
    the raters, another one is drawn for them, so that all get equally many. Raises StudyError as `add_rater`, if the rater
    has left already, or if nobody would be left.
    """
    reason = check_reason(reason, "remove a rater")
    _check_active(study, rater)
    if len(study.config.active_raters) == 1:
        problem = f"{rater} is the only rater left"
        raise StudyError(problem, study.path, "Replace the rater: ratui raters STUDY --replace OLD NEW")
    event = new_event("left", reason, rater=rater)
    change_settings(study, replace(study.config, events=(*study.config.events, event)))
    return _settle_new_raters(study)


def replace_rater(study: Study, old: str, new: str, reason: str, *, all_cases: bool = False) -> int:
    """Record that `new` takes the place of `old`; return the number of cases whose raters changed.

    The new rater reads the cases that the old one has not signed, or with `all_cases` all of them: the signed readings of
    the old rater are kept, but do not count. `new` may be a rater of the study already; cases that both read get another
    rater, if each case is read by some of the raters. Errors are those of `remove_rater`.
    """
    reason = check_reason(reason, "replace a rater")
    _check_active(study, old)
    events = list(study.config.events)
    if old == new:
        raise StudyError("a rater can't replace themselves", study.path, "Name another rater")
    if new not in study.config.active_raters:
        _check_new(study, new)
        events.append(new_event("joined", reason, rater=new, other=old))
    events.append(new_event("left", reason, rater=old, other=new, cases="all" if all_cases else ""))
    raters = tuple(dict.fromkeys((*study.config.raters, new)))
    change_settings(study, replace(study.config, raters=raters, events=tuple(events)))
    return _settle_new_raters(study)


def _check_active(study: Study, rater: str) -> None:
    if rater not in study.config.active_raters:
        known = ", ".join(study.config.active_raters)
        problem = f"{clean_text(rater)} is not a rater of this study, or has left"
        raise StudyError(problem, study.path, f"Its raters are: {known}")


def _check_new(study: Study, rater: str) -> None:
    if check_name(rater, "rater").lower() == CONSENSUS:  # exports write it in capitals
        raise StudyError(f"{CONSENSUS} is the adjudicator's name", study.path, "Give that rater another ID")
    if rater in study.config.active_raters:
        raise StudyError(f"{rater} is a rater of this study already", study.path, "See: ratui raters STUDY")


def _settle_new_raters(study: Study) -> int:
    """Settle the assignments, and withdraw what a rater who has not signed a case must not see; return the changed cases."""
    changed = settle_assignments(study)
    withdraw_unreleased_joint_space(study)
    return changed


def settle_assignments(study: Study) -> int:
    """Bring the raters of each case in line with the settings; return the number of changed cases.

    Raters who have left keep the cases that they have signed. Their other cases go to their replacements, and each case gets
    as many raters as it needs. Raises StudyError if this account does not manage the study.
    """
    study.check_manager("change its raters")
    config = study.config
    stages: dict[str, Mapping[str, str]] = {
        rater: {state.case: state.stage for state in study.states(rater)} for rater in config.departed
    }
    known: dict[str, Mapping[str, Positions]] = {}
    for case in study.cases():
        try:
            known[case] = study.positions(case)
        except RatuiError:
            continue  # the check reports it; the command can be repeated after a repair
    loads = Counter(dict.fromkeys(config.active_raters, 0))
    loads.update(rater for positions in known.values() for rater in positions if rater in config.active_raters)
    before = {case: {rater for rater in positions if rater != CONSENSUS} for case, positions in known.items()}
    repeats = load_repeats(study)
    readers: dict[str, set[str]] = {}
    drawn: dict[str, set[str]] = {}
    for case, positions in known.items():
        if case not in repeats or repeats[case].original not in known:
            readers[case], drawn[case] = _choose_readers(study, case, positions, stages, loads)
            loads.update(readers[case] - before[case])
            loads.subtract((before[case] - readers[case]).intersection(config.active_raters))
    _balance(readers, drawn, loads)
    for case in known.keys() - readers.keys():
        # The raters of the original read the repeat, without those who have left before they did.
        left = {rater for rater, stage in stages.items() if stage.get(case) != "signed"}
        readers[case] = readers[repeats[case].original] - left
    changed = [case for case in known if readers[case] != before[case]]
    for case in changed:
        # Those with positions are the readers of a case.
        kept = {rater: each for rater, each in known[case].items() if rater in readers[case] or rater == CONSENSUS}
        added = dict.fromkeys(sorted(readers[case] - before[case]), ())
        with act_as_owner(study.folder, "films"):
            study.save_case(study.case(case), positions={**kept, **added})
    return len(changed)


def _balance(readers: dict[str, set[str]], drawn: Mapping[str, set[str]], loads: Counter[str]) -> None:
    """Exchange raters that were `drawn` for a case, until no exchange makes the numbers of cases more alike."""
    for _ in range(sum(map(len, drawn.values()))):
        exchange = next(
            (
                (case, most, least)
                for case, chosen in drawn.items()
                for most in chosen
                for least in sorted(loads, key=lambda rater: loads[rater])
                if loads[most] - loads[least] > 1 and least not in readers[case]
            ),
            None,
        )
        if exchange is None:
            return
        case, most, least = exchange
        for names in (readers[case], drawn[case]):
            names.remove(most)
            names.add(least)
        loads.update({most: -1, least: 1})


def _choose_readers(
    study: Study,
    case: str,
    positions: Mapping[str, Positions],
    stages: Mapping[str, Mapping[str, str]],
    loads: Mapping[str, int],
) -> tuple[set[str], set[str]]:
    """Return the raters who read `case` from now on, and those of them who were drawn.

    `stages` are those of raters who have left, `loads` the numbers of cases of the others.
    """
    config = study.config
    active = set(config.active_raters)
    readers = {rater for rater in positions if rater in config.raters}
    last = {event.rater: event for event in config.events if event.rater}
    for event in config.events:
        if event is not last.get(event.rater) or event.action != "left" or event.rater not in readers:
            continue
        if event.cases != "all" and stages[event.rater].get(case) == "signed":
            active.discard(event.other)  # the signed reading stands for both
            continue
        readers.discard(event.rater)
        if event.other:
            readers.add(event.other)
    if not config.raters_per_case:
        return readers | active, set()
    draw = random.SystemRandom()
    waiting = sorted(active - readers, key=lambda rater: (loads.get(rater, 0), draw.random()))
    drawn = set(waiting[: max(0, config.raters_per_case - len(readers))])
    return readers | drawn, drawn

"""Publication of measured joint spaces to the raters, in a study that hides them until release, and its withdrawal.

A case is released when all its raters have signed it. If the study hides repeats, nothing is published before all cases are
released: equal measurements, and cases without any beside others with them, would both show which cases are repeats. When a
rater reopens a case or a rater joins, a released case may become one that is not; its measurements are withdrawn then.
"""

from __future__ import annotations

from ratui.study.accounts import act_as_owner
from ratui.study.campaign.repeats import load_repeats
from ratui.study.intact import intact_case, read_or_note
from ratui.study.joint_spaces.joint_space import (
    PRIVATE_JOINT_SPACE,
    MeasuredChange,
    hides_joint_space,
    is_joint_space_published,
    publish_joint_space,
    read_joint_space,
    save_joint_space,
    withdraw_joint_space,
)
from ratui.study.joint_spaces.joint_space_access import is_released
from ratui.study.layout import PRIVATE
from ratui.study.study import Study

__all__ = ["list_publishable_cases", "publish_released_joint_space", "withdraw_unreleased_joint_space"]


def list_publishable_cases(study: Study) -> frozenset[str]:
    """Return the cases whose measurements raters may read, in a study that hides them until release.

    With hidden repeats these are all cases or none; a case that nobody can read does not count. Raises StudyError unless
    this account manages the study, StoreError if the list of repeats is damaged.
    """
    waiting: set[str] = set()
    released: set[str] = set()
    for case in study.cases():
        films = intact_case(study, case)
        if films is None or not study.raters_of(case) or films.unreadable_reason(study.scheme):
            continue
        (released if is_released(study, case) else waiting).add(case)
    hides_repeats = bool(study.config.charter.repeats_share or load_repeats(study))
    return frozenset() if hides_repeats and waiting else frozenset(released)


def publish_released_joint_space(study: Study) -> int:
    """Publish the measurements of all cases that are released, and withdraw those of the others.

    Returns the number of cases with published measurements, 0 in a study that hides none. Raises StudyError, StoreError.
    """
    if not hides_joint_space(study):
        return 0
    released = list_publishable_cases(study)
    _withdraw(study, released)
    count = 0
    for case in sorted(released):
        found = _read_intact(study, case)
        if found:
            with act_as_owner(study.folder, "models"):
                publish_joint_space(study, case, found)
            count += 1
    return count


def withdraw_unreleased_joint_space(study: Study) -> None:
    """Withdraw the published measurements of cases that are not released, or not any more. Raises StudyError, StoreError.

    Call it when raters join, and when a study begins to hide repeats.
    """
    if hides_joint_space(study) and any(is_joint_space_published(study, case) for case in study.cases()):
        _withdraw(study, list_publishable_cases(study))


def _withdraw(study: Study, released: frozenset[str]) -> None:
    for case in study.cases():
        if case in released or not is_joint_space_published(study, case):
            continue
        found = _read_intact(study, case)
        if found:  # measured before the study hid anything, so that the published file may be the only one
            with act_as_owner(study.folder, PRIVATE):
                save_joint_space(study, case, found)
        with act_as_owner(study.folder, "models"):
            withdraw_joint_space(study, case)


def _read_intact(study: Study, case: str) -> tuple[MeasuredChange, ...]:
    """Return the measurements of `case`; without any, and with a notice of the study, if the file can't be read."""
    file = study.path / PRIVATE_JOINT_SPACE / f"{case}.json"
    return read_or_note(study, file, lambda: read_joint_space(study, case), ())

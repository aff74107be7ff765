"""Lines about the cases of an import: those that can't be read yet, signed ones that got films, and repeats without them."""

from __future__ import annotations

from collections.abc import Collection

from ratui.results.progress import describe_incomplete_repeats
from ratui.study import Study
from ratui.study.campaign.repeat_updates import find_incomplete_repeats

__all__ = ["format_cases"]

_LINES_OF_A_REASON = 5  # with one line each; more are folded
_NAMED = 4


def format_cases(study: Study, cases: Collection[str], *, unreadable: bool = True) -> list[str]:
    """Return a line for each case with a message, or for each message that more than five cases share.

    A line for a manager says how many hidden repeats lack the films.

    Parameters
    ----------
    study
        The study.
    cases
        The cases to which films were added.
    unreadable
        Also list the cases that can't be read yet.

    Raises
    ------
    StoreError
        If a file of a case is damaged.
    """
    by_message: dict[str, list[str]] = {}
    for case in sorted(set(cases)):
        why = study.case(case).unreadable_reason(study.scheme) if unreadable else ""
        late = [rater for rater in study.raters_of(case) if study.state(rater, case).stage == "changed"]
        if why:
            by_message.setdefault(f"can't be read yet: {why}", []).append(case)
        if late:
            message = f"films came after {', '.join(late)} signed it; they have to reopen it"
            by_message.setdefault(message, []).append(case)
    lines = []
    for message, found in by_message.items():
        if len(found) <= _LINES_OF_A_REASON:
            lines += [f"  {case}: {message}" for case in found]
        else:
            lines.append(f"  {len(found)} cases, {', '.join(found[:_NAMED])} …: {message}")
    if count := len(find_incomplete_repeats(study, set(cases))):
        lines.append(describe_incomplete_repeats(count))
    return lines

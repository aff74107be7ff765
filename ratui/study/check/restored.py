"""Compare the readings that raters took over after a restore with those that were restored."""

from __future__ import annotations

from ratui.errors import RatuiError
from ratui.study.accounts import account_name
from ratui.study.check.fault_list import FaultList
from ratui.study.readings.restored import RESTORED, expected_account
from ratui.study.store.seal import read_log_chain
from ratui.study.study import Study

__all__ = ["check_restored"]


def check_restored(study: Study, faults: FaultList) -> None:
    """Add a fault for each account and reading that is not the one that continues what was restored.

    What was restored stays in the study. Damaged files are reported elsewhere.
    """
    folder = study.folder
    for rater in _list_folders(study):
        try:
            owner, expected = folder.find(f"readings/{rater}"), expected_account(folder, rater)
            if owner is None:
                continue
            names = folder.files(f"{RESTORED}/{rater}", ".json")
        except RatuiError:
            continue
        if expected and account_name(owner.st_uid) != expected:
            problem = f"it belongs to the account {account_name(owner.st_uid)}, but {expected} reads as {rater}"
            faults.add(f"readings/{rater}", problem, advice="Ask both accounts who has read; then restore again")
        for name in names:
            inside = f"readings/{rater}/{name}"
            if not _continues(study, f"{RESTORED}/{rater}/{name}", inside):
                advice = f"Compare it with {RESTORED}/{rater}/{name}, and check which account owns readings/{rater}"
                faults.add(inside, "it does not continue the reading that was restored", advice=advice)


def _list_folders(study: Study) -> list[str]:
    try:
        return study.folder.folders(RESTORED)
    except RatuiError:
        return []  # a link, reported by `check_access`


def _continues(study: Study, restored: str, now: str) -> bool:
    """Return whether the log in the file `now` begins with that in the file `restored`, or one of them can't be read."""
    try:
        before, after = (read_log_chain(study.folder.read(inside)) for inside in (restored, now))
    except FileNotFoundError:
        return True  # what was restored counts
    except (RatuiError, ValueError, AttributeError, RecursionError):
        return True
    return after[: len(before)] == before

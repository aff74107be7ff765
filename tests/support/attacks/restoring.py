"""Attacks on the readings of a restored study that wait for the accounts of their raters."""

from __future__ import annotations

import pwd
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ratui.study.study as study_module
from ratui.study import Study
from ratui.study.check import check_study
from ratui.study.copies.backup import back_up
from ratui.study.copies.restore import restore
from tests.films import make_study
from tests.study.test_moving import read_on
from tests.support.accounts import OTHER, as_account, open_folder
from tests.support.attacks.table import Outcome, attack
from tests.support.fault_harness.count import Unavailable

_GROUP, _BERT = "daemon", "news"


def _read_as_bert(study: Path) -> None:
    read_on(Study.open(study).as_rater("bert"), "bert")


def _hide(study: Path) -> None:
    (study / "readings" / "bert").mkdir(0o750)


def _forge(study: Path) -> None:
    """Read as bert with a ratui whose checks are removed. This runs in a child process."""
    changed: Any = study_module
    changed.check_account = changed.take_over_restored = lambda *_: None
    changed.find_reading = lambda folder, rater, case: folder.file(f"readings/{rater}/{case}.json")
    read_on(Study.open(study).as_rater("bert"), "bert", 5, 1)


def _has_effect(function: Callable[[Path], None], study: Path) -> bool:
    """Run `function` as an account of the group that is not bert's, and return whether it was not refused."""
    try:
        as_account(OTHER, lambda: function(study))
    except RuntimeError:
        return False
    return True


@attack("restore: a member of the group takes over another rater's waiting readings, or hides them", by="group member")
def take_over_for_another(folder: Path) -> Outcome:
    """Read as bert from another account: with ratui, with an own folder, and with a ratui whose checks are removed."""
    if _BERT not in {account.pw_name for account in pwd.getpwall()}:
        raise Unavailable(f"it needs an account called {_BERT}, as on Debian")
    attempts = (_read_as_bert, _hide, _forge)
    refused = noticed = lost = 0
    study = make_study(folder)
    read_on(study, "bert")
    case = study.cases()[0]
    expected = study.reading("bert", case)
    archive = back_up(study, folder / "b.zip").path
    with open_folder() as place:
        for number, attempt in enumerate(attempts):
            shared = restore(archive, place / str(number), group=_GROUP, accounts={"bert": _BERT}).study
            had_effect = _has_effect(attempt, shared.path)
            report = check_study(shared.path)
            refused += not had_effect
            noticed += had_effect and any(fault.file.startswith("readings/bert") for fault in report.faults)
            waiting = shared.path / "restored" / "bert" / f"{case}.json"
            is_same = Study.open(shared.path).reading("bert", case) == expected
            lost += not waiting.is_file() or (attempt is not _forge and not is_same)
    return Outcome(len(attempts), refused, noticed, lost)

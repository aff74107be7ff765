"""Accounts of the operating system: which of them may enter the readings of a rater."""

from __future__ import annotations

import os
from collections.abc import Iterable

from ratui.errors import StudyError
from ratui.study.layout import account_name
from ratui.study.store import StudyFolder

__all__ = ["check_account", "find_account_rater"]


def check_account(study: StudyFolder, rater: str, description: str = "") -> None:
    """Raise StudyError if the readings of `rater` in the folder `study` belong to another account.

    The error calls the rater by `description` if that is given.
    """
    folder = study.find(f"readings/{rater}")
    if folder is not None and os.geteuid() not in (0, folder.st_uid):
        owner = account_name(folder.st_uid)
        raise StudyError(f"{description or rater} uses another account, {owner}", study.path, f"Log in as {owner}")


def find_account_rater(study: StudyFolder, raters: Iterable[str]) -> str:
    """Return the rater whose readings in the folder `study` belong to this account, or an empty text."""
    for rater in raters:
        folder = study.find(f"readings/{rater}")
        if folder is not None and folder.st_uid == os.geteuid():
            return rater
    return ""

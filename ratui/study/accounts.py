"""Accounts of the operating system: which of them manage a study, and which may enter the readings of a rater."""

from __future__ import annotations

import grp
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ratui.errors import StudyError
from ratui.study.layout import account_name
from ratui.study.store import StudyFolder

__all__ = ["act_as_owner", "check_account", "find_account_rater", "is_manager"]


def is_manager(study: StudyFolder, managers: str) -> bool:
    """Return whether this account manages the study: it is root, owns the folder, or is in the group `managers`."""
    found = study.find("")
    if os.geteuid() == 0 or (found is not None and os.geteuid() == found.st_uid):
        return True
    try:
        return bool(managers) and grp.getgrnam(managers).gr_gid in (os.getegid(), *os.getgroups())
    except KeyError:
        return False  # the group does not exist on this machine


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


@contextmanager
def act_as_owner(study: StudyFolder, inside: str) -> Iterator[None]:
    """As root, act as the account that owns the folder `inside`, or else the study, for the duration of the block.

    New files then belong to that account, and the kernel allows only what that account may do. Another account than root
    goes on as itself. The change concerns the whole process, all threads included. Raises StoreError.
    """
    owner = (study.find(inside) or study.find("")) if os.geteuid() == 0 else None
    if owner is None or owner.st_uid == 0:
        yield
        return
    groups, group = os.getgroups(), os.getegid()
    os.setgroups([owner.st_gid])
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)

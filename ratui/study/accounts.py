"""Accounts of the operating system: which of them manage a study or read in it, and how root acts as another one."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from ratui.errors import StudyError
from ratui.study.readings.restored import expected_account
from ratui.study.store import StudyFolder

__all__ = [
    "account_name",
    "act_as",
    "act_as_owner",
    "check_account",
    "find_account_rater",
    "find_owner_account",
    "find_rater_account",
    "is_manager",
]


def account_name(uid: int) -> str:
    """Return the name of the account with the number `uid`, or ``number <uid>`` if it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"number {uid}"


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
    """Raise StudyError if the readings of `rater` in the folder `study` belong to another account, or wait for it.

    The error calls the rater by `description` if that is given.
    """
    folder = study.find(f"readings/{rater}")
    own = account_name(os.geteuid())
    owner = expected_account(study, rater)
    if folder is not None and os.geteuid() == 0:
        owner = ""
    elif folder is not None and owner in ("", own):
        owner = account_name(folder.st_uid)
    if owner and owner != own:
        raise StudyError(f"{description or rater} uses another account, {owner}", study.path, f"Log in as {owner}")


def find_account_rater(study: StudyFolder, raters: Iterable[str]) -> str:
    """Return the rater whose readings in the folder `study` belong to this account or wait for it, or an empty text."""
    for rater in raters:
        folder = study.find(f"readings/{rater}")
        if folder is not None and folder.st_uid == os.geteuid():
            return rater
        if folder is None and expected_account(study, rater) == account_name(os.geteuid()):
            return rater
    return ""


@contextmanager
def act_as(uid: int, groups: Sequence[int]) -> Iterator[None]:
    """Act as the account `uid` with `groups`, the first of them as its own, for the duration of the block.

    Only root may do this. New files then belong to that account, and the kernel allows only what that account may do. The
    change concerns the whole process, all threads included.
    """
    before, group = os.getgroups(), os.getegid()
    os.setgroups(groups)
    os.setegid(groups[0])
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(before)


@contextmanager
def act_as_owner(study: StudyFolder, inside: str) -> Iterator[None]:
    """Act, if this is root, as the account that owns the folder `inside`, or else the study. Raises StoreError.

    Another account than root goes on as itself.
    """
    owner = (study.find(inside) or study.find("")) if os.geteuid() == 0 else None
    if owner is None or owner.st_uid == 0:
        yield
        return
    with act_as(owner.st_uid, [owner.st_gid]):
        yield


def find_rater_account(study: StudyFolder, rater: str) -> str:
    """Return the name of the account that owns the readings of `rater`, or for which they wait.

    Empty if there are none, if any account may take them over, or if the account has no name. Raises StoreError.
    """
    folder = study.find(f"readings/{rater}")
    return expected_account(study, rater) if folder is None else _find_name(folder.st_uid)


def find_owner_account(study: StudyFolder) -> str:
    """Return the name of the account that owns the study, or an empty text if the account has no name. Raises StoreError."""
    found = study.find("")
    return "" if found is None else _find_name(found.st_uid)


def _find_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""

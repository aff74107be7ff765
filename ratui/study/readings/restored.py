"""Readings of a restored study that wait until the accounts of their raters take them over.

A backup cannot give files to other accounts. So `restore` puts the readings of a shared study into ``restored/<rater>``,
where they belong to the study's owner and the group can read them. When the account of a rater first opens a reading, all
of the rater's readings are copied to ``readings/<rater>``, which then belongs to that account. Until then, and for single
files that could not be copied, the readings in ``restored`` count.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping

from ratui.errors import DamagedError, RatuiError, StoreError
from ratui.files import check_name
from ratui.study.store import StudyFile, StudyFolder, read_tables, write_tables
from ratui.study.store.seal import BrokenSealError, UnsealedError, open_seal
from ratui.study.store.tables import sealed_name

__all__ = [
    "RESTORED",
    "expected_account",
    "find_rater_file",
    "find_reading",
    "has_readings",
    "save_accounts",
    "take_over_restored",
]

RESTORED = "restored"
"""Folder with the readings that wait for their raters."""
_ACCOUNTS = f"{RESTORED}/accounts.json"
"""File with the account that may take over the readings of each rater."""


def find_reading(folder: StudyFolder, rater: str, case: str) -> StudyFile:
    """Return the file of a reading: in ``readings``, or in ``restored`` if it exists only there."""
    return find_rater_file(folder, rater, f"{check_name(case, 'case')}.json")


def find_rater_file(folder: StudyFolder, rater: str, name: str) -> StudyFile:
    """Return the file `name` beside the readings of `rater`: in ``readings``, or in ``restored`` if it exists only there."""
    name = f"{check_name(rater, 'rater')}/{name}"
    file, waiting = folder.file(f"readings/{name}"), folder.file(f"{RESTORED}/{name}")
    try:
        return waiting if not _exists(file) and _exists(waiting) else file
    except StoreError:  # its account has closed the folder: whoever reads the file gets that error
        return file


def _exists(file: StudyFile) -> bool:
    return file.folder.exists(file.inside) or file.folder.exists(file.second_copy.inside)


def has_readings(folder: StudyFolder, rater: str) -> bool:
    """Return whether `rater` has a folder with readings, possibly an empty one. Raises StoreError."""
    return folder.is_folder(f"readings/{rater}") or folder.is_folder(f"{RESTORED}/{rater}")


def save_accounts(folder: StudyFolder, accounts: Mapping[str, str]) -> None:
    """Record the account that may take over the readings of each rater. Raises StoreError."""
    records = [{"rater": rater, "account": account} for rater, account in sorted(accounts.items())]
    write_tables(folder.file(_ACCOUNTS), {"accounts": records})


def expected_account(folder: StudyFolder, rater: str) -> str:
    """Return the name of the account that alone may take over the restored readings of `rater`.

    Empty if there are none, or if any account may. Raises StoreError.
    """
    if not folder.is_folder(f"{RESTORED}/{rater}"):
        return ""
    tables = read_tables(folder.file(_ACCOUNTS)) or {}
    return next((str(each["account"]) for each in tables.get("accounts", []) if each.get("rater") == rater), "")


def take_over_restored(folder: StudyFolder, rater: str) -> int:
    """Copy the restored readings of `rater` to a new folder that belongs to this account, and return their number.

    Nothing is copied if the rater has a folder, or no restored readings. The copies are verified. The folder appears under
    its name when all of them are on the disk. A damaged reading stays where it is. Raises StoreError.
    """
    target, source = f"readings/{rater}", f"{RESTORED}/{rater}"
    if not folder.is_folder(source):
        return 0
    count = 0
    try:
        if folder.find(target) is None:
            count = _copy_readings(folder, source, rater)
        with folder.opened("readings") as descriptor:
            os.fsync(descriptor)  # also if the folder is there: the first attempt may have failed here
    except OSError as error:
        problem = f"the restored readings can't be taken over: {error.strerror}"
        raise StoreError(problem, folder.path / target, "Ask the study's owner") from error
    return count


def _copy_readings(folder: StudyFolder, source: str, rater: str) -> int:
    new = folder.file(f"readings/.{rater}.{secrets.token_hex(6)}.tmp")
    temporary = new.inside
    count = 0
    try:
        folder.make_folder(temporary, group=0o050)
        names = {name.removesuffix(".bak") for name in folder.scan(source)}
        for name in sorted(each for each in names if each.endswith(".json") and not each.startswith(".")):
            try:
                found = folder.read_intact(f"{source}/{name}", _check_of(folder.file(f"{source}/{name}")))
            except (RatuiError, ValueError):
                continue  # damaged: it counts where it is, and the check reports it
            if found is not None:
                folder.write(f"{temporary}/{name}", found[0])
                if folder.read(f"{temporary}/{name}") != found[0]:
                    problem = "the copy of a restored reading differs from it"
                    raise StoreError(problem, folder.path / temporary, "Check the disk")
                count += 1
        new.folder.rename(temporary, rater)
    except BaseException as error:
        folder.remove_folder(temporary)
        if isinstance(error, OSError) and folder.is_folder(f"readings/{rater}"):
            return 0  # another session of this account was faster
        raise
    return count


def _check_of(file: StudyFile) -> Callable[[bytes], None]:
    def check(data: bytes) -> None:
        try:
            open_seal(data, sealed_name(file))
        except UnsealedError as error:
            raise DamagedError("it has no seal", file.path) from error
        except BrokenSealError as error:
            raise DamagedError(str(error), file.path) from error

    return check

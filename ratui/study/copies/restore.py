"""Restore a study from an archive: for its owner alone, or shared with a Unix group again.

No existing file is ever overwritten. In a shared study each rater's readings belong to the rater's account. Nobody but root
can give files to another account, so the readings are put where their raters can take them over: see `restored`.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from ratui.errors import FilmError, RatuiError, StudyError, clean_text
from ratui.study.accounts import act_as
from ratui.study.config_files import write_settings
from ratui.study.copies.archive_limits import check_entries, check_free_space
from ratui.study.copies.backup import Archive, open_archive, open_zip, read_verified
from ratui.study.importing import ReaderProcess
from ratui.study.layout import group_id, make_study_folder
from ratui.study.readings.restored import RESTORED, save_accounts
from ratui.study.store import StudyFolder
from ratui.study.store.journaling import JOURNAL, PRIVATE_JOURNAL, begin_journals
from ratui.study.study import Study

__all__ = ["Restored", "restore"]

Progress = Callable[[int, int], None]
_READINGS = "readings"
_WITH_COPY = (".json", ".toml", ".json.sig")
"""Ends of the names of files that have a second copy, which an archive does not contain."""


@dataclass(frozen=True)
class Restored:
    """A restored study.

    Attributes
    ----------
    study
        The study.
    group
        Unix group that shared the study when the backup was made, or empty.
    waiting
        For each rater whose readings wait for an account: the name of that account, or an empty text for the first one that
        opens a reading as this rater.
    owned
        For each rater whose readings were given to an account: the name of that account.
    rater
        Rater for whom the archive was packaged; empty for a backup.
    rejected
        Reason for each film, by its path inside the study, that was left out because no import of this version writes such a
        file; only if the films were checked.
    """

    study: Study
    group: str
    waiting: Mapping[str, str]
    owned: Mapping[str, str]
    rater: str = ""
    rejected: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Plan:
    """The files of a study by their path in it, as their names in the archive, and the accounts that own or expect them."""

    sources: dict[str, str]
    waiting: dict[str, str]
    owned: dict[str, pwd.struct_passwd]
    owner: pwd.struct_passwd | None
    gid: int | None

    def acting(self, inside: str = "") -> AbstractContextManager[None]:
        """Return a context in which new files get the owner that the file `inside` has."""
        folder, _, rest = inside.partition("/")
        rater = rest.partition("/")[0] if folder == _READINGS else ""
        account = self.owned.get(rater, self.owner)
        if account is None:
            return nullcontext()
        groups = [account.pw_gid, *os.getgrouplist(account.pw_name, account.pw_gid)]
        return act_as(account.pw_uid, groups if self.gid is None else [*groups, self.gid])


def restore(
    path: Path,
    folder: Path,
    *,
    group: str = "",
    managers: str = "",
    owners: bool = False,
    accounts: Mapping[str, str] | None = None,
    check_films: bool = False,
    progress: Progress | None = None,
) -> Restored:
    """Create a study from the archive at `path` in the new folder `folder`.

    Parameters
    ----------
    path
        The archive.
    folder
        A folder that does not exist or is empty.
    group
        Name of the Unix group that shares the study. Empty for a study of this account alone, which then also owns all
        readings.
    managers
        Name of the Unix group whose members manage the study, beside its owner; only with `group`.
    owners
        Give the study and the readings to the accounts that owned them. Only root can do this, and only with a group.
    accounts
        Names of the accounts of raters who use others than those in the archive, by rater.
    check_films
        Check in a separate process that each film is exactly what an import writes, and leave others out. For an archive
        from elsewhere: its films may contain names, or harm a decoder. Films that older versions imported may differ.
    progress
        Called with (files done, files in all).

    Raises
    ------
    StudyError
        If the folder is not empty, the group or an account does not exist, or `owners` is not possible.
    DamagedError
        If the archive is damaged, or is larger than an archive of a study; nothing is created then.
    StoreError
        If the disk has too little free space.
    """
    folder = Path(folder)
    gid = group_id(group)
    if managers and gid is None:
        raise StudyError("only a shared study has a group of managers", folder, "Give --group NAME as well")
    if (owners or accounts) and gid is None:
        raise StudyError("only in a shared study do readings belong to accounts", folder, "Give --group NAME as well")
    if owners and os.geteuid() != 0:
        raise StudyError("only root can give files to other accounts", folder, "Log in as root, or omit --owners")
    archive = open_archive(path)
    if archive.rater and gid is not None:
        problem = f"it is the package for {archive.rater}, who reads alone"
        raise StudyError(problem, path, "Omit --group, or restore a backup")
    plan = _plan(archive, gid, owners, accounts or {})
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StudyError("a file or folder of this name exists already", folder, "Choose a new folder")
    with open_zip(path) as packed:
        needed = check_entries(packed.infolist(), path)
    check_free_space(next(each for each in folder.absolute().parents if each.is_dir()), needed)
    if plan.owner is not None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chown(folder, plan.owner.pw_uid, plan.owner.pw_gid)
    with plan.acting():
        make_study_folder(folder, group, managers)
        if not archive.rater and not any(name.startswith(f"{JOURNAL}/") for name in archive.checksums):
            (folder / JOURNAL).rmdir()  # the study has none yet: they begin when its format is converted
    _write_files(StudyFolder(folder), archive, plan, progress)
    with plan.acting():
        study = Study.open(folder)
        before = study.config
        if plan.waiting:
            bound = {rater: account for rater, account in plan.waiting.items() if account}
            save_accounts(study.folder, bound)
        if (before.group, before.managers) != (group, managers):
            study.config = replace(before, group=group, managers=managers)
            write_settings(study.folder, study.config)
        if archive.rater:
            study.folder.make_folder(PRIVATE_JOURNAL)
            begin_journals(study.folder)
        rejected = _remove_foreign_films(study, plan.sources, progress) if check_films else {}
    owned = {rater: account.pw_name for rater, account in plan.owned.items()}
    return Restored(study, before.group, plan.waiting, owned, archive.rater, rejected)


def _remove_foreign_films(study: Study, paths: Iterable[str], progress: Progress | None) -> dict[str, str]:
    """Remove the films at `paths` that no import writes, and return the reason for each by its path inside the study."""
    films = sorted(inside for inside in paths if inside.startswith("films/") and inside.endswith(".dcm"))
    rejected = {}
    with ReaderProcess() as reader:
        for number, inside in enumerate(films):
            if progress:
                progress(number, len(films))
            try:
                _check_film(study, inside, reader)
            except RatuiError as error:
                rejected[inside] = error.problem
                study.folder.remove(inside)  # not set aside: it may contain a name; the archive still has it
    return rejected


def _check_film(study: Study, inside: str, reader: ReaderProcess) -> None:
    """Raise RatuiError unless the file `inside` is a film of a case, and exactly what an import writes."""
    case = inside.split("/")[1]
    if case not in study.cases():
        raise FilmError("it belongs to no case", inside)
    films = {f"films/{case}/{film.id}.dcm": film for film in study.unordered_case(case).films}
    if inside not in films:
        raise FilmError("its case does not list it", inside)
    if reader.verify(study.path / inside, case, films[inside].side).file != films[inside].file:
        raise FilmError("it is not the file that was imported", inside)


def _plan(archive: Archive, gid: int | None, owners: bool, accounts: Mapping[str, str]) -> _Plan:
    """Return where the files of the archive are put, and the accounts. Raises StudyError for an unknown account."""
    known = {rater: found for rater, name in archive.accounts.items() if (found := _find_account(name))}
    for rater, name in accounts.items():
        found = _find_account(name)
        if found is None:
            raise StudyError(f"there is no account {clean_text(name)}", "", "Correct --account RATER=ACCOUNT")
        known[rater] = found
    sources: dict[str, str] = {}
    raters: set[str] = set()
    # After those in `restored`: a reading that was taken over from there is newer.
    for name in sorted(archive.checksums, key=lambda name: (not name.startswith(f"{RESTORED}/"), name)):
        first, *rest = name.split("/")
        if first not in (_READINGS, RESTORED):
            sources[name] = name
        elif len(rest) == 2:  # other files there concern accounts only
            rater = rest[0]
            raters.add(rater)
            waits = gid is not None and not (owners and rater in known)
            sources["/".join((RESTORED if waits else _READINGS, *rest))] = name
    if gid is None:
        return _Plan(sources, {}, {}, None, None)
    owned = {rater: known[rater] for rater in sorted(raters & known.keys())} if owners else {}
    waiting = {rater: known[rater].pw_name if rater in known else "" for rater in sorted(raters - owned.keys())}
    return _Plan(sources, waiting, owned, _find_account(archive.owner) if owners else None, gid)


def _find_account(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name) if name else None
    except (KeyError, ValueError):
        return None


def _write_files(folder: StudyFolder, archive: Archive, plan: _Plan, progress: Progress | None) -> None:
    # The settings are written last: an interrupted restore leaves no study that can be opened.
    paths = sorted(plan.sources, key=lambda inside: (inside == "study.toml", inside))
    with open_zip(archive.path) as packed:
        for number, inside in enumerate(paths):
            if progress:
                progress(number, len(paths))
            data = read_verified(packed, archive, plan.sources[inside])
            above = inside.rpartition("/")[0]
            with plan.acting(inside):
                if inside.partition("/")[0] in (_READINGS, RESTORED):
                    folder.make_folder(above.partition("/")[0], group=0o050)
                    folder.make_folder(above, group=0o050)  # no other member of the group may write there
                folder.make_folder(above)
                folder.write(inside, data, copy=inside.endswith(_WITH_COPY), recorded=False)
                if above == JOURNAL and plan.gid is not None:  # the group must not write into the owner's journals
                    with folder.opened(above) as descriptor:
                        os.chmod(inside.rpartition("/")[2], 0o640, dir_fd=descriptor)
    if progress:
        progress(len(paths), len(paths))

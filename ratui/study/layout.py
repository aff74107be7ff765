"""The folders of a study with the models in them, and the access that its Unix group has to each.

In a shared study the owner may change films and settings, and the group may read them; each rater may change their own
readings; every member may change regions and proposals.
"""

from __future__ import annotations

import grp
import os
from pathlib import Path

from ratui.errors import StudyError, clean_text
from ratui.files import STICKY, check_name, make_folder, share_folder
from ratui.study.store import StudyFolder, StudyLock
from ratui.study.store.access_lists import remove_access_lists

__all__ = [
    "EVALUATION",
    "FOLDERS",
    "PRIVATE",
    "SNAPSHOT_PREFIX",
    "folder_mode",
    "group_id",
    "list_evaluated_models",
    "list_models",
    "make_journal_folders",
    "make_private_folder",
    "make_study_folder",
]

EVALUATION = "evaluation.json"
"""Name of the file with the evaluation of a model, in its folder."""
FOLDERS = {
    "": 0o050,
    "films": 0o050,
    "regions": 0o070,
    "readings": 0o070,
    "proposals": 0o070,
    "models": 0o070,
    "journal": 0o070,
}
"""Group permission bits of each folder of a shared study; the empty name is the study's own folder."""
PRIVATE = "private"
"""Folder for the owner and the managers, which raters cannot open: the visits of the films."""
SNAPSHOT_PREFIX = ".snapshot-"
"""Prefix of the name of a snapshot's folder, which exists while the snapshot is read."""
_STICKY = {"readings", "proposals", "models", "journal"}


def group_id(name: str) -> int | None:
    """Return the number of the Unix group `name`, or None for an empty name. Raises StudyError for an unknown group."""
    if not name:
        return None
    try:
        return grp.getgrnam(name).gr_gid
    except (KeyError, ValueError) as error:
        raise StudyError(
            f"there is no Unix group {clean_text(name)}", "", "Ask an administrator to create it, or omit the group"
        ) from error


def folder_mode(name: str, shared: bool) -> int:
    """Return the mode of the folder `name`, a key of `FOLDERS`, in a study that is `shared` with a group or not."""
    if not shared:
        return 0o700
    return 0o2700 | FOLDERS[name] | (STICKY if name in _STICKY else 0)


def list_models(folder: StudyFolder, inside: str, *, by_time: bool = False) -> list[str]:
    """Return the names of the models with a folder in ``proposals`` or ``models``; see `StudyFolder.folders`.

    Any member of the group can make a folder there. Folders that are closed to this account, or whose name is none of a
    model, are left out: the check of the access reports them.
    """
    return [name for name in folder.folders(inside, by_time=by_time) if _is_model(folder, inside, name)]


def list_evaluated_models(folder: StudyFolder) -> tuple[str, ...]:
    """Return the names of the scorers that have an evaluation in the study, the newest first; see `model_reports`."""
    has_models = folder.exists("models")  # an archive or a repository may leave out empty folders
    found = folder.signatures_below("models", EVALUATION) if has_models else {}
    usable = set(list_models(folder, "models")) if found else set()
    ranked = sorted(((file[1], run) for run, file in found.items() if file and run in usable), reverse=True)
    return tuple(run for _, run in ranked)


def _is_model(folder: StudyFolder, inside: str, name: str) -> bool:
    try:
        with folder.opened(f"{inside}/{check_name(name, 'model')}") as descriptor:
            os.stat(".", dir_fd=descriptor)  # a folder that can be listed only does not permit this
            return True
    except (OSError, StudyError):
        return False


def make_journal_folders(folder: StudyFolder, group: str) -> None:
    """Create the folder of the journals in a study shared with `group`, if that is not empty.

    Raises StudyError if it can't be created.
    """
    try:
        folder.make_folder("journal")
        with folder.opened("journal") as descriptor:
            share_folder(descriptor, group_id(group), FOLDERS["journal"], sticky=True)
    except OSError as error:
        problem = f"the folder can't be created: {error.strerror}"
        raise StudyError(problem, folder.path / "journal", "Only the study's owner can begin journals") from error


def make_private_folder(folder: StudyFolder, managers: str) -> None:
    """Create the private folder of a study for its owner, and for the group `managers` if that is not empty.

    Raises StudyError for an unknown group, StoreError or OSError if it can't be created.
    """
    gid = group_id(managers)
    folder.make_folder(PRIVATE)
    with folder.opened(PRIVATE) as descriptor:
        share_folder(descriptor, gid, 0o050)
        remove_access_lists(descriptor)
    folder.make_folder(f"{PRIVATE}/journal")


def make_study_folder(path: Path, group: str, managers: str = "") -> None:
    """Create the empty folders and lock files of a study at `path`, shared with `group` unless that is empty.

    Members of the Unix group `managers` may read the private folder; if it is empty, only the owner may. Raises StudyError
    if the folders can't be created or this account is not a member of the groups.
    """
    gid = group_id(group)
    try:
        make_folder(path)
        folder = StudyFolder(path)
        for name, bits in FOLDERS.items():
            folder.make_folder(name)
            with folder.opened(name) as descriptor:
                share_folder(descriptor, gid, bits, sticky=name in _STICKY)
                remove_access_lists(descriptor)  # inherited from the folder around the study
        make_private_folder(folder, managers)
        StudyLock(folder).create_files()
    except OSError as error:
        groups = " and ".join(name for name in (group, managers) if name)
        remedy = f"Whoever makes the study must be a member of {groups}" if groups else "Check the path"
        raise StudyError(f"the folder can't be created: {error.strerror}", path, remedy) from error

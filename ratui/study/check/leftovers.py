"""Find what killed processes have left in a study. Nothing of it is a fault: no saved entry depends on it."""

from __future__ import annotations

import contextlib
import os
import time

from ratui.errors import StoreError, clean_text
from ratui.files import LEFTOVER_AGE
from ratui.study.check.fault_list import FaultList
from ratui.study.layout import SNAPSHOT_PREFIX
from ratui.study.store.descriptors import Entry, list_names, remove_leftovers, remove_tree, walk_no_links
from ratui.study.study import Study

__all__ = ["OLD_INDEX", "check_leftovers"]

OLD_INDEX = ".worklist.json"
"""Name of the index of a worklist, which earlier versions kept in each rater's folder."""
_ABANDONED = 86_400.0
"""Seconds after which an existing snapshot was left behind by a process that was killed."""


def check_leftovers(study: Study, faults: FaultList) -> None:
    """Add a note for each kind of leftover in each folder, and remove leftovers that are old enough if repair is on."""
    for entry in walk_no_links(study.path, skip=SNAPSHOT_PREFIX):
        if entry.descriptor is not None:
            _check_folder(study, entry, entry.descriptor, faults)
    for name in study.folder.folders():
        if name.startswith(SNAPSHOT_PREFIX):
            _check_snapshot(study, name, faults)


def _check_folder(study: Study, entry: Entry, descriptor: int, faults: FaultList) -> None:
    folder = clean_text(entry.inside)
    names = list_names(descriptor)
    old = sum(".damaged-" in name for name in names)
    if old:
        faults.notes.append(
            f"{folder}: files set aside as damaged: {old}; remove them when they are not needed any more"
        )
    unfinished = sum(name.startswith(".") and name.endswith(".tmp") for name in names)
    removed = remove_leftovers(descriptor) if unfinished and faults.repair else 0
    if removed:
        faults.notes.append(f"{folder}: {removed} unfinished files removed")
    if unfinished > removed:
        hours = f"{LEFTOVER_AGE / 3600:g} h"
        faults.notes.append(
            f"{folder}: {unfinished - removed} unfinished files, of saves that run or were interrupted; "
            f"--repair removes those older than {hours}"
        )
    if OLD_INDEX in names and entry.inside.parts[:1] == ("readings",):
        text = f"{folder}: an index of an earlier version, which is not read any more"
        if faults.repair:
            with contextlib.suppress(StoreError):  # another account's folder
                study.folder.remove(f"{entry.inside}/{OLD_INDEX}")
                text += "; removed"
        faults.notes.append(text)


def _check_snapshot(study: Study, name: str, faults: FaultList) -> None:
    try:
        with study.folder.opened(name) as folder:
            age = time.time() - os.fstat(folder).st_mtime
        if age <= _ABANDONED:
            return  # it may be in use
        if not faults.repair:
            faults.notes.append(f"{name}: left by a backup that was killed; --repair removes it")
            return
        with study.folder.opened() as top:
            remove_tree(name, folder=top)
        faults.notes.append(f"{name}: left by a backup that was killed; removed")
    except (OSError, StoreError):
        return

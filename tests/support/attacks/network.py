"""Two machines on a network file system whose locks bind one machine only."""

from __future__ import annotations

from pathlib import Path

from ratui.study import Study
from tests.films import make_study
from tests.support.attacks.table import Outcome, attack
from tests.support.two_machines import Mount, network_without_locks, orders, stored

SAVES = 3
"""Saves of each machine in one trial."""


@attack("the same reading saved on two network mounts without locks, in every order", by="accident")
def save_on_two_machines(folder: Path) -> Outcome:
    """Save in every order, each machine taking the reading over; an entry that is not saved must be refused visibly."""
    path = make_study(folder).path
    readings = Study.open(path).reading_path("anna", Study.open(path).cases()[0]).parent
    trials = refused = noticed = lost = 0
    with network_without_locks():
        for turns in orders(SAVES):
            mounts = {name: Mount(path, name) for name in "ab"}
            for name in turns:
                mounts[name].save()
            for mount in mounts.values():
                mount.close()
            saved = {text for mount in mounts.values() for text in mount.acknowledged}
            lost += len(saved - set(stored(path)))
            trials += 1
            refused += sum(mount.refused for mount in mounts.values()) == 0
            noticed += sum(mount.refused for mount in mounts.values()) > 0
            for file in readings.iterdir():
                file.unlink()
    return Outcome(trials, refused, noticed, lost)

"""Simultaneous work on a study: raters read, others confirm regions, one checks and backs up, a trainer learns.

No entry may be lost, no program may fail, and no check may report damage.
"""

from __future__ import annotations

import itertools
import os
import struct
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from unittest import mock

from ratui.reading import set_note
from ratui.study import Region, RegionSource, Study
from ratui.study.check import check_study
from ratui.study.copies.backup import back_up
from tests.support.fault_harness.count import Count
from tests.support.fault_harness.damage import fill
from tests.support.fault_harness.kills import acknowledged, child
from tests.support.fault_harness.stores import CASE, SITE, Ours, text_of

__all__ = ["all_at_once"]

_Ack = Callable[[int], None]
_MANAGER = 100


def all_at_once(folder: Path, seconds: float, sync_delay: float = 0.0) -> Count:
    """Let two raters, two others who confirm regions, a manager and a trainer work for `seconds` without a pause.

    `trials` counts the rounds of the manager and the trainer. Damage that a check reports counts as a crash. Each fsync
    takes `sync_delay` seconds longer, as on a slow disk: locks are then free for a small part of the time.
    """
    where = ", on a slow disk" if sync_delay else ""
    count = Count(f"reading, confirming, checking, backing up, learning at once{where}", Ours.name)
    place = Ours().make(folder / "place")
    fill(place)
    study = Study.open(place)
    raters, films = study.config.raters, [film.id for film in study.case(CASE).films[:2]]
    until = time.monotonic() + seconds
    works: list[tuple[int, Callable[[_Ack], None]]] = [
        *((who, lambda ack, who=who: _read(place, raters[who], who, until, ack)) for who in (0, 1)),
        *((10 + who, lambda ack, who=who: _confirm(place, films[who], until, ack)) for who in (0, 1)),
        (_MANAGER, lambda ack: _manage(place, folder, until, ack)),
        (_MANAGER + 1, lambda ack: _look(place, until, ack)),
    ]
    children = []
    for who, work in works:

        def serve(pipe: int, who: int = who, work: Callable[[_Ack], None] = work) -> None:
            with mock.patch.object(os, "fsync", partial(_sync_late, os.fsync, sync_delay)):
                work(lambda number: _tell(pipe, who, number))

        children.append(child(serve))
    said = [item for _, pipe in children for item in acknowledged(pipe)]
    for pid, _ in children:
        _, status = os.waitpid(pid, 0)
        count.crashes += status != 0
    for who, number in said:
        count.trials += who >= _MANAGER
        count.saved += who < _MANAGER
        count.crashes += number if who == _MANAGER else 0
    count.lost = sum(_lost(study, raters[who], who, said) for who in (0, 1))
    for who in (0, 1):
        last = max((number for by, number in said if by == 10 + who), default=-1)
        now = [region.box for region in study.regions(CASE) if region.film == films[who]]
        # The entry that was saved, or a later one that was not acknowledged.
        count.lost += last >= 0 and now not in ([_box(last)], [_box(last + 1)])
    return count


def _sync_late(sync: Callable[[int], None], delay: float, descriptor: int) -> None:
    time.sleep(delay)
    sync(descriptor)


def _tell(pipe: int, who: int, number: int) -> None:
    os.write(pipe, struct.pack("II", who, number))


def _lost(study: Study, rater: str, who: int, said: list[tuple[int, int]]) -> int:
    reading = study.reading(rater, CASE)
    found = {entry.note for entry in reading.log} if reading else set()
    return sum(text_of(who, number) not in found for by, number in said if by == who)


def _read(place: Path, rater: str, who: int, until: float, ack: _Ack) -> None:
    with Study.open(place).open_reading(rater, CASE) as session:
        for number in _rounds(until):
            session.save(set_note(session.reading, SITE, text_of(who, number)))
            ack(number)
            time.sleep(0.01)  # ten times as fast as a real rater


def _rounds(until: float) -> Iterator[int]:
    """Yield 0, 1, 2 and so on until the time is over, at least once."""
    for number in itertools.count():
        yield number
        if time.monotonic() > until:
            return


def _box(number: int) -> tuple[float, float, float, float]:
    return (1.0, 2.0, 3.0 + number, 9.0)


def _confirm(place: Path, film: str, until: float, ack: _Ack) -> None:
    study = Study.open(place)
    for number in _rounds(until):
        study.save_regions(CASE, [Region(SITE, film, _box(number), RegionSource.RATER, "x")], films={film})
        ack(number)


def _manage(place: Path, folder: Path, until: float, ack: _Ack) -> None:
    """Acknowledge the number of problems found in each round."""
    archive = folder / "backup.zip"
    for _ in _rounds(until):
        report = check_study(place, repair=True)
        back_up(Study.open(place), archive)
        archive.unlink()
        ack(len(report.faults))


def _look(place: Path, until: float, ack: _Ack) -> None:
    study = Study.open(place)
    for number in _rounds(until):
        with study.snapshot() as still:
            for rater in still.config.raters:
                still.reading(rater, CASE)
            still.regions(CASE)
            assert not still.notices
        study.all_states()
        ack(number)

"""Faults of a mounted file system: its power is cut while entries are saved, or it is full.

`Unavailable` is raised without the permission to mount one.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import random
import shutil
import signal
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from ratui import files as disk
from tests.support.fault_harness.count import Count, Unavailable
from tests.support.fault_harness.kills import acknowledged, child
from tests.support.fault_harness.stores import Ours, Stock, lost_of, text_of

__all__ = ["full_disk", "real_power_cuts"]

_SHUTDOWN = 0x8004587D
"""FS_IOC_SHUTDOWN of Linux, with the flag 2: the file system stops at once and loses the data in memory."""


@contextmanager
def _mounted(image: Path, where: Path) -> Iterator[None]:
    where.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "-o", "loop", str(image), str(where)], capture_output=True, text=True)
    if done.returncode:
        raise Unavailable(f"no file system can be mounted: {done.stderr.strip() or 'it takes root'}")
    try:
        yield
    finally:
        gc.collect()  # a session that is still in memory keeps its folder open
        for _ in range(50):
            if subprocess.run(["umount", str(where)], capture_output=True).returncode == 0:
                break
            time.sleep(0.05)
        else:
            raise AssertionError("the file system can't be unmounted")


def _made(folder: Path, megabytes: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    image = folder / "disk"
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    if shutil.which("mkfs.ext4") is None or os.geteuid():
        raise Unavailable("it takes root and mkfs.ext4")
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True, capture_output=True)
    return image


def real_power_cuts(store: Ours | Stock, folder: Path, trials: int, seed: int = 0, *, fsync: bool = True) -> Count:
    """Cut the power of an ext4 file system `trials` times while a writer saves, then mount it again and read.

    If `fsync` is false, the store's fsync does nothing: then entries must be lost, which proves that the cut works.
    """
    rng = random.Random(seed)
    name = "power cut of an ext4 file system" + ("" if fsync else ", fsync left out")
    count = Count(name, store.name, beyond=not fsync)
    image, where = _made(folder, 64), folder / "mounted"
    place = where / "stock.json"
    expected: set[str] = set()
    for trial in range(trials):
        with _mounted(image, where):
            if trial % 20 == 0 or not place.exists():
                for old in where.glob("s*"):
                    shutil.rmtree(old) if old.is_dir() else old.unlink()
                place, expected = store.make(where), set()
                subprocess.run(["sync", "-f", str(where)], check=True)
            new = _until_the_cut(store, place, where, trial, rng.uniform(0.002, 0.12), fsync)
        count.trials += 1
        count.saved += len(new)
        expected |= {text_of(*each) for each in new}
        with _mounted(image, where):
            lost = lost_of(store, place, sorted(expected))
            count.lost += lost
            if lost:
                expected = set()
                shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
    image.unlink()
    return count


def _save_while_full(store: Ours | Stock, place: Path, ballast: Path, rounds: int, count: Count) -> list[str]:
    """Save entries and return those that were acknowledged; `count` gets the number of attempts and of crashes."""
    saved: list[str] = []
    number = 0
    with store.session(place) as session:
        for turn in range(rounds):
            with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while True:
                    file.write(b"\xa5" * (4096 if turn % 2 else 1024))
            for full in (True, True, True, False, False):
                if not full:
                    ballast.unlink(missing_ok=True)
                number += 1
                count.trials += 1
                try:
                    session.save(text_of(2, number))
                    saved.append(text_of(2, number))
                except Exception as error:
                    count.crashes += not store.is_expected(error) or not full
    return saved


def _until_the_cut(
    store: Ours | Stock, place: Path, where: Path, writer: int, seconds: float, fsync: bool
) -> list[tuple[int, int]]:
    def work(pipe: int) -> None:
        with contextlib.ExitStack() as stack:
            if not fsync:
                stack.enter_context(mock.patch.object(disk.os, "fsync", return_value=None))
            session = stack.enter_context(store.session(place))
            for number in range(1_000_000):
                session.save(text_of(writer, number))
                os.write(pipe, struct.pack("II", writer, number))

    pid, pipe = child(work, quiet=True)
    first = os.read(pipe, 8)
    time.sleep(seconds)
    descriptor = os.open(where, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", 2))
    except OSError as error:
        raise Unavailable(f"the kernel can't cut the power of a file system: {error.strerror}") from error
    finally:
        os.close(descriptor)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return [*struct.iter_unpack("II", first), *acknowledged(pipe)]


def full_disk(store: Ours | Stock, folder: Path, rounds: int) -> Count:
    """Fill a small file system to the last block `rounds` times while entries are saved, and empty it again."""
    count = Count("a disk that is really full", store.name)
    image, where = _made(folder, 8), folder / "mounted"
    with _mounted(image, where):
        place = store.make(where)
        saved = _save_while_full(store, place, where / "ballast", rounds, count)
        count.saved = len(saved)
        count.lost = lost_of(store, place, saved)
    image.unlink()
    return count

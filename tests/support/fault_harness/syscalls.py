"""Failure of each system call of a save in turn, and a power cut after each, by a replacement of the store's `os`.

TinyDB's own storage writes through a file handle, which gets the same faults.
"""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import types
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from tinydb import storages

from ratui import files as disk
from ratui.errors import StoreError
from ratui.study.store import folder as study_folder
from ratui.study.store import open_folder
from tests.support.fault_harness.count import Count
from tests.support.fault_harness.stores import Ours, Stock, text_of

__all__ = ["CALLS", "KINDS", "Died", "failing_calls", "power_cuts"]

CALLS = ("open", "write", "fsync", "close", "replace", "fchmod", "flush", "truncate")
KINDS = ("ENOSPC", "EIO", "short write", "death")


class Died(BaseException):
    """Raised in place of the end of the process: no handler runs that a killed process would not run."""


class Faulty:
    """A counter of calls that causes `kind` at call number `at`; 0 causes nothing."""

    def __init__(self, kind: str, at: int) -> None:
        self.kind, self.at = kind, at
        self.calls: list[str] = []
        self.done = False
        self.armed = False

    def call(self, name: str, real: Callable[..., Any], *arguments: Any) -> Any:
        if not self.armed:
            return real(*arguments)
        if self.done and self.kind == "death":
            raise Died  # nothing happens after the end of the process, not even cleanup
        self.calls.append(name)
        if len(self.calls) != self.at or self.done:
            return real(*arguments)
        self.done = True
        if self.kind == "death":
            raise Died
        if self.kind == "short write":
            if name != "write":
                self.done = False
                return real(*arguments)
            half = arguments[-1][: max(len(arguments[-1]) // 2, 1)]
            real(*arguments[:-1], half)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        code = errno.ENOSPC if self.kind == "ENOSPC" else errno.EIO
        if name == "close":
            real(*arguments)  # a close that reports an error has closed the file
        raise OSError(code, os.strerror(code))


@contextmanager
def _faulty(store: Ours | Stock, fault: Faulty) -> Iterator[None]:
    """Yield `store` with `fault` inserted into its calls."""
    names = [name for name in dir(os) if not name.startswith("__")]
    fake = types.SimpleNamespace(**{name: getattr(os, name) for name in names})
    for name in CALLS:
        if hasattr(os, name):
            setattr(fake, name, lambda *a, name=name, **k: fault.call(name, lambda *b: getattr(os, name)(*b, **k), *a))
    if isinstance(store, Ours):
        fake.unlink = lambda *a, **k: fault.call("unlink", lambda *b: os.unlink(*b, **k), *a)
        with ExitStack() as patched:
            for module in (disk, study_folder, open_folder):
                patched.enter_context(mock.patch.object(module, "os", fake))
            yield
        return

    class Handle:
        def __init__(self, real: Any) -> None:
            self._real = real

        def __getattr__(self, name: str) -> Any:
            real = getattr(self._real, name)
            return (lambda *a: fault.call(name, real, *a)) if name in CALLS else real

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            self._real.close()

    def opened(*a: Any, **k: Any) -> Any:
        return Handle(open(*a, **k))  # noqa: PTH123

    with mock.patch.object(storages, "os", fake), mock.patch.object(storages, "open", opened, create=True):
        yield


def failing_calls(store: Ours | Stock, folder: Path, before: int = 3) -> Iterator[Count]:
    """Let every call of a save fail in turn with each kind of fault, after `before` entries; yield a count per kind."""
    for kind in KINDS:
        count = Count(f"{kind} at each call of a save", store.name)
        for at in range(1, 100):
            shutil.rmtree(folder, ignore_errors=True)
            fault = Faulty(kind, at)
            if _one(store, store.make(folder), fault, before, count) is None:
                break
        else:
            raise AssertionError("a save has no end of calls")
        yield count


def _one(store: Ours | Stock, place: Path, fault: Faulty, before: int, count: Count) -> bool | None:
    """Save once with `fault`; return None if the save has fewer calls."""
    saved = [text_of(0, number) for number in range(before)]
    try:
        with _faulty(store, fault), store.session(place) as session:
            for text in saved:
                session.save(text)
            text = text_of(0, before)
            fault.armed = True
            try:
                session.save(text)
                saved.append(text)
            except Died:
                pass
            except Exception as error:
                count.crashes += isinstance(store, Ours) and not isinstance(error, StoreError)
            fault.armed = fault.kind == "death" and fault.done
            if not fault.done and len(fault.calls) < fault.at:
                return None
            count.trials += 1
            if fault.kind != "death":  # the disk works again: the next entry must be saved
                after = text_of(0, before + 1)
                session.save(after)
                saved.append(after)
    except Died:
        pass
    except Exception:
        count.crashes += 1
    count.saved += len(saved)
    try:
        found = set(store.entries(place))
    except Exception:
        found = set()
    count.lost += sum(text not in found for text in saved)
    return True


def power_cuts(folder: Path, saves: int = 4) -> Count:
    """Cut the power after each call of some saves, and check every state of the disk that these calls allow.

    Data without an fsync may be missing: the content of a file, all or half of it, and any of the new names.
    """
    store = Ours()
    count = Count("power cut after each call, every outcome", store.name)
    place = store.make(folder)
    file = place / "readings" / "anna" / "C-AAAAAA.json"
    with store.session(place) as session:
        session.save(text_of(0, 0))
        for number in range(1, saves + 1):
            durable = {path.name: path.read_bytes() for path in (file, disk.second_copy_path(file))}
            trace = _Trace()
            with trace.recording():
                session.save(text_of(0, number))
            for cut in range(len(trace.events) + 1):
                finished = cut == len(trace.events)
                count.saved += finished
                for names in trace.outcomes(durable, cut):
                    count.trials += 1
                    count.lost += not _holds(folder / "cut", place, names, number + finished)
    return count


def _holds(cut: Path, place: Path, names: dict[str, bytes], expected: int) -> bool:
    """Return whether a study whose reading has the files `names` still has the first `expected` entries."""
    if not cut.exists():
        shutil.copytree(place, cut)
    where = cut / "readings" / "anna"
    for path in where.iterdir():
        path.unlink()
    for name, data in names.items():
        (where / name).write_bytes(data)
    try:
        found = set(Ours().entries(cut))
    except Exception:
        return False
    return all(text_of(0, number) in found for number in range(expected))


class _Trace:
    """The effects of one save on the disk: ("file", name, data, synced), ("rename", old, new) and ("folder",) events."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self._names: dict[int, str] = {}

    @contextmanager
    def recording(self) -> Iterator[None]:
        fake = types.SimpleNamespace(**{name: getattr(os, name) for name in dir(os) if not name.startswith("__")})

        def opened(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
            descriptor = os.open(path, flags, mode, dir_fd=dir_fd)
            self._names[descriptor] = Path(path).name
            if flags & os.O_CREAT:
                self.events.append(("create", Path(path).name))
            return descriptor

        def write(descriptor: int, data: Any) -> int:
            self.events.append(("write", self._names[descriptor], bytes(data)))
            return os.write(descriptor, data)

        def fsync(descriptor: int) -> None:
            os.fsync(descriptor)
            # The folder was opened by another module.
            name = self._names.get(descriptor) or Path(f"/proc/self/fd/{descriptor}").readlink().name
            self.events.append(("folder",) if name == "anna" else ("sync", name))

        def replace(old: Any, new: Any, **folders: int | None) -> None:
            os.replace(old, new, **folders)  # noqa: PTH105
            self.events.append(("rename", Path(old).name, Path(new).name))

        fake.open, fake.write, fake.fsync, fake.replace = opened, write, fsync, replace
        with mock.patch.object(disk, "os", fake):
            yield

    def outcomes(self, durable: dict[str, bytes], cut: int) -> Iterator[dict[str, bytes]]:
        """Yield every set of files that may exist after a power cut after `cut` events."""
        content: dict[str, bytes] = {}
        synced: set[str] = set()
        pending: list[tuple[str, str]] = []  # (written file, its final name)
        base = dict(durable)
        for event in self.events[:cut]:
            match event:
                case ("create", name):
                    content[name] = b""
                    pending.append((name, name))
                case ("write", name, data):
                    content[name] += data
                case ("sync", name):
                    synced.add(name)
                case ("rename", old, new):
                    pending.append((old, new))
                case ("folder",):
                    for old, new in pending:
                        base[new] = content[old]
                    pending = []
        for chosen in itertools.product((False, True), repeat=len(pending)):
            for part in (0.0, 0.5, 1.0):
                names = dict(base)
                for (old, new), there in zip(pending, chosen, strict=True):
                    if there:
                        whole = content[old]
                        names[new] = whole if old in synced else whole[: int(part * len(whole))]
                yield names

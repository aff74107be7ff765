"""Report faults of the program by type and place, and never with the values that it was working on.

Messages of exceptions, local variables and arguments may name a patient. So the log contains types of exceptions, lines of
code, versions and times only. Modules write a warning that is worth keeping to ``logging.getLogger("ratui")``, without any
text from a film.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from traceback import walk_tb
from types import CodeType, TracebackType
from typing import Any

from ratui.errors import clean_text

__all__ = [
    "EXIT_FAULT",
    "LogFile",
    "describe_fault",
    "find_log_path",
    "list_fault_frames",
    "open_log",
    "record_fault",
    "report_fault",
    "report_faults_of_threads",
]

EXIT_FAULT = 70
"""Exit code after a fault of the program, as in the BSD convention (EX_SOFTWARE)."""

_LOGGER = logging.getLogger("ratui")
_MAX_LOG_BYTES = 200_000
_MAX_FRAMES = 80
_MAX_ERRORS = 10
_PACKAGES = (
    "ratui",
    "textual",
    "numpy",
    "opencv-python-headless",
    "pillow",
    "pydicom",
    "tinydb",
    "torch",
    "torchvision",
)


def find_log_path() -> Path:
    """Return the path of the user's log; the file need not exist. Raises RuntimeError if the user has no home folder."""
    from platformdirs import user_log_path  # a program without a fault never needs it

    return user_log_path("ratui") / "ratui.log"


def open_log() -> None:
    """Write warnings and faults of this process to the user's log from now on, and nowhere else."""
    if _find_log() is None:
        _LOGGER.addHandler(LogFile())
        _LOGGER.propagate = False


class LogFile(logging.Handler):
    """A log that only its user can read, of limited size.

    The file is opened for each record, so that several programs can share it. A full file becomes ``ratui.log.1``.

    Parameters
    ----------
    path
        The file; by default the user's log.
    limit
        The size in bytes that the file may reach.
    """

    def __init__(self, path: Path | None = None, *, limit: int = _MAX_LOG_BYTES) -> None:
        super().__init__(logging.WARNING)
        self._path = path
        self._limit = limit
        self.is_writable = True
        """False if the latest record could not be written."""
        self.setFormatter(_Formatter())

    @property
    def path(self) -> Path:
        """The file. Raises RuntimeError if the user has no home folder."""
        return self._path or find_log_path()

    def emit(self, record: logging.LogRecord) -> None:
        """Append `record` to the file."""
        try:
            self._append(f"{self.format(record)}\n".encode(errors="replace"))
            self.is_writable = True
        except Exception:  # a fault of the report must not hide the fault that it reports
            self.is_writable = False

    def _append(self, data: bytes) -> None:
        path = self.path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fchmod(folder, 0o700)
            descriptor = _open_file(path.name, folder)
            try:
                size = os.fstat(descriptor).st_size
                if size and size + len(data) > self._limit:
                    os.close(descriptor)
                    os.replace(path.name, f"{path.name}.1", src_dir_fd=folder, dst_dir_fd=folder)
                    descriptor = _open_file(path.name, folder)
                left = memoryview(data)
                while left:
                    left = left[os.write(descriptor, left) :]
            finally:
                with suppress(OSError):
                    os.close(descriptor)
        finally:
            os.close(folder)


def _open_file(name: str, folder: int) -> int:
    """Open the log in `folder` for appending. Raises OSError for anything but a regular file."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(name, flags, 0o600, dir_fd=folder)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        os.fchmod(descriptor, 0o600)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


class _Formatter(logging.Formatter):
    """Time, level and message; of an exception only what `describe_fault` returns."""

    default_time_format = "%Y-%m-%d %H:%M:%S%z"
    default_msec_format = ""

    def format(self, record: logging.LogRecord) -> str:
        text = f"{self.formatTime(record)} {record.levelname} {record.getMessage()}"
        error = record.exc_info[1] if record.exc_info else None
        return f"{text}\n{describe_fault(error)}" if error is not None else text


def record_fault(error: BaseException) -> Path | None:
    """Write type and place of `error` to the user's log; return the log's path, or None if it could not be written."""
    open_log()
    log = _find_log()
    assert log is not None
    _LOGGER.error("fault of the program; %s", _versions(), exc_info=error)
    return log.path if log.is_writable else None


def report_fault(program: str, error: BaseException) -> str:
    """Record `error` in the log and return the sentence for the user of `program`.

    Parameters
    ----------
    program
        The name of the command, such as ``ratui-train``.
    error
        The fault. Its message is never used.

    Returns
    -------
    str
        One sentence without a line break.
    """
    path = record_fault(error)
    where = f"the log is at {clean_text(path, 300)}" if path else "no log could be written"
    return f"{program}: a fault of the program ended it; saved entries are safe, and {where}"


def report_faults_of_threads(on_fault: Callable[[BaseException], None]) -> None:
    """Keep Python from printing faults of threads, of finalizers and of code outside any `try`.

    Parameters
    ----------
    on_fault
        Called with the fault of a thread, in that thread. Faults of finalizers are only logged: Python ignores them too.
    """

    def end_of_program(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        on_fault(error)

    def end_of_thread(fault: Any) -> None:
        if fault.exc_value is not None and not issubclass(fault.exc_type, SystemExit):
            on_fault(fault.exc_value)

    def in_finalizer(fault: Any) -> None:
        if fault.exc_value is not None:
            _LOGGER.warning("Python ignored a fault", exc_info=fault.exc_value)

    sys.excepthook = end_of_program
    threading.excepthook = end_of_thread
    sys.unraisablehook = in_finalizer


def describe_fault(error: BaseException) -> str:
    """Return types and frames of `error` and of the exceptions that led to it, one line each; no message, no value."""
    lines: list[str] = []
    for relation, each in _chain(error):
        lines.append(f"{relation}{_name_type(each)}")
        lines += [f"  {frame}" for frame in list_fault_frames(each)]
    return "\n".join(lines)


def list_fault_frames(error: BaseException) -> list[str]:
    """Return the lines of code that `error` passed through, outermost first, as ``file, line number, function``."""
    found = [(frame.f_code, line) for frame, line in walk_tb(error.__traceback__)]
    frames = [f"{_short_path(code)}, line {line}, {code.co_qualname}" for code, line in found]
    left_out = len(frames) - _MAX_FRAMES
    if left_out > 0:  # a recursion without end
        half = _MAX_FRAMES // 2
        frames[half:-half] = [f"… {left_out} more …"]
    return frames


def _chain(error: BaseException) -> Iterator[tuple[str, BaseException]]:
    """Yield `error` and the exceptions that it came from, with words for the relation."""
    waiting: list[tuple[str, BaseException]] = [("", error)]
    seen: set[int] = set()
    while waiting and len(seen) < _MAX_ERRORS:
        relation, each = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield relation, each
        if each.__cause__ is not None:
            waiting.append(("caused by ", each.__cause__))
        elif each.__context__ is not None and not each.__suppress_context__:
            waiting.append(("while handling ", each.__context__))
        if isinstance(each, BaseExceptionGroup):
            waiting += [("part of the group ", part) for part in each.exceptions]


def _name_type(error: BaseException) -> str:
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    if isinstance(error, OSError) and error.errno is not None and error.errno in errno.errorcode:
        return f"{name} {errno.errorcode[error.errno]}"
    return name


def _short_path(code: CodeType) -> str:
    """Return the file of `code` within the folder that Python imported it from; another file's name alone."""
    path = Path(code.co_filename)
    folders = [Path(each) for each in sys.path if each and path.is_relative_to(each)]
    longest = max(folders, key=lambda folder: len(folder.parts), default=path.parent)
    return path.relative_to(longest).as_posix()


def _versions() -> str:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found = [f"Python {platform.python_version()}", f"{sys.platform} {platform.machine()}"]
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            found.append(f"{name} {version(name)}")
    return ", ".join(found)


def _find_log() -> LogFile | None:
    return next((each for each in _LOGGER.handlers if isinstance(each, LogFile)), None)

"""Unpack ZIP and tar archives of films into a temporary folder, within limits. No name of an archive becomes a path.

What an archive declares is checked before memory or disk space is used. Every entry is unpacked or listed with a reason.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ratui.imaging import MAX_FILE_BYTES
from ratui.study.copies.archive_limits import check_free_space
from ratui.study.importing.files.archive_entries import (
    STUDY,
    ArchiveEntry,
    ArchiveKind,
    UnreadableArchiveError,
    read_tar,
    read_zip,
)

__all__ = [
    "HIDDEN",
    "STUDY",
    "ArchiveKind",
    "ScratchFolder",
    "SkippedItem",
    "SourceFile",
    "find_archive_kind",
    "is_hidden",
    "unpack_archive",
]

_SUFFIX = re.compile(r"\.(dcm|dicom|png|jpe?g|tiff?|bmp)")
_DAMAGED_ENTRY = "it is damaged in the archive. Get the archive again"
HIDDEN = "a hidden file or folder"
"""Reason of files and folders that are hidden."""
_NESTED = "an archive inside an archive. Unpack the outer one"
_PREFIX = "ratui-import-"
_LOCK = "lock"
_RESERVE = 500_000_000  # bytes that stay free on the disk


@dataclass(frozen=True)
class SourceFile:
    """A file to import.

    Attributes
    ----------
    origin
        Where it was found: its path, or the path of its archive followed by its name in the archive.
    path
        The file to read; for a file in an archive, in a temporary folder.
    """

    origin: Path
    path: Path


@dataclass(frozen=True)
class SkippedItem:
    """A file, folder, link or entry of an archive that is not read as a film, with the reason.

    Attributes
    ----------
    origin
        Where it was found, see `SourceFile`.
    reason
        The reason. It repeats no text of a film.
    is_harmless
        No film is missed: it is a hidden file, an empty folder, or it is read in another place.
    """

    origin: Path
    reason: str
    is_harmless: bool = False


class ScratchFolder:
    """A private temporary folder (mode 0700) for the files of archives, made at the first use, and removed by `close`.

    The files contain names of patients. An import that was killed can't remove its folder. The next import of the same
    account does: nobody has its lock.
    """

    def __init__(self) -> None:
        self._path: Path | None = None  # real path
        self._lock = -1
        self._count = 0

    def __enter__(self) -> ScratchFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def is_at(self, path: Path) -> bool:
        """Return whether `path`, a real path, is this folder."""
        return path == self._path

    def make_path(self, suffix: str, size: int) -> Path:
        """Return the path of a new file with this suffix for `size` bytes. Raises StoreError if the disk is too full."""
        if self._path is None:
            _remove_abandoned()
            self._path = Path(tempfile.mkdtemp(prefix=_PREFIX)).resolve()
            self._lock = os.open(self._path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        check_free_space(self._path, size + _RESERVE)
        self._count += 1
        return self._path / f"{self._count:06d}{suffix}"

    def close(self) -> None:
        """Remove the folder and its files."""
        if self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)
            os.close(self._lock)
            self._path = None


def find_archive_kind(path: Path) -> ArchiveKind:
    """Return the kind of the archive at `path` by its content, ``unsupported`` for others, or "" if it is none.

    A DICOM file is none, whatever its preamble contains. A file that can't be read is none.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - of a descriptor
            head = file.read(512)
    except OSError:
        return ""
    if head[128:132] == b"DICM":
        return ""
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        return "zip"
    if _is_tar_header(head):
        return "tar"
    if head.startswith(b"\x1f\x8b"):
        return "tar.gz"
    if head.startswith(b"BZh"):
        return "tar.bz2"
    if head.startswith(b"\xfd7zXZ\0"):
        return "tar.xz"
    if head.startswith((b"7z\xbc\xaf\x27\x1c", b"Rar!", b"\x28\xb5\x2f\xfd", b"PK\7\x08PK\3\4")):
        return "unsupported"
    return ""


def _is_tar_header(head: bytes) -> bool:
    """Return whether the checksum of a tar header is right; tar files from before POSIX have no other mark."""
    if len(head) < 512 or not head[0]:
        return False
    try:
        stated = int(head[148:156].strip(b" \0") or b"-1", 8)
    except ValueError:
        return False
    return stated == sum(head[:148]) + 8 * ord(" ") + sum(head[156:])


def is_hidden(name: PurePosixPath) -> bool:
    """Return whether a component of `name` begins with a dot, or is the folder in which macOS keeps attributes."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.parts)


def unpack_archive(
    path: Path, kind: ArchiveKind, scratch: ScratchFolder, only: Collection[Path] | None = None
) -> tuple[list[SourceFile], list[SkippedItem]]:
    """Unpack the files of an archive.

    Parameters
    ----------
    path, kind
        The archive and its kind.
    scratch
        Folder for the files.
    only
        Origins to unpack; None unpacks all.

    Returns
    -------
    tuple
        The files, and what was not unpacked; if the archive is damaged, the archive itself is in the second list.

    Raises
    ------
    StoreError
        If the disk is too full.
    """
    files: list[SourceFile] = []
    skipped: list[SkippedItem] = []
    origins: set[Path] = set()
    try:
        for entry in read_zip(path) if kind == "zip" else read_tar(path, kind):
            origin = _choose_origin(path, entry.name, origins)
            if only is not None and origin not in only:
                continue
            problem = entry.problem or _find_problem(entry)
            if not problem:
                target = scratch.make_path(_find_suffix(entry.name), entry.size)
                problem = _unpack(entry, target)
                if not problem:
                    files.append(SourceFile(origin, target))
            if problem:
                skipped.append(SkippedItem(origin, problem, problem == HIDDEN))
    except UnreadableArchiveError as error:
        skipped.append(SkippedItem(path, str(error), str(error) == STUDY))
    if not files and not skipped:
        skipped.append(SkippedItem(path, "the archive contains no file"))
    return files, skipped


def _choose_origin(path: Path, name: str, origins: set[Path]) -> Path:
    """Return an origin that no earlier entry has: an archive may contain a name twice."""
    parts = [part for part in PurePosixPath(name.replace("\\", "/").replace("\0", "?")).parts if part != "/"]
    first = origin = path.joinpath(*(parts or ["?"]))
    count = 1
    while origin in origins:
        count += 1
        origin = first.with_name(f"{first.name} ({count})")
    origins.add(origin)
    return origin


def _find_problem(entry: ArchiveEntry) -> str:
    name = PurePosixPath(entry.name.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts:
        return "its name leads out of the archive. Unpack the archive and check it"
    if is_hidden(name):
        return HIDDEN
    return "the file is too large to be a film" if entry.size > MAX_FILE_BYTES else ""


def _find_suffix(name: str) -> str:
    suffix = PurePosixPath(name).suffix.lower()
    return suffix if _SUFFIX.fullmatch(suffix) else ""


def _unpack(entry: ArchiveEntry, target: Path) -> str:
    """Write an entry to `target`; return a reason if that fails.

    Raises UnreadableArchiveError for damage to the whole archive.
    """
    try:
        with target.open("xb") as file:
            entry.copy_to(file)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        target.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno:
            raise UnreadableArchiveError(f"it can't be unpacked: {os.strerror(error.errno)}") from error
        return _DAMAGED_ENTRY
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    if find_archive_kind(target):
        target.unlink()
        return _NESTED
    return ""


def _remove_abandoned() -> None:
    """Remove folders of this account whose import was killed."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            found = path.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
                continue
            lock = os.open(path / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)

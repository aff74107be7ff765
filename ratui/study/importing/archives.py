"""Unpack ZIP and tar archives of films into a temporary folder, within limits. No name of an archive becomes a path.

What an archive declares is checked before memory or disk space is used. Every entry is unpacked or listed with a reason.
"""

from __future__ import annotations

import bz2
import gzip
import os
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Literal, Protocol, TypeAlias, cast

from ratui.imaging import MAX_FILE_BYTES
from ratui.study.importing.scratch_folder import ScratchFolder

__all__ = [
    "HIDDEN",
    "STUDY",
    "ArchiveKind",
    "SkippedItem",
    "SourceFile",
    "find_archive_kind",
    "is_hidden",
    "unpack_archive",
]

ArchiveKind: TypeAlias = Literal["zip", "tar", "tar.gz", "tar.bz2", "unsupported", "document", ""]

_MAX_ENTRIES = 300_000
_MAX_DIRECTORY_BYTES = 100_000_000  # of the list of entries in a ZIP file
_MAX_RATIO = 200  # of the sizes after and before compression; an 8-bit film of a dark room may reach 100
_SLACK = 100_000_000  # bytes at any ratio
_MAX_HEADER_BYTES = 4_000_000  # that the tar reader may ask for at once
_CHUNK = 1 << 20
_END = struct.Struct("<4s4H2LH")  # end of central directory (APPNOTE.TXT 4.3.16)
_LONGEST_COMMENT = 0xFFFF
_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)  # LZMA may ask for gigabytes of memory
_SUFFIX = re.compile(r"\.(dcm|dicom|png|jpe?g|tiff?|bmp)")
_DAMAGED_ENTRY = "it is damaged in the archive. Get the archive again"
HIDDEN = "a hidden file or folder"
"""Reason of files and folders that are hidden."""
STUDY = "a study of ratui or a backup of one, no films of a hospital. See: ratui restore, ratui merge"
"""Reason of studies and their backups."""
_NESTED = "an archive inside an archive. Unpack the outer one"
_OFFICE_ENTRIES = {"[Content_Types].xml", "mimetype", "META-INF/MANIFEST.MF"}


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


class _Entry(Protocol):
    """An entry of an archive. `problem` is the reason why it is not unpacked, or empty."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def problem(self) -> str: ...
    def copy_to(self, target: IO[bytes]) -> None: ...


class _UnreadableError(Exception):
    """The archive as a whole can't be read further. The text is the reason."""


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
    if head.startswith((b"7z\xbc\xaf\x27\x1c", b"Rar!", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"PK\7\x08PK\3\4")):
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
        for entry in _read_zip(path) if kind == "zip" else _read_tar(path, kind):
            origin = _choose_origin(path, entry.name, origins)
            if only is not None and origin not in only:
                continue
            problem = entry.problem or _find_problem(entry)
            if not problem:
                target = scratch.new_path(_find_suffix(entry.name), entry.size)
                problem = _unpack(entry, target)
                if not problem:
                    files.append(SourceFile(origin, target))
            if problem:
                skipped.append(SkippedItem(origin, problem, problem == HIDDEN))
    except _UnreadableError as error:
        skipped.append(SkippedItem(path, str(error)))
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


def _find_problem(entry: _Entry) -> str:
    name = PurePosixPath(entry.name.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts:
        return "its name leads out of the archive. Unpack the archive and check it"
    if is_hidden(name):
        return HIDDEN
    return "the file is too large to be a film" if entry.size > MAX_FILE_BYTES else ""


def _find_suffix(name: str) -> str:
    suffix = PurePosixPath(name).suffix.lower()
    return suffix if _SUFFIX.fullmatch(suffix) else ""


def _unpack(entry: _Entry, target: Path) -> str:
    """Write an entry to `target`; return a reason if that fails. Raises _UnreadableError for damage to the whole archive."""
    try:
        with target.open("xb") as file:
            entry.copy_to(file)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        target.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno:
            raise _UnreadableError(f"it can't be unpacked: {os.strerror(error.errno)}") from error
        return _DAMAGED_ENTRY
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    if find_archive_kind(target):
        target.unlink()
        return _NESTED
    return ""


def _copy(source: IO[bytes], target: IO[bytes], size: int) -> None:
    """Copy exactly `size` bytes. Raises EOFError if there are fewer."""
    left = size
    while left:
        part = source.read(min(left, _CHUNK))
        if not part:
            raise EOFError
        target.write(part)
        left -= len(part)
    source.read(1)  # at the end, zipfile compares the checksum


@dataclass(frozen=True)
class _ZipEntry:
    archive: zipfile.ZipFile
    info: zipfile.ZipInfo
    name: str
    size: int
    problem: str

    def copy_to(self, target: IO[bytes]) -> None:
        with self.archive.open(self.info) as source:
            _copy(source, target, self.size)


def _read_zip(path: Path) -> Iterator[_ZipEntry]:
    try:
        _check_zip(path)
        with zipfile.ZipFile(path) as archive:
            entries = [info for info in archive.infolist() if not info.is_dir()]
            size = path.stat().st_size
            if sum(info.compress_size for info in entries) > size:
                raise _UnreadableError("files in the archive share their bytes. Get another archive")
            if sum(info.file_size for info in entries) > _MAX_RATIO * size + _SLACK:
                raise _UnreadableError("the archive is compressed more than films can be. Get another archive")
            names = {info.filename for info in entries}
            if "study.toml" in names:
                raise _UnreadableError(STUDY)
            if names & _OFFICE_ENTRIES:
                raise _UnreadableError("a document or a program, no archive of films")
            for info in entries:
                yield _ZipEntry(archive, info, info.filename, info.file_size, _find_zip_problem(info))
    except (zipfile.BadZipFile, NotImplementedError, struct.error, UnicodeDecodeError, OSError, ValueError) as error:
        raise _UnreadableError("the archive is damaged or incomplete. Get it again") from error


def _find_zip_problem(info: zipfile.ZipInfo) -> str:
    if info.flag_bits & _ENCRYPTED:
        return "it is encrypted. Unpack the archive with its password"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "a link inside an archive"
    if info.compress_type not in _METHODS:
        return "it is compressed by a method that can't be read. Unpack the archive with another program"
    return ""


def _check_zip(path: Path) -> None:
    """Raise _UnreadableError if the list of entries is huge or missing: zipfile reads it at once."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size - _END.size - _LONGEST_COMMENT))
        tail = file.read()
    start = tail.rfind(b"PK\5\6")
    if start < 0 or len(tail) - start < _END.size:
        raise _UnreadableError("the archive is incomplete: its end is missing. Get it again")
    _, disk, first_disk, _, entries, length, _, _ = _END.unpack_from(tail, start)
    if (disk, first_disk) not in ((0, 0), (0xFFFF, 0xFFFF)):
        raise _UnreadableError("one of several parts of an archive. Unpack them together")
    # An archive of more than 65,535 entries or 4 GB states these numbers in a 64-bit form, which `zipfile` reads.
    before = size - len(tail) + start
    if entries > _MAX_ENTRIES or (length != 0xFFFFFFFF and length > min(_MAX_DIRECTORY_BYTES, before)):
        raise _UnreadableError("the archive contains more entries than any archive of films")
    if (entries == 0xFFFF or length == 0xFFFFFFFF) and not _is_small_zip64(tail[:start]):
        raise _UnreadableError("the archive contains more entries than any archive of films")


def _is_small_zip64(before_end: bytes) -> bool:
    start = before_end.rfind(b"PK\6\6")
    if start < 0 or len(before_end) - start < 56:
        return True  # `zipfile` then finds none either, and uses the numbers above
    entries, length = struct.unpack_from("<2Q", before_end, start + 32)
    return bool(entries <= _MAX_ENTRIES and length <= _MAX_DIRECTORY_BYTES)


class _BoundedReader:
    """A stream that ends after a number of bytes, and refuses to read a huge part at once, as a header may demand."""

    def __init__(self, stream: IO[bytes], most: int) -> None:
        self._stream, self._most = stream, most
        self.last = b""

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_HEADER_BYTES:
            raise _UnreadableError("the archive is damaged: an entry has a huge header. Get it again")
        self.last = self._stream.read(size)
        self._check()
        return self.last

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence == 0 and offset > self._most:
            raise _UnreadableError("the archive is compressed more than films can be. Get another archive")
        place = self._stream.seek(offset, whence)
        self._check()
        return place

    def tell(self) -> int:
        return self._stream.tell()

    def _check(self) -> None:
        if self._stream.tell() > self._most:
            raise _UnreadableError("the archive is compressed more than films can be. Get another archive")


@dataclass(frozen=True)
class _TarEntry:
    archive: tarfile.TarFile
    member: tarfile.TarInfo
    name: str
    size: int
    problem: str

    def copy_to(self, target: IO[bytes]) -> None:
        source = self.archive.extractfile(self.member)
        assert source is not None
        with source:
            _copy(source, target, self.size)


def _read_tar(path: Path, kind: ArchiveKind) -> Iterator[_TarEntry]:
    count = 0
    try:
        most = _MAX_RATIO * path.stat().st_size + _SLACK
        with _open_stream(path, kind) as stream:
            bounded = _BoundedReader(stream, most)
            with tarfile.open(fileobj=bounded, mode="r:", errorlevel=2) as archive:  # type: ignore[call-overload]
                place = 0
                while (member := archive.next()) is not None:
                    archive.members.clear()  # otherwise it keeps every header
                    count += 1
                    if count > _MAX_ENTRIES:
                        raise _UnreadableError("the archive contains more entries than any archive of films")
                    if member.size < 0 or member.offset_data <= place:  # an entry that leads back, without end
                        raise EOFError
                    place = member.offset_data
                    if not member.isdir():
                        yield _TarEntry(archive, member, member.name, member.size, _find_tar_problem(member))
                # At the end is a block of zeros; without it the archive was cut off between two entries.
                if len(bounded.last) < 512 or bounded.last.strip(b"\0"):
                    raise EOFError
                while kind != "tar" and bounded.read(_CHUNK):
                    pass  # to the end, where the checksum is
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError, OverflowError, RecursionError) as error:
        if count == 0 and kind != "tar":
            raise _UnreadableError("a compressed file that is no tar archive, or damaged. Unpack it") from error
        raise _UnreadableError("the archive is damaged or incomplete: files after the damage are missing") from error


def _open_stream(path: Path, kind: ArchiveKind) -> IO[bytes]:
    if kind == "tar.gz":
        return cast("IO[bytes]", gzip.open(path, "rb"))
    return cast("IO[bytes]", bz2.open(path, "rb")) if kind == "tar.bz2" else path.open("rb")


def _find_tar_problem(member: tarfile.TarInfo) -> str:
    if member.islnk() or member.issym():
        return "a link inside an archive"
    if not member.isreg():
        return "not a regular file"
    return "a sparse file" if member.issparse() else ""

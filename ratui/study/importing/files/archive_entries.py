"""Read the entries of ZIP and tar archives one after the other.

What an archive declares is checked before memory is used for it.
"""

from __future__ import annotations

import bz2
import gzip
import io
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, Protocol, TypeAlias, cast

from ratui.study.importing.files.xz_stream import XzStream

__all__ = ["STUDY", "ArchiveEntry", "ArchiveKind", "UnreadableArchiveError", "read_tar", "read_zip"]

ArchiveKind: TypeAlias = Literal["zip", "tar", "tar.gz", "tar.bz2", "tar.xz", "unsupported", "document", ""]

_MAX_ENTRIES = 300_000
_MAX_DIRECTORY_BYTES = 100_000_000  # of the list of entries in a ZIP file
_MAX_RATIO = 200  # of the sizes after and before compression; an 8-bit film of a dark room may reach 100
_SLACK = 100_000_000  # bytes at any ratio
_MAX_HEADER_BYTES = 4_000_000  # that the tar reader may ask for at once
_CHUNK = 1 << 20
_END = struct.Struct("<4s4H2LH")  # end of central directory (APPNOTE.TXT 4.3.16)
_LONGEST_COMMENT = 0xFFFF
_ENTRY = b"PK\3\4"  # begins an entry of a ZIP file
_UNLISTED = "the archive contains more files than its list names, or is several in one. Unpack it with another program"
_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)  # LZMA may ask for gigabytes of memory
STUDY = "a study of ratui or a backup of one, no films of a hospital. See: ratui restore, ratui merge"
"""Reason of studies and their backups."""
_OFFICE_ENTRIES = {"[Content_Types].xml", "mimetype", "META-INF/MANIFEST.MF"}


class ArchiveEntry(Protocol):
    """A file in an archive."""

    @property
    def name(self) -> str:
        """The name, as the archive states it."""

    @property
    def size(self) -> int:
        """The unpacked size in bytes."""

    @property
    def problem(self) -> str:
        """The reason why it is not unpacked, or empty."""

    def copy_to(self, target: IO[bytes]) -> None:
        """Write the unpacked content to `target`."""


class UnreadableArchiveError(Exception):
    """The archive as a whole can't be read further. The text is the reason."""


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


def read_zip(path: Path) -> Iterator[ArchiveEntry]:
    """Yield the files of the ZIP archive at `path`. Raise UnreadableArchiveError for damage to the whole archive."""
    try:
        _check_zip(path)
        with zipfile.ZipFile(path) as archive:
            entries = [info for info in archive.infolist() if not info.is_dir()]
            size = path.stat().st_size
            if sum(info.compress_size for info in entries) > size:
                raise UnreadableArchiveError("files in the archive share their bytes. Get another archive")
            if sum(info.file_size for info in entries) > _MAX_RATIO * size + _SLACK:
                raise UnreadableArchiveError("the archive is compressed more than films can be. Get another archive")
            names = {info.filename for info in entries}
            if "study.toml" in names:
                raise UnreadableArchiveError(STUDY)
            if names & _OFFICE_ENTRIES:
                raise UnreadableArchiveError("a document or a program, no archive of films")
            for info in entries:
                yield _ZipEntry(archive, info, info.filename, info.file_size, _find_zip_problem(info))
            if _has_unlisted_entries(path, archive):
                raise UnreadableArchiveError(_UNLISTED)
    except (zipfile.BadZipFile, NotImplementedError, struct.error, UnicodeDecodeError, OSError, ValueError) as error:
        raise UnreadableArchiveError("the archive is damaged or incomplete. Get it again") from error


def _has_unlisted_entries(path: Path, archive: zipfile.ZipFile) -> bool:
    """Return whether a file lies between those in the list of entries, as in two archives that were joined to one file."""
    with path.open("rb") as file:

        def begins_entry(start: int, end: int) -> bool:
            file.seek(start)
            return _ENTRY in file.read(min(max(end - start, 0), _CHUNK))

        place = 0
        for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
            if begins_entry(place, info.header_offset):
                return True
            file.seek(info.header_offset + 26)  # the lengths of name and extra field (APPNOTE.TXT 4.3.7)
            place = info.header_offset + 30 + sum(struct.unpack("<2H", file.read(4))) + info.compress_size
        return begins_entry(place, archive.start_dir)


def _find_zip_problem(info: zipfile.ZipInfo) -> str:
    if info.flag_bits & _ENCRYPTED:
        return "it is encrypted. Unpack the archive with its password"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "a link inside an archive"
    if info.compress_type not in _METHODS:
        return "it is compressed by a method that can't be read. Unpack the archive with another program"
    return ""


def _check_zip(path: Path) -> None:
    """Raise UnreadableArchiveError if the list of entries is huge or missing: zipfile reads it at once."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size - _END.size - _LONGEST_COMMENT))
        tail = file.read()
    start = tail.rfind(b"PK\5\6")
    if start < 0 or len(tail) - start < _END.size:
        raise UnreadableArchiveError("the archive is incomplete: its end is missing. Get it again")
    _, disk, first_disk, _, entries, length, _, _ = _END.unpack_from(tail, start)
    if (disk, first_disk) not in ((0, 0), (0xFFFF, 0xFFFF)):
        raise UnreadableArchiveError("one of several parts of an archive. Unpack them together")
    # An archive of more than 65,535 entries or 4 GB states these numbers in a 64-bit form, which `zipfile` reads.
    before = size - len(tail) + start
    if entries > _MAX_ENTRIES or (length != 0xFFFFFFFF and length > min(_MAX_DIRECTORY_BYTES, before)):
        raise UnreadableArchiveError("the archive contains more entries than any archive of films")
    if (entries == 0xFFFF or length == 0xFFFFFFFF) and not _is_small_zip64(tail[:start]):
        raise UnreadableArchiveError("the archive contains more entries than any archive of films")


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
            raise UnreadableArchiveError("the archive is damaged: an entry has a huge header. Get it again")
        self.last = self._stream.read(size)
        self._check()
        return self.last

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence == 0 and offset > self._most:
            raise UnreadableArchiveError("the archive is compressed more than films can be. Get another archive")
        place = self._stream.seek(offset, whence)
        self._check()
        return place

    def tell(self) -> int:
        return self._stream.tell()

    def _check(self) -> None:
        if self._stream.tell() > self._most:
            raise UnreadableArchiveError("the archive is compressed more than films can be. Get another archive")


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


def read_tar(path: Path, kind: ArchiveKind) -> Iterator[ArchiveEntry]:
    """Yield the files of a tar archive. Raise UnreadableArchiveError for damage to the rest of the archive."""
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
                        raise UnreadableArchiveError("the archive contains more entries than any archive of films")
                    if member.size < 0 or member.offset_data <= place:  # an entry that leads back, without end
                        raise EOFError
                    place = member.offset_data
                    if not member.isdir():
                        yield _TarEntry(archive, member, member.name, member.size, _find_tar_problem(member))
                # At the end is a block of zeros; without it the archive was cut off between two entries.
                if len(bounded.last) < 512 or bounded.last.strip(b"\0"):
                    raise EOFError
                while rest := bounded.read(_CHUNK):  # to the end, where the checksum of a compressed one is
                    if rest.strip(b"\0"):
                        raise UnreadableArchiveError(_UNLISTED)
    except (
        tarfile.TarError,
        zlib.error,
        EOFError,
        OSError,
        ValueError,
        OverflowError,
        RecursionError,
    ) as error:
        if count == 0 and kind != "tar":
            raise UnreadableArchiveError("a compressed file that is no tar archive, or damaged. Unpack it") from error
        raise UnreadableArchiveError(
            "the archive is damaged or incomplete: files after the damage are missing"
        ) from error


def _open_stream(path: Path, kind: ArchiveKind) -> IO[bytes]:
    if kind == "tar.gz":
        return cast("IO[bytes]", gzip.open(path, "rb"))
    if kind == "tar.xz":
        return cast("IO[bytes]", io.BufferedReader(XzStream(path)))
    return cast("IO[bytes]", bz2.open(path, "rb")) if kind == "tar.bz2" else path.open("rb")


def _find_tar_problem(member: tarfile.TarInfo) -> str:
    if member.islnk() or member.issym():
        return "a link inside an archive"
    if not member.isreg():
        return "not a regular file"
    return "a sparse file" if member.issparse() else ""

"""Find the files to import in folders, links, archives and file sets; everything that is not read is listed with its reason.

The files of archives are unpacked into a private temporary folder, which exists as long as `open_sources` is open.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ratui.errors import FilmError, StudyError
from ratui.study.importing.files.archive_entries import STUDY, ArchiveKind
from ratui.study.importing.files.archives import (
    HIDDEN,
    ScratchFolder,
    SkippedItem,
    SourceFile,
    find_archive_kind,
    unpack_archive,
)
from ratui.study.importing.reader.file_set import FileId
from ratui.study.importing.reader.film_header import FilmHeader
from ratui.study.importing.reader.film_maker import ConvertedFilm, FilmConverter, FilmRequest
from ratui.study.importing.reader.reader_process import ReaderProcess

__all__ = ["LocatedConverter", "SkippedItem", "SourceFile", "Sources", "list_source_files", "open_sources"]

_MAX_FILES = 1_000_000
_FOLDER_REMEDY = "Give DICOM files or a folder of them"
_EMPTY = "an empty folder"
_READ_ANYWAY = "a link to a file or folder that is read anyway"
_LEADS_BACK = "a link that leads back to a folder above it"
_FILE_SET = "a DICOMDIR, the list of the files beside it"
_NOT_LISTED = "the DICOMDIR does not list it. Give the folder to import it too"
_MISSING = "the DICOMDIR lists this file, but it is missing. Get it, or the whole disc again"
_UNSUPPORTED = "an archive of a kind that can't be read. Unpack it, and import the folder"
_HARMLESS = {STUDY, _EMPTY, _READ_ANYWAY, _LEADS_BACK, _FILE_SET, _NOT_LISTED, HIDDEN}


@dataclass(frozen=True)
class Sources:
    """The files to import, and what is not read.

    Attributes
    ----------
    files
        The file to read by its origin, in the order of the origins. See `SourceFile`.
    skipped
        Files, folders, links and entries of archives that are not read, each with a reason.
    """

    files: Mapping[Path, Path]
    skipped: tuple[SkippedItem, ...]


class LocatedConverter:
    """A converter that reads the file of each origin, and refuses a file that changed after its header was read."""

    def __init__(self, converter: FilmConverter, files: Mapping[Path, Path]) -> None:
        self._converter, self._files = converter, files
        self._states: dict[Path, tuple[int, ...]] = {}

    def read_header(self, path: Path) -> FilmHeader:
        """Return what the header of the file with the origin `path` says about the film. Raises FilmError."""
        file = self._files.get(path, path)
        self._states[path] = _state(file)
        return self._converter.read_header(file)

    def convert(self, path: Path, request: FilmRequest) -> ConvertedFilm:
        """Return the film with the origin `path`, de-identified. Raises FilmError."""
        file = self._files.get(path, path)
        before = self._states.setdefault(path, _state(file))
        converted = self._converter.convert(file, request)
        if _state(file) != before:
            raise FilmError("it has changed since it was read first", path, "Import it again when it is complete")
        return converted


def _state(file: Path) -> tuple[int, ...]:
    """Return what differs after a change of `file`, nothing if it can't be read: the reader reports that."""
    try:
        found = file.stat()
    except OSError:
        return ()
    return found.st_size, found.st_mtime_ns, found.st_ino, found.st_dev


@contextmanager
def open_sources(
    paths: Iterable[Path], named: Collection[Path] = (), *, excluded: Collection[Path] = ()
) -> Iterator[Sources]:
    """Find the files to import; unpacked files are removed at the end of the block.

    Parameters
    ----------
    paths
        DICOM files, folders, ZIP and tar archives, and DICOMDIR files. A DICOMDIR stands for the files that it lists.
    named
        Absolute paths of the files of a manifest. One of them may lead into an archive: ``films.zip/series/film.dcm``.
    excluded
        Absolute paths of files that are neither read nor listed.

    Raises
    ------
    StudyError
        If a path does not exist, a DICOMDIR in `paths` is damaged, there are more than a million files, or nothing is found.
    """
    with ScratchFolder() as scratch, ReaderProcess() as reader:
        search = _Search(scratch, reader, excluded)
        for path in paths:
            search.add(path)
        search.add_named(named)
        search.follow_links()
        search.compare_file_sets()
        if not search.files and not [item for item in search.skipped if item.reason != _EMPTY]:
            where = ", ".join(str(item.origin) for item in search.skipped)
            problem = "the folder contains no file" if search.skipped else "there is no file to import"
            raise StudyError(problem, where, _FOLDER_REMEDY)
        order = [*(path for path in named if path in search.files), *sorted(search.files)]
        yield Sources({origin: search.files[origin] for origin in dict.fromkeys(order)}, tuple(search.skipped))


def list_source_files(folder: Path) -> dict[Path, tuple[int, int]]:
    """Return size in bytes and time of modification in nanoseconds of each file in `folder`; archives are not unpacked.

    Raises StudyError if the folder does not exist, or contains more than a million files.
    """
    with ScratchFolder() as scratch, ReaderProcess() as reader:
        search = _Search(scratch, reader, are_opened=False)
        search.add(folder)
        search.follow_links()
    result = {}
    for path in search.files:
        with contextlib.suppress(OSError):  # removed meanwhile
            found = path.stat()
            result[path] = (found.st_size, found.st_mtime_ns)
    return result


class _Search:
    """A search for files. `files` and `skipped` are its results. `are_opened` is whether files are opened for their kind."""

    def __init__(
        self,
        scratch: ScratchFolder,
        reader: ReaderProcess,
        excluded: Collection[Path] = (),
        *,
        are_opened: bool = True,
    ) -> None:
        self.files: dict[Path, Path] = {}
        self.skipped: list[SkippedItem] = []
        self._scratch, self._reader = scratch, reader
        self._excluded, self._are_opened = set(excluded), are_opened
        self._folders: set[Path] = set()  # real paths
        self._unpacked: set[Path] = set()
        self._links: list[Path] = []
        self._file_sets: list[Path] = []  # origins

    def add(self, path: Path) -> None:
        """Add what the user gave. Raises StudyError if it does not exist."""
        try:
            real = path.resolve(strict=True)
            found = real.stat()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise StudyError("there is no such file or folder", path, "Check the path") from error
        except (OSError, RuntimeError) as error:
            raise StudyError(f"it can't be read: {_describe_error(error)}", path, "Check the path") from error
        if stat.S_ISDIR(found.st_mode):
            if _is_study(real):
                raise StudyError("it is a study of ratui, no films of a hospital", path, "See: ratui merge")
            self._add_folder(real)
        elif _is_file_set(real):
            self._add_file_set(real)
        else:
            self._add_file(real, found)

    def add_named(self, named: Collection[Path]) -> None:
        """Add the files of a manifest; of an archive only those that it names."""
        archives: dict[Path, set[Path]] = {}
        skipped = {item.origin for item in self.skipped}
        for path in named:
            if path in self.files or path in skipped:
                continue
            archive = _find_archive_above(path)
            if archive is None:
                if path.exists() and not path.is_file():
                    self._skip(path, "not a regular file")
                elif find_archive_kind(path) == "unsupported":
                    self._skip(path, _UNSUPPORTED)
                else:
                    self.files[path] = path  # also if it is missing: the reader then says so
            elif archive not in self._unpacked:
                archives.setdefault(archive, set()).add(path)
        for archive, only in archives.items():
            self._unpack(archive, find_archive_kind(archive), only)
            known = {*self.files, *(item.origin for item in self.skipped)}
            for path in sorted(only - known):
                self._skip(path, "the archive does not contain this file")

    def follow_links(self) -> None:
        """Add what links lead to. They come last, so that a folder is found under its own name if it is searched anyway."""
        while self._links:
            link = self._links.pop(0)
            try:
                target = link.resolve(strict=True)
                found = target.stat()
            except (OSError, RuntimeError) as error:
                leads = "to itself" if getattr(error, "errno", errno.ELOOP) == errno.ELOOP else "to nothing"
                reason = f"a link that can't be followed: {_describe_error(error)}"
                if isinstance(error, RuntimeError) or error.errno in (errno.ELOOP, errno.ENOENT, errno.ENOTDIR):
                    reason = f"a link that leads {leads}"
                self._skip(link, reason)
                continue
            if target in self._folders or target in self.files:
                self._skip(link, _READ_ANYWAY)
            elif not stat.S_ISDIR(found.st_mode):
                self._add_file(target, found)
            elif link.parent.resolve().is_relative_to(target):
                self._skip(link, _LEADS_BACK)
            else:
                self._add_folder(target)

    def compare_file_sets(self) -> None:
        """List the files that a DICOMDIR names and that are missing."""
        for origin in self._file_sets:
            try:
                ids = self._reader.read_file_set(self.files.pop(origin, origin))
            except FilmError as error:
                self._skip(origin, f"{error.problem}. Files that are missing can't be noticed")
                continue
            self._skip(origin, _FILE_SET)
            others = [*self._excluded, *(item.origin for item in self.skipped)]
            known = _index_names(origin.parent, [*self.files, *others])
            for file_id in ids:
                if _normalize(file_id) not in known:
                    self._skip(origin.parent.joinpath(*file_id), _MISSING)
        self._file_sets = []

    def _skip(self, origin: Path, reason: str) -> None:
        self.skipped.append(SkippedItem(origin, reason, reason in _HARMLESS))

    def _add_folder(self, folder: Path) -> None:
        """Search `folder`, a real path, and all folders below it."""
        waiting = [folder]
        while waiting:
            current = waiting.pop()
            if current in self._folders or self._scratch.is_at(current):
                continue
            self._folders.add(current)
            if _is_study(current):
                self._skip(current, STUDY)
                continue
            try:
                with os.scandir(current) as found:
                    entries = sorted(found, key=lambda entry: entry.name)
            except OSError as error:
                self._skip(current, f"the folder can't be read: {_describe_error(error)}")
                continue
            if not entries:
                self._skip(current, _EMPTY)
            waiting += reversed([path for entry in entries if (path := self._add_entry(entry, current))])

    def _add_entry(self, entry: os.DirEntry[str], folder: Path) -> Path | None:
        """Add the file `entry`, and return its path if it is a folder to search."""
        path = folder / entry.name
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            self._skip(path, HIDDEN)
            return None
        try:
            if entry.is_symlink():
                self._links.append(path)
                return None
            if entry.is_dir(follow_symlinks=False):
                return path
            found = entry.stat(follow_symlinks=False)
        except OSError as error:
            self._skip(path, f"it can't be read: {_describe_error(error)}")
            return None
        self._add_file(path, found)
        return None

    def _add_file(self, path: Path, found: os.stat_result) -> None:
        """Add the file at `path`, a real path, or the files in it."""
        if path in self.files or path in self._unpacked or path in self._excluded:
            return
        if not stat.S_ISREG(found.st_mode):
            self._skip(path, "not a regular file")
            return
        if not found.st_size and self._are_opened:
            self._skip(path, "an empty file. Get it again")
            return
        if len(self.files) + len(self.skipped) >= _MAX_FILES:
            raise StudyError("there are more than a million files", path, "Import one part after the other")
        kind = find_archive_kind(path) if self._are_opened else ""
        if kind == "unsupported":
            self._skip(path, _UNSUPPORTED)
        elif kind:
            self._unpack(path, kind)
        else:
            self.files[path] = path
            if _is_file_set(path):
                self._file_sets.append(path)

    def _unpack(self, path: Path, kind: ArchiveKind, only: Collection[Path] | None = None) -> None:
        self._unpacked.add(path)
        files, skipped = unpack_archive(path, kind, self._scratch, only)
        self.files.update((file.origin, file.path) for file in files)
        self.skipped += skipped
        self._file_sets += [file.origin for file in files if _is_file_set(file.origin)]

    def _add_file_set(self, path: Path) -> None:
        """Add the files that the DICOMDIR at `path`, a real path, lists; the others below its folder are skipped."""
        try:
            ids = self._reader.read_file_set(path)
        except FilmError as error:
            raise StudyError(error.problem, path, error.remedy) from error
        search = _Search(self._scratch, self._reader)
        search._add_folder(path.parent)
        search.follow_links()
        search.files.pop(path, None)
        known = _index_names(path.parent, search.files)
        listed = set()
        for file_id in ids:
            origin = known.get(_normalize(file_id))
            if origin is None:
                self._skip(path.parent.joinpath(*file_id), _MISSING)
            else:
                listed.add(origin)
                self.files[origin] = search.files[origin]
        self.skipped += [item for item in search.skipped if item.reason != _EMPTY]
        for origin in sorted(set(search.files) - listed):
            self._skip(origin, _NOT_LISTED)


def _is_study(folder: Path) -> bool:
    return (folder / "study.toml").is_file() and (folder / "films").is_dir()


def _is_file_set(path: Path) -> bool:
    return path.name.casefold() == "dicomdir"


def _normalize(names: Iterable[str]) -> FileId:
    """Return names as they are compared: file systems of discs change the case, and add a version and a dot."""
    return tuple(name.casefold().removesuffix(";1").removesuffix(".") for name in names)


def _index_names(folder: Path, origins: Iterable[Path]) -> dict[FileId, Path]:
    return {_normalize(origin.relative_to(folder).parts): origin for origin in origins if origin.is_relative_to(folder)}


def _find_archive_above(path: Path) -> Path | None:
    """Return the archive that `path` leads into, if one of the folders in it is a file."""
    for parent in path.parents:
        if parent.is_dir():
            return None
        if parent.is_file():
            return parent if find_archive_kind(parent) not in ("", "unsupported") else None
    return None


def _describe_error(error: OSError | RuntimeError) -> str:
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else "a loop of links"

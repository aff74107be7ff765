"""Roots: sealed states of a study, which a manager makes and may sign.

A root is the file ``seals/<number>.json`` with the state that every member of the study may know, the digest of the root
before it, and the digest of ``private/seals/<number>.json``, which has the rest. A random value in the private part keeps
others from guessing its content by its digest. The signature is ``seals/<number>.json.sig``. Each file has a second copy,
and the checksum at the end of a root shows which copy is damaged.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ratui.bounded_parsing import parse_json
from ratui.errors import DamagedError, StoreError, clean_text
from ratui.study.accounts import act_as_owner
from ratui.study.evidence.signatures import has_signed, sign_data
from ratui.study.evidence.state import FolderSource, StudyState, read_state
from ratui.study.store.folder import StudyFolder
from ratui.study.study import Study
from ratui.study.study_config import format_present_time

__all__ = [
    "PRIVATE_SEALS",
    "SEALS",
    "Root",
    "RootCopies",
    "read_copies",
    "read_link",
    "read_root",
    "root_files",
    "root_numbers",
    "signature_path",
    "write_root",
]

SEALS, PRIVATE_SEALS = "seals", "private/seals"
_FORMAT = 2
_UNSEALED_FORMAT = 1
"""Format of the first roots, which have no checksum."""
_END = re.compile(rb',"sum":"([0-9a-f]{64})"\}\n')
_END_LENGTH = len(',"sum":""}\n') + 64
_NAME = re.compile(r"([0-9]{6})\.json(\.bak)?")
_PREVIOUS = re.compile(rb'"previous":"([0-9a-f]{64})"')
_LARGEST = 500_000_000
_MOST_VALUES = 50_000_000


@dataclass(frozen=True)
class Root:
    """A root.

    Attributes
    ----------
    number
        Its number, from 1.
    data
        Bytes of its file.
    at
        Time, ISO 8601 in UTC.
    previous
        SHA-256 of the root before it, or empty for the first.
    state
        The sealed state; without the private part if this account can't open that.
    signature
        Its signature, or empty.
    """

    number: int
    data: bytes
    at: str
    previous: str
    state: StudyState
    signature: bytes = b""

    @property
    def digest(self) -> str:
        """SHA-256 of the root, which can be written down to recognize it."""
        return hashlib.sha256(self.data).hexdigest()


def root_numbers(folder: StudyFolder) -> list[int]:
    """Return the numbers of all roots of a study, sorted. Raises StoreError."""
    return sorted({int(found[1]) for name in folder.files(SEALS) if (found := _NAME.fullmatch(name))})


def write_root(study: Study, key: Path | None = None) -> Root:
    """Seal the present state of a study in a new root, and sign it with the SSH key at `key` if one is given.

    A root that the system's root makes belongs to the study's owner, who can then make the next one.

    Raises
    ------
    StoreError
        The state can't be read, signed or stored.
    """
    folder = study.folder
    numbers = root_numbers(folder)
    number = (numbers[-1] if numbers else 0) + 1
    previous = read_link(folder, numbers[-1])[0] if numbers else ""
    with study.snapshot() as frozen:
        state = read_state(FolderSource(frozen.folder))
    public, private = state.split_private()
    hidden = b""
    if private != StudyState():
        hidden = _dump({"format": _FORMAT, "number": number, "nonce": secrets.token_hex(32), **private.to_record()})
        with act_as_owner(folder, "private"):
            folder.make_folder(PRIVATE_SEALS)
            folder.write(_path(number, PRIVATE_SEALS), hidden)
    at = format_present_time()
    head = {"format": _FORMAT, "number": number, "study": study.config.id, "at": at, "previous": previous}
    data = _dump({**head, "private": hashlib.sha256(hidden).hexdigest() if hidden else "", **public.to_record()})
    signature = sign_data(data, key) if key is not None else b""
    with act_as_owner(folder, ""):
        folder.make_folder(SEALS)
        if signature:
            folder.write(f"{_path(number)}.sig", signature)
        folder.write(_path(number), data)
    return Root(number, data, at, previous, state, signature)


def read_root(folder: StudyFolder, number: int, study: str) -> Root:
    """Return the root `number` of the study with the ID `study`, verified against its private part.

    Raises
    ------
    DamagedError
        It is damaged, or is not a root of this study.
    StoreError
        It can't be read.
    """
    path = folder.path / _path(number)
    data = read_copies(folder, _path(number)).best
    if data is None:
        raise DamagedError("the root is missing", path, "Restore it from a backup")
    try:
        record = _parse(data, number)
        if record["study"] != study:
            raise ValueError("it is of another study")
        state = StudyState.from_record(record)
        hidden = _read_private(folder, number) if record["private"] else None
        if hidden is not None:
            if hashlib.sha256(hidden).hexdigest() != record["private"]:
                raise ValueError("its private part is another one")
            state = state.merge(StudyState.from_record(_parse(hidden, number)))
        signature = read_copies(folder, signature_path(number), data).best or b""
        return Root(number, data, str(record["at"]), str(record["previous"]), state, signature)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DamagedError(
            f"the root is damaged: {clean_text(error, 100)}", path, "Restore it from a backup"
        ) from error


def read_link(folder: StudyFolder, number: int) -> tuple[str, str]:
    """Return the digest of the root `number`, and the digest of the root before it that it states; empty if unknown.

    This is faster than `read_root`. Raises StoreError if the root can't be read.
    """
    data = read_copies(folder, _path(number)).best or b""
    found = _PREVIOUS.search(data)
    return hashlib.sha256(data).hexdigest(), found[1].decode() if found else ""


@dataclass(frozen=True)
class RootCopies:
    """The two copies of a file of a root: bytes, or None if there is none, and whether each is intact."""

    data: tuple[bytes | None, bytes | None]
    intact: tuple[bool, bool]

    @property
    def best(self) -> bytes | None:
        """The first intact copy, or else the first one; None without the file."""
        chosen = next((each for each, is_intact in zip(self.data, self.intact, strict=True) if is_intact), None)
        return chosen or self.data[0] or self.data[1]


def read_copies(folder: StudyFolder, inside: str, signed: bytes | None = None) -> RootCopies:
    """Return the two copies of the file `inside` of a root; of a signature if `signed`, the signed bytes, are given.

    Raises StoreError if one can't be read.
    """
    found = _read(folder, inside), _read(folder, f"{inside}.bak")

    def is_intact(data: bytes | None) -> bool:
        if data is None:
            return False
        if signed is None:
            return _is_intact(data)
        return found[0] == found[1] or has_signed(signed, data)  # nothing proves more of two equal ones

    return RootCopies(found, (is_intact(found[0]), is_intact(found[1])))


def _is_intact(data: bytes) -> bool:
    """Return whether the checksum of a root is right; for one of the first format, whether it can be read."""
    found = _END.fullmatch(data, max(0, len(data) - _END_LENGTH))
    if found is not None:
        return hashlib.sha256(data[: found.start()] + b"}\n").hexdigest().encode() == found[1]
    try:
        return bool(parse_json(data, max_items=_MOST_VALUES)["format"] == _UNSEALED_FORMAT)
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


def root_files(number: int) -> tuple[str, str, str]:
    """Return the paths of the files of a root: itself, its private part, and its signature."""
    return _path(number), _path(number, PRIVATE_SEALS), signature_path(number)


def signature_path(number: int) -> str:
    """Return the path of the signature of a root."""
    return f"{_path(number)}.sig"


def _path(number: int, above: str = SEALS) -> str:
    return f"{above}/{number:06d}.json"


def _read(folder: StudyFolder, inside: str) -> bytes | None:
    """Return the bytes of a file, or None without it. Raises StoreError."""
    try:
        return folder.read(inside, _LARGEST)
    except FileNotFoundError:
        return None


def _read_private(folder: StudyFolder, number: int) -> bytes | None:
    """Return the private part of a root, or None if this account can't open it. Raises ValueError if it is missing."""
    inside = _path(number, PRIVATE_SEALS)
    try:
        data = read_copies(folder, inside).best
    except StoreError:
        return None
    if data is None:
        raise ValueError("its private part is missing")
    return data


def _dump(record: Mapping[str, Any]) -> bytes:
    data = json.dumps(record, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode() + b"\n"
    return data[:-2] + f',"sum":"{hashlib.sha256(data).hexdigest()}"}}\n'.encode()


def _parse(data: bytes, number: int) -> Any:
    record = parse_json(data, max_items=_MOST_VALUES)
    if not _is_intact(data):
        raise ValueError("its checksum is wrong")
    if record["format"] not in (_UNSEALED_FORMAT, _FORMAT) or record["number"] != number:
        raise ValueError("another format or number")
    return record

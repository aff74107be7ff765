"""The class `JournalFolder`: a study in miniature, for tests of journals."""

import contextlib
import hashlib
import os
from pathlib import Path

from ratui.study.store.history import changes_by_path, explain_content
from ratui.study.store.journal import JournalFile, read_journals
from ratui.study.store.journal_writer import JournalWriter

__all__ = ["PATH", "JournalFolder", "digest"]

PATH = "regions/C-1.json"
"""A recorded file."""


def digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest() if content else ""


class JournalFolder:
    """A study in miniature: text files by path, and journals."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        (folder / "journal").mkdir(exist_ok=True)
        self.descriptor = os.open(folder / "journal", os.O_RDONLY)

    def file(self, path: str) -> Path:
        return self.path / path.replace("/", "-")

    def state(self, path: str) -> str:
        with contextlib.suppress(FileNotFoundError):
            return hashlib.sha256(self.file(path).read_bytes()).hexdigest()
        return ""

    def writer(self, account: str = "anna") -> JournalWriter:
        return JournalWriter(self.descriptor, self.state, account)

    def put(self, path: str, content: str) -> None:
        """Replace a file without a record."""
        temporary = self.path / f"unfinished-{os.getpid()}"
        temporary.write_text(content)
        temporary.replace(self.file(path))

    def write(self, content: str, *, path: str = PATH, account: str = "anna") -> None:
        with self.writer(account).recording(path, digest(content)):
            self.put(path, content)

    def remove(self, path: str = PATH, account: str = "anna") -> None:
        with self.writer(account).recording(path, ""):
            self.file(path).unlink()

    def journals(self) -> tuple[JournalFile, ...]:
        return read_journals(self.descriptor)

    def problem(self, path: str = PATH) -> str:
        return explain_content(changes_by_path(self.journals()).get(path, ()), self.state(path))

    def journal(self, name: str = "anna") -> Path:
        return self.path / "journal" / f"{name}.jsonl"

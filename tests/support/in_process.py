"""Work that ratui gives to other processes, done in the process of the test: to start others takes longer than the work."""

from __future__ import annotations

import io
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ratui.errors import FilmError
from ratui.study.importing import ReaderProcess
from ratui.study.importing.reader.reader_worker import serve

__all__ = ["InProcessReader", "draw_films_in_this_process", "read_films_in_this_process"]


_READERS = (
    "ratui.study.importing.files.sources",
    "ratui.study.importing.importer",
    "ratui.study.copies.merge_films",
    "ratui.study.copies.restore",
    "ratui.tui.screens.import_review.pictures",
)
"""Modules that start a process for foreign files."""
_PACS_READERS = ("ratui.pacs.fetch", "ratui.pacs.send")
"""The same of the package that needs further libraries."""


class InProcessReader(ReaderProcess):
    """A reader of foreign files that answers requests in this process, without the limits of the other one."""

    def _request(self, request: dict[str, Any], path: Path) -> tuple[dict[str, Any], bytes]:
        answer = io.BytesIO()
        serve(io.BytesIO(json.dumps({**request, "path": str(path.absolute())}).encode() + b"\n"), answer)
        line, _, data = answer.getvalue().partition(b"\n")
        head: dict[str, Any] = json.loads(line)
        if "error" in head:
            problem, remedy = head["error"]
            raise FilmError(problem, path, remedy)
        return head, data


def read_films_in_this_process(patch: pytest.MonkeyPatch) -> None:
    """Let imports, merges, restores and the review of an import read foreign files in this process while `patch` holds."""
    for module in (*_READERS, *(name for name in _PACS_READERS if name in sys.modules)):
        patch.setattr(f"{module}.ReaderProcess", InProcessReader)


def draw_films_in_this_process(patch: pytest.MonkeyPatch) -> None:
    """Let `ratui.demo.simulate.simulate_study` draw its films in this process while `patch` holds."""
    patch.setattr("ratui.demo.simulate.ProcessPoolExecutor", lambda *_: ThreadPoolExecutor(1))

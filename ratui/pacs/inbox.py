"""The inbox of a receiver: it stores the files that senders send, each content once, and counts them."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from threading import Lock

from ratui.errors import PacsError
from ratui.pacs.spool import Spool

__all__ = ["Inbox"]


class Inbox:
    """Files that arrive in a spool. Methods may be called from several threads.

    A file is named after its content, not after its UID: different films with one UID are all kept.

    Attributes
    ----------
    has_new_files
        True if files have arrived since the last call of `clear_news`, or wait from an earlier run.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._guard = Lock()
        self._refused: dict[str, int] = {}
        self._repeated = 0
        self.has_new_files = bool(spool.files())

    def store(self, instance: str, data: bytes) -> int:
        """Store a received file and return the status for its sender; `instance` is not used."""
        name = Spool.name("received", sha256(data).hexdigest())
        if self._spool.is_finished(name):
            with self._guard:
                self._repeated += 1
            return 0x0000
        try:
            self._spool.store(name, data)
        except PacsError as error:
            with self._guard:
                self._refused[error.problem] = self._refused.get(error.problem, 0) + 1
            raise
        self.has_new_files = True
        return 0x0000

    def clear_news(self) -> None:
        """Set `has_new_files` to False. Call it before the import of the files that wait."""
        self.has_new_files = False

    def describe(self, refused_kinds: int, refused_forms: int = 0) -> Iterator[str]:
        """Yield lines about what was not stored.

        `refused_kinds` counts offers of objects that are no radiographs, `refused_forms` those of radiographs in a form that
        can't be read.
        """
        with self._guard:
            refused, repeated = dict(self._refused), self._repeated
        for reason, count in refused.items():
            yield f"  not received: {count} × {reason}"
        if repeated:
            yield f"  received again, and imported earlier: {repeated}"
        if refused_kinds:
            yield f"  offered by senders and not accepted: {refused_kinds} × a kind of object that is no radiograph"
        if refused_forms:
            yield (
                f"  offered by senders and not accepted: {refused_forms} × a kind of radiograph in a form (transfer syntax) "
                "that is not accepted"
            )

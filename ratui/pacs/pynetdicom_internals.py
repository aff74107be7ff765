"""Limits for pynetdicom, which reads whatever length a peer announces, up to 4 GB for one PDU and more for a data set.

It waits without end for the rest of a PDU, too. This module limits both, and switches the library's log off. It also keeps
the thread of an association from taking answers that belong to a request. ``tests/pacs/test_pynetdicom_internals.py`` states
what it relies on.
"""

from __future__ import annotations

import socket
import time
from threading import Event, Lock
from typing import Any

from pynetdicom import _config
from pynetdicom.transport import AssociationSocket

from ratui.pacs.silence import silence_libraries
from ratui.pacs.spool import MAX_FILM_BYTES

__all__ = [
    "MAX_PDU_BYTES",
    "WRITTEN_FOR",
    "end_waiting",
    "has_sent_too_much",
    "limit_messages",
    "on_connection_opened",
    "on_message_ended",
]

WRITTEN_FOR = "pynetdicom 3.0"

MAX_PDU_BYTES = 16_000_000
"""Maximum length of one protocol data unit. Common ones have 16 to 128 kB."""
_MAX_MESSAGE_BYTES = MAX_FILM_BYTES + 2 * MAX_PDU_BYTES
_MAX_SECONDS = 120.0  # for one PDU
_PART = 65_536


def limit_messages() -> None:
    """Limit the length of PDUs and messages of every connection of this process, and switch the library's log off."""
    silence_libraries()
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_RESPONSE_IDENTIFIERS = _config.LOG_REQUEST_IDENTIFIERS = False
    AssociationSocket.recv = _read_bounded  # type: ignore[method-assign]


def _read_bounded(self: Any, nr_bytes: int) -> bytearray:
    """Read `nr_bytes`, fewer at the end of the connection. Raises OSError, which ends it, if they are too many or late."""
    received = getattr(self, "ratui_received", 0) + nr_bytes
    if nr_bytes > MAX_PDU_BYTES or received > _MAX_MESSAGE_BYTES:
        self.assoc.ratui_sent_too_much = True
        raise OSError("the peer sends too much")
    self.ratui_received = received
    deadline = time.monotonic() + _MAX_SECONDS
    data = bytearray()
    while len(data) < nr_bytes:
        self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
        part = self.socket.recv(min(_PART, nr_bytes - len(data)))
        if not part:
            break
        data += part
    return data


def has_sent_too_much(association: Any) -> bool:
    """Return whether an association ended because its peer sent more than a film may have."""
    return bool(getattr(association, "ratui_sent_too_much", False))


def on_message_ended(event: Any) -> None:
    """Begin to count the bytes of the next message. A handler for ``EVT_DIMSE_RECV``."""
    connection: Any = event.assoc.dul.socket
    if connection is not None:
        connection.ratui_received = 0


def on_connection_opened(event: Any) -> None:
    """Send short messages at once, and keep the answers for their requests. A handler for ``EVT_CONN_OPEN``.

    The library sends a command and its data set separately. The kernel would hold the second back until the peer has
    acknowledged the first.
    """
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if event.assoc.is_requestor:
        _keep_answers(event.assoc)


def end_waiting(association: Any) -> None:
    """End the thread of an association whose connection was closed before the peer asked for anything.

    The library would let it wait for its whole timeout. Such threads count as associations, and a peer that opens and closes
    connections would shut out all others.
    """
    if not association.is_established:
        association.dul.to_user_queue.put(None)


class _Checkpoint(Event):
    """A gate at which the thread of an association waits during a request. It never closes while the thread reads."""

    def __init__(self, guard: Lock) -> None:
        super().__init__()
        self._guard = guard
        self.set()

    def clear(self) -> None:
        with self._guard:
            super().clear()


def _keep_answers(association: Any) -> None:
    """Make the thread of an association leave messages in the queue while a request waits for its answers.

    At the end of a request the library wakes this thread, which looks for a message and waits again. On a busy machine it
    wakes so late that the next request has been sent already. It then takes an answer of that request, finds that it is not
    a request, and drops it. A query would have one answer fewer, with the status of success.
    """
    guard = Lock()
    checkpoint = _Checkpoint(guard)
    take = association.dimse.get_msg

    def get_message(block: bool = False) -> Any:
        if block:  # by the request itself
            return take(block=True)
        with guard:
            return take(block=False) if checkpoint.is_set() else (None, None)

    association._reactor_checkpoint = checkpoint
    association.dimse.get_msg = get_message

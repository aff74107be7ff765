"""Limits for pynetdicom, which reads whatever length a peer announces, up to 4 GB for one PDU and more for a data set.

It waits without end for the rest of a PDU, too. This module limits both, and switches the library's log off.
"""

from __future__ import annotations

import socket
import time
from typing import Any

from pynetdicom import _config
from pynetdicom.transport import AssociationSocket

from ratui.pacs.silence import silence_libraries
from ratui.pacs.spool import MAX_FILM_BYTES

__all__ = ["MAX_PDU_BYTES", "connection_opened", "limit_messages", "message_ended", "sent_too_much"]

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


def sent_too_much(association: Any) -> bool:
    """Return whether an association ended because its peer sent more than a film may have."""
    return bool(getattr(association, "ratui_sent_too_much", False))


def message_ended(event: Any) -> None:
    """Begin to count the bytes of the next message. A handler for ``EVT_DIMSE_RECV``."""
    connection: Any = event.assoc.dul.socket
    if connection is not None:
        connection.ratui_received = 0


def connection_opened(event: Any) -> None:
    """Send short messages at once. A handler for ``EVT_CONN_OPEN``.

    The library sends a command and its data set separately. The kernel would hold the second back until the peer has
    acknowledged the first.
    """
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

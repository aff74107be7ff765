"""Undocumented behaviour of pynetdicom that ratui relies on."""

from __future__ import annotations

import inspect
import socket
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest
from pynetdicom import AE, _config, association
from pynetdicom.association import MODE_REQUESTOR, Association
from pynetdicom.transport import AssociationSocket

from ratui.pacs import pynetdicom_internals
from tests.internals import relying_on


@pytest.fixture
def connection() -> Iterator[tuple[Any, socket.socket]]:
    """Yield the socket of an association that has not begun, and that of its peer."""
    near, far = socket.socketpair()
    with near, far:
        with relying_on("an association is made without a connection", pynetdicom_internals):
            made = Association(AE(), MODE_REQUESTOR)
            made.dul.socket = AssociationSocket(made, client_socket=near)
        yield made.dul.socket, far


def test_every_part_of_a_pdu_is_read_by_the_method_that_ratui_limits(
    connection: tuple[Any, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    own, peer = connection
    lengths: list[int] = []

    def read(self: Any, nr_bytes: int) -> bytearray:
        lengths.append(nr_bytes)
        return pynetdicom_internals._read_bounded(self, nr_bytes)

    monkeypatch.setattr(AssociationSocket, "recv", read)
    peer.sendall(b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00")  # A-ABORT
    with relying_on("PDUs are read by AssociationSocket.recv: first six bytes, then the rest", pynetdicom_internals):
        own.assoc.dul._read_pdu_data()
        assert lengths == [6, 4]


def test_a_connection_ends_when_the_method_raises_an_error(
    connection: tuple[Any, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    own, peer = connection
    monkeypatch.setattr(AssociationSocket, "recv", pynetdicom_internals._read_bounded)
    peer.sendall(b"\x04\x00\xff\xff\xff\xff")  # P-DATA of 4 GB
    with relying_on("an OSError while a PDU is read counts as the end of the connection", pynetdicom_internals):
        own.assoc.dul._read_pdu_data()
        assert own.assoc.dul.event_queue.queue[-1] == "Evt17"
    assert pynetdicom_internals.has_sent_too_much(own.assoc)


def test_an_association_waits_at_a_checkpoint_before_it_takes_a_message(connection: tuple[Any, socket.socket]) -> None:
    own, _ = connection
    with relying_on("the thread of an association waits for `_reactor_checkpoint`", pynetdicom_internals):
        assert isinstance(own.assoc._reactor_checkpoint, Event)
        assert own.assoc._reactor_checkpoint.is_set()
        loop = inspect.getsource(Association._run_reactor)
        assert loop.index("_reactor_checkpoint.wait()") < loop.index("dimse.get_msg(block=False)")
    with relying_on("a request waits for its answers by `get_msg(block=True)`", pynetdicom_internals):
        assert "dimse.get_msg(block=True)" in inspect.getsource(association)
        assert own.assoc.dimse.get_msg(block=False) == (None, None)


def test_a_waiting_association_is_ended_by_an_empty_message(connection: tuple[Any, socket.socket]) -> None:
    own, _ = connection
    with relying_on("`to_user_queue` ends the wait for the peer's request", pynetdicom_internals):
        pynetdicom_internals.end_waiting(own.assoc)
        assert own.assoc.dul.receive_pdu(wait=True, timeout=0) is None
        assert own.assoc.dul.to_user_queue.empty()


def test_the_log_is_switched_off_by_three_settings() -> None:
    with relying_on("the settings of the log", pynetdicom_internals):
        assert {"LOG_HANDLER_LEVEL", "LOG_RESPONSE_IDENTIFIERS", "LOG_REQUEST_IDENTIFIERS"} <= set(vars(_config))
        assert '_config.LOG_HANDLER_LEVEL == "standard"' in inspect.getsource(association)

"""A proxy on loopback that closes connections in the middle of an answer, and that can speak TLS."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress


class CuttingProxy:
    """A proxy that forwards to `port` and passes on `budget` bytes of answers; then it cuts connections.

    Attributes
    ----------
    budget
        Bytes of answers that still pass. None passes all.
    cuts
        Number of connections that were cut.
    """

    def __init__(self, port: int, budget: int | None = None, *, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.budget = budget
        self.cuts = 0
        self._target = port
        self._guard = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    near = self._tls.wrap_socket(near, server_side=True) if self._tls else near
                    far = socket.create_connection(("127.0.0.1", self._target))
                except OSError:
                    near.close()
                    continue
                threading.Thread(target=self._copy, args=(near, far, False), daemon=True).start()
                threading.Thread(target=self._copy, args=(far, near, True), daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket, is_answer: bool) -> None:
        with suppress(OSError):
            while data := source.recv(16_384):
                if is_answer:
                    data, is_cut = self._take(data)
                    target.sendall(data)
                    if is_cut:
                        break
                else:
                    target.sendall(data)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _take(self, data: bytes) -> tuple[bytes, bool]:
        with self._guard:
            if self.budget is None:
                return data, False
            part = data[: self.budget]
            self.budget -= len(part)
            is_cut = len(part) < len(data)
            self.cuts += is_cut
            return part, is_cut

"""A receiver of films (C-STORE SCP, PS3.4 annex B) with allowed senders, TLS and limits."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    KeyObjectSelectionDocumentStorage,
    SecondaryCaptureImageStorage,
)
from pynetdicom import AE, evt

from ratui.errors import PacsError
from ratui.pacs.address import Certificates
from ratui.pacs.pynetdicom_internals import (
    MAX_PDU_BYTES,
    end_waiting,
    limit_messages,
    on_connection_opened,
    on_message_ended,
)

__all__ = ["COMPRESSED_SYNTAXES", "FILM_CLASSES", "KEY_OBJECTS", "PLAIN_SYNTAXES", "StorageReceiver"]

FILM_CLASSES = tuple(
    map(
        str,
        (
            ComputedRadiographyImageStorage,
            DigitalXRayImageStorageForPresentation,
            DigitalXRayImageStorageForProcessing,
            SecondaryCaptureImageStorage,
        ),
    )
)
"""Storage classes of radiographs."""
KEY_OBJECTS = str(KeyObjectSelectionDocumentStorage)
"""Storage class of documents that may reject films for their quality. Objects of other classes are not accepted."""
PLAIN_SYNTAXES = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]
"""Explicit and Implicit VR Little Endian."""
COMPRESSED_SYNTAXES = [
    "1.2.840.10008.1.2.4.80",  # JPEG-LS Lossless
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless, first-order prediction
    "1.2.840.10008.1.2.4.57",  # JPEG Lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 Lossless
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
    "1.2.840.10008.1.2.5",  # RLE Lossless
    "1.2.840.10008.1.2.4.50",  # JPEG Baseline
    "1.2.840.10008.1.2.4.51",  # JPEG Extended
    "1.2.840.10008.1.2.4.81",  # JPEG-LS Near-Lossless
]
"""Compressed forms that the import can read."""
_VERIFICATION = "1.2.840.10008.1.1"  # C-ECHO
_MAX_ASSOCIATIONS = 4
_TIMEOUT = 60.0


class StorageReceiver:
    """A receiver that calls `store` for each film. Use it as a context manager, or call `start` and `stop`.

    Parameters
    ----------
    store
        Called with the SOP Instance UID and the bytes of a DICOM file, in a thread of the sender's connection. It returns
        the status of the answer, 0 for success (PS3.4 table B.2-1).
    title
        Own application entity title; connections to another one are rejected.
    senders
        Application entity titles that may send.
    host, port
        Address to listen on; port 0 chooses a free one.
    certificates
        Files for TLS; None for connections without it.

    Raises
    ------
    PacsError
        On start, if the port is in use or a certificate can't be used.
    """

    def __init__(
        self,
        store: Callable[[str, bytes], int],
        title: str,
        senders: Sequence[str],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        certificates: Certificates | None = None,
    ) -> None:
        limit_messages()
        if certificates is not None and certificates.own is None:
            raise PacsError(
                "receiving with TLS needs a certificate", "--certificate", "Give --certificate, --private-key"
            )
        self._store = store
        self._address = (host, port)
        self._context = certificates.make_server_context() if certificates is not None else None
        self._guard = Lock()
        self._refused_kinds = self._refused_forms = 0
        self._last = time.monotonic()
        self._server: Any = None
        self.on_closed: Callable[[Any], None] = lambda event: None
        entity = AE(ae_title=title)
        entity.require_called_aet = True
        entity.require_calling_aet = list(senders)
        entity.maximum_associations = _MAX_ASSOCIATIONS
        entity.maximum_pdu_size = min(131_072, MAX_PDU_BYTES)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = _TIMEOUT
        entity.add_supported_context(_VERIFICATION)
        for each in FILM_CLASSES:
            entity.add_supported_context(each, [*PLAIN_SYNTAXES, *COMPRESSED_SYNTAXES])
        entity.add_supported_context(KEY_OBJECTS, PLAIN_SYNTAXES)
        self._entity = entity

    @property
    def port(self) -> int:
        """Port on which the receiver listens."""
        return int(self._server.server_address[1])

    @property
    def refused_kinds(self) -> int:
        """Number of kinds of objects that senders offered and that are no radiographs."""
        with self._guard:
            return self._refused_kinds

    @property
    def refused_forms(self) -> int:
        """Number of kinds of radiographs that senders offered only in forms (transfer syntaxes) that are not accepted."""
        with self._guard:
            return self._refused_forms

    def count_quiet_seconds(self) -> float:
        """Return the seconds since the last film or accepted connection."""
        with self._guard:
            return time.monotonic() - self._last

    def start(self) -> None:
        """Begin to listen. Raises PacsError."""
        handlers: list[Any] = [
            (evt.EVT_C_STORE, self._on_store),
            (evt.EVT_ACCEPTED, self._on_accepted),
            (evt.EVT_DIMSE_RECV, on_message_ended),
            (evt.EVT_CONN_OPEN, on_connection_opened),
            (evt.EVT_CONN_CLOSE, self._on_closed),
        ]
        try:
            self._server = self._entity.start_server(
                self._address, block=False, evt_handlers=handlers, ssl_context=self._context
            )
        except OSError as error:
            raise PacsError(f"the port can't be used: {error.strerror}", f"port {self._address[1]}") from error

    def stop(self) -> None:
        """End all connections and stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server = None

    def __enter__(self) -> StorageReceiver:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _on_closed(self, event: Any) -> None:
        end_waiting(event.assoc)
        self.on_closed(event)

    def _on_accepted(self, event: Any) -> None:
        with self._guard:
            self._last = time.monotonic()
            refused = {str(each.abstract_syntax) for each in event.assoc.rejected_contexts}
            refused -= {str(each.abstract_syntax) for each in event.assoc.accepted_contexts}
            known = refused.intersection((*FILM_CLASSES, KEY_OBJECTS, _VERIFICATION))
            self._refused_forms += len(known)
            self._refused_kinds += len(refused - known)

    def _on_store(self, event: Any) -> int:
        try:
            status = self._store(str(event.request.AffectedSOPInstanceUID), event.encoded_dataset())
        except PacsError:
            status = 0xA700  # out of resources
        except Exception:  # the library would log it with values of the data set
            status = 0xC000
        with self._guard:
            self._last = time.monotonic()
        return status

"""A PACS of the classic protocol whose answers a test chooses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import ComputedRadiographyImageStorage, JPEGLSLossless
from pynetdicom import AE, build_context, evt

__all__ = ["FIND", "FakeArchive", "answer", "with_uid"]

FIND, MOVE, GET = (f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in (1, 2, 3))


class FakeArchive:
    """A PACS whose answers a test chooses.

    Attributes
    ----------
    find
        Function that yields the answers to a query, as pairs of status and identifier.
    films
        Files that a C-GET or C-MOVE sends, whatever was asked for.
    move_port
        Port to which a C-MOVE sends.
    """

    def __init__(self) -> None:
        self.find: Callable[[Dataset], Iterator[Any]] = lambda query: iter([])
        self.films: list[Path] = []
        self.move_port = 0
        entity = AE(ae_title="ARCHIVE")
        entity.add_supported_context(FIND)
        entity.add_supported_context(GET)
        entity.add_supported_context(MOVE)
        entity.add_supported_context(ComputedRadiographyImageStorage, JPEGLSLossless, scu_role=True, scp_role=True)
        handlers: list[Any] = [(evt.EVT_C_FIND, self._on_find), (evt.EVT_C_GET, self._on_get)]
        handlers.append((evt.EVT_C_MOVE, self._on_move))
        self.server: Any = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)

    def stop(self) -> None:
        """End all connections and the server."""
        if self.server is not None:
            for association in self.server.active_associations:
                association.abort()
            self.server.shutdown()
            self.server = None

    def _on_find(self, event: Any) -> Iterator[Any]:
        yield from self.find(event.identifier)

    def _on_move(self, event: Any) -> Iterator[Any]:
        contexts = [build_context(ComputedRadiographyImageStorage, JPEGLSLossless)]
        yield "127.0.0.1", self.move_port, {"contexts": contexts}
        yield from self._on_get(event)

    def _on_get(self, event: Any) -> Iterator[Any]:
        yield len(self.films)
        for film in self.films:
            yield 0xFF00, pydicom.dcmread(film)


def answer(**values: str) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def with_uid(data: bytes, instance: str) -> bytes:
    """Return a DICOM file with another SOP Instance UID."""
    dataset, changed = pydicom.dcmread(BytesIO(data)), BytesIO()
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.UID(instance)
    dataset.save_as(changed)
    return changed.getvalue()

"""A PACS with the classic protocol: C-FIND, C-GET, C-MOVE and C-STORE (PS3.4 annexes B and C)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pynetdicom import AE, build_context, build_role, evt

from ratui.errors import PacsError, PacsLostError
from ratui.pacs.address import Certificates, PacsAddress
from ratui.pacs.patient_list import ListedPatient
from ratui.pacs.pynetdicom_internals import has_sent_too_much, limit_messages, on_connection_opened, on_message_ended
from ratui.pacs.receiver import COMPRESSED_SYNTAXES, FILM_CLASSES, KEY_OBJECTS, PLAIN_SYNTAXES, StorageReceiver
from ratui.pacs.source import FoundSeries, FoundStudy, read_count, shorten_answer
from ratui.pacs.spool import MAX_FILM_BYTES, TooLargeError

__all__ = ["DimsePacs", "MoveDestination"]

# Study Root Query/Retrieve Information Model (PS3.4 C.6.2)
_FIND, _MOVE, _GET = "1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.4.1.2.2.2", "1.2.840.10008.5.1.4.1.2.2.3"
_PENDING = (0xFF00, 0xFF01)
_MAX_ANSWERS = 10_000
_TIMEOUT = 60.0
_MAX_SECONDS = 3600.0  # of one request, also if the PACS sends messages that it goes on
_FAILURE_WAIT = 0.5  # seconds in which the other connection may report that a file was too large
_ALL = "*"
_MOVE_WAIT = 30.0  # seconds between the end of a C-MOVE and the arrival of its file on the other connection


class MoveDestination:
    """The place where this program receives what it asks for with C-MOVE: its own title is known to the PACS.

    Parameters
    ----------
    host, port
        Address to listen on.
    """

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port


class DimsePacs:
    """A PACS with the classic protocol. It is a `PacsSource` and a `PacsTarget`.

    Parameters
    ----------
    address
        The PACS.
    own_title
        Application entity title of this program.
    certificates
        Files for TLS, for an address ``dicoms://``.
    move
        Where to receive files of a C-MOVE; None for C-GET.

    Raises
    ------
    PacsError
        If a certificate can't be used, or the port of `move` is in use.
    """

    def __init__(
        self,
        address: PacsAddress,
        own_title: str = "RATUI",
        certificates: Certificates | None = None,
        *,
        move: MoveDestination | None = None,
    ) -> None:
        limit_messages()
        self._address = address
        self._title = own_title
        self._tls = (
            ((certificates or Certificates()).make_client_context(), address.host) if address.is_encrypted else None
        )
        self._association: Any = None
        self._arrived: list[bytes] = []
        self._wanted = ""  # the UID of the only film to accept, or _ALL
        self._refused = 0  # files that arrived and were not asked for
        self._is_too_large = False
        self._receiver: StorageReceiver | None = None
        if move is not None:
            tls = (certificates or Certificates()) if address.is_encrypted else None
            self._receiver = StorageReceiver(
                self._keep, own_title, [address.aet], host=move.host, port=move.port, certificates=tls
            )
            self._receiver.on_closed = self._note_closed
            self._receiver.start()

    def find_studies(self, patient: ListedPatient) -> list[FoundStudy]:
        """Return all studies that the PACS lists for the patient ID of `patient`, as `DicomwebPacs.find_studies` does."""
        query = Dataset()
        query.SpecificCharacterSet = "ISO_IR 192"
        query.QueryRetrieveLevel = "STUDY"
        query.PatientID = patient.id
        query.IssuerOfPatientID = ""  # a condition would hide studies that state no issuer
        query.PatientName = query.StudyInstanceUID = query.PatientBirthDate = query.PatientSex = ""
        counts = ("NumberOfPatientRelatedStudies", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances")
        for keyword in counts:
            setattr(query, keyword, None)
        return [
            FoundStudy(
                _value(each, "StudyInstanceUID"),
                _value(each, "PatientID"),
                _value(each, "IssuerOfPatientID"),
                _value(each, "PatientBirthDate"),
                _value(each, "PatientSex"),
                _value(each, "PatientName"),
                *(read_count(_value(each, keyword)) for keyword in counts),
            )
            for each in self._find(query)
        ]

    def find_series(self, study: str) -> list[FoundSeries]:
        """Return the series of the study with the UID `study`."""
        query = Dataset()
        query.QueryRetrieveLevel = "SERIES"
        query.StudyInstanceUID = study
        query.SeriesInstanceUID = query.Modality = ""
        query.NumberOfSeriesRelatedInstances = None
        return [
            FoundSeries(
                _value(each, "SeriesInstanceUID"),
                _value(each, "Modality"),
                read_count(_value(each, "NumberOfSeriesRelatedInstances")),
            )
            for each in self._find(query)
        ]

    def find_instances(self, study: str, series: str) -> list[str]:
        """Return the SOP Instance UIDs of a series."""
        query = Dataset()
        query.QueryRetrieveLevel = "IMAGE"
        query.StudyInstanceUID, query.SeriesInstanceUID = study, series
        query.SOPInstanceUID = ""
        return [_value(each, "SOPInstanceUID") for each in self._find(query)]

    def retrieve(self, study: str, series: str, instance: str) -> bytes:
        """Return the DICOM file with these UIDs, as the PACS sends it."""
        query = Dataset()
        query.QueryRetrieveLevel = "IMAGE"
        query.StudyInstanceUID, query.SeriesInstanceUID, query.SOPInstanceUID = study, series, instance
        arrived = self._retrieve(query, instance, is_counted=True)
        if len(set(arrived)) > 1:
            raise PacsError("the PACS has several films with this UID", str(self._address))
        return arrived[0]

    def retrieve_all(self, study: str, series: str = "") -> list[bytes]:
        """Return all films of a series, or of a study, as DICOM files. Raises TooLargeError if they are too large."""
        query = Dataset()
        query.QueryRetrieveLevel = "SERIES" if series else "STUDY"
        query.StudyInstanceUID = study
        if series:
            query.SeriesInstanceUID = series
        # A study may have objects of other kinds, which the PACS can't send and counts as failures.
        return self._retrieve(query, _ALL, is_counted=bool(series))

    def _retrieve(self, query: Dataset, wanted: str, *, is_counted: bool) -> list[bytes]:
        """Return the files that arrive for `query`, at least one.

        Raises PacsError, with `is_counted` also if the PACS counts files that did not arrive.
        """
        self._arrived.clear()
        self._refused = 0
        self._wanted = wanted
        self._is_too_large = False
        try:
            with self._errors():
                association = self._connect()
                if self._receiver is None:
                    self._check_model(_GET, "C-GET", "Give --move-port, if it knows this program for C-MOVE")
                    answers = association.send_c_get(query, _GET)
                else:
                    self._check_model(_MOVE, "C-MOVE", "Leave out --move-port to use C-GET")
                    answers = association.send_c_move(query, self._title, _MOVE)
                status, final = self._read_end(answers)
                sent = _count(final, "Completed") + _count(final, "Warning")
                if self._receiver is not None:
                    self._wait_for_files(max(sent, 1), _MOVE_WAIT if status == 0 else _FAILURE_WAIT)
        finally:
            self._wanted = ""
            arrived = self._arrived.copy()
            self._arrived.clear()
        if self._is_too_large:
            raise self._too_large()
        if not arrived:
            raise PacsError(f"the PACS did not send the file (status {status:04X})", str(self._address))
        not_sent = _count(final, "Failed") + _count(final, "Remaining") - self._refused
        if is_counted and (sent > len(arrived) or not_sent > 0):
            raise PacsError("the PACS counts more files than arrived", str(self._address))
        return arrived

    def store(self, path: Path, study: str, instance: str) -> None:
        """Store the DICOM file at `path`, with these UIDs. Raises PacsError if the PACS does not confirm it."""
        with self._errors():
            dataset = pydicom.dcmread(path)
            syntax, sop_class = str(dataset.file_meta.TransferSyntaxUID), str(dataset.SOPClassUID)
            association = self._connect((sop_class, syntax))
            status = association.send_c_store(dataset)
            if "Status" not in status:
                raise ConnectionError("the association ended")
        if status.Status not in (0x0000, 0xB000, 0xB006, 0xB007):  # success, and success with warnings (PS3.4 B.2.3)
            raise PacsError(f"the PACS did not store the file (status {status.Status:04X})", str(self._address))

    def close(self) -> None:
        """End the association and stop listening."""
        if self._association is not None and self._association.is_established:
            self._association.release()
        self._association = None
        if self._receiver is not None:
            self._receiver.stop()

    def _connect(self, storage: tuple[str, str] | None = None) -> Any:
        """Return an established association: for queries and retrieval, or for the class and syntax in `storage`."""
        held = self._association
        if held is not None and held.is_established:
            if storage is None or any(
                (str(each.abstract_syntax), str(each.transfer_syntax[0])) == storage for each in held.accepted_contexts
            ):
                return held
            held.release()
        self._association = None
        entity = AE(ae_title=self._title)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = _TIMEOUT
        if storage is None:
            entity.add_requested_context(_FIND)
            if self._receiver is None:
                entity.add_requested_context(_GET)
                entity.requested_contexts = [*entity.requested_contexts, *_film_contexts()]
            else:
                entity.add_requested_context(_MOVE)
        else:
            entity.add_requested_context(*storage)
        roles: list[Any] = (
            []
            if storage or self._receiver
            else [build_role(each, scp_role=True) for each in (*FILM_CLASSES, KEY_OBJECTS)]
        )
        made = entity.associate(
            self._address.host,
            self._address.port,
            ae_title=self._address.aet,
            ext_neg=roles,
            evt_handlers=[
                (evt.EVT_C_STORE, self._on_store),
                (evt.EVT_DIMSE_RECV, on_message_ended),
                (evt.EVT_CONN_OPEN, on_connection_opened),
            ],
            tls_args=self._tls,
        )
        if not made.is_established:
            if made.is_rejected:
                raise PacsError(
                    "the PACS rejects this program", str(self._address), f"Ask the PACS team to allow {self._title}"
                )
            # A failed TLS handshake also ends here: the library gives no reason.
            raise PacsLostError(
                "there is no connection to the PACS", str(self._address), "Check address, network, and certificates"
            )
        if storage is not None and not made.accepted_contexts:
            made.release()
            raise PacsError("the PACS does not accept files of this kind", str(self._address))
        self._association = made
        return made

    def _check_model(self, model: str, service: str, remedy: str) -> None:
        if not any(each.abstract_syntax == model for each in self._association.accepted_contexts):
            raise PacsError(f"the PACS does not offer {service}", str(self._address), remedy)

    def _find(self, query: Dataset) -> list[Dataset]:
        found: list[Dataset] = []
        with self._errors():
            association = self._connect()
            self._check_model(_FIND, "C-FIND", "Ask the PACS team to allow queries")

            def keep(identifier: Dataset | None) -> None:
                if identifier is None:  # the library could not parse it: a film would be missing unnoticed
                    raise ConnectionError("an answer can't be read")
                found.append(identifier)

            status, _ = self._read_end(association.send_c_find(query, _FIND), keep)
        if status != 0:
            raise PacsError(f"the PACS refuses the query (status {status:04X})", str(self._address))
        return found

    def _read_end(
        self, answers: Iterator[tuple[Any, Any]], keep: Callable[[Any], None] = lambda identifier: None
    ) -> tuple[int, Dataset]:
        """Return the last status of `answers`, and its elements.

        Raises ConnectionError if the association ended before it.
        """
        status, answer = None, Dataset()
        begin = time.monotonic()
        for number, (answer, identifier) in enumerate(answers):
            if number > _MAX_ANSWERS or time.monotonic() - begin > _MAX_SECONDS:
                self._drop()
                raise PacsError(f"a request has more than {_MAX_ANSWERS} answers, or has no end", str(self._address))
            status = answer.get("Status")
            if status is None:
                break
            if status in _PENDING:
                keep(identifier)
        if status is None:
            raise ConnectionError("the association ended")
        return int(status), answer

    def _wait_for_files(self, number: int, seconds: float) -> None:
        until = time.monotonic() + seconds
        while len(self._arrived) < number and not self._is_too_large and time.monotonic() < until:
            time.sleep(0.02)

    def _on_store(self, event: Any) -> int:
        """Answer a C-STORE on the association of a C-GET."""
        try:
            return self._keep(str(event.request.AffectedSOPInstanceUID), event.encoded_dataset())
        except Exception:
            return 0xC000

    def _keep(self, instance: str, data: bytes) -> int:
        """Keep the file that was asked for, and refuse every other one (data set does not match, PS3.4 B.2.3)."""
        if self._wanted not in (instance, _ALL):
            self._refused += 1
            return 0xA900
        if sum(map(len, self._arrived)) + len(data) > MAX_FILM_BYTES:
            self._is_too_large = True
            return 0xA700
        self._arrived.append(data)
        return 0x0000

    def _note_closed(self, event: Any) -> None:
        """Note that a connection was closed because its peer sent a film that is too large."""
        self._is_too_large |= has_sent_too_much(event.assoc)

    def _too_large(self) -> TooLargeError:
        return TooLargeError(f"a file has more than {MAX_FILM_BYTES // 10**6} MB", str(self._address))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn errors of the library and of values into PacsError, without any text of them."""
        where = str(self._address)
        try:
            yield
        except (OSError, RuntimeError) as error:  # RuntimeError: the library's word for a lost association
            if self._association is not None and has_sent_too_much(self._association):
                self._is_too_large = True
            self._drop()
            if self._is_too_large:  # the film is left out; the next one comes by a new association
                raise self._too_large() from error
            raise PacsLostError("the connection to the PACS was lost", where, "Run the command again") from error
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, NotImplementedError) as error:
            self._drop()
            raise PacsError("its answer is not DICOM", where) from error

    def _drop(self) -> None:
        held, self._association = self._association, None
        if held is not None and held.is_established:
            held.abort()


def _film_contexts() -> list[Any]:
    """Return one presentation context for each class and syntax, so that the PACS can send each file as it is stored."""
    films = [
        build_context(sop_class, syntaxes)
        for sop_class in FILM_CLASSES
        for syntaxes in (PLAIN_SYNTAXES, *([each] for each in COMPRESSED_SYNTAXES))
    ]
    return [*films, build_context(KEY_OBJECTS, PLAIN_SYNTAXES)]


def _count(answer: Dataset, kind: str) -> int:
    """Return the number of sub-operations of a C-GET or C-MOVE (PS3.4 C.4.2), 0 if the PACS states none."""
    return read_count(_value(answer, f"NumberOf{kind}Suboperations")) or 0


def _value(answer: Dataset, keyword: str) -> str:
    """Return an element as a text with backslashes between its values; empty if it is absent or can't be parsed."""
    try:
        value = answer.get(keyword)
        return shorten_answer("\\".join(map(shorten_answer, value)) if isinstance(value, MultiValue) else value)
    except Exception:  # a damaged element makes its parser raise almost anything
        return ""

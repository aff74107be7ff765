"""A PACS with DICOMweb: queries (QIDO-RS), retrieval (WADO-RS) and storage (STOW-RS), PS3.18."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pydicom
from dicomweb_client import DICOMwebClient

from ratui.errors import PacsError
from ratui.pacs.address import Certificates, Credentials, PacsAddress
from ratui.pacs.bounded_http import make_session, translate_http_errors
from ratui.pacs.patient_list import ListedPatient
from ratui.pacs.silence import silence_libraries
from ratui.pacs.source import FoundSeries, FoundStudy, read_count, shorten_answer
from ratui.pacs.spool import MAX_FILM_BYTES

__all__ = ["DicomwebPacs", "split_parts", "split_single_part"]

_MAX_QUERY_BYTES = 20_000_000
_PAGE = 200
_MAX_PAGES = 50
_MOST_VALUES = 16  # of one element; more are ignored
_TIMEOUT = (20.0, 120.0)  # seconds to connect, and between two parts of an answer
_ACCEPT = 'multipart/related; type="application/dicom"; transfer-syntax=*'


class DicomwebPacs:
    """A PACS with DICOMweb. It is a `PacsSource` and a `PacsTarget`.

    Raises PacsError if the address, the account or a certificate can't be used.
    """

    def __init__(
        self, address: PacsAddress, credentials: Credentials | None = None, certificates: Certificates | None = None
    ) -> None:
        silence_libraries()
        account, files = credentials or Credentials(), certificates or Certificates()
        self._address = address
        host = f"[{address.host}]" if ":" in address.host else address.host
        self._url = f"{address.scheme}://{host}:{address.port}{address.path}"
        self._queries = make_session(address, account, files, limit=_MAX_QUERY_BYTES)
        self._films = make_session(address, account, files, limit=MAX_FILM_BYTES + 1_000_000)
        with translate_http_errors(address):
            self._client = DICOMwebClient(self._url, session=self._queries, timeout=_TIMEOUT)
            self._client.set_http_retry_params(retry=False)  # `fetch` and `send` repeat requests themselves

    def find_studies(self, patient: ListedPatient) -> list[FoundStudy]:
        """Return all studies that the PACS lists for the patient ID of `patient`, from any issuer of IDs.

        Another person can have the same ID: the caller has to check name, sex and date of birth.
        """
        # A condition on the issuer would hide studies that state none.
        filters = {"PatientID": patient.id}
        fields = ["StudyInstanceUID", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "PatientName"]
        fields += ["NumberOfPatientRelatedStudies", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances"]
        found = self._all_pages(self._client.search_for_studies, fields=fields, search_filters=filters)
        return [
            FoundStudy(
                _value(each, "0020000D"),
                _value(each, "00100020"),
                _value(each, "00100021"),
                _value(each, "00100030"),
                _value(each, "00100040"),
                _name(each),
                *(read_count(_value(each, tag)) for tag in ("00201200", "00201206", "00201208")),
            )
            for each in found
        ]

    def find_series(self, study: str) -> list[FoundSeries]:
        """Return the series of the study with the UID `study`."""
        fields = ["SeriesInstanceUID", "Modality", "NumberOfSeriesRelatedInstances"]
        found = self._all_pages(self._client.search_for_series, study, fields=fields)
        return [
            FoundSeries(_value(each, "0020000E"), _value(each, "00080060"), read_count(_value(each, "00201209")))
            for each in found
        ]

    def find_instances(self, study: str, series: str) -> list[str]:
        """Return the SOP Instance UIDs of a series."""
        found = self._all_pages(self._client.search_for_instances, study, series, fields=["SOPInstanceUID"])
        return [_value(each, "00080018") for each in found]

    def retrieve(self, study: str, series: str, instance: str) -> bytes:
        """Return the DICOM file with these UIDs, as the PACS stores it."""
        (data,) = self._retrieve(f"studies/{study}/series/{series}/instances/{instance}", is_single=True)
        return data

    def retrieve_all(self, study: str, series: str = "") -> list[bytes]:
        """Return all films of a series, or of a study, as DICOM files. Raises TooLargeError if they are too large."""
        return self._retrieve(f"studies/{study}" + (f"/series/{series}" if series else ""), is_single=False)

    def _retrieve(self, path: str, *, is_single: bool) -> list[bytes]:
        with (
            translate_http_errors(self._address),
            self._films.get(
                f"{self._url}/{path}", headers={"Accept": _ACCEPT}, stream=True, timeout=_TIMEOUT
            ) as response,
        ):
            _check_status(response)
            kind, body = response.headers.get("Content-Type", ""), response.content
            files = [split_single_part(kind, body)] if is_single else split_parts(kind, body)
        if any(data[128:132] != b"DICM" for data in files):
            raise PacsError("its answer is not a DICOM file", str(self._address))
        return files

    def store(self, path: Path, study: str, instance: str) -> None:
        """Store the DICOM file at `path`, with these UIDs. Raises PacsError if the PACS does not confirm it."""
        with translate_http_errors(self._address):
            answer = self._client.store_instances([pydicom.dcmread(path)], study)
            stored = {str(each.ReferencedSOPInstanceUID) for each in answer.get("ReferencedSOPSequence", [])}
            refused = {str(each.ReferencedSOPInstanceUID) for each in answer.get("FailedSOPSequence", [])}
        if instance in refused:
            raise PacsError("the PACS did not store the file", str(self._address))
        if instance not in stored:  # some servers answer without a list
            with translate_http_errors(self._address):
                found = self._client.search_for_instances(study, search_filters={"SOPInstanceUID": instance})
                stored = {_value(each, "00080018") for each in found}
            if instance not in stored:
                raise PacsError("the PACS does not confirm that it stored the file", str(self._address))

    def close(self) -> None:
        """End the connections."""
        self._queries.close()
        self._films.close()

    def _all_pages(self, search: Callable[..., Any], *about: str, **options: Any) -> list[Mapping[str, Any]]:
        """Return the answers of all pages, up to one without a new answer.

        A short page may not be the last one, because servers limit the length of pages. A server that ignores the offset
        sends the first page again. Raises PacsError if the last page with answers states that there are more (PS3.18
        section 8.3.4.4).
        """
        found: dict[str, Mapping[str, Any]] = {}
        offset = 0
        has_more = False
        for _ in range(_MAX_PAGES):
            with translate_http_errors(self._address):
                answers = search(*about, limit=_PAGE, offset=offset, **options)
                if not isinstance(answers, list) or not all(isinstance(each, dict) for each in answers):
                    raise ValueError("not a list of data sets")
                new = {repr(sorted(each.items())): each for each in answers}
            if new.keys() <= found.keys():
                if has_more:
                    raise PacsError("the PACS states more answers to a query than it sends", str(self._address))
                return list(found.values())
            has_more = self._queries.states_more
            found |= new
            offset += len(answers)
        raise PacsError(f"a query has more than {_PAGE * _MAX_PAGES} answers", str(self._address))


def _check_status(response: Any) -> None:
    response.raise_for_status()
    if response.status_code != 200:  # a redirection, or an answer in parts
        raise ValueError("not the file")


def _value(answer: Mapping[str, Any], tag: str) -> str:
    """Return an element in DICOM JSON (PS3.18 F.2) as a text, with backslashes between its values, or an empty text."""
    return shorten_answer("\\".join(map(shorten_answer, _values(answer, tag)[:_MOST_VALUES])))


def _name(answer: Mapping[str, Any]) -> str:
    """Return the patient's first name (PS3.18 F.2.2) with ``=`` between its three groups, or an empty text.

    Some servers write the name as a plain text.
    """
    first = next(iter(_values(answer, "00100010")), None)
    if not isinstance(first, dict):
        return shorten_answer(first)
    return "=".join(shorten_answer(first.get(group)) for group in ("Alphabetic", "Ideographic", "Phonetic")).rstrip("=")


def _values(answer: Mapping[str, Any], tag: str) -> list[Any]:
    element = answer.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values if isinstance(values, list) else []


def split_single_part(content_type: str, body: bytes) -> bytes:
    """Return the only part of a ``multipart/related`` body (RFC 2387), or the body itself if it is a bare DICOM file.

    Raises ValueError if the body has another form or several parts, and ConnectionError if it has no end.
    """
    parts = split_parts(content_type, body)
    if len(parts) > 1:
        raise ValueError("the multipart answer has several parts")
    return parts[0]


def split_parts(content_type: str, body: bytes) -> list[bytes]:
    """Return the parts of a ``multipart/related`` body (RFC 2387), or the body itself if it is a bare DICOM file.

    Raises ValueError if the body has another form, and ConnectionError if it has no end.
    """
    if content_type.partition(";")[0].strip().lower() == "application/dicom":
        return [body]
    found = re.search(r'boundary="?([^";]{1,100})"?', content_type, re.IGNORECASE)
    if not content_type.lower().startswith("multipart/related") or found is None:
        raise ValueError("no multipart answer")
    mark = b"--" + found[1].strip().encode("latin-1", "replace")
    start = 0 if body.startswith(mark) else body.find(b"\r\n" + mark) + 2
    end = body.rfind(b"\r\n" + mark + b"--")
    header_end = body.find(b"\r\n\r\n", start)
    if not body.startswith(mark, start) or header_end < 0:
        raise ValueError("no multipart answer")
    if end < header_end:
        raise ConnectionError("the multipart answer has no end")
    first, *others = body[header_end + 4 : end].split(b"\r\n" + mark + b"\r\n")
    return [first, *(part.partition(b"\r\n\r\n")[2] for part in others)]

"""Fetch the films of a list of patients from a PACS into a spool, so that a second run continues the first.

The answers of the PACS are checked: a film is fetched only if the answer names exactly the listed patient, and kept only if
its own header does so, too. The films of one patient are imported together, once all of them are here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import sleep
from typing import TypeVar

from ratui.errors import FilmError, PacsError, PacsLostError
from ratui.pacs.patient_list import ListedPatient
from ratui.pacs.source import FoundStudy, PacsSource, is_uid
from ratui.pacs.spool import Spool, SpoolFullError, TooLargeError
from ratui.study.importing import ReaderProcess

__all__ = ["FILM_MODALITIES", "FetchReport", "FetchedPatient", "fetch_films"]

FILM_MODALITIES = ("CR", "DX", "RG")
"""Modalities of radiographs (PS3.3 C.7.3.1.1.1)."""
_DELAYS = (1.0, 3.0, 10.0)  # seconds before a request is repeated
Result = TypeVar("Result")
ProgressCallback = Callable[[int, int], None]
"""Function called with (patients done, patients in all)."""


@dataclass
class FetchedPatient:
    """The result for one patient of the list.

    Attributes
    ----------
    line
        Line of the list, by which messages name the patient.
    files
        The patient's films that wait in the spool.
    finished
        Number of films that an earlier run has fetched and imported.
    left_out
        Number of series, studies or films that were not fetched, by reason.
    missing
        Number of films that could not be fetched, by reason. Such a patient is not complete.
    """

    line: int
    files: list[Path] = field(default_factory=list)
    finished: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)

    @property
    def is_complete(self) -> bool:
        """True if every film of the patient is here."""
        return not self.missing


@dataclass(frozen=True)
class FetchReport:
    """The result for all patients, in the order of the list. `lost` is the reason why the run ended early, or empty."""

    patients: tuple[FetchedPatient, ...]
    lost: str = ""

    @property
    def files(self) -> list[Path]:
        """The films of all complete patients."""
        return [file for patient in self.patients if patient.is_complete for file in patient.files]

    @property
    def is_complete(self) -> bool:
        """True if every film of every patient is here."""
        return not self.lost and all(patient.is_complete for patient in self.patients)


def fetch_films(
    source: PacsSource,
    address: str,
    patients: Sequence[ListedPatient],
    spool: Spool,
    *,
    modalities: Iterable[str] = FILM_MODALITIES,
    delays: Sequence[float] = _DELAYS,
    progress: ProgressCallback = lambda done, total: None,
) -> FetchReport:
    """Fetch the films of `patients` into `spool`. Films that are there already are not fetched again.

    Parameters
    ----------
    source
        The PACS.
    address
        Its address; films of another PACS are other films.
    patients
        The patients.
    spool
        The spool, open.
    modalities
        Modalities of the series to fetch.
    delays
        Seconds to wait before each repetition of a request whose connection was lost.
    progress
        Called after each patient.

    Returns
    -------
    FetchReport
        The result. If the connection is lost for good or the spool is full, the patients not asked for are missing.

    Raises
    ------
    PacsError
        If the PACS refuses the first query.
    """
    wanted = frozenset(modalities)
    results: list[FetchedPatient] = []
    lost = ""
    with ReaderProcess() as reader:
        for number, patient in enumerate(patients):
            progress(number, len(patients))
            result = FetchedPatient(patient.line)
            results.append(result)
            if lost:
                result.missing["the run ended before this patient"] += 1
                continue
            run = _PatientRun(source, address, patient, spool, wanted, delays, reader, result)
            try:
                run.fetch()
            except PacsLostError as error:
                lost = str(error)
                result.missing["the connection was lost"] += 1
            except SpoolFullError as error:
                lost = str(error)
                result.missing[error.problem] += 1
            except PacsError as error:
                if number == 0 and not result.files:
                    raise  # no query works: an address, an account or a title is wrong
                result.missing[error.problem] += 1
    progress(len(patients), len(patients))
    return FetchReport(tuple(results), lost)


@dataclass
class _PatientRun:
    """The queries and retrievals for one patient."""

    source: PacsSource
    address: str
    patient: ListedPatient
    spool: Spool
    modalities: frozenset[str]
    delays: Sequence[float]
    reader: ReaderProcess
    result: FetchedPatient

    def fetch(self) -> None:
        """Fetch all films of the patient. Raises PacsError if a query fails."""
        studies = self._repeat(lambda: self.source.find_studies(self.patient))
        for study in self._choose_studies(studies):
            for series in self._repeat(lambda uid=study: self.source.find_series(uid)):  # type: ignore[misc]
                if series.modality.upper() not in self.modalities:
                    self.result.left_out["series of another modality"] += 1
                elif not is_uid(series.uid):
                    self.result.left_out["series without a valid UID"] += 1
                else:
                    self._fetch_series(study, series.uid)
        if not (self.result.files or self.result.finished or self.result.missing or self.result.left_out):
            self.result.left_out["patient without a study in the PACS"] += 1

    def _choose_studies(self, found: list[FoundStudy]) -> list[str]:
        """Return the UIDs of the studies that are certainly of the listed patient; count the others in `left_out`."""
        left_out, wanted = self.result.left_out, self.patient
        own = []
        for study in found:
            if study.patient_id != wanted.id:  # a PACS may ignore a condition, or upper and lower case
                left_out["study of another patient ID"] += 1
            elif wanted.issuer and study.issuer and study.issuer != wanted.issuer:
                left_out["study of another issuer of the patient ID"] += 1
            elif wanted.birth_date and study.birth_date and study.birth_date != wanted.birth_date:
                left_out["study with another date of birth"] += 1
            elif not is_uid(study.uid):
                left_out["study without a valid UID"] += 1
            else:
                own.append(study)
        persons = [{value for study in own if (value := getattr(study, name))} for name in _PERSON]
        if any(len(values) > 1 for values in persons):
            left_out["study of one of several persons with this patient ID: give issuer or birth_date"] += len(own)
            return []
        return sorted({study.uid for study in own})

    def _fetch_series(self, study: str, series: str) -> None:
        for instance in self._repeat(lambda: self.source.find_instances(study, series)):
            if not is_uid(instance):
                self.result.left_out["film without a valid UID"] += 1
                continue
            name = Spool.name(self.address, self.patient.id, study, series, instance)
            if self.spool.is_finished(name):
                self.result.finished += 1
            elif self.spool.has(name):
                self.result.files.append(self.spool.path(name))
            else:
                self._fetch_film(name, study, series, instance)

    def _fetch_film(self, name: str, study: str, series: str, instance: str) -> None:
        try:
            data = self._repeat(lambda: self.source.retrieve(study, series, instance))
            path = self.spool.store(name, data)
        except (PacsLostError, SpoolFullError):
            raise
        except TooLargeError:
            self.result.left_out["file that is too large for a film"] += 1
            return
        except PacsError as error:
            self.result.missing[error.problem] += 1
            return
        if self._names_another_person(path):
            self.spool.finish([path], remember=False)
            self.result.left_out["film whose header names another person"] += 1
        else:
            self.result.files.append(path)

    def _names_another_person(self, path: Path) -> bool:
        """Return whether the header of a film contradicts the list; the import states why it can't read a file."""
        try:
            header = self.reader.read_header(path)
        except FilmError:
            return False
        wanted = self.patient
        pairs = (wanted.id, header.patient_id), (wanted.issuer, header.issuer), (wanted.birth_date, header.birth_date)
        return any(listed and stated.strip() and listed != stated.strip() for listed, stated in pairs)

    def _repeat(self, request: Callable[[], Result]) -> Result:
        """Return the result of `request`, repeated while the connection is lost."""
        for delay in self.delays:
            try:
                return request()
            except PacsLostError:
                sleep(delay)
        return request()


_PERSON = ("issuer", "birth_date", "sex")

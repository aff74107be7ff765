"""Fetch the films of a list of patients from a PACS into a spool, so that a second run continues the first.

The answers of the PACS are checked: a film is fetched only if the answer names exactly the listed patient, and kept only if
its own header does so, too. The films of one patient are imported together, once all of them are here. Whatever the PACS has
for a listed ID and is not fetched is counted with its reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from time import sleep
from typing import TypeVar

from ratui.errors import FilmError, PacsError, PacsLostError
from ratui.pacs.listing import ListedFilm, Listing, StudyLister
from ratui.pacs.patient_list import ListedPatient
from ratui.pacs.person_choice import choose_studies, names_another_person
from ratui.pacs.source import PacsSource
from ratui.pacs.spool import MAX_FILM_BYTES, Spool, SpoolFullError, TooLargeError
from ratui.study.importing import ReaderProcess

__all__ = ["FILM_MODALITIES", "FetchReport", "FetchedPatient", "fetch_films", "finish_key_objects"]

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
        The patient's films and key objects that wait in the spool.
    key_objects
        Those of `files` that are key objects, which may reject films for their quality.
    finished
        Number of films that an earlier run has fetched and imported.
    left_out
        Number of series or studies that were not wanted, such as those of another person, by reason.
    losses
        Number of studies or films that the PACS has for the listed ID and that no repetition will fetch, by reason. The
        other films are imported, but a person has to look at the PACS.
    missing
        Number of films that could not be fetched, by reason. The patient's films wait for a repetition.
    """

    line: int
    files: list[Path] = field(default_factory=list)
    key_objects: list[Path] = field(default_factory=list)
    finished: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    losses: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)

    @property
    def is_ready(self) -> bool:
        """True if the films can be imported: a repetition would fetch no more."""
        return not self.missing

    @property
    def is_complete(self) -> bool:
        """True if every film of the patient is here."""
        return not (self.missing or self.losses)


@dataclass(frozen=True)
class FetchReport:
    """The result for all patients, in the order of the list. `lost` is the reason why the run ended early, or empty."""

    patients: tuple[FetchedPatient, ...]
    lost: str = ""

    @property
    def files(self) -> list[Path]:
        """The films of all patients of whom a repetition would fetch no more, each once: two lines may name one person."""
        return list(dict.fromkeys(file for patient in self.patients if patient.is_ready for file in patient.files))

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


def finish_key_objects(report: FetchReport, spool: Spool) -> None:
    """Remove the key objects of each patient whose films were all imported, and remember them. Call it after the import.

    The others stay for the next import, because they may reject films that still wait.
    """
    for patient in report.patients:
        keys = set(patient.key_objects)
        if patient.is_ready and keys and not any(file not in keys and spool.has(file.name) for file in patient.files):
            spool.finish(keys)


class _AmbiguousUidError(PacsError):
    """A film that the PACS does not return because it has several with the same UID."""


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
        result = self.result
        listing = self._list_films()
        uses = Counter(film.instance for film in listing.films)
        for film in listing.films:  # key objects come last
            name = Spool.name(self.address, self.patient.id, film.study, film.series, film.instance)
            path = self.spool.path(name)
            # A key object is needed again as long as a film waits for the import.
            if self.spool.is_finished(name) and not (film.is_key and result.files):
                result.finished += not film.is_key
            elif self.spool.has(name):
                result.files.append(path)
            else:
                self._fetch_film(name, film, is_ambiguous=uses[film.instance] > 1 or film.instance in listing.repeated)
            if film.is_key and path in result.files:
                result.key_objects.append(path)
        if not (result.files or result.finished or result.missing or result.left_out or result.losses):
            result.left_out["patient without a study in the PACS"] += 1

    def _list_films(self) -> Listing:
        """Return the films of the patient, and count in the result what is not among them."""
        lister = StudyLister(self.source, self.modalities, self._repeat)
        listing = Listing()
        found = lister.find_studies(self.patient, listing)
        chosen = choose_studies(self.patient, found)
        for study in chosen.uids:
            lister.list_study(study, found, listing)
        self.result.left_out += chosen.left_out + listing.left_out
        self.result.losses += chosen.losses + listing.losses
        self.result.missing += listing.missing
        return listing

    def _fetch_film(self, name: str, film: ListedFilm, *, is_ambiguous: bool) -> None:
        try:
            data = b"" if is_ambiguous else self._retrieve_one(film)
            path = self.spool.store(name, data or self._retrieve_among_others(film))
        except (PacsLostError, SpoolFullError):
            raise
        except TooLargeError:
            self.result.losses["file that is too large for a film"] += 1
            return
        except _AmbiguousUidError as error:
            self.result.losses[error.problem] += 1
            return
        except PacsError as error:
            self.result.missing[error.problem] += 1
            return
        if self._names_another_person(path):
            self.spool.finish([path], remember=False)
            self.result.losses["film whose header names another person"] += 1
        elif self._is_another_film(path, film):
            self.spool.finish([path], remember=False)
            self.result.losses["film whose header has another UID than was asked for"] += 1
        else:
            self.result.files.append(path)

    def _retrieve_one(self, film: ListedFilm) -> bytes:
        """Return a film by its UID. If the PACS can't do that, look for it among the films of its series."""
        try:
            return self._repeat(lambda: self.source.retrieve(film.study, film.series, film.instance))
        except (PacsLostError, TooLargeError):
            raise
        except PacsError as error:
            # Also another patient may have a film with this UID, which the answers for this patient do not show.
            try:
                return self._retrieve_among_others(film)
            except _AmbiguousUidError:
                raise error from None

    def _retrieve_among_others(self, film: ListedFilm) -> bytes:
        """Return a film from those of its series, or of its study: a PACS may refuse a UID that it has more than once.

        Raises _AmbiguousUidError if exactly one such film of the patient is not there.
        """
        for series in (film.series, ""):
            try:
                files = self._repeat(lambda uid=series: self.source.retrieve_all(film.study, uid))  # type: ignore[misc]
            except (PacsLostError, SpoolFullError):
                raise
            except PacsError:
                continue
            found = {data for data in files if len(data) <= MAX_FILM_BYTES and self._is_film(data, film)}
            if len(found) == 1:
                return found.pop()
        raise _AmbiguousUidError("film with a UID that the PACS has more than once, and does not return")

    def _is_film(self, data: bytes, film: ListedFilm) -> bool:
        """Return whether a file has the UIDs of `film` and does not contradict the list."""
        path = self.spool.store(Spool.name("one of several", sha256(data).hexdigest()), data)
        try:
            header = self.reader.read_header(path)
        except FilmError:
            return False
        else:
            uids = ListedFilm(header.study_uid.strip(), header.series_uid.strip(), header.instance_uid.strip())
            return uids == film and not self._names_another_person(path)
        finally:
            self.spool.finish([path], remember=False)

    def _names_another_person(self, path: Path) -> bool:
        """Return whether the header of a film contradicts the list; the import states why it can't read a file."""
        try:
            header = self.reader.read_header(path)
        except FilmError:
            return False
        return names_another_person(self.patient, header)

    def _is_another_film(self, path: Path, film: ListedFilm) -> bool:
        """Return whether the header of a file has another SOP Instance UID than `film`.

        The other two UIDs may differ: an archive may correct them in its index alone.
        """
        try:
            return self.reader.read_header(path).instance_uid.strip() != film.instance
        except FilmError:
            return False

    def _repeat(self, request: Callable[[], Result]) -> Result:
        """Return the result of `request`, repeated while the connection is lost."""
        for delay in self.delays:
            try:
                return request()
            except PacsLostError:
                sleep(delay)
        return request()

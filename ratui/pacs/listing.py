"""The list of the films that a PACS has for a patient, compared with the numbers that the PACS states.

A list may have fewer entries than the PACS has objects: a server limits its answers, or a message is dropped. Such a
difference is always reported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from ratui.errors import PacsError, PacsLostError
from ratui.pacs.patient_list import ListedPatient
from ratui.pacs.source import FoundSeries, FoundStudy, PacsSource, is_uid

__all__ = ["ListedFilm", "Listing", "Retry", "StudyLister"]

_KEY_OBJECTS = "KO"
Result = TypeVar("Result")


class Retry(Protocol):
    """A function that returns the result of a request, and repeats it while the connection is lost."""

    def __call__(self, request: Callable[[], Result], /) -> Result:
        """Return the result of `request`."""


@dataclass(frozen=True)
class ListedFilm:
    """The UIDs of a film in the PACS, or of a key object document, which may reject films of its study."""

    study: str
    series: str
    instance: str
    is_key: bool = field(default=False, compare=False)


@dataclass
class Listing:
    """The films of a patient, and the reasons why others are not among them.

    Attributes
    ----------
    films
        Films, then key objects, each once.
    repeated
        SOP Instance UIDs that the PACS lists more than once in one series.
    left_out, losses, missing
        Reasons with numbers of objects, as in `FetchedPatient`.
    """

    films: list[ListedFilm] = field(default_factory=list)
    repeated: set[str] = field(default_factory=set)
    left_out: Counter[str] = field(default_factory=Counter)
    losses: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class _StudyList:
    """The result of listing one study once."""

    films: tuple[ListedFilm, ...]
    left_out: Counter[str]
    losses: Counter[str]
    deficits: Counter[str]


@dataclass
class StudyLister:
    """The queries for the films of a patient.

    Parameters
    ----------
    source
        The PACS.
    modalities
        Modalities of the series whose films are wanted.
    repeat
        Function that calls a request, and repeats it while the connection is lost.
    """

    source: PacsSource
    modalities: frozenset[str]
    repeat: Retry

    def find_studies(self, patient: ListedPatient, listing: Listing) -> list[FoundStudy]:
        """Return all studies that the PACS lists for the patient ID of `patient`; they can be of another person.

        A PACS rarely states how many there are. Therefore it is asked twice, and a third time if the answers differ.
        Studies that were not in all answers are used; if the third answer does not have them either, they are missing.
        """
        first, second = self._ask_studies(patient), self._ask_studies(patient)
        found = {**second, **first}
        if first.keys() != second.keys() and (unsure := found.keys() - self._ask_studies(patient).keys()):
            listing.missing["study that the PACS did not list each time"] += len(unsure)
        stated = max((study.studies or 0 for study in found.values() if study.patient_id == patient.id), default=0)
        _count(listing.losses, "study that the PACS counts for a patient and does not list", stated - len(found))
        return list(found.values())

    def list_study(self, study: str, found: Sequence[FoundStudy], listing: Listing) -> None:
        """Add the films of the study with the UID `study` to `listing`; `found` are the answers for its patient.

        If the PACS states more objects than it lists, it is asked again. If the second list is the same, the rest is a loss;
        else it is missing, because another run may get it.
        """
        stated = [each for each in found if each.uid == study]
        lists = [self._list_once(study, stated)]
        if lists[0].deficits:
            lists.append(self._list_once(study, stated))
        last = lists[-1]
        is_stable = set(lists[0].films) == set(last.films) and lists[0].deficits == last.deficits
        listing.left_out += last.left_out
        listing.losses += last.losses
        if is_stable:
            listing.losses += last.deficits
        else:
            listing.missing += last.deficits
        films = dict.fromkeys(film for each in lists for film in each.films)
        listing.films = sorted([*listing.films, *films], key=lambda film: film.is_key)
        listing.repeated |= {film.instance for film, uses in Counter(last.films).items() if uses > 1}

    def _ask_studies(self, patient: ListedPatient) -> dict[tuple[str, ...], FoundStudy]:
        found = self.repeat(lambda: self.source.find_studies(patient))
        return {
            (study.uid, study.patient_id, study.issuer, study.birth_date, study.sex, study.name): study
            for study in found
        }

    def _list_once(self, study: str, stated: Sequence[FoundStudy]) -> _StudyList:
        result = _StudyList((), Counter(), Counter(), Counter())
        found = self.repeat(lambda: self.source.find_series(study))
        series_count = max((each.series or 0 for each in stated), default=0)
        study_count = max((each.instances or 0 for each in stated), default=0)
        _count(
            result.deficits,
            "series that the PACS counts in a study and does not list",
            series_count - len({series.uid for series in found}),
        )
        films: list[ListedFilm] = []
        total, unknown = 0, []
        has_films = any(series.modality.upper() in self.modalities for series in found)
        for series in found:
            modality = series.modality.upper()
            is_key = modality == _KEY_OBJECTS and has_films
            if modality not in self.modalities and not is_key:
                result.left_out["series of another modality"] += 1
                total += series.instances or 0
                unknown += [series] if series.instances is None else []
            elif not is_uid(series.uid):
                result.losses["series without a valid UID"] += 1
                total += series.instances or 0
            else:
                listed = self._list_series(study, series, result, is_key=is_key)
                films += [film for film in listed if is_uid(film.instance)]
                total += max(series.instances or 0, len(set(listed)))
        if study_count > total and not result.deficits:
            total += sum(self._count_series(study, series) for series in unknown)
            _count(
                result.deficits, "object that the PACS counts in a study and lists in no series", study_count - total
            )
        return _StudyList(tuple(films), result.left_out, result.losses, result.deficits)

    def _list_series(self, study: str, series: FoundSeries, result: _StudyList, *, is_key: bool) -> list[ListedFilm]:
        """Return the objects of a series, also those without a valid UID, and count what is wrong."""
        uids = self.repeat(lambda: self.source.find_instances(study, series.uid))
        listed = [ListedFilm(study, series.uid, uid, is_key) for uid in uids]
        _count(result.losses, "film without a valid UID", sum(not is_uid(uid) for uid in uids))
        lost = (series.instances or 0) - len({uid for uid in uids if is_uid(uid)})
        lost -= sum(not is_uid(uid) for uid in uids)
        _count(result.deficits, "film that the PACS counts in a series and does not list", lost)
        return listed

    def _count_series(self, study: str, series: FoundSeries) -> int:
        """Return the number of objects of a series that is not wanted, 0 if the PACS does not tell it."""
        if not is_uid(series.uid):
            return 0
        try:
            return len(set(self.repeat(lambda: self.source.find_instances(study, series.uid))))
        except PacsLostError:
            raise
        except PacsError:
            return 0


def _count(reasons: Counter[str], reason: str, number: int) -> None:
    if number > 0:
        reasons[reason] += number

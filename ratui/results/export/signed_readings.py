"""The readings of an export, and the names of their raters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from ratui.imaging import Orientation
from ratui.reading import Reading
from ratui.results.released import ReleasedReadings
from ratui.study import CONSENSUS, Case, Region, Study
from ratui.study.intact import intact_case, intact_regions
from ratui.study.readings.late_changes import LateChanges, changes_after_release

__all__ = ["ExportSource", "SignedReading"]


@dataclass(frozen=True)
class SignedReading:
    """A signed reading with its case and its rater's name. `number` counts raters from 1; it is 0 for the consensus."""

    case: Case
    rater: str
    number: int
    reading: Reading

    @property
    def kind(self) -> str:
        """Either ``rater`` or ``consensus``."""
        return "rater" if self.number else "consensus"

    def file_name(self, content: object) -> str:
        """Return the name of a file about `content` of this reading, relative to the format's folder."""
        return f"{self.case.id}/{self.rater.replace(' ', '-').lower()}-{content}.dcm"


@dataclass(frozen=True)
class ExportSource:
    """The readings to export. With `numbered`, raters are named ``READER 1``, ``READER 2`` and so on."""

    study: Study
    released: ReleasedReadings
    numbered: bool = False

    @cached_property
    def late(self) -> LateChanges:
        """The readings that were opened again after the release of their case, and the consensus readings that are older."""
        return changes_after_release(self.study)

    def find_late_mark(self, signed: SignedReading) -> str | None:
        """Return the mark of a reading in the column ``late_change``; None for none."""
        return self.late.mark(signed.reading.case, [signed.reading.rater]) or None

    def find_late_mark_of_case(self, case: str, origin: str) -> str | None:
        """Return the mark of a final score in the column ``late_change``; None for none.

        `origin` is ``consensus``, ``raters``, or empty if there is no score.
        """
        readers = [*self.released.readings[case], *([CONSENSUS] if origin == "consensus" else [])]
        return self.late.mark(case, readers) or None

    def name(self, rater: str) -> str:
        """Return the name of a rater in the export."""
        if rater == CONSENSUS:
            return CONSENSUS
        return f"READER {self.number(rater)}" if self.numbered else rater

    def number(self, rater: str) -> int:
        """Return the position of the rater among all raters of the study, from 1."""
        return self.study.config.raters.index(rater) + 1

    def by_case(self) -> Iterator[tuple[Case, tuple[SignedReading, ...]]]:
        """Yield each case with its readings: raters in their order, the consensus last.

        Films and boxes are those of the stored pictures, because other programs read the films as they are stored.
        """
        yield from self._by_case

    @cached_property
    def _by_case(self) -> list[tuple[Case, tuple[SignedReading, ...]]]:
        by_case = []
        for case, readings in self.released.readings.items():
            found = intact_case(self.study, case)
            if found is None:  # damaged since the readings were collected
                continue
            found = found.as_stored()
            signed = [
                SignedReading(found, self.name(rater), self.number(rater), each) for rater, each in readings.items()
            ]
            if case in self.released.consensus:
                signed.append(SignedReading(found, CONSENSUS, 0, self.released.consensus[case]))
            by_case.append((found, tuple(signed)))
        return by_case

    def regions(self, case: Case) -> tuple[Region, ...]:
        """Return the regions on the films of `case`; none, with a notice of the study, if they can't be read."""
        films = {film.id for film in case.films}
        return tuple(region for region in intact_regions(self.study, case) if region.film in films)

    def orientations(self, case: Case) -> Mapping[str, Orientation]:
        """Return the orientation of each film that raters saw turned, by film ID."""
        films = (intact_case(self.study, case.id) or case).films
        return {film.id: film.orientation for film in films if film.orientation is not Orientation.UPRIGHT}

    def readings(self) -> Iterator[SignedReading]:
        """Yield all readings, case by case."""
        for _, signed in self.by_case():
            yield from signed

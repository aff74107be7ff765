"""Under which name a reader stands in an export, and which readings go into it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ratui.reading import Reading
from ratui.results.released import ReleasedReadings
from ratui.study import CONSENSUS, Case, Study

__all__ = ["ExportSource", "SignedReading"]


@dataclass(frozen=True)
class SignedReading:
    """A signed reading with the case it is of and the name of its reader; `number` counts raters from 1 and is 0 for the
    consensus."""

    case: Case
    reader: str
    number: int
    reading: Reading

    @property
    def kind(self) -> str:
        return "rater" if self.number else "consensus"

    def file_name(self, what: object) -> str:
        """The name of a file about `what` in this reading, inside an export's folder."""
        return f"{self.case.id}/{self.reader.replace(' ', '-').lower()}-{what}.dcm"


@dataclass(frozen=True)
class ExportSource:
    """What goes out of `study`: the readings of `released`. With `numbered` raters stand as ``READER 1`` and so on."""

    study: Study
    released: ReleasedReadings
    numbered: bool = False

    def name(self, rater: str) -> str:
        if rater == CONSENSUS:
            return CONSENSUS
        return f"READER {self.number(rater)}" if self.numbered else rater

    def number(self, rater: str) -> int:
        """The rater's place among those of the study, from 1."""
        return self.study.config.raters.index(rater) + 1

    def by_case(self) -> Iterator[tuple[Case, tuple[SignedReading, ...]]]:
        """Every case that has a reading to export, with them: raters in their order, the consensus last."""
        for case, readings in self.released.readings.items():
            found = self.study.case(case)
            signed = [
                SignedReading(found, self.name(rater), self.number(rater), each) for rater, each in readings.items()
            ]
            if case in self.released.consensus:
                signed.append(SignedReading(found, CONSENSUS, 0, self.released.consensus[case]))
            yield found, tuple(signed)

    def readings(self) -> Iterator[SignedReading]:
        """Every reading, case by case."""
        for _, signed in self.by_case():
            yield from signed

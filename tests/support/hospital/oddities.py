"""The oddities of the simulated hospital: their names, their shares of the patients, and the registry of their makers.

Shares are in per cent of the patients; the other patients are clean. They are invented in the order of magnitude that people
who collect films for trials report: most films are described well, and each kind of fault concerns one patient in a hundred.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from tests.support.hospital.people import ISSUERS, Person, draw_person
from tests.support.hospital.record import Record, draw_record, draw_visits

__all__ = ["ODDITIES", "Maker", "Oddity", "oddity"]


@dataclass
class Maker:
    """The source of persons and records for one patient of the hospital.

    Attributes
    ----------
    number
        Number of the patient.
    random
        Source of all choices.
    """

    number: int
    random: Random
    made: int = field(default=0, init=False)

    def person(self, issuer: str | None = None, number: str | None = None) -> Person:
        """Draw a new person with a patient ID of its own, or with the ID `number`."""
        issuer = issuer or self.random.choices(ISSUERS, (65, 35))[0]
        # Two hospitals number their patients alike, so the numbers of all persons here are distinct but for an oddity.
        own = f"{1000000 + self.number * 10 + self.made}"
        self.made += 1
        return draw_person(f"{self.number}.{self.made}", number or own, issuer, self.random)

    def record(
        self,
        person: Person | None = None,
        *,
        count: int | None = None,
        styles: tuple[str, ...] = (),
        sends_issuer: bool = False,
        feet: bool | None = None,
        persons: dict[int, Person] | None = None,
        per_side: bool = False,
    ) -> Record:
        """Draw a record; the parameters are those of `draw_visits` and `draw_record`."""
        person = person or self.person()
        visits = draw_visits(
            person.issuer, self.random, count=count, styles=styles, sends_issuer=sends_issuer, feet=feet
        )
        return draw_record(person, visits, self.random, persons=persons, per_side=per_side)


Make = Callable[[Maker], list[Record]]


@dataclass(frozen=True)
class Oddity:
    """A kind of oddity.

    Attributes
    ----------
    name
        Its name in the truth.
    share
        Share of the patients that have it, in per cent.
    make
        Function that makes the records of one such patient, with the truth.
    """

    name: str
    share: float
    make: Make


ODDITIES: dict[str, Oddity] = {}
"""All oddities by name."""


def oddity(name: str, share: float) -> Callable[[Make], Make]:
    """Register the maker of an oddity under `name` with its `share` of the patients in per cent."""

    def register(make: Make) -> Make:
        ODDITIES[name] = Oddity(name, share, make)
        return make

    return register

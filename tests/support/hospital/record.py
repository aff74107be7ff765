"""The files of one patient: examinations with films of three projections, and other objects an archive returns with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from pydicom import Dataset

from tests.support.hospital.headers import Visit, draw_device, make_header, new_uid
from tests.support.hospital.other_objects import add_other_objects
from tests.support.hospital.people import Person
from tests.support.hospital.truth import Outcome

__all__ = ["FileDraft", "Record", "draw_record", "draw_visits", "make_film"]

EXAMINATIONS = {1: 12, 2: 68, 3: 13, 4: 5, 5: 2}
"""Number of examinations of a patient, and its share in per cent."""
_FEET_SHARE = 0.75
_ONE_FILM_SHARE = 0.4  # both hands, or both feet, on one film
_TWO_STUDIES_SHARE = 0.25  # hands and feet of one visit ordered separately
_OBLIQUE_SHARE = 0.35
_LATERAL_SHARE = 0.15
_NORGAARD_SHARE = 0.05
_NORGAARD_WORDS = ("Nørgaard", "NORGAARD", "Norgaard / ball catcher")


@dataclass
class FileDraft:
    """A file to be written, with its truth. The attributes are those of `Truth`.

    Attributes
    ----------
    header
        The data set without a picture.
    picture
        Number of the picture; None for objects without one.
    gamma
        Exponent of the brightness, which differs between two processings of one exposure.
    """

    header: Dataset
    outcome: Outcome
    person: str = ""
    examination: int = -1
    side: str = ""
    part: str = ""
    view: str = ""
    one_of: str = ""
    oddity: str = "none"
    reason: str = ""
    style: str = ""
    language: str = ""
    picture: int | None = None
    gamma: float = 1.0

    def ask(self, oddity: str, reason: str) -> None:
        """Make the file one that a person must decide."""
        self.outcome, self.oddity, self.reason = Outcome.ASK, oddity, reason

    def leave(self, oddity: str, reason: str) -> None:
        """Make the file one to leave out."""
        self.outcome, self.oddity, self.reason = Outcome.LEAVE, oddity, reason

    def note(self, oddity: str, reason: str) -> None:
        """Name the oddity of a file whose outcome remains."""
        self.oddity, self.reason = oddity, reason


@dataclass
class Record:
    """The files of one person.

    Attributes
    ----------
    person
        The person, as of the first examination.
    visits
        The examinations in order of time.
    files
        The files in the order of their creation.
    """

    person: Person
    visits: list[Visit]
    files: list[FileDraft] = field(default_factory=list)

    @property
    def wanted(self) -> list[FileDraft]:
        """Return the films to take."""
        return [file for file in self.files if file.outcome is Outcome.TAKE]

    def wanted_of(self, visit: int) -> list[FileDraft]:
        """Return the films to take of one examination."""
        return [file for file in self.wanted if file.examination == visit]

    def images_of(self, visit: int) -> list[FileDraft]:
        """Return all hand and foot films of one examination, also those to leave out."""
        return [file for file in self.files if file.examination == visit and file.part in ("hand", "foot")]


def draw_visits(
    issuer: str,
    random: Random,
    *,
    count: int | None = None,
    styles: Sequence[str] = (),
    sends_issuer: bool = False,
    feet: bool | None = None,
) -> list[Visit]:
    """Draw the examinations of a person.

    Parameters
    ----------
    issuer
        The hospital.
    random
        Source of the choices.
    count
        Number of examinations; None draws it.
    styles
        Header styles of the devices to choose from; none for all.
    sends_issuer
        Draw only devices that send the issuer.
    feet
        True for films of the feet at each examination, False for none; None draws it.
    """
    count = count or random.choices(list(EXAMINATIONS), list(EXAMINATIONS.values()))[0]
    day = datetime(2006, 1, 9) + timedelta(days=random.randrange(3200))
    visits = []
    usual = draw_device(issuer, random, styles=styles, sends_issuer=sends_issuer)
    for number in range(count):
        begin = day + timedelta(
            hours=random.randrange(8, 17), minutes=random.randrange(60), seconds=random.randrange(60)
        )
        used = usual
        if random.random() < 0.4:
            used = draw_device(issuer, random, styles=styles, sends_issuer=sends_issuer)
        with_feet = random.random() < _FEET_SHARE if feet is None else feet
        parts = ("hand", "foot") if with_feet else ("hand",)
        study = new_uid(random)
        studies = dict.fromkeys(parts, study)
        if random.random() < _TWO_STUDIES_SHARE:
            studies = {part: new_uid(random) for part in parts}
        visits.append(Visit(number, begin, studies, used))
        # Patients come in the week in which the appointment of the year before was; many share a day.
        day += timedelta(days=random.choice((182, 364, 364, 364, 728)) + random.randrange(-10, 11))
    return visits


def draw_record(
    person: Person,
    visits: list[Visit],
    random: Random,
    *,
    persons: dict[int, Person] | None = None,
    per_side: bool = False,
) -> Record:
    """Draw the films of a person without oddities, and the other objects of the same examinations.

    Parameters
    ----------
    person, visits
        The person and the examinations.
    random
        Source of the choices.
    persons
        The registrations used at single examinations, by their numbers, if they differ from `person`.
    per_side
        True to make a film for each side; else it is drawn.
    """
    record = Record(person, visits)
    layout = {part: random.random() < _ONE_FILM_SHARE and not per_side for part in ("hand", "foot")}
    for visit in visits:
        registered = (persons or {}).get(visit.number, person)
        minute = 0.0
        for part in visit.studies:
            is_joint = (layout[part] if random.random() < 0.85 else not layout[part]) and not per_side
            views = ["FRONTAL"]
            if visit.device.style != "no view":
                views += [
                    view
                    for view, share in (("OBL", _OBLIQUE_SHARE), ("LAT", _LATERAL_SHARE))
                    if random.random() < share
                ]
            for view in views:
                for side in ("B",) if is_joint and view != "LAT" else ("L", "R"):
                    record.files.append(make_film(registered, visit, part, side, view, minute, random))
                    minute += random.choice((1, 2, 3))
            if part == "hand" and visit.device.style != "no view" and random.random() < _NORGAARD_SHARE:
                record.files.append(_make_norgaard(registered, visit, minute, random))
                minute += 2
        add_other_objects(record, registered, visit, minute + 5, random)
    return record


def make_film(
    person: Person, visit: Visit, part: str, side: str, view: str, minute: float, random: Random
) -> FileDraft:
    """Return a film of one projection, to be taken if it is frontal."""
    header = make_header(person, visit, part, side, view, minute, random)
    is_frontal = view == "FRONTAL"
    return FileDraft(
        header,
        Outcome.TAKE if is_frontal else Outcome.LEAVE,
        person.key,
        visit.number,
        side,
        part,
        view,
        reason="a frontal film" if is_frontal else "a view that is not scored",
        style=visit.device.style,
        language=visit.device.language.name,
        picture=random.getrandbits(48),
    )


def _make_norgaard(person: Person, visit: Visit, minute: float, random: Random) -> FileDraft:
    """Return a film of both hands in the ball catcher's position, which shows the joints obliquely from the palm."""
    film = make_film(person, visit, "hand", "B", "OBL", minute, random)
    words = random.choice(_NORGAARD_WORDS)
    header = film.header
    for keyword in ("SeriesDescription", "ProtocolName"):
        if keyword in header and (keyword == "SeriesDescription" or header.ProtocolName):
            header[keyword].value = f"{visit.device.language.hands} {words}"
    if "SeriesDescription" not in header:
        header.SeriesDescription = f"{visit.device.language.hands} {words}"
    if "ViewPosition" in header:
        header.ViewPosition = "AP"
    if "ViewCodeSequence" in header:
        del header.ViewCodeSequence
    film.view = "NORGAARD"
    film.reason = "Nørgaard's view is not scored"
    return film

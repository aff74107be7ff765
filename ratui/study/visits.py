"""Film lists, the visits of the films, and the positions at which raters see the films. Values only.

In a blinded study, the film list that every member may read contains neither time points nor days. It contains, for each
rater, the films at each position on the screen. Only managers may read which visit a film belongs to.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

from ratui.errors import StoreError, StudyError
from ratui.scheme import Scheme
from ratui.stored_values import as_integer, as_list, as_text
from ratui.study.case import MOST_VISITS, Case, FilmRecord
from ratui.study.config_files import CONSENSUS, StudyConfig

__all__ = ["FilmList", "Positions", "Visit", "choose_raters", "continue_positions"]

Positions: TypeAlias = tuple[tuple[str, ...], ...]
"""IDs of the films at each position on the screen, left first, sorted within a position."""
_PUBLIC = ("id", "side", "view", "rows", "columns", "spacing", "file", "note", "aspect")
_MOST_DAYS = 100_000
_MOST_BLOCKS = 100_000


@dataclass(frozen=True)
class Visit:
    """The examination at which a film was taken; only managers may read it in a blinded study.

    Attributes
    ----------
    film
        ID of the film.
    visit
        Number of the examination, from 0 to 7.
    day
        Days since the first film of the case, or None if unknown.
    pixels
        Digest of the pixels, by which the import recognizes a film.
    """

    film: str
    visit: int
    day: int | None = None
    pixels: str = ""

    def to_record(self) -> dict[str, Any]:
        """Return the values as stored in a file."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Visit:
        """Return the values in a stored record. Raises an error of `ODD_VALUE_ERRORS` for anything else."""
        day = record["day"]
        return cls(
            as_text(record["film"]),
            as_integer(record["visit"], 0, MOST_VISITS - 1),
            None if day is None else as_integer(day, -_MOST_DAYS, _MOST_DAYS),
            as_text(record["pixels"]),
        )


@dataclass(frozen=True)
class FilmList:
    """The content of the file ``films.json`` of one case.

    Attributes
    ----------
    case
        Name of the case.
    records
        Stored values of each film. They contain ``time`` and ``day`` only if every member may know them.
    positions
        Films at each position by rater. A rater without positions does not read the case.
    withdrawn
        ``id`` of each film that was withdrawn, with ``time`` if every member may know it. These films keep their places in
        `positions`, so that another film of the same visit comes to the same place.
    blocks
        Number of the reading block, from 1, that a manager has opened with this case, by rater; see `reading_blocks`.
    """

    case: str
    records: tuple[Mapping[str, Any], ...]
    positions: Mapping[str, Positions]
    withdrawn: tuple[Mapping[str, Any], ...] = ()
    blocks: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def from_tables(
        cls, case: str, tables: Mapping[str, Sequence[Mapping[str, Any]]], config: StudyConfig, scheme: Scheme
    ) -> FilmList:
        """Return the list in the tables of a file.

        A file up to format 2 has no positions; they follow from its time points and the study's secret. Raises StudyError
        or an error of `ODD_VALUE_ERRORS` for tables that are no film list.
        """
        records = tuple(dict(record) for record in as_list(tables["films"]))
        for record in records:
            if FilmRecord.from_record({"time": 0, **record}).view not in scheme.views:
                raise ValueError("a view that the scheme does not have")
        films = {str(record["id"]): record for record in records}
        withdrawn = tuple({**record, "id": as_text(record["id"])} for record in as_list(tables.get("withdrawn", [])))
        known = [*films, *(record["id"] for record in withdrawn)]
        if len({*known}) < len(records) + len(withdrawn):
            raise ValueError("a film that occurs twice")
        blocks = {
            as_text(each["rater"]): as_integer(each["block"], 1, _MOST_BLOCKS)
            for each in as_list(tables.get("positions", []))
            if "block" in each
        }
        if "positions" in tables:
            found = {as_text(each["rater"]): _to_positions(each["positions"], known) for each in tables["positions"]}
            if config.has_assignments or config.blinded:
                return cls(case, records, found, withdrawn, blocks)
        else:
            found = {}
        for rater in (*config.raters, CONSENSUS):
            if rater not in found:
                times = {
                    str(record["id"]): as_integer(record["time"], 0, MOST_VISITS - 1)
                    for record in (*records, *withdrawn)
                }
                found[rater] = _group(times, _earlier_order(config, rater, case, set(times.values())))
        return cls(case, records, found, withdrawn, blocks)

    @property
    def has_times(self) -> bool:
        """True if the list itself contains the time points."""
        return all("time" in record for record in self.records)

    def to_case(self, visits: Iterable[Visit] = ()) -> Case:
        """Return the case with its time points, from `visits` unless the list contains them.

        Visits of films that are not listed do not count: visits are written before the list, and the list may not have been
        replaced. Raises StoreError if a film has no visit.
        """
        if self.has_times:
            return self._with_times(
                {
                    str(record["id"]): (as_integer(record["time"], 0, MOST_VISITS - 1), record.get("day"))
                    for record in (*self.records, *self.withdrawn)
                    if "time" in record
                }
            )
        known = {visit.film: visit for visit in visits}
        if not known.keys() >= {str(record["id"]) for record in (*self.records, *self.withdrawn)}:
            raise StoreError("its visits are not those of its films", self.case, "See: ratui check STUDY")
        return self._with_times({film: (visit.visit, visit.day) for film, visit in known.items()})

    def to_shown_case(self, rater: str) -> Case:
        """Return the case as `rater` sees it, with positions in place of time points.

        Raises StudyError if the case is not assigned to the rater.
        """
        positions = self.positions.get(rater)
        if positions is None:
            raise StudyError(f"it is not assigned to {rater}", self.case, "Ask a manager of the study")
        days = {str(record["id"]): record.get("day") for record in self.records}
        return self._with_times(
            {film: (position, days.get(film)) for position, films in enumerate(positions) for film in films}
        )

    def _with_times(self, times: Mapping[str, tuple[int, int | None]]) -> Case:
        ids = [str(record["id"]) for record in self.records]
        rank = {visit: time for time, visit in enumerate(sorted({times[film][0] for film in ids if film in times}))}
        films = []
        for record in self.records:
            if (known := times.get(str(record["id"]))) is not None:
                visit, day = known
                film = FilmRecord.from_record({**record, "time": rank[visit], "day": day})
                films.append(film if rank[visit] == visit else FilmRecord(**{**asdict(film), "visit": visit}))
        gone = [record["id"] for record in self.withdrawn]
        withdrawn = tuple((film, rank.get(times[film][0]) if film in times else None) for film in gone)
        return Case(
            self.case, tuple(sorted(films, key=lambda film: (film.time, film.side, film.view, film.id))), withdrawn
        )

    def to_tables(self) -> dict[str, list[dict[str, Any]]]:
        """Return the tables of the file, in an order that does not depend on the time points."""
        withdrawn = sorted((dict(record) for record in self.withdrawn), key=lambda record: str(record["id"]))
        return {
            "films": sorted((dict(record) for record in self.records), key=lambda record: str(record["id"])),
            **({"withdrawn": withdrawn} if withdrawn else {}),
            "positions": [
                {"rater": rater, "positions": [sorted(films) for films in positions]}
                | ({"block": self.blocks[rater]} if rater in self.blocks else {})
                for rater, positions in self.positions.items()
            ],
        }


def film_to_public_record(film: FilmRecord, *, with_times: bool) -> dict[str, Any]:
    """Return the values of a film that every member of the study may read."""
    film = film.as_stored()
    record = {name: getattr(film, name) for name in _PUBLIC}
    if film.spacing_source:  # earlier versions of ratui don't know it
        record["spacing_source"] = film.spacing_source.value
    # The number of the visit: times are counted anew if all films of an earlier visit are withdrawn.
    return {**record, "time": film.number, "day": film.day} if with_times else record


def to_visits(case: Case, known: Mapping[str, Visit]) -> tuple[Visit, ...]:
    """Return the visits of the films of `case`, sorted by film.

    `known` has the digests of films without one, and the visits of films that were withdrawn.
    """
    withdrawn = [known[film] for film, _ in case.withdrawn if film in known]
    present = (
        Visit(
            film.id,
            film.number,
            film.day,
            film.digest or (known[film.id].pixels if film.id in known else ""),
        )
        for film in case.films
    )
    return tuple(sorted((*present, *withdrawn), key=lambda visit: visit.film))


def continue_positions(
    positions: Mapping[str, Positions], visits: Mapping[str, int], raters: Collection[str], *, blinded: bool
) -> dict[str, Positions]:
    """Return the positions of `raters` after films were added to a case or removed from it.

    A rater keeps the order in which the visits are shown as long as these are the same visits. Otherwise the order is
    drawn at random in a blinded study, and chronological in any other one.

    Parameters
    ----------
    positions
        Positions before, by rater.
    visits
        Number of the visit of each film.
    raters
        Names of the raters who read the case.
    blinded
        True if raters must not know the order of the visits.
    """
    numbers = sorted(set(visits.values()))
    result = {}
    for rater in raters:
        before = [{visits[film] for film in films if film in visits} for films in positions.get(rater, ())]
        order = [number for found in before for number in found]
        if any(len(found) != 1 for found in before) or sorted(order) != numbers:
            order = list(numbers)
            if blinded:
                secrets.SystemRandom().shuffle(order)
        result[rater] = _group(visits, order)
    return result


def choose_raters(raters: Sequence[str], count: int, loads: Mapping[str, int]) -> tuple[str, ...]:
    """Return the raters who read a new case: those with the fewest cases, at random among equals.

    Parameters
    ----------
    raters
        All raters.
    count
        Number of raters to choose; 0 for all.
    loads
        Number of cases of each rater so far; a rater without an entry has none.

    Returns
    -------
    tuple of str
        Names of the chosen raters, in the order of `raters`.
    """
    if not count:
        return tuple(raters)
    draw = secrets.SystemRandom()
    chosen = sorted(raters, key=lambda rater: (loads.get(rater, 0), draw.random()))[:count]
    return tuple(rater for rater in raters if rater in chosen)


def _group(visits: Mapping[str, int], order: Iterable[int]) -> Positions:
    return tuple(tuple(sorted(film for film, visit in visits.items() if visit == number)) for number in order)


def _earlier_order(config: StudyConfig, rater: str, case: str, times: Collection[int]) -> list[int]:
    """Return the order of the time points up to format 2: drawn from the study's secret."""
    if config.blinded and times == {0, 1}:
        drawn = hmac.new(config.secret.encode(), f"{rater}\0{case}".encode(), hashlib.sha256).digest()
        return [1, 0] if drawn[0] & 1 else [0, 1]
    return sorted(times)


def _to_positions(stored: Any, films: Collection[str]) -> Positions:
    """Return stored positions. Raises ValueError if they don't divide `films` among 1 to 8 positions."""
    positions = tuple(tuple(as_text(film) for film in as_list(each)) for each in as_list(stored))
    if not 1 <= len(positions) <= MOST_VISITS:
        raise ValueError(f"{len(positions)} positions of films")
    if not all(positions) or sorted(film for each in positions for film in each) != sorted(films):
        raise ValueError("the positions are not those of the films")
    return positions

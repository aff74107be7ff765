"""The class `ForeignCopy`: a copy of a study from another site, of which nothing is trusted.

Only single files are read, each once, with a limit of size. What is returned was built from values that were checked
against this study: its scheme, its cases and its films.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from ratui.errors import DamagedError, RatuiError, StoreError, StudyError, clean_text
from ratui.files import check_name
from ratui.reading import POSITION_FORMATS, Reading, to_times
from ratui.study.campaign.display_tests import DISPLAY_TESTS, DisplayTest, parse_display_tests
from ratui.study.case import Case, Region
from ratui.study.check.copies import check_tables
from ratui.study.config_files import read_settings
from ratui.study.readings.film_changes import stored_times
from ratui.study.readings.reading_evidence import find_evidence_faults
from ratui.study.readings.reading_session import DisplayUse, ReadingEvidence, reading_to_tables
from ratui.study.readings.stored_reading import stored_displays, stored_evidence, stored_meta, stored_reading
from ratui.study.region_store import FilmOrientation, read_orientations
from ratui.study.store import StoredTables, StudyFolder, open_seal
from ratui.study.study import Study

__all__ = ["ForeignCopy", "ForeignReading", "checked_values"]

_LARGEST_READING = 16_000_000  # bytes; a reading of every joint of hands and feet, changed ten times, has 5 million
_LARGEST_REGIONS = 4_000_000  # bytes
_LARGEST_DISPLAY_TESTS = 16_000_000  # bytes; a test has 15,000
_MOST_FILES = 200_000
"""Limit of the number of entries of a folder that is listed."""
_LONGEST_TEXT = 1000
_MOST_SECONDS = 1e7
_NO_READING = "it is not a reading of this study"


@dataclass(frozen=True)
class ForeignReading:
    """A reading from another copy, which is valid in this study, the bytes of its file, and the evidence in it."""

    reading: Reading
    data: bytes
    evidence: ReadingEvidence


class ForeignCopy:
    """A copy of `study` in the folder `path`.

    Attributes
    ----------
    study
        The study here.
    folder
        The folder of the other copy.

    Raises
    ------
    StudyError
        If `path` is no copy of the study: another study, or one with another scheme or another blinding.
    """

    def __init__(self, study: Study, path: Path) -> None:
        self.study = study
        self.folder = StudyFolder(path)
        self.config, _ = read_settings(self.folder)
        if self._is_same_folder():
            raise StudyError("it is the study itself", path, "Give another copy of it")
        if self.config.id != study.config.id:
            raise StudyError("it is another study", path, "Only copies of one study can be merged")
        if self.config.scheme != study.config.scheme:
            raise StudyError("it has another scheme", path, "Only copies of one study can be merged")
        if self.config.blinded != study.config.blinded:
            problem = "one copy is blinded to the order of the visits, the other one is not"
            raise StudyError(problem, path, "Only copies of one study can be merged")
        if min(self.config.stored_format, study.config.stored_format) < 2:
            raise StudyError("a copy has no checksums yet", path, "Convert it with: ratui check STUDY --repair")

    def _is_same_folder(self) -> bool:
        here, there = self.study.folder.find(""), self.folder.find("")
        assert here is not None
        assert there is not None
        return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)

    def raters(self) -> list[str]:
        """Return the names of the folders of readings, sorted. Raises StoreError if there are too many."""
        return self.folder.folders("readings", most=_MOST_FILES)

    def cases_of(self, rater: str) -> list[str]:
        """Return the names of the files of readings by `rater` without extension, sorted. Raises StoreError."""
        names = self.folder.scan(f"readings/{rater}", most=_MOST_FILES)  # with links: `reading` reports them
        # A second copy without its file is a damaged reading.
        found = {
            name.removesuffix(".bak").removesuffix(".json") for name in names if name.endswith((".json", ".json.bak"))
        }
        found.discard(DISPLAY_TESTS.removesuffix(".json"))
        return sorted(name for name in found if not name.startswith("."))

    def display_tests(self, rater: str) -> tuple[DisplayTest, ...]:
        """Return the display tests of `rater`; errors as for readings."""
        inside = f"readings/{rater}/{DISPLAY_TESTS}"
        where = self.folder.path / inside
        with checked_values("it contains no display tests", where):
            found = self._read(inside, _LARGEST_DISPLAY_TESTS)
            return parse_display_tests(found[1].tables, where) if found else ()

    def reading(self, rater: str, case: Case) -> ForeignReading | None:
        """Return the reading of `case`, as `rater` sees it in the study here, with positions; None if there is none.

        Raises
        ------
        RatuiError
            If its file is damaged, a link, too large, or not a reading of these films that a rater could have made.
        """
        inside = f"readings/{rater}/{case.id}.json"
        where = self.folder.path / inside
        with checked_values(_NO_READING, where):
            found = self._read(inside, _LARGEST_READING)
            if found is None:
                return None
            data, stored = found
            reading, seconds = stored_reading(stored, self.study.scheme, where, rater, case.id)
            assert reading is not None
            displays = stored_displays(stored, where)
            if not self._has_same_places(reading, case, stored_meta(stored)):
                raise StoreError("it shows the films in other places than here", where, "Read the case here")
            if reading.is_blinded != self.study.config.blinded:
                raise StoreError("it was made with another blinding than here", where, "Read the case here")
            part, shown = _part_of_case(case, reading.positions), _at_positions_here(reading, case)
            if (shown.sites, shown.unfilmed) != (part.sites(self.study.scheme), part.unfilmed_slots(self.study.scheme)):
                raise StoreError("its joints are not those of its films", where, "Read the case here")
            _check_plausible(reading, seconds, displays)
            evidence = stored_evidence(stored, reading.positions, case, self.study.config.id)
            tables = reading_to_tables(reading, seconds, displays, evidence)
            if stored_meta(stored)["format"] in POSITION_FORMATS:
                faults = find_evidence_faults(stored.tables, case, self.study.config.id)
                if faults:
                    raise StoreError(faults[0], where, "Read the case here")
                _check_canonical(stored, tables)
            elif not stored.tables.keys() <= {"meta", "fields", "log"}:  # earlier formats had no other table
                raise ValueError("tables that ratui does not write")
            return ForeignReading(reading, data, evidence)

    def _has_same_places(self, reading: Reading, case: Case, meta: Mapping[str, Any]) -> bool:
        """Return whether a reading was made with the films at the positions at which the rater sees them here."""
        if reading.positions:
            order = _at_positions_here(reading, case).order
            # Visits that came later are at other places than here; the log then says so.
            is_later = set(order) != set(case.times) or any(entry.kind == "films" for entry in reading.log)
            return is_later or order == tuple(range(len(order)))
        # Up to format 3 a reading contains the order of the time points, which only managers may compare.
        return tuple(meta["order"]) == self.study.order(reading.rater, case.id)

    def confirmed_regions(self, case: Case, raters: Collection[str]) -> tuple[Region, ...]:
        """Return the regions of `case` that one of `raters` has confirmed, one for each site and film of the case here.

        Raises RatuiError if the file is damaged, a link, too large, or contains anything but regions.
        """
        inside = f"regions/{case.id}.json"
        where = self.folder.path / inside
        with checked_values("it contains no regions", where):
            found = self._read(inside, _LARGEST_REGIONS)
            records = found[1].tables.get("regions", []) if found else []
            films = {film.id: film for film in case.films}
            slots = {(slot.site, film) for slot, film in case.slots(self.study.scheme)}
            result: dict[tuple[str, str], Region] = {}
            for record in records:
                region = Region.from_record(record, where)
                key = region.site, region.film
                if region.confirmed_by not in raters or key not in slots:
                    continue
                _check_region(region, films[region.film].columns, films[region.film].rows)
                if key in result:
                    raise ValueError("two regions of one joint")
                result[key] = region
            return tuple(result.values())

    def orientations(self, case: Case, raters: Collection[str]) -> tuple[FilmOrientation, ...]:
        """Return the orientations of films of the case here that one of `raters` has set; errors as for regions."""
        inside = f"regions/{case.id}.json"
        where = self.folder.path / inside
        with checked_values("it contains no regions", where):
            found = self._read(inside, _LARGEST_REGIONS)
            known = read_orientations(found[1].tables, where) if found else {}
            films = {film.id for film in case.films}
            return tuple(
                each for each in known.values() if each.film in films and each.by in raters and not each.is_model
            )

    def _read(self, inside: str, largest: int) -> tuple[bytes, StoredTables] | None:
        """Return the bytes of a table file or of its second copy, and its records. Raises as `checked_values` expects."""
        check = check_tables(self.folder.path / inside, unsealed=False)
        found = self.folder.read_intact(inside, check, largest=largest)
        if found is None:
            return None
        tables = {name: list(records.values()) for name, records in open_seal(found[0]).tables.items()}
        _check_texts(tables)
        return found[0], StoredTables(tables)


@contextmanager
def checked_values(problem: str, where: object) -> Iterator[None]:
    """Turn what values of a wrong kind cause into a DamagedError with the text `problem`."""
    try:
        yield
    except RatuiError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        raise DamagedError(problem, where, "Ask the other site for an intact copy") from error


def _at_positions_here(reading: Reading, case: Case) -> Reading:
    """Return `reading`, which has its own positions, with those of `case`. Raises StoreError for films of another case."""
    return to_times(reading, tuple(stored_times(case, reading.positions).values())) if reading.positions else reading


def _part_of_case(case: Case, positions: Iterable[Iterable[str]]) -> Case:
    """Return `case` with the films at `positions` only, or all if there are none: more may have been imported since."""
    shown = {film for films in positions for film in films}
    return Case(case.id, tuple(film for film in case.films if film.id in shown)) if shown else case


def _check_plausible(reading: Reading, seconds: float, displays: Iterable[DisplayUse]) -> None:
    """Raise ValueError for values that no session records. Other checks are those of any reading."""
    times = [entry.timestamp for entry in reading.log if entry.timestamp]
    if any(time.utcoffset() != timedelta(0) for time in [*times, *([reading.signed_at] if reading.signed_at else [])]):
        raise ValueError("a time that is not UTC")
    if not 0 <= seconds <= _MOST_SECONDS:
        raise ValueError("an impossible reading time")
    for use in displays:
        if not (0 <= use.below <= use.entries and 0 <= use.least < 1000):
            raise ValueError("an impossible display")
    for entry in reading.log:
        shown = entry.display
        if shown is None:
            continue
        if not (0 <= shown.pixels_per_mm < 1000 and 0 <= shown.seconds <= _MOST_SECONDS):
            raise ValueError("an impossible display")
        if shown.acknowledged_by not in ("terminal", "multiplexer", "nothing"):
            raise ValueError("an unknown acknowledgement")


def _check_canonical(stored: StoredTables, expected: Mapping[str, Any]) -> None:
    """Raise ValueError if a file contains other values than those that a session stores for the same reading."""
    if {name: list(records) for name, records in expected.items()} != stored.tables:
        raise ValueError("values that ratui does not write")


def _check_texts(value: object) -> None:
    """Raise ValueError if a value read from JSON contains a text that is not one printable line of limited length."""
    if isinstance(value, str):
        if clean_text(value, _LONGEST_TEXT) != value:
            raise ValueError("a text that can't be printed")
    elif isinstance(value, Mapping):
        for name, each in value.items():
            _check_texts(name)
            _check_texts(each)
    elif isinstance(value, list):
        for each in value:
            _check_texts(each)


def _check_region(region: Region, columns: int, rows: int) -> None:
    """Raise ValueError for a region that no rater can set on a film of this size."""
    if region.model is not None:
        check_name(region.model, "model")
    if region.confidence is not None and not (type(region.confidence) in (int, float) and 0 <= region.confidence <= 1):
        raise ValueError("an impossible confidence")
    if region.box is not None:
        x0, y0, x1, y1 = region.box
        if not all(math.isfinite(value) for value in (x0, y0, x1, y1)):
            raise ValueError("an impossible box")
        if not (-columns <= x0 < columns and 0 < x1 <= 2 * columns and -rows <= y0 < rows and 0 < y1 <= 2 * rows):
            raise ValueError("a box outside of its film")

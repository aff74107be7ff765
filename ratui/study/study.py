"""A study folder: its settings, cases, films, regions, proposals and readings, each in its own small file.

The one door to the disk for everything above; it holds no rule of the score and shows nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ratui.errors import SchemeError, StudyError, clean
from ratui.reading import Reading, Slot, from_document, start, to_document
from ratui.scheme import Scheme, load_scheme, parse_scheme
from ratui.study.records import Case, CaseState, FilmRecord, Region
from ratui.study.store import Lock, read_tables, write_bytes, write_tables

__all__ = ["ReadingSession", "Study", "StudyConfig"]

FORMAT = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


@dataclass(frozen=True)
class StudyConfig:
    """The settings of a study. `secret` seeds the order drawn for blinded readers; `id` names its key file."""

    id: str
    title: str
    raters: tuple[str, ...]
    blinded: bool
    secret: str


class Study:
    """An open study folder. Make one with `create` or `open`."""

    def __init__(self, path: Path, config: StudyConfig, scheme: Scheme) -> None:
        self.path = path
        self.config = config
        self.scheme = scheme

    @classmethod
    def create(
        cls, path: Path, scheme: Scheme | str, raters: Sequence[str], *, blinded: bool = False, title: str = ""
    ) -> Study:
        """A new study in the folder `path`, which must not hold anything. Raises StudyError or SchemeError."""
        chosen = load_scheme(scheme) if isinstance(scheme, str) else scheme
        path = Path(path)
        names = [check_name(rater, "rater") for rater in raters]
        if not names:
            raise StudyError("a study needs at least one rater", path, "Give --rater ID, once for each")
        if len(set(names)) < len(names):
            raise StudyError("a rater is named twice", path, "Give each rater an ID of its own")
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise StudyError("there is something already", path, "Choose a new folder")
        config = StudyConfig(
            secrets.token_hex(8), clean(title or path.name), tuple(names), blinded, secrets.token_hex(16)
        )
        text = (
            "# A ratui study. The films, regions and readings beside this file belong to it.\n"
            f"format = {FORMAT}\n"
            f"id = {_quoted(config.id)}\n"
            f"title = {_quoted(config.title)}\n"
            f"raters = [{', '.join(_quoted(rater) for rater in config.raters)}]\n"
            "# Readers of a blinded study don't learn which time point came first.\n"
            f"blinded = {'true' if blinded else 'false'}\n"
            "# Draws which time point stands left for whom. Change it and the order of unread cases changes.\n"
            f"secret = {_quoted(config.secret)}\n"
        )
        try:
            for folder in (path, path / "films", path / "regions", path / "readings"):
                folder.mkdir(mode=0o700, parents=folder == path, exist_ok=True)
        except OSError as error:
            raise StudyError(f"the folder can't be made: {error.strerror}", path, "Check the path") from error
        write_bytes(path / "scheme.toml", chosen.source.encode(), keep=False)
        write_bytes(path / "study.toml", text.encode(), keep=False)
        return cls(path, config, chosen)

    @classmethod
    def open(cls, path: Path) -> Study:
        """The study in the folder `path`. Raises StudyError where there is none that this version can open."""
        path = Path(path)
        file = path / "study.toml"
        try:
            raw = tomllib.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise StudyError("there is no study here", path, "Make one with: ratui new FOLDER --rater ID") from error
        except NotADirectoryError as error:
            raise StudyError("this is a file, not a study folder", path, "Give the study's folder") from error
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise StudyError(f"study.toml can't be read: {error}", path, "Restore it from a backup") from error
        if raw.get("format") != FORMAT:
            raise StudyError(
                f"the study has format {clean(raw.get('format'))}, this version reads {FORMAT}", path, "Update ratui"
            )
        try:
            config = StudyConfig(
                id=check_name(raw["id"], "study"),
                title=clean(raw["title"]),
                raters=tuple(check_name(rater, "rater") for rater in raw["raters"]),
                blinded=raw["blinded"] is True,
                secret=str(raw["secret"]),
            )
        except (KeyError, TypeError) as error:
            raise StudyError(f"study.toml lacks {clean(error)}", path, "Restore it from a backup") from error
        try:
            text = (path / "scheme.toml").read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SchemeError(f"scheme.toml can't be read: {error}", path, "Restore it from a backup") from error
        return cls(path, config, parse_scheme(text, str(path / "scheme.toml")))

    # Cases and films.

    def cases(self) -> tuple[str, ...]:
        """The ids of the study's cases, sorted."""
        folder = self.path / "films"
        return tuple(sorted(entry.name for entry in folder.iterdir() if (entry / "films.json").exists()))

    def case(self, id: str) -> Case:
        """The case `id`. Raises StudyError for an unknown one."""
        file = self.path / "films" / check_name(id, "case") / "films.json"
        tables = read_tables(file)
        if tables is None:
            raise StudyError(f"there is no case {clean(id)}", self.path, "See: ratui status STUDY")
        films = sorted((FilmRecord.from_record(r) for r in tables["films"]), key=lambda f: (f.time, f.side, f.view))
        return Case(id, tuple(films))

    def save_case(self, case: Case) -> None:
        """Writes which films `case` has."""
        file = self.path / "films" / check_name(case.id, "case") / "films.json"
        write_tables(file, {"films": [film.to_record() for film in case.films]})

    def film_path(self, case: str, film: str) -> Path:
        """The file of one film."""
        return self.path / "films" / check_name(case, "case") / f"{check_name(film, 'film')}.dcm"

    # Regions and proposals.

    def regions(self, case: str) -> tuple[Region, ...]:
        """The regions that raters have set or confirmed, empty before the first."""
        return _regions(self.path / "regions" / f"{check_name(case, 'case')}.json")

    def save_regions(self, case: str, regions: Iterable[Region]) -> None:
        """Replaces the regions of `case`."""
        file = self.path / "regions" / f"{check_name(case, 'case')}.json"
        write_tables(file, {"regions": [region.to_record() for region in regions]})

    def proposal_models(self) -> tuple[str, ...]:
        """The names of the models that have made proposals, the newest last."""
        folder = self.path / "proposals"
        if not folder.is_dir():
            return ()
        models = [entry for entry in folder.iterdir() if entry.is_dir()]
        return tuple(entry.name for entry in sorted(models, key=lambda entry: (entry.stat().st_mtime_ns, entry.name)))

    def proposals(self, case: str) -> tuple[Region, ...]:
        """What the newest model that has seen `case` proposes; empty where none has."""
        for model in reversed(self.proposal_models()):
            file = self.path / "proposals" / model / f"{check_name(case, 'case')}.json"
            if file.exists():
                return _regions(file)
        return ()

    def save_proposals(self, model: str, case: str, regions: Iterable[Region]) -> None:
        """Replaces what `model` proposes for `case`."""
        file = self.path / "proposals" / check_name(model, "model") / f"{check_name(case, 'case')}.json"
        write_tables(file, {"regions": [region.to_record() for region in regions]})

    def absent(self, case: Case) -> frozenset[Slot]:
        """The slots that the confirmed regions say are not on their film."""
        regions = {(region.site, region.film): region for region in self.regions(case.id)}
        slots = set()
        for site in case.sites(self.scheme):
            for time in (0, 1):
                film = case.film(time, site.side, site.part, self.scheme)
                region = regions.get((site.key, film.id)) if film else None
                if region is not None and region.box is None:
                    slots.add(Slot(site.key, time))
        return frozenset(slots)

    def regions_complete(self, case: Case) -> bool:
        """Whether every site of `case` has a confirmed region, or is confirmed absent, on each of its films."""
        known = {(region.site, region.film) for region in self.regions(case.id) if region.by}
        for site in case.sites(self.scheme):
            for time in (0, 1):
                film = case.film(time, site.side, site.part, self.scheme)
                if film is None or (site.key, film.id) not in known:
                    return False
        return True

    # Readings.

    def order(self, rater: str, case: str) -> tuple[int, int]:
        """The time points as they stand on the screen, left first; in a blinded study drawn for this rater and case."""
        if not self.config.blinded:
            return (0, 1)
        drawn = hmac.new(self.config.secret.encode(), f"{rater}\0{case}".encode(), hashlib.sha256).digest()
        return (1, 0) if drawn[0] & 1 else (0, 1)

    def check_rater(self, rater: str) -> str:
        """`rater`, if the study has one of that name. Raises StudyError otherwise."""
        if rater not in self.config.raters:
            known = ", ".join(self.config.raters)
            raise StudyError(f"{clean(rater)} is not a rater of this study", self.path, f"Its raters are: {known}")
        return rater

    def reading(self, rater: str, case: str) -> Reading | None:
        """What `rater` has entered for `case` so far, or None. Raises StoreError for a damaged file."""
        document = self._document(rater, case)
        return None if document is None else from_document(self.scheme, document, self._reading_path(rater, case))

    @contextmanager
    def open_reading(self, rater: str, case: str) -> Iterator[ReadingSession]:
        """The reading of `case` by `rater`, to write; begun if there is none. Raises StoreError while it is open."""
        self.check_rater(rater)
        film_case = self.case(case)
        why = film_case.unreadable(self.scheme)
        if why:
            raise StudyError(f"it can't be read: {why}", case, "Import its other films")
        path = self._reading_path(rater, case)
        with Lock(path.with_suffix(".lock")):
            document = self._document(rater, case)
            if document is None:
                reading = start(
                    self.scheme,
                    case,
                    rater,
                    film_case.sites(self.scheme),
                    order=self.order(rater, case),
                    blinded=self.config.blinded,
                )
                yield ReadingSession(path, reading, 0.0)
            else:
                reading = from_document(self.scheme, document, path)
                yield ReadingSession(path, reading, float(document["meta"].get("seconds", 0.0)))

    def signed_readings(self, case: str) -> tuple[Reading, ...]:
        """The signed readings of `case`, in the order of the study's raters: for managers and for the trainer."""
        readings = (self.reading(rater, case) for rater in self.config.raters)
        return tuple(reading for reading in readings if reading is not None and reading.signed)

    def state(self, rater: str, case: str) -> CaseState:
        """How far `rater` is with `case`."""
        film_case = self.case(case)
        why = film_case.unreadable(self.scheme)
        if why:
            return CaseState(case, "unreadable", 0, 0, 0.0, why)
        document = self._document(rater, case)
        total = 2 * sum(len(site.joint.scales) for site in film_case.sites(self.scheme))
        if document is None:
            return CaseState(case, "reading" if self.regions_complete(film_case) else "regions", 0, total, 0.0)
        done, meta = len(document["fields"]), document["meta"]
        seconds = float(meta.get("seconds", 0.0))
        if meta["signed"]:
            return CaseState(case, "signed", done, total, seconds)
        if not self.regions_complete(film_case):
            return CaseState(case, "regions", done, total, seconds)
        return CaseState(case, "review" if done == total else "reading", done, total, seconds)

    def _reading_path(self, rater: str, case: str) -> Path:
        return self.path / "readings" / check_name(rater, "rater") / f"{check_name(case, 'case')}.json"

    def _document(self, rater: str, case: str) -> dict[str, Any] | None:
        tables = read_tables(self._reading_path(rater, case))
        if tables is None:
            return None
        meta = tables.get("meta", [{}])
        return {"meta": meta[0] if meta else {}, "fields": tables.get("fields", []), "log": tables.get("log", [])}


class ReadingSession:
    """A reading held for writing. `save` returns when it is on the disk."""

    def __init__(self, path: Path, reading: Reading, seconds: float) -> None:
        self._path = path
        self.reading = reading
        self.seconds = seconds

    def save(self, reading: Reading, *, seconds: float | None = None) -> None:
        """Makes `reading` the stored one. Raises StoreError, with the old one still stored, where the disk refuses."""
        spent = self.seconds if seconds is None else seconds
        document = to_document(reading)
        tables: Mapping[str, Sequence[Mapping[str, Any]]] = {
            "meta": [{**document["meta"], "seconds": round(spent, 1)}],
            "fields": document["fields"],
            "log": document["log"],
        }
        write_tables(self._path, tables)
        self.reading, self.seconds = reading, spent


def check_name(name: object, kind: str) -> str:
    """`name` if it can safely be a file's name. Raises StudyError otherwise."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise StudyError(
            f"{clean(name)!r} can't be the name of a {kind}", "", "Use letters, digits, dot, - and _, at most 40"
        )
    return name


def _regions(file: Path) -> tuple[Region, ...]:
    tables = read_tables(file) or {}
    return tuple(Region.from_record(record, file) for record in tables.get("regions", []))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

"""Package a study for one rater who reads on another machine.

The archive contains what this rater needs to read, and nothing else: settings, scheme, films, boxes, proposals, and the
rater's own readings, positions and results of examinations. It contains neither the private folder nor readings, positions
or journals of others.
`ratui restore` unpacks it, and `ratui merge --rater` brings the readings back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ratui.errors import StudyError
from ratui.reading import POSITION_FORMATS
from ratui.study.campaign.qualifications import RESULTS, load_records
from ratui.study.config_files import SPLIT_FORMAT, settings_bytes
from ratui.study.copies.backup import Archive, ArchiveWriter, new_archive, write_archive
from ratui.study.copies.snapshot import snapshot
from ratui.study.readings.reading_session import reading_to_tables
from ratui.study.readings.restored import find_reading
from ratui.study.readings.stored_reading import stored_displays, stored_evidence, stored_meta
from ratui.study.region_store import read_orientations
from ratui.study.store import StudyFile, read_intact, seal
from ratui.study.store.tables import sealed_name
from ratui.study.study import Study

__all__ = ["package"]

_OTHER_RATER = "other"
"""Name of every other rater who confirmed a box."""
Progress = Callable[[int, int], None]
Tables = Mapping[str, Sequence[Mapping[str, Any]]]


def package(study: Study, rater: str, target: Path, *, progress: Progress | None = None) -> Archive:
    """Create an archive with the part of the study that `rater` needs to read on another machine.

    Parameters
    ----------
    study
        The study. Only its managers can package it, because they decide where a rater reads.
    rater
        Name of the rater.
    target
        New file outside the study.
    progress
        Called with (cases done, cases in all).

    Returns
    -------
    Archive
        The verified archive.

    Raises
    ------
    StudyError
        If the study has no such rater or an earlier format, or this account does not manage it.
    StoreError
        If the archive can't be created; no file of that name exists then.
    """
    study.check_manager("package it for a rater")
    seen = study.as_rater(rater)
    if study.config.stored_format < SPLIT_FORMAT:
        problem = "films and visits are not yet stored apart"
        raise StudyError(problem, study.path, "Convert it with: ratui check STUDY --repair")
    if not seen.cases():
        raise StudyError(f"{rater} reads no case", study.path, "Import films first")

    def pack(file: Path) -> None:
        with snapshot(study) as frozen, new_archive(file, {"study": study.config.id, "rater": rater}) as archive:
            _pack(frozen, rater, archive, progress or (lambda done, of: None))

    return write_archive(study, Path(target), pack)


def _pack(study: Study, rater: str, archive: ArchiveWriter, progress: Progress) -> None:
    """Add the files for `rater` in an order that does not depend on the time points. Raises StoreError, StudyError."""
    seen = study.as_rater(rater)
    config = replace(
        study.config,
        raters=(rater,),
        group="",
        managers="",
        raters_per_case=0,
        charter=replace(study.config.charter, history=()),
        events=(),
    )
    archive.add("study.toml", settings_bytes(config))
    archive.add_file(study.folder, "scheme.toml")
    results = [record.to_record() for record in load_records(study.folder) if record.rater == rater]
    if results:  # without them a rater whose charter requires an examination could not read
        archive.add(RESULTS, _seal(study.folder.file(RESULTS), {"records": results}))
    cases = [case for case in seen.cases() if rater in study.positions(case)]
    for number, case in enumerate(cases):
        progress(number, len(cases))
        for file, tables in _tables(seen, case):
            archive.add(file.inside, _seal(file, tables))
        for film in sorted(film.id for film in seen.case(case).films):
            archive.add_file(study.folder, f"films/{case}/{film}.dcm")
    progress(len(cases), len(cases))


def _seal(file: StudyFile, tables: Tables) -> bytes:
    numbered = {name: {str(number): record for number, record in enumerate(found, 1)} for name, found in tables.items()}
    return seal(numbered, sealed_name(file))


def _tables(study: Study, case: str) -> Iterator[tuple[StudyFile, Tables]]:
    """Yield each table file of `case` for the rater whose view `study` is."""
    folder, rater = study.folder, study.view
    listed = study.film_list(case)
    yield (
        folder.file(f"films/{case}/films.json"),
        replace(listed, positions={rater: listed.positions[rater]}).to_tables(),
    )
    models = [f"proposals/{model}" for model in study.proposal_models()]
    for inside in ("regions", *models):
        file = folder.file(f"{inside}/{case}.json")
        stored = read_intact(file)
        if stored is not None:
            # Their order in the file may follow the time points.
            regions = sorted(stored.tables["regions"], key=lambda each: (str(each["film"]), str(each["site"])))
            packed: dict[str, Sequence[Mapping[str, Any]]] = {
                "regions": [_without_names(each, rater) for each in regions]
            }
            if turned := read_orientations(stored.tables, file.path):
                records = [turned[film].to_record() for film in sorted(turned)]
                packed["orientations"] = [_without_names(each, rater) for each in records]
            yield file, packed
    tables = _reading(study, case)
    if tables is not None:
        yield folder.file(f"readings/{rater}/{case}.json"), tables


def _without_names(region: Mapping[str, Any], rater: str) -> Mapping[str, Any]:
    """Return a stored region or orientation that does not name another rater who confirmed or set it."""
    return region if region["by"] in ("", rater) else {**region, "by": _OTHER_RATER}


def _reading(study: Study, case: str) -> Tables | None:
    """Return the tables of the rater's reading; those of an earlier format contain time points and are converted."""
    file = find_reading(study.folder, study.view, case)
    stored = read_intact(file)
    if stored is None or stored_meta(stored).get("format") in POSITION_FORMATS:
        return None if stored is None else stored.tables
    reading, shown = study.reading(study.view, case), study.case(case)
    assert reading is not None
    reading = replace(reading, positions=shown.films_at(reading.order))
    evidence = stored_evidence(stored, reading.positions, shown, study.config.id)
    seconds = float(stored_meta(stored).get("seconds", 0.0))
    return reading_to_tables(reading, seconds, stored_displays(stored, file.path), evidence)

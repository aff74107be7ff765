"""The exported cases as one JSON document with films, regions and readings; a JSON Schema is exported with it.

With the document and the scheme, each reading can be reconstructed entry by entry. Boxes and sizes are those of the films
as stored. Dates, notes and logs are left out.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from ratui.imaging import Orientation
from ratui.reading import FindingEntry, GradeEntry, NotAssessableEntry, Reading
from ratui.results.export.signed_readings import ExportSource

__all__ = ["SCHEMA", "build_readings_document", "read_schema"]

SCHEMA = "readings.schema.json"
VERSION = 1


def read_schema() -> str:
    """Return the JSON Schema of the document."""
    return files("ratui.results.export").joinpath(SCHEMA).read_text(encoding="utf-8")


def build_readings_document(source: ExportSource, software: str) -> dict[str, Any]:
    """Return the document; `software` is the name and version of the program that writes it."""
    study = source.study
    return {
        "$schema": SCHEMA,
        "version": VERSION,
        "software": software,
        "study": study.config.id,
        "blinded": study.config.blinded,
        "scheme": {
            "name": study.scheme.name,
            "title": study.scheme.title,
            "digest": study.config.scheme,
            "scales": list(study.scheme.scales),
            "joints": [
                {"joint": joint.id, "part": joint.part, "maxima": {s: joint.max_grade(s) for s in joint.scales}}
                for joint in study.scheme.joints
            ],
        },
        "cases": [
            {
                "case": case.id,
                "films": [
                    {
                        "film": film.id,
                        "time": film.time,
                        "side": film.side,
                        "view": film.view,
                        "day": film.day,
                        "rows": film.rows,
                        "columns": film.columns,
                        "spacing": list(film.spacing) if film.spacing else None,
                        **_orientation(turned.get(film.id)),
                        "spacing_source": film.spacing_source.value or None,
                    }
                    for film in case.films
                ],
                "regions": [
                    {"site": region.site, "film": region.film, "box": list(region.box) if region.box else None}
                    for region in source.regions(case)
                    if region.confirmed_by
                ],
                "readings": [
                    {
                        "reader": each.rater,
                        "kind": each.kind,
                        **({"late_change": late} if (late := source.find_late_mark(each)) else {}),
                        "entries": _entries(each.reading),
                    }
                    for each in readings
                ],
            }
            for case, readings in source.by_case()
            for turned in [source.orientations(case)]
        ],
    }


def _orientation(orientation: Orientation | None) -> dict[str, str]:
    return {} if orientation is None else {"orientation": orientation.value}


def _entries(reading: Reading) -> list[dict[str, Any]]:
    entries = []
    for field in reading.fields:
        entry: dict[str, Any] = {"site": field.site, "scale": field.scale, "time": field.time}
        match reading.values.get(field):
            case GradeEntry(grade):
                entry["grade"] = grade
            case FindingEntry(id):
                entry["finding"] = id
            case NotAssessableEntry(id):
                entry["reason"] = id
        entries.append({**entry, "score": reading.score(field)})
    return entries

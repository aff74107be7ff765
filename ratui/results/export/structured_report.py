"""Readings as DICOM Structured Reports (PS3.16, TID 1500): each site with its box, its scores and its finding.

There is one report per reading and time point. Codes are from SNOMED CT where a verified code exists; otherwise they
are the scheme's IDs under a private coding scheme. Films are referenced by their UIDs in the study.
"""

from __future__ import annotations

import hashlib
import io
import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ratui.reading import Field, NotAssessableEntry, Slot
from ratui.results.export.signed_readings import ExportSource, SignedReading
from ratui.results.optional_dependencies import require
from ratui.scheme import Scheme, Site
from ratui.study import Case, FilmRecord, Region, Study
from ratui.study.film_files import read_film_data

__all__ = [
    "DESIGNATOR",
    "box_polyline",
    "build_structured_reports",
    "file_bytes",
    "film_headers",
    "ignore_name_warnings",
    "make_uid",
    "person_name",
]

DESIGNATOR = "99RATUI"
"""Designator of the private coding scheme, for concepts without a verified public code."""
_ANATOMY = {
    "MCP2": ("289002", "Metacarpophalangeal joint of index finger"),
    "MCP3": ("6059006", "Metacarpophalangeal joint of middle finger"),
    "FIP1": ("363670009", "Interphalangeal joint of hallux"),
    "NAV": ("30518006", "Scaphoid"),
}
_SCALES = {"ERO": "Erosion score", "JSN": "Joint space narrowing score"}


def make_uid(*about: object) -> str:
    """Return a UID that depends only on `about`, in the 2.25 form of PS3.5 B.2."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def code_meaning(label: str) -> str:
    """Return `label` as a code meaning: at most 64 characters (VR LO), with plain hyphens instead of dashes."""
    return label.replace("–", "-").replace("−", "-")[:64]


def character_set(scheme: Scheme) -> str:
    """Return the DICOM character set that the scheme's labels need.

    Latin 1 is preferred if it suffices, because more programs can read it than UTF-8.
    """
    words = [
        *(joint.label for joint in scheme.joints),
        *(finding.label for finding in scheme.findings),
        *(reason.label for reason in scheme.reasons),
    ]
    return "ISO_IR 100" if all(code_meaning(word).isascii() for word in words) else "ISO_IR 192"


def person_name(rater: str) -> str:
    """Return a rater's ID as a DICOM person name, with a family name only."""
    return rater.replace(" ", "-") + "^"


@contextmanager
def ignore_name_warnings() -> Iterator[None]:
    """Suppress highdicom's warning that a pseudonym is not a likely person name."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*unlikely to represent the intended person name")
        yield


def film_headers(study: Study, case: Case) -> Mapping[str, Any]:
    """Return the DICOM headers of the films of `case`, by film ID, without pixel data."""
    pydicom = require("pydicom", "DICOM")
    files = {film.id: io.BytesIO(read_film_data(study.folder, case.id, film.id)) for film in case.films}
    return {film: pydicom.dcmread(file, stop_before_pixels=True) for film, file in files.items()}


def file_bytes(dataset: Any, scheme: Scheme) -> bytes:
    """Return `dataset` as the bytes of a DICOM file, in the character set that `scheme` needs."""
    dataset.SpecificCharacterSet = character_set(scheme)
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def build_structured_reports(source: ExportSource, software: str) -> Iterator[tuple[str, bytes]]:
    """Yield (file name, bytes) of each report.

    `software` is the name and version of the program. Raises StudyError if highdicom is not installed.
    """
    require("highdicom", "DICOM Structured Reports")
    for case, readings in source.by_case():
        regions = {(region.site, region.film): region for region in source.regions(case) if region.confirmed_by}
        headers = film_headers(source.study, case)
        for signed in readings:
            for time in case.times:
                film_headers_at_time = {film.id: headers[film.id] for film in case.films if film.time == time}
                yield (
                    signed.file_name(case.visit_numbers[time]),
                    _report(source.study, signed, time, regions, film_headers_at_time, software),
                )


def _report(
    study: Study,
    signed: SignedReading,
    time: int,
    regions: Mapping[tuple[str, str], Region],
    headers: Mapping[str, Any],
    software: str,
) -> bytes:
    hd = require("highdicom", "DICOM Structured Reports")
    codes = require("pydicom.sr.codedict", "DICOM Structured Reports").codes
    sr, reading = hd.sr, signed.reading
    content = [[*field, str(reading.values.get(field))] for field in reading.fields if field.time == time]
    about = (study.config.id, signed.case.id, signed.rater, time, content)
    with ignore_name_warnings():
        observer = sr.ObservationContext(
            observer_person_context=sr.ObserverContext(
                observer_type=codes.DCM.Person,
                observer_identifying_attributes=sr.PersonObserverIdentifyingAttributes(name=person_name(signed.rater)),
            )
        )
    groups = [
        _site_group(hd, codes, signed, site, time, regions, headers, make_uid(*about, site.key))
        for site in reading.sites
        if Slot(site.key, time) not in reading.unfilmed
    ]
    report = sr.MeasurementReport(
        observation_context=observer,
        procedure_reported=sr.CodedConcept("radiograph", DESIGNATOR, "Radiography of hands or feet"),
        imaging_measurements=[group for group in groups if group is not None],
        title=codes.DCM.ImagingMeasurementReport,
    )
    with ignore_name_warnings():
        dataset = sr.ComprehensiveSR(
            evidence=list(headers.values()),
            content=report,
            series_instance_uid=make_uid(*about, "series"),
            series_number=1,
            sop_instance_uid=make_uid(*about, "instance"),
            instance_number=1,
            manufacturer=software,
            is_complete=True,
            is_final=True,
        )
    return file_bytes(dataset, reading.scheme)


def _site_group(
    hd: Any,
    codes: Any,
    signed: SignedReading,
    site: Site,
    time: int,
    regions: Mapping[tuple[str, str], Region],
    headers: Mapping[str, Any],
    id: str,
) -> Any:
    """Return the measurement group of one site, with its region if the site is on its film."""
    sr, reading = hd.sr, signed.reading
    scores: list[Any] = []
    evaluations: list[Any] = []
    for scale in site.joint.scales:
        field = Field(site.key, scale, time)
        score = reading.score(field)
        if score is not None:
            name = sr.CodedConcept(scale, DESIGNATOR, _SCALES.get(scale, scale))
            scores.append(sr.Measurement(name, float(score), codes.UCUM.NoUnits))
        value = reading.values.get(field)
        if isinstance(value, NotAssessableEntry):
            name = sr.CodedConcept(f"NA-{scale}", DESIGNATOR, f"{scale} not assessable")
            why = sr.CodedConcept(value.reason, DESIGNATOR, code_meaning(reading.scheme.reason(value.reason).label))
            evaluations.append(sr.QualitativeEvaluation(name, why))
    found = reading.finding(Slot(site.key, time))
    side = codes.SCT.Left if site.side == "L" else codes.SCT.Right
    common = {
        "tracking_identifier": sr.TrackingIdentifier(uid=id, identifier=site.key),
        "finding_type": sr.CodedConcept(found.id, DESIGNATOR, code_meaning(found.label)) if found else None,
        "finding_sites": [sr.FindingSite(_anatomy(sr, site), laterality=side)],
        "measurements": scores,
        "qualitative_evaluations": evaluations,
    }
    film = signed.case.film(time, site.side, site.part, reading.scheme)
    region = regions.get((site.key, film.id)) if film else None
    if film is None or region is None or region.box is None:
        return sr.MeasurementsAndQualitativeEvaluations(**common)
    header = headers[film.id]
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        referenced_region=sr.ImageRegion(
            graphic_type=sr.GraphicTypeValues.POLYLINE,
            graphic_data=box_polyline(region, film),
            source_image=sr.SourceImageForRegion(header.SOPClassUID, header.SOPInstanceUID),
        ),
        **common,
    )


def _anatomy(sr: Any, site: Site) -> Any:
    known = _ANATOMY.get(site.joint.id)
    if known:
        return sr.CodedConcept(known[0], "SCT", known[1])
    return sr.CodedConcept(site.joint.id, DESIGNATOR, code_meaning(site.joint.mkloc or site.joint.label))


def box_polyline(region: Region, film: FilmRecord) -> Any:
    """Return the box as a closed line, shape (5, 2): columns and rows from the image's top left corner.

    The units are those of GraphicData in PS3.3 C.10.5. Boxes are cut at the image's borders.
    """
    import numpy as np

    assert region.box is not None
    x0, y0, x1, y1 = region.box
    x0, x1 = max(x0, 0.0), min(x1, float(film.columns))
    y0, y1 = max(y0, 0.0), min(y1, float(film.rows))
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]])

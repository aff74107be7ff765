"""Readings as DICOM Structured Reports (PS3.16, TID 1500): each site with its box, its scores and its finding.

There is one report per reading and visit, with the time point and the totals. Codes are from SNOMED CT or DICOM where a
verified code exists; otherwise they are the scheme's IDs under a private coding scheme. Films are referenced by their UIDs
in the study. highdicom writes the header, `content_tree` the content.
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
from ratui.results.export.content_tree import (
    CONCEPT_MOD,
    CONTAINS,
    CONTENT_SEQUENCE,
    OBS_CONTEXT,
    Concept,
    encode_content,
    make_code_item,
    make_container_item,
    make_number_item,
    make_person_item,
    make_polyline_item,
    make_text_item,
    make_uid_item,
)
from ratui.results.export.reading_totals import ReadingTotals
from ratui.results.export.signed_readings import ExportSource, SignedReading
from ratui.results.optional_dependencies import require
from ratui.results.totals import MissingRule
from ratui.scheme import Scheme, Site
from ratui.study import Case, FilmRecord, Region, Study
from ratui.study.film_files import read_film_header

__all__ = [
    "DESIGNATOR",
    "build_structured_reports",
    "encode_file",
    "ignore_name_warnings",
    "make_box_polyline",
    "make_person_name",
    "make_uid",
    "read_film_headers",
]

DESIGNATOR = "99RATUI"
"""Designator of the private coding scheme, for concepts without a verified public code."""
_ANATOMY = {
    "MCP2": Concept("289002", "SCT", "Metacarpophalangeal joint of index finger"),
    "MCP3": Concept("6059006", "SCT", "Metacarpophalangeal joint of middle finger"),
    "FIP1": Concept("363670009", "SCT", "Interphalangeal joint of hallux"),
    "NAV": Concept("30518006", "SCT", "Scaphoid"),
}
_SIDES = {"L": Concept("7771000", "SCT", "Left"), "R": Concept("24028007", "SCT", "Right")}
_SCALES = {"ERO": "Erosion score", "JSN": "Joint space narrowing score"}

_REPORT = Concept("126000", "DCM", "Imaging Measurement Report")
_LANGUAGE = Concept("121049", "DCM", "Language of Content Item and Descendants")
_ENGLISH = Concept("en-US", "RFC5646", "English (United States)")
_OBSERVER_TYPE = Concept("121005", "DCM", "Observer Type")
_PERSON = Concept("121006", "DCM", "Person")
_OBSERVER = Concept("121008", "DCM", "Person Observer Name")
_PROCEDURE = Concept("121058", "DCM", "Procedure reported")
_RADIOGRAPHY = Concept("radiograph", DESIGNATOR, "Radiography of hands or feet")
_MEASUREMENTS = Concept("126010", "DCM", "Imaging Measurements")
_GROUP = Concept("125007", "DCM", "Measurement Group")
_TRACKING = Concept("112039", "DCM", "Tracking Identifier")
_TRACKING_UID = Concept("112040", "DCM", "Tracking Unique Identifier")
_FINDING = Concept("121071", "DCM", "Finding")
_FINDING_SITE = Concept("363698007", "SCT", "Finding Site")
_LATERALITY = Concept("272741003", "SCT", "Laterality")
_REGION = Concept("111030", "DCM", "Image Region")
_NO_UNITS = Concept("1", "UCUM", "no units")
_TIME_POINT = Concept("C2348792", "UMLS", "Time Point")
_TIME_POINT_ORDER = Concept("126073", "DCM", "Time Point Order")
_OFFSET = Concept("128740", "DCM", "Longitudinal Temporal Offset from Event")
_EVENT = Concept("128741", "DCM", "Longitudinal Temporal Event Type")
_BASELINE = Concept("121079", "DCM", "Baseline")
_DAYS = Concept("d", "UCUM", "day")
_DERIVATION = Concept("121401", "DCM", "Derivation")
_TOTAL = Concept("255619001", "SCT", "Total")
_METHOD = Concept("370129005", "SCT", "Measurement Method")
_COMMENT = Concept("121106", "DCM", "Comment")
_LATE_CHANGES = {
    "": "",
    "reading": " This reading was opened again after all raters of the case had signed.",
    "consensus": " A rater has opened the case again since this consensus was signed.",
}
"""Sentences about a late change, by its mark."""


def make_uid(*about: object) -> str:
    """Return a UID that depends only on `about`, in the 2.25 form of PS3.5 B.2."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def shorten_code_meaning(label: str) -> str:
    """Return `label` as a code meaning: at most 64 characters (VR LO), with plain hyphens instead of dashes."""
    return label.replace("–", "-").replace("−", "-")[:64]


def choose_character_set(scheme: Scheme, *others: str) -> str:
    """Return the DICOM character set that the scheme's labels and `others` need.

    Latin 1 is preferred if it suffices, because more programs can read it than UTF-8.
    """
    words = [
        *(joint.label for joint in scheme.joints),
        *(finding.label for finding in scheme.findings),
        *(reason.label for reason in scheme.reasons),
    ]
    return "ISO_IR 100" if all(shorten_code_meaning(word).isascii() for word in (*words, *others)) else "ISO_IR 192"


def make_person_name(rater: str) -> str:
    """Return a rater's ID as a DICOM person name, with a family name only."""
    return rater.replace(" ", "-") + "^"


@contextmanager
def ignore_name_warnings() -> Iterator[None]:
    """Suppress highdicom's warning that a pseudonym is not a likely person name."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*unlikely to represent the intended person name")
        yield


def read_film_headers(study: Study, case: Case) -> Mapping[str, Any]:
    """Return the DICOM headers of the films of `case`, by film ID, without pixel data."""
    return {film.id: read_film_header(study.folder, case.id, film.id) for film in case.films}


def encode_file(dataset: Any, characters: str) -> bytes:
    """Return `dataset` as the bytes of a DICOM file, in the DICOM character set `characters`."""
    dataset.SpecificCharacterSet = characters
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def build_structured_reports(source: ExportSource, rule: MissingRule, software: str) -> Iterator[tuple[str, bytes]]:
    """Yield (file name, bytes) of each report.

    `rule` is the rule for totals of fields without a score, `software` the name and version of the program. Raises
    StudyError if highdicom is not installed.
    """
    require("highdicom", "DICOM Structured Reports")
    totals = ReadingTotals(source, rule)
    for case, readings in source.by_case():
        regions = {(region.site, region.film): region for region in source.regions(case) if region.confirmed_by}
        headers = read_film_headers(source.study, case)
        for signed in readings:
            for time in case.times:
                films = {film.id: headers[film.id] for film in case.films if film.time == time}
                report = _Report(source.study, signed, time, regions, films, totals, source.find_late_mark(signed))
                yield signed.file_name(case.visit_numbers[time]), report.encode(software)


class _Report:
    """The report of one reading at one time point.

    `headers` are those of the films at this time point, by film ID, and `late` is the mark of a late change.
    """

    def __init__(
        self,
        study: Study,
        signed: SignedReading,
        time: int,
        regions: Mapping[tuple[str, str], Region],
        headers: Mapping[str, Any],
        totals: ReadingTotals,
        late: str | None,
    ) -> None:
        self._signed, self._reading, self._time = signed, signed.reading, time
        self._regions, self._headers, self._totals = regions, headers, totals
        self._late = late or ""
        self._number = signed.case.visit_numbers[time]
        self._visit = study.config.charter.visit_name(self._number)
        self._about = (study.config.id, signed.case.id, signed.rater, self._number)
        self._context = self._time_point_context()

    def encode(self, software: str) -> bytes:
        """Return the bytes of the file."""
        # The UIDs depend on the whole content: no two different reports have the same.
        content = encode_content(self._content())
        about = (*self._about, hashlib.sha256(content).hexdigest())
        header = _report_header(
            tuple(self._headers.values()), make_uid(*about, "instance"), make_uid(*about, "series"), software
        )
        characters = choose_character_set(self._reading.scheme, self._visit, self._totals.statement)
        return encode_file(header, characters) + content

    def _content(self) -> tuple[bytes, ...]:
        filmed = [site for site in self._reading.sites if Slot(site.key, self._time) not in self._reading.unfilmed]
        groups = [*map(self._site_group, filmed), self._totals_group()]
        return (
            make_code_item(CONCEPT_MOD, _LANGUAGE, _ENGLISH),
            make_code_item(OBS_CONTEXT, _OBSERVER_TYPE, _PERSON),
            make_person_item(OBS_CONTEXT, _OBSERVER, make_person_name(self._signed.rater)),
            make_code_item(CONCEPT_MOD, _PROCEDURE, _RADIOGRAPHY),
            make_container_item(_MEASUREMENTS, groups),
        )

    def _time_point_context(self) -> tuple[bytes, ...]:
        """Return the items of TID 1502. The offset is left out if the day of the baseline or of this visit is unknown."""
        case = self._signed.case
        items = [
            make_text_item(OBS_CONTEXT, _TIME_POINT, self._visit),
            make_number_item(OBS_CONTEXT, _TIME_POINT_ORDER, self._number + 1, _NO_UNITS),
        ]
        days = case.days_from(0, self._time) if case.visit_numbers[0] == 0 else None
        if days is not None:
            event = make_code_item(CONCEPT_MOD, _EVENT, _BASELINE)
            items.append(make_number_item(OBS_CONTEXT, _OFFSET, days, _DAYS, [event]))
        return tuple(items)

    def _tracking(self, name: str) -> tuple[bytes, ...]:
        uid = make_uid(*self._about, name)
        return make_text_item(OBS_CONTEXT, _TRACKING, name), make_uid_item(OBS_CONTEXT, _TRACKING_UID, uid)

    def _site_group(self, site: Site) -> bytes:
        """Return the measurement group of one site, with its region if the site is on its film (TID 1410, TID 1501)."""
        items = [*self._tracking(site.key)]
        found = self._reading.finding(Slot(site.key, self._time))
        if found:
            items.append(make_code_item(CONTAINS, _FINDING, _private(found.id, found.label)))
        side = make_code_item(CONCEPT_MOD, _LATERALITY, _SIDES[site.side])
        items += [make_code_item(CONCEPT_MOD, _FINDING_SITE, _anatomy(site), [side]), *self._context]
        evaluations = []
        for scale in site.joint.scales:
            field = Field(site.key, scale, self._time)
            score = self._reading.score(field)
            if score is not None:
                name = _private(scale, _SCALES.get(scale, scale))
                items.append(make_number_item(CONTAINS, name, score, _NO_UNITS))
            value = self._reading.values.get(field)
            if isinstance(value, NotAssessableEntry):
                name = _private(f"NA-{scale}", f"{scale} not assessable")
                why = _private(value.reason, self._reading.scheme.reason(value.reason).label)
                evaluations.append(make_code_item(CONTAINS, name, why))
        region = self._region(site)
        return make_container_item(_GROUP, [*items, *evaluations, *region], "1410" if region else "1501")

    def _region(self, site: Site) -> tuple[bytes, ...]:
        film = self._signed.case.film(self._time, site.side, site.part, self._reading.scheme)
        region = self._regions.get((site.key, film.id)) if film else None
        if film is None or region is None or region.box is None:
            return ()
        points, header = make_box_polyline(region, film).ravel(), self._headers[film.id]
        return (make_polyline_item(_REGION, points, header.SOPClassUID, header.SOPInstanceUID),)

    def _totals_group(self) -> bytes:
        """Return the totals of each scale and of all, with the rule for fields without a score (TID 1501, TID 300)."""
        rule = self._totals.rule.name
        method = _private(f"MISSING-{rule}", f"Fields without a score: {rule}")
        derived = [make_code_item(CONCEPT_MOD, _METHOD, method), make_code_item(CONCEPT_MOD, _DERIVATION, _TOTAL)]
        items = [*self._tracking("totals"), *self._context]
        evaluations = []
        for scale in (*self._reading.scheme.scales, None):
            key, scope = scale or "ALL", _SCALES.get(scale, scale) if scale else "all scores"
            total = self._totals.total(self._signed, self._number, scale)
            if total.value is not None:
                name = _private(f"TOTAL-{key}", f"Total of {scope}")
                items.append(make_number_item(CONTAINS, name, total.value, _NO_UNITS, derived))
            else:
                evaluations.append(
                    make_code_item(CONTAINS, _private(f"NA-TOTAL-{key}", f"No total of {scope}"), method)
                )
            scored = _private(f"SCORED-{key}", f"Number of scored fields of {scope}")
            fields = _private(f"FIELDS-{key}", f"Number of fields of {scope}")
            items.append(make_number_item(CONTAINS, scored, total.assessed, _NO_UNITS))
            items.append(make_number_item(CONTAINS, fields, total.fields, _NO_UNITS))
        comment = make_text_item(CONTAINS, _COMMENT, self._totals.statement + _LATE_CHANGES[self._late])
        return make_container_item(_GROUP, [*items, *evaluations, comment], "1501")


def _report_header(evidence: tuple[Any, ...], instance: str, series: str, software: str) -> Any:
    """Return the dataset of a report without its content, which refers to the films whose headers are `evidence`."""
    sr = require("highdicom", "DICOM Structured Reports").sr
    root = require("pydicom", "DICOM").Dataset()
    template = require("pydicom", "DICOM").Dataset()
    template.MappingResource, template.TemplateIdentifier = "DCMR", "1500"
    root.ValueType, root.ContinuityOfContent = "CONTAINER", "CONTINUOUS"
    root.ConceptNameCodeSequence = [sr.CodedConcept(_REPORT.code, _REPORT.scheme, _REPORT.meaning)]
    root.ContentTemplateSequence, root.ContentSequence = [template], []
    with ignore_name_warnings():
        dataset = sr.ComprehensiveSR(
            evidence=evidence,
            content=root,
            series_instance_uid=series,
            series_number=1,
            sop_instance_uid=instance,
            instance_number=1,
            manufacturer=software,
            is_complete=True,
            is_final=True,
        )
    del dataset.ContentSequence  # the last element of a report, which the caller appends
    assert max(dataset.keys()) < CONTENT_SEQUENCE
    return dataset


def _anatomy(site: Site) -> Concept:
    return _ANATOMY.get(site.joint.id) or _private(site.joint.id, site.joint.mkloc or site.joint.label)


def _private(code: str, meaning: str) -> Concept:
    return Concept(code, DESIGNATOR, shorten_code_meaning(meaning))


def make_box_polyline(region: Region, film: FilmRecord) -> Any:
    """Return the box as a closed line, shape (5, 2): columns and rows from the image's top left corner.

    The units are those of GraphicData in PS3.3 C.10.5. Boxes are cut at the image's borders.
    """
    import numpy as np

    assert region.box is not None
    x0, y0, x1, y1 = region.box
    x0, x1 = max(x0, 0.0), min(x1, float(film.columns))
    y0, y1 = max(y0, 0.0), min(y1, float(film.rows))
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]])

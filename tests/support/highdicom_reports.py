"""Structured Reports whose content highdicom builds, to compare those of ratui with them in form and in time."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import highdicom as hd
from highdicom import sr
from pydicom.sr.codedict import codes

from ratui.reading import Field, NotAssessableEntry, Reading, Slot
from ratui.results.export.structured_report import DESIGNATOR, make_box_polyline, make_uid, shorten_code_meaning
from ratui.results.totals import TotalScore
from ratui.scheme import Scheme, Site
from ratui.study import Case, Region

SCALES = {"ERO": "Erosion score", "JSN": "Joint space narrowing score"}
SITES = {
    "MCP2": ("289002", "Metacarpophalangeal joint of index finger"),
    "MCP3": ("6059006", "Metacarpophalangeal joint of middle finger"),
}


def _private(code: str, meaning: str) -> sr.CodedConcept:
    return sr.CodedConcept(code, DESIGNATOR, shorten_code_meaning(meaning))


@contextmanager
def _ignore_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@_ignore_warnings()
def build_report(
    reading: Reading,
    case: Case,
    time: int,
    *,
    study: str,
    regions: Mapping[tuple[str, str], Region],
    headers: Mapping[str, Any],
    visit: str,
    days: int | None,
    totals: Mapping[str | None, TotalScore],
    rule: str,
    statement: str,
) -> sr.ComprehensiveSR:
    """Return the report of `reading` at a time point, as a dataset.

    `days` are those since the baseline; `totals` those of each scale and, under None, of all, by the rule named `rule`.
    """
    number = case.visit_numbers[time]
    about = (study, case.id, reading.rater, number)
    observer = sr.ObserverContext(
        observer_type=codes.DCM.Person,
        observer_identifying_attributes=sr.PersonObserverIdentifyingAttributes(name=f"{reading.rater}^"),
    )

    def context() -> sr.TimePointContext:
        offset = None
        if days is not None:
            offset = sr.LongitudinalTemporalOffsetFromEvent(days, codes.UCUM.Day, codes.DCM.Baseline)
        return sr.TimePointContext(visit, time_point_order=number + 1, temporal_offset_from_event=offset)

    def tracking(name: str) -> sr.TrackingIdentifier:
        return sr.TrackingIdentifier(uid=make_uid(*about, name), identifier=name)

    def group(site: Site) -> Any:
        found = reading.finding(Slot(site.key, time))
        scores, evaluations = [], []
        for scale in site.joint.scales:
            score = reading.score(Field(site.key, scale, time))
            if score is not None:
                scores.append(sr.Measurement(_private(scale, SCALES.get(scale, scale)), score, codes.UCUM.NoUnits))
            value = reading.values.get(Field(site.key, scale, time))
            if isinstance(value, NotAssessableEntry):
                why = _private(value.reason, reading.scheme.reason(value.reason).label)
                evaluations.append(sr.QualitativeEvaluation(_private(f"NA-{scale}", f"{scale} not assessable"), why))
        known = SITES.get(site.joint.id)
        place = sr.CodedConcept(known[0], "SCT", known[1]) if known else _private(site.joint.id, _place(site))
        common = {
            "tracking_identifier": tracking(site.key),
            "finding_type": _private(found.id, found.label) if found else None,
            "finding_sites": [
                sr.FindingSite(place, laterality=codes.SCT.Left if site.side == "L" else codes.SCT.Right)
            ],
            "time_point_context": context(),
            "measurements": scores,
            "qualitative_evaluations": evaluations,
        }
        film = case.film(time, site.side, site.part, reading.scheme)
        region = regions.get((site.key, film.id)) if film else None
        if film is None or region is None or region.box is None:
            return sr.MeasurementsAndQualitativeEvaluations(**common)
        source = sr.SourceImageForRegion(headers[film.id].SOPClassUID, headers[film.id].SOPInstanceUID)
        line = sr.ImageRegion(hd.sr.GraphicTypeValues.POLYLINE, make_box_polyline(region, film), source)
        return sr.PlanarROIMeasurementsAndQualitativeEvaluations(referenced_region=line, **common)

    groups = [group(site) for site in reading.sites if Slot(site.key, time) not in reading.unfilmed]
    groups.append(_totals_group(tracking("totals"), context(), reading.scheme, totals, rule, statement))
    content = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_person_context=observer),
        procedure_reported=_private("radiograph", "Radiography of hands or feet"),
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    return sr.ComprehensiveSR(
        evidence=list(headers.values()),
        content=content,
        series_instance_uid=make_uid(*about, "series"),
        series_number=1,
        sop_instance_uid=make_uid(*about, "instance"),
        instance_number=1,
        manufacturer="ratui",
        is_complete=True,
        is_final=True,
    )


def _place(site: Site) -> str:
    return site.joint.mkloc or site.joint.label


def _totals_group(
    tracking: sr.TrackingIdentifier,
    context: sr.TimePointContext,
    scheme: Scheme,
    totals: Mapping[str | None, TotalScore],
    rule: str,
    statement: str,
) -> sr.MeasurementsAndQualitativeEvaluations:
    method = _private(f"MISSING-{rule}", f"Fields without a score: {rule}")
    numbers, evaluations = [], []
    for scale in (*scheme.scales, None):
        key, scope = (scale, SCALES.get(scale, scale)) if scale else ("ALL", "all scores")
        total = totals[scale]
        if total.value is None:
            evaluations.append(sr.QualitativeEvaluation(_private(f"NA-TOTAL-{key}", f"No total of {scope}"), method))
        else:
            value = int(total.value) if total.value == int(total.value) else total.value
            name = _private(f"TOTAL-{key}", f"Total of {scope}")
            numbers.append(
                sr.Measurement(name, value, codes.UCUM.NoUnits, method=method, derivation=codes.SCT.Total)
            )  # fmt: skip
        for code, meaning, count in (
            ("SCORED", "Number of scored fields", total.assessed),
            ("FIELDS", "Number of fields", total.fields),
        ):
            name = _private(f"{code}-{key}", f"{meaning} of {scope}")
            numbers.append(sr.Measurement(name, count, codes.UCUM.NoUnits))
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking, time_point_context=context, measurements=numbers, qualitative_evaluations=evaluations
    )
    comment = sr.TextContentItem(codes.DCM.Comment, statement, sr.RelationshipTypeValues.CONTAINS)
    group[0].ContentSequence.append(comment)
    return group

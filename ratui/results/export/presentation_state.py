"""Regions and scores as graphic annotations: one DICOM presentation state per film and reading, for any DICOM viewer.

DICOM's bulk annotations are defined for microscopy only, so graphic annotations of a Grayscale Softcopy Presentation
State (PS3.3 A.33.1) are used. They show the same boxes and scores as the Structured Reports.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from ratui.imaging import Box, Orientation
from ratui.reading import Field, FindingEntry, NotAssessableEntry, Reading
from ratui.results.export.signed_readings import ExportSource, SignedReading
from ratui.results.export.structured_report import (
    choose_character_set,
    encode_file,
    ignore_name_warnings,
    make_box_polyline,
    make_person_name,
    make_uid,
    read_film_headers,
    shorten_code_meaning,
)
from ratui.results.optional_dependencies import require
from ratui.scheme import Site
from ratui.study import FilmRecord, Region

__all__ = ["build_presentation_states"]


def build_presentation_states(source: ExportSource, software: str) -> Iterator[tuple[str, bytes]]:
    """Yield (file name, bytes) of each presentation state, for films with regions.

    `software` is the name and version of the program. Raises StudyError if highdicom is not installed.
    """
    require("highdicom", "DICOM presentation states")
    for case, readings in source.by_case():
        regions = [region for region in source.regions(case) if region.confirmed_by and region.box]
        headers, turned = read_film_headers(source.study, case), source.orientations(case)
        for signed in readings:
            known = signed.reading.site_keys
            for film in case.films:
                film_regions = [region for region in regions if region.film == film.id and region.site in known]
                if film_regions:
                    orientation = turned.get(film.id, Orientation.UPRIGHT)
                    yield (
                        signed.file_name(film.id),
                        _state(source, signed, film, orientation, film_regions, headers[film.id], software),
                    )


def _state(
    source: ExportSource,
    signed: SignedReading,
    film: FilmRecord,
    orientation: Orientation,
    regions: list[Region],
    header: Any,
    software: str,
) -> bytes:
    hd = require("highdicom", "DICOM presentation states")
    study, late = source.study, source.find_late_mark(signed)
    header = _with_one_contrast(header)
    layer = hd.pr.GraphicLayer("SCORES", 1, description="Regions of joints with their scores")
    boxes, texts = [], []
    about = (study.config.id, signed.case.id, signed.rater, film.id)
    for region in regions:
        site = signed.reading.site(region.site)
        line, id = make_box_polyline(region, film), make_uid(*about, region.site)
        boxes.append(
            hd.pr.GraphicObject(
                hd.pr.GraphicTypeValues.POLYLINE,
                line,
                hd.pr.AnnotationUnitsValues.PIXEL,
                tracking_id=site.key,
                tracking_uid=id,
            )
        )
        text = _label(signed.reading, site, film.time)
        texts.append(
            hd.pr.TextObject(
                text,
                hd.pr.AnnotationUnitsValues.PIXEL,
                anchor_point=(float(line[1, 0]), float(line[1, 1])),
                anchor_point_visible=False,
                tracking_id=site.key,
                tracking_uid=id,
            )
        )
    places = [(region.site, tuple(region.box)) for region in regions if region.box]
    drawn: tuple[object, ...] = (*about, places, [t.UnformattedTextValue for t in texts])
    if orientation is not Orientation.UPRIGHT:
        drawn = (*drawn, orientation.value)
    if late:
        drawn = (*drawn, late)
    with ignore_name_warnings():
        dataset = hd.pr.GrayscaleSoftcopyPresentationState(
            referenced_images=[header],
            series_instance_uid=make_uid(*drawn, "series"),
            series_number=2,
            sop_instance_uid=make_uid(*drawn, "instance"),
            instance_number=1,
            manufacturer=software,
            manufacturer_model_name=software,
            software_versions=software,
            device_serial_number=study.config.id,
            content_label="SCORES",
            content_description=f"{'late change, ' if late else ''}scores of {signed.rater}"[:64],
            content_creator_name=make_person_name(signed.rater),
            graphic_layers=[layer],
            graphic_annotations=[hd.pr.GraphicAnnotation([header], layer, graphic_objects=boxes, text_objects=texts)],
        )
    _add_spatial_transformation(dataset, film, orientation)
    # Type 2C for a paired body part: L, R, or present and empty for a film of both sides (PS3.3 C.7.3.1).
    dataset.Laterality = "" if film.side == "B" else film.side
    return encode_file(dataset, choose_character_set(signed.reading.scheme))


def _add_spatial_transformation(dataset: Any, film: FilmRecord, orientation: Orientation) -> None:
    """Turn the displayed image as the raters saw it (PS3.3 C.10.6); graphics stay in pixels of the stored image."""
    if orientation is Orientation.UPRIGHT:
        return
    dataset.ImageRotation = orientation.degrees
    dataset.ImageHorizontalFlip = "Y" if orientation.is_mirrored else "N"
    # PS3.3 C.10.4: the corners are the pixels that are top left and bottom right after the transformation.
    view = film.with_orientation(orientation)
    for area in dataset.DisplayedAreaSelectionSequence:
        for keyword, corner in (
            ("DisplayedAreaTopLeftHandCorner", Box(0.0, 0.0, 1.0, 1.0)),
            ("DisplayedAreaBottomRightHandCorner", Box(view.columns - 1.0, view.rows - 1.0, view.columns, view.rows)),
        ):
            pixel = view.to_stored(corner)
            setattr(area, keyword, [int(pixel.x1), int(pixel.y1)])


def _with_one_contrast(header: Any) -> Any:
    """Return `header` without its window if it also has a VOI LUT.

    A film may have both and is displayed by the table; a presentation state may contain only one of them.
    """
    if "VOILUTSequence" not in header or "WindowCenter" not in header:
        return header
    changed = deepcopy(header)  # pydicom's own copy() would share the elements
    for keyword in ("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation", "VOILUTFunction"):
        changed.pop(keyword, None)
    return changed


def _label(reading: Reading, site: Site, time: int) -> str:
    """Return a label such as ``MCP2 ERO 2 JSN 1``, with findings by name."""
    words = [site.joint.id]
    for scale in site.joint.scales:
        field = Field(site.key, scale, time)
        match reading.values.get(field):
            case FindingEntry(id) if reading.scheme.finding(id).label not in words:
                words.append(shorten_code_meaning(reading.scheme.finding(id).label))
            case NotAssessableEntry(_):
                words.append(f"{scale} not assessable")
                continue
        words.append(f"{scale} {reading.score(field)}")
    return " ".join(words)

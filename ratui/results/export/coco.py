"""Regions as COCO boxes: one image per film, one category per joint, one annotation per confirmed region.

Coordinates are not rounded to pixels. A joint that is not on its film has no annotation.
"""

from __future__ import annotations

from typing import Any

from ratui.results.export.signed_readings import ExportSource

__all__ = ["build_coco"]


def build_coco(source: ExportSource) -> dict[str, Any]:
    """Return the films and confirmed regions of the exported cases as a COCO detection data set."""
    study = source.study
    categories = {
        joint.id: {"id": number, "name": joint.id, "supercategory": joint.group or joint.part}
        for number, joint in enumerate(study.scheme.joints, start=1)
    }
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for case, _ in source.by_case():
        numbers: dict[str, int] = {}
        for film in case.films:
            numbers[film.id] = len(images) + 1
            images.append(
                {
                    "id": numbers[film.id],
                    "file_name": f"{case.id}/{film.id}.dcm",
                    "width": film.columns,
                    "height": film.rows,
                    "case": case.id,
                    "time": film.time,
                    "side": film.side,
                    "view": film.view,
                }
            )
        for region in source.regions(case):
            if region.box is None or not region.confirmed_by or region.film not in numbers:
                continue
            site = study.scheme.site(region.site)
            x0, y0, x1, y1 = region.box
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": numbers[region.film],
                    "category_id": categories[site.joint.id]["id"],
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": (x1 - x0) * (y1 - y0),
                    "iscrowd": 0,
                    "site": region.site,
                    "side": site.side,
                }
            )
    info = {"description": f"regions of study {study.config.id}, scheme {study.scheme.name}", "version": "1"}
    return {"info": info, "images": images, "annotations": annotations, "categories": [*categories.values()]}

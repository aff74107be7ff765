"""Report of a benchmark: Markdown for people and JSON for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ratui.errors import TrainError
from ratui.files import atomic_write
from ratui.study.model_results.model_reports import Block, Heading, Paragraph, ReportTable
from trainer.data.ram_h1200 import RAM_NAMES
from trainer.evaluation.metrics import Metric
from trainer.evaluation.report import make_metrics_table
from trainer.evaluation.report_document import to_markdown
from trainer.experiments.benchmark import BenchmarkResults

__all__ = ["write_benchmark_report"]

_PUBLISHED_NOTE = (
    "The published values are of other trainings, on the real RAM-H1200 with its own split: the best of several networks "
    "(DINOv2 ViT-S/14, cumulative loss; arXiv 2605.05616). They are comparable only if this folder is that complete set."
)


def write_benchmark_report(results: BenchmarkResults, out: Path) -> str:
    """Write ``report.md`` and ``report.json`` to the folder `out`, and return the Markdown text. Raises TrainError."""
    text = to_markdown(_make_blocks(results))
    try:
        for name, content in (("report.md", text), ("report.json", json.dumps(_make_record(results), indent=1))):
            with atomic_write(out / name) as temporary:
                temporary.write_text(content, encoding="utf-8")
    except OSError as error:
        raise TrainError(f"the report can't be written: {error.strerror}", out, "Give another --out") from error
    return text


def _make_blocks(results: BenchmarkResults) -> list[Block]:
    data = results.data
    kind = "the split of the set" if data.has_official_split else "a split by patient, since the set has none"
    counts = "; ".join(
        f"{part} {len(data.part(part))} images of {len(data.patients(part))} patients"
        for part in ("train", "val", "test")
    )
    blocks: list[Block] = [
        Heading("Benchmark RAM-H1200", 1),
        Paragraph(
            f"Parts by {kind}: {counts}. Patients are known from {data.patient_rule}. The part val teaches nothing: it "
            f"chooses the epoch. The scorer was trained with the loss `{results.loss}`; its decision rule is "
            f"`{results.decision}`. The 95 % intervals are bootstrapped over patients."
        ),
        Paragraph(f"**{_PUBLISHED_NOTE}**"),
        Heading("All joints, in the boxes of the set"),
        make_metrics_table(results.all_joints),
        Heading("Finger joints"),
        Paragraph(
            f"The detector found {results.found} of {results.wanted} scored finger joints of the test; it does not look for "
            "joints of the wrist. Both tables are of the joints that it found."
        ),
    ]
    for title, metrics in (
        ("In the detector's boxes", results.fingers_found),
        ("The same joints, in the boxes of the set", results.fingers_true),
    ):
        blocks += [Heading(title, 3), make_metrics_table(metrics) if metrics else Paragraph("No joint was found.")]
    blocks += [
        Heading("Detector"),
        make_metrics_table(results.detector),
        Heading("Single joints, in the boxes of the set"),
    ]
    rows = [
        (
            f"{RAM_NAMES[each.joint]} ({each.joint})",
            each.scale,
            str(each.count),
            "not defined" if math.isnan(each.kappa) else f"{each.kappa:.3f}",
            f"{each.error:.3f}",
        )
        for each in results.joints
    ]
    blocks.append(ReportTable(("joint", "scale", "films", "weighted kappa", "mean error"), rows))
    if data.notices:
        blocks += [Heading("Left out, and to check"), *(Paragraph(f"- {notice}") for notice in data.notices)]
    return blocks


def _make_record(results: BenchmarkResults) -> dict[str, Any]:
    data = results.data
    return {
        "benchmark": "ram-h1200",
        "official_split": data.has_official_split,
        "patients_known_from": data.patient_rule,
        "parts": {
            part: {"images": len(data.part(part)), "patients": len(data.patients(part))}
            for part in ("train", "val", "test")
        },
        "loss": results.loss,
        "decision": results.decision,
        "published_note": _PUBLISHED_NOTE,
        "all_joints": _to_records(results.all_joints),
        "finger_joints": {
            "scored": results.wanted,
            "found": results.found,
            "detector_boxes": _to_records(results.fingers_found),
            "true_boxes": _to_records(results.fingers_true),
        },
        "detector": _to_records(results.detector),
        "joints": [_without_nan(asdict(each)) for each in results.joints],
        "notices": list(data.notices),
    }


def _to_records(metrics: Sequence[Metric]) -> list[dict[str, Any]]:
    records = [_without_nan(asdict(metric)) for metric in metrics]
    # "published" says more than the name of the field, which is that of other reports.
    return [{"published" if name == "paper" else name: value for name, value in each.items()} for each in records]


def _without_nan(record: dict[str, Any]) -> dict[str, Any]:
    """Return `record` with null in place of NaN, which JSON does not have."""
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in record.items()}

"""Report of an evaluation: Markdown, a self-contained HTML page, JSON for programs, and a copy in the study for the app.

All values come from `Results`; nothing is computed from films or readings here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ratui.errors import TrainError
from ratui.files import atomic_write
from ratui.study import Study
from ratui.study.model_reports import Block, Evaluation, Heading, Paragraph, Picture, ReportTable, save_evaluation
from trainer.evaluation.evaluate import Metric, Results
from trainer.evaluation.report_document import to_html, to_markdown
from trainer.evaluation.report_pictures import draw_histogram, draw_reliability, draw_worst_joints

__all__ = ["write_report"]

_STORED_NAMES = {
    "other_metrics": "more",
    "change_errors": "differences",
    "uncertainty_metrics": "doubted",
    "calibrations": "sure",
    "worst_joints": "worst",
    "target": "what",
    "confidence": "sure",
    "accuracy": "right",
    "rater_grades": "read",
    "predicted_grades": "said",
    "uncertainty": "doubt",
}
"""Keys of ``report.json`` that differ from the names of the fields: programs read the file by these older names."""


def write_report(results: Results, out: Path, *, study: Study | None = None, model: str = "") -> str:
    """Write the report to the folder `out` and return its Markdown text.

    The files are ``report.md`` with its pictures, ``report.html`` and ``report.json``. If `study` is given, the report is
    also saved there as that of the scorer `model`; the app shows it to raters who signed the evaluated cases.

    Raises
    ------
    TrainError
        If the folder cannot be written.
    StoreError
        If the report cannot be saved in the study.
    """
    blocks = _make_blocks(results)
    text = to_markdown(blocks)
    facts = asdict(results)
    facts["cases"] = len(results.cases)
    facts["change_errors"] = [round(float(value), 4) for value in results.change_errors]
    del facts["crops"]  # images of patients are in the report's picture only
    try:
        out.mkdir(parents=True, exist_ok=True)
        contents = {block.file: block.png for block in blocks if isinstance(block, Picture)}
        contents["report.md"] = text.encode()
        contents["report.html"] = to_html(blocks).encode()
        contents["report.json"] = json.dumps(_to_json(facts), indent=1).encode()
        for name, content in contents.items():
            with atomic_write(out / name) as temporary:
                temporary.write_bytes(content)
    except OSError as error:
        raise TrainError(f"the report cannot be written: {error.strerror}", out, "Give another --out") from error
    if study is not None:
        save_evaluation(study, Evaluation(model, datetime.now(UTC), results.cases, tuple(blocks)))
    return text


def _make_blocks(results: Results) -> list[Block]:
    """Return the content of the report."""
    films = f"{results.films} hands, " if results.films else ""
    blocks: list[Block] = [
        Heading("Evaluation of the models", 1),
        Paragraph(
            f"{len(results.cases)} cases ({films}{results.joints} joints) that none of the models was trained on, "
            "compared with every rater's signed reading. The 95 % intervals are bootstrapped over patients. "
            f"The scorer was trained with the loss `{results.loss}`; its decision rule is `{results.decision}`."
        ),
        _metrics_table(results.headline),
        Paragraph(
            "The published values were measured on real films; they are comparable only if these films are real as well. "
            "Accuracy alone says little if findings are rare: see sensitivity and specificity. "
            "As in the publication, scores are left out if a special finding fixes them at one of the time points. "
            "The difference between raters is the limit: no model can agree better than that with all of them."
        ),
        Heading("Other metrics"),
        _metrics_table(results.other_metrics),
        Heading("Errors of the ERO difference"),
        Picture(
            "differences.png", draw_histogram(results.change_errors, len(results.cases)), "Errors of the ERO difference"
        ),
        _histogram_table(results.change_errors),
    ]
    if results.calibrations:
        blocks += [
            Heading("Uncertainty"),
            Paragraph(
                "The chart compares the model's confidence with the share of raters' answers that agree. On the diagonal, "
                "the model is calibrated. The table shows if the error rises with the model's uncertainty."
            ),
            Picture("calibration.png", draw_reliability(results.calibrations), "Accuracy by confidence"),
            _metrics_table(results.uncertainty_metrics),
        ]
    if results.worst_joints:
        caption = "Joints with the largest errors of the ERO change; earlier film on the left"
        blocks += [
            Heading("Worst joints"),
            Picture("worst.png", draw_worst_joints(results.worst_joints, results.crops), caption),
            _worst_table(results),
        ]
    return blocks


def _metrics_table(metrics: Sequence[Metric]) -> ReportTable:
    """Return a table with a row for each metric, without the columns for comparison that would be empty."""
    rows = []
    for m in metrics:
        baseline = f"{_format_number(m.baseline, m.unit)} ({m.baseline_name})" if m.baseline is not None else ""
        interval = f"{_format_number(m.low, m.unit)} to {_format_number(m.high, m.unit)}"
        rows.append(
            (
                f"{m.name} ({m.note})" if m.note else m.name,
                _format_number(m.value, m.unit),
                "" if math.isnan(m.value) else interval,
                _format_number(m.paper, m.unit),
                baseline,
                _format_number(m.raters, m.unit),
            )
        )
    columns = ("metric", "value", "95 % interval", "published", "baseline", "between raters")
    shown = [place for place in range(len(columns)) if place < 3 or any(row[place] for row in rows)]
    return ReportTable([columns[place] for place in shown], [[row[place] for place in shown] for row in rows], strong=1)


def _worst_table(results: Results) -> ReportTable:
    """Return a table of the joints with the largest errors."""
    rows = [
        (
            each.case,
            each.site,
            ", ".join(f"{a}→{b}" for a, b in each.rater_grades),
            f"{each.predicted_grades[0]}→{each.predicted_grades[1]}",
            f"{each.change:+d}",
            f"{each.uncertainty:.2f}",
        )
        for each in results.worst_joints
    ]
    return ReportTable(("case", "site", "read", "predicted", "predicted change", "uncertainty"), rows)


def _format_number(value: float | None, unit: str) -> str:
    """Return `value` as text; empty for None."""
    if value is None:
        return ""
    if math.isnan(value):
        return "no data"
    return f"{100 * value:.1f} %" if unit == "%" else f"{value:.3f}"


def _histogram_table(errors: npt.NDArray[np.float64]) -> ReportTable:
    """Return the shares of the errors in five intervals, in grades."""
    edges = [-np.inf, -1.5, -0.5, 0.5, 1.5, np.inf]
    names = ["below −1.5", "−1.5 to −0.5", "−0.5 to 0.5", "0.5 to 1.5", "above 1.5"]
    counts, _ = np.histogram(errors, edges)
    share = counts / max(counts.sum(), 1)
    rows = [(name, str(n), f"{100 * s:.1f} %") for name, n, s in zip(names, counts, share, strict=True)]
    return ReportTable(("predicted minus read change", "pairs", "share"), rows)


def _to_json(value: object) -> object:
    """Return `value` for JSON: NaN becomes null, and fields get their stored names."""
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, dict):
        return {_STORED_NAMES.get(key, key): _to_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json(each) for each in value]
    return value

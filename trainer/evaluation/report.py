"""Report of an evaluation: Markdown, a self-contained HTML page, JSON for programs, and a copy in the study for the app.

All values come from `Results`; nothing is computed from films or readings here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ratui.errors import TrainError
from ratui.files import atomic_write
from ratui.results.text_table import format_count
from ratui.study import Study
from ratui.study.model_results.model_reports import (
    Block,
    Evaluation,
    Heading,
    Paragraph,
    Picture,
    ReportTable,
    save_evaluation,
)
from trainer.evaluation.evaluate import Metric, Results
from trainer.evaluation.report_document import to_html, to_markdown
from trainer.evaluation.report_pictures import (
    FULL_COLOUR,
    draw_histogram,
    draw_reliability,
    draw_saliency,
    draw_worst_joints,
)
from trainer.evaluation.saliency import LARGE_ERROR, Saliency, compute_square_side

__all__ = ["make_metrics_table", "write_report"]

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
    facts = asdict(replace(results, saliency=()))
    facts["saliency"] = [each.summarise() for each in results.saliency]
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


def _state_lineage(results: Results) -> list[Block]:
    """Return the paragraph on what was left out because models had learned from it."""
    lines = []
    if results.excluded:
        verb = "is" if results.excluded == 1 else "are"
        lines.append(
            f"{results.excluded} signed cases {verb} left out: a model, or one whose weights it started from, has "
            "learned from them."
        )
    if results.dependent_boxes:
        lines.append(
            f"{results.dependent_boxes} confirmed boxes are left out: a detector proposed them and no rater moved them, "
            "so they are no independent truth for a detector."
        )
    lines += [
        f"**It is not known what the {name}, or a model whose weights it started from, has learned from. "
        "It may have learned from the cases of this report, and its figures may be too good.**"
        for name in results.unknown_models
    ]
    return [Paragraph(" ".join(lines))] if lines else []


def _state_single_scores(results: Results) -> list[Block]:
    """Return the paragraph on scores whose other time point has none."""
    if not results.single_scores:
        return []
    return [
        Paragraph(
            f"{results.single_scores} scores are of joints that the rater scored at one time point only. They count for the "
            "error of the score of one time point and its calibration, and are left out of everything on the difference."
        )
    ]


def _make_blocks(results: Results) -> list[Block]:
    """Return the content of the report."""
    samples = [format_count(results.films, "hand")] if results.films else []
    samples += [f"{results.joints} joints"] if results.joints else []
    scorer = f" The scorer was trained with the loss `{results.loss}`; its decision rule is `{results.decision}`."
    blocks: list[Block] = [
        Heading("Cross-validation of the model" if results.folds else "Evaluation of the models", 1),
        Paragraph(
            f"{len(results.cases)} cases ({', '.join(samples)}) {_state_training(results)}, "
            "compared with every rater's signed reading. The 95 % intervals are bootstrapped over patients."
            f"{scorer if results.joints else ''}"
        ),
        *_state_lineage(results),
        *_state_single_scores(results),
        make_metrics_table(results.headline),
        Paragraph(
            "The published values were measured on real films; they are comparable only if these films are real as well. "
            "Accuracy alone says little if findings are rare: see sensitivity and specificity. "
            "As in the publication, scores are left out if a special finding fixes them at one of the time points. "
            "The difference between raters is the limit: no model can agree better than that with all of them."
        ),
        Heading("Other metrics"),
        make_metrics_table(results.other_metrics),
    ]
    if results.seed_values:
        blocks += _describe_seeds(results)
    if results.joints:
        picture = draw_histogram(results.change_errors, len(results.cases))
        blocks += [
            Heading("Errors of the ERO difference"),
            Picture("differences.png", picture, "Errors of the ERO difference"),
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
            make_metrics_table(results.uncertainty_metrics),
        ]
    if results.worst_joints:
        caption = "Joints with the largest errors of the ERO change; earlier film on the left"
        blocks += [
            Heading("Worst joints"),
            Picture("worst.png", draw_worst_joints(results.worst_joints, results.crops), caption),
            _worst_table(results),
        ]
    if results.saliency:
        blocks += _describe_saliency(results.saliency)
    return blocks


def _describe_saliency(maps: Sequence[Saliency]) -> list[Block]:
    """Return the part on the saliency maps."""
    large = sum(each.reason == LARGE_ERROR for each in maps)
    scale, side = maps[0].scale, maps[0].crops.shape[1]
    square = compute_square_side(side)
    return [
        Heading("Places that the prediction depends on"),
        Paragraph(
            f"The maps show {large} joints with the largest errors and {len(maps) - large} drawn at random. In the crop of "
            f"{side} × {side} pixels a square of {square} × {square} was blurred at each place in turn, and the scorer "
            "predicted again. "
            f"Where a map is red, the picture raises the expected {scale} grade, or its change: blurred there, the value "
            "falls. Where it is blue, the picture lowers the value. Full colour is the largest effect of the joint, and at "
            f"least {FULL_COLOUR} grades; it stands beside the joint. Right joints are mirrored."
        ),
        Paragraph(
            "A map describes the model, not the joint. It is no proof of a cause: a coloured place need not show damage, "
            "and a place without colour may matter together with others. A blurred edge of a bone can look like an erosion "
            "to the scorer; the edge is blue then. The pictures are parts of the study's films: "
            "pass them on like the films."
        ),
        Picture(
            "saliency.png", draw_saliency(maps), f"Effect of each place on the expected {scale} grade and its change"
        ),
        _saliency_table(maps),
    ]


def _saliency_table(maps: Sequence[Saliency]) -> ReportTable:
    """Return a table of the largest effects, in grades."""
    rows = []
    for each in maps:
        found = each.summarise()["maps"]
        grades = f"{each.grades[0]:.2f}→{each.grades[1]:.2f}"
        rows.append((each.case, each.site, each.reason, grades, *(f"{one['largest']:+.2f}" for one in found.values())))
    effects = ("grade, earlier film", "grade, later film", "change, earlier film", "change, later film")
    return ReportTable(("case", "site", "chosen by", "expected", *effects), rows)


def _state_training(results: Results) -> str:
    if not results.folds:
        return "that none of the models was trained on"
    return (
        f"in {results.folds} folds, each predicted by models that were trained without the cases of its fold, "
        f"with {len(results.seeds)} seeds"
    )


def _describe_seeds(results: Results) -> list[Block]:
    """Return the part on the spread over the seeds of a cross-validation."""
    rows = []
    for each in results.seed_values:
        numbers = (each.mean, each.deviation, *each.values)
        rows.append((each.name, *("–" if math.isnan(value) else _format_number(value, each.unit) for value in numbers)))
    columns = ("metric", "mean", "standard deviation", *(f"seed {seed}" for seed in results.seeds))
    return [
        Heading("Spread over the seeds"),
        Paragraph(
            "Each seed draws its own initial weights, order of samples, augmentation and validation cases; the folds are "
            "the same. The values above are means over the seeds. Their intervals are those of the patients and do not "
            "contain this spread."
        ),
        ReportTable(columns, rows),
    ]


def make_metrics_table(metrics: Sequence[Metric]) -> ReportTable:
    """Return a table with a row for each metric, without the columns for comparison that would be empty."""
    rows = []
    for m in metrics:
        baseline = f"{_format_number(m.baseline, m.unit)} ({m.baseline_name})" if m.baseline is not None else ""
        interval = f"{_format_number(m.low, m.unit)} to {_format_number(m.high, m.unit)}"
        rows.append(
            (
                f"{m.name} ({m.note})" if m.note else m.name,
                _format_number(m.value, m.unit),
                "" if math.isnan(m.low) else interval,
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
            " → ".join(filter(None, each.visits)),
            ", ".join(f"{a}→{b}" for a, b in each.rater_grades),
            f"{each.predicted_grades[0]}→{each.predicted_grades[1]}",
            f"{each.change:+d}",
            f"{each.uncertainty:.2f}",
        )
        for each in results.worst_joints
    ]
    return ReportTable(("case", "site", "visits", "read", "predicted", "predicted change", "uncertainty"), rows)


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

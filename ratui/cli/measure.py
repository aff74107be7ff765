"""The command ``ratui measure``: the change of each joint space between the visits, in millimetres."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ratui.cli.output import print_notices
from ratui.errors import clean_text
from ratui.progress_bar import ProgressBar

if TYPE_CHECKING:
    from ratui.results.joint_space_measuring import MeasureSummary

__all__ = ["COMMANDS"]

_FAILED = 1


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--case", "cases", multiple=True, help="Measure this case only; may be repeated.  [default: all]")
@click.option("--again", is_flag=True, help="Also measure again what was measured before.")
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    help="Number of processes.  [default: one for each processor, up to 8]",
)
def measure(study: Path, cases: tuple[str, ...], again: bool, workers: int | None) -> None:
    """Measure the change of the joint spaces of the fingers in STUDY between successive visits and since the baseline.

    Joints are measured in their confirmed or proposed boxes. What was measured before is kept while films and boxes are the
    same, so that an interrupted run can be continued. Raters see a measurement only after signing. The exit code is 1 if a
    film can't be read.
    """
    from ratui.imaging import joint_space_change
    from ratui.results.joint_space_measuring import measure_joint_spaces
    from ratui.results.text_table import format_count
    from ratui.study import Study
    from ratui.study.activity import record_activity

    opened = Study.open(study)
    bar = ProgressBar()
    try:
        summary = measure_joint_spaces(
            opened,
            joint_space_change,
            cases=cases or None,
            again=again,
            workers=workers,
            on_progress=lambda done, total: bar("measuring cases", done, total),
        )
    finally:
        bar.close()
    if summary.measured:
        counts = f"{summary.measured} measured, {summary.kept} kept, {summary.reliable} of them reliable"
        record_activity(opened, "joint spaces measured", f"{counts}, in {format_count(summary.cases, 'case')}")
    for line in _format_summary(summary):
        click.echo(line)
    for failure in summary.failures:
        click.echo(f"not measured: {clean_text(failure, 300)}", err=True)
    print_notices(opened)
    if summary.failures:
        raise SystemExit(_FAILED)


def _format_summary(summary: MeasureSummary) -> list[str]:
    from ratui.results.text_table import format_count
    from ratui.study.joint_spaces.joint_space import REASONS

    of_all = summary.measured + summary.kept
    if not of_all:
        return ["no finger joint has boxes on films of two visits"]
    counts = f"{format_count(summary.measured, 'change')} of joint spaces measured, {summary.kept} kept from before"
    lines = [
        f"{counts}, in {format_count(summary.cases, 'case')}",
        f"reliable: {summary.reliable} of {of_all} ({100 * summary.reliable / of_all:.0f} %)",
    ]
    lines += [f"  {count} not: {REASONS[reason]}" for reason, count in summary.reasons.most_common()]
    if summary.released is not None:
        lines.append(f"released: raters may see those of {format_count(summary.released, 'case')}")
    return lines


COMMANDS = (measure,)

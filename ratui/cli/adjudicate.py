"""The command that settles what raters dispute: ``adjudicate``.

It names no rater: neither in the list of disputes nor on the screens.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ratui.cli.output import format_columns, to_json
from ratui.errors import StudyError, clean_text

if TYPE_CHECKING:
    from ratui.results.disputes import CaseDispute, JointDispute

__all__ = ["COMMANDS"]

_WARNING_SHARE = 0.2
"""What part of the cases over the limit is a bad sign."""


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--list", "listed", is_flag=True, help="Only list cases and joints, and open nothing.")
@click.option("--threshold", default=7.0, show_default=True, help="Points of total change that two raters lie apart.")
@click.option(
    "--model", default="", metavar="RUN", help="A run that has scored the study: look at what it doubts, too."
)
@click.option("--model-over", default=1.5, show_default=True, help="Grades that it lies off every rater by.")
@click.option("--graphics", default="auto", show_default=True, help="auto, kitty, sixel or halfcell.")
@click.option("--lang", "language", help="en or ja, whatever the settings and the environment say.")
@click.option("--json", "json_", is_flag=True, help="With --list: as JSON.")
def adjudicate(
    study: Path,
    listed: bool,
    threshold: float,
    model: str,
    model_over: float,
    graphics: str,
    language: str | None,
    json_: bool,
) -> None:
    """Settle the cases of STUDY whose raters lie far apart, joint by joint, without seeing who said what.

    The adjudicator answers first; then the raters' answers stand on the message line as A, B, C, in an order drawn for each
    joint. What all raters entered alike is taken over. The consensus is a reading of its own; the raters' stay as they are.
    Only cases that everybody has signed are in the list, those over the threshold and those begun.
    """
    from ratui.results.adjudication import Adjudication, build_queue
    from ratui.results.disputes import DisputeLimits, find_disputes
    from ratui.results.released import released_readings
    from ratui.study import CONSENSUS, Study
    from ratui.study.predictions import list_prediction_models

    opened = Study.open(study)
    if model and model not in list_prediction_models(opened):
        known = ", ".join(list_prediction_models(opened)) or "none"
        raise StudyError(f"the run {clean_text(model)} has not scored this study", study, f"Runs that have: {known}")
    found = find_disputes(opened, released_readings(opened), DisputeLimits(threshold, model_over), model=model)
    queue = build_queue(found)
    if listed or json_:
        if json_:
            document = {"threshold": threshold, "model": model or None, "cases": [each.to_record() for each in found]}
            click.echo(to_json(document), nl=False)
        else:
            _print_queue(found, queue, threshold)
        return
    if not queue:
        click.echo(f"{_describe_share(found, threshold)}: nothing to settle")
        return
    if not opened.config.group:
        click.echo("this study is one account's: whoever adjudicates must not have read in it", err=True)
    from ratui.cli.main import run_app

    run_app(Adjudication(opened, queue, model=model), CONSENSUS, None, graphics, language)


def _print_queue(found: Sequence[CaseDispute], queue: Sequence[CaseDispute], threshold: float) -> None:
    click.echo(_describe_share(found, threshold))
    over = sum(each.is_over_limit for each in found)
    if found and over / len(found) > _WARNING_SHARE:
        click.echo("more than a fifth: look at what the raters do differently before settling case by case")
    if not queue:
        return
    rows = [
        [
            each.case,
            each.consensus_stage or "open",
            _describe_joints(each.joints),
            f"{each.spread:.0f}",
            len(each.joints),
        ]
        for each in queue
    ]
    for line in format_columns(
        ["case", "consensus", "the widest (change/status)", "apart", "joints"], rows, text_columns=3
    ):
        click.echo(f"  {line}")


def _describe_share(found: Sequence[CaseDispute], threshold: float) -> str:
    over = sum(each.is_over_limit for each in found)
    part = f" ({100 * over / len(found):.0f} %)" if found else ""
    return f"{over} of {len(found)} cases{part} lie {threshold:g} points of change or more apart"


def _describe_joints(joints: Sequence[JointDispute]) -> str:
    shown = []
    for each in joints[:4]:
        doubt = f", model off by {each.model:.1f}" if each.model is not None else ""
        shown.append(f"{each.site} {each.change:.0f}/{each.status:.0f}{doubt}")
    return ", ".join(shown) + (" …" if len(joints) > 4 else "")


COMMANDS = (adjudicate,)

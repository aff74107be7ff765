"""The command ``adjudicate``, which settles disputes between raters.

It never names a rater, neither in the list of disputes nor on the screens.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ratui.cli.app import run_app
from ratui.cli.output import format_columns, print_late_changes, print_notices, to_json
from ratui.errors import StudyError, clean_text

if TYPE_CHECKING:
    from ratui.results.disputes import CaseDispute, JointDispute
    from ratui.results.totals import MissingRule

__all__ = ["COMMANDS"]

_WARNING_SHARE = 0.2
"""Proportion of disputed cases above which the raters probably read by different rules."""


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--list", "listed", is_flag=True, help="List the cases and joints, without opening the screens.")
@click.option(
    "--threshold",
    type=float,
    help="Minimum difference of two raters' total change (one visit: total), in points.  [default: of the charter, or 7]",
)
@click.option("--missing", help="Rule for totals of fields without a score; required if a field has none.")
@click.option(
    "--model",
    metavar="RUN",
    help="A run that has scored the study: include joints where it differs.  [default: of the charter, or none]",
)
@click.option(
    "--model-over",
    type=float,
    help="Minimum difference of the model from every rater, in grades.  [default: of the charter, or 1.5]",
)
@click.option("--graphics", default="auto", show_default=True, help="Films: auto, kitty, iterm2, sixel or halfcell.")
@click.option("--lang", "language", help="Language: en or ja. Overrides the settings and the environment.")
@click.option("--json", "json_", is_flag=True, help="Print the list as JSON.")
def adjudicate(
    study: Path,
    listed: bool,
    threshold: float | None,
    missing: str | None,
    model: str | None,
    model_over: float | None,
    graphics: str,
    language: str | None,
    json_: bool,
) -> None:
    """Settle the cases of STUDY on which the raters differ, joint by joint and without names.

    The adjudicator answers first. Then a panel shows the raters' answers as A, B, C, in an order drawn for each joint,
    until Enter goes on. Entries on which all raters agree are taken over. The consensus is a separate reading; the raters'
    readings are not changed. The list contains cases that every rater has signed: those over the threshold, those in
    which a rater has no score for a field that another has scored, and those already begun.
    """
    from ratui.results.adjudication import Adjudication, build_queue
    from ratui.results.disputes import DisputeLimits, find_disputes
    from ratui.results.released import collect_released_readings
    from ratui.results.totals import choose_rule
    from ratui.study import CONSENSUS, Study
    from ratui.study.model_results.predictions import list_prediction_models
    from ratui.study.readings.late_changes import changes_after_release

    opened = Study.open(study)
    opened.check_manager("adjudicate it")
    charter = opened.config.charter
    threshold = charter.adjudication_points if threshold is None else threshold
    model = charter.adjudication_model if model is None else model
    model_over = charter.adjudication_model_over if model_over is None else model_over
    if model and model not in list_prediction_models(opened):
        known = ", ".join(list_prediction_models(opened)) or "none"
        raise StudyError(f"the run {clean_text(model)} has not scored this study", study, f"Runs that have: {known}")
    released = collect_released_readings(opened)
    rule = choose_rule(released, missing, study=opened)
    late = changes_after_release(opened)
    found = find_disputes(opened, released, DisputeLimits(threshold, model_over), rule, model=model, late=late)
    queue = build_queue(found)
    print_notices(opened)
    print_late_changes(late, with_raters=False)
    if listed or json_:
        if json_:
            document = {
                "threshold": threshold,
                "missing_rule": rule.name,
                "model": model or None,
                "cases": [each.to_record() for each in found],
            }
            click.echo(to_json(document), nl=False)
        else:
            _print_queue(found, queue, threshold, rule)
        return
    if not queue:
        click.echo(f"{_describe_share(found, threshold)}: nothing to settle")
        return
    if not opened.config.group:
        click.echo("one account owns this study: the adjudicator must not be one of its raters", err=True)

    run_app(Adjudication(opened, queue, model=model), CONSENSUS, None, graphics, language)


def _print_queue(
    found: Sequence[CaseDispute], queue: Sequence[CaseDispute], threshold: float, rule: MissingRule
) -> None:
    from ratui.results.disputes import describe_stage, format_spread
    from ratui.results.totals import describe_rule

    click.echo(f"{_describe_share(found, threshold)}. {describe_rule(rule)}")
    over = sum(each.is_over_limit for each in found)
    if found and over / len(found) > _WARNING_SHARE:
        click.echo("more than a fifth: find out what the raters do differently before you settle single cases")
    if not queue:
        return
    rows = [
        [
            each.case,
            describe_stage(each),
            _describe_joints(each.joints),
            format_spread(each.spread),
            len(each.joints),
            each.unscored,
        ]
        for each in queue
    ]
    for line in format_columns(
        ["case", "consensus", "widest joints (change/status)", "apart", "joints", "unscored"], rows, text_columns=3
    ):
        click.echo(f"  {line}")
    if any(each.unscored for each in queue):
        click.echo("  unscored: fields for which a rater has no score, and another has one")


def _describe_share(found: Sequence[CaseDispute], threshold: float) -> str:
    from ratui.results.disputes import name_compared_quantity

    over = sum(each.is_over_limit for each in found)
    part = f" ({100 * over / len(found):.0f} %)" if found else ""
    return (
        f"in {over} of {len(found)} cases{part}, two raters' {name_compared_quantity(found)} differ by "
        f"{threshold:g} points or more"
    )


def _describe_joints(joints: Sequence[JointDispute]) -> str:
    shown = []
    for each in joints[:4]:
        doubt = f", model off by {each.model:.1f}" if each.model is not None else ""
        shown.append(f"{each.site} {each.change:.0f}/{each.status:.0f}{doubt}")
    return ", ".join(shown) + (" …" if len(joints) > 4 else "")


COMMANDS = (adjudicate,)

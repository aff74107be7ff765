"""The command ``raters``: list the raters of a study, add, remove and replace them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ratui.cli.output import format_columns, print_notices, to_json
from ratui.errors import clean_text

if TYPE_CHECKING:
    from ratui.study.campaign.rater_changes import RaterSummary

__all__ = ["COMMANDS"]


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--add", "added", default="", metavar="ID", help="Add this rater.")
@click.option("--leave", "left", default="", metavar="ID", help="Record that this rater leaves.")
@click.option(
    "--replace",
    "replaced",
    default=("", ""),
    metavar="OLD NEW",
    nargs=2,
    help="Record that NEW takes the place of OLD.",
)
@click.option("--all-cases", is_flag=True, help="Replace: NEW also reads the cases that OLD has signed.")
@click.option("--reason", default="", help="Reason, which is recorded; needed for --leave and --replace.")
@click.option("--json", "json_", is_flag=True, help="Print the list as JSON.")
def raters(
    study: Path, added: str, left: str, replaced: tuple[str, str], all_cases: bool, reason: str, json_: bool
) -> None:
    """List the raters of STUDY with their cases, or add, remove or replace one.

    The signed readings of a rater who leaves stay and count. The other cases of the rater go to NEW, or to the raters who
    are left. With --all-cases, NEW reads the signed cases as well, and the readings of OLD do not count any more.
    """
    from ratui.results.text_table import format_count
    from ratui.study import Study
    from ratui.study.campaign.rater_changes import add_rater, list_raters, remove_rater, replace_rater

    old, new = replaced
    if sum(map(bool, (added, left, old))) > 1:
        raise click.UsageError("give one of --add, --leave and --replace")
    if all_cases and not old:
        raise click.UsageError("--all-cases belongs to --replace")
    opened = Study.open(study)
    if added:
        changed = add_rater(opened, added, reason)
        click.echo(f"{added} added; {format_count(changed, 'case')} with new raters", err=json_)
    elif left:
        changed = remove_rater(opened, left, reason)
        click.echo(f"{left} has left; {format_count(changed, 'case')} with other raters", err=json_)
    elif old:
        changed = replace_rater(opened, old, new, reason, all_cases=all_cases)
        which = "all cases" if all_cases else "the cases that are not signed"
        click.echo(f"{new} takes the place of {old} in {which}: {format_count(changed, 'case')}", err=json_)
    found = list_raters(opened)
    if json_:
        click.echo(to_json({"raters": [_to_record(each) for each in found]}), nl=False)
        return
    rows = [[each.rater, _describe(each), each.cases, each.signed, each.begun] for each in found]
    for line in format_columns(["rater", "state", "cases", "signed", "begun"], rows, text_columns=2):
        click.echo(line)
    print_notices(opened)


def _describe(found: RaterSummary) -> str:
    event = found.event
    if event is None:
        return "reads"
    day = event.at[:10]
    if not found.has_left:
        return f"reads since {day}" + (f", for {event.other}" if event.other else "")
    return clean_text(f"left {day}" + (f", replaced by {event.other}" if event.other else "") + f": {event.reason}", 60)


def _to_record(found: RaterSummary) -> dict[str, object]:
    return {
        "rater": found.rater,
        "has_left": found.has_left,
        "cases": found.cases,
        "signed": found.signed,
        "begun": found.begun,
        "last_change": found.event.to_record() if found.event else None,
    }


COMMANDS = (raters,)

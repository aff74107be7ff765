"""The command ``blocks``: list the reading blocks of each rater, and open the next ones."""

from __future__ import annotations

from pathlib import Path

import click

from ratui.cli.output import format_columns, to_json

__all__ = ["COMMANDS"]


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--open", "opens", is_flag=True, help="Open the next block for raters who have signed their open ones.")
@click.option("--rater", "raters", multiple=True, metavar="ID", help="Open: for this rater, finished or not.")
@click.option("--json", "json_", is_flag=True, help="Print the list as JSON.")
def blocks(study: Path, opens: bool, raters: tuple[str, ...], json_: bool) -> None:
    """List the reading blocks of each rater of STUDY, or open the next ones.

    The charter states the number of cases in a block. The cases of a block are drawn for each rater when it is opened; until
    then they are not in the rater's worklist.
    """
    from ratui.study import Study
    from ratui.study.campaign.reading_blocks import list_blocks, open_blocks

    if raters and not opens:
        raise click.UsageError("--rater belongs to --open")
    opened = Study.open(study)
    found = open_blocks(opened, raters) if opens else list_blocks(opened)
    if json_:
        records = [
            {"rater": each.rater, "block": each.block, "cases": each.cases, "signed": each.signed, "left": each.left}
            for each in found
        ]
        click.echo(to_json({"block_cases": opened.config.charter.block_cases, "raters": records}), nl=False)
        return
    none = "none open" if opened.config.charter.block_cases else "no blocks"
    rows = [[each.rater, each.block or none, each.cases, each.signed, each.left] for each in found]
    for line in format_columns(["rater", "block", "cases", "signed", "not yet open"], rows):
        click.echo(line)


COMMANDS = (blocks,)

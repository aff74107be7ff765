"""The command ``charter``: show the methods of a study as one page, and set or amend its charter."""

from __future__ import annotations

from pathlib import Path

import click

from ratui.cli.output import to_json, write_output
from ratui.errors import StudyError, clean_text

__all__ = ["COMMANDS"]

_FOLDER = click.Path(path_type=Path)
_LARGEST = 256_000


@click.command()
@click.argument("study", type=_FOLDER)
@click.option("--set", "source", type=_FOLDER, metavar="FILE", help="TOML file with new values of the charter.")
@click.option("--reason", default="", help="Reason of the change, which is recorded; needed with --set.")
@click.option("--html", type=_FOLDER, metavar="FILE", help="Write the page as HTML; - for the terminal.")
@click.option("--json", "json_", is_flag=True, help="Print the page as JSON.")
def charter(study: Path, source: Path | None, reason: str, html: Path | None, json_: bool) -> None:
    """Print the methods of STUDY as one page, or set its charter with --set.

    The charter can be replaced until the first reading begins. After that, each change is an amendment: a new version with
    its time, account and reason. Values that the file does not contain stay as they are.
    """
    from ratui.results.methods import methods_to_record, methods_to_text, render_methods
    from ratui.study import Study
    from ratui.study.campaign.charter_changes import set_charter
    from ratui.study.joint_spaces.joint_space_release import withdraw_unreleased_joint_space

    opened = Study.open(study)
    if source is not None:
        made = set_charter(opened, _read_table(source), reason, source)
        withdraw_unreleased_joint_space(Study.open(study))  # the charter may plan repeats from now on
        kind = f"amended: version {made.version}" if made.amendments else "set: version 1"
        click.echo(f"charter {kind}", err=json_ or html is not None)
        for change in made.history[-1].changes:
            click.echo(f"  {clean_text(change, 300)}", err=json_ or html is not None)
    elif reason:
        raise click.UsageError("--reason belongs to --set")
    if html is not None:
        write_output(render_methods(opened), html)
    elif json_:
        click.echo(to_json(methods_to_record(opened)), nl=False)
    elif source is None:
        for line in methods_to_text(opened):
            click.echo(clean_text(line, 2000))


def _read_table(source: Path) -> dict[str, object]:
    from ratui.bounded_parsing import parse_toml, read_bounded

    try:
        return parse_toml(read_bounded(source, _LARGEST).decode())
    except OSError as error:
        raise StudyError(f"it can't be read: {error.strerror}", source, "Check the path") from error
    except ValueError as error:
        raise StudyError(f"it can't be read: {clean_text(error, 200)}", source, "Correct the file") from error


COMMANDS = (charter,)

"""The command ``lock``: lock a study, compare it with its locked state, and unlock it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ratui.cli.output import to_json
from ratui.errors import clean_text

__all__ = ["COMMANDS", "EXIT_CHANGED"]

EXIT_CHANGED = 4
"""Exit code of ``lock --check`` if the study differs from its locked state."""


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--reason", default="", help="Reason, which is recorded; needed to lock and to unlock.")
@click.option("--sign", type=click.Path(path_type=Path), metavar="KEY", help="SSH key with which to sign the state.")
@click.option("--check", "checked", is_flag=True, help="Compare the study with the state in which it was locked.")
@click.option("--root", default="", metavar="DIGEST", help="Check: the digest that was printed when it was locked.")
@click.option("--unlock", "unlocked", is_flag=True, help="Unlock the study; this is recorded.")
@click.option("--json", "json_", is_flag=True, help="Print the result as JSON.")
def lock(study: Path, reason: str, sign: Path | None, checked: bool, root: str, unlocked: bool, json_: bool) -> None:
    """Lock STUDY: no entry, region, film or setting can change, and its state is sealed.

    Write down the digest that is printed. --check compares the study with the locked state; its exit code is 4 if anything
    differs. Raters can look at a locked study.
    """
    from ratui.results.text_table import format_count
    from ratui.study import Study
    from ratui.study.campaign.study_closing import compare_with_lock, lock_study, unlock_study

    if checked and (unlocked or reason or sign is not None):
        raise click.UsageError("--check takes no other option but --root and --json")
    if root and not checked:
        raise click.UsageError("--root belongs to --check")
    opened = Study.open(study)
    title = clean_text(opened.config.title)
    if checked:
        sealed, differences = compare_with_lock(opened)
        if root and root.lower() != sealed.digest:
            differences.insert(0, f"the digest of the locked state is {sealed.digest}, not the one that was given")
        if json_:
            click.echo(to_json({"root": sealed.digest, "differences": differences}), nl=False)
        else:
            for line in differences:
                click.echo(f"  {clean_text(line, 300)}")
            result = format_count(len(differences), "difference") if differences else "no difference"
            click.echo(f"{title}, locked state {sealed.digest}: {result}")
        if differences:
            sys.exit(EXIT_CHANGED)
    elif unlocked:
        unlock_study(opened, reason)
        click.echo(to_json({"locked": False}) if json_ else f"unlocked: {title}", nl=not json_)
    else:
        made = lock_study(opened, reason, sign)
        if json_:
            click.echo(to_json({"locked": True, "root": made.digest}), nl=False)
            return
        click.echo(f"locked: {title}")
        click.echo(f"root {made.number}{', signed' if made.signature else ''}: {made.digest}")


COMMANDS = (lock,)

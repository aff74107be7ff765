"""The command ``ratui repeats``: draw cases that return under another name, and list them for the manager."""

from __future__ import annotations

from pathlib import Path

import click

from ratui.errors import StudyError, clean_text

__all__ = ["COMMANDS"]


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--draw", "draws", is_flag=True, help="Draw until the charter's share of the cases is repeated.")
@click.option("--share", type=click.FloatRange(0, 1, min_open=True), help="Draw until this share of them is repeated.")
@click.option("--list", "lists", is_flag=True, help="Print which case each repeat shows; no rater may see this.")
def repeats(study: Path, draws: bool, share: float | None, lists: bool) -> None:
    """Repeat cases of STUDY under other names, hidden from the raters, or count the repeats.

    A repeat is read by the raters of its case, like any other case. Draw repeats after the import and before the first
    reading. They count in the agreement of each rater with themselves, and in no other result.
    """
    from ratui.results.text_table import format_count
    from ratui.study import Study
    from ratui.study.repeats import draw_repeats, load_repeats

    opened = Study.open(study)
    opened.check_manager("know its repeats")
    if draws and share is None:
        share = opened.config.charter.repeats_share
        if not share:
            problem = "the charter states no share of repeats"
            raise StudyError(problem, study, "Set repeats_share with: ratui charter STUDY --set FILE, or give --share")
    if share is not None:
        new = draw_repeats(opened, share)
        click.echo(f"{format_count(len(new), 'repeat')} drawn")
        if new:
            click.echo(f"next: ratui propose {clean_text(study)}")
    known = load_repeats(opened)
    click.echo(f"{len(known)} of {format_count(len(opened.cases()), 'case')} are repeats")
    if lists:
        for case, repeat in sorted(known.items()):
            click.echo(f"  {case} shows {repeat.original}, drawn {clean_text(repeat.drawn_at[:16], 20)}")


COMMANDS = (repeats,)

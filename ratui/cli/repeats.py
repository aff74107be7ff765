"""The command ``ratui repeats``: draw cases that return under another name, and list them for the manager."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ratui.errors import StudyError, clean_text

if TYPE_CHECKING:
    from ratui.study import Study

__all__ = ["COMMANDS"]


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--draw", "draws", is_flag=True, help="Draw until the charter's share of the cases is repeated.")
@click.option("--share", type=click.FloatRange(0, 1, min_open=True), help="Draw until this share of them is repeated.")
@click.option("--update", "updates", is_flag=True, help="Copy films that were imported later to the repeats.")
@click.option("--reason", default="", help="Reason for new repeats after the first reading; an amendment.")
@click.option("--list", "lists", is_flag=True, help="Print which case each repeat shows; no rater may see this.")
def repeats(study: Path, draws: bool, share: float | None, updates: bool, reason: str, lists: bool) -> None:
    """Repeat cases of STUDY under other names, hidden from the raters, or count the repeats.

    A repeat is read by the raters of its case, like any other case. Draw repeats after the import and before the first
    reading. They count in the agreement of each rater with themselves, and in no other result.
    """
    from ratui.results.progress import describe_incomplete_repeats
    from ratui.results.text_table import format_count
    from ratui.study import Study
    from ratui.study.campaign.repeat_updates import find_incomplete_repeats
    from ratui.study.campaign.repeats import draw_repeats, load_repeats
    from ratui.study.joint_spaces.joint_space_release import withdraw_unreleased_joint_space

    opened = Study.open(study)
    opened.check_manager("know its repeats")
    if draws and share is None:
        share = opened.config.charter.repeats_share
        if not share:
            problem = "the charter states no share of repeats"
            raise StudyError(problem, study, "Set repeats_share with: ratui charter STUDY --set FILE, or give --share")
    if share is not None:
        new = draw_repeats(opened, share, reason)
        click.echo(f"{format_count(len(new), 'repeat')} drawn")
        withdraw_unreleased_joint_space(opened)  # measurements of the original alone would show which case is repeated
        if new:
            click.echo(f"next: ratui propose {clean_text(study)}")
    if updates:
        _update(opened)
    known = load_repeats(opened)
    click.echo(f"{len(known)} of {format_count(len(opened.cases()), 'case')} are repeats")
    if count := len(find_incomplete_repeats(opened)):
        click.echo(describe_incomplete_repeats(count))
    if lists:
        for case, repeat in sorted(known.items()):
            click.echo(f"  {case} shows {repeat.original}, drawn {clean_text(repeat.drawn_at[:16], 20)}")


def _update(study: Study) -> None:
    from ratui.results.text_table import format_count
    from ratui.study.campaign.repeat_updates import update_repeats

    done, refused = update_repeats(study)
    click.echo(f"later films copied to {format_count(len(done), 'repeat')}")
    if refused:
        count = format_count(len(refused), "repeat")
        click.echo(f"{count} left as before: reading has begun, and a new visit would show which one is the last")
    if done:
        click.echo(f"next: ratui propose {clean_text(study.path)}")


COMMANDS = (repeats,)

"""The command ``ratui propose``, and the proposals after an import: regions by the shipped detector, without torch."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ratui.cli.output import print_notices
from ratui.errors import RatuiError, clean_text
from ratui.program import EndedBySignal
from ratui.progress_bar import ProgressBar

if TYPE_CHECKING:
    from ratui.regions.proposals import ProposalSummary
    from ratui.study import Study

__all__ = ["COMMANDS", "propose_after_import"]

_NAME = "shipped"  # as ratui-train names the same detector
_LINES_OF_A_KIND = 5


class _Progress:
    """A progress bar with the remaining time; elsewhere than on a terminal, a line that announces a long search."""

    def __init__(self, study: Path) -> None:
        self._study = study
        self._bar = ProgressBar()
        self._started = time.monotonic()
        self._is_announced = False

    def __call__(self, done: int, total: int) -> None:
        seconds = (time.monotonic() - self._started) / done * (total - done) if done else 0.0
        if seconds > 60 and not self._is_announced:
            self._is_announced = True
            self._bar.close()
            command = f"ratui propose {clean_text(self._study, 4096)}"
            rest = f"the search for joints on {total - done} more films takes about {_format_time(seconds)}"
            click.echo(f"{rest}; Ctrl-C ends it, and {command} continues it", err=True)
        if total:
            note = f"{done}/{total}, {_format_time(seconds)} left" if done else ""
            self._bar("proposing regions", done, total, note)

    def close(self) -> None:
        self._bar.close()


def _format_time(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds > 90 else f"{seconds:.0f} s"


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--case", "cases", multiple=True, help="Search this case only; may be repeated.  [default: all]")
@click.option("--again", is_flag=True, help="Also search films that have proposals, and replace these.")
def propose(study: Path, cases: tuple[str, ...], again: bool) -> None:
    """Find the joints on the films of STUDY by the shipped detector, and propose their regions to the raters.

    Films with confirmed regions, and films that have proposals, are left out. ratui import does this for new films.
    """
    from ratui.study import Study

    opened = Study.open(study)
    for case in cases:
        opened.case(case)  # raises an error for an unknown case
    summary = _propose(opened, cases or None, again=again)
    if not summary.films:
        click.echo("no film of hands or feet")
    for line in _format_summary(summary):
        click.echo(line)
    print_notices(opened)


def propose_after_import(study: Study, cases: Iterable[str]) -> None:
    """Propose regions for the new films of `cases`, and print what was found.

    An error is printed and not raised: the films are imported. After an interrupt, a line names the command that continues.
    """
    try:
        for line in _format_summary(_propose(study, tuple(cases), again=False)):
            click.echo(line)
    except RatuiError as error:
        click.echo(f"no regions were proposed: {error}", err=True)
    except (KeyboardInterrupt, EndedBySignal):
        command = f"ratui propose {clean_text(study.path, 4096)}"
        click.echo(f"the films are imported; {command} continues the search for joints", err=True)
        raise


def _propose(study: Study, cases: Sequence[str] | None, *, again: bool) -> ProposalSummary:
    from ratui.detection.onnx_networks import load_shipped_detector
    from ratui.regions.proposals import propose_sites
    from ratui.study.accounts import act_as_owner

    progress = _Progress(study.path)
    try:
        network = load_shipped_detector()
        with act_as_owner(study.folder, ""):  # a file of root would exclude the raters
            return propose_sites(
                study, network, _NAME, cases=cases, include_proposed=again, progress=progress
            )  # fmt: skip
    finally:
        progress.close()


def _format_summary(summary: ProposalSummary) -> list[str]:
    """Return the lines about what was found. Many lines of one kind are folded."""
    lines = []
    if summary.joints:
        lines.append(summary.counts)
    for title, messages in (
        ("no proposal", summary.skipped),
        ("turned", summary.turned),
        ("to check", summary.not_turned + summary.side_warnings + summary.incomplete),
    ):
        lines += [f"  {title}: {clean_text(message, 300)}" for message in messages[:_LINES_OF_A_KIND]]
        if len(messages) > _LINES_OF_A_KIND:
            lines.append(f"  {title}: {len(messages) - _LINES_OF_A_KIND} more")
    return lines


COMMANDS = (propose,)

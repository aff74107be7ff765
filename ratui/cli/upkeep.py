"""Commands that keep a study whole: ``check``, ``seal``, ``merge``, ``backup``, ``restore``.

Each says what it found in one line a file and ends with a code that a script can ask for.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ratui.errors import clean

if TYPE_CHECKING:
    from ratui.study.check import Report

__all__ = ["COMMANDS"]

_FOLDER = click.Path(path_type=Path)
PROVABLE, BEYOND_PROOF = 3, 4
"""Exit codes of ``check``: what is wrong can be mended by proof; something is wrong that can't."""


@click.command()
@click.argument("study", type=_FOLDER)
@click.option("--repair", is_flag=True, help="Mend what can be proven; nothing is deleted.")
def check(study: Path, repair: bool) -> None:
    """Look at every file of STUDY: whole, unchanged, closed to others?

    \b
    The exit code is
      0  nothing is wrong, or everything was mended
      1  there is no study that can be checked
      3  something is wrong, and --repair can mend all of it
      4  something is wrong that nothing can prove how to mend
    """
    from ratui.study.check import check_study

    report = check_study(study, repair=repair, progress=_progress)
    show(report)
    if report.open:
        sys.exit(PROVABLE if report.provable else BEYOND_PROOF)


def show(report: Report) -> None:
    """Prints what a check found."""
    for finding in report.findings:
        done = (
            f" · {finding.remedy}" if finding.mended else f" · can be mended: {finding.remedy}" * bool(finding.remedy)
        )
        advice = f" · {finding.advice}" if finding.advice and not finding.mended else ""
        click.echo(f"  {clean(finding.file, 120)}: {clean(finding.what, 200)}{done}{clean(advice, 200)}")
    for note in report.notes:
        click.echo(f"  note  {clean(note, 200)}")
    wrong, mended = len(report.findings), len(report.findings) - len(report.open)
    if not wrong:
        click.echo(f"{report.files} files looked at: nothing is wrong")
    else:
        click.echo(f"{report.files} files looked at: {wrong} things wrong, {mended} mended, {len(report.open)} open")


@click.command()
@click.argument("study", type=_FOLDER)
def seal(study: Path) -> None:
    """Accept study.toml of STUDY as it stands, after a change by hand."""
    from ratui.study import Study
    from ratui.study.settings import seal_by_hand

    config = seal_by_hand(study)
    Study.open(study)
    order = "blinded to the order" if config.blinded else "order shown"
    click.echo(f"sealed: {clean(config.title)}; raters {', '.join(config.raters)}; {order}")


def _progress(done: int, of: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{done}/{of}" + ("\n" if done >= of else ""), nl=False, err=True)


COMMANDS = (check, seal)

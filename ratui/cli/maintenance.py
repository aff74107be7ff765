"""Commands that keep a study whole: ``check``, ``seal``, ``merge``, ``backup``, ``restore``.

Each says what it found in one line a file and ends with a code that a script can ask for.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ratui.errors import clean_text

if TYPE_CHECKING:
    from ratui.study.check import CheckReport

__all__ = ["COMMANDS"]

_FOLDER = click.Path(path_type=Path)
EXIT_REPAIRABLE, EXIT_UNREPAIRABLE = 3, 4
"""Exit codes of ``check``: what is wrong can be mended by proof; something is wrong that can't."""


@click.command()
@click.argument("study", type=_FOLDER)
@click.option("--repair", is_flag=True, help="Mend what can be proven; nothing is deleted.")
@click.option("--against", type=_FOLDER, help="A backup: has any log been changed since it was made?")
def check(study: Path, repair: bool, against: Path | None) -> None:
    """Look at every file of STUDY: whole, unchanged, closed to others?

    \b
    The exit code is
      0  nothing is wrong, or everything was mended
      1  there is no study that can be checked
      3  something is wrong, and --repair can mend all of it
      4  something is wrong that nothing can prove how to mend
    """
    from ratui.study import Study
    from ratui.study.backup import find_rewritten_readings
    from ratui.study.check import check_study

    report = check_study(study, repair=repair, progress=_progress)
    print_report(report)
    changed = find_rewritten_readings(Study.open(study), against) if against else []
    for name in changed:
        click.echo(f"  {clean_text(name, 120)}: its log is not the one that the backup holds the beginning of")
    if report.unrepaired or changed:
        sys.exit(EXIT_REPAIRABLE if report.is_repairable and not changed else EXIT_UNREPAIRABLE)


def print_report(report: CheckReport) -> None:
    """Prints what a check found."""
    for finding in report.findings:
        done = (
            f" · {finding.remedy}" if finding.repaired else f" · can be mended: {finding.remedy}" * bool(finding.remedy)
        )
        advice = f" · {finding.advice}" if finding.advice and not finding.repaired else ""
        click.echo(f"  {clean_text(finding.file, 120)}: {clean_text(finding.what, 200)}{done}{clean_text(advice, 200)}")
    for note in report.notes:
        click.echo(f"  note  {clean_text(note, 200)}")
    from ratui.results.text_table import format_count

    wrong, left = len(report.findings), len(report.unrepaired)
    if not wrong:
        click.echo(f"{report.files} files looked at: nothing is wrong")
    else:
        click.echo(
            f"{report.files} files looked at: {format_count(wrong, 'thing')} wrong, {wrong - left} mended, {left} open"
        )


@click.command()
@click.argument("study", type=_FOLDER)
def seal(study: Path) -> None:
    """Accept study.toml of STUDY as it stands, after a change by hand."""
    from ratui.study import Study
    from ratui.study.config import reseal_settings

    config = reseal_settings(study)
    Study.open(study)
    order = "blinded to the order" if config.blinded else "order shown"
    click.echo(f"sealed: {clean_text(config.title)}; raters {', '.join(config.raters)}; {order}")


@click.command()
@click.argument("study", type=_FOLDER)
@click.argument("others", nargs=-1, required=True, type=_FOLDER)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
def merge(study: Path, others: tuple[Path, ...], dry_run: bool) -> None:
    """Bring into STUDY what was read in OTHERS, copies of it that went on elsewhere.

    Nothing in STUDY is overwritten: what differs is listed, stays as it is, and makes the exit code 3.
    """
    from ratui.study import Study
    from ratui.study.merge import merge as join

    conflicts = 0
    for other in others:
        opened = Study.open(study)
        counts = {"added": 0, "continued": 0, "conflict": 0}
        for item in join(opened, Study.open(other), dry_run=dry_run):
            counts[item.outcome] += 1
            why = f": {item.reason}" if item.reason else ""
            click.echo(f"  {item.outcome:<10}{clean_text(item.what + why, 200)}")
        conflicts += counts["conflict"]
        said = f"{counts['added']} added, {counts['continued']} continued, {counts['conflict']} conflicts"
        click.echo(f"{clean_text(other)}: {said}" + (" (nothing was written)" if dry_run else ""))
    if conflicts:
        sys.exit(3)


@click.command()
@click.argument("study", type=_FOLDER)
@click.argument("archive", type=_FOLDER)
def backup(study: Path, archive: Path) -> None:
    """Make one verified ARCHIVE of STUDY as it is now; raters may go on reading.

    The key to the pseudonyms is not in it. A damaged file is packed as it is, named, and makes the exit code 3.
    """
    from ratui.results.text_table import format_count
    from ratui.study import Study
    from ratui.study.backup import back_up
    from ratui.study.check import check_study

    made = back_up(Study.open(study), archive, progress=_progress)
    click.echo(f"{len(made.checksums)} files packed and verified: {clean_text(archive, 200)}")
    report = check_study(study)
    if not report.is_intact:
        click.echo(
            f"the study itself has {format_count(len(report.findings), 'thing')} wrong: ratui check {clean_text(study)}"
        )
        sys.exit(3)


@click.command()
@click.argument("archive", type=_FOLDER)
@click.argument("study", type=_FOLDER)
def restore(archive: Path, study: Path) -> None:
    """Make the new folder STUDY out of a verified ARCHIVE."""
    from ratui.results.text_table import format_count
    from ratui.study.backup import restore as unpack

    made = unpack(archive, study, progress=_progress)
    click.echo(
        f"restored {clean_text(made.config.title)}: {format_count(len(made.cases()), 'case')}, into {clean_text(study, 200)}"
    )
    if made.config.group:
        click.echo(
            f"it is yours alone; share it with {clean_text(made.config.group)} again: ratui check STUDY --repair"
        )


def _progress(done: int, of: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{done}/{of}" + ("\n" if done >= of else ""), nl=False, err=True)


COMMANDS = (check, seal, merge, backup, restore)

"""Commands that maintain a study: ``check``, ``seal``, ``merge``, ``backup`` and ``restore``.

Each prints one line per file and ends with an exit code that a script can use.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ratui.errors import clean_text
from ratui.progress_bar import ProgressBar

if TYPE_CHECKING:
    from ratui.study.check import CheckReport
    from ratui.study.copies.restore import Restored

__all__ = ["COMMANDS"]

_FOLDER = click.Path(path_type=Path)
EXIT_REPAIRABLE, EXIT_UNREPAIRABLE = 3, 4
"""Exit codes of ``check``: all problems can be repaired; some problem cannot."""


@click.command()
@click.argument("study", type=_FOLDER)
@click.option("--repair", is_flag=True, help="Repair files whose correct content is certain; nothing is deleted.")
@click.option("--against", type=_FOLDER, help="Backup to compare with: report everything that contradicts it.")
@click.option(
    "--signers", type=_FOLDER, help="Allowed signers (see ssh-keygen): the newest root must be signed by one."
)
@click.option("--root", default="", metavar="DIGEST", help="Digest that `ratui seal` printed: this root must exist.")
def check(study: Path, repair: bool, against: Path | None, signers: Path | None, root: str) -> None:
    """Check every file of STUDY for damage, changes and open permissions.

    \b
    The exit code is
      0  no problem, or all problems were repaired
      1  there is no study that can be checked
      3  problems, all of which --repair can repair
      4  problems that cannot be repaired with certainty
    """
    from ratui.study import Study
    from ratui.study.check import check_study
    from ratui.study.check.roots import check_backup

    report = check_study(study, repair=repair, progress=_show_progress("checking"), signers=signers, root=root)
    if against:
        report = check_backup(report, Study.open(study), against)
    print_report(report)
    if report.unrepaired:
        sys.exit(EXIT_REPAIRABLE if report.is_repairable else EXIT_UNREPAIRABLE)


def print_report(report: CheckReport) -> None:
    """Print the faults of a check, one line each, and a summary."""
    for fault in report.faults:
        done = f" · {fault.remedy}" if fault.repaired else f" · can be repaired: {fault.remedy}" * bool(fault.remedy)
        advice = f" · {fault.advice}" if fault.advice and not fault.repaired else ""
        click.echo(f"  {clean_text(fault.file, 120)}: {clean_text(fault.problem, 200)}{done}{clean_text(advice, 200)}")
    for note in report.notes:
        click.echo(f"  note  {clean_text(note, 200)}")
    from ratui.results.text_table import format_count

    wrong, left = len(report.faults), len(report.unrepaired)
    if not wrong:
        click.echo(f"{report.files} files checked: no problem")
    else:
        click.echo(
            f"{report.files} files checked: {format_count(wrong, 'problem')}, {wrong - left} repaired, {left} open"
        )


@click.command()
@click.argument("study", type=_FOLDER)
@click.option("--sign", type=_FOLDER, metavar="KEY", help="SSH key with which to sign the sealed state.")
@click.option("--accept", multiple=True, metavar="FILE", help="Accept a change of this file that no journal records.")
def seal(study: Path, sign: Path | None, accept: tuple[str, ...]) -> None:
    """Seal the present state of STUDY, and accept its study.toml after you have edited it.

    From then on `ratui check` reports all contradictions to the sealed state. Write the printed number down, or
    sign the state, so that nobody can replace it by another one. The exit code is 3 if a file has changed without a record
    in a journal.
    """
    from ratui.results.text_table import format_count
    from ratui.study import Study
    from ratui.study.accounts import act_as_owner
    from ratui.study.campaign.rater_changes import settle_assignments
    from ratui.study.check.journals import check_journals
    from ratui.study.config_files import reseal_settings
    from ratui.study.evidence import write_root
    from ratui.study.store import StudyFolder
    from ratui.study.store.journaling import accept_content

    folder = StudyFolder(study)
    with act_as_owner(folder, ""):
        config = reseal_settings(study)
    opened = Study.open(study)
    with act_as_owner(folder, "films"):
        drawn = settle_assignments(opened) if opened.config.events else opened.draw_missing_positions()
    if drawn:
        click.echo(f"order of the films drawn for new raters in {format_count(drawn, 'case')}")
    for file in accept:
        accepted = accept_content(opened.folder, file)
        click.echo(f"{clean_text(file, 120)}: {'accepted' if accepted else 'its changes are recorded already'}")
    root = write_root(opened, sign)
    order = "blinded to the order" if config.blinded else "order shown"
    click.echo(f"sealed: {clean_text(config.title)}; raters {', '.join(config.raters)}; {order}")
    click.echo(f"root {root.number}{', signed' if root.signature else ''}: {root.digest}")
    faults, _ = check_journals(opened.folder, opened.exclusive(), required=True)
    if faults:
        count = format_count(len(faults), "file")
        click.echo(f"{count} changed without a record, or with a damaged journal: ratui check {clean_text(study)}")
        sys.exit(3)


@click.command()
@click.argument("study", type=_FOLDER)
@click.argument("other", type=_FOLDER)
@click.option(
    "--rater", "raters", metavar="ID", multiple=True, required=True, help="Rater who read in OTHER; once for each."
)
@click.option("--films", is_flag=True, help="Also take over films that STUDY lacks, from a full copy.")
@click.option("--dry-run", is_flag=True, help="List the changes without writing them.")
def merge(study: Path, other: Path, raters: tuple[str, ...], films: bool, dry_run: bool) -> None:
    """Merge the readings of the named raters from OTHER, a copy of STUDY that was used elsewhere, into STUDY.

    Nothing of any other rater is taken over, and no setting. A reading that is signed in STUDY is never changed. Conflicts
    are listed and left as they are, and the exit code is then 3.
    """
    from ratui.study import Study
    from ratui.study.copies.merge import merge as join

    counts = {"added": 0, "continued": 0, "conflict": 0, "skipped": 0}
    for result in join(Study.open(study), other, raters, films=films, dry_run=dry_run):
        counts[result.outcome] += 1
        why = f": {result.reason}" if result.reason else ""
        click.echo(f"  {result.outcome:<10}{clean_text(result.item + why, 300)}")
    summary = f"{counts['added']} added, {counts['continued']} continued, {counts['conflict']} conflicts"
    click.echo(f"{clean_text(other)}: {summary}" + (" (nothing was written)" if dry_run else ""))
    if counts["conflict"]:
        sys.exit(3)


@click.command()
@click.argument("study", type=_FOLDER)
@click.argument("archive", type=_FOLDER)
def backup(study: Path, archive: Path) -> None:
    """Write STUDY into one verified ARCHIVE; raters may continue reading meanwhile.

    It does not contain the key to the pseudonyms. Damaged files are included unchanged; the exit code is then 3.
    """
    from ratui.cli.recording import digest_files
    from ratui.results.text_table import format_count
    from ratui.study import Study
    from ratui.study.activity import record_activity
    from ratui.study.check import check_study
    from ratui.study.copies.backup import back_up

    opened = Study.open(study)
    made = back_up(opened, archive, progress=_show_progress("packing"))
    record_activity(opened, "backup", f"{format_count(len(made.checksums), 'file')}; SHA-256 {digest_files([archive])}")
    click.echo(f"{len(made.checksums)} files written and verified: {clean_text(archive, 200)}")
    for name, reason in made.left_out.items():
        click.echo(f"left out {clean_text(name, 200)}: {reason}")
    report = check_study(study)
    if not report.is_intact:
        click.echo(
            f"the study itself has {format_count(len(report.faults), 'problem')}: ratui check {clean_text(study)}"
        )
        sys.exit(3)


@click.command()
@click.argument("study", type=_FOLDER)
@click.argument("case", required=False)
@click.argument("films", nargs=-1)
@click.option("--reason", default="", help="Reason, which is recorded; needed to withdraw.")
@click.option(
    "--confirm", default="", metavar="CASE", help="Name the case again if signed readings depend on its films."
)
@click.option("--erase", is_flag=True, help="Erase the files instead of moving them to the private folder.")
def withdraw(study: Path, case: str | None, films: tuple[str, ...], reason: str, confirm: str, erase: bool) -> None:
    """Withdraw FILMS, or all films, of CASE from STUDY; without CASE, list all withdrawals.

    The record names the account, the time and the reason. A signed reading that was made on a withdrawn film no longer
    counts until its rater reopens it. Backups are not changed.
    """
    from ratui.study import Study
    from ratui.study.withdrawal import Withdrawal, list_withdrawals, withdraw_films

    def describe(each: Withdrawal) -> str:
        done = "erased" if each.erased else "withdrawn"
        readings = f"; readings: {', '.join(each.readings)}" if each.readings else ""
        return clean_text(
            f"  {each.at[:16]} {each.case} film {each.film} {done} by {each.by}: {each.reason}{readings}", 500
        )

    opened = Study.open(study)
    if case is None:
        for each in list_withdrawals(opened):
            click.echo(describe(each))
        return
    done = withdraw_films(opened, case, films, reason=reason, confirmed=confirm == case, erase=erase)
    for each in done:
        click.echo(describe(each))
    if done[0].signed:
        click.echo(f"these signed readings no longer count until their raters reopen them: {', '.join(done[0].signed)}")


@click.command()
@click.argument("study", type=_FOLDER)
@click.argument("archive", type=_FOLDER)
@click.option("--for", "rater", metavar="ID", required=True, help="Rater who reads on another machine.")
def package(study: Path, archive: Path, rater: str) -> None:
    """Write into ARCHIVE what one rater needs to read STUDY on another machine.

    It contains no readings of other raters and, in a blinded study, no time points. Unpack it there with: ratui restore
    ARCHIVE STUDY. Bring the readings back with: ratui merge STUDY OTHER --rater ID
    """
    from ratui.cli.recording import digest_files
    from ratui.results.text_table import format_count
    from ratui.study import Study
    from ratui.study.activity import record_activity
    from ratui.study.copies.package import package as pack

    opened = Study.open(study)
    made = pack(opened, rater, archive, progress=_show_progress("packing"))
    record_activity(opened, "package", f"for {rater}; SHA-256 {digest_files([archive])}")
    cases = sum(name.endswith("/films.json") for name in made.checksums)
    click.echo(f"{format_count(cases, 'case')} for {rater} written and verified: {clean_text(archive, 200)}")
    click.echo("It contains the films: hand it only to this rater.")


@click.command()
@click.argument("archive", type=_FOLDER)
@click.argument("study", type=_FOLDER)
@click.option("--group", default="", metavar="NAME", help="Unix group that shares the study.")
@click.option("--managers", default="", metavar="NAME", help="Unix group of those who manage the study, beside you.")
@click.option("--owners", is_flag=True, help="As root: give all files to the accounts that owned them.")
@click.option(
    "--account", "accounts", metavar="RATER=NAME", multiple=True, help="Account of a rater, if it has changed."
)
@click.option("--check-films", is_flag=True, help="Check every film as an import does: for an archive from elsewhere.")
def restore(
    archive: Path,
    study: Path,
    group: str,
    managers: str,
    owners: bool,
    accounts: tuple[str, ...],
    check_films: bool,
) -> None:
    """Restore a verified ARCHIVE into the new folder STUDY.

    Without --group, the study and all readings belong to you alone. With it, each rater's account takes the rater's readings
    over when it first opens a case; the output lists what each rater has to do. The exit code is 3 if films were left out.
    """
    from ratui.study.copies.restore import restore as unpack

    done = unpack(
        archive,
        study,
        group=group,
        managers=managers,
        owners=owners,
        accounts=_split_accounts(accounts),
        check_films=check_films,
        progress=_show_progress("restoring"),
    )
    _report_restored(done, study, group)
    if done.rejected:
        sys.exit(3)


def _report_restored(done: Restored, study: Path, group: str) -> None:
    from ratui.results.text_table import format_count
    from ratui.study import CONSENSUS

    made, where = done.study, clean_text(study, 200)
    click.echo(f"restored {clean_text(made.config.title)}: {format_count(len(made.cases()), 'case')}, into {where}")
    for inside, reason in done.rejected.items():
        click.echo(f"  left out: {inside}: {clean_text(reason, 200)}")
    if done.rater:
        click.echo(f"it is for {done.rater}: ratui read {where} --rater {done.rater}")
        return
    if not group:
        click.echo("only you have access, and all readings belong to you")
        if done.group:
            click.echo(f"to share it again: ratui restore ARCHIVE STUDY --group {clean_text(done.group)}")
        return
    click.echo(f"shared with the group {clean_text(group)}")
    for rater, account in done.owned.items():
        click.echo(f"  {rater}: the readings belong to the account {clean_text(account)}")
    for rater, account in done.waiting.items():
        who = f"the account {clean_text(account)}" if account else "the account of this rater, before any other one,"
        command = "adjudicate STUDY" if rater == CONSENSUS else f"read STUDY --rater {rater}"
        click.echo(f"  {rater}: {who} opens a case with: ratui {command}")
    if done.waiting:
        click.echo("Meanwhile these readings count as before. They move to the account when it opens a case.")


def _split_accounts(texts: tuple[str, ...]) -> dict[str, str]:
    """Return the account by rater of texts such as ``anna=anna2``. Raises UsageError."""
    pairs = [text.partition("=") for text in texts]
    if not all(rater and separator and account for rater, separator, account in pairs):
        raise click.UsageError("--account needs RATER=NAME")
    return {rater: account for rater, _, account in pairs}


def _show_progress(stage: str) -> Callable[[int, int], None]:
    """Return a callback (done, total) that draws a bar on a terminal and writes nothing to a log."""
    bar = ProgressBar(log_stages=False)
    return lambda done, total: bar(stage, done, total)


COMMANDS = (check, seal, merge, backup, restore, package, withdraw)

"""The command ``audit``: the audit trail of a study, for managers."""

from __future__ import annotations

from pathlib import Path

import click

from ratui.cli.output import format_columns, to_csv, to_json, write_output
from ratui.errors import StudyError, clean_text

__all__ = ["COMMANDS"]

_FOLDER = click.Path(path_type=Path)
_COLUMNS = ("at", "who", "action", "subject", "detail", "reason", "source")


@click.command()
@click.argument("study", type=_FOLDER)
@click.option("--entries", is_flag=True, help="Include each entry of each reading, with the values before and after.")
@click.option("--case", default="", metavar="ID", help="Only what concerns this case.")
@click.option("--who", default="", metavar="NAME", help="Only the acts of this account or rater.")
@click.option("--since", default="", metavar="DATE", help="Only from this day on, such as 2027-01-31, in UTC.")
@click.option("--csv", "table", type=_FOLDER, metavar="FILE", help="Write CSV; - for standard output.")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def audit(study: Path, entries: bool, case: str, who: str, since: str, table: Path | None, json_: bool) -> None:
    """Print who did what in STUDY, when and why, the oldest first. Only for managers.

    It contains changes of settings, films, regions and the charter, raters, the begin, signature and reopening of each
    reading, exports, sealed states and the lock. Run ratui check as well: it verifies the chains that this is read from.
    """
    from datetime import date

    from ratui.results.text_table import format_count
    from ratui.study import Study
    from ratui.study.campaign.audit import list_audit_entries

    try:
        first = date.fromisoformat(since).isoformat() if since else ""
    except ValueError as error:
        raise StudyError(f"{clean_text(since)} is no date", "--since", "Give it as 2027-01-31") from error
    opened = Study.open(study)
    found = [
        entry
        for entry in list_audit_entries(opened, with_entries=entries)
        if (not case or case in entry.subject.split())
        and (not who or entry.who == who)
        and (not first or entry.at[:10] >= first or not entry.at)
    ]
    records = [entry.to_record() for entry in found]
    if table is not None:
        write_output(to_csv(_COLUMNS, ([record[name] for name in _COLUMNS] for record in records), ids=("who",)), table)
    if json_:
        click.echo(to_json({"study": opened.config.id, "entries": records}), nl=False)
    if table is not None or json_:
        return
    rows = [[entry.at[:19].replace("T", " "), entry.who, entry.action, entry.subject] for entry in found]
    head, *lines = format_columns(("time (UTC)", "who", "action", "subject"), rows, text_columns=4)
    width = max(map(len, (head, *lines)))
    click.echo(f"{head:<{width}}  detail")
    for line, entry in zip(lines, found, strict=True):
        texts = (entry.detail, entry.reason and f"reason: {entry.reason}")
        click.echo(f"{line:<{width}}  {'; '.join(text for text in texts if text)}".rstrip())
    click.echo(format_count(len(found), "act"))


COMMANDS = (audit,)

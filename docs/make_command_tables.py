"""Write the tables of commands and options into ``docs/commands.md``, from the texts of ``--help``.

Run ``python docs/make_command_tables.py`` after a change of the command line. A test compares the page with the programs.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

import ratui.cli.main
import trainer.cli

__all__ = ["BEGIN", "PAGE", "PROGRAMS", "command_tables"]

PAGE = Path(__file__).parent / "commands.md"
BEGIN = "## All commands of ratui\n"
"""First line of the tables, which end with the page."""
PROGRAMS = {"ratui": ratui.cli.main.commands, "ratui-train": trainer.cli.commands}


def command_tables() -> str:
    """Return the part of the page that begins with `BEGIN`: a table of options for each command."""
    parts = []
    for name, group in PROGRAMS.items():
        context = click.Context(group, info_name=name)
        parts.append(f"## All commands of {name}\n")
        for command in group.list_commands(context):
            found = group.get_command(context, command)
            if found is not None and not found.hidden:
                parts.append("\n".join(_describe(found, click.Context(found, info_name=command, parent=context))))
    return "\n".join(parts)


def _describe(command: click.Command, context: click.Context) -> Iterator[str]:
    """Yield the lines about one command: its arguments, the first paragraph of its help, and its options."""
    arguments = [piece for piece in command.collect_usage_pieces(context) if piece != "[OPTIONS]"]
    first = " ".join((command.help or "").split("\n\n")[0].split())
    yield f"### `{' '.join([context.command_path, *arguments])}`\n"
    yield f"{first}\n"
    options = [each.get_help_record(context) for each in command.params if isinstance(each, click.Option)]
    shown = [record for record in options if record is not None]
    if shown:
        yield "| option | meaning |\n|---|---|"
        for option, meaning in shown:
            yield f"| `{_escape(option)}` | {_escape(meaning)} |"
        yield ""


def _escape(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> None:
    """Replace the tables in the page."""
    before = PAGE.read_text(encoding="utf-8").partition(BEGIN)[0]
    PAGE.write_text(before + command_tables(), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Commands of ``docs/engineers.md``, so that tests run the lines that stand on the page."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from click.testing import CliRunner, Result

import ratui.cli.main
import trainer.cli

__all__ = ["code_blocks", "command_lines", "invoke"]

_PAGE = Path(__file__).parents[2] / "docs" / "engineers.md"


def code_blocks() -> list[str]:
    """Return the shell blocks of the page."""
    return re.findall(r"^```sh\n(.*?)^```", _PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def command_lines(beginning: str = "") -> list[str]:
    """Return the lines of all blocks that start with `beginning`, in their order. A backslash continues a line."""
    lines = [line for block in code_blocks() for line in re.sub(r"\\\n", " ", block).splitlines()]
    return [line for line in lines if line.strip() and line.startswith(beginning)]


def invoke(line: str, *more: str) -> Result:
    """Run a line of `ratui` or `ratui-train`, with `more` options at its end; of an option given twice, the last counts."""
    program, *words = shlex.split(line, comments=True)
    groups = {"ratui": ratui.cli.main.commands, "ratui-train": trainer.cli.commands}
    return CliRunner().invoke(groups[program], [*words, *more])

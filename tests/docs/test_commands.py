"""Every command in README and docs is valid, and the commands of the managers' page work on the sample."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import ratui.cli.main
import trainer.cli
from ratui.demo.sample import copy_sample

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAMS = {"ratui": ratui.cli.main.commands, "ratui-train": trainer.cli.commands}
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)


def commands(page: Path) -> list[list[str]]:
    """Return the command lines of `page` that call ratui, split into words; a backslash continues a line."""
    found = []
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in re.sub(r"\\\n", " ", block).splitlines():
            for part in line.removesuffix(" &").split("&&"):
                words = [word for word in shlex.split(part, comments=True) if "=" not in word or word.startswith("-")]
                if "trainer" in words and "-m" in words:
                    found.append(["ratui-train", *words[words.index("trainer") + 1 :]])
                elif words and Path(words[0]).name in PROGRAMS:
                    found.append([Path(words[0]).name, *words[1:]])
    return found


LINES = [(page.name, line) for page in PAGES for line in commands(page)]


def parse(words: list[str]) -> None:
    """Parse `words` as the program does, without running the command."""
    group = PROGRAMS[words[0]]
    if set(words[1:]) <= {"--version", "--help", "-h"}:
        return
    with group.make_context(words[0], words[1:]) as context:
        name, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
        assert command is not None
        command.make_context(name, rest, parent=context)


@pytest.mark.parametrize(("page", "words"), LINES, ids=[f"{page}: {' '.join(words)}" for page, words in LINES])
def test_a_command_is_valid(page: str, words: list[str]) -> None:
    parse(words)


def test_an_invalid_command_is_detected() -> None:
    with pytest.raises(click.UsageError):
        parse(["ratui", "status", "wrists", "--no-such-option"])
    assert len(LINES) > 20


def test_the_commands_of_managers_work_on_the_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy_sample(tmp_path / "wrists")
    monkeypatch.chdir(tmp_path)
    run = CliRunner()
    for words in (
        ["status", "wrists"],
        ["check", "wrists"],
        ["agreement", "wrists"],
        ["backup", "wrists", "wrists.zip"],
        ["restore", "wrists.zip", "again"],
    ):
        done = run.invoke(ratui.cli.main.commands, words)
        assert done.exit_code == 0, f"{words}: {done.output} {done.exception}"


def test_the_page_of_commands_lists_every_command_and_option() -> None:
    maker = runpy.run_path(str(ROOT / "docs" / "make_command_tables.py"))
    _, begin, tables = maker["PAGE"].read_text(encoding="utf-8").partition(maker["BEGIN"])
    assert begin + tables == maker["command_tables"](), "run: python docs/make_command_tables.py"
    assert "| `--second-key` |" in tables
    assert "### `ratui-train propose STUDY`" in tables


def test_the_table_of_extras_contains_every_command() -> None:
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    table = page.partition("## Extras")[2].partition("\n## ")[0]
    named = {word for quoted in re.findall(r"`([^`]+)`", table) for word in quoted.split()}
    assert set(PROGRAMS["ratui"].list_commands(click.Context(PROGRAMS["ratui"]))) <= named

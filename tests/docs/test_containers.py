"""The container files name what this version has: extras, sources and commands; and they need no root and no registry."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from tests.docs.test_commands import BLOCK, PROGRAMS, parse

torch_run = pytest.importorskip("torch.distributed.run", reason="pip install 'ratui[train]'")

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "containers"
PAGE = ROOT / "docs" / "containers.md"
DOCKER, APPTAINER = FOLDER / "Dockerfile", FOLDER / "ratui.def"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile with their values."""
    text = re.sub(r"^#.*\n", "", DOCKER.read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n", " ", text).splitlines()
    return [(name, value) for name, _, value in (line.partition(" ") for line in lines if line.strip())]


def sections() -> dict[str, list[str]]:
    """Return the lines of each section of the Apptainer file, without comments."""
    found: dict[str, list[str]] = {"": []}
    name = ""
    for line in APPTAINER.read_text().splitlines():
        if line.startswith("%"):
            name = line.removeprefix("%")
            found[name] = []
        elif line.strip() and not line.lstrip().startswith("#"):
            found[name].append(line.strip())
    return found


def extras_of(text: str) -> set[str]:
    return {name for names in re.findall(r"(?:/src\[|EXTRAS=)([\w,]+)", text) for name in names.split(",")}


@pytest.mark.parametrize("file", [DOCKER, APPTAINER, PAGE])
def test_the_extras_exist(file: Path) -> None:
    extras = extras_of(file.read_text())
    assert extras <= set(PROJECT["optional-dependencies"])
    assert {"train", "results"} <= extras


def test_both_files_copy_what_the_wheel_is_built_from() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {
        "pyproject.toml",
        PROJECT["readme"],
        *PROJECT["license-files"],
        *build["packages"],
        *build["force-include"],
    }
    copied = [value.split()[:-1] for name, value in instructions() if name == "COPY" and not value.startswith("--from")]
    assert {source for sources in copied for source in sources} == needed
    files = dict(line.split() for line in sections()["files"])
    assert files == {source: f"/src/{source}" for source in needed}
    assert all((ROOT / source).exists() for source in needed)


def test_both_start_a_program_of_this_version() -> None:
    scripts = PROJECT["scripts"]
    entry = dict(instructions())["ENTRYPOINT"]
    assert entry == '["ratui-train"]'
    assert "ratui-train" in scripts
    assert sections()["runscript"] == ['exec ratui-train "$@"']
    assert sections()["test"] == ["ratui-train --version"]


def test_both_use_a_python_that_ratui_accepts_and_name_no_registry() -> None:
    (version,) = re.findall(r"^ARG PYTHON=(.+)$", DOCKER.read_text(), re.MULTILINE)
    images = [value.split()[0] for name, value in instructions() if name == "FROM"]
    assert images == ["python:${PYTHON}-slim"] * 2
    assert sections()[""] == ["Bootstrap: docker", f"From: python:{version}-slim"]
    least = re.fullmatch(r">=(\d+)\.(\d+)", PROJECT["requires-python"])
    assert least is not None
    assert tuple(map(int, version.split("."))) >= tuple(map(int, least.groups()))
    for file in (DOCKER, APPTAINER, PAGE):
        assert not re.search(r"\b[\w-]+\.(io|com|org)\b", file.read_text())


def test_docker_runs_as_an_ordinary_user() -> None:
    users = [value for name, value in instructions() if name == "USER"]
    assert users == ["1000"]
    names = [name for name, _ in instructions()]
    assert "RUN" not in names[names.index("USER") :]
    assert any("useradd" in value and "--uid 1000" in value for name, value in instructions() if name == "RUN")


def test_the_commands_of_the_page_are_valid() -> None:
    found = []
    for block in BLOCK.findall(PAGE.read_text()):
        for line in re.sub(r"\\\n", " ", block).splitlines():
            words = shlex.split(line, comments=True)
            if "build" in words:
                assert any((ROOT / word).is_relative_to(FOLDER) and (ROOT / word).is_file() for word in words)
                continue
            image = next(number for number, word in enumerate(words) if word in ("ratui-train", "ratui.sif"))
            rest = words[image + 1 :]
            if "--entrypoint" in words or words[1] == "exec":
                rest = rest if rest[0] != "torchrun" else rest[1:]
                options = torch_run.get_args_parser().parse_args(rest)
                assert (options.module, options.training_script) == (True, "trainer")
                rest = options.training_script_args
            parse(["ratui-train", *rest])
            found.append(rest[0])
    assert len(found) >= 5
    assert set(found) <= set(PROGRAMS["ratui-train"].commands)

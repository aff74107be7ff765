"""Every package that ratui brings is listed with its licence."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_each_dependency_is_in_the_list() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    names = {re.split(r"[<>=\[; ]", each)[0] for each in wanted}
    listed = (ROOT / "docs" / "licences.md").read_text()
    names.discard("ratui")  # its own extras
    assert {name for name in names if not re.search(rf"\b{re.escape(name)}\b", listed)} == set()

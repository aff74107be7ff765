"""Packages whose public names are imported on demand: the names, their modules, and what a type checker sees."""

import ast
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = [
    ".".join(path.relative_to(ROOT).parts[:-1])
    for path in sorted((ROOT / "ratui").rglob("__init__.py"))
    if "import_on_demand(" in path.read_text(encoding="utf-8")
]


def listed_names(package: str) -> dict[str, str]:
    """Return the module of each name in the call of `import_on_demand`."""
    tree = ast.parse((ROOT / package.replace(".", "/") / "__init__.py").read_text(encoding="utf-8"))
    (table,) = (node for node in ast.walk(tree) if isinstance(node, ast.Dict))
    return {name: f"{package}.{module}" for module, names in ast.literal_eval(table).items() for name in names.split()}


def imported_names(package: str) -> dict[str, str]:
    """Return the module of each name that a type checker imports."""
    tree = ast.parse((ROOT / package.replace(".", "/") / "__init__.py").read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


def test_the_packages_are_found() -> None:
    assert {"ratui.imaging", "ratui.study"} <= set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_each_public_name_is_imported_from_its_module(package: str) -> None:
    module, names = import_module(package), listed_names(package)
    assert names == imported_names(package)
    assert sorted(names) == sorted(module.__all__)
    for name, place in names.items():
        assert getattr(module, name) is getattr(import_module(place), name)
        # Importing the module `package.name` would put that module in the place of the object.
        assert f"{package}.{name}" not in sys.modules
        assert not (ROOT / package.replace(".", "/") / f"{name}.py").exists()
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nothing'"):
        _ = module.nothing

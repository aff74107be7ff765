"""The import contracts and the lazy imports."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
_ROOT = Path(__file__).parents[1]


def test_the_import_contracts_hold() -> None:
    script = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_the_app_and_every_command_run_without_torch() -> None:
    script = (
        "import sys\n"
        "import ratui.cli.main, ratui.tui, ratui.tui.screens.scoring.screen\n"
        "import ratui.tui.screens.regions.screen, ratui.demo.headless\n"
        "import ratui.demo.sample, ratui.demo.simulate, ratui.study, ratui.terminal\n"
        "wrong = sorted(name for name in sys.modules if name.split('.')[0] in ('torch', 'torchvision', 'trainer'))\n"
        "assert not wrong, wrong\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_results_and_screens_do_not_load_packages_of_exports_and_plots() -> None:
    script = (
        "import sys, ratui.tui.screens.scoring.screen, ratui.results.adjudication\n"
        "import ratui.results.report, ratui.results.export, ratui.demo.simulate, ratui.phantom\n"
        "heavy = ('scipy', 'matplotlib', 'highdicom', 'pyarrow', 'pandas', 'statsmodels', 'sklearn', 'pingouin')\n"
        "wrong = sorted(name for name in sys.modules if name in heavy)\n"
        "assert not wrong, wrong\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_printing_the_version_imports_neither_app_nor_numpy() -> None:
    script = (
        "import sys, ratui.cli\n"
        "wrong = sorted(name for name in sys.modules if name in ('textual', 'numpy', 'pydicom', 'scipy'))\n"
        "assert not wrong, wrong\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


_SHOW_A_JOINT = """
import sys
from pathlib import Path
import ratui.cli.main, ratui.demo.sample
from ratui import open_study
from ratui.tui import RatuiApp
import ratui.tui.app_runner, ratui.tui.screens.scoring.screen, ratui.tui.screens.worklist.screen

import ratui.cli.app, ratui.terminal.colours

assert ratui.terminal.colours.make_grey_palette("truecolor").greys == 256
study = open_study(Path("sample_data/study"))
case = study.case(study.cases()[0])
assert study.film(case.id, case.films[0].id).pixels.size, "a film is decoded"
"""
_DRAW_IT = """
from ratui.imaging import Box, make_rotation, warp_onto
from ratui.imaging.display_settings import DEFAULT_DISPLAY

film, box = study.film(case.id, case.films[0].id), Box(500, 600, 700, 800)
assert warp_onto(film, make_rotation(9, box.centre, 1.0), box, (90, 90), DEFAULT_DISPLAY).getextrema()[1] > 0
assert "numpy.ma" not in sys.modules, "a picture needs no masked arrays"
"""
_NOT_BEFORE_THE_FIRST_JOINT = {
    "pydicom": "loads every decoder that is installed; `ratui.imaging.plain_dicom` reads the usual films",
    "importlib.metadata": "loads readers of archives and e-mails",
    "ratui.study.importing": "reads foreign films",
    "ratui.results": "the results of all raters",
    "multiprocessing": "nothing is computed in other processes",
    "numpy.ma": "masked arrays, which `numpy.unique` loads",
    "cv2": "only pictures need it, and they are made in a thread",
    "ratui.tui.screens.overview.screen": "the overview",
    "ratui.tui.screens.contact_sheet.screen": "the contact sheet",
    "ratui.study.model_results.predictions": "what models say",
    "ratui.study.joint_spaces.joint_space": "measurements, which an adjudication shows",
}


def test_the_first_joint_appears_without_the_packages_that_only_other_commands_need() -> None:
    script = (
        f"{_SHOW_A_JOINT}\n"
        f"wrong = sorted(name for name in sys.modules if name in {tuple(_NOT_BEFORE_THE_FIRST_JOINT)!r})\n"
        "assert not wrong, wrong\n"
    )
    done = subprocess.run([sys.executable, "-c", f"{script}\n{_DRAW_IT}"], capture_output=True, text=True, cwd=_ROOT)
    assert done.returncode == 0, done.stderr


def _private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _private_names_of_others(trees: dict[Path, ast.Module]) -> Iterator[tuple[str, str]]:
    """Yield each private name that a file uses and none of the files defines, with the file's name."""
    own = {"_replace", "_make", "_asdict", "_fields", "_exit"}  # of named tuples and of `os`, and documented
    for tree in trees.values():
        for node in ast.walk(tree):
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    own.add(name)
                case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                    own.add(name)
    for path, tree in trees.items():
        for node in ast.walk(tree):
            match node:
                case ast.Attribute(attr=name) if _private(name) and name not in own:
                    yield path.name, name
                case ast.ImportFrom(module=str(module), names=names):
                    words = [*module.split("."), *(each.name for each in names)]
                    yield from ((path.name, word) for word in words if _private(word) and word not in own)


def test_private_names_of_libraries_are_used_in_their_wrappers_only() -> None:
    root = Path(__file__).parents[1]
    files = [file for package in ("ratui", "trainer") for file in (root / package).rglob("*.py")]
    found = set(_private_names_of_others({file: ast.parse(file.read_text(encoding="utf-8")) for file in files}))
    assert {"_segments", "_xterm_parser", "_read_file_meta_info"} <= {name for _, name in found}, "the search works"
    assert [each for each in sorted(found) if not each[0].endswith("_internals.py")] == []

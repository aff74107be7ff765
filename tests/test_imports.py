"""What may import what."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow


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


def test_results_and_the_screens_load_none_of_what_only_some_exports_and_plots_need() -> None:
    script = (
        "import sys, ratui.tui.screens.scoring.screen, ratui.results.adjudication\n"
        "import ratui.results.report, ratui.results.export, ratui.demo.simulate, ratui.phantom\n"
        "heavy = ('scipy', 'matplotlib', 'highdicom', 'pyarrow', 'pandas', 'statsmodels', 'sklearn', 'pingouin')\n"
        "wrong = sorted(name for name in sys.modules if name in heavy)\n"
        "assert not wrong, wrong\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_asking_for_the_version_imports_neither_app_nor_numbers() -> None:
    script = (
        "import sys, ratui.cli\n"
        "wrong = sorted(name for name in sys.modules if name in ('textual', 'numpy', 'pydicom', 'scipy'))\n"
        "assert not wrong, wrong\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

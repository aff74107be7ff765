"""A file or folder that its account closes to all others stops nothing but itself."""

import encodings.cp437  # noqa: F401 - for ZIP files; another account can not load it
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from ratui.errors import clean_text
from ratui.results.progress import measure_progress
from ratui.results.released import collect_released_readings
from ratui.study import InProcessConverter, Study, import_films
from ratui.study.check import check_study
from ratui.study.copies.backup import back_up
from ratui.study.layout import list_evaluated_models
from ratui.study.model_results.predictions import list_prediction_models
from tests.films import confirm_template, hospital
from tests.support.accounts import MANAGER, OTHER, RATER, as_account, open_folder
from tests.tui.readings import store_reading

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as other accounts"),
]


def close_a_reading(study: Path) -> str:
    (case,) = (study / "readings" / "anna").glob("*.json")
    for file in (case, case.with_name(f"{case.name}.bak")):
        file.chmod(0)
    return f"readings/anna/{case.name}"


def close_the_readings(study: Path) -> str:
    (study / "readings" / "anna").chmod(0)
    return "readings/anna"


def hide_what_is_in_the_readings(study: Path) -> str:
    (study / "readings" / "anna").chmod(0o744)
    return "readings/anna"


def make_a_closed_model(study: Path) -> str:
    (study / "models" / "m").mkdir(mode=0o700)
    (study / "models" / "listed").mkdir()
    (study / "models" / "listed").chmod(0o744)
    return "models/m"


def make_closed_proposals(study: Path) -> str:
    (study / "proposals" / "no model's name").mkdir()
    (study / "proposals" / "m").mkdir(mode=0o700)
    return "proposals/m"


def use_a_name_that_is_no_text(study: Path) -> str:
    name = os.fsdecode(b"C-\xff.json")
    (study / "readings" / "anna" / name).write_bytes(b"{}")
    return f"readings/anna/{name}"


def use_a_control_character(study: Path) -> str:
    (study / "regions" / "C\x1b[31m.json").write_bytes(b"{}")
    return "regions/C\x1b[31m.json"


@pytest.mark.parametrize(
    "close",
    [
        close_a_reading,
        close_the_readings,
        hide_what_is_in_the_readings,
        make_a_closed_model,
        make_closed_proposals,
        use_a_name_that_is_no_text,
        use_a_control_character,
    ],
)
def test_the_manager_goes_on_without_it(close: Callable[[Path], str]) -> None:
    with open_folder() as folder:
        films = hospital(folder / "films", sides="L")
        folder.chmod(0o777)
        study = Study.create(folder / "study", "fingers", ["anna", "bert"], group="daemon")
        import_films(study, [films], key=folder / "key.json", converter=InProcessConverter())
        (case,) = study.cases()
        confirm_template(study, case, "anna")
        path = study.path
        for each in (path, *path.rglob("*")):
            os.chown(each, MANAGER, -1)
        for rater, uid in (("anna", RATER), ("bert", OTHER)):
            as_account(uid, partial(store_reading, Study.open(path), case, rater=rater, signed=True))
        closed = as_account(RATER, lambda: close(path))

        def use() -> tuple[object, ...]:
            study = Study.open(path)
            measure_progress(study)
            assert (study.proposals(case), list_prediction_models(study), list_evaluated_models(study.folder)) == (
                (),
                (),
                (),
            )
            released = collect_released_readings(study, interim=True)
            archive = back_up(study, folder / "backup.zip")
            report = check_study(path)
            return (
                sorted(rater for found in released.readings.values() for rater in found),
                archive.left_out,
                [fault.file for fault in report.faults],
                f"readings/bert/{case}.json" in archive.checksums,
            )

        readable, left_out, found, has_other = as_account(MANAGER, use)
        hides_reading = close.__name__ in ("close_a_reading", "close_the_readings", "hide_what_is_in_the_readings")
        assert readable == (["bert"] if hides_reading else ["anna", "bert"])
        assert closed in left_out
        assert any(clean_text(closed) == clean_text(file) for file in found)
        assert has_other

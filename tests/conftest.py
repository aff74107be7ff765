"""Which tests are slow: those of a module that drives whole screens, runs programs, trains, or proves by walking far.

The fast part (``-m 'not slow'``) is for every change, under a minute on two cores; `.ci/run` runs all.
"""

from __future__ import annotations

import pytest
from hypothesis import settings

# How long an example takes is no finding: machines are busy. And what fails is to be the change, not the draw: the same
# examples each time, other ones with --hypothesis-profile=search.
settings.register_profile("search", deadline=None)
settings.register_profile("ratui", deadline=None, derandomize=True)
settings.load_profile("ratui")

SLOW = {
    "test_imports",
    "test_start",
    "cli.test_commands",
    "cli.test_outcome",
    "cli.test_upkeep",
    "demo.test_demo",
    "docs.test_managers",
    "imaging.test_carrying",
    "imaging.test_register",
    "phantom.test_damage",
    "phantom.test_films",
    "phantom.test_raters",
    "reading.test_blindness",
    "reading.test_mutations",
    "reading.test_search",
    "reading.test_walk",
    "results.test_agreement",
    "results.test_exports",
    "results.test_report",
    "study.test_access",
    "study.test_faults",
    "study.test_hostile",
    "study.test_privacy",
    "terminal.test_probe",
    "trainer.test_coco",
    "trainer.test_compare",
    "trainer.test_detector",
    "trainer.test_learning",
    "trainer.test_report",
    "trainer.test_runs",
    "trainer.test_scorer",
    "tui.test_adjudicating",
    "tui.test_commands",
    "tui.test_contact_sheet",
    "tui.test_evaluation",
    "tui.test_following",
    "tui.test_help",
    "tui.test_looking",
    "tui.test_models_view",
    "tui.test_on_terminals",
    "tui.test_overview",
    "tui.test_reading_a_case",
    "tui.test_regions_screen",
    "tui.test_scoring",
    "tui.test_scoring_machine",
    "tui.test_second_look",
    "tui.test_snapshots",
    "tui.test_tour",
    "tui.test_type_ahead",
    "tui.test_worklist",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.module.__name__.removeprefix("tests.") in SLOW:  # type: ignore[attr-defined]
            item.add_marker(pytest.mark.slow)

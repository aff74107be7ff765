"""The rater card: it contains every key and meaning, and the shipped pages are up to date."""

from pathlib import Path

import pytest

from ratui.scheme import load_scheme
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.input.actions import Keymap
from ratui.tui.screens.help.rater_card import format_rater_card

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(("language", "name"), [("en", "rater-card.md"), ("ja", "rater-card.ja.md")])
def test_the_shipped_page_is_up_to_date(language: str, name: str) -> None:
    scheme = load_scheme("mtss-hands")
    page = format_rater_card(scheme, Keymap(scheme=scheme), Catalog(language))
    shipped = (DOCS / name).read_text(encoding="utf-8")
    assert shipped == page, f"ratui keys --lang {language} --card > docs/{name}"


def test_the_card_contains_every_action_and_meaning() -> None:
    scheme, t = load_scheme("mtss"), Catalog("en")
    keymap = Keymap({"scoring.undo": "|"}, scheme)
    page = format_rater_card(scheme, keymap, t)
    for action in keymap.actions:
        assert action.help(t) in page
    for finding in scheme.findings:
        assert finding.meaning in page
    assert "<kbd>\\|</kbd>" in page, "a key that is Markdown's own"
    assert "<kbd>t</kbd> | both sides collapsed" in page

"""The user's settings: what they may say, and that a clash of keys is found before a case is open."""

from pathlib import Path

import pytest

from ratui.errors import RatuiError, SettingsError
from ratui.scheme import load_scheme
from ratui.tui.actions import Keymap
from ratui.tui.settings import Settings, read_settings


def settings(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "settings.toml"
    file.write_text(text, encoding="utf-8")
    return read_settings(file)


def test_no_file_is_no_trouble(tmp_path: Path) -> None:
    assert read_settings(tmp_path / "none.toml") == Settings()


def test_keys_may_stand_quoted_or_in_tables(tmp_path: Path) -> None:
    text = 'language = "ja"\n[keys]\n"scoring.undo" = "U"\nscoring.zoom = "Z"\n'
    assert settings(tmp_path, text) == Settings("ja", {"scoring.undo": "U", "scoring.zoom": "Z"})


@pytest.mark.parametrize(
    "text",
    ["language = 3", "lang = 'ja'", "keys = 3", "[keys]\nscoring.undo = 3", "[keys]\nscoring.undo = ''", "language ="],
)
def test_a_wrong_file_is_one_error_that_names_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match=r"settings\.toml"):
        settings(tmp_path, text)


class TestTheKeymap:
    def test_a_changed_key_counts_and_the_old_one_is_free(self) -> None:
        keymap = Keymap({"scoring.undo": "U"})
        undo = keymap.find("scoring", "U")
        assert undo is not None
        assert undo.name == "undo"
        assert keymap.find("scoring", "u") is None

    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ({"scoring.undo": "n"}, "both"),
            ({"scoring.undo": "3"}, "grade"),
            ({"scoring.undo": "a"}, "ankylosis"),
            ({"scoring.fly": "U"}, "no action"),
        ],
    )
    def test_a_clash_is_refused(self, changes: dict[str, str], why: str) -> None:
        with pytest.raises(RatuiError, match=why):
            Keymap(changes, load_scheme("fingers"))

    def test_two_keys_can_change_places(self) -> None:
        keymap = Keymap({"scoring.undo": "z", "scoring.zoom": "u"}, load_scheme("fingers"))
        assert keymap.shown("scoring.zoom") == "u"

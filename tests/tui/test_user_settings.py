"""The user's settings: valid contents, and rejection of conflicting keys before a case is open."""

import json
from pathlib import Path

import pytest

from ratui.errors import RatuiError, SettingsError
from ratui.reading import GradeEntry
from ratui.scheme import load_scheme
from ratui.tui.input.actions import ACTIONS, ENTRY_SCREENS, TEXT_INPUT_SCREENS, Keymap, format_key
from ratui.tui.user_settings import UserSettings, read_user_settings, save_setting


def settings(tmp_path: Path, text: str) -> UserSettings:
    file = tmp_path / "settings.toml"
    file.write_text(text, encoding="utf-8")
    return read_user_settings(file)


def test_a_missing_file_means_default_settings(tmp_path: Path) -> None:
    assert read_user_settings(tmp_path / "none.toml") == UserSettings()


def test_a_language_of_the_command_line_replaces_the_one_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('language = "ja"\n[keys]\n"scoring.undo" = "U"\n', encoding="utf-8")
    assert read_user_settings(file, language="en") == UserSettings("en", {"scoring.undo": "U"})
    assert read_user_settings(file, language=None) == UserSettings("ja", {"scoring.undo": "U"})
    assert read_user_settings(tmp_path / "none.toml", language="ja") == UserSettings("ja")


def test_keys_may_be_quoted_or_in_tables(tmp_path: Path) -> None:
    text = 'language = "ja"\n[keys]\n"scoring.undo" = "U"\nscoring.zoom = "Z"\n'
    assert settings(tmp_path, text) == UserSettings("ja", {"scoring.undo": "U", "scoring.zoom": "Z"})


def test_actions_of_earlier_versions_keep_their_changed_keys(tmp_path: Path) -> None:
    text = (
        '[keys]\n"second_look.keep" = "f9"\nworklist.rub = "f5"\noverview.look_again = "f6"\n'
        '[keys.second_look]\nharder = "f7"\n[keys.scoring]\nsofter = "f8"\n'
    )
    keymap = Keymap(settings(tmp_path, text).keys)
    changed = (
        "review.keep",
        "worklist.delete_character",
        "overview.review",
        "review.more_contrast",
        "scoring.less_contrast",
    )
    assert [keymap.key(id) for id in changed] == ["f9", "f5", "f6", "f7", "f8"]


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
            ({"scoring.undo": "n"}, r"'n' of scoring\.undo is also the key of scoring\.normal"),
            ({"scoring.undo": "3"}, "grade"),
            ({"scoring.undo": "３"}, "grade"),
            ({"scoring.undo": "a"}, "finding ankylosis"),
            ({"scoring.fly": "U"}, "no action"),
            ({"scoring.undo": "ctrl+p"}, "list of commands"),
            ({"scoring.undo": "ctrl+q"}, "leaves ratui"),
            ({"scoring.undo": "ctrl+i"}, "as Tab"),
            ({"scoring.undo": "crtl+u"}, "not a key"),
            ({"scoring.undo": "question_mark"}, "one character"),
            ({"worklist.help": "h"}, "filter"),
            ({"scoring.undo": "Z", "scoring.zoom": "Z"}, "also the key of"),
        ],
    )
    def test_a_conflict_is_rejected_with_the_name_of_the_file(self, changes: dict[str, str], why: str) -> None:
        with pytest.raises(RatuiError, match=why) as caught:
            Keymap(changes, load_scheme("fingers"), source="/home/anna/settings.toml")
        assert "settings.toml" in str(caught.value)

    @pytest.mark.parametrize("screen", ENTRY_SCREENS)
    def test_no_entry_key_of_a_shipped_scheme_is_an_action_where_entries_are_made(self, screen: str) -> None:
        for name in ("fingers", "mtss-hands", "mtss"):
            scheme = load_scheme(name)
            keymap = Keymap(scheme=scheme)
            keys = [*(finding.key for finding in scheme.findings), *"0123456789tq"]
            assert not [key for key in keys if keymap.find(screen, key)]

    def test_every_screen_that_reads_a_scheme_is_in_the_table(self) -> None:
        assert set(ENTRY_SCREENS) | set(TEXT_INPUT_SCREENS) <= {action.screen for action in ACTIONS}

    @pytest.mark.parametrize("key", ["U", "f5", "ctrl+u", "shift+left", "Ｕ", "pageup", ";"])
    def test_keys_that_a_terminal_sends_are_taken(self, key: str) -> None:
        assert Keymap({"scoring.undo": key}).key("scoring.undo") == ("U" if key == "Ｕ" else key)

    def test_every_key_of_the_table_could_be_given_by_a_user(self) -> None:
        for action in ACTIONS:
            assert Keymap({action.id: action.key}).key(action.id) == action.key

    def test_two_keys_can_change_places(self) -> None:
        keymap = Keymap({"scoring.undo": "z", "scoring.zoom": "u"}, load_scheme("fingers"))
        assert keymap.key_label("scoring.zoom") == "u"


AZERTY = dict(enumerate("à&é\"'(-è_ç"))


class TestTheKeysOfGrades:
    def test_they_are_read_from_the_file(self, tmp_path: Path) -> None:
        text = "[grades]\n" + "".join(f"{grade} = {json.dumps(key)}\n" for grade, key in AZERTY.items())
        read = settings(tmp_path, text)
        assert read.grades == AZERTY
        for scheme in ("fingers", "mtss", "mtss-hands"):
            keymap = Keymap(read.keys, load_scheme(scheme), grade_keys=read.grades)
            assert [keymap.find_answer_key(key) for key in AZERTY.values()] == list("0123456789")
            assert keymap.find_answer_key("3") == "3"
            assert keymap.find_answer_key("u") == "u"
            assert keymap.label_answer(load_scheme(scheme), GradeEntry(2)) == "é"

    @pytest.mark.parametrize(
        ("grades", "why"),
        [
            ({1: "z"}, r"'z' of the grade 1 is also the key of scoring\.zoom"),
            ({1: "u"}, "is the key of another answer"),
            ({1: "K"}, "is also the key of"),
            ({1: "a"}, "is the key of another answer"),
            ({1: "2"}, "is the key of another answer"),
            ({1: "t"}, "is the key of another answer"),
            ({1: ";"}, "replies of terminals"),
            ({1: "f5"}, "is not one character"),
            ({1: " "}, "is not one character"),
            ({12: "&"}, "belongs to no grade: the highest one is 11"),
            ({1: "&", 2: "&"}, "is also the key of the grade 2"),
        ],
    )
    def test_a_key_with_another_meaning_is_refused(self, grades: dict[int, str], why: str) -> None:
        with pytest.raises(SettingsError, match=why):
            Keymap(scheme=load_scheme("mtss"), grade_keys=grades)

    def test_an_action_can_give_its_key_to_a_grade(self) -> None:
        keymap = Keymap({"scoring.zoom": "Z", "review.zoom": "Z"}, load_scheme("fingers"), grade_keys={0: "z"})
        assert keymap.find_answer_key("z") == "0"

    @pytest.mark.parametrize(
        "text",
        [
            "grades = 3",
            "[grades]\n1 = 2",
            "[grades]\none = '&'",
            "[grades]\n-1 = '&'",
            "[grades]\n1 = '&'\n01 = '_'",
            "language = 'xx'",
        ],
    )
    def test_a_wrong_table_is_one_error_that_names_the_file(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(SettingsError, match=r"settings\.toml"):
            settings(tmp_path, text)


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("ctrl+q", "Ctrl-Q"),
        ("shift+left", "Shift-←"),
        ("f5", "F5"),
        ("+", "+"),
        ("A", "A"),
        ("pageup", "PgUp"),
        ("home", "Home"),
    ],
)
def test_keys_are_printed_as_on_a_keyboard(key: str, shown: str) -> None:
    assert format_key(key) == shown


class TestTheLanguageIsKept:
    def test_the_file_is_created(self, tmp_path: Path) -> None:
        save_setting("language", "ja", tmp_path / "new" / "settings.toml")
        assert read_user_settings(tmp_path / "new" / "settings.toml").language == "ja"

    @pytest.mark.parametrize(
        "text",
        [
            '# mine\n[keys]\n"scoring.undo" = "U" # as in the old program\n',
            'language = "en"  # for now\n[keys]\nscoring.undo = "U"\n',
            '[keys]\nscoring.undo = "U"',
        ],
    )
    def test_nothing_else_in_the_file_changes(self, tmp_path: Path, text: str) -> None:
        file = tmp_path / "settings.toml"
        file.write_text(text, encoding="utf-8")
        save_setting("language", "ja", file)
        assert read_user_settings(file) == UserSettings("ja", {"scoring.undo": "U"})
        kept = [line for line in text.splitlines() if not line.startswith("language")]
        assert set(kept) <= set(file.read_text(encoding="utf-8").splitlines())

    def test_a_file_that_can_not_be_read_stays_as_it_is(self, tmp_path: Path) -> None:
        file = tmp_path / "settings.toml"
        file.write_text("language =", encoding="utf-8")
        with pytest.raises(SettingsError, match="yourself"):
            save_setting("language", "ja", file)
        assert file.read_text(encoding="utf-8") == "language ="

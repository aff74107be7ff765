"""The texts of the screens: every language has the same texts, and every text that the code requests exists."""

import ast
import re
from pathlib import Path
from string import Formatter

import pytest
from rich.cells import cell_len

import ratui.tui
from ratui.errors import SettingsError
from ratui.scheme import load_scheme
from ratui.tui.i18n.catalog import LANGUAGES, Catalog, _read_table, choose_language
from ratui.tui.input.actions import ACTIONS

SOURCE = Path(ratui.tui.__file__).parent


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def template(t: Catalog, id: str) -> str:
    assert id in t
    return t._texts[id]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_text_with_the_same_blanks(language: str) -> None:
    english, other = Catalog("en"), Catalog(language)
    assert other.ids == english.ids
    for id in english.ids:
        blanks = placeholders(template(other, id))
        assert blanks == placeholders(template(english, id)) or id.endswith("_one"), id


@pytest.mark.parametrize("language", LANGUAGES)
def test_messages_fit_into_80_columns(language: str) -> None:
    t = Catalog(language)
    messages = [id for id in t.ids if id.startswith(("scoring.", "text."))]
    assert len(messages) > 50
    widths = {id: cell_len(re.sub(r"{[^}]*}", "Esc", template(t, id))) for id in messages}
    assert {id: width for id, width in widths.items() if width > 79} == {}  # the first column stays empty


def test_every_text_that_the_code_asks_for_is_there() -> None:
    t = Catalog("en")
    asked = {
        id for file in SOURCE.rglob("*.py") for id in re.findall(r"""\bt\(\s*["']([a-z_.]+)["']""", file.read_text())
    }
    assert len(asked) > 3, "the pattern finds what it looks for"
    assert asked <= t.ids


def test_every_action_has_a_name_and_help() -> None:
    t = Catalog("en")
    for action in ACTIONS:
        assert f"actions.{action.id}.label" in t
        assert action.help(t)


def test_singular_texts_are_used_where_they_exist() -> None:
    t = Catalog("en")
    t._texts.update({"x.left": "{count} are left", "x.left_one": "one is left"})
    assert t("x.left", count=2) == "2 are left"
    assert t("x.left", count=1) == "one is left"


@pytest.mark.parametrize("name", ["fingers", "mtss-hands", "mtss"])
def test_every_text_of_a_shipped_scheme_is_there_in_japanese(name: str) -> None:
    t, scheme = Catalog("ja"), load_scheme(name)
    said = {scheme.title, *(part.label for part in scheme.parts), *(view.label for view in scheme.views.values())}
    said |= {text for finding in scheme.findings for text in (finding.label, finding.meaning)}
    said |= {reason.label for reason in scheme.reasons}
    said |= {grade.meaning for joint in scheme.joints for grades in joint.grades.values() for grade in grades}
    said |= {text for joint in scheme.joints for text in (joint.label, joint.group)}
    international = re.compile(r"(IP|PIP|MCP|CMC|MTP)\d?")
    missing = {text for text in said if not international.fullmatch(text) and t.translate_scheme(text) == text}
    assert not missing


def test_every_line_of_the_scheme_texts_is_used() -> None:
    schemes = [load_scheme(name) for name in ("fingers", "mtss-hands", "mtss")]
    # Studies keep the scheme that they were created with, so texts of earlier versions stay translated.
    earlier = {
        "general, more than half left",
        "general, under half left, or subluxation",
        "multangular",
        "navicular",
        "multangular–navicular",
        "capitate–navicular–lunate",
    }
    for text in _read_table("ja", "scheme"):
        assert text in earlier or any(f'"{text}"' in scheme.toml_text for scheme in schemes), text


def test_japanese_has_one_word_for_one_thing() -> None:
    other_words = {
        "未記入": "未入力",
        "要再確認": "要確認",
        "画像": "フィルム",
        "写真": "フィルム",
        "症例リスト": "症例一覧",
        "一覧写真": "サムネイル一覧",
        "承認": "確定",
        "点数": "スコア",
        "元に戻らない": "不可逆",
    }
    t = Catalog("ja")
    found = {
        (id, word)
        for id in t.ids
        for word in other_words
        if word in template(t, id).replace("画像対応", "").replace("フォルダー", "")  # "a terminal that shows pictures"
    }
    assert not found, other_words


# Texts that are equal in both languages or empty: names of keys, scales, arrows.
_SAME = re.compile(r"[\W\dA-Z_]*|[\W\d_]*(\{\w+\}[\W\d_]*)+|[A-Za-z]+ \{\w+\}|ratui [\w …-]+")  # the last: a command


def test_no_japanese_text_was_left_in_english() -> None:
    english, japanese = Catalog("en"), Catalog("ja")
    left = {
        id
        for id in english.ids
        if template(japanese, id) == template(english, id) and not _SAME.fullmatch(template(english, id))
    }
    assert not left


class TestTheLanguage:
    @pytest.mark.parametrize(
        ("environment", "language"),
        [
            ({}, "en"),
            ({"LANG": "ja_JP.UTF-8"}, "ja"),
            ({"LANG": "ja"}, "ja"),
            ({"LANG": "de_DE.UTF-8"}, "en"),
            ({"LANG": "ja_JP.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ],
    )
    def test_comes_from_the_environment(self, environment: dict[str, str], language: str) -> None:
        assert choose_language(environment) == language

    def test_or_from_the_settings(self) -> None:
        assert choose_language({"LANG": "en_GB"}, wanted="ja") == "ja"

    def test_an_unknown_one_is_refused(self) -> None:
        with pytest.raises(SettingsError, match="xx"):
            choose_language({}, wanted="xx")


def _literals(file: Path) -> set[str]:
    """Return the string literals of `file` that look like words: no docstrings, error messages, styles or ids."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    passed = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr | ast.Raise | ast.Assert) and not (
            isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant)
        ):
            passed |= set(ast.walk(node))
        if isinstance(node, ast.Assign | ast.AnnAssign) and any(
            isinstance(target, ast.Name) and target.id in ("DEFAULT_CSS", "BINDINGS") for target in ast.walk(node)
        ):
            passed |= set(ast.walk(node))
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            passed.add(node.value)  # the value of a constant: a result that a screen returns
    words = re.compile(r"[A-Za-z]{2,}[ ,:]+[a-z]{2,}")
    found = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and node not in passed}
    return {text for text in found if isinstance(text, str) and words.search(text) and not _STYLE.fullmatch(text)}


_STYLE = re.compile(r" ?((bold|dim|reverse|underline|on|white|black|line|title|keys|message|quiet|#\w+)\b ?)+")


def test_no_screen_has_text_outside_the_message_files() -> None:
    files = [file for folder in ("screens", "widgets") for file in (SOURCE / folder).rglob("*.py")]
    files += [
        SOURCE / name for name in ("entry/text.py", "command_palette.py", "i18n/reading_phrases.py", "tour/tour.py")
    ]
    said = {str(file.relative_to(SOURCE)): literals for file in files if (literals := _literals(file))}
    assert not said


def test_the_search_for_literals_finds_one(tmp_path: Path) -> None:
    file = tmp_path / "screen.py"
    lines = [
        '"""Some words here."""',
        'style = "bold white"',
        'self.show_message(f"{n} fields are open")',
        'raise E("not this")',
    ]
    file.write_text("\n".join(lines))
    assert _literals(file) == {" fields are open"}

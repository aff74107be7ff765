"""A wrong scheme file gives one error that names the line and the key."""

from pathlib import Path

import pytest

from ratui.errors import SchemeError
from ratui.scheme import MAX_GRADES, load_scheme, parse_scheme
from tests.strategies import TINY_TOML


def line_of(text: str) -> int:
    return TINY_TOML.splitlines().index(text) + 1


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ('2 = "all"', '3 = "all"', '2 = "all"', "found grade 3 instead of 2"),
        ("sets = { JSN = 2 }", "sets = { JSN = 7 }", "sets = { JSN = 2 }", "it sets JSN 7, but MCP1 has no such grade"),
        ("sets = { JSN = 2 }", "sets = { XYZ = 2 }", "sets = { JSN = 2 }", "scale XYZ is not one of ERO, JSN"),
        ('key = "l"', 'key = "a"', 'key = "l"', "key a is used twice"),
        ('key = "l"', 'key = "LL"', 'key = "l"', "must be one lower-case letter"),
        ('id = "MCP1"', 'id = "../x"', 'id = "MCP1"', "must consist of letters, digits"),
        ('grades = { ERO = "two" }', 'grades = { ERO = "six" }', 'grades = { ERO = "two" }', "no [grades.six]"),
        ("heals = true", 'heals = "yes"', "heals = true", "heals must be true or false"),
        ('label = "luxation"', 'labell = "luxation"', 'label = "luxation"', "unknown key labell"),
        ("format = 1", "format = 9", "format = 1", "this version reads format 1"),
    ],
)
def test_a_mistake_is_named_with_its_line(old: str, new: str, line: str, says: str) -> None:
    with pytest.raises(SchemeError) as caught:
        parse_scheme(TINY_TOML.replace(old, new), "tiny.toml")
    assert says in str(caught.value)
    assert f"tiny.toml, line {line_of(line)}" in str(caught.value)


def test_more_grades_than_keys_are_refused_with_their_line() -> None:
    def with_grades(count: int) -> str:
        more = "".join(f'{grade} = "more"\n' for grade in range(3, count))
        return TINY_TOML.replace('2 = "all"\n', f'2 = "all"\n{more}', 1)

    most = parse_scheme(with_grades(MAX_GRADES), "tiny.toml")
    assert max(len(grades) for joint in most.joints for grades in joint.grades.values()) == MAX_GRADES
    with pytest.raises(SchemeError) as caught:
        parse_scheme(with_grades(16), "tiny.toml")
    line = with_grades(16).splitlines().index('12 = "more"') + 1
    assert f"tiny.toml, line {line}, grades." in str(caught.value)
    assert "at most 12 grades, 0 to 11, since each has a key; this one has 16" in str(caught.value)


def test_broken_toml_names_the_line() -> None:
    with pytest.raises(SchemeError, match="line 3"):
        parse_scheme('format = 1\nname = "x"\ntitle = = 3\n', "bad.toml")


def test_exactly_one_reason_comes_from_the_regions() -> None:
    with pytest.raises(SchemeError, match="exactly one reason"):
        parse_scheme(TINY_TOML.replace("from_regions = true\n", ""), "tiny.toml")


def test_control_characters_never_get_in() -> None:
    with pytest.raises(SchemeError) as caught:
        parse_scheme(TINY_TOML.replace('"Two joints"', '"\\u001b[2J"'), "tiny.toml")
    assert "\x1b" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SchemeError, match="can't be read"):
        load_scheme(tmp_path / "none.toml")

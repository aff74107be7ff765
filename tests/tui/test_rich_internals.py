"""Tests of `ratui.tui.i18n.rich_internals`: where lines of Japanese end, in Rich and in Textual."""

from __future__ import annotations

import inspect
from itertools import pairwise

import pytest
import textual.content
from rich._wrap import divide_line
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text
from textual.content import Content

from ratui.tui.i18n import rich_internals
from ratui.tui.i18n.rich_internals import break_japanese_lines, split_words
from tests.internals import relying_on

SENTENCE = "損傷は左右に無作為に置かれますが、40 組中 40 組で「左」を選びました。"


def test_rich_and_textual_end_lines_where_the_replaced_function_says() -> None:
    with relying_on("`rich._wrap.divide_line` calls `words` of its module", rich_internals):
        assert "words(" in inspect.getsource(divide_line)
        assert divide_line.__globals__["words"] is split_words
    with relying_on("Textual ends lines by `divide_line` of Rich", rich_internals):
        assert textual.content.divide_line is divide_line


@pytest.fixture(autouse=True)
def _japanese_lines() -> None:
    break_japanese_lines()


def split(text: str) -> list[str]:
    return [word for _, _, word in split_words(text)]


@pytest.mark.parametrize("width", range(8, 40))
def test_lines_are_full_and_neither_begin_nor_end_with_the_wrong_mark(width: int) -> None:
    lines = [line.plain for line in Text(SENTENCE).wrap(Console(), width)]
    assert "".join(lines).replace(" ", "") == SENTENCE.replace(" ", "")
    for line, following in pairwise(lines):
        assert width - 8 < cell_len(line) <= width
        assert following[0] not in "。、」"
        assert line[-1] not in "「"
        assert not line.rstrip().endswith("40"), "a number and its counter stay together"


def test_textual_ends_lines_at_the_same_places() -> None:
    lines = [line.plain.rstrip() for line in Content(SENTENCE).wrap(30)]
    assert lines == [line.plain.rstrip() for line in Text(SENTENCE).wrap(Console(), 30)]
    assert len(lines) == 3


def test_words_of_latin_letters_stay_whole() -> None:
    assert split("ERO 1 は骨びらん") == ["ERO ", "1 は", "骨", "び", "ら", "ん"]
    assert split("次のfilm-2.dcmを") == ["次", "の", "film-2.dcm", "を"]


def test_other_texts_end_at_spaces() -> None:
    text = "12 × 24 characters of the “films”"
    assert split(text) == ["12 ", "× ", "24 ", "characters ", "of ", "the ", "“films”"]
    assert divide_line(text, 12) == [8, 19, 26]

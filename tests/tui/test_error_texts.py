"""Error messages and notices in Japanese: every English template has a translation, and the app shows it."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import pytest
from rich.cells import cell_len

from ratui.errors import FilmError, StoreError, StudyError
from ratui.study import LockedByOther, LockHolder, Study, importing
from ratui.tui.i18n.catalog import Catalog, ErrorTexts, _read_errors
from ratui.tui.i18n.reading_phrases import format_error
from ratui.tui.screens.overview.screen import OverviewScreen
from ratui.tui.screens.worklist.screen import WorklistScreen
from tests.films import make_study, without_pairs
from tests.tui.conftest import label_text, reading_as, rows, settle
from tests.tui.error_templates import ROOT, app_modules, find_templates
from tests.tui.readings import store_reading

T = Catalog("ja")
TEMPLATES = _read_errors("ja", "errors").templates
JAPANESE = re.compile(r"[ぁ-んァ-ヶ一-龠]")
_WITHOUT_WORDS = {"[Errno {0}] {1}", "[Errno {0}] {1}: {2}"}
_MADE_ELSEWHERE = {
    "{0} on {1}, process {2}, terminal {3}, since {4}",
    "{0} on {1}, process {2}, since {3}",
    "{0}, line {1}",
    "{0}, line {1}, {2}",
    *_WITHOUT_WORDS,
}
"""Templates of values: the holder of a lock, a line of a scheme, a cause."""


def blanks(text: str) -> set[str]:
    return set(re.findall(r"\{\d+\}", text))


@pytest.mark.parametrize("file", app_modules(), ids=lambda file: str(file.relative_to(ROOT)))
def test_every_error_message_is_there_in_japanese(file: Path) -> None:
    assert not find_templates(file) - set(TEMPLATES)


def test_the_search_for_templates_finds_each_form(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(
        """
class _Reader:
    def read(self, path):
        remedy = "Copy it" if path else "Name a file"
        try:
            self._open(path)
        except OSError as error:
            raise StoreError(f"can't be read: {error.strerror}", path, remedy) from error
        gone = "is gone" if path else "may be gone"
        raise FilmError(f"the film {gone}{f' from {path}' if path else ''}", f"film {path}")

    def _fail(self, what):
        raise StudyError(what, "", "Correct it")

    def check(self, count):
        self._fail("too many films " f"({count})")
        self.study.check_manager("count films")
        why = "" if count else "no films"
        why = why or find_other_content(count)
        raise DamagedError(f"it is damaged: {why}")


def find_other_content(count):
    if count > 1:
        return "the journal has other films"
    return f"there are {count} films"
"""
    )
    assert find_templates(file) == {
        "can't be read: {0}",
        "Copy it",
        "Name a file",
        "the film is gone",
        "the film is gone from {0}",
        "the film may be gone",
        "the film may be gone from {0}",
        "film {0}",
        "too many films ({0})",
        "Correct it",
        "count films",
        "it is damaged: {0}",
        "the journal has other films",
        "there are {0} films",
    }


def test_the_search_for_templates_refuses_a_text_that_it_cannot_trace(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text("def check(path):\n    raise StoreError(describe(path), path)\n")
    with pytest.raises(AssertionError, match="not a literal text"):
        find_templates(file)


def test_the_search_for_templates_refuses_a_text_made_of_its_former_value(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(
        "def check():\n    problem = ''\n    problem = problem or 'no films'\n    raise StoreError(problem)\n"
    )
    with pytest.raises(AssertionError, match="problem is made of its former value"):
        find_templates(file)


def test_every_translation_is_needed() -> None:
    found = set().union(*(find_templates(file) for file in app_modules()))
    general = ErrorTexts(dict.fromkeys(found, "found"))
    causes = {os.strerror(number) for number in range(1, 135)}
    for template in set(TEMPLATES) - _MADE_ELSEWHERE - causes:
        assert general.translate(template) == "found", template


def test_a_translation_is_japanese_and_has_the_same_values() -> None:
    for english, japanese in TEMPLATES.items():
        if english in _WITHOUT_WORDS:
            continue
        assert blanks(japanese) == blanks(english), english
        assert JAPANESE.search(japanese), english


def test_a_translation_fits_where_the_english_text_does() -> None:
    """Check the width: a line of 80 columns has one column on each side of the text."""
    wide = {text for text, other in TEMPLATES.items() if len(text) <= 78 < cell_len(other)}
    assert not wide


def test_parts_and_values_are_translated_and_paths_stay() -> None:
    error = StoreError("not saved: No space left on device", "/study/a.json", "What was saved before is intact")
    text = "/study/a.json：保存できません：ディスクに空きがありません。保存済みの内容は無事です"
    assert format_error(T, error) == text
    error = FilmError("it is cut off: 20 of 400 bytes", "/study/film.dcm")
    assert format_error(T, error, with_location=False) == "途中で切れています：400 バイト中 20 バイト"


def test_an_unknown_text_and_english_stay_as_they_are() -> None:
    error = StudyError("there is no case X", "/study", "See: ratui status STUDY")
    assert format_error(Catalog("en"), error) == str(error)
    assert format_error(T, StudyError("something else")) == "something else"


def test_the_more_specific_template_comes_first() -> None:
    texts = ErrorTexts({"{0} is missing": "general {0}", "its seal is missing": "specific"})
    assert texts.translate("its seal is missing") == "specific"
    assert texts.translate("key is missing") == "general key"


@pytest.mark.parametrize("terminal", ["", "pts/3"])
@pytest.mark.parametrize("host", ["", "another machine"])
def test_the_holder_of_a_lock_is_described_in_japanese(terminal: str, host: str) -> None:
    current = LockHolder.current()
    holder = LockHolder("anna", host or current.host, current.process, terminal, "2026-01-02 10:00 UTC", "1")
    error = LockedByOther(holder, "C-1")
    text = format_error(T, error)
    assert text.startswith("C-1：すでに開かれています：anna（")
    assert not re.search(r"\b(is|it|who|process|since|terminal|open|close|You|look)\b", text), text
    assert cell_len(text) <= len(str(error)) + 20


@contextmanager
def another_session(study: Study, case: str) -> Iterator[None]:
    """Start another process that has the reading of `case` by anna open."""
    script = (
        "import sys; from pathlib import Path; from ratui.study import Study\n"
        "with Study.open(Path(sys.argv[1])).open_reading('anna', sys.argv[2]):\n"
        "    print('open', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script, str(study.path), case]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        try:
            yield
        finally:
            process.communicate("")


# English words that are no commands, names or paths.
_ENGLISH = re.compile(
    r"\b(it is|open already|[Cc]lose|end that|read-only|since|on the|process|terminal|nothing|another)\b"
)


@pytest.mark.slow
@pytest.mark.parametrize("is_begun", [False, True])
async def test_a_reading_that_is_open_elsewhere_is_reported_in_japanese(tmp_path: Path, is_begun: bool) -> None:
    study = make_study(tmp_path)
    (case,) = study.cases()
    if is_begun:
        store_reading(study, case, joints=3)
    with another_session(study, case):
        async with reading_as(study, "anna", size=(120, 40), language="ja") as pilot:
            await settle(pilot)
            await pilot.press("enter")
            await settle(pilot)
            for key, screen in (("", OverviewScreen), ("escape", WorklistScreen)):
                if key:
                    await pilot.press(key)
                    await settle(pilot)
                assert isinstance(pilot.app.screen, screen)
                text = label_text(pilot)
                assert "別の画面で開かれています：" in text
                assert not _ENGLISH.search(text), text


@pytest.mark.slow
async def test_the_note_of_an_unreadable_case_is_japanese_and_fits(tmp_path: Path) -> None:
    study = make_study(tmp_path, patients=2)
    case = study.cases()[0]
    study.save_case(without_pairs(study.case(case)))
    async with reading_as(study, "anna", size=(120, 24), language="ja") as pilot:
        await settle(pilot)
        line = rows(pilot)[-1]
        assert "両時点のフィルムがそろう側がありません" in line
        assert "films" not in line
        assert cell_len(line.rstrip()) <= 120


def test_every_translated_reason_is_one_of_the_import() -> None:
    folder = Path(importing.__file__).parent
    source = "".join(file.read_text(encoding="utf-8") for file in sorted(folder.rglob("*.py")))
    source = re.sub(r'"\s*\n\s*f?"', "", source)
    table = resources.files("ratui.tui.i18n").joinpath("ja", "import_reasons.toml").read_text(encoding="utf-8")
    for english, japanese in tomllib.loads(table).items():
        assert all(part.strip() in source for part in re.split(r"\{\d\}", english)), english
        assert set(re.findall(r"\{\d\}", english)) == set(re.findall(r"\{\d\}", japanese))

"""The command line: results, and one message with a nonzero exit code for every mistake."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ratui.study import Study
from tests.films import film_file, hospital, make_study
from tests.support.commands import run_in_this_process as ratui
from tests.support.commands import run_program

pytestmark = pytest.mark.slow


def fails(*arguments: object, run: Callable[..., subprocess.CompletedProcess[str]] = ratui) -> str:
    """Return the message of a command that fails."""
    done = run(*arguments)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    return done.stderr


def test_new_import_status(tmp_path: Path) -> None:
    """Run the commands as programs; most other tests run them in this process."""
    made = run_program("new", tmp_path / "s", "--rater", "anna", "--rater", "bert", "--scheme", "fingers")
    assert made.returncode == 0, made.stderr
    folder = hospital(tmp_path / "h")
    (folder / "letter.dcm").write_text("Dear \x1b]0;colleague\x07")
    done = run_program("import", tmp_path / "s", folder, "--no-propose", "--key", tmp_path / "key.json")
    assert done.returncode == 0, done.stderr
    assert "4 films of 1 case imported, 1 file refused" in done.stdout
    assert "\x1b" not in done.stdout
    status = run_program("status", tmp_path / "s")
    assert "regions 0/76" in status.stdout
    assert "anna" in status.stdout


@pytest.mark.parametrize("name", ["\x1b[31mred.dcm", "\u202egpj.dcm"])
def test_a_hostile_file_name_is_not_printed_raw(tmp_path: Path, name: str) -> None:
    Study.create(tmp_path / "s", "fingers", ["anna"])
    (tmp_path / "h").mkdir()
    (tmp_path / "h" / name).write_text("x")
    done = ratui("import", tmp_path / "s", tmp_path / "h", "--key", tmp_path / "key.json")
    assert done.returncode == 1
    assert "\x1b" not in done.stdout + done.stderr
    assert "\u202e" not in done.stdout + done.stderr


class TestMistakes:
    def test_no_study(self, tmp_path: Path) -> None:
        assert "there is no study here" in fails("read", tmp_path, "--rater", "anna")

    def test_no_file(self, tmp_path: Path) -> None:
        Study.create(tmp_path / "s", "fingers", ["anna"])
        assert "no such file" in fails("import", tmp_path / "s", tmp_path / "none", "--key", tmp_path / "k")

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        Study.create(tmp_path / "s", "fingers", ["anna"])
        (tmp_path / "empty").mkdir()
        assert "contains no file" in fails("import", tmp_path / "s", tmp_path / "empty", "--key", tmp_path / "k")

    def test_unknown_rater(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        assert "anna, bert" in fails("read", study.path, "--rater", "zoe")

    def test_unknown_case(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        assert "there is no case C-NONE" in fails("read", study.path, "--rater", "anna", "--case", "C-NONE")

    def test_a_scheme_with_a_mistake_is_named_by_line(self, tmp_path: Path) -> None:
        text = Path("ratui/scheme/fingers.toml").read_text()
        (tmp_path / "mine.toml").write_text(text.replace("heals = false", "heals = 7", 1))
        message = fails("new", tmp_path / "s", "--rater", "anna", "--scheme", tmp_path / "mine.toml")
        assert "mine.toml" in message
        assert "heals" in message
        assert not (tmp_path / "s").exists()

    @pytest.mark.parametrize(
        ("old", "new", "says"),
        [
            ('5 = "', "\n".join(f'{grade} = "more"' for grade in range(5, 15)) + '\n15 = "', "at most 12 grades"),
            ('key = "a"', 'key = "u"', "the key 'u' of ankylosis is taken by: scoring.undo"),
        ],
    )
    def test_a_scheme_that_has_no_keys_left_is_refused_before_the_study_is_made(
        self, tmp_path: Path, old: str, new: str, says: str
    ) -> None:
        text = Path("ratui/scheme/fingers.toml").read_text()
        assert old in text
        (tmp_path / "mine.toml").write_text(text.replace(old, new, 1))
        assert says in fails("new", tmp_path / "s", "--rater", "anna", "--scheme", tmp_path / "mine.toml")
        assert not (tmp_path / "s").exists()

    def test_no_terminal(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        assert "only be shown in a terminal" in fails("read", study.path, "--rater", "anna", run=run_program)

    def test_unknown_graphics(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        assert "kitty, iterm2, sixel, halfcell" in fails("read", study.path, "--rater", "anna", "--graphics", "x")

    def test_only_refused_files_is_a_failure(self, tmp_path: Path) -> None:
        Study.create(tmp_path / "s", "fingers", ["anna"])
        film_file(tmp_path / "h" / "a.dcm", side="")
        done = ratui("import", tmp_path / "s", tmp_path / "h", "--key", tmp_path / "k")
        assert done.returncode == 1
        assert "which side" in done.stdout


class TestKeys:
    def keys(self, home: Path, *arguments: object, settings: str = "") -> subprocess.CompletedProcess[str]:
        (home / "ratui").mkdir(exist_ok=True)
        (home / "ratui" / "settings.toml").write_text(settings, encoding="utf-8")
        return ratui("keys", *arguments, XDG_CONFIG_HOME=str(home), LC_ALL="C.UTF-8")

    def test_lists_the_keys_after_the_users_changes(self, tmp_path: Path) -> None:
        done = self.keys(tmp_path, settings='[keys]\n"scoring.undo" = "U"\n')
        assert done.returncode == 0, done.stderr
        line = next(line for line in done.stdout.splitlines() if line.startswith("scoring.undo"))
        assert line.split()[1] == "U"
        assert "settings.toml" in done.stdout

    def test_in_the_language_of_the_settings_or_of_the_option(self, tmp_path: Path) -> None:
        assert "取り消す" in self.keys(tmp_path, settings='language = "ja"').stdout
        assert "取り消す" not in self.keys(tmp_path, "--lang", "en", settings='language = "ja"').stdout
        assert "取り消す" in self.keys(tmp_path, "--lang", "ja").stdout

    def test_a_clash_is_one_message_that_names_file_and_both_actions(self, tmp_path: Path) -> None:
        done = self.keys(tmp_path, settings='[keys]\nscoring.undo = "n"\n')
        assert done.returncode == 1
        for name in ("settings.toml", "scoring.undo", "scoring.normal"):
            assert name in done.stderr

    def test_an_unknown_language_is_one_message(self, tmp_path: Path) -> None:
        for done in (self.keys(tmp_path, "--lang", "xx"), self.keys(tmp_path, settings='language = "xx"')):
            assert done.returncode == 1
            assert "en, ja" in done.stderr
            assert "Traceback" not in done.stderr

    def test_the_card_is_markdown_with_the_users_keys(self, tmp_path: Path) -> None:
        done = self.keys(tmp_path, "--card", "--scheme", "fingers", settings='[keys]\n"scoring.undo" = "U"\n')
        assert done.stdout.startswith("# ")
        assert "<kbd>U</kbd>" in done.stdout

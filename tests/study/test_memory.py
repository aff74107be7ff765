"""Small files that would need much memory: each is refused by a process that has little."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path

import pytest

import ratui
from ratui.bounded_parsing import parse_json, parse_toml, read_bounded
from tests.support.limited_process import ADDRESS_SPACE, TOML_BOMBS, run_limited


class TestToml:
    @pytest.mark.parametrize("bomb", TOML_BOMBS)
    def test_a_scheme_that_needs_much_memory_is_refused(self, tmp_path: Path, bomb: str) -> None:
        path = tmp_path / "scheme.toml"
        path.write_text(TOML_BOMBS[bomb])
        assert path.stat().st_size < 250_000
        output = run_limited(
            "from ratui.errors import SchemeError\nfrom ratui.scheme import load_scheme\n"
            f"try:\n    load_scheme({str(path)!r})\nexcept SchemeError as error:\n    print(error.problem)\n",
            most=150,
        )
        assert "not valid TOML" in output

    @pytest.mark.parametrize("bomb", ["dotted key", "tables in an array"])
    def test_settings_that_need_much_memory_are_refused(self, tmp_path: Path, bomb: str) -> None:
        (tmp_path / "study.toml").write_text(TOML_BOMBS[bomb])
        output = run_limited(
            "from ratui.errors import StudyError\nfrom ratui.study import Study\nfrom pathlib import Path\n"
            f"try:\n    Study.open(Path({str(tmp_path)!r}))\nexcept StudyError as error:\n    print(error.problem)\n"
        )
        assert "it can't be read" in output

    def test_a_special_file_is_refused_without_waiting(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "scheme.toml")
        (tmp_path / "zero.toml").symlink_to("/dev/zero")
        for name in ("scheme.toml", "zero.toml"):
            with pytest.raises(ValueError, match="regular file"):
                read_bounded(tmp_path / name, 1000)

    def test_ordinary_files_are_parsed(self) -> None:
        text = 'a.b.c = "x.y.z"\n[t."quoted.key"]\nn = [0.1, 0.2] # a . b\ns = """two\nlines"""\nl = \'"\'\n'
        assert parse_toml(text) == {
            "a": {"b": {"c": "x.y.z"}},
            "t": {"quoted.key": {"n": [0.1, 0.2], "s": "two\nlines", "l": '"'}},
        }
        for file in Path(ratui.__file__).parent.rglob("*.toml"):
            assert parse_toml(file.read_text(encoding="utf-8"))


class TestJson:
    @pytest.mark.parametrize(
        "item", ["[]", "{}", '{"a":1}', "1.5", '"ab"'], ids=["arrays", "objects", "pairs", "numbers", "texts"]
    )
    def test_a_stored_file_that_needs_much_memory_is_refused(self, tmp_path: Path, item: str) -> None:
        """Fill a table file up to its largest size of 64 MB; without a limit, empty objects need 1.6 GB."""
        count = 60_000_000 // (len(item) + 1)
        path = tmp_path / "films.json"
        path.write_text('{"regions":{"1":{"box":[' + (item + ",") * count + item + "]}}}")
        output = run_limited(
            "from pathlib import Path\nfrom ratui.errors import StoreError\n"
            "from ratui.study.store.seal import BrokenSealError, open_seal\n"
            f"try:\n    open_seal(Path({str(path)!r}).read_bytes())\n"
            "except BrokenSealError as error:\n    print(error)\n"
        )
        assert "not a JSON file" in output

    def test_too_many_values_and_deep_nesting_are_refused(self) -> None:
        for text in ("[" * 100_000, "[" + "0," * 2000 + "0]"):
            with pytest.raises(ValueError, match=r"more than|nested"):
                parse_json(text, max_items=1000 if "0" in text else 10**6)
        assert parse_json(json.dumps({"a": [1, 2]})) == {"a": [1, 2]}
        assert parse_json(b'[" \xc3\xa9 "]') == [" é "]


class TestCsv:
    @pytest.mark.parametrize(
        "text",
        [
            "file,patient,time,side\na.png,P,0,L" + ",ab" * 5_000_000,
            "file,patient,time,side" + ",ab" * 5_000_000 + "\n",
            "file,patient,time,side\n" + "a,b,0,L\n" * 2_000_000,
            "file,patient,time,side\n" + '"\n","\n",' * 2_000_000,
            "file,patient,time,side\n" + "\r" * 15_000_000,
        ],
        ids=["one wide row", "wide header", "rows", "fields over lines", "line ends"],
    )
    def test_a_manifest_that_needs_much_memory_is_refused(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "manifest.csv"
        path.write_text(text, newline="")
        output = run_limited(
            "from pathlib import Path\nfrom ratui.errors import StudyError\nfrom ratui.scheme import load_scheme\n"
            "from ratui.study.importing.planning.manifest import read_manifest\n"
            f"try:\n    read_manifest(Path({str(path)!r}), load_scheme('fingers'))\n"
            "except StudyError as error:\n    print(error.problem)\n"
        )
        assert "too many rows or columns" in output


def test_the_limit_of_the_child_processes_counts() -> None:
    with pytest.raises(AssertionError):
        run_limited("x = bytearray(b'x') * (500 << 20)")
    with pytest.raises(AssertionError, match="MemoryError"):
        run_limited(f"x = bytearray({ADDRESS_SPACE})")
    assert resource.getrlimit(resource.RLIMIT_AS)[0] != ADDRESS_SPACE

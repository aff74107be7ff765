"""Small files that would need much memory: each is refused by a process that has little."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import ratui
from ratui.bounded_parsing import parse_json, parse_toml, read_bounded

_MOST_MEGABYTES = 400
# Address space that imports of numpy and its libraries reserve comes on top.
_ADDRESS_SPACE = 3 << 30


def run_limited(code: str, most: int = _MOST_MEGABYTES) -> str:
    """Return the output of `code` in a process of limited memory; its peak of resident memory is checked."""
    program = (
        "import resource\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({_ADDRESS_SPACE}, {_ADDRESS_SPACE}))\n"
        f"{code}\n"
        # Unlike ru_maxrss, this does not count the memory of the process that started this one.
        "line = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "print('peak', int(line.split()[1]) // 1024)\n"
    )
    root = str(Path(ratui.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    output, _, peak = done.stdout.decode().rpartition("peak ")
    assert int(peak) < most, f"{peak} MB"
    return output


DOTTED = "a" + ".a" * 15_000
BOMBS = {
    "dotted key of 60 kB": f"{DOTTED}.{DOTTED} = 1",
    "dotted key": f"{DOTTED} = 1",
    "dotted header": f"[{DOTTED}]",
    "spaces": "a" + " . a" * 15_000 + " = 1",
    "quoted parts": '""' + '.""' * 20_000 + " = 1",
    "literal parts": "''" + ".''" * 20_000 + " = 1",
    "in an inline table": f"x = {{ {DOTTED} = 1 }}",
    "after a string with quotes at its end": f'b = """x""""\n{DOTTED} = 1 # "',
    "after a literal with quotes at its end": f"b = '''x''''\n{DOTTED} = 1 # '",
    "after an escaped quote": f'b = "\\""\n{DOTTED} = 1 # "',
    "after a quote in a comment": f'# "\n{DOTTED} = 1 # "',
    "arrays": "a = [" + "[]," * 70_000 + "]",
    "tables in an array": "a = [" + "{}," * 70_000 + "]",
    "nested arrays": "a = " + "[" * 120_000,
    "nested tables": "a = " + "{a=" * 60_000,
    "headers": "".join(f"[a{number}]\n" for number in range(25_000)),
    "headers of 15 parts": "".join(
        "[" + ".".join(f"{number}x{part}" for part in range(15)) + "]\n" for number in range(2000)
    ),
    "digits": "a = " + "9" * 200_000,
    "text": "a" * 240_000,
    "open string": 'a = """' + '\\"""' * 50_000,
}


class TestToml:
    @pytest.mark.parametrize("bomb", BOMBS)
    def test_a_scheme_that_needs_much_memory_is_refused(self, tmp_path: Path, bomb: str) -> None:
        path = tmp_path / "scheme.toml"
        path.write_text(BOMBS[bomb])
        assert path.stat().st_size < 250_000
        output = run_limited(
            "from ratui.errors import SchemeError\nfrom ratui.scheme import load_scheme\n"
            f"try:\n    load_scheme({str(path)!r})\nexcept SchemeError as error:\n    print(error.problem)\n",
            most=150,
        )
        assert "not valid TOML" in output

    @pytest.mark.parametrize("bomb", ["dotted key", "tables in an array"])
    def test_settings_that_need_much_memory_are_refused(self, tmp_path: Path, bomb: str) -> None:
        (tmp_path / "study.toml").write_text(BOMBS[bomb])
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
            "from ratui.study.importing.manifest import read_manifest\n"
            f"try:\n    read_manifest(Path({str(path)!r}), load_scheme('fingers'))\n"
            "except StudyError as error:\n    print(error.problem)\n"
        )
        assert "too many rows or columns" in output


def test_the_limit_of_the_child_processes_counts() -> None:
    with pytest.raises(AssertionError):
        run_limited("x = bytearray(b'x') * (500 << 20)")
    with pytest.raises(AssertionError, match="MemoryError"):
        run_limited(f"x = bytearray({_ADDRESS_SPACE})")
    assert resource.getrlimit(resource.RLIMIT_AS)[0] != _ADDRESS_SPACE

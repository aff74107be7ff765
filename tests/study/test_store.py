"""Files that are whole or untouched, and one writer for each."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ratui.errors import StoreError
from ratui.study.store import Lock, read_tables, write_tables


def test_what_is_written_is_read(tmp_path: Path) -> None:
    tables = {"meta": [{"a": 1}], "fields": [{"x": "ü"}, {"x": None}]}
    write_tables(tmp_path / "deep" / "a.json", tables)
    assert read_tables(tmp_path / "deep" / "a.json") == tables
    assert read_tables(tmp_path / "none.json") is None


def test_no_one_else_may_read_it(tmp_path: Path) -> None:
    write_tables(tmp_path / "a.json", {"t": [{"a": 1}]})
    assert (tmp_path / "a.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_failing_disk_leaves_the_old_file_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    write_tables(tmp_path / "a.json", {"t": [{"a": 1}]})

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        if step == "replace":
            patched.setattr(Path, "replace", full)
        else:
            patched.setattr(os, step, full)
        with pytest.raises(StoreError, match="No space left"):
            write_tables(tmp_path / "a.json", {"t": [{"a": 2}]})
    assert read_tables(tmp_path / "a.json") == {"t": [{"a": 1}]}
    assert not list(tmp_path.glob("*.tmp"))
    assert not list(tmp_path.glob(".*.tmp"))


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b"\xff\xfe", b'{"t": 3}', b"[" * 100_000])
def test_a_damaged_file_is_set_aside_and_its_last_good_copy_named(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "a.json"
    write_tables(path, {"t": [{"a": 1}]})
    write_tables(path, {"t": [{"a": 2}]})
    path.write_bytes(damage)
    with pytest.raises(StoreError) as caught:
        read_tables(path)
    assert "a.json.bak" in caught.value.remedy
    assert len(list(tmp_path.glob("a.json.damaged-*"))) == 1
    (tmp_path / "a.json.bak").replace(path)
    assert read_tables(path) == {"t": [{"a": 1}]}


def test_a_writer_that_is_killed_leaves_old_or_new(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom ratui.study.store import write_tables\n"
        "n = 0\nwhile True:\n    n += 1\n"
        "    write_tables(Path(sys.argv[1]), {'t': [{'n': n, 'fill': 'x' * 20000}]})\n"
        "    if n == 3: print('going', flush=True)\n"
    )
    for _ in range(5):
        child = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "a.json")], stdout=subprocess.PIPE)
        assert child.stdout
        child.stdout.readline()
        child.kill()
        child.wait()
        tables = read_tables(tmp_path / "a.json")
        assert tables
        assert tables["t"][0]["n"] >= 2


def test_the_second_writer_is_told_who_is_first(tmp_path: Path) -> None:
    with (
        Lock(tmp_path / "a.lock"),
        pytest.raises(StoreError, match=f"process {os.getpid()}"),
        Lock(tmp_path / "a.lock"),
    ):
        pass
    with Lock(tmp_path / "a.lock"):
        pass

"""Atomic files in two copies, whatever fails while they are written."""

import errno
import os
import stat
from pathlib import Path

import pytest
from tinydb import TinyDB

from ratui import files as disk
from ratui.errors import DamagedError, StoreError
from ratui.files import atomic_write, make_folder, remove_leftovers, share_folder
from ratui.study.store import SealedStorage, read_intact, read_tables, restore_from_copy, write_tables


def test_written_data_are_read_again(tmp_path: Path) -> None:
    tables = {"meta": [{"a": 1}], "fields": [{"x": "ü"}, {"x": None}], "log": []}
    write_tables(tmp_path / "deep" / "a.json", tables)
    assert read_tables(tmp_path / "deep" / "a.json") == tables
    assert read_tables(tmp_path / "none.json") is None


def test_tinydb_itself_works_on_it(tmp_path: Path) -> None:
    with TinyDB(tmp_path / "a.json", storage=SealedStorage) as database:
        database.table("log").insert({"n": 1})
        database.table("log").insert({"n": 2})
    with TinyDB(tmp_path / "a.json", storage=SealedStorage) as database:
        assert [record["n"] for record in database.table("log")] == [1, 2]


def test_data_that_json_cannot_contain_are_rejected_and_the_old_file_stays(tmp_path: Path) -> None:
    write_tables(tmp_path / "a.json", {"t": [{"a": 1}]})
    with pytest.raises(StoreError, match="not saved"):
        write_tables(tmp_path / "a.json", {"t": [{"a": float("nan")}]})
    assert read_tables(tmp_path / "a.json") == {"t": [{"a": 1}]}


class TestAccess:
    @pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
    def test_no_one_else_may_read_it_whatever_the_umask(self, tmp_path: Path, umask: int) -> None:
        old = os.umask(umask)
        try:
            write_tables(tmp_path / "deep" / "a.json", {"t": [{"a": 1}]})
        finally:
            os.umask(old)
        for path in (tmp_path / "deep", *(tmp_path / "deep").iterdir()):
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)

    @pytest.mark.parametrize(("bits", "folder", "file"), [(0o050, 0o2750, 0o640), (0o070, 0o2770, 0o660)])
    def test_a_shared_folder_shares_what_is_made_in_it(self, tmp_path: Path, bits: int, folder: int, file: int) -> None:
        (tmp_path / "s").mkdir()
        share_folder(tmp_path / "s", os.getgid(), bits)
        old = os.umask(0o077)
        try:
            write_tables(tmp_path / "s" / "deep" / "a.json", {"t": []})
        finally:
            os.umask(old)
        assert stat.S_IMODE((tmp_path / "s" / "deep").stat().st_mode) == folder
        assert stat.S_IMODE((tmp_path / "s" / "deep" / "a.json").stat().st_mode) == file

    def test_a_group_is_only_let_in_by_the_bit_that_says_so(self, tmp_path: Path) -> None:
        (tmp_path / "s").mkdir()
        (tmp_path / "s").chmod(0o775)
        write_tables(tmp_path / "s" / "a.json", {"t": []})
        assert stat.S_IMODE((tmp_path / "s" / "a.json").stat().st_mode) == 0o600

    def test_a_private_file_stays_private_in_a_shared_folder(self, tmp_path: Path) -> None:
        share_folder(tmp_path, os.getgid(), 0o070)
        disk.write_bytes(tmp_path / "key", b"x", private=True)
        assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


class TestDamage:
    @pytest.mark.parametrize(
        "damage",
        [b"", b"{", b"[1]", b"\xff\xfe", b'{"t": 3}', b"[" * 100_000, b'{"t":{"1":{"a":2}}}'],
        ids=["empty", "cut", "list", "bytes", "no table", "deep", "no seal"],
    )
    def test_a_damaged_file_is_reported_and_its_second_copy_read(self, tmp_path: Path, damage: bytes) -> None:
        path = tmp_path / "a.json"
        write_tables(path, {"t": [{"a": 2}]})
        path.write_bytes(damage)
        with pytest.raises(DamagedError):
            read_tables(path)
        stored = read_intact(path)
        assert stored
        assert stored.tables == {"t": [{"a": 2}]}
        assert "second copy" in stored.notice
        assert path.read_bytes() == damage  # reading changes nothing

    def test_restoring_sets_the_damaged_file_aside(self, tmp_path: Path) -> None:
        path = tmp_path / "a.json"
        write_tables(path, {"t": [{"a": 2}]})
        path.write_bytes(b"broken")
        restore_from_copy(path)
        assert read_tables(path) == {"t": [{"a": 2}]}
        (aside,) = tmp_path.glob("a.json.damaged-*")
        assert aside.read_bytes() == b"broken"

    def test_a_missing_file_with_a_copy_is_damage_too(self, tmp_path: Path) -> None:
        write_tables(tmp_path / "a.json", {"t": [{"a": 2}]})
        (tmp_path / "a.json").unlink()
        stored = read_intact(tmp_path / "a.json")
        assert stored
        assert "missing" in stored.notice

    def test_two_damaged_copies_are_an_error(self, tmp_path: Path) -> None:
        write_tables(tmp_path / "a.json", {"t": [{"a": 2}]})
        for path in tmp_path.iterdir():
            path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(DamagedError, match="damaged"):
            read_intact(tmp_path / "a.json")

    def test_format_1_is_read_only_where_it_is_expected(self, tmp_path: Path) -> None:
        (tmp_path / "a.json").write_text('{"t":{"1":{"a":1}}}')
        assert read_tables(tmp_path / "a.json", unsealed=True) == {"t": [{"a": 1}]}
        with pytest.raises(DamagedError):
            read_tables(tmp_path / "a.json")

    def test_a_copy_of_format_1_proves_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "a.json").write_text("{")
        (tmp_path / "a.json.bak").write_text('{"t":{"1":{"a":1}}}')
        with pytest.raises(DamagedError):
            read_intact(tmp_path / "a.json", unsealed=True)


class TestFailingDisk:
    @pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
    def test_the_old_file_stays_and_no_litter(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
        write_tables(tmp_path / "a.json", {"t": [{"a": 1}]})

        def full(*_: object, **__: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(disk.os, call, full)
            with pytest.raises(StoreError, match="No space left"):
                write_tables(tmp_path / "a.json", {"t": [{"a": 2}]})
        assert read_tables(tmp_path / "a.json") == {"t": [{"a": 1}]}
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.json.bak"]

    def test_a_disk_that_is_really_full(self, tmp_path: Path) -> None:
        """Use the kernel's limit on the length of a file in place of a full disk."""
        import resource
        import signal

        write_tables(tmp_path / "a.json", {"t": [{"a": 1}]})
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
            with pytest.raises(StoreError, match="too large"):
                write_tables(tmp_path / "a.json", {"t": [{"a": "x" * 9000}]})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, old)
        assert read_tables(tmp_path / "a.json") == {"t": [{"a": 1}]}

    def test_a_folder_that_cannot_be_created_is_reported(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(StoreError):
            make_folder(tmp_path / "file" / "folder")


def test_only_old_leftovers_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".a.json.12.tmp").write_text("")
    (tmp_path / ".b.json.34.tmp").write_text("")
    os.utime(tmp_path / ".a.json.12.tmp", (0, 0))
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        assert remove_leftovers(folder) == 1
    finally:
        os.close(folder)
    assert [path.name for path in tmp_path.iterdir()] == [".b.json.34.tmp"]


class TestAtomicWriteByOthers:
    """Files that another library writes get their name only after they are complete."""

    def test_the_file_appears_with_its_content_at_the_end(self, tmp_path: Path) -> None:
        target = tmp_path / "a.txt"
        target.write_text("old")
        with atomic_write(target) as temporary:
            temporary.write_text("new")
            assert target.read_text() == "old"
        assert target.read_text() == "new"
        assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]

    def test_after_an_error_the_old_file_stays_and_nothing_else(self, tmp_path: Path) -> None:
        target = tmp_path / "a.txt"
        target.write_text("old")

        def fail_halfway() -> None:
            with atomic_write(target) as temporary:
                temporary.write_text("half")
                raise RuntimeError

        with pytest.raises(RuntimeError):
            fail_halfway()
        assert target.read_text() == "old"
        assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]

    def test_its_bytes_are_on_the_disk_before_its_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        calls: list[str] = []
        sync, rename = os.fsync, os.replace
        monkeypatch.setattr(disk.os, "fsync", lambda file: (calls.append("fsync"), sync(file)))
        monkeypatch.setattr(disk.os, "replace", lambda old, new: (calls.append("rename"), rename(old, new)))
        with atomic_write(tmp_path / "a.txt") as temporary:
            temporary.write_text("new")
        assert calls == ["fsync", "rename", "fsync"]

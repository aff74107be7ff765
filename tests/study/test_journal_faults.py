"""Journals that are damaged, interrupted, on a full disk, or written by several processes."""

import contextlib
import errno
import itertools
import multiprocessing
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ratui.errors import StoreError
from ratui.study.store.journal import parse_journal
from tests.support.journal_folder import PATH, JournalFolder, digest


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[JournalFolder]:
    made = JournalFolder(tmp_path)
    yield made
    os.close(made.descriptor)


class TestDamage:
    def fill(self, folder: JournalFolder) -> bytes:
        for number in range(4):
            folder.write(f"text {number}")
        return folder.journal().read_bytes()

    def test_every_changed_byte_is_noticed(self, folder: JournalFolder) -> None:
        data = self.fill(folder)
        for place in range(len(data) - 1):  # without the last line's end
            changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
            assert parse_journal(changed)[1], place

    def test_a_line_that_is_removed_moved_or_inserted_is_noticed(self, folder: JournalFolder) -> None:
        lines = self.fill(folder).splitlines(keepends=True)
        for number in range(len(lines) - 1):
            assert parse_journal(b"".join(lines[:number] + lines[number + 1 :]))[1]
            swapped = [*lines[:number], lines[number + 1], lines[number], *lines[number + 2 :]]
            assert parse_journal(b"".join(swapped))[1]
            assert parse_journal(b"".join([*lines[:number], lines[number], *lines[number:]]))[1]

    def test_one_damaged_line_hides_no_later_record(self, folder: JournalFolder) -> None:
        lines = self.fill(folder).splitlines(keepends=True)
        lines[2] = lines[2].replace(b"regions", b"REGIONS")
        records, problem = parse_journal(b"".join(lines))
        assert [record.number for record in records] == [1, 2, 4, 5, 6, 7, 8]
        assert problem == "line 3 does not continue the chain of the lines before it"

    @pytest.mark.parametrize(
        "line",
        [
            b"[]",
            b"{}",
            b'"a"',
            b"1e999",
            b"\xff",
            b'{"n":"1","do":"write"}',
            b'{"n":1,"do":"write","path":3}',
            b"[" * 3000,
        ],
    )
    def test_odd_lines_stop_nobody(self, folder: JournalFolder, line: bytes) -> None:
        folder.write("one", account="bert")
        folder.journal().write_bytes(line + b"\n")
        folder.write("two")
        assert folder.problem() == "", "bert's and anna's records are used"
        problems = {each.name: bool(each.problem) for each in folder.journals()}
        assert sorted(problems.values()) == [False, False, True]
        assert problems["anna"]

    @pytest.mark.parametrize("kind", ["folder", "fifo", "link", "socket"])
    def test_another_object_in_place_of_a_journal_stops_nobody(
        self, folder: JournalFolder, kind: str, tmp_path: Path
    ) -> None:
        name = folder.journal()
        target = tmp_path / "target"
        target.write_text("keep")
        match kind:
            case "folder":
                name.mkdir()
            case "fifo":
                os.mkfifo(name)
            case "link":
                name.symlink_to(target)
            case "socket":
                import socket

                with socket.socket(socket.AF_UNIX) as made, contextlib.chdir(name.parent):
                    made.bind(name.name)
        folder.write("one")
        assert target.read_text() == "keep"
        assert len([journal for journal in folder.journals() if journal.name.startswith("anna.")]) == 1
        assert folder.problem() == ""
        assert next(each for each in folder.journals() if each.name == "anna").problem

    def test_a_full_journal_is_followed_by_another(
        self, folder: JournalFolder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ratui.study.store.journal_writer._FULL", 2000)
        for number in range(12):
            folder.write(f"text {number}")
        journals = folder.journals()
        assert len(journals) > 1
        assert not any(journal.problem for journal in journals)
        assert folder.problem() == ""

    def test_more_journals_of_one_account_than_ratui_writes_are_not_read(
        self, folder: JournalFolder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder.write("one")
        monkeypatch.setattr("ratui.study.store.journal._MOST_OF_ACCOUNT", 100)
        (journal,) = folder.journals()
        assert "more journals than ratui writes" in journal.problem

    def test_a_journal_may_be_a_gigabyte_of_zeros(self, folder: JournalFolder) -> None:
        with folder.journal().open("wb") as file:
            file.truncate(2**33)
        began = time.monotonic()
        folder.write("one")
        assert folder.problem() == ""
        assert time.monotonic() - began < 5


class TestInterruptions:
    @pytest.mark.parametrize("replaced", [False, True])
    def test_a_write_without_its_outcome_is_no_fault(self, folder: JournalFolder, replaced: bool) -> None:
        folder.write("one")

        class Killed(BaseException):
            pass

        with contextlib.suppress(Killed), folder.writer().recording(PATH, digest("two")):
            if replaced:
                folder.put(PATH, "two")
            raise Killed
        assert folder.problem() == ""
        folder.write("other", path="regions/C-2.json")
        assert [record.kind for record in folder.journals()[0].records[2:]] == [
            "write",
            "done" if replaced else "undone",
            "write",
            "done",
        ]
        assert folder.problem() == ""
        folder.write("three")
        assert folder.problem() == ""
        folder.put(PATH, "one")
        assert "earlier version" in folder.problem()

    def test_every_torn_line_is_no_fault(self, folder: JournalFolder) -> None:
        folder.write("one")
        whole = folder.journal().read_bytes()
        folder.write("two")
        data = folder.journal().read_bytes()
        folder.put(PATH, "one")  # as if the second save had been killed before the file was replaced
        end = data.index(b"\n", len(whole))
        for cut in range(len(whole), end + 1, 7):
            folder.journal().write_bytes(data[:cut])
            assert folder.problem() == "", cut
            folder.write("three")
            assert folder.problem() == ""
            assert all(not journal.problem for journal in folder.journals())
            assert [journal.name for journal in folder.journals()] == ["anna"]
            folder.put(PATH, "one")

    def test_a_torn_line_is_removed_as_a_whole(self, folder: JournalFolder) -> None:
        folder.write("one")
        with folder.journal().open("ab") as file:
            file.write(b"x" * 900)  # longer than the next record
        folder.write("two")
        assert folder.journals()[0].problem == ""
        assert folder.problem() == ""
        assert b"xx" not in folder.journal().read_bytes()

    @pytest.mark.parametrize("call", ["fsync", "pwrite"])
    def test_without_a_record_nothing_is_saved(
        self, folder: JournalFolder, call: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder.write("one")
        before = folder.journal().read_bytes()

        def fail(*arguments: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(os, call, fail)
            with pytest.raises(StoreError, match="No space left") as caught:
                folder.write("two")
        assert caught.value.remedy == "Free some disk space"
        assert folder.file(PATH).read_text() == "one"
        assert folder.journal().read_bytes() == before
        folder.write("two")
        assert folder.problem() == ""

    def test_a_short_write_is_completed_or_taken_back(
        self, folder: JournalFolder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write = os.pwrite
        monkeypatch.setattr(os, "pwrite", lambda descriptor, data, at: write(descriptor, bytes(data)[:50], at))
        folder.write("one")
        assert folder.problem() == ""
        assert folder.journals()[0].problem == ""

    @pytest.mark.slow
    def test_a_full_disk(self, tmp_path: Path) -> None:
        """Fill a real file system: no file changes without its record, and the journal stays intact."""
        if os.geteuid() != 0:
            pytest.skip("needs root, to mount a file system")
        place = tmp_path / "disk"
        place.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", place], capture_output=True).returncode:
            pytest.skip("no file system can be mounted here")
        try:
            folder = JournalFolder(place)
            done = ""
            (place / "ballast").write_bytes(b"x" * 100_000)
            with pytest.raises((StoreError, OSError)):  # noqa: PT012 - a loop until the disk is full
                for number in itertools.count():
                    folder.write(f"text {number}")
                    done = f"text {number}"
            assert done
            (place / "ballast").unlink()
            assert folder.file(PATH).read_text() == done
            assert folder.problem() == ""
            assert all(not journal.problem for journal in folder.journals())
            folder.write("after")
            assert folder.problem() == ""
            os.close(folder.descriptor)
        finally:
            subprocess.run(["umount", "-l", place], check=True)


def _write_many(path: Path, account: str, name: str, count: int) -> None:
    folder = JournalFolder(path)
    for number in range(count):
        folder.write(f"{name} {number}", path=f"regions/{name}.json", account=account)


class TestSeveralWriters:
    def test_one_account_in_several_processes(self, folder: JournalFolder) -> None:
        context = multiprocessing.get_context("fork")
        workers = [
            context.Process(target=_write_many, args=(folder.path, "anna", f"C-{number}", 30)) for number in range(4)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
            assert worker.exitcode == 0
        (journal,) = folder.journals()
        assert journal.problem == ""
        assert len(journal.records) == 4 * 30 * 2
        assert all(folder.problem(f"regions/C-{number}.json") == "" for number in range(4))

    def test_accounts_in_turn(self, folder: JournalFolder) -> None:
        for number in range(9):
            folder.write(f"text {number}", account=["anna", "bert", "cleo"][number % 3])
        assert folder.problem() == ""

    def test_killed_writers_leave_a_journal_that_goes_on(self, folder: JournalFolder) -> None:
        context = multiprocessing.get_context("fork")
        for trial in range(12):
            process = context.Process(target=_write_many, args=(folder.path, "anna", "C-1", 10**6))
            process.start()
            time.sleep(0.05 + 0.013 * trial)
            process.kill()
            process.join()
            assert folder.problem("regions/C-1.json") == ""
        (journal,) = folder.journals()
        assert journal.problem == ""
        assert len(journal.records) > 24

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as other accounts")
    def test_names_taken_by_another_account_stop_nobody(self, folder: JournalFolder) -> None:
        (folder.path / "journal").chmod(0o1777)
        for taken in (".anna.lock", *(f"anna.{number}.jsonl" for number in range(2, 50))):
            (folder.path / "journal" / taken).touch(0o666)
            os.chown(folder.path / "journal" / taken, 20_001, -1)
        for number in range(3):
            folder.write(f"text {number}")
        assert folder.problem() == ""
        (name,) = (journal.name for journal in folder.journals() if journal.records)
        assert len(name) == len("anna.") + 16, "one journal with a random name is begun and continued"

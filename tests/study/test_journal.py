"""Journals: records before each change, interrupted and damaged journals, and changes without a record."""

import contextlib
import errno
import hashlib
import itertools
import multiprocessing
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratui.errors import StoreError
from ratui.study.store.history import changes_by_path, expected_contents, explain_content
from ratui.study.store.journal import JournalFile, JournalRecord, parse_journal, read_journals
from ratui.study.store.journal_writer import JournalWriter

PATH = "regions/C-1.json"


def digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest() if content else ""


class Folder:
    """A study in miniature: text files by path, and journals."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        (folder / "journal").mkdir(exist_ok=True)
        self.descriptor = os.open(folder / "journal", os.O_RDONLY)

    def file(self, path: str) -> Path:
        return self.path / path.replace("/", "-")

    def state(self, path: str) -> str:
        with contextlib.suppress(FileNotFoundError):
            return hashlib.sha256(self.file(path).read_bytes()).hexdigest()
        return ""

    def writer(self, account: str = "anna") -> JournalWriter:
        return JournalWriter(self.descriptor, self.state, account)

    def put(self, path: str, content: str) -> None:
        """Replace a file without a record."""
        temporary = self.path / f"unfinished-{os.getpid()}"
        temporary.write_text(content)
        temporary.replace(self.file(path))

    def write(self, content: str, *, path: str = PATH, account: str = "anna") -> None:
        with self.writer(account).recording(path, digest(content)):
            self.put(path, content)

    def remove(self, path: str = PATH, account: str = "anna") -> None:
        with self.writer(account).recording(path, ""):
            self.file(path).unlink()

    def journals(self) -> tuple[JournalFile, ...]:
        return read_journals(self.descriptor)

    def problem(self, path: str = PATH) -> str:
        return explain_content(changes_by_path(self.journals()).get(path, ()), self.state(path))

    def journal(self, name: str = "anna") -> Path:
        return self.path / "journal" / f"{name}.jsonl"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    made = Folder(tmp_path)
    yield made
    os.close(made.descriptor)


class TestRecords:
    def test_each_change_has_its_record(self, folder: Folder) -> None:
        folder.write("one")
        folder.write("two")
        (journal,) = folder.journals()
        assert (journal.name, journal.uid, journal.problem) == ("anna", os.geteuid(), "")
        assert [(record.number, record.kind) for record in journal.records] == [
            (1, "write"),
            (2, "done"),
            (3, "write"),
            (4, "done"),
        ]
        third = journal.records[2]
        assert (third.path, third.before, third.after) == (PATH, digest("one"), digest("two"))
        assert folder.problem() == ""

    def test_the_record_is_on_the_disk_before_the_file(self, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
        done: list[str] = []
        synced = os.fsync

        def sync(descriptor: int) -> None:
            done.append("sync")
            synced(descriptor)

        monkeypatch.setattr(os, "fsync", sync)
        with folder.writer().recording(PATH, digest("one")):
            done.append("file")
            folder.put(PATH, "one")
        assert done.index("file") == 2, "the journal and its folder are synced before"
        done.clear()
        folder.write("two")
        assert done == ["sync"]

    def test_an_unchanged_file_has_no_record(self, folder: Folder) -> None:
        folder.write("one")
        before = folder.journal().read_bytes()
        folder.write("one")
        assert folder.journal().read_bytes() == before

    def test_a_journal_can_be_read_by_the_group_and_written_by_its_account_only(self, folder: Folder) -> None:
        (folder.path / "journal").chmod(0o3770)
        folder.write("one")
        assert folder.journal().stat().st_mode & 0o777 == 0o640
        assert (folder.path / "journal" / ".anna.lock").stat().st_mode & 0o777 == 0o600
        (folder.path / "journal").chmod(0o700)
        folder.write("two", account="bert")
        assert folder.journal("bert").stat().st_mode & 0o777 == 0o600

    def test_files_from_before_the_journal(self, folder: Folder) -> None:
        folder.put(PATH, "old")
        assert "no journal records" in folder.problem()
        folder.writer().begin({PATH: folder.state(PATH)})
        assert folder.problem() == ""
        assert [record.kind for record in folder.journals()[0].records] == ["first"]

    def test_a_change_by_hand_can_be_accepted(self, folder: Folder) -> None:
        folder.write("one")
        folder.put(PATH, "by hand")
        assert "changed without a record" in folder.problem()
        (expected,) = expected_contents(changes_by_path(folder.journals())[PATH])
        folder.writer("manager").accept(PATH, expected)
        assert folder.problem() == ""
        folder.put(PATH, "again")
        assert "changed without a record; the last recorded change: manager" in folder.problem()


class TestChangesWithoutARecord:
    def test_another_content(self, folder: Folder) -> None:
        folder.write("one")
        folder.put(PATH, "two")
        assert "changed without a record" in folder.problem()

    @pytest.mark.parametrize("accounts", [("anna", "anna", "anna"), ("anna", "bert", "anna")])
    def test_an_earlier_version(self, folder: Folder, accounts: tuple[str, str, str]) -> None:
        for account, content in zip(accounts, ("one", "two", "three"), strict=True):
            folder.write(content, account=account)
        for content in ("one", "two"):
            folder.put(PATH, content)
            assert "earlier version" in folder.problem()

    def test_a_removed_file(self, folder: Folder) -> None:
        folder.write("one")
        folder.file(PATH).unlink()
        assert "removed without a record" in folder.problem()
        folder.write("one")
        assert "not recorded" in folder.problem()

    def test_a_recorded_removal(self, folder: Folder) -> None:
        folder.write("one")
        folder.remove()
        assert folder.problem() == ""
        folder.write("two", account="bert")
        assert folder.problem() == ""

    def test_a_second_first_record(self, folder: Folder) -> None:
        folder.write("one")
        folder.put(PATH, "two")
        folder.writer("bert").begin({PATH: folder.state(PATH)})
        assert folder.problem()

    def test_a_content_that_returns(self, folder: Folder) -> None:
        for content in ("one", "two", "one", "two", "one"):
            folder.write(content)
        assert folder.problem() == ""
        folder.put(PATH, "two")
        assert "earlier version" in folder.problem()

    def test_a_lost_journal(self, folder: Folder) -> None:
        folder.write("one")
        folder.write("two", account="bert")
        folder.journal("anna").unlink()
        assert folder.problem()


class TestDamage:
    def fill(self, folder: Folder) -> bytes:
        for number in range(4):
            folder.write(f"text {number}")
        return folder.journal().read_bytes()

    def test_every_changed_byte_is_noticed(self, folder: Folder) -> None:
        data = self.fill(folder)
        for place in range(len(data) - 1):  # without the last line's end
            changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
            assert parse_journal(changed)[1], place

    def test_a_line_that_is_removed_moved_or_inserted_is_noticed(self, folder: Folder) -> None:
        lines = self.fill(folder).splitlines(keepends=True)
        for number in range(len(lines) - 1):
            assert parse_journal(b"".join(lines[:number] + lines[number + 1 :]))[1]
            swapped = [*lines[:number], lines[number + 1], lines[number], *lines[number + 2 :]]
            assert parse_journal(b"".join(swapped))[1]
            assert parse_journal(b"".join([*lines[:number], lines[number], *lines[number:]]))[1]

    def test_one_damaged_line_hides_no_later_record(self, folder: Folder) -> None:
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
    def test_odd_lines_stop_nobody(self, folder: Folder, line: bytes) -> None:
        folder.write("one", account="bert")
        folder.journal().write_bytes(line + b"\n")
        folder.write("two")
        assert folder.problem() == "", "bert's and anna's records are used"
        problems = {each.name: bool(each.problem) for each in folder.journals()}
        assert problems == {"anna": True, "anna.2": False, "bert": False}

    @pytest.mark.parametrize("kind", ["folder", "fifo", "link", "socket"])
    def test_another_object_in_place_of_a_journal_stops_nobody(self, folder: Folder, kind: str, tmp_path: Path) -> None:
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
        assert folder.journal("anna.2").exists()
        assert folder.problem() == ""
        assert next(each for each in folder.journals() if each.name == "anna").problem

    def test_a_journal_may_be_a_gigabyte_of_zeros(self, folder: Folder) -> None:
        with folder.journal().open("wb") as file:
            file.truncate(2**33)
        began = time.monotonic()
        folder.write("one")
        assert folder.problem() == ""
        assert time.monotonic() - began < 5


class TestInterruptions:
    @pytest.mark.parametrize("replaced", [False, True])
    def test_a_write_without_its_outcome_is_no_fault(self, folder: Folder, replaced: bool) -> None:
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

    def test_every_torn_line_is_no_fault(self, folder: Folder) -> None:
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

    def test_a_torn_line_is_removed_as_a_whole(self, folder: Folder) -> None:
        folder.write("one")
        with folder.journal().open("ab") as file:
            file.write(b"x" * 900)  # longer than the next record
        folder.write("two")
        assert folder.journals()[0].problem == ""
        assert folder.problem() == ""
        assert b"xx" not in folder.journal().read_bytes()

    @pytest.mark.parametrize("call", ["fsync", "pwrite"])
    def test_without_a_record_nothing_is_saved(
        self, folder: Folder, call: str, monkeypatch: pytest.MonkeyPatch
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

    def test_a_short_write_is_completed_or_taken_back(self, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
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
            folder = Folder(place)
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
    folder = Folder(path)
    for number in range(count):
        folder.write(f"{name} {number}", path=f"regions/{name}.json", account=account)


class TestSeveralWriters:
    def test_one_account_in_several_processes(self, folder: Folder) -> None:
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

    def test_accounts_in_turn(self, folder: Folder) -> None:
        for number in range(9):
            folder.write(f"text {number}", account=["anna", "bert", "cleo"][number % 3])
        assert folder.problem() == ""

    def test_killed_writers_leave_a_journal_that_goes_on(self, folder: Folder) -> None:
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
    def test_names_taken_by_another_account_stop_nobody(self, folder: Folder) -> None:
        (folder.path / "journal").chmod(0o1777)
        for taken in (".anna.lock", "anna.2.jsonl"):
            (folder.path / "journal" / taken).touch(0o666)
            os.chown(folder.path / "journal" / taken, 20_001, -1)
        folder.write("one")
        assert folder.journal("anna.3").exists()
        assert folder.problem() == ""


def _record(before: str, after: str, number: int) -> JournalRecord:
    return JournalRecord(number, "2026-01-01", "write", PATH, digest(before), digest(after))


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=8), st.data())
@settings(max_examples=150, deadline=None)
def test_a_history_ends_with_its_last_content_only(contents: list[str], data: st.DataObject) -> None:
    """Whatever contents a file has had, and whoever wrote them, only the last one is explained."""
    walk = [content for content, before in zip(contents, ["", *contents], strict=False) if content != before]
    edges = [
        _record(before, after, 2 * n) for n, (before, after) in enumerate(itertools.pairwise(["", *walk]), start=1)
    ]
    owners = [data.draw(st.sampled_from(["anna", "bert"])) for _ in edges]
    journals = []
    for name in ("anna", "bert"):
        records = [edge for edge, owner in zip(edges, owners, strict=True) if owner == name]
        done = [JournalRecord(record.number + 1, "2026-01-01", "done", of=record.number) for record in records]
        journals.append(JournalFile(name, 0, (*records, *done)))
    changes = changes_by_path(journals)[PATH]
    for present in ("", "a", "b", "c"):
        assert (explain_content(changes, digest(present)) == "") == (present == walk[-1])


@pytest.mark.parametrize("make", [lambda folder: folder.state, lambda folder: lambda path: ""])
def test_the_state_is_asked_for_each_write(folder: Folder, make: Callable[[Folder], Callable[[str], str]]) -> None:
    """A wrong state gives a wrong record, which is noticed: the history has no other source."""
    writer = JournalWriter(folder.descriptor, make(folder), "anna")
    for content in ("one", "two"):
        with writer.recording(PATH, digest(content)):
            folder.put(PATH, content)
    assert bool(folder.problem()) == (make(folder)(PATH) == "")

"""Journals: records before each change, changes without a record, and histories of several accounts."""

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratui.study.store.history import changes_by_path, expected_contents, explain_content
from ratui.study.store.journal import JournalFile, JournalRecord
from ratui.study.store.journal_writer import JournalWriter
from tests.support.journal_folder import PATH, JournalFolder, digest


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[JournalFolder]:
    made = JournalFolder(tmp_path)
    yield made
    os.close(made.descriptor)


class TestRecords:
    def test_each_change_has_its_record(self, folder: JournalFolder) -> None:
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

    def test_the_record_is_on_the_disk_before_the_file(
        self, folder: JournalFolder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
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

    def test_an_unchanged_file_has_no_record(self, folder: JournalFolder) -> None:
        folder.write("one")
        before = folder.journal().read_bytes()
        folder.write("one")
        assert folder.journal().read_bytes() == before

    def test_a_journal_can_be_read_by_the_group_and_written_by_its_account_only(self, folder: JournalFolder) -> None:
        (folder.path / "journal").chmod(0o3770)
        folder.write("one")
        assert folder.journal().stat().st_mode & 0o777 == 0o640
        assert (folder.path / "journal" / ".anna.lock").stat().st_mode & 0o777 == 0o600
        (folder.path / "journal").chmod(0o700)
        folder.write("two", account="bert")
        assert folder.journal("bert").stat().st_mode & 0o777 == 0o600

    def test_files_from_before_the_journal(self, folder: JournalFolder) -> None:
        folder.put(PATH, "old")
        assert "no journal records" in folder.problem()
        folder.writer().begin({PATH: folder.state(PATH)})
        assert folder.problem() == ""
        assert [record.kind for record in folder.journals()[0].records] == ["first"]

    def test_a_change_by_hand_can_be_accepted(self, folder: JournalFolder) -> None:
        folder.write("one")
        folder.put(PATH, "by hand")
        assert "changed without a record" in folder.problem()
        (expected,) = expected_contents(changes_by_path(folder.journals())[PATH])
        folder.writer("manager").accept(PATH, expected)
        assert folder.problem() == ""
        folder.put(PATH, "again")
        assert "changed without a record; the last recorded change: manager" in folder.problem()


class TestChangesWithoutARecord:
    def test_another_content(self, folder: JournalFolder) -> None:
        folder.write("one")
        folder.put(PATH, "two")
        assert "changed without a record" in folder.problem()

    @pytest.mark.parametrize("accounts", [("anna", "anna", "anna"), ("anna", "bert", "anna")])
    def test_an_earlier_version(self, folder: JournalFolder, accounts: tuple[str, str, str]) -> None:
        for account, content in zip(accounts, ("one", "two", "three"), strict=True):
            folder.write(content, account=account)
        for content in ("one", "two"):
            folder.put(PATH, content)
            assert "earlier version" in folder.problem()

    def test_a_removed_file(self, folder: JournalFolder) -> None:
        folder.write("one")
        folder.file(PATH).unlink()
        assert "removed without a record" in folder.problem()
        folder.write("one")
        assert "not recorded" in folder.problem()

    def test_a_recorded_removal(self, folder: JournalFolder) -> None:
        folder.write("one")
        folder.remove()
        assert folder.problem() == ""
        folder.write("two", account="bert")
        assert folder.problem() == ""

    def test_a_second_first_record(self, folder: JournalFolder) -> None:
        folder.write("one")
        folder.put(PATH, "two")
        folder.writer("bert").begin({PATH: folder.state(PATH)})
        assert folder.problem()

    def test_a_content_that_returns(self, folder: JournalFolder) -> None:
        for content in ("one", "two", "one", "two", "one"):
            folder.write(content)
        assert folder.problem() == ""
        folder.put(PATH, "two")
        assert "earlier version" in folder.problem()

    def test_a_lost_journal(self, folder: JournalFolder) -> None:
        folder.write("one")
        folder.write("two", account="bert")
        folder.journal("anna").unlink()
        assert folder.problem()


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
def test_the_state_is_asked_for_each_write(
    folder: JournalFolder, make: Callable[[JournalFolder], Callable[[str], str]]
) -> None:
    """A wrong state gives a wrong record, which is noticed: the history has no other source."""
    writer = JournalWriter(folder.descriptor, make(folder), "anna")
    for content in ("one", "two"):
        with writer.recording(PATH, digest(content)):
            folder.put(PATH, content)
    assert bool(folder.problem()) == (make(folder)(PATH) == "")

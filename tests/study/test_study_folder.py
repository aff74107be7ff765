"""Files inside a study are opened without following a link, and only if they are regular files of a sane size."""

import hashlib
import os
import stat
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest

from ratui.errors import DamagedError, StoreError
from ratui.files import share_folder
from ratui.study.store import StudyFolder, open_folder
from ratui.study.store import folder as folder_module
from ratui.study.store.journaling import is_recorded
from ratui.study.store.open_folder import open_directory
from tests.films import make_study

Put = Callable[[Path], object]


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    (tmp_path / "study" / "readings" / "anna").mkdir(parents=True)
    (tmp_path / "study" / "readings" / "anna" / "C-1.json").write_bytes(b"entries")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "C-1.json").write_bytes(b"secret")
    return StudyFolder(tmp_path / "study")


def outside(folder: StudyFolder) -> Path:
    return folder.path.parent / "outside"


def state(path: Path) -> dict[str, tuple[int, bytes]]:
    """Return the modes and contents of everything in `path`."""
    found = sorted(path.rglob("*"))
    return {str(each): (each.stat().st_mode, each.read_bytes() if each.is_file() else b"") for each in found}


def swap_for_link(folder: StudyFolder) -> None:
    """Replace the folder of anna's readings by a link, as whoever may write in ``readings`` can at any moment."""
    anna = folder.path / "readings" / "anna"
    anna.rename(anna.with_name("before"))
    anna.symlink_to(outside(folder))


ACTIONS: dict[str, Callable[[StudyFolder], object]] = {
    "read": lambda folder: folder.read("readings/anna/C-1.json"),
    "digest": lambda folder: folder.digest("readings/anna/C-1.json"),
    "tail": lambda folder: folder.tail("readings/anna/C-1.json", 3),
    "write": lambda folder: folder.write("readings/anna/C-1.json", b"new"),
    "remove": lambda folder: folder.remove("readings/anna/C-1.json"),
    "rename": lambda folder: folder.rename("readings/anna/C-1.json", "C-2.json"),
    "set_aside": lambda folder: folder.set_aside("readings/anna/C-1.json"),
    "open_lock": lambda folder: folder.open_lock("readings/anna/C-1.lock"),
    "make_folder": lambda folder: folder.make_folder("readings/anna/new"),
    "scan": lambda folder: folder.scan("readings/anna"),
    "find": lambda folder: folder.find("readings/anna/C-1.json"),
    "signature": lambda folder: folder.signature("readings/anna/C-1.json"),
    "exists": lambda folder: folder.exists("readings/anna/C-1.json"),
    "signatures_below": lambda folder: folder.signatures_below("readings/anna", "C-1.json"),
    "read_intact": lambda folder: folder.read_intact("readings/anna/C-1.json", lambda data: None),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_a_folder_that_becomes_a_link_is_not_entered(folder: StudyFolder, action: str) -> None:
    folder.read("readings/anna/C-1.json")
    swap_for_link(folder)
    before = state(outside(folder))
    with pytest.raises((StoreError, OSError)):
        ACTIONS[action](folder)
    assert state(outside(folder)) == before


@pytest.mark.parametrize("action", ACTIONS)
def test_a_folder_that_is_kept_open_and_becomes_a_link_is_not_entered(folder: StudyFolder, action: str) -> None:
    with folder.holding("readings/anna") as held:
        held.read("readings/anna/C-1.json")
        swap_for_link(folder)
        before = state(folder.path.parent)
        with pytest.raises((StoreError, OSError)):
            ACTIONS[action](held)
        assert state(folder.path.parent) == before


def test_a_folder_that_took_the_place_of_one_that_is_kept_open_counts(folder: StudyFolder) -> None:
    with folder.holding("readings/anna") as held:
        (folder.path / "readings" / "anna").rename(folder.path / "readings" / "before")
        with pytest.raises(StoreError):
            held.write("readings/anna/C-1.json", b"new")
        folder.make_folder("readings/anna")
        assert not held.exists("readings/anna/C-1.json")
        held.write("readings/anna/C-1.json", b"new")
    assert folder.read("readings/anna/C-1.json") == b"new"
    assert folder.read("readings/before/C-1.json") == b"entries"


def test_a_folder_that_is_kept_open_is_opened_once(folder: StudyFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = list[str]()

    def count(path: str, *, folder: int | None = None) -> int:
        opened.append(path)
        return open_directory(path, folder=folder)

    monkeypatch.setattr(open_folder, "open_directory", count)
    with folder.holding("readings/anna") as held:
        for _ in range(3):
            held.write("readings/anna/C-1.json", b"new")
            assert held.read("readings/anna/C-1.json") == b"new"
        assert held.exists("regions") is False
        assert held.exists("readings/anna") is True
    assert opened == ["readings", "anna", "readings"]
    assert folder.read("readings/anna/C-1.json") == b"new"


def test_a_copy_with_a_kept_folder_opens_it_again_after_the_block(folder: StudyFolder) -> None:
    with folder.holding("readings/anna") as held:
        pass
    decoy = os.open(outside(folder), os.O_RDONLY)  # takes the number of the closed descriptor
    try:
        assert held.read("readings/anna/C-1.json") == b"entries"
    finally:
        os.close(decoy)


def test_no_journal_records_a_reading(folder: StudyFolder) -> None:
    """Check that `OpenFolder.write` leaves out only what is not recorded."""
    assert not is_recorded(f"{open_folder.READINGS}anna/C-1.json")
    assert not is_recorded(f"{open_folder.READINGS}films.json")


@pytest.mark.parametrize("path", ["/etc/passwd", "../outside/C-1.json", "readings/../../outside", "a//b", ".", "a\0b"])
def test_a_path_outside_is_an_error_of_the_program(folder: StudyFolder, path: str) -> None:
    for action in (folder.read, folder.find, folder.remove, folder.file, folder.make_folder):
        with pytest.raises(ValueError, match="not a path inside"):
            action(path)
    with pytest.raises(ValueError, match="not a path inside"):
        folder.write(path, b"")


def fifo(path: Path) -> None:
    os.mkfifo(path)


def huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 10**12)  # sparse: it takes no space


KINDS: dict[str, Put] = {
    "link": lambda path: path.symlink_to("../../../outside/C-1.json"),
    "fifo": fifo,
    "huge": huge,
    "folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_only_regular_files_of_a_sane_size_are_read(folder: StudyFolder, kind: str) -> None:
    path = folder.path / "readings" / "anna" / "C-1.json"
    path.unlink()
    KINDS[kind](path)
    done: list[object] = []

    def read_all() -> None:  # in a thread, because opening a FIFO could wait for ever
        for action in ("read", "digest", "tail", "read_intact"):
            try:
                done.append(ACTIONS[action](folder))
            except StoreError as error:
                done.append(error.problem)

    thread = threading.Thread(target=read_all, daemon=True)
    thread.start()
    thread.join(10)
    assert len(done) == 4
    text = {"link": "symbolic link", "huge": "larger than any"}.get(kind, "not a regular file")
    assert all(text in str(each) for each in done)


def test_a_lock_file_must_be_a_regular_file(folder: StudyFolder) -> None:
    for name, put in KINDS.items():
        if name != "huge":
            put(folder.path / f"{name}.lock")
            with pytest.raises(OSError, match=r"regular file|symbolic links|directory"):
                folder.open_lock(f"{name}.lock")
    os.close(folder.open_lock("plain.lock"))
    assert stat.S_IMODE((folder.path / "plain.lock").stat().st_mode) == 0o600


def test_reading_has_a_deadline(folder: StudyFolder) -> None:
    with pytest.raises(StoreError, match="too slow"):
        folder.read("readings/anna/C-1.json", deadline=-1.0)
    with pytest.raises(StoreError, match="too slow"):
        folder.digest("readings/anna/C-1.json", deadline=-1.0)


def test_a_file_that_grows_while_it_is_read(folder: StudyFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module.os, "read", lambda descriptor, count: b"x" * 40)
    with pytest.raises(StoreError, match="larger than any"):
        folder.read("readings/anna/C-1.json", largest=100)


def test_bytes_digest_and_tail(folder: StudyFolder) -> None:
    file = "readings/anna/C-1.json"
    assert folder.read(file) == b"entries"
    assert folder.read(file, largest=7) == b"entries"
    assert folder.digest(file) == hashlib.sha256(b"entries").hexdigest()
    assert (folder.tail(file, 3), folder.tail(file, 100)) == (b"ies", b"entries")
    large = os.urandom(3_000_000)
    folder.write("large", large)
    assert folder.read("large") == large
    assert folder.digest("large") == hashlib.sha256(large).hexdigest()


def test_what_is_missing(folder: StudyFolder) -> None:
    for path in ("readings/anna/C-9.json", "readings/zoe/C-1.json"):
        with pytest.raises(FileNotFoundError):
            folder.read(path)
        assert (folder.find(path), folder.signature(path), folder.exists(path)) == (None, None, False)
        folder.remove(path)
    assert folder.scan("nowhere") == {}
    assert folder.read_intact("readings/anna/C-9.json", lambda data: None) is None


def test_a_listing_leaves_out_links(folder: StudyFolder) -> None:
    anna = folder.path / "readings" / "anna"
    (anna / "C-2.json").symlink_to("C-1.json")
    (anna / "C-3.txt").touch()
    (folder.path / "readings" / "zoe").symlink_to("anna")
    assert folder.files("readings/anna", ".json") == ["C-1.json"]
    assert folder.folders("readings") == ["anna"]
    assert sorted(folder.scan("readings")) == ["anna", "zoe"]
    assert folder.signatures_below("readings", "C-1.json") == {"anna": folder.signature("readings/anna/C-1.json")}
    assert folder.is_folder("readings")
    assert not folder.is_folder("readings/zoe")


def test_a_write_replaces_a_link_and_not_its_target(folder: StudyFolder) -> None:
    path = folder.path / "readings" / "anna" / "C-1.json"
    path.unlink()
    path.symlink_to(outside(folder) / "C-1.json")
    folder.write("readings/anna/C-1.json", b"new")
    assert not path.is_symlink()
    assert path.read_bytes() == path.with_name("C-1.json.bak").read_bytes() == b"new"
    assert (outside(folder) / "C-1.json").read_bytes() == b"secret"


def test_access_follows_the_folder(folder: StudyFolder) -> None:
    share_folder(folder.path / "readings", os.getgid(), 0o070)
    folder.make_folder("readings/bert/deep", group=0o050, sticky=True)
    folder.make_folder("readings/bert")
    folder.write("readings/bert/C-1.json", b"x", copy=False)
    folder.write("readings/bert/private", b"x", private=True)
    modes = {name: stat.S_IMODE((folder.path / "readings" / name).stat().st_mode) for name in ("bert", "bert/deep")}
    assert modes == {"bert": 0o2770, "bert/deep": 0o3750}
    found = {name: stat.S_IMODE(entry.st_mode) for name, entry in folder.scan("readings/bert").items()}
    assert found == {"deep": 0o3750, "C-1.json": 0o660, "private": 0o600, "private.bak": 0o600}


def test_another_file_system_is_not_entered(folder: StudyFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.read("readings/anna/C-1.json")
    folder._device += 1
    with pytest.raises(StoreError, match="another file system"):
        folder.read("readings/anna/C-1.json")


def test_the_second_copy_is_read_if_the_first_is_damaged(folder: StudyFolder) -> None:
    def check(data: bytes) -> None:
        if data != b"good":
            raise DamagedError("bad")

    folder.write("readings/anna/C-1.json", b"good")
    assert folder.read_intact("readings/anna/C-1.json", check) == (b"good", "")
    (folder.path / "readings/anna/C-1.json").write_bytes(b"broken")
    found = folder.read_intact("readings/anna/C-1.json", check)
    assert found is not None
    assert found[0] == b"good"
    assert "second copy" in found[1]
    aside = folder.set_aside("readings/anna/C-1.json")
    assert ".damaged-" in aside
    assert folder.read(aside) == b"broken"
    found = folder.read_intact("readings/anna/C-1.json", check)
    assert found is not None
    assert "missing" in found[1]
    (folder.path / "readings/anna/C-1.json.bak").write_bytes(b"broken")
    with pytest.raises(DamagedError, match="missing"):
        folder.read_intact("readings/anna/C-1.json", check)


def test_a_record_in_the_journal_comes_before_the_write(folder: StudyFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are no readings are recorded; a write without a record does not happen."""
    (folder.path / "journal").mkdir()
    (folder.path / "regions").mkdir()
    folder.write("readings/anna/C-1.json", b"new")
    assert list((folder.path / "journal").iterdir()) == []
    folder.write("regions/C-1.json", b"one")
    (journal,) = (folder.path / "journal").glob("*.jsonl")
    assert b'"path":"regions/C-1.json"' in journal.read_bytes()

    def refuse(*arguments: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", refuse)
    with pytest.raises(StoreError, match="the journal can't be written"):
        folder.write("regions/C-1.json", b"two")
    assert folder.read("regions/C-1.json") == b"one"
    folder.write("readings/anna/C-1.json", b"newer")


def test_the_folder_is_closed_with_its_object(tmp_path: Path) -> None:
    def is_open() -> bool:
        with os.scandir("/proc/self/fd") as entries:
            return any(path.samefile(tmp_path) for path in map(Path, entries) if path.exists())

    folder = StudyFolder(tmp_path)
    assert folder.scan() == {}
    assert is_open()
    del folder
    assert not is_open()


def test_the_folder_may_be_reached_through_a_link_and_be_moved(folder: StudyFolder) -> None:
    link = folder.path.parent / "link"
    link.symlink_to(folder.path)
    study = StudyFolder(link)
    assert study.read("readings/anna/C-1.json") == b"entries"
    link.unlink()
    link.symlink_to(outside(folder))
    assert study.read("readings/anna/C-1.json") == b"entries"


def test_the_folder_of_a_study_is_closed_after_the_last_use(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    study.case(study.cases()[0])
    folder = weakref.ref(study.folder)
    del study
    assert folder() is None, "a cycle of references keeps it open"

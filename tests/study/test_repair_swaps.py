"""Folders that are replaced by links while the check runs: the check acts on the objects that it inspected."""

# ruff: noqa: F811

from collections.abc import Callable
from pathlib import Path

import pytest

from ratui import files
from ratui.study import Study
from ratui.study.check import access, check_study, leftovers, table_files
from ratui.study.store import StudyFile
from tests.study.test_repair_links import State, fill, home, list_problems, put_link, shared, state, study  # noqa: F401

pytestmark = pytest.mark.slow


def swap(path: Path, home: Path) -> None:
    """Replace the folder `path` by a link to `home`, as anyone who may rename it can do at any moment."""
    if not path.is_symlink():
        path.rename(path.with_name(f"{path.name}-before"))
        path.symlink_to(home)


class TestSwappedFolder:
    """A folder becomes a link between the inspection and the action."""

    @pytest.mark.parametrize("place", ["readings/anna", "regions", "films/{case}", "models/run"])
    def test_after_the_scan_of_the_access(
        self, shared: Study, home: Path, monkeypatch: pytest.MonkeyPatch, place: str
    ) -> None:
        folder = shared.path / place.format(case=shared.cases()[0])
        for path in folder.iterdir():
            path.chmod(0o777)
        folder.chmod(0o777)
        before = state(home, read=False)
        monkeypatch.setattr(access.time, "sleep", lambda _: swap(folder, home))
        check_study(shared.path, repair=True)
        assert folder.is_symlink(), "swapped"
        assert state(home, read=False) == before

    @pytest.mark.parametrize("place", ["readings/anna", "regions", "films/{case}", "models/run"])
    def test_just_before_the_access_is_set(
        self, shared: Study, home: Path, monkeypatch: pytest.MonkeyPatch, place: str
    ) -> None:
        folder = shared.path / place.format(case=shared.cases()[0])
        for path in folder.iterdir():
            path.chmod(0o777)
        folder.chmod(0o777)
        before = state(home, read=False)
        set_access = access._set_access

        def swap_first(*arguments: object) -> None:
            swap(folder, home)
            set_access(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(access, "_set_access", swap_first)
        check_study(shared.path, repair=True)
        assert folder.is_symlink(), "swapped"
        assert state(home, read=False) == before

    def test_a_file_that_takes_the_place_of_another_is_not_changed(
        self, shared: Study, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (case,) = shared.cases()
        path = shared.reading_path("anna", case)
        path.chmod(0o666)
        set_access = access._set_access

        def swap_first(*arguments: object) -> None:
            (home / ".bashrc").replace(path)
            set_access(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(access, "_set_access", swap_first)
        mode = (home / ".bashrc").stat().st_mode
        (fault,) = access.check_access(shared.path, shared.config.group, repair=True)
        assert not fault.repaired
        assert path.stat().st_mode == mode

    @pytest.mark.parametrize("damage", ["one", "both"])
    @pytest.mark.parametrize("moment", ["listed", "opened", "locked"])
    @pytest.mark.parametrize("place", ["readings/anna", "regions", "proposals/m", "models/run", "models/run/answers"])
    def test_while_a_file_is_repaired(
        self, study: Study, home: Path, monkeypatch: pytest.MonkeyPatch, place: str, moment: str, damage: str
    ) -> None:
        (case,) = study.cases()
        folder = study.path / place
        file = folder / (f"answers/{case}.json" if place == "models/run" else f"{case}.json")
        file.write_bytes(b"broken")
        if damage == "both":
            files.second_copy_path(file).write_bytes(b"broken, too")
        before = state(home, read=False)

        def first(owner: object, name: str) -> None:
            real: Callable[..., object] = getattr(owner, name)

            def swap_first(*arguments: object, **named: object) -> object:
                paths = {
                    getattr(argument, "path", argument) for argument in arguments if not isinstance(argument, Study)
                }
                if paths & {file, file.with_suffix(".lock")}:
                    swap(folder, home)
                return real(*arguments, **named)

            monkeypatch.setattr(owner, name, swap_first)

        if moment == "listed":
            first(table_files.TableFileChecker, "check")
        elif moment == "opened":
            first(table_files, "read_copies")
        else:
            first(table_files, "FileLock")
        check_study(study.path, repair=True)
        assert folder.is_symlink(), "swapped"
        assert state(home, read=False) == before

    def test_before_a_reading_is_rebuilt(self, study: Study, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (case,) = study.cases()
        file = study.reading_path("anna", case)
        whole_reading = study.reading("anna", case)
        for each in (file, files.second_copy_path(file)):
            each.write_bytes(each.read_bytes().replace(b'"grade":1', b'"grade":2', 1))
        before = state(home, read=False)
        rewrite = table_files.replace_damaged

        def swap_first(stored: StudyFile, data: bytes) -> None:
            swap(file.parent, home)
            rewrite(stored, data)

        monkeypatch.setattr(table_files, "replace_damaged", swap_first)
        check_study(study.path, repair=True)
        assert state(home, read=False) == before
        file.parent.unlink()
        (file.parent.parent / "anna-before").rename(file.parent)
        monkeypatch.undo()
        assert not check_study(study.path, repair=True).unrepaired
        assert study.reading("anna", case) == whole_reading

    def test_while_leftovers_are_removed(self, study: Study, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = study.path / "readings" / "anna"
        before = state(home, read=False)
        (folder / ".x.tmp").write_bytes(b"")
        remove = leftovers.remove_leftovers

        def swap_first(at: int) -> int:
            swap(folder, home)
            return remove(at)

        monkeypatch.setattr(leftovers, "remove_leftovers", swap_first)
        check_study(study.path, repair=True)
        assert folder.is_symlink(), "swapped"
        assert state(home, read=False) == before

"""Malicious archives and files in a study: neither memory nor disk space is used for them."""

from __future__ import annotations

import json
import os
import shutil
import struct
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from ratui.errors import DamagedError, StoreError
from ratui.study import Study
from ratui.study.check import check_study
from ratui.study.copies.archive_limits import check_directory, find_unexpected
from ratui.study.copies.backup import back_up, open_archive
from ratui.study.copies.restore import restore
from tests.films import make_study
from tests.support.limited_process import run_limited

_HEAD = {"format": 1, "study": "x", "made": "now"}


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return make_study(tmp_path)


def write_archive(path: Path, files: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED, **head: Any) -> None:
    with zipfile.ZipFile(path, "w") as packed:
        for name, data in files.items():
            packed.writestr(name, data, compress_type=kind)
        contents = {**_HEAD, "sums": dict.fromkeys(files, "0" * 64), **head}
        packed.writestr("CONTENTS.json", json.dumps(contents), compress_type=zipfile.ZIP_DEFLATED)


def refused(path: Path) -> str:
    """Return the reason for which `restore` refuses an archive, in a process of limited memory."""
    return run_limited(
        "from pathlib import Path\nfrom ratui.errors import StudyError\nfrom ratui.study.copies.restore import restore\n"
        f"try:\n    restore(Path({str(path)!r}), Path({str(path.with_suffix('.new'))!r}))\n"
        "except StudyError as error:\n    print(type(error).__name__, error.problem)\n"
    )


class TestRestore:
    def test_files_that_are_compressed_too_much(self, tmp_path: Path) -> None:
        for name in ("study.toml", "readings/a/C-1.json"):
            write_archive(tmp_path / "b.zip", {name: b" " * 60_000_000})
            assert "compressed too much" in refused(tmp_path / "b.zip")

    def test_a_list_of_files_that_is_compressed_too_much(self, tmp_path: Path) -> None:
        """Make an archive of 200 kB whose list needs gigabytes when it is parsed."""
        write_archive(tmp_path / "b.zip", {}, sums={}, more=[[]] * 15_000_000)
        assert (tmp_path / "b.zip").stat().st_size < 250_000
        assert "compressed too much" in refused(tmp_path / "b.zip")

    def test_films_and_models_are_never_compressed(self, tmp_path: Path) -> None:
        for name in ("films/C-1/0a.dcm", "models/run/model.pt"):
            write_archive(tmp_path / "b.zip", {name: b"\0" * 100_000_000})
            assert (tmp_path / "b.zip").stat().st_size < 10_000_000
            assert "compressed by another method" in refused(tmp_path / "b.zip")

    @pytest.mark.parametrize("name", ["study.lock", "films/C-1/0a.txt", "seals/key.pem", "study.toml.bak"])
    def test_files_of_another_kind(self, tmp_path: Path, name: str) -> None:
        write_archive(tmp_path / "b.zip", {name: b"x"}, zipfile.ZIP_STORED)
        assert "a file of no kind that a study contains" in refused(tmp_path / "b.zip")
        assert not (tmp_path / "b.new").exists()

    def test_other_methods_of_compression(self, tmp_path: Path) -> None:
        for kind in (zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2):
            write_archive(tmp_path / "b.zip", {"study.toml": b" " * 1000}, kind)
            assert "compressed by another method" in refused(tmp_path / "b.zip")

    def test_a_list_in_the_archive_that_needs_much_memory(self, tmp_path: Path) -> None:
        # Random digits are compressed little, so only the number of values counts here.
        values = np.random.default_rng(0).integers(0, 1 << 16, 5_000_000).tolist()
        write_archive(tmp_path / "b.zip", {}, more=values)
        assert "not a backup of a study" in refused(tmp_path / "b.zip")

    def test_very_many_entries(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "b.zip", "w") as packed:
            packed.writestr("readings/a/1.json", b"")
            packed.filelist *= 310_000
        assert "larger than that of any study" in refused(tmp_path / "b.zip")

    def test_entries_that_share_bytes(self, tmp_path: Path) -> None:
        """Let 500 entries of the list point to one stored file, each under its own name of equal length."""
        names = [f"films/C-1/{number:04d}.dcm" for number in range(500)]
        data = os.urandom(100_000)
        path = tmp_path / "b.zip"
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr(names[0], data)
            entry = packed.infolist()[0]
            for name in names[1:]:
                other = zipfile.ZipInfo(name)
                for value in ("CRC", "compress_size", "file_size", "header_offset", "external_attr"):
                    setattr(other, value, getattr(entry, value))
                packed.filelist.append(other)
            packed.writestr("CONTENTS.json", json.dumps({**_HEAD, "sums": dict.fromkeys(names, "0" * 64)}))
        assert path.stat().st_size < 300_000
        assert "share their bytes" in refused(path)

    def test_a_size_that_is_declared_too_small(self, study: Study, tmp_path: Path) -> None:
        path = back_up(study, tmp_path / "b.zip").path
        data = path.read_bytes()
        with zipfile.ZipFile(path) as packed:
            size = packed.getinfo("scheme.toml").file_size
        changed = data.replace(struct.pack("<L", size), struct.pack("<L", 10))
        assert changed != data
        path.write_bytes(changed)
        with pytest.raises(DamagedError):
            restore(path, tmp_path / "new")
        assert not (tmp_path / "new").exists()

    def test_a_disk_with_too_little_space(self, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = back_up(study, tmp_path / "b.zip").path
        needed = sum(file.stat().st_size for file in study.path.rglob("*.dcm"))
        monkeypatch.setattr(shutil, "disk_usage", lambda path: _Usage(needed // 2))
        with pytest.raises(StoreError, match="are free"):
            restore(path, tmp_path / "new")
        assert not (tmp_path / "new").exists()
        with pytest.raises(StoreError, match="are free"):
            back_up(study, tmp_path / "c.zip")
        assert not list(tmp_path.glob("*c.zip*"))

    def test_an_archive_with_64_bit_sizes_is_read(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "b.zip", "w") as packed:
            packed.writestr("1.json", b"")
            packed.filelist *= 66_000
        check_directory(tmp_path / "b.zip")
        data = (tmp_path / "b.zip").read_bytes()
        for changed in (data + b"x", data[:-1], b"x" + data, data[:-98] + b"\xff" * 4 + data[-94:]):
            (tmp_path / "c.zip").write_bytes(changed)
            with pytest.raises(DamagedError):
                check_directory(tmp_path / "c.zip")


class _Usage(NamedTuple):
    free: int


class TestBackup:
    def test_a_sparse_file_does_not_fill_the_disk(self, study: Study, tmp_path: Path) -> None:
        """Put sparse files of a terabyte where a rater and the trainer can write."""
        planted = ["readings/anna/C-9.json", "regions/C-9.json", "models/run/model.pt", "readings/anna/notes.txt"]
        for name in planted:
            (study.path / name).parent.mkdir(parents=True, exist_ok=True)
            with (study.path / name).open("wb") as file:
                file.truncate(1 << 40)
        with (study.path / "models/run/small.pt").open("wb") as file:
            file.truncate(1 << 30)
        archive = back_up(study, tmp_path / "b.zip")
        assert sorted(archive.left_out) == sorted([*planted, "models/run/small.pt"])
        assert "sparse" in archive.left_out["models/run/small.pt"]
        assert archive.path.stat().st_size < 5_000_000
        back = restore(archive.path, tmp_path / "back").study
        assert check_study(back.path).is_intact

    def test_a_pipe_does_not_stop_a_backup(self, study: Study, tmp_path: Path) -> None:
        (study.path / "readings/anna").mkdir(parents=True)
        os.mkfifo(study.path / "readings/anna/C-9.json")
        archive = back_up(study, tmp_path / "b.zip")
        assert list(archive.left_out) == ["readings/anna/C-9.json"]

    def test_files_of_a_trainer_are_packed(self, study: Study, tmp_path: Path) -> None:
        folder = study.path / "models" / "run"
        folder.mkdir(parents=True)
        (folder / "model.pt").write_bytes(os.urandom(3_000_000))
        (folder / "metrics.jsonl").write_bytes(b'{"epoch":1}\n' * 1000)
        archive = back_up(study, tmp_path / "b.zip")
        assert not archive.left_out
        assert open_archive(archive.path).checksums == archive.checksums
        back = restore(archive.path, tmp_path / "back").study
        for name in ("model.pt", "metrics.jsonl"):
            assert (back.path / "models/run" / name).read_bytes() == (folder / name).read_bytes()

    def test_every_file_of_a_study_is_expected(self, study: Study) -> None:
        found = 0
        for file in study.path.rglob("*"):
            if file.is_file() and file.suffix not in (".lock", ".bak"):
                name = file.relative_to(study.path).as_posix()
                assert find_unexpected(name, file.stat()) == "", name
                found += 1
        assert found > 5

"""Archives as sources of an import: every file in one is unpacked or listed, and none does harm."""

import bz2
import gzip
import io
import lzma
import os
import struct
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest

from ratui.errors import StudyError
from ratui.study import InProcessConverter, Study, import_films
from ratui.study.importing.files import archive_entries, archives, xz_stream
from ratui.study.importing.files.sources import open_sources
from tests.films import film_file, hospital
from tests.support.sources import find, tar_of, write, zip_of

ZIP_METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a temporary folder of its own, in which nothing may be left."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


class TestArchives:
    @pytest.mark.parametrize("method", ZIP_METHODS)
    def test_a_zip_file_is_read(self, tmp_path: Path, method: int, temporary: Path) -> None:
        archive = zip_of(tmp_path / "x.zip", {"a/one.dcm": b"1" * 3000, "b\\two": b"2", "empty/": b""}, method)
        for path in (archive, tmp_path):  # the second one contains the folder for temporary files
            files, skipped = find(path)
            assert files == {"a/one.dcm": b"1" * 3000, "b/two": b"2"}
            assert not skipped
        assert not list(temporary.iterdir())

    @pytest.mark.parametrize("mode", ["w:", "w:gz", "w:bz2", "w:xz"])
    @pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    def test_a_tar_file_is_read(self, tmp_path: Path, mode: str, form: int) -> None:
        names = ["a/one.dcm", f"{'folder/' * 20}{'n' * 90}", "b/ä"]
        with tarfile.open(tmp_path / "any.name", mode, format=form) as archive:  # type: ignore[call-overload]
            for number, name in enumerate(names):
                info = tarfile.TarInfo(name)
                info.size = 5_000 * number + 1
                archive.addfile(info, io.BytesIO(b"x" * info.size))
        files, skipped = find(tmp_path / "any.name")
        assert {name: len(content) for name, content in files.items()} == {
            "/".join(Path(name).parts[-2:]): 5_000 * number + 1 for number, name in enumerate(names)
        }
        assert not skipped

    def test_a_tar_file_from_before_posix_is_read(self, tmp_path: Path) -> None:
        info = tarfile.TarInfo("d/film")
        info.size = 4
        header = bytearray(info.tobuf(tarfile.USTAR_FORMAT)[:512])
        header[257:265] = bytes(8)
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        assert find(write(tmp_path / "x", bytes(header) + b"film" + bytes(508 + 1024))) == ({"d/film": b"film"}, {})

    def test_films_in_an_archive_are_imported(self, tmp_path: Path) -> None:
        films = hospital(tmp_path / "h", patients=2)
        zip_of(tmp_path / "x.zip", {f"d/{film.name}": film.read_bytes() for film in films.iterdir()})
        study = Study.create(tmp_path / "study", "fingers", ["anna"])
        report = import_films(study, [tmp_path / "x.zip"], key=tmp_path / "key.json")
        assert len(report.imported) == 8
        assert {film.path.parent for film in report.imported} == {tmp_path / "x.zip" / "d"}
        assert str(tmp_path / "x.zip" / "d" / "P0_0_L.dcm") in report.save_list().read_text()

    def test_a_manifest_names_files_in_an_archive(self, tmp_path: Path) -> None:
        folder = tmp_path / "m"
        film_file(folder / "one.dcm", patient="ignored", seed=1)
        two = film_file(tmp_path / "two.dcm", patient="ignored", day="20210302", seed=2).read_bytes()
        zip_of(folder / "x.zip", {"d/two.dcm": two, "d/other.dcm": b"not asked for"})
        (folder / "films.csv").write_text(
            "file,patient,time,side\none.dcm,P1,0,L\nx.zip/d/two.dcm,P1,1,L\nx.zip/none,P1,1,R\n"
        )
        study = Study.create(tmp_path / "study", "fingers", ["anna"])
        manifest = folder / "films.csv"
        report = import_films(study, [], manifest=manifest, key=tmp_path / "key.json", converter=InProcessConverter())
        assert [film.path.name for film in report.imported] == ["one.dcm", "two.dcm"]
        assert [item.reason for item in report.skipped] == ["the archive does not contain this file"]

    @pytest.mark.parametrize("name", ["../out.dcm", "/etc/out.dcm", "a/../../out.dcm", "..\\out.dcm"])
    @pytest.mark.parametrize("make", [zip_of, tar_of])
    def test_no_name_leads_out_of_an_archive(self, tmp_path: Path, name: str, make: type) -> None:
        (tmp_path / "d").mkdir()
        archive = make(tmp_path / "d" / "x", {name: b"x"})
        files, skipped = find(archive)
        assert not files
        assert list(skipped.values()) == ["its name leads out of the archive. Unpack the archive and check it"]
        assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["x"]

    def test_a_name_twice_gives_two_files(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
            archive.writestr("d/a", b"1")
            with pytest.warns(UserWarning, match="Duplicate"):
                archive.writestr("d/a", b"2")
        files, _ = find(tmp_path / "x.zip")
        assert files == {"d/a": b"1", "d/a (2)": b"2"}

    def test_encrypted_files_are_named(self, tmp_path: Path) -> None:
        archive = zip_of(tmp_path / "x.zip", {"d/open": b"1", "d/closed": b"2"})
        data = bytearray(archive.read_bytes())
        entry = data.rindex(b"PK\1\2")  # central directory header of the second file: flags at 8 (APPNOTE.TXT 4.3.12)
        data[entry + 8] |= 1
        archive.write_bytes(data)
        files, skipped = find(archive)
        assert files == {"d/open": b"1"}
        assert skipped == {"d/closed": "it is encrypted. Unpack the archive with its password"}

    def test_damage_to_one_file_leaves_the_others(self, tmp_path: Path) -> None:
        archive = zip_of(tmp_path / "x.zip", {"d/a": b"11111", "d/b": b"22222"}, zipfile.ZIP_STORED)
        archive.write_bytes(archive.read_bytes().replace(b"11111", b"11011"))
        files, skipped = find(archive)
        assert files == {"d/b": b"22222"}
        assert skipped == {"d/a": "it is damaged in the archive. Get the archive again"}

    def test_links_and_special_files_in_archives_are_listed(self, tmp_path: Path) -> None:
        kinds = {"l": tarfile.SYMTYPE, "h": tarfile.LNKTYPE, "f": tarfile.FIFOTYPE, "c": tarfile.CHRTYPE}
        with tarfile.open(tmp_path / "x.tar", "w") as archive:
            for name, kind in kinds.items():
                info = tarfile.TarInfo(f"d/{name}")
                info.type, info.linkname = kind, "/etc/passwd"
                archive.addfile(info)
        link = zipfile.ZipInfo("d/z")
        link.external_attr = 0o120777 << 16
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as zipped:
            zipped.writestr(link, "/etc/passwd")
        files, skipped = find(tmp_path / "x.tar", tmp_path / "x.zip")
        assert not files
        assert {name: reason.split()[0] for name, reason in skipped.items()} == {
            "d/l": "a",
            "d/h": "a",
            "d/z": "a",
            "d/f": "not",
            "d/c": "not",
        }

    @pytest.mark.parametrize("part", [0.2, 0.5, 0.9, 0.999])
    @pytest.mark.parametrize("mode", ["zip", "w:", "w:gz", "w:bz2", "w:xz"])
    def test_a_truncated_archive_is_never_a_success(self, tmp_path: Path, mode: str, part: float) -> None:
        entries = {f"d/{number}": os.urandom(9_000) for number in range(4)}
        archive = zip_of(tmp_path / "x", entries) if mode == "zip" else tar_of(tmp_path / "x", entries, mode)
        whole = archive.read_bytes()
        archive.write_bytes(whole[: int(part * len(whole)) if part < 0.99 else len(whole.rstrip(b"\0")) - 1])
        files, skipped = find(archive)
        assert all(entries[name] == content for name, content in files.items())
        assert "damaged" in skipped[f"{tmp_path.name}/x"] or "incomplete" in skipped[f"{tmp_path.name}/x"]

    def test_a_tar_file_that_ends_between_two_files_is_noticed(self, tmp_path: Path) -> None:
        archive = tar_of(tmp_path / "x", {"d/a": b"1" * 512, "d/b": b"2" * 512})
        archive.write_bytes(archive.read_bytes()[:1024])
        files, skipped = find(archive)
        assert list(files) == ["d/a"]
        assert "incomplete" in skipped[f"{tmp_path.name}/x"]

    def test_a_changed_byte_in_an_xz_archive_is_noticed(self, tmp_path: Path) -> None:
        entries = {f"d/{number}": os.urandom(9_000) for number in range(4)}
        archive = tar_of(tmp_path / "x", entries, "w:xz")
        data = bytearray(archive.read_bytes())
        data[len(data) // 2] ^= 1
        archive.write_bytes(data)
        files, skipped = find(archive)
        assert "damaged" in skipped[f"{tmp_path.name}/x"]
        assert all(entries[name] == content for name, content in files.items()) or len(files) == 4

    def test_an_xz_archive_of_several_streams_with_padding_is_read(self, tmp_path: Path) -> None:
        content = os.urandom(700_000)
        plain = tar_of(tmp_path / "plain", {"d/a": content, "d/b": b"2"}).read_bytes()
        parts = [plain[:100], plain[100:600_000], plain[600_000:]]
        (tmp_path / "x").write_bytes(b"".join(lzma.compress(part) + bytes(8) for part in parts))
        (tmp_path / "plain").unlink()
        assert find(tmp_path / "x") == ({"d/a": content, "d/b": b"2"}, {})

    def test_an_xz_archive_that_needs_much_memory_is_not_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(xz_stream, "_MOST_MEMORY", 1_000_000)
        files, skipped = find(tar_of(tmp_path / "x", {"d/a": b"1"}, "w:xz"))
        assert not files
        assert list(skipped.values()) == ["a compressed file that is no tar archive, or damaged. Unpack it"]

    def test_an_archive_in_an_archive_is_named(self, tmp_path: Path) -> None:
        inner = zip_of(tmp_path / "inner", {"a": b"1"}).read_bytes()
        archive = tar_of(tmp_path / "x", {"d/inner.zip": inner, "d/film": b"1", "d/inner.gz": gzip.compress(b"1")})
        files, skipped = find(archive)
        assert list(files) == ["d/film"]
        assert set(skipped) == {"d/inner.zip", "d/inner.gz"}
        assert all("archive inside an archive" in reason for reason in skipped.values())

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (b"7z\xbc\xaf\x27\x1c" + bytes(100), "can't be read. Unpack it"),
            (b"Rar!\x1a\x07\x01\x00" + bytes(100), "can't be read. Unpack it"),
            (b"\x28\xb5\x2f\xfd" + bytes(100), "can't be read. Unpack it"),
            (b"\xfd7zXZ\0" + bytes(100), "no tar archive, or damaged"),
            (lzma.compress(b"a letter"), "no tar archive"),
            (gzip.compress(b"a letter", mtime=0), "no tar archive"),
            (bz2.compress(b"a letter"), "no tar archive"),
            (b"PK\3\4" + bytes(100), "end is missing"),
        ],
    )
    def test_other_archives_are_named(self, tmp_path: Path, content: bytes, says: str) -> None:
        path = write(tmp_path / "h" / "x", content)
        files, skipped = find(path)
        assert not files
        assert says in skipped["h/x"]

    @pytest.mark.parametrize("mode", ["zip", "w:", "w:gz"])
    def test_two_archives_in_one_file_lose_nothing_silently(self, tmp_path: Path, mode: str) -> None:
        def make(name: str, entry: str) -> bytes:
            path = tmp_path / name
            made = zip_of(path, {entry: b"1" * 3000}) if mode == "zip" else tar_of(path, {entry: b"1" * 3000}, mode)
            return made.read_bytes()

        archive = write(tmp_path / "h" / "x", make("a", "one") + make("b", "two"))
        files, skipped = find(archive)
        assert len(files) == 1
        assert list(skipped) == ["h/x"]
        assert skipped["h/x"].startswith("the archive contains more files than its list names")

    def test_an_entry_that_the_list_of_a_zip_file_hides_is_noticed(self, tmp_path: Path) -> None:
        path = tmp_path / "x.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name in ("one", "two", "three"):
                archive.writestr(name, name * 100)
            archive.filelist.pop(1)
        files, skipped = find(path)
        assert sorted(files) == ["x.zip/one", "x.zip/three"]
        assert "more files than its list names" in str(skipped)

    def test_a_document_is_no_archive_of_films(self, tmp_path: Path) -> None:
        archive = zip_of(tmp_path / "letter.docx", {"[Content_Types].xml": b"", "word/document.xml": b"Dear"})
        assert list(find(archive)[1].values()) == ["a document or a program, no archive of films"]

    def test_a_film_whose_preamble_looks_like_an_archive_is_a_film(self, tmp_path: Path) -> None:
        film = film_file(tmp_path / "h" / "a.dcm")
        film.write_bytes(b"PK\3\4" + film.read_bytes()[4:])
        assert list(find(film)[0]) == ["h/a.dcm"]

    def test_an_empty_archive_is_named(self, tmp_path: Path) -> None:
        archive = zip_of(tmp_path / "x.zip", {})
        assert list(find(archive)[1].values()) == ["the archive contains no file"]


class TestHostileArchives:
    def test_a_compressed_giant_is_not_unpacked(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(archive_entries, "_SLACK", 1000)
        for name, archive in {
            "zip": zip_of(tmp_path / "zip", {"d/a": bytes(5_000_000)}),
            "gz": tar_of(tmp_path / "gz", {"d/a": bytes(5_000_000)}, "w:gz"),
            "bz2": tar_of(tmp_path / "bz2", {"d/a": bytes(5_000_000)}, "w:bz2"),
            "xz": tar_of(tmp_path / "xz", {"d/a": bytes(5_000_000)}, "w:xz"),
        }.items():
            files, skipped = find(archive)
            assert not files
            assert "compressed more than films can be" in skipped[f"{tmp_path.name}/{name}"]

    def test_entries_that_share_bytes_are_refused(self, tmp_path: Path) -> None:
        archive = zip_of(tmp_path / "x.zip", {"d/a": os.urandom(9000), "d/b": b""})
        data = archive.read_bytes()
        first, second, end = data.index(b"PK\1\2"), data.rindex(b"PK\1\2"), data.rindex(b"PK\5\6")
        copies = data[first:second] * 50
        record = struct.unpack("<4s4H2LH", data[end : end + 22])
        tail = struct.pack("<4s4H2LH", record[0], 0, 0, 50, 50, len(copies), first, 0)
        archive.write_bytes(data[:first] + copies + tail)
        files, skipped = find(archive)
        assert not files
        assert "share their bytes" in next(iter(skipped.values()))

    def test_a_huge_list_of_entries_is_not_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(archive_entries, "_MAX_ENTRIES", 3)
        entries = {f"d/{number}": b"" for number in range(4)}
        for archive in (zip_of(tmp_path / "x.zip", entries), tar_of(tmp_path / "x.tar", entries)):
            assert "more entries" in find(archive)[1][f"{tmp_path.name}/{archive.name}"]

    def test_a_huge_header_is_not_read_into_memory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(archive_entries, "_MAX_HEADER_BYTES", 2_000_000)
        info = tarfile.TarInfo("pax")
        info.type, info.size = tarfile.XHDTYPE, 3_000_000
        (tmp_path / "x").write_bytes(info.tobuf() + bytes(3_000_320 + 1024))
        files, skipped = find(tmp_path / "x")
        assert not files
        assert "huge header" in skipped[f"{tmp_path.name}/x"]

    def test_an_entry_that_leads_back_ends(self, tmp_path: Path) -> None:
        one, two = tarfile.TarInfo("d/a"), tarfile.TarInfo("d/b")
        size = (-1024).to_bytes(12, "big", signed=True)
        header = bytearray(two.tobuf(tarfile.GNU_FORMAT)[:512])
        header[124:136] = size
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        (tmp_path / "x").write_bytes(one.tobuf(tarfile.GNU_FORMAT)[:512] + bytes(header) + bytes(1024))
        files, skipped = find(tmp_path / "x")
        assert list(files) == ["d/a"]
        assert "damaged" in skipped[f"{tmp_path.name}/x"]

    def test_a_full_disk_is_an_error(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(archives, "_RESERVE", 1 << 60)
        with pytest.raises(StudyError, match="are free"):
            find(zip_of(tmp_path / "x.zip", {"d/a": b"1"}))

    def test_a_folder_of_a_killed_import_is_removed(self, tmp_path: Path, temporary: Path) -> None:
        for name in ("old", "other"):
            write(temporary / f"ratui-import-{name}" / "000001.dcm", b"Doe^John")
        write(temporary / "ratui-import-old" / "lock", b"")
        find(zip_of(tmp_path / "x.zip", {"d/a": b"1"}))
        assert [path.name for path in temporary.iterdir()] == ["ratui-import-other"], (
            "only folders of imports have a lock"
        )

    def test_the_folder_is_private_and_in_use_while_it_is_open(self, tmp_path: Path) -> None:
        archive = zip_of(tmp_path / "x.zip", {"d/a": b"1"})
        with open_sources([archive]) as sources:
            (path,) = sources.files.values()
            assert path.parent.stat().st_mode & 0o777 == 0o700
            find(archive)
            assert path.read_bytes() == b"1"
        assert not path.parent.exists()

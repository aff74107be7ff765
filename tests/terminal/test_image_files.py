"""Images in shared memory and files: private, never in the place of something else, and never left behind."""

from __future__ import annotations

import base64
import errno
import io
import os
import pty
import re
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ratui.terminal import Display, FrameCache, KittyFileFrame, encode, image_files
from ratui.terminal.image_files import LEFTOVER_SECONDS, ImageFile, Medium, remove_image_files, remove_leftovers
from ratui.terminal.probe import _ask_media, _raw

LEVELS = np.arange(12 * 7, dtype=np.uint8).reshape(7, 12) * 3


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Put the images of both media into a folder of the test."""
    monkeypatch.setattr(image_files, "_SHARED_MEMORY", tmp_path)
    monkeypatch.setattr(image_files.tempfile, "gettempdir", lambda: str(tmp_path))
    yield tmp_path
    remove_image_files()


def make_frame(medium: Medium = "s") -> KittyFileFrame:
    frame = encode(Display("kitty", medium=medium), Image.fromarray(LEVELS))
    assert isinstance(frame, KittyFileFrame)
    return frame


def levels_in(upload: list[str]) -> np.ndarray:
    """Return the grey levels of an image that is sent through the line."""
    data = "".join(re.findall(r";([^\x1b]*)\x1b", "".join(upload)))
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


class TestFile:
    def test_only_this_account_can_read_it(self, folder: Path) -> None:
        previous = os.umask(0)
        try:
            file = ImageFile.write("s", b"film")
        finally:
            os.umask(previous)
        assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
        assert file.path.read_bytes() == b"film"

    def test_its_name_is_the_one_that_the_terminal_needs(self, folder: Path) -> None:
        memory, file = ImageFile.write("s", b""), ImageFile.write("t", b"")
        assert base64.b64decode(memory.name).decode() == f"/{memory.path.name}"
        assert base64.b64decode(file.name).decode() == str(file.path)
        assert "tty-graphics-protocol" in file.path.name
        random = {re.fullmatch(r".*-([0-9a-f]{32})", each.path.name)[1] for each in (memory, file)}  # type: ignore[index]
        assert len(random) == 2

    @pytest.mark.parametrize("kind", ["file", "link"])
    def test_what_stands_in_its_place_is_not_touched(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str
    ) -> None:
        monkeypatch.setattr(image_files.secrets, "token_hex", lambda count: "ab" * count)
        victim = folder / "victim"
        victim.write_text("of another")
        planted = folder / f"tty-graphics-protocol-ratui-{os.getpid()}-{'ab' * 16}"
        if kind == "link":
            planted.symlink_to(victim)
        else:
            planted.write_text("of another")
        with pytest.raises(FileExistsError):
            ImageFile.write("t", b"film")
        assert victim.read_text() == planted.read_text() == "of another"
        assert np.array_equal(levels_in(make_frame("t").upload_parts()), LEVELS), "it goes through the line instead"

    def test_it_is_written_completely_in_several_steps(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write = os.write
        monkeypatch.setattr(image_files.os, "write", lambda file, data: write(file, data[:3]))
        assert ImageFile.write("s", b"a whole film").path.read_bytes() == b"a whole film"

    def test_at_most_some_wait_for_the_terminal(self, folder: Path) -> None:
        files = [ImageFile.write("s", b"film") for _ in range(image_files._MAX_OPEN)]
        with pytest.raises(OSError, match="takes no images"):
            ImageFile.write("s", b"film")
        files[5].path.unlink()  # as the terminal does
        ImageFile.write("s", b"film")


class TestFrame:
    def test_the_terminal_reads_the_exact_levels_and_then_only_places_them(self, folder: Path) -> None:
        frame = make_frame()
        (upload, shown) = frame.parts(1, 2, 30, 10, 4)
        (file,) = folder.iterdir()
        assert re.fullmatch(rf"\x1b_Ga=t,f=24,t=s,s=12,v=7,i={frame.id},q=2;[^;]+\x1b\\", upload)
        red, green, blue = np.frombuffer(file.read_bytes(), np.uint8).reshape(7, 12, 3).transpose(2, 0, 1)
        assert all(np.array_equal(each, LEVELS) for each in (red, green, blue))
        assert len(upload) + len(shown) < frame.byte_count + 60
        frame.mark_shown()
        assert not frame.is_received()
        file.unlink()  # as the terminal does
        assert frame.is_received()
        assert frame.parts(1, 2, 30, 10, 4) == [shown]

    def test_a_full_memory_means_the_same_picture_through_the_line(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(file: int, data: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        frame = make_frame()
        monkeypatch.setattr(image_files.os, "write", fail)
        assert np.array_equal(levels_in(frame.upload_parts()), LEVELS)
        assert not list(folder.iterdir())
        frame.mark_shown()
        assert frame.is_received()

    @pytest.mark.parametrize("end", ["lost", "forgotten", "dropped", "released"])
    def test_no_file_is_left_when_the_image_is_not_needed(self, folder: Path, end: str) -> None:
        frame, cache = make_frame(), FrameCache(limit=1)
        frame.parts(0, 0, 3, 3, 1)
        frame.mark_shown()
        if end == "lost":
            frame.mark_lost()
        elif end == "forgotten":
            assert f"i={frame.id}," in frame.forget()
        elif end == "dropped":
            cache.put(1, frame)
            cache.put(2, make_frame())
        else:
            FrameCache().put(1, frame)
            remove_image_files()
        assert not list(folder.iterdir())


class TestLeftovers:
    def leave(self, folder: Path, name: str, age: float) -> Path:
        path = folder / name
        path.write_bytes(b"film")
        os.utime(path, (1e9 - age, 1e9 - age))
        return path

    def test_only_old_ones_of_this_account_whose_program_has_ended_are_deleted(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(image_files, "_is_running", lambda process: process == 77)
        random, old = "0" * 32, LEFTOVER_SECONDS + 1
        left = self.leave(folder, f"tty-graphics-protocol-ratui-1-{random}", old)
        kept = [
            self.leave(folder, f"tty-graphics-protocol-ratui-2-{random}", LEFTOVER_SECONDS - 1),
            self.leave(folder, f"tty-graphics-protocol-ratui-77-{random}", old),
            self.leave(folder, f"tty-graphics-protocol-other-1-{random}", old),
        ]
        link = folder / f"tty-graphics-protocol-ratui-3-{random}"
        link.symlink_to(kept[2])
        remove_leftovers(now=1e9)
        assert not left.exists()
        assert all(each.exists() for each in (*kept, link))
        monkeypatch.setattr(image_files.os, "geteuid", lambda: 12_345)
        left = self.leave(folder, left.name, old)
        remove_leftovers(now=1e9)
        assert left.exists(), "it belongs to another account"

    def test_without_a_folder_for_temporary_files_nothing_is_deleted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail() -> str:
            raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

        monkeypatch.setattr(image_files.tempfile, "gettempdir", fail)
        remove_leftovers(now=1e9)
        with pytest.raises(OSError, match="No usable"):
            ImageFile.write("t", b"")

    def test_a_running_program_is_recognised(self) -> None:
        assert image_files._is_running(os.getpid())
        assert not image_files._is_running(2**31 - 2)


class TestProbe:
    def ask(self, folder: Path, take: Callable[[bytes], bool], says_ok: bool) -> tuple[Medium, bool]:
        """Return what is found in a terminal that takes an image if `take` returns True for its medium."""
        main, sub = pty.openpty()

        def answer() -> None:
            heard = b""
            while b"\x1b[c" not in heard:
                heard += os.read(main, 4096)
            for number, medium, name in re.findall(rb"\x1b_Gi=(\d+),s=1,v=1,a=q,t=(.),f=24;(.*?)\x1b", heard):
                if takes := take(medium):
                    (folder / Path(os.fsdecode(base64.b64decode(name))).name).unlink()
                reply = b"OK" if takes or says_ok else b"EBADF:No such file"
                os.write(main, b"\x1b_Gi=%s;%s\x1b\\" % (number, reply))
            os.write(main, b"\x1b[?62;c")

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            with _raw(sub):
                return _ask_media(sub, 20.0)
        finally:
            thread.join(20)
            os.close(main)
            os.close(sub)

    @pytest.mark.parametrize(
        ("taken", "says_ok", "found"),
        [
            pytest.param(b"st", False, "s", id="both"),
            pytest.param(b"t", False, "t", id="only files"),
            pytest.param(b"", False, "", id="a terminal on another machine"),
            pytest.param(b"", True, "", id="a terminal that says OK to everything"),
        ],
    )
    def test_a_medium_counts_if_the_terminal_took_an_image(
        self, folder: Path, taken: bytes, says_ok: bool, found: str
    ) -> None:
        assert self.ask(folder, lambda medium: medium in taken, says_ok) == (found, True)
        assert not list(folder.iterdir())


@pytest.mark.parametrize(
    ("round_trip", "multiplexer", "is_near"),
    [(0.001, "", True), (0.02, "", False), (None, "", False), (0.001, "tmux", False)],
)
def test_only_a_terminal_that_answers_at_once_itself_is_near(
    round_trip: float | None, multiplexer: str, is_near: bool
) -> None:
    assert Display("kitty", round_trip=round_trip, multiplexer=multiplexer).is_near == is_near

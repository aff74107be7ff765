"""Images for Kitty's graphics protocol, placed at the cursor or, through tmux, by characters (Unicode placeholders).

A terminal on this machine gets the pixels through shared memory or a temporary file (`ratui.terminal.image_files`).

tmux does not know about images. It passes an upload on to its clients if the sequence is wrapped (its option
``allow-passthrough``), but it would neither move nor remove an image that was placed at the cursor. A placeholder is a
character: its colour is the number of the image, and its combining marks are its row and column in the image. tmux moves,
hides and redraws it as any other text, and the terminal shows the part of the image in its place.
https://sw.kovidgoyal.net/kitty/graphics-protocol/#unicode-placeholders
"""

from __future__ import annotations

import base64
import io
import secrets
from dataclasses import dataclass, field
from functools import cache
from typing import ClassVar

import numpy as np
from PIL import Image

from ratui.terminal.image_files import ImageFile, Medium
from ratui.terminal.queries import KITTY_PLACEMENT

__all__ = [
    "HIDE_IMAGES",
    "PLACEHOLDER",
    "KittyFileFrame",
    "KittyFrame",
    "KittyPlaceholderFrame",
    "encode_kitty",
    "find_lost_image",
    "list_marks",
    "pass_through",
]

_CHUNK = 4096  # Kitty's limit for the payload of one sequence
HIDE_IMAGES = "\x1b_Ga=d,d=a,q=2\x1b\\"
"""Sequence that removes all images from the screen, and frees none."""
PLACEHOLDER = "\U0010eeee"
"""Character that the terminal replaces by a part of an image."""
# The combining marks that mean 0, 1, 2, ... as a row, a column, or the highest byte of an image's number. They are the marks
# above a letter (combining class 230) of Unicode 6.0 that do not change in normalization.
_MARKS = (
    "305 30D-30E 310 312 33D-33F 346 34A-34C 350-352 357 35B 363-36F 483-487 592-595 597-599 59C-5A1 5A8-5A9 "
    "5AB-5AC 5AF 5C4 610-617 657-65B 65D-65E 6D6-6DC 6DF-6E2 6E4 6E7-6E8 6EB-6EC 730 732-733 735-736 73A 73D "
    "73F-741 743 745 747 749-74A 7EB-7F1 7F3 816-819 81B-823 825-827 829-82D 951 953-954 F82-F83 F86-F87 135D-135F "
    "17DD 193A 1A17 1A75-1A7C 1B6B 1B6D-1B73 1CD0-1CD2 1CDA-1CDB 1CE0 1DC0-1DC1 1DC3-1DC9 1DCB-1DCC 1DD1-1DE6 1DFE "
    "20D0-20D1 20D4-20D7 20DB-20DC 20E1 20E7 20E9 20F0 2CEF-2CF1 2DE0-2DFF A66F A67C-A67D A6F0-A6F1 A8E0-A8F1 AAB0 "
    "AAB2-AAB3 AAB7-AAB8 AABE-AABF AAC1 FE20-FE26 10A0F 10A38 1D185-1D189 1D1AA-1D1AD 1D242-1D244"
)


def find_lost_image(reply: str) -> int | None:
    """Return the number of the image that the terminal cannot show; None if `reply` is no such answer.

    Terminals drop images when their memory for images is full. They answer the placement of such an image with an error:
    https://sw.kovidgoyal.net/kitty/graphics-protocol/#image-persistence-and-storage-quotas
    """
    found = KITTY_PLACEMENT.pattern.fullmatch(reply.encode())
    return int(found[1]) if found else None


@cache
def list_marks() -> tuple[str, ...]:
    """Return the combining marks by the number that they mean."""
    ranges = (part.split("-") for part in _MARKS.split())
    return tuple(chr(code) for ends in ranges for code in range(int(ends[0], 16), int(ends[-1], 16) + 1))


def pass_through(sequence: str) -> str:
    """Return `sequence` wrapped so that tmux passes it on to the terminals of its clients."""
    doubled = sequence.replace("\x1b", "\x1b\x1b")
    return f"\x1bPtmux;{doubled}\x1b\\"


@dataclass(frozen=True)
class KittyFrame:
    """An image for Kitty's graphics protocol, which is sent once and can then be placed any number of times."""

    id: int
    """Number of the image in the terminal."""
    upload: tuple[str, ...] = field(repr=False)
    """Sequences that send the image, in their order."""
    pixels: int
    """Number of pixels."""
    shrink: int = 1
    """Factor by which the image has fewer pixels in each direction than it fills on the screen."""
    IN_CELLS: ClassVar[bool] = False
    """True if the image consists of characters, which disappear when other text is written over them."""
    _sent: list[bool] = field(default_factory=list, repr=False, compare=False)

    @property
    def memory_bytes(self) -> int:
        """Bytes that the frame takes here and in the terminal, which keeps four bytes per pixel."""
        return sum(map(len, self.upload)) + 4 * self.pixels

    @property
    def byte_count(self) -> int:
        """Bytes that have to be sent to show the image now."""
        return 60 if self._sent else sum(map(len, self.upload)) + 60

    def parts(self, column: int, row: int, columns: int, rows: int, placement: int) -> list[str]:
        """Return the sequences that show the image, in the order in which they have to be sent.

        Parameters
        ----------
        column, row
            Cell at the top left, counted from 0.
        columns, rows
            Size of the image in cells.
        placement
            Number of the place, so that Kitty can remove the image from there.

        Returns
        -------
        list of str
            Control sequences. Other text must not come between them. The terminal answers the last one if it cannot show the
            image, see `find_lost_image`.
        """
        show = f"\x1b[{row + 1};{column + 1}H\x1b_Ga=p,i={self.id},p={placement},c={columns},r={rows},C=1,q=1\x1b\\"
        return [*self.upload_parts(), show]

    def upload_parts(self) -> list[str]:
        """Return the sequences that send the image without showing it, in their order; none if it was sent."""
        return [] if self._sent else list(self.upload)

    def mark_shown(self) -> None:
        """Record that all parts of the upload have been written."""
        self._sent[:] = [True]

    def is_received(self) -> bool:
        """Return False if the terminal has answered a later question without having taken the image."""
        return True

    def send_directly(self) -> None:
        """Send the pixels in control sequences from now on, because the terminal did not take the image otherwise."""

    def mark_lost(self) -> None:
        """Record that the terminal may have lost the image, because another program used it."""
        self._sent.clear()

    @property
    def sent(self) -> bool:
        """True if the terminal has the image."""
        return bool(self._sent)

    def abandon(self) -> str:
        """Return the sequence that ends an upload of which only some parts were written."""
        return "\x1b_Gm=0,q=2;\x1b\\" + self._empty

    def remove(self, placement: int) -> str:
        """Return the sequence that removes the image from a place, and keeps it in the terminal's memory."""
        return f"\x1b_Ga=d,d=i,i={self.id},p={placement},q=2\x1b\\"

    def forget(self) -> str:
        """Return the sequence that frees the terminal's memory of this image alone; empty if the image was not sent."""
        return self._empty if self._sent else ""

    def delete(self) -> str:
        """Return the sequence that deletes the image; empty if it was not sent. Kitty 0.26 then loses others as well."""
        return self._delete if self._sent else ""

    @property
    def _empty(self) -> str:
        # Kitty 0.26, the version of Debian 12, frees all images that are not on the screen when it deletes one with its
        # data. They would be black when they are placed later. So a single pixel takes the place of this image.
        return f"\x1b_Ga=t,f=24,t=d,s=1,v=1,i={self.id},q=2;AAAA\x1b\\"

    @property
    def _delete(self) -> str:
        return f"\x1b_Ga=d,d=I,i={self.id},q=2\x1b\\"


@dataclass(frozen=True)
class KittyPlaceholderFrame(KittyFrame):
    """A Kitty image whose place is marked by characters, for a terminal behind tmux."""

    IN_CELLS: ClassVar[bool] = True

    @property
    def byte_count(self) -> int:
        """Bytes that have to be sent to show the image, without the characters in its cells."""
        return 0 if self._sent else sum(map(len, self.upload))

    def parts(self, column: int, row: int, columns: int, rows: int, placement: int) -> list[str]:
        """Return the sequences that show the image, as `KittyFrame.parts` does. `placement` is not used.

        The last part is the virtual placement, which gives the image its size in cells, with the placeholders.
        """
        # One virtual placement serves all places: its number is always 1, so that a repetition replaces it.
        virtual = pass_through(f"\x1b_Ga=p,U=1,i={self.id},p=1,c={columns},r={rows},q=2\x1b\\")
        show = virtual + "".join(
            f"\x1b[{row + y + 1};{column + 1}H{line}" for y, line in enumerate(self._lines(columns, rows))
        )
        return [*self.upload_parts(), show]

    def upload_parts(self) -> list[str]:
        """Return the sequences that send the image through tmux; none if it was sent."""
        return [pass_through(part) for part in super().upload_parts()]

    def _lines(self, columns: int, rows: int) -> list[str]:
        """Return the placeholders of each row, with the number of the image as their colour."""
        marks = list_marks()
        red, green, blue = self.id >> 16 & 255, self.id >> 8 & 255, self.id & 255
        high = marks[self.id >> 24]
        colour = f"\x1b[0;38;2;{red};{green};{blue}m"
        return [
            # Every cell names its row and column, because something may cover the cells before it. A placeholder without
            # marks, beyond the last column that has a mark, continues the one to its left.
            colour
            + "".join(f"{PLACEHOLDER}{marks[y]}{marks[x]}{high}" for x in range(min(columns, len(marks))))
            + PLACEHOLDER * (columns - len(marks))
            + "\x1b[m"
            for y in range(min(rows, len(marks)))
        ]

    def abandon(self) -> str:
        """Return the sequences that end an upload of which only some parts were written."""
        return pass_through("\x1b_Gm=0,q=2;\x1b\\") + self._empty

    def remove(self, placement: int) -> str:
        """Return no sequence: the image disappears with its characters."""
        return ""

    @property
    def _empty(self) -> str:
        return pass_through(super()._empty)

    @property
    def _delete(self) -> str:
        return pass_through(super()._delete)


@dataclass(frozen=True)
class KittyFileFrame(KittyFrame):
    """A Kitty image that the terminal reads from shared memory or from a file. `upload` is empty.

    The file is written when the image is sent. If there is no room for it, control sequences contain the pixels.
    """

    levels: bytes = field(default=b"", repr=False)
    """Grey levels of the pixels, row by row."""
    size: tuple[int, int] = (0, 0)
    """Width and height in pixels."""
    medium: Medium = "s"
    """The medium."""
    _file: list[ImageFile] = field(default_factory=list, repr=False, compare=False)
    _is_direct: list[bool] = field(default_factory=list, repr=False, compare=False)

    @property
    def memory_bytes(self) -> int:
        """Bytes that the frame takes here and in the terminal."""
        return len(self.levels) + 4 * self.pixels

    @property
    def byte_count(self) -> int:
        """Bytes that have to be sent to show the image now: without its pixels, unless control sequences contain them."""
        if self._is_direct and not self._sent:
            return len(self.levels)  # before compression
        return 60 if self._sent else 260

    def upload_parts(self) -> list[str]:
        """Write the image to a file, and return the sequence that tells the terminal to read it.

        If the file cannot be written, return the sequences that contain the image itself. Return an empty list if the image
        was sent before.
        """
        if self._sent:
            return []
        if not self._is_direct:
            self._delete_file()
            try:
                file = ImageFile.write(self.medium, _repeat_levels(self.levels))
            except OSError:
                self.send_directly()
            else:
                self._file.append(file)
                width, height = self.size
                return [f"\x1b_Ga=t,f=24,t={self.medium},s={width},v={height},i={self.id},q=2;{file.name}\x1b\\"]
        return list(_make_upload(Image.frombytes("L", self.size, self.levels), self.id, effort=1))

    def is_received(self) -> bool:
        """Return False if the file of the image still exists, which the terminal deletes after it has read it.

        Also return False if the image has to be sent again.
        """
        return bool(self._sent) and (not self._file or self._file[-1].is_taken())

    def send_directly(self) -> None:
        """Send the pixels in control sequences from now on."""
        self._is_direct[:] = [True]
        self.mark_lost()

    def mark_lost(self) -> None:
        """Record that the terminal may have lost the image, and delete its file."""
        super().mark_lost()
        self._delete_file()

    def forget(self) -> str:
        """Delete the file, and return the sequence that frees the terminal's memory of this image alone, if it was sent."""
        self._delete_file()
        return super().forget()

    def delete(self) -> str:
        """Delete the file, and return the sequence that deletes the image in the terminal, if it was sent."""
        self._delete_file()
        return super().delete()

    def _delete_file(self) -> None:
        while self._file:
            self._file.pop().delete()


def _repeat_levels(levels: bytes) -> memoryview:
    """Return grey `levels` as the red, green and blue of each pixel. The key waits for it, and Pillow takes 1 ms longer."""
    grey = np.frombuffer(levels, np.uint8)
    pixels = np.empty((len(levels), 3), np.uint8)
    for channel in range(3):
        pixels[:, channel] = grey
    return pixels.data.cast("B")


def encode_kitty(image: Image.Image, *, effort: int, placeholders: bool = False, medium: Medium = "") -> KittyFrame:
    """Return an image as a frame for Kitty's graphics protocol, without loss.

    Parameters
    ----------
    image
        A grey image of mode ``L``.
    effort
        Effort of the compression, from 1 (fast) to 9 (small).
    placeholders
        True to place the image by characters, through tmux.
    medium
        Medium for a terminal on this machine; empty to send the pixels in control sequences.

    Returns
    -------
    KittyFrame
        The frame, with a random number that no other image in the terminal has.
    """
    id = secrets.randbelow(2**31 - 1) + 1
    pixels = image.width * image.height
    if medium:
        return KittyFileFrame(id, (), pixels, levels=image.tobytes(), size=image.size, medium=medium)
    return (KittyPlaceholderFrame if placeholders else KittyFrame)(id, _make_upload(image, id, effort), pixels)


def _make_upload(image: Image.Image, id: int, effort: int) -> tuple[str, ...]:
    """Return the control sequences that contain `image`, as a compressed picture in pieces."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=effort)
    payload = base64.b64encode(buffer.getvalue()).decode()
    pieces = [payload[start : start + _CHUNK] for start in range(0, len(payload), _CHUNK)]
    parts = []
    for number, piece in enumerate(pieces):
        more = int(number < len(pieces) - 1)
        head = f"a=t,f=100,t=d,i={id},q=2,m={more}" if number == 0 else f"m={more},q=2"
        parts.append(f"\x1b_G{head};{piece}\x1b\\")
    return tuple(parts)

"""Read files compressed by xz within a limit of memory, which `lzma.open` does not have."""

from __future__ import annotations

import io
import lzma
import os
from pathlib import Path
from typing import Any

__all__ = ["XzStream"]

_MOST_MEMORY = 200_000_000  # bytes; the highest preset of xz needs 65 MiB, and a header may ask for 4 GiB
_CHUNK = 1 << 18


class XzStream(io.RawIOBase):
    """The uncompressed bytes of an xz file. Damage, and a demand for more memory, raise EOFError or OSError.

    Parameters
    ----------
    path
        The file, which may contain several streams with padding between them.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = path.open("rb")
        self._restart()

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True: a place before the present one is reached by reading from the start."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer`, and return the number of bytes, 0 at the end."""
        view = memoryview(buffer).cast("B")
        data = self._read(len(view))
        view[: len(data)] = data
        self._place += len(data)
        return len(data)

    def tell(self) -> int:
        """Return the number of uncompressed bytes before the present place."""
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to `offset` from the start, or from the present place."""
        if whence == os.SEEK_CUR:
            offset += self._place
        elif whence != os.SEEK_SET:
            raise io.UnsupportedOperation("the size is not known")
        if offset < self._place:
            self._restart()
        while self._place < offset:
            data = self._read(min(offset - self._place, _CHUNK))
            if not data:
                break
            self._place += len(data)
        return self._place

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def _restart(self) -> None:
        self._file.seek(0)
        self._place = 0
        self._decoder: lzma.LZMADecompressor | None = _make_decoder()

    def _read(self, size: int) -> bytes:
        try:
            while size and self._decoder is not None:
                if self._decoder.eof:
                    rest = self._decoder.unused_data
                    while not rest.strip(b"\0") and (more := self._file.read(_CHUNK)):
                        rest = more
                    rest = rest.lstrip(b"\0")  # padding between streams
                    self._decoder = _make_decoder() if rest else None
                else:
                    rest = self._file.read(_CHUNK) if self._decoder.needs_input else b""
                    if self._decoder.needs_input and not rest:
                        raise EOFError
                if self._decoder is not None and (data := self._decoder.decompress(rest, size)):
                    return data
        except lzma.LZMAError as error:
            raise OSError(str(error)) from error
        return b""


def _make_decoder() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MOST_MEMORY)

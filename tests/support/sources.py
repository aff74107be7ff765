"""Sources of an import for tests: files and archives, and a search for what an import finds in them."""

import io
import tarfile
import zipfile
from pathlib import Path

from ratui.study.importing.files.sources import open_sources


def find(*paths: Path, named: tuple[Path, ...] = ()) -> tuple[dict[str, bytes], dict[str, str]]:
    """Return the content of each file found and the reason of each skipped one, by the last two names of its origin."""
    with open_sources(paths, named) as sources:
        files = {"/".join(origin.parts[-2:]): path.read_bytes() for origin, path in sources.files.items()}
        skipped = {"/".join(item.origin.parts[-2:]): item.reason for item in sources.skipped}
        assert len(files) == len(sources.files)
        return files, skipped


def write(path: Path, content: bytes = b"film") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def zip_of(path: Path, entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def tar_of(path: Path, entries: dict[str, bytes], mode: str = "w:") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in entries.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path
